package link_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"culvert/app/link"
	"culvert/app/session"
)

// A connection whose other end has gone without a word is noticed within 30 s on a relay,
// and by the next heartbeat behind API Gateway; people are told why, and the tunnel comes
// back.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		scheme string
		form2  bool
		within time.Duration
	}{
		"relay, form 1": {"http", false, 30 * time.Second},
		"relay, form 2": {"http", true, 30 * time.Second},
		"API Gateway":   {"ws", false, 4*time.Minute + 30*time.Second}, // a heartbeat, and two more in case it was lost
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				statuses := make(chan session.Status, 16)
				s := session.New(session.Config{
					Dial:     session.DialWith(link.HalfOpen(t, tt.scheme, tt.form2)),
					OnStatus: func(s session.Status) { statuses <- s },
				})
				ctx, cancel := context.WithCancel(t.Context())
				var running sync.WaitGroup
				running.Go(func() {
					if err := s.Run(ctx); err != nil {
						t.Errorf("Run = %v", err)
					}
				})
				defer running.Wait()
				defer cancel()
				for _, want := range []session.State{session.Connecting, session.Online} {
					if got := <-statuses; got.State != want {
						t.Fatalf("%v, want %v", got.State, want)
					}
				}
				start := time.Now()
				lost := <-statuses
				if took := time.Since(start); lost.State != session.Reconnecting || took > tt.within {
					t.Errorf("%v after %v", lost.State, took)
				}
				if !errors.Is(lost.Cause, link.ErrSilent) || !strings.HasPrefix(lost.Cause.Error(), "no sign of life from the backend") {
					t.Errorf("the cause is %v", lost.Cause)
				}
				for got := range statuses {
					if got.State == session.Online {
						break
					}
				}
			})
		})
	}
}
