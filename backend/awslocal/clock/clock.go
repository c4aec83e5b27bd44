// Package clock is the time that the stand-in's long limits run on: idle and
// longest connections, visibility time-outs, the retirement of environments.
// Tests move it, so that two hours pass at once.
//
// Only what a person would not wait for belongs on it. Functions are real
// processes that live in real time; what they see and sign (times in events,
// their own deadlines, signatures) stays on the wall clock, or a jump of two
// hours would time out every invocation in flight.
package clock

import (
	"context"
	"time"
)

// Clock tells the time and calls back later.
type Clock interface {
	Now() time.Time
	// AfterFunc calls f once d has passed, and never before it has returned itself.
	// f must return soon, and must not move the clock.
	AfterFunc(d time.Duration, f func()) Timer
}

// Timer is a call that is still to come.
type Timer interface {
	// Stop prevents the call and reports whether it did. It does not wait for a call
	// under way.
	Stop() bool
	// Reset lets the call come d from now, and reports whether it was still to come.
	Reset(d time.Duration) bool
}

// Real is the wall clock.
func Real() Clock { return realClock{} }

type realClock struct{}

func (realClock) Now() time.Time                            { return time.Now() }
func (realClock) AfterFunc(d time.Duration, f func()) Timer { return time.AfterFunc(d, f) }

// Sleep waits until d has passed on c, or until ctx ends, whose cause it returns.
func Sleep(ctx context.Context, c Clock, d time.Duration) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if d <= 0 {
		return nil
	}
	passed := make(chan struct{})
	t := c.AfterFunc(d, func() { close(passed) })
	defer t.Stop()
	select {
	case <-passed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// WithTimeout is context.WithTimeout on c, except that the context has no
// deadline (it would be one of another clock). Its cause is
// context.DeadlineExceeded.
func WithTimeout(ctx context.Context, c Clock, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	t := c.AfterFunc(d, func() { cancel(context.DeadlineExceeded) })
	return ctx, func() {
		t.Stop()
		cancel(context.Canceled)
	}
}
