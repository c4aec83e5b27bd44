package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"culvert/backend/awslocal/clock"
)

const (
	tries         = 3 // of an asynchronous invocation that fails
	maxEventAge   = 6 * time.Hour
	throttledWait = time.Second // before a throttled one is tried again; doubles to
	maxThrottled  = 5 * time.Minute
)

// InvokeEvent queues an asynchronous invocation and returns its request ID. Its answer
// is dropped; failures are tried twice more, throttles for six hours.
// https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
func (l *Lambda) InvokeEvent(ctx context.Context, payload []byte) (string, error) {
	if len(payload) > MaxEvent {
		return "", fmt.Errorf("%w: %d of %d bytes", ErrTooLarge, len(payload), MaxEvent)
	}
	call, _ := ctx.Value(callKey{}).(Call)
	call.RequestID = orDefault(call.RequestID, newRequestID())
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return "", ErrStopped
	}
	select {
	case l.queued <- struct{}{}:
	default:
		return "", ErrThrottled
	}
	l.work.Go(func() {
		defer func() { <-l.queued }()
		l.deliver(WithCall(l.ctx, call), payload)
	})
	return call.RequestID, nil
}

func (l *Lambda) deliver(ctx context.Context, payload []byte) {
	ctx, cancel := context.WithTimeout(ctx, maxEventAge)
	defer cancel()
	throttled := throttledWait
	for try := 1; try <= tries; {
		result, err := l.Invoke(ctx, payload)
		wait := l.cfg.RetryAfter << (try - 1)
		switch {
		case errors.Is(err, ErrThrottled):
			wait, throttled = throttled, min(2*throttled, maxThrottled)
		case err == nil && result.FunctionError == "" || errors.Is(err, ErrStopped) || ctx.Err() != nil:
			return
		default:
			if try++; try > tries {
				return
			}
		}
		if clock.Sleep(ctx, l.cfg.Clock, wait) != nil {
			return
		}
	}
}
