package agents

import (
	"context"
	"errors"
	"sync"
	"time"

	"culvert/backend/lambda/event"
	"culvert/backend/lambda/post"
	"culvert/backend/lambda/store"
	"culvert/backend/wire"
)

// ConnectAuth says when agents show who they are, where they do so by tokens.
type ConnectAuth string

const (
	// ConnectRequired: when they connect, or they are refused.
	ConnectRequired ConnectAuth = "required"
	// ConnectDeferred: then, or later by the action authorize, before all else.
	ConnectDeferred ConnectAuth = "deferred"
)

const (
	// pendingLife is how long a connection may take to show who is there.
	pendingLife = time.Minute
	// maxAdmitted bounds the connections that are remembered.
	maxAdmitted = 1000
)

// barred says why a connection may do nothing but authorize, or is nil.
func (a *Agents) barred(c *store.Connection) *wire.Error {
	switch {
	case a.late(c):
		return &wire.Error{Code: wire.CodeUnauthorized, Message: "nobody has authorized this connection within a minute: connect again"}
	case c.Pending:
		return &wire.Error{Code: wire.CodeUnauthorized,
			Message: `this connection is not authorized: send {"action":"authorize","data":{"token":"…"}} first, or connect with a token`}
	case c.Expired(a.now()):
		return &wire.Error{Code: wire.CodeUnauthorized, Message: "the token of this connection has expired: authorize it with a new one, or connect again"}
	}
	return nil
}

// late: the time for showing who is there is over.
func (a *Agents) late(c *store.Connection) bool {
	return c.Pending && a.now().Sub(c.ConnectedAt) > pendingLife
}

// admitted are connections that are known to be authorized, which they stay for all
// their life. So what an agent sends costs no read each time, where connections may
// open without a token.
type admitted struct {
	mu  sync.Mutex
	ids map[string]struct{}
}

func (s *admitted) has(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.ids[id]
	return ok
}

func (s *admitted) add(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids == nil || len(s.ids) >= maxAdmitted {
		s.ids = make(map[string]struct{})
	}
	s.ids[id] = struct{}{}
}

// admit says whether a connection may send anything about a tunnel, and tells it if it
// may not. Where all connections open with a token, they all may.
func (a *Agents) admit(ctx context.Context, m *event.Message) (bool, error) {
	if a.cfg.Auth != AuthJWT || a.cfg.ConnectAuth != ConnectDeferred || a.admitted.has(m.ConnectionID) {
		return true, nil
	}
	c, err := a.cfg.Store.Connection(ctx, m.ConnectionID)
	if errors.Is(err, store.ErrUnknown) {
		return false, a.unknown(ctx, m)
	}
	if err != nil {
		return false, err
	}
	if !c.Pending {
		a.admitted.add(m.ConnectionID)
		return true, nil
	}
	no := a.barred(c)
	a.refuse(m, "message of a tunnel", no)
	// It has declared nothing yet, and may know no other codes.
	message := &wire.ErrorMessage{Code: no.Code.Original(), Message: no.Message}
	if a.late(c) {
		return false, a.tellAndClose(ctx, m.ConnectionID, message, post.Young(c.ConnectedAt))
	}
	text, err := wire.Encode(message)
	if err != nil {
		return false, err
	}
	if err = a.postTo(ctx, m.ConnectionID, text, post.Young(c.ConnectedAt)); errors.Is(err, post.ErrGone) {
		err = nil
	}
	return false, err
}
