package waiter

import "time"

const (
	// maxQueue and maxQueued bound what a turn has been given and has not taken yet:
	// the 6 MB of the largest answer, in base64 and messages of 128 KB, and some more.
	// What does not fit is dropped like a lost message, and asked for again.
	maxQueue  = 512
	maxQueued = 10 << 20
)

// Turn is one request's use of the connection. An environment serves one request at a
// time, so that there is one outstanding ID; a second turn at the same time gets none.
type Turn struct {
	w       *Waiter
	due     bool
	named   *conn  // which Connection has named
	id      string // outstanding, "" if none is
	queue   [][]byte
	queued  int
	arrived chan struct{} // has room for one
}

// Begin notes that a request has come. End must follow. It dials nothing.
func (w *Waiter) Begin() *Turn {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.cfg.Now()
	t := &Turn{w: w, arrived: make(chan struct{}, 1)}
	t.due = !w.arrived.IsZero() && since(now, w.arrived) <= DueWithin
	w.arrived = now
	if w.turn == nil {
		w.turn = t
	}
	return t
}

// Connection is the ID of the connection that answers to this request may be posted
// to, or "" if there is none that is known to work.
func (t *Turn) Connection() string {
	w := t.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.turn != t || !w.enabled() || w.current == nil || !w.current.fresh(w.cfg.Now()) {
		return ""
	}
	t.named = w.current
	return t.named.id
}

// Expect makes id the one outstanding request ID. Frames with any other are dropped
// and counted.
func (t *Turn) Expect(id string) {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	t.id = id
}

// Sustain dials the connection, or has it prove that it works, if it is time for that.
// It does not wait. It is to be called when the request has been sent on, since it may
// take away from what answers it; for long requests, every few minutes again.
func (t *Turn) Sustain() {
	w := t.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.turn != t {
		return
	}
	w.sustain(t.due)
	if c := t.named; c != nil && c.state == known && c.asked.IsZero() && since(w.cfg.Now(), c.active) >= touchAfter {
		w.ask(c)
	}
}

// Arrived gets a value when Next has something new. It may have nothing after all.
func (t *Turn) Arrived() <-chan struct{} { return t.arrived }

// Gone is closed when the connection that was named is over: what is posted to it from
// then on fails and goes by the store, what was posted just before is lost. It is nil
// if none was named.
func (t *Turn) Gone() <-chan struct{} {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	if t.named == nil {
		return nil
	}
	return t.named.gone
}

// Doubt says that an answer has not come over the connection that was named, though it
// was to be posted there: it is named again only once it has proved that it works.
func (t *Turn) Doubt() {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	if t.named != nil {
		t.named.proven = time.Time{}
	}
}

// Next gives the text of the next message with the outstanding ID, nil if none is there.
func (t *Turn) Next() []byte {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	if len(t.queue) == 0 {
		return nil
	}
	text := t.queue[0]
	t.queue[0] = nil
	t.queue = t.queue[1:]
	t.queued -= len(text)
	return text
}

// End makes frames for this request strays.
func (t *Turn) End() {
	w := t.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.turn != t {
		return
	}
	w.turn = nil
	t.id, t.queue, t.queued = "", nil, 0
	if c := t.named; c != nil && c != w.current {
		w.drop(c) // its successor came meanwhile
	}
}

// takes keeps a message if it is for this turn, which may be nil. w.mu is held.
func (t *Turn) takes(id string, text []byte) bool {
	if t == nil || t.id == "" || t.id != id || len(t.queue) >= maxQueue || t.queued+len(text) > maxQueued {
		return false
	}
	t.queue = append(t.queue, text)
	t.queued += len(text)
	select {
	case t.arrived <- struct{}{}:
	default:
	}
	return true
}
