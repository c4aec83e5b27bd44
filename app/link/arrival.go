package link

import (
	"time"

	"culvert/backend/wire"
)

// When parts of a request are missing, they are asked for: askAfter after the last
// one came, then after twice as long and so on, askTries times.
const (
	askAfter = 2 * time.Second
	askTries = 3
	// maxArrivals bounds the requests whose parts are still coming.
	maxArrivals = maxConcurrent
)

// arrival is a request whose body comes in parts: in any order, some of them
// perhaps before the head.
type arrival struct {
	form  *form1            // where the latest part came
	head  *wire.HTTPRequest // nil before it came
	parts wire.Assembly
	tries int // how often something was asked for
	timer *time.Timer
}

// request takes a request's head, or the whole of it.
func (b *board) request(f *form1, m *wire.HTTPRequest) {
	first := b.seen.firstLately
	if f.caps.session {
		first = b.seen.first
	}
	if !first(m.RequestID) {
		f.link.log.Debug("request delivered twice", "request", printable(m.RequestID))
		return
	}
	b.mu.Lock()
	if !m.More {
		b.dropLocked(m.RequestID) // stray chunks
		b.mu.Unlock()
		f.serve(m, m.Body)
		return
	}
	b.arriveLocked(f, m.RequestID, m, 0, m.Body, false)
}

// chunk takes a later part of a request.
func (b *board) chunk(f *form1, m *wire.Chunk) {
	b.mu.Lock()
	if b.arrives[m.RequestID] == nil && b.seen.has(m.RequestID) {
		b.mu.Unlock() // of a request that is whole, or was given up
		return
	}
	b.arriveLocked(f, m.RequestID, nil, m.Seq, m.Body, m.Last)
}

// arriveLocked takes a part. b.mu is held, and released.
func (b *board) arriveLocked(f *form1, id string, head *wire.HTTPRequest, seq int, body []byte, last bool) {
	a := b.arrives[id]
	if a == nil {
		if len(b.arrives) >= maxArrivals {
			b.mu.Unlock()
			b.refuse(f, id, head, wire.CodeLocalUnavailable, "the agent is busy with too many requests: try again")
			return
		}
		if b.arrives == nil {
			b.arrives = make(map[string]*arrival)
		}
		a = &arrival{}
		b.arrives[id] = a
		a.timer = time.AfterFunc(askAfter, func() { b.ask(id, a) })
	}
	a.form, a.tries = f, 0
	a.timer.Reset(askAfter)
	if head != nil {
		a.head = head
	}
	before := a.parts.Size()
	err := a.parts.Add(seq, body, last)
	if err == nil && !b.reserve(int64(a.parts.Size()-before)) {
		// What came now was not counted; dropLocked gives back the rest.
		b.release(int64(before - a.parts.Size()))
		b.dropLocked(id)
		b.mu.Unlock()
		b.refuse(f, id, a.head, wire.CodeLocalUnavailable, "the agent is busy with too many large requests: try again")
		return
	}
	if err != nil {
		b.dropLocked(id)
		b.mu.Unlock()
		b.refuse(f, id, a.head, wire.CodeInvalidRequest, "the agent cannot read the request: "+err.Error())
		return
	}
	whole, ok := a.parts.Whole()
	if !ok || a.head == nil {
		b.mu.Unlock()
		return
	}
	b.dropLocked(id)
	b.mu.Unlock()
	f.serve(a.head, whole)
}

// refuse answers a request that cannot be put together. If its head has not come
// yet, it is not to be served either.
func (b *board) refuse(f *form1, id string, head *wire.HTTPRequest, code wire.ErrorCode, message string) {
	if head == nil && !b.seen.first(id) {
		return
	}
	f.answerError(id, code, message)
}

// spoil gives up a request of which a part cannot be read. It is false if the request
// is being served already, or was answered.
func (b *board) spoil(id string) bool {
	b.mu.Lock()
	arriving := b.arrives[id] != nil
	b.dropLocked(id)
	b.mu.Unlock()
	return b.seen.first(id) || arriving
}

// dropLocked forgets an arrival. b.mu is held.
func (b *board) dropLocked(id string) {
	if a := b.arrives[id]; a != nil {
		a.timer.Stop()
		delete(b.arrives, id)
		b.release(int64(a.parts.Size()))
	}
}

// ask asks for what is missing, or gives the request up.
func (b *board) ask(id string, a *arrival) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.arrives[id] != a || b.ctx == nil {
		return
	}
	if a.tries++; a.tries > askTries {
		b.dropLocked(id)
		b.goLocked(func() {
			b.refuse(a.form, id, a.head, wire.CodeTimeout, "parts of the request did not reach the agent")
		})
		return
	}
	a.timer.Reset(askAfter << a.tries)
	if missing := a.parts.Missing(id); missing != nil {
		// What could not be sent is asked for again when the timer fires.
		b.goLocked(func() { _ = b.send(a.form.tunnel(), missing, false) })
	}
}
