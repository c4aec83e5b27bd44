package engine

import (
	"context"
	"sync"
	"time"

	"culvert/backend/wire"
)

// drainTime is how long requests under way may go on when a tunnel stops: enough
// for an answer that was about to come, and no wait for a stream without an end.
const drainTime = 2 * time.Second

// underway counts the requests for which a stop waits a moment.
type underway struct {
	mu       sync.Mutex
	limit    time.Duration // drainTime
	n        int
	stopping bool
	idle     chan struct{} // closed once stopping and n is 0; nil unless stopping
}

// begin counts a request, unless no more are taken.
func (u *underway) begin() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.stopping {
		return false
	}
	u.n++
	return true
}

func (u *underway) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.n--; u.n == 0 && u.stopping {
		close(u.idle)
	}
}

// drain takes no more requests and returns when none is under way, or with ctx, or
// when its time is over.
func (u *underway) drain(ctx context.Context) {
	u.mu.Lock()
	if !u.stopping {
		u.stopping, u.idle = true, make(chan struct{})
		if u.n == 0 {
			close(u.idle)
		}
	}
	idle, limit := u.idle, u.limit
	u.mu.Unlock()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-idle:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// open takes requests again.
func (u *underway) open() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.stopping, u.idle = false, nil
}

// serve passes one request on. Upgraded connections, which end when somebody wants
// to end them, are not waited for.
func (t *Tunnel) serve(x wire.Exchange) {
	if t.questions.reply(x) {
		return
	}
	if !t.underway.begin() {
		x.Reset(wire.ResetUnavailable, "this tunnel is being stopped")
		return
	}
	if x.Request().Upgrade != "" {
		t.underway.end()
	} else {
		defer t.underway.end()
	}
	w := t.use()
	defer w.leave()
	w.forward.Serve(x)
}
