package agents

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"culvert/backend/action"
	"culvert/backend/auth"
	"culvert/backend/lambda/keys"
	"culvert/backend/lambda/post"
	"culvert/backend/lambda/store"
	"culvert/backend/tunnel"
)

var errFault = errors.New("a fault")

// faults counts the calls of all that Agents works with, and has one of them fail.
type faults struct {
	mu    sync.Mutex
	calls []string
	fail  int // which one, from 1; 0: none
}

func (f *faults) call(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, name)
	if len(f.calls) == f.fail {
		return fmt.Errorf("%s: %w", name, errFault)
	}
	return nil
}

// after gives the call that failed, and those that followed it.
func (f *faults) after() (failed string, followed []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail < 1 || f.fail > len(f.calls) {
		return "", nil
	}
	return f.calls[f.fail-1], f.calls[f.fail:]
}

// does makes a call unless it is the one that fails.
func does[T any](f *faults, name string, call func() (T, error)) (T, error) {
	if err := f.call(name); err != nil {
		var none T
		return none, err
	}
	return call()
}

type faultyStore struct {
	Store
	f *faults
}

func (s *faultyStore) PutConnection(ctx context.Context, c store.Connection) error {
	return s.do("PutConnection", func() error { return s.Store.PutConnection(ctx, c) })
}

func (s *faultyStore) do(name string, call func() error) error {
	_, err := does(s.f, name, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

func (s *faultyStore) Connection(ctx context.Context, id string) (*store.Connection, error) {
	return does(s.f, "Connection", func() (*store.Connection, error) { return s.Store.Connection(ctx, id) })
}

func (s *faultyStore) Authorize(ctx context.Context, id string, who auth.Identity, owner string) error {
	return s.do("Authorize", func() error { return s.Store.Authorize(ctx, id, who, owner) })
}

func (s *faultyStore) AuthorizeFailed(ctx context.Context, id string) (int, error) {
	return does(s.f, "AuthorizeFailed", func() (int, error) { return s.Store.AuthorizeFailed(ctx, id) })
}

func (s *faultyStore) Revoked(ctx context.Context, token auth.Identity) (bool, error) {
	return does(s.f, "Revoked", func() (bool, error) { return s.Store.Revoked(ctx, token) })
}

func (s *faultyStore) PutUserConnection(ctx context.Context, owner string, c store.UserConnection) error {
	return s.do("PutUserConnection", func() error { return s.Store.PutUserConnection(ctx, owner, c) })
}

func (s *faultyStore) UserConnections(ctx context.Context, owner string) ([]store.UserConnection, error) {
	return does(s.f, "UserConnections", func() ([]store.UserConnection, error) { return s.Store.UserConnections(ctx, owner) })
}

func (s *faultyStore) ForgetUserConnection(ctx context.Context, owner, connection string) error {
	return s.do("ForgetUserConnection", func() error { return s.Store.ForgetUserConnection(ctx, owner, connection) })
}

func (s *faultyStore) ForgetOf(ctx context.Context, owner, connection string) error {
	return s.do("ForgetOf", func() error { return s.Store.ForgetOf(ctx, owner, connection) })
}

func (s *faultyStore) Attach(ctx context.Context, tunnel string, h store.Holder, a store.Agent) error {
	return s.do("Attach", func() error { return s.Store.Attach(ctx, tunnel, h, a) })
}

func (s *faultyStore) Ponged(ctx context.Context, id string) error {
	return s.do("Ponged", func() error { return s.Store.Ponged(ctx, id) })
}

func (s *faultyStore) Prolong(ctx context.Context, tunnel string, h store.Holder) error {
	return s.do("Prolong", func() error { return s.Store.Prolong(ctx, tunnel, h) })
}

func (s *faultyStore) Lookup(ctx context.Context, id string, consistent bool) (*store.Tunnel, error) {
	return does(s.f, "Lookup", func() (*store.Tunnel, error) { return s.Store.Lookup(ctx, id, consistent) })
}

func (s *faultyStore) Claim(ctx context.Context, c tunnel.Claim, h store.Holder, max int, dead string) (*store.Claimed, error) {
	return does(s.f, "Claim", func() (*store.Claimed, error) { return s.Store.Claim(ctx, c, h, max, dead) })
}

func (s *faultyStore) GiveBack(ctx context.Context, got *store.Claimed) error {
	return s.do("GiveBack", func() error { return s.Store.GiveBack(ctx, got) })
}

func (s *faultyStore) Release(ctx context.Context, id, connection string) (bool, error) {
	return does(s.f, "Release", func() (bool, error) { return s.Store.Release(ctx, id, connection) })
}

func (s *faultyStore) Uncount(ctx context.Context, quota, connection string) error {
	return s.do("Uncount", func() error { return s.Store.Uncount(ctx, quota, connection) })
}

func (s *faultyStore) HeldBy(ctx context.Context, quota string) ([]store.Held, error) {
	return does(s.f, "HeldBy", func() ([]store.Held, error) { return s.Store.HeldBy(ctx, quota) })
}

func (s *faultyStore) PutAnswer(ctx context.Context, id string, part int, message []byte, expires time.Time) (bool, error) {
	return does(s.f, "PutAnswer", func() (bool, error) { return s.Store.PutAnswer(ctx, id, part, message, expires) })
}

type faultyPoster struct {
	Poster
	f *faults
}

func (p *faultyPoster) Post(ctx context.Context, id string, text []byte, opts ...post.Option) error {
	if err := p.f.call("Post"); err != nil {
		return err
	}
	return p.Poster.Post(ctx, id, text, opts...)
}

func (p *faultyPoster) Info(ctx context.Context, id string) (post.Info, error) {
	return does(p.f, "Info", func() (post.Info, error) { return p.Poster.Info(ctx, id) })
}

func (p *faultyPoster) Delete(ctx context.Context, id string) error {
	if err := p.f.call("Delete"); err != nil {
		return err
	}
	return p.Poster.Delete(ctx, id)
}

type faultyWaiters struct {
	Waiters
	f *faults
}

func (p *faultyWaiters) Post(ctx context.Context, id string, text []byte, opts ...post.Option) error {
	if err := p.f.call("Push"); err != nil {
		return err
	}
	return p.Waiters.Post(ctx, id, text, opts...)
}

type faultyKeys struct {
	Keys
	f *faults
}

func (k *faultyKeys) Get(ctx context.Context) (*keys.Set, error) {
	return does(k.f, "Keys", func() (*keys.Set, error) { return k.Keys.Get(ctx) })
}

func (k *faultyKeys) Reread(ctx context.Context, have *keys.Set) (set *keys.Set, changed bool, err error) {
	set, err = does(k.f, "Reread", func() (*keys.Set, error) {
		set, changed, err = k.Keys.Reread(ctx, have)
		return set, err
	})
	return set, changed, err
}

type faultyProcessor struct {
	Processor
	f *faults
}

func (p *faultyProcessor) Do(ctx context.Context, c action.Call) (action.Reply, error) {
	return does(p.f, "Process", func() (action.Reply, error) { return p.Processor.Do(ctx, c) })
}

// faulty has all that is in the configuration count in f.
func (c Config) faulty(f *faults) Config {
	c.Store, c.Poster, c.Keys = &faultyStore{c.Store, f}, &faultyPoster{c.Poster, f}, &faultyKeys{c.Keys, f}
	c.Waiters, c.Processor = &faultyWaiters{c.Waiters, f}, &faultyProcessor{c.Processor, f}
	return c
}
