package agents

import (
	"context"
	"errors"
	"time"

	"culvert/backend/auth"
	"culvert/backend/lambda/store"
	"culvert/backend/tunnel"
)

// standIn is a store that cannot be reached.
type standIn struct{ err error }

func newStandIn() *standIn { return &standIn{errors.New("the store is down")} }

func (s *standIn) PutConnection(context.Context, store.Connection) error { return s.err }
func (s *standIn) Connection(context.Context, string) (*store.Connection, error) {
	return nil, s.err
}
func (s *standIn) Authorize(context.Context, string, auth.Identity, string) error { return s.err }
func (s *standIn) AuthorizeFailed(context.Context, string) (int, error)           { return 0, s.err }
func (s *standIn) Revoked(context.Context, auth.Identity) (bool, error)           { return false, s.err }
func (s *standIn) PutUserConnection(context.Context, string, store.UserConnection) error {
	return s.err
}
func (s *standIn) UserConnections(context.Context, string) ([]store.UserConnection, error) {
	return nil, s.err
}
func (s *standIn) ForgetUserConnection(context.Context, string, string) error      { return s.err }
func (s *standIn) ForgetOf(context.Context, string, string) error                  { return s.err }
func (s *standIn) Attach(context.Context, string, store.Holder, store.Agent) error { return s.err }
func (s *standIn) Prolong(context.Context, string, store.Holder) error             { return s.err }
func (s *standIn) Ponged(context.Context, string) error                            { return s.err }
func (s *standIn) Lookup(context.Context, string, bool) (*store.Tunnel, error) {
	return nil, s.err
}
func (s *standIn) Claim(context.Context, tunnel.Claim, store.Holder, int, string) (*store.Claimed, error) {
	return nil, s.err
}
func (s *standIn) GiveBack(context.Context, *store.Claimed) error        { return s.err }
func (s *standIn) Release(context.Context, string, string) (bool, error) { return false, s.err }
func (s *standIn) Uncount(context.Context, string, string) error         { return s.err }
func (s *standIn) HeldBy(context.Context, string) ([]store.Held, error)  { return nil, s.err }
func (s *standIn) PutAnswer(context.Context, string, int, []byte, time.Time) (bool, error) {
	return false, s.err
}
