// Package control stands between the engine and the window: it turns what the
// window asks for into calls of the engine, and the engine's events into what the
// window shows.
package control

import (
	"context"
	"crypto/x509"
	"errors"
	"net/url"
	"sync"

	"culvert/app/engine"
	"culvert/app/target"
	"culvert/app/ui/model"
)

// Backend is where new tunnels lead.
type Backend struct {
	URL     *url.URL // nil: the built-in relay
	Token   string
	RootCAs *x509.CertPool // nil: the system's
}

// Engine is the part of engine.Engine that is used here.
type Engine interface {
	Open(engine.Spec) (*engine.Tunnel, error)
	Tunnel(key string) *engine.Tunnel
	BuiltIn() engine.BuiltIn
	AllowLAN(ctx context.Context, allow bool) error
}

// Control implements the window's Controller. Give its OnEvent to the engine, and
// the engine to Attach before anything else is asked for.
type Control struct {
	store  *model.Store
	engine Engine

	mu      sync.Mutex
	backend Backend
	// lan is what was last wished for: while the built-in relay does not run, that
	// is what will be in force.
	lan bool
}

// New returns a Control for a store. The built-in relay will begin with the LAN
// setting lan.
func New(store *model.Store, b Backend, lan bool) *Control {
	c := &Control{store: store, backend: b, lan: lan}
	c.show(engine.BuiltIn{})
	return c
}

// Attach names the engine.
func (c *Control) Attach(e Engine) { c.engine = e }

// SetBackend changes where new tunnels lead; those that are open stay where they are.
func (c *Control) SetBackend(b Backend) {
	c.mu.Lock()
	c.backend = b
	c.mu.Unlock()
	c.show(c.engine.BuiltIn())
}

// show tells the window about the backend.
func (c *Control) show(b engine.BuiltIn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.backend.URL != nil {
		c.store.SetBackend(model.Backend{Name: c.backend.URL.Redacted(), Local: model.Local(c.backend.URL.String())})
		return
	}
	shown := model.Backend{Name: "Built-in relay", BuiltIn: true, LAN: c.lan}
	if b.Running {
		shown.LAN = b.LAN
	}
	c.store.SetBackend(shown)
}

// Open starts a tunnel to a target as a person types it.
func (c *Control) Open(_ context.Context, text string) (string, error) {
	to, err := target.Parse(text)
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	b := c.backend
	c.mu.Unlock()
	t, err := c.engine.Open(engine.Spec{Target: to, Backend: b.URL, Token: b.Token, RootCAs: b.RootCAs})
	if err != nil {
		return "", err
	}
	// Its card is there at once, unless the first event was faster.
	card := shown(t, t.Status())
	card.State = model.Connecting // what the engine begins with in a moment
	c.store.AddTunnel(card)
	return t.Key(), nil
}

var errGone = errors.New("this tunnel has been removed")

// Start connects a tunnel.
func (c *Control) Start(_ context.Context, key string) error {
	return c.with(key, (*engine.Tunnel).Start)
}

// Stop disconnects a tunnel.
func (c *Control) Stop(_ context.Context, key string) error {
	return c.with(key, (*engine.Tunnel).Stop)
}

// RetryNow skips the wait before the next try.
func (c *Control) RetryNow(_ context.Context, key string) error {
	return c.with(key, (*engine.Tunnel).RetryNow)
}

// Remove takes a tunnel away.
func (c *Control) Remove(_ context.Context, key string) error {
	return c.with(key, (*engine.Tunnel).Remove)
}

func (c *Control) with(key string, do func(*engine.Tunnel)) error {
	t := c.engine.Tunnel(key)
	if t == nil {
		return errGone
	}
	do(t)
	return nil
}

// AllowLAN lets other devices on the network reach the built-in relay, or not.
func (c *Control) AllowLAN(ctx context.Context, allow bool) error {
	err := c.engine.AllowLAN(ctx, allow)
	if err == nil {
		c.mu.Lock()
		c.lan = allow
		c.mu.Unlock()
	}
	c.show(c.engine.BuiltIn())
	return err
}
