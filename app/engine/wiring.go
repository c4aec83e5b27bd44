package engine

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"

	"culvert/app/capture"
	"culvert/app/config"
	"culvert/app/forwarder"
	"culvert/app/link"
	"culvert/app/session"
	"culvert/app/version"
	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

// wiring is what follows from a Spec and serves requests. Edit puts another one in its
// place; requests under way end with the one that they began with.
type wiring struct {
	spec    Spec
	origin  *capture.Origin // for records
	log     *slog.Logger
	forward *forwarder.Forwarder

	users   atomic.Int64 // requests under way
	retired atomic.Bool
	closing sync.Once
}

func (t *Tunnel) newWiring(spec Spec) (*wiring, error) {
	w := &wiring{
		spec: spec, log: t.engine.log.With("tunnel", t.key, "target", spec.Target.String()),
		origin: &capture.Origin{Tunnel: spec.Title(), Target: spec.Target.String()},
	}
	var err error
	w.forward, err = forwarder.New(forwarder.Config{
		Target: spec.Target, HostHeader: spec.HostHeader, Timeout: spec.timeout(),
		RootCAs: spec.RootCAs, Logger: w.log,
		Recorder: t.record, Origin: w.origin, Buffers: &t.engine.exchanges,
	})
	return w, err
}

// use gives the wiring that is in force, for a request; done with it, the request
// calls leave.
func (t *Tunnel) use() *wiring {
	for {
		w := t.wired.Load()
		w.users.Add(1)
		if t.wired.Load() == w {
			return w // whoever retires it now sees that it is in use
		}
		w.leave()
	}
}

func (w *wiring) leave() {
	if w.users.Add(-1) == 0 && w.retired.Load() {
		w.close()
	}
}

// retire closes the wiring as soon as nobody uses it any more.
func (w *wiring) retire() {
	w.retired.Store(true)
	if w.users.Load() == 0 {
		w.close()
	}
}

func (w *wiring) close() { w.closing.Do(w.forward.Close) }

// dialFunc makes a connection to the backend.
type dialFunc = func(context.Context, link.Hello) (session.Link, error)

// leg is the session with one backend under one name. Its session remembers the
// tunnel ID and the secret to have it again, which are no other backend's business.
type leg struct {
	session *session.Session
	dial    atomic.Pointer[dialFunc]
	// lastID is asked for by first connections; nil if none is, or no longer.
	lastID atomic.Pointer[string]
}

func (t *Tunnel) newLeg(w *wiring) *leg {
	l := &leg{}
	l.wire(t.dialer(w))
	if w.spec.Name == "" && tunnel.ValidID(w.spec.LastID) == nil {
		l.lastID.Store(&w.spec.LastID)
	}
	l.session = session.New(session.Config{
		Dial:     l.connect,
		TunnelID: w.spec.Name, OnStatus: t.onStatus, Watcher: t.engine.watcher, Logger: w.log,
	})
	return l
}

// connect makes a connection. Where no name is wished, the ID of another time will do
// as well as one that the backend chooses, and no worse: if it is not to be had, there
// is a connection all the same.
func (l *leg) connect(ctx context.Context, h link.Hello) (session.Link, error) {
	dial, last := *l.dial.Load(), l.lastID.Load()
	if last == nil || h.TunnelID != "" {
		return dial(ctx, h)
	}
	again := h
	again.TunnelID = *last
	made, err := dial(ctx, again)
	var refusal *wire.Error
	if errors.As(err, &refusal) && (refusal.Code == wire.CodeNameTaken || refusal.Code == wire.CodeForbidden || refusal.Code == wire.CodeInvalidRequest) {
		l.lastID.Store(nil)
		return dial(ctx, h)
	}
	return made, err
}

// wire says how connections are made from now on.
func (l *leg) wire(dial dialFunc) { l.dial.Store(&dial) }

// dialer says how the session gets its connections.
func (t *Tunnel) dialer(w *wiring) dialFunc {
	if w.spec.BuiltIn() {
		return t.engine.builtIn.dialer(t, w)
	}
	return session.DialWith(t.linkConfig(w, w.spec.Backend, w.spec.Token))
}

func (t *Tunnel) linkConfig(w *wiring, backend *url.URL, token string) *link.Config {
	cfg := &link.Config{
		Backend: backend, Token: token,
		Owner: t.engine.owner, RootCAs: w.spec.RootCAs, Handler: t.serve,
		Agent: version.Agent(), Logger: w.log, Buffers: &t.engine.frames,
	}
	if file := w.spec.TokenFile; file != "" && !w.spec.BuiltIn() {
		cfg.TokenSource = func() (string, error) { return config.ReadTokenAgain(file) }
	}
	if w.spec.gateway() {
		cfg.AnswerTimeout = MaxGatewayTimeout
	}
	from := senderOf(cfg)
	cfg.OnNotice = func(n *wire.Notice) { t.received(from, n) }
	return cfg
}
