package engine

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"culvert/app/capture"
	"culvert/app/forwarder"
	"culvert/app/link"
	"culvert/app/session"
	"culvert/app/version"
	"culvert/backend/wire"
)

// Tunnel is one local service with its public URL. Its methods may be called by
// any goroutine, as often as one likes, and none of them waits: what comes of a
// call is told by events.
type Tunnel struct {
	engine  *Engine
	key     string
	spec    Spec
	log     *slog.Logger
	session *session.Session
	forward *forwarder.Forwarder
	record  *capture.Recorder

	requests, dropped atomic.Int64
	underway          underway

	events sync.Mutex // held while OnEvent is called: keeps the tunnel's events in order

	ctx  context.Context // ends with Remove and with the engine
	end  context.CancelFunc
	wake chan struct{} // has room for one: the tunnel shall run

	mu      sync.Mutex
	want    bool               // it shall run
	refused bool               // and was refused since that was last said
	removed bool               // Remove was called
	stop    context.CancelFunc // makes the run that is under way end soon; nil if none is
	// See failHere; both nil if it has not failed.
	localRefusal *wire.Error
	localError   *LocalError
}

// Counters are what a tunnel has seen since it was opened.
type Counters struct {
	Requests int64 // finished exchanges, those with dropped records included
	Dropped  int64 // records that were left out of the log
}

func newTunnel(e *Engine, key string, spec Spec) (*Tunnel, error) {
	t := &Tunnel{
		engine: e, key: key, spec: spec,
		log:      e.log.With("tunnel", key, "target", spec.Target.String()),
		wake:     make(chan struct{}, 1),
		underway: underway{limit: drainTime},
	}
	var err error
	t.record, err = capture.New(capture.Config{
		Bodies: e.cfg.Bodies, OnExchange: t.onExchange, OnDropped: t.onDropped,
	})
	if err != nil {
		return nil, err
	}
	t.forward, err = forwarder.New(forwarder.Config{
		Target: spec.Target, HostHeader: spec.HostHeader, Timeout: spec.timeout(),
		RootCAs: spec.RootCAs, Recorder: t.record, Logger: t.log,
	})
	if err != nil {
		t.record.Close()
		return nil, err
	}
	t.session = session.New(session.Config{
		Dial: t.dialer(), TunnelID: spec.Name, OnStatus: t.onStatus, Watcher: e.watcher, Logger: t.log,
	})
	t.ctx, t.end = context.WithCancel(e.ctx)
	return t, nil
}

// dialer says how the session gets its connections.
func (t *Tunnel) dialer() func(context.Context, link.Hello) (session.Link, error) {
	if t.spec.BuiltIn() {
		return t.engine.builtIn.dialer(t)
	}
	cfg := t.linkConfig()
	cfg.Backend, cfg.Token = t.spec.Backend, t.spec.Token
	return session.DialWith(cfg)
}

func (t *Tunnel) linkConfig() *link.Config {
	cfg := &link.Config{
		Owner: t.engine.owner, RootCAs: t.spec.RootCAs, Handler: t.serve,
		Agent: version.Agent(), Logger: t.log,
	}
	if t.spec.gateway() {
		cfg.AnswerTimeout = MaxGatewayTimeout
	}
	return cfg
}

// Key names the tunnel within this engine, for as long as the process runs.
func (t *Tunnel) Key() string { return t.key }

// Spec is what the tunnel was opened with.
func (t *Tunnel) Spec() Spec { return t.spec }

// Lights say which leg is bad, as far as was looked.
func (t *Tunnel) Lights() Lights { return Lights{} }

// Probe looks at both legs.
func (t *Tunnel) Probe() {}

// Status is where the tunnel stands at this moment, without the resume secret.
func (t *Tunnel) Status() session.Status { return t.told(t.session.Status()) }

// Counters are the numbers at this moment.
func (t *Tunnel) Counters() Counters {
	return Counters{Requests: t.requests.Load(), Dropped: t.dropped.Load()}
}

// Start connects the tunnel, also after a refusal, unless it is running already.
func (t *Tunnel) Start() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.want && !t.refused {
		return
	}
	t.want, t.refused = true, false
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// Stop disconnects the tunnel: at once if nothing is under way, else a moment later,
// in which requests may finish and no new ones are taken.
func (t *Tunnel) Stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.want = false
	if t.stop != nil {
		t.stop()
	}
}

// RetryNow skips the wait before the next try. In any other state it does nothing.
func (t *Tunnel) RetryNow() { t.session.RetryNow() }

// Remove stops the tunnel for good. The engine forgets it at once; its last event
// is Removed.
func (t *Tunnel) Remove() {
	t.engine.forget(t)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.removed = true
	t.end()
}

// live is the tunnel's life: it runs the session whenever that is wanted, until
// the tunnel is removed or the engine closes.
func (t *Tunnel) live() {
	defer t.end()
	for t.ctx.Err() == nil {
		select {
		case <-t.ctx.Done():
		case <-t.wake:
			t.run()
		}
	}
	t.forward.Close()
	t.record.Close() // hands out what is still queued
	t.mu.Lock()
	removed := t.removed
	t.mu.Unlock()
	if removed {
		t.emit(Removed{t})
	}
}

// run is one run of the session, if it is wanted still. A Start that comes too
// late for it has left its mark in wake.
func (t *Tunnel) run() {
	ctx, cancel := context.WithCancel(t.ctx)
	stopping, stop := context.WithCancel(ctx)
	defer stop()
	t.mu.Lock()
	want := t.want
	if want {
		t.stop = stop
		t.underway.open()
	}
	t.mu.Unlock()
	if !want {
		cancel()
		return
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		<-stopping.Done()
		t.underway.drain(ctx)
		cancel()
	}()
	err := t.session.Run(ctx)
	cancel()
	<-drained
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stop = nil
	if t.refused { // and nobody has asked for another try since
		t.log.Info("ended for good", "error", err)
		t.want = false
	}
}

func (t *Tunnel) onStatus(s session.Status) {
	if s.State == session.Refused {
		t.mu.Lock()
		t.refused = true
		t.mu.Unlock()
	}
	t.emit(StatusChanged{t, t.told(s)})
}

func (t *Tunnel) onExchange(x *capture.Exchange) {
	t.requests.Add(1)
	t.emit(RequestDone{t, x})
}

func (t *Tunnel) onDropped(n int) {
	t.requests.Add(int64(n))
	t.dropped.Add(int64(n))
	t.emit(Dropped{t, n})
}

func (t *Tunnel) emit(event Event) {
	t.events.Lock()
	defer t.events.Unlock()
	t.engine.emit(event)
}

// String names the tunnel in logs; it has no secret in it.
func (t *Tunnel) String() string { return fmt.Sprintf("tunnel %s to %s", t.key, t.spec.Target) }
