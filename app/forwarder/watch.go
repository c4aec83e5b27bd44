package forwarder

import (
	"sync"
	"time"
)

// watch aborts a connection when the local service has done nothing for too long.
// It runs from the request to the head of the answer, and pauses while the service
// waits for the visitor. Its timer is moved when it fires and not whenever the
// watch starts, which then costs little more than a look at the clock.
type watch struct {
	timeout time.Duration
	abort   func()

	mu       sync.Mutex
	timer    *time.Timer
	ticking  bool      // the timer will fire
	on       bool      // between begin and end
	deadline time.Time // zero while the watch does not run
	fired    bool
}

// begin starts the watch for one exchange.
func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.on = true
	w.start()
}

// pause stops the watch until resume.
func (w *watch) pause() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deadline = time.Time{}
}

// resume gives the service the whole timeout again, unless the watch has ended.
func (w *watch) resume() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.on {
		w.start()
	}
}

// end stops the watch, and reports whether it has fired: the connection is of no
// use then.
func (w *watch) end() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.on = false
	w.deadline = time.Time{}
	return w.fired
}

func (w *watch) start() {
	w.deadline = time.Now().Add(w.timeout)
	switch {
	case w.timer == nil:
		w.timer = time.AfterFunc(w.timeout, w.tick)
	case !w.ticking:
		w.timer.Reset(w.timeout)
	}
	w.ticking = true
}

// close gives the timer back.
func (w *watch) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.on = false
	w.deadline = time.Time{}
	if w.timer != nil {
		w.timer.Stop()
	}
}

func (w *watch) tick() {
	w.mu.Lock()
	defer w.mu.Unlock()
	left := time.Until(w.deadline)
	switch {
	case w.deadline.IsZero():
		w.ticking = false
	case left > 0:
		w.timer.Reset(left)
	default:
		w.ticking, w.fired = false, true
		w.abort()
	}
}
