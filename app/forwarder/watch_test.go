package forwarder

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestWatch wants a watch to fire when the service alone has taken the timeout,
// to the instant, and at no other time.
func TestWatch(t *testing.T) {
	t.Parallel()
	const timeout = time.Minute
	type step struct {
		do    func(w *watch)
		sleep time.Duration
	}
	begin, pause, resume := (*watch).begin, (*watch).pause, (*watch).resume
	end := func(w *watch) { w.end() }
	tests := []struct {
		name  string
		steps []step
		fires time.Duration // after the start; 0 for never
	}{
		{"too late", []step{{begin, 2 * timeout}}, timeout},
		{"in time", []step{{begin, timeout - 1}, {end, 2 * timeout}}, 0},
		{"paused", []step{{begin, timeout - 1}, {pause, 10 * timeout}, {end, timeout}}, 0},
		{"resumed", []step{{begin, timeout - 1}, {pause, 10 * timeout}, {resume, timeout}}, 12*timeout - 1},
		{"resumed in time", []step{{begin, timeout - 1}, {pause, 10 * timeout}, {resume, timeout - 1}, {end, timeout}}, 0},
		{"every step has its time", []step{{begin, timeout - 1}, {resume, timeout - 1}, {resume, timeout - 1}, {resume, timeout}}, 4*timeout - 3},
		{"resumed after the end", []step{{begin, 1}, {end, 1}, {resume, 10 * timeout}}, 0},
		{"the next exchange", []step{{begin, timeout / 2}, {end, timeout / 4}, {begin, timeout}}, 2*timeout - timeout/4},
		{"the next exchange, later", []step{{begin, timeout / 2}, {end, 10 * timeout}, {begin, timeout}}, 11*timeout + timeout/2},
		{"closed", []step{{begin, timeout / 2}, {(*watch).close, 10 * timeout}}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var fired []time.Duration
				w := watch{timeout: timeout, abort: func() { fired = append(fired, time.Since(start)) }}
				for _, s := range tt.steps {
					s.do(&w)
					time.Sleep(s.sleep)
					synctest.Wait()
				}
				late := w.end()
				w.close()
				synctest.Wait()
				if tt.fires == 0 && (late || len(fired) > 0) {
					t.Errorf("fired after %v, end says %v", fired, late)
				}
				if tt.fires > 0 && (!late || len(fired) != 1 || fired[0] != tt.fires) {
					t.Errorf("fired after %v, want %v; end says %v", fired, tt.fires, late)
				}
			})
		})
	}
}
