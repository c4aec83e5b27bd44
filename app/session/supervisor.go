package session

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"culvert/backend/wire"
)

// maxDraining bounds how many replaced links may finish their requests at the
// same time; one more ends the oldest.
const maxDraining = 2

// successorGrace is how long a link may be gone before the session says so, while
// its successor is being dialled: backends close the old connection as soon as
// they have greeted on the new one, and the greeting may be read second.
const successorGrace = 500 * time.Millisecond

// renewInterval is how often it is looked whether there is a new token, while the end of
// the one in use is near.
const renewInterval = 5 * time.Second

// retryMargin spreads out those who were told the same time to wait.
const retryMargin = time.Second

// supervisor is one Run: a single select loop that owns every field below.
// Goroutines that it starts only wait for something and report it.
type supervisor struct {
	s      *Session
	ctx    context.Context // ends with Run, whatever the reason
	cancel context.CancelFunc
	wg     sync.WaitGroup

	// current serves new requests; nil unless Online.
	current  *liveLink
	draining []*liveLink // oldest first
	latest   *liveLink   // the last one that there was; nil before the first
	// dial is under way to give the next current link; nil if none is.
	dial *dialing
	// timer starts the next dial: the reconnect, or the successor of current.
	// While one is under way, it ends successorGrace.
	timer *time.Timer
	// failures counts tries that failed and links that died young, or are to, since
	// one was stable.
	failures int
	// verdict is a permanent error on a link that was lost while its successor
	// was being dialled: the backend may have meant the one or the other.
	verdict *wire.Error
	cause   error // why Reconnecting
	// notBefore is the end of the wait that the backend asked for.
	notBefore time.Time
	probing   *liveLink

	ended  chan linkEnd
	dialed chan dialResult
	probed chan probeResult
}

// dialing is identified by its address: results of cancelled ones are dropped.
type dialing struct{ cancel context.CancelFunc }

type linkEnd struct {
	link *liveLink
	err  error
}

type dialResult struct {
	dial *dialing
	link Link
	err  error
}

func newSupervisor(ctx context.Context, s *Session) *supervisor {
	ctx, cancel := context.WithCancel(ctx)
	v := &supervisor{
		s: s, ctx: ctx, cancel: cancel,
		timer:  time.NewTimer(0),
		ended:  make(chan linkEnd),
		dialed: make(chan dialResult),
		probed: make(chan probeResult),
	}
	v.timer.Stop()
	return v
}

// run is the loop. It returns nil when ctx ends and a *wire.Error when refused.
func (v *supervisor) run() error {
	var events <-chan Event
	if w := v.s.cfg.Watcher; w != nil {
		ch, unsubscribe := w.Subscribe()
		defer unsubscribe()
		events = ch
	}
	v.s.changeState(Status{State: Connecting})
	v.startDial()

	var refused *wire.Error
	for refused == nil && v.ctx.Err() == nil {
		select {
		case <-v.ctx.Done():
		case r := <-v.dialed:
			refused = v.onDialed(r)
		case e := <-v.ended:
			refused = v.onEnded(e)
		case r := <-v.probed:
			v.onProbed(r)
		case <-v.goingAway():
			v.onGoingAway()
		case <-v.timer.C:
			v.onTimer()
		case <-v.s.retry:
			v.onRetry()
		case e := <-events:
			v.onEvent(e)
		}
	}
	v.cancel()
	v.timer.Stop()
	v.wg.Wait()
	if v.latest != nil {
		v.latest.Settle()
	}
	if refused != nil {
		v.s.changeState(Status{State: Refused, Cause: refused})
		return refused
	}
	v.s.changeState(Status{State: Stopped})
	return nil
}

func (v *supervisor) onTimer() {
	switch {
	case v.dial == nil && v.current != nil && !v.current.leaving && v.current.wantsToken():
		v.timer.Reset(renewInterval)
	case v.dial == nil:
		v.startDial()
	case v.current == nil:
		v.reconnectIn(0, v.cause)
	}
}

// startDial dials for a first link, for the lost one or for current's successor:
// which of them it was is decided when the result is there.
func (v *supervisor) startDial() {
	v.timer.Stop()
	ctx, cancel := context.WithTimeout(v.ctx, v.s.cfg.DialTimeout)
	d := &dialing{cancel: cancel}
	v.dial = d
	hello := v.s.hello
	v.wg.Go(func() {
		defer cancel()
		l, err := v.s.cfg.Dial(ctx, hello)
		select {
		case v.dialed <- dialResult{d, l, err}:
		case <-v.ctx.Done():
			if err == nil {
				l.Close()
			}
		}
	})
}

func (v *supervisor) onDialed(r dialResult) *wire.Error {
	if r.dial != v.dial { // given up meanwhile
		if r.err == nil {
			r.link.Close()
		}
		return nil
	}
	v.dial = nil
	if r.err == nil {
		v.adopt(r.link)
		return nil
	}
	refusal := permanent(r.err)
	if v.current != nil {
		v.s.cfg.Logger.Warn("no successor for the connection yet; it goes on serving",
			"error", r.err, "permanent", refusal != nil)
		switch {
		case refusal == nil:
			v.failures++
			v.timer.Reset(v.wait(r.err))
		case refusal.Code == wire.CodeUnauthorized:
			v.current.lasts = true // until somebody has renewed the token
			v.timer.Reset(renewInterval)
		}
		return nil
	}
	if v.verdict != nil {
		return v.verdict
	}
	if refusal != nil {
		return refusal
	}
	v.failures++
	v.reconnectIn(v.wait(r.err), r.err)
	return nil
}

// adopt makes l the current link and lets the one before finish its requests.
func (v *supervisor) adopt(l Link) {
	v.timer.Stop()
	old, before := v.current, v.latest // which may have ended a moment ago
	ctx, cancel := context.WithCancel(v.ctx)
	cur := &liveLink{Link: l, cancel: cancel, est: l.Established(), since: time.Now()}
	v.current, v.latest, v.verdict, v.cause = cur, cur, nil, nil
	if cur.est.Resume != "" {
		h := &v.s.hello
		h.TunnelID, h.Resume, h.Epoch = cur.est.TunnelID, cur.est.Resume, cur.est.Epoch
	}
	v.wg.Go(func() {
		defer cancel()
		err := l.Run(ctx)
		l.Close()
		select {
		case v.ended <- linkEnd{cur, err}:
		case <-v.ctx.Done():
		}
	})
	if age := time.Duration(cur.est.MaxAgeMS) * time.Millisecond; age > 0 && cur.resumable() {
		// 2 hours, API Gateway's limit, make 1 h 45 min to 1 h 50 min.
		life := age - age/12 - v.s.cfg.Jitter(age/24+1)
		cur.from = v.s.cfg.wall()
		cur.end = cur.from.Add(age)
		cur.lasts = before != nil && cur.endsWith(before)
		if cur.lasts {
			life = min(life, renewInterval) // to look whether there is a new token
		} else if life < v.s.cfg.StableAfter {
			// A backend that lets nothing live must not make the agent dial in a loop.
			v.failures++
			life = max(life, v.s.backoff.wait(v.failures))
		}
		cur.replaceAt = cur.from.Add(life)
		v.timer.Reset(life)
	}
	if old != nil {
		v.drain(old)
	}
	v.s.changeState(Status{State: Online, Established: cur.est})
}

func (v *supervisor) drain(old *liveLink) {
	if len(v.draining) >= maxDraining {
		v.draining[0].cancel()
		v.draining = slices.Delete(v.draining, 0, 1)
	}
	v.draining = append(v.draining, old)
	v.wg.Go(func() {
		ctx, cancel := context.WithTimeout(v.ctx, v.s.cfg.DrainTimeout)
		defer cancel()
		if err := old.Drain(ctx); err != nil {
			v.s.cfg.Logger.Debug("replaced connection ended with requests under way", "error", err)
		}
		old.cancel()
	})
}

func (v *supervisor) onEnded(e linkEnd) *wire.Error {
	if e.link != v.current {
		// Superseded or dropped: even "replaced" is no news, it was this session.
		v.draining = slices.DeleteFunc(v.draining, func(l *liveLink) bool { return l == e.link })
		return nil
	}
	if e.err == nil {
		e.err = errors.New("the backend closed the connection")
	}
	if refusal := permanent(e.err); refusal != nil {
		if v.dial == nil {
			return refusal
		}
		v.verdict = refusal
	}
	v.lose()
	if v.dial != nil {
		v.cause = e.err
		v.timer.Reset(successorGrace)
		return nil
	}
	v.reconnectIn(v.wait(e.err), e.err)
	return nil
}

// lose gives current up, and counts that unless its end was announced and counted.
func (v *supervisor) lose() {
	if v.stable() {
		v.failures = 0
	}
	if v.failures == 0 || !v.current.leaving {
		v.failures++
	}
	v.current = nil
}

// stable: current has been there for long enough to forget what was before.
func (v *supervisor) stable() bool { return time.Since(v.current.since) >= v.s.cfg.StableAfter }

// reconnectIn waits for d, or for the dial that is under way already.
func (v *supervisor) reconnectIn(d time.Duration, cause error) {
	v.cause = cause
	if v.dial != nil {
		d = 0
	} else {
		v.timer.Reset(d)
	}
	v.s.cfg.Logger.Info("not connected", "cause", cause, "attempt", v.failures, "in", d.Round(time.Millisecond))
	v.s.changeState(Status{
		State: Reconnecting, Attempt: v.failures, NextTry: time.Now().Add(d), Cause: cause,
	})
}

// wait is the back-off after failures, and no less than the backend asked for.
func (v *supervisor) wait(err error) time.Duration {
	d := v.s.backoff.wait(v.failures)
	var told interface{ RetryAfter() time.Duration }
	if errors.As(err, &told) {
		d = max(d, told.RetryAfter()+v.s.cfg.Jitter(retryMargin))
		v.notBefore = time.Now().Add(told.RetryAfter())
	}
	return d
}

func (v *supervisor) goingAway() <-chan struct{} {
	if v.current == nil || v.current.leaving {
		return nil
	}
	return v.current.GoingAway()
}

// onGoingAway starts before the end if the URL can be kept. A backend that says
// it on every connection makes the back-off grow.
func (v *supervisor) onGoingAway() {
	v.current.leaving = true
	if v.stable() {
		v.failures = 0
	}
	v.failures++
	if v.dial != nil || !v.current.resumable() {
		return
	}
	v.timer.Reset(v.s.backoff.wait(v.failures))
}

// onRetry is RetryNow.
func (v *supervisor) onRetry() {
	if v.current == nil && v.dial == nil {
		v.dialAtOnce()
	}
}

// dialAtOnce dials without waiting, and says so.
func (v *supervisor) dialAtOnce() {
	if v.s.Status().State != Connecting {
		v.s.changeState(Status{State: Reconnecting, Attempt: v.failures, NextTry: time.Now(), Cause: v.cause})
	}
	v.startDial()
}

// permanent gives the refusal in err for which trying again is pointless, or nil.
func permanent(err error) *wire.Error {
	var e *wire.Error
	if errors.As(err, &e) && e.Code.Permanent() {
		return e
	}
	return nil
}
