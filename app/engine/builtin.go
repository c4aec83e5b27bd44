package engine

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"sync"
	"time"

	"culvert/app/config"
	"culvert/app/link"
	"culvert/app/session"
	"culvert/app/version"
	"culvert/backend/auth"
	"culvert/backend/relay"
)

// BuiltIn is one moment of the built-in relay. It is a value.
type BuiltIn struct {
	Running bool
	// URL is the base of the public URLs; nil unless running.
	URL *url.URL
	// LAN: URL is reachable from the network around.
	LAN bool
}

// builtInGrace is how long visitors under way may take when the built-in relay
// changes its address or stops.
const builtInGrace = 2 * time.Second

// builtIn runs a relay in this process while tunnels need one. It starts with
// the first of them that dials, and listens on the same port as the last time if
// that is free, so that URLs survive a restart.
//
// Its only agents are this process's tunnels: they show a token that never leaves
// the process. Being on loopback is no credential, or any web page and any other
// user of this machine could open tunnels here.
type builtIn struct {
	engine *Engine
	dir    *config.Dir
	log    *slog.Logger
	token  string

	// lanAddress is the function of that name, but in tests.
	lanAddress func() (netip.Addr, error)

	// busy is a lock that can be waited for with a context. It is held by whoever
	// starts or stops the relay.
	busy chan struct{}

	mu      sync.Mutex
	lan     bool // wanted
	running *runningRelay
}

// runningRelay is one relay between its start and its stop.
type runningRelay struct {
	server *relay.Server
	local  *url.URL // where this process's tunnels connect to
	public *url.URL
	lan    bool
	port   int
	done   chan struct{} // closed when it accepts nobody any more
}

func newBuiltIn(e *Engine, lan bool, lanAddress func() (netip.Addr, error)) *builtIn {
	return &builtIn{
		engine: e, dir: e.cfg.Dir, log: e.log.With("part", "built-in relay"),
		token: rand.Text(), lanAddress: lanAddress, busy: make(chan struct{}, 1), lan: lan,
	}
}

func (b *builtIn) acquire(ctx context.Context) error {
	select {
	case b.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *builtIn) release() { <-b.busy }

func (b *builtIn) status() BuiltIn {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.running == nil {
		return BuiltIn{}
	}
	public := *b.running.public
	return BuiltIn{Running: true, URL: &public, LAN: b.running.lan}
}

// dialer connects t to the relay, wherever that listens at the moment.
func (b *builtIn) dialer(t *Tunnel, w *wiring) dialFunc {
	var mu sync.Mutex
	var cfg *link.Config
	return func(ctx context.Context, h link.Hello) (session.Link, error) {
		local, err := b.endpoint(ctx)
		if here := (*LocalError)(nil); errors.As(err, &here) {
			return nil, t.failHere(here)
		}
		if err != nil {
			return nil, err
		}
		mu.Lock()
		if cfg == nil || cfg.Backend.Host != local.Host {
			cfg = t.linkConfig(w, local, b.token) // links of the old address keep theirs
		}
		dial := session.DialWith(cfg)
		mu.Unlock()
		return dial(ctx, h)
	}
}

// endpoint is where to connect to. It starts the relay if it does not run.
func (b *builtIn) endpoint(ctx context.Context) (*url.URL, error) {
	if err := b.acquire(ctx); err != nil {
		return nil, fmt.Errorf("waiting for the built-in relay: %w", err)
	}
	defer b.release()
	b.mu.Lock()
	running, lan := b.running, b.lan
	b.mu.Unlock()
	if running != nil {
		select {
		case <-running.done: // lost its listener
			b.halt()
		default:
			return running.local, nil
		}
	}
	return b.start(ctx, lan, 0)
}

// start needs busy. The port is tried first unless it is 0. A LAN that is not
// there leaves the relay on loopback, and is told.
func (b *builtIn) start(ctx context.Context, lan bool, port int) (*url.URL, error) {
	var lanIP string
	if lan {
		addr, err := b.lanAddress()
		if err != nil {
			b.engine.notice(fmt.Sprintf("the built-in relay stays on this computer: %v", err))
			lan = false
		}
		lanIP = addr.String()
	}
	ln, err := b.listen(ctx, lan, port)
	if err != nil {
		return nil, err
	}
	port = ln.Addr().(*net.TCPAddr).Port
	r := &runningRelay{lan: lan, port: port, done: make(chan struct{})}
	r.local = httpURL("127.0.0.1", port)
	r.public = r.local
	if lan {
		r.public = httpURL(lanIP, port)
	}
	cfg := relay.Config{
		PublicURL: r.public, Authenticate: b.authenticate, StateDir: b.dir.BuiltInState(),
		Logger: b.log, Version: version.Number,
	}
	r.server, err = relay.New(cfg)
	if config.IsReadOnly(err) {
		b.engine.notice(fmt.Sprintf("the built-in relay keeps nothing, and URLs will be others next time: %v", err))
		cfg.StateDir = ""
		r.server, err = relay.New(cfg)
	}
	if err != nil {
		ln.Close()
		return nil, &LocalError{fmt.Errorf("starting the built-in relay: %w", err)}
	}
	go func() {
		defer close(r.done)
		if err := r.server.Serve(ln); err != nil {
			b.log.Error("the built-in relay accepts nobody any more", "error", err)
		}
	}()
	b.mu.Lock()
	b.running = r
	b.mu.Unlock()
	b.log.Info("listening", "url", r.public.String())
	b.engine.emit(BuiltInChanged{b.status()})
	return r.local, nil
}

// halt needs busy.
func (b *builtIn) halt() {
	b.mu.Lock()
	r := b.running
	b.running = nil
	b.mu.Unlock()
	if r == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), builtInGrace)
	defer cancel()
	if err := r.server.Shutdown(ctx); err != nil {
		b.log.Warn("stopping", "error", err)
	}
	<-r.done
}

// stop is for the engine's end.
func (b *builtIn) stop() {
	b.busy <- struct{}{}
	defer b.release()
	if b.status().Running {
		b.halt()
		b.engine.emit(BuiltInChanged{})
	}
}

// authenticate admits this process's tunnels, whose owner key then says who they are.
func (b *builtIn) authenticate(_ context.Context, token string) (auth.Identity, error) {
	if subtle.ConstantTimeCompare([]byte(token), []byte(b.token)) != 1 {
		return auth.Identity{}, errors.New("this relay is built into another program and serves only that: start one with `culvert relay`")
	}
	return auth.Identity{}, nil
}

// allowLAN is Engine.AllowLAN.
func (b *builtIn) allowLAN(ctx context.Context, allow bool) error {
	if allow {
		if _, err := b.lanAddress(); err != nil {
			return err
		}
	}
	if err := b.acquire(ctx); err != nil {
		return err
	}
	defer b.release()
	b.mu.Lock()
	b.lan = allow
	running := b.running
	b.mu.Unlock()
	if b.engine.cfg.RememberLAN {
		_, err := b.dir.UpdateState(func(s *config.State) { s.AllowLAN = allow })
		if err := b.engine.reportState(err); err != nil {
			b.engine.notice(fmt.Sprintf("the choice holds until the program ends: %v", err))
		}
	}
	if running == nil || running.lan == allow {
		return nil
	}
	return b.restart(ctx, running.port)
}

// restart needs busy. On the way the relay does not listen for a moment; visitors
// who come then are refused.
func (b *builtIn) restart(ctx context.Context, port int) error {
	b.mu.Lock()
	lan := b.lan
	b.mu.Unlock()
	b.halt()
	_, err := b.start(ctx, lan, port)
	for _, t := range b.engine.Tunnels() {
		if spec := t.Spec(); spec.BuiltIn() {
			t.RetryNow()
		}
	}
	return err
}

// follow keeps the public URL right while this machine moves between networks.
func (b *builtIn) follow(ctx context.Context, w *session.Watcher) {
	events, cancel := w.Subscribe()
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			b.onNetworkChange(ctx)
		}
	}
}

func (b *builtIn) onNetworkChange(ctx context.Context) {
	if b.acquire(ctx) != nil {
		return
	}
	defer b.release()
	b.mu.Lock()
	lan, r := b.lan, b.running
	b.mu.Unlock()
	if !lan || r == nil {
		return
	}
	addr, err := b.lanAddress()
	if r.lan == (err == nil) && (err != nil || r.public.Hostname() == addr.String()) {
		return // as before
	}
	if err := b.restart(ctx, r.port); err != nil && ctx.Err() == nil {
		b.engine.notice(err.Error())
	}
}

func httpURL(host string, port int) *url.URL {
	return &url.URL{Scheme: "http", Host: net.JoinHostPort(host, strconv.Itoa(port))}
}
