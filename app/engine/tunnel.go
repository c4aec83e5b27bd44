package engine

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"culvert/app/capture"
	"culvert/app/session"
	"culvert/backend/wire"
)

// Tunnel is one local service with its public URL. Its methods may be called by
// any goroutine, as often as one likes, and none of them but Replay waits: what comes
// of a call is told by events.
type Tunnel struct {
	engine *Engine
	key    string
	record *capture.Recorder
	prober *prober
	wired  atomic.Pointer[wiring] // replaced by Edit

	questions *questions // of the prober's visits

	requests, dropped atomic.Int64
	replays           atomic.Int64 // under way
	edited            atomic.Bool  // and not yet told
	underway          underway

	floods sync.WaitGroup // who tells of notices that were left out
	events sync.Mutex     // held while OnEvent is called: keeps the tunnel's events in order

	ctx  context.Context // ends with Remove and with the engine
	end  context.CancelFunc
	wake chan struct{} // has room for one: the tunnel shall run

	mu      sync.Mutex
	leg     *leg               // replaced by Edit, while it may still be running
	want    bool               // it shall run
	refused bool               // and was refused since that was last said
	removed bool               // Remove was called
	ended   bool               // it runs no more
	stop    context.CancelFunc // makes the run that is under way end soon; nil if none is
	// restarting: the run under way ends for the sake of another Spec, and what its
	// session says of that is of no interest.
	restarting bool
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
		engine: e, key: key,
		wake:     make(chan struct{}, 1),
		underway: underway{limit: drainTime}, questions: newQuestions(),
	}
	cfg := capture.Config{Bodies: e.cfg.Bodies, OnExchange: t.onExchange, OnDropped: t.onDropped}
	if e.cfg.Bodies {
		cfg.OnStream, cfg.Rate, cfg.BodyRate = t.onStream, LogRate, LogBodyRate
	}
	var err error
	if t.record, err = capture.New(cfg); err != nil {
		return nil, err
	}
	w, err := t.newWiring(spec)
	if err != nil {
		t.record.Close()
		return nil, err
	}
	t.wired.Store(w)
	t.prober = newProber(probeConfig{service: t.checkService, url: t.visit, tell: t.tellLights, unasked: e.cfg.Lights})
	t.prober.watch(e.watched.Load())
	t.leg = t.newLeg(w)
	t.ctx, t.end = context.WithCancel(e.ctx)
	return t, nil
}

// Key names the tunnel within this engine, for as long as the process runs.
func (t *Tunnel) Key() string { return t.key }

// Spec is what the tunnel was opened with, or what Edit has made of it.
func (t *Tunnel) Spec() Spec { return t.wired.Load().spec }

// Title is what a person calls the tunnel.
func (t *Tunnel) Title() string { return t.wired.Load().spec.Title() }

// Status is where the tunnel stands at this moment, without the resume secret.
func (t *Tunnel) Status() session.Status {
	t.mu.Lock()
	l, restarting, want := t.leg, t.restarting, t.want
	t.mu.Unlock()
	s := t.told(l.session.Status())
	if restarting && want { // in a moment
		s.State, s.Cause, s.Attempt, s.NextTry = session.Connecting, nil, 0, time.Time{}
	}
	return s
}

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
	t.wakeUp()
}

func (t *Tunnel) wakeUp() {
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
func (t *Tunnel) RetryNow() {
	t.mu.Lock()
	l := t.leg
	t.mu.Unlock()
	l.session.RetryNow()
}

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
	var probing sync.WaitGroup
	probing.Go(func() { t.prober.run(t.ctx) })
	t.mu.Lock()
	waits := !t.want
	t.mu.Unlock()
	if waits {
		t.emit(StatusChanged{t, t.Status()})
	}
	for t.ctx.Err() == nil {
		select {
		case <-t.ctx.Done():
		case <-t.wake:
			t.run()
		}
	}
	t.mu.Lock()
	t.ended = true // nothing is wired any more
	t.mu.Unlock()
	probing.Wait()
	t.floods.Wait()
	t.wired.Load().close()
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
	want, restarted, l := t.want, t.restarting, t.leg
	t.restarting = false
	if want {
		t.stop = stop
		t.underway.open()
	}
	t.mu.Unlock()
	if !want {
		cancel()
		if restarted { // and stopped after all: the session has not been heard
			t.onStatus(l.session.Status())
		}
		return
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		<-stopping.Done()
		t.underway.drain(ctx)
		cancel()
	}()
	err := l.session.Run(ctx)
	cancel()
	<-drained
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stop = nil
	if t.refused { // and nobody has asked for another try since
		t.wired.Load().log.Info("ended for good", "error", err)
		t.want = false
	}
}

func (t *Tunnel) onExchange(x *capture.Exchange) {
	t.requests.Add(1)
	if x.Err != nil {
		if _, _, noTarget := explain(x.Err); noTarget {
			t.prober.ask(asked{service: true})
		}
	}
	t.emit(RequestDone{t, x})
}

func (t *Tunnel) onStream(s *capture.Stream) { t.emit(StreamOpened{t, s}) }

func (t *Tunnel) onDropped(n int) {
	t.requests.Add(int64(n))
	t.dropped.Add(int64(n))
	t.emit(Dropped{t, n})
}

func (t *Tunnel) emit(event Event) {
	t.events.Lock()
	defer t.events.Unlock()
	t.emitEdited()
	t.engine.emit(event)
}

// emitEdited tells of an edit before anything that comes of it. It needs events.
func (t *Tunnel) emitEdited() {
	if t.edited.Swap(false) {
		t.engine.emit(Edited{t})
	}
}

// String names the tunnel in logs; it has no secret in it.
func (t *Tunnel) String() string {
	return fmt.Sprintf("tunnel %s to %s", t.key, t.wired.Load().spec.Target)
}
