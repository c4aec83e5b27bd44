// Package engine holds the tunnels of one process: each is a session that stays
// connected, a forwarder to the local service, and the record of what passed.
// It also runs the relay that is built into this process, for those who have no
// other backend.
//
// It is the same under a window and under a command: whoever shows it asks by
// methods and is told by typed events.
package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"culvert/app/config"
	"culvert/app/forwarder"
	"culvert/app/session"
	"culvert/backend/mux"
	"culvert/backend/tunnel"
)

// MaxTunnels is how many tunnels an engine holds at most.
const MaxTunnels = 100

// What the log of a tunnel takes for long with Config.Bodies, in exchanges and in bytes of
// bodies each second; see capture.Config. More than anybody reads, and with it the log
// takes a small part of the processor from the traffic of a flood.
const (
	LogRate     = 2000
	LogBodyRate = 16 << 20
)

// Errors of Open and Edit.
var (
	ErrNoTunnel       = errors.New("this tunnel has been removed")
	ErrClosed         = errors.New("the program is closing")
	ErrTooManyTunnels = fmt.Errorf("there are %d tunnels already: remove one first", MaxTunnels)
)

// Config is what an engine needs. Only Dir is required.
type Config struct {
	// Dir is the config folder, with the owner key and the built-in relay's state.
	Dir *config.Dir
	// OnEvent is told everything that happens. It is called by the engine's own
	// goroutines, possibly before New returns, and must not block; it may call any
	// method but Close and AllowLAN.
	OnEvent func(Event)
	// Bodies keeps bodies and the messages of streams for the request log, within
	// limits; see LogRate. Without it they are counted.
	Bodies bool
	// Lights keeps every tunnel's Lights; see Engine.SetWatched. Without it they are
	// looked at on Tunnel.Probe only: each look at the public URL is a request.
	Lights bool
	// RememberLAN begins with the LAN setting of the last time and remembers
	// changes. Without it the built-in relay begins on loopback.
	RememberLAN bool
	Logger      *slog.Logger // nil: silent
}

// Engine is the tunnels of this process. Its methods may be called by any goroutine.
type Engine struct {
	cfg     Config
	log     *slog.Logger
	owner   tunnel.OwnerKey
	watcher *session.Watcher
	builtIn *builtIn
	process string // names this process and no other
	inbox   inbox  // of the notices that backends send
	watched atomic.Bool
	// What all tunnels share of memory that only requests need.
	exchanges forwarder.Buffers
	frames    mux.Buffers
	replays   atomic.Int64 // so far

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	tunnels []*Tunnel // in the order of Open and Move
	last    int       // number of the newest
	closed  bool
}

// New makes an engine without tunnels. It reads the owner key, or makes it. Close
// must be called in the end.
func New(cfg Config) (*Engine, error) { return newEngine(cfg, lanAddress) }

func newEngine(cfg Config, lanAddress func() (netip.Addr, error)) (*Engine, error) {
	if cfg.Dir == nil {
		return nil, errors.New("engine: Config without Dir")
	}
	if cfg.OnEvent == nil {
		cfg.OnEvent = func(Event) {}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	owner, err := cfg.Dir.OwnerKey()
	if err != nil {
		return nil, err
	}
	e := &Engine{
		cfg: cfg, log: cfg.Logger, owner: owner, process: rand.Text(),
		watcher: session.NewWatcher(session.WatchConfig{}),
	}
	if notice := cfg.Dir.ProtectOwnerKey(); notice != "" {
		e.notice(notice)
	}
	state, err := cfg.Dir.State()
	if err := e.reportState(err); err != nil {
		return nil, err
	}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.builtIn = newBuiltIn(e, cfg.RememberLAN && state.AllowLAN, lanAddress)
	e.wg.Go(func() { e.watcher.Run(e.ctx) })
	e.wg.Go(func() { e.builtIn.follow(e.ctx, e.watcher) })
	e.wg.Go(e.probeAfterChanges)
	return e, nil
}

// reportState passes every error on but the loss of what was remembered, which
// is only told.
func (e *Engine) reportState(err error) error {
	if broken := (*config.BrokenStateError)(nil); errors.As(err, &broken) {
		e.notice(broken.Error())
		return nil
	}
	return err
}

// Open makes a tunnel and starts it. Its errors are about the wish, or ErrClosed
// or ErrTooManyTunnels; whatever goes wrong later is told by events.
func (e *Engine) Open(spec Spec) (*Tunnel, error) { return e.open(spec, true) }

func (e *Engine) open(spec Spec, start bool) (*Tunnel, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return nil, ErrClosed
	case len(e.tunnels) >= MaxTunnels:
		return nil, ErrTooManyTunnels
	}
	t, err := newTunnel(e, strconv.Itoa(e.last+1), spec)
	if err != nil {
		return nil, err
	}
	e.last++
	e.tunnels = append(e.tunnels, t)
	if start {
		t.Start()
	}
	e.wg.Go(t.live)
	return t, nil
}

// Tunnels are all that were opened and not removed, in that order or the one that
// Move has made.
func (e *Engine) Tunnels() []*Tunnel {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.tunnels)
}

// Tunnel is the one with that key, or nil.
func (e *Engine) Tunnel(key string) *Tunnel {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, t := range e.tunnels {
		if t.key == key {
			return t
		}
	}
	return nil
}

func (e *Engine) forget(t *Tunnel) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tunnels = slices.DeleteFunc(e.tunnels, func(o *Tunnel) bool { return o == t })
}

// BuiltIn says how it stands with the built-in relay.
func (e *Engine) BuiltIn() BuiltIn { return e.builtIn.status() }

// AllowLAN makes the built-in relay reachable from the network around, or from
// this machine only, and returns when it is so. Its tunnels reconnect by
// themselves and then have other URLs.
func (e *Engine) AllowLAN(ctx context.Context, allow bool) error {
	return e.builtIn.allowLAN(ctx, allow)
}

// Close stops everything as Tunnel.Stop does, and waits for it, or for the end of
// ctx, whose error it then returns. Later calls
// wait for the same.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	var drained sync.WaitGroup
	for _, t := range e.Tunnels() {
		drained.Go(func() { t.underway.drain(ctx) })
	}
	drained.Wait()
	e.cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.wg.Wait()
		e.builtIn.stop() // after the tunnels: they say goodbye to it
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("some tunnels did not end in time: %w", ctx.Err())
	}
}

func (e *Engine) emit(event Event) { e.cfg.OnEvent(event) }

func (e *Engine) notice(message string) { e.emit(Notice{Message: message}) }
