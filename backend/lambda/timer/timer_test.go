package timer

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWait(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limit, wait, after time.Duration
		err                error
	}{
		"to the end":             {time.Second, time.Millisecond, time.Millisecond, nil},
		"for longer than may be": {time.Millisecond, time.Second, time.Millisecond, context.DeadlineExceeded},
		"not at all":             {time.Second, 0, 0, nil},
		"backwards":              {time.Second, -time.Second, 0, nil},
		"when time is over":      {0, time.Second, 0, context.DeadlineExceeded},
		"both":                   {0, 0, 0, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), c.limit)
				defer cancel()
				start := time.Now()
				if err := Wait(ctx, c.wait); !errors.Is(err, c.err) || time.Since(start) != c.after {
					t.Errorf("%v after %v", err, time.Since(start))
				}
			})
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Wait(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
