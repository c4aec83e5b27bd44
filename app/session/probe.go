package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"culvert/app/link"
)

type probeResult struct {
	link  *liveLink
	event Event
	err   error
}

// onEvent doubts everything: a dial under way was made for another network, a
// wait has lost its reason, and a connection must show that it lives.
func (v *supervisor) onEvent(e Event) {
	v.s.cfg.Logger.Debug("every connection is in doubt", "event", e.String())
	if v.dial == nil && v.current == nil && time.Now().Before(v.notBefore) {
		return // a backend that is overloaded did not get better by it
	}
	stale := v.dial != nil
	if stale {
		v.dial.cancel()
		v.dial = nil
	}
	if stale || v.current == nil {
		v.failures = 1
	}
	if v.current == nil {
		v.dialAtOnce()
		return
	}
	if stale {
		v.startDial()
	}
	if at := v.current.replaceAt; !at.IsZero() && v.dial == nil && !v.s.cfg.wall().Before(at) && !v.current.wantsToken() {
		v.startDial() // came due during sleep
	}
	v.startProbe(e)
}

func (v *supervisor) startProbe(e Event) {
	if v.probing == v.current {
		return
	}
	l := v.current
	v.probing = l
	v.wg.Go(func() {
		ctx, cancel := context.WithTimeout(v.ctx, v.s.cfg.ProbeTimeout)
		defer cancel()
		err := l.Probe(ctx)
		select {
		case v.probed <- probeResult{l, e, err}:
		case <-v.ctx.Done():
		}
	})
}

func (v *supervisor) onProbed(r probeResult) {
	if v.probing == r.link {
		v.probing = nil
	}
	if r.err == nil || r.link != v.current {
		return
	}
	if errors.Is(r.err, errors.ErrUnsupported) {
		// It may be alive. A new one certainly is, if the URL can be kept.
		if r.link.resumable() && v.dial == nil {
			v.startDial()
		}
		return
	}
	cause := fmt.Errorf("%w %v", link.ErrSilent, r.event)
	if !errors.Is(r.err, context.DeadlineExceeded) {
		cause = fmt.Errorf("%w: %w", cause, r.err)
	}
	v.lose()
	r.link.cancel()
	v.failures = 1
	v.reconnectIn(0, cause)
}
