// Package timer waits, for no longer than there is time.
package timer

import (
	"context"
	"time"
)

// Wait waits for d. It gives ctx's error, and at once, where ctx ends before that; so
// nil says that there is time left.
func Wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}
