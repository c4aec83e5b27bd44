package clock

import (
	"container/heap"
	"sync"
	"time"
)

// Movable is a clock that tests move. It runs beside the wall clock, or stands
// still between moves. Now never goes backwards.
type Movable struct {
	running bool

	mu     sync.Mutex
	origin time.Time // wall clock at the start: only differences from it count
	start  time.Time
	moved  time.Duration
	timers timerHeap
	wake   *time.Timer // running: fires at the next timer's time
	seq    int

	// calling lets one goroutine at a time make calls, so that they come in order.
	calling sync.Mutex
}

// NewRunning is a clock that goes on by itself from now.
func NewRunning() *Movable {
	now := time.Now()
	return &Movable{running: true, origin: now, start: now.Round(0)}
}

// NewStopped is a clock that stands at start until it is moved.
func NewStopped(start time.Time) *Movable { return &Movable{start: start.Round(0)} }

// Now is the clock's time.
func (m *Movable) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now()
}

// now is the time; m.mu is held.
func (m *Movable) now() time.Time {
	t := m.start.Add(m.moved)
	if m.running {
		t = t.Add(time.Since(m.origin))
	}
	return t
}

// Advance moves the clock forward by d, d ≥ 0. It stops at the time of every call that
// falls due, and waits for it; calls that those order come too, if they are due by the end.
func (m *Movable) Advance(d time.Duration) {
	if d < 0 {
		panic("clock: moved backwards")
	}
	m.calling.Lock()
	defer m.calling.Unlock()
	for {
		m.mu.Lock()
		var next *movableTimer
		step := d
		if len(m.timers) > 0 {
			if wait := max(m.timers[0].at.Sub(m.now()), 0); wait <= d {
				next, step = heap.Pop(&m.timers).(*movableTimer), wait
			}
		}
		m.moved += step
		d -= step
		if next == nil {
			m.setWake()
			m.mu.Unlock()
			return
		}
		m.mu.Unlock()
		next.call()
	}
}

// Pending is how many calls are still to come, for tests that wait for one to be ordered.
func (m *Movable) Pending() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.timers)
}

// AfterFunc implements [Clock].
func (m *Movable) AfterFunc(d time.Duration, f func()) Timer {
	t := &movableTimer{clock: m, call: f, index: -1}
	t.Reset(d)
	return t
}

// callDue makes the calls whose time has come.
func (m *Movable) callDue() {
	m.calling.Lock()
	defer m.calling.Unlock()
	for {
		m.mu.Lock()
		if len(m.timers) == 0 || m.timers[0].at.After(m.now()) {
			m.setWake()
			m.mu.Unlock()
			return
		}
		t := heap.Pop(&m.timers).(*movableTimer)
		m.mu.Unlock()
		t.call()
	}
}

// setWake lets a running clock make the next call when its time comes; m.mu is held.
func (m *Movable) setWake() {
	switch {
	case len(m.timers) == 0 && m.wake != nil:
		m.wake.Stop()
	case len(m.timers) == 0:
	case m.wake != nil && m.running:
		m.wake.Reset(m.timers[0].at.Sub(m.now()))
	case m.running || !m.timers[0].at.After(m.now()):
		// Also a stopped clock makes a call ordered for now, as it cannot be moved to now.
		m.wake = time.AfterFunc(m.timers[0].at.Sub(m.now()), m.callDue)
	}
}

type movableTimer struct {
	clock *Movable
	call  func()
	at    time.Time
	seq   int // among equal times, the order in which they were set
	index int // in the heap; -1 if not in it
}

func (t *movableTimer) Stop() bool {
	m := t.clock
	m.mu.Lock()
	defer m.mu.Unlock()
	return t.remove()
}

func (t *movableTimer) remove() bool {
	if t.index < 0 {
		return false
	}
	heap.Remove(&t.clock.timers, t.index)
	return true
}

func (t *movableTimer) Reset(d time.Duration) bool {
	m := t.clock
	m.mu.Lock()
	defer m.mu.Unlock()
	pending := t.remove()
	m.seq++
	t.at, t.seq = m.now().Add(max(d, 0)), m.seq
	heap.Push(&m.timers, t)
	if m.timers[0] == t {
		m.setWake()
	}
	return pending
}

type timerHeap []*movableTimer

func (h timerHeap) Len() int { return len(h) }
func (h timerHeap) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].seq < h[j].seq
}

func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timerHeap) Push(x any) {
	t := x.(*movableTimer)
	t.index = len(*h)
	*h = append(*h, t)
}

func (h *timerHeap) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	t.index = -1
	return t
}
