package link

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"culvert/backend/wire"
)

const (
	// aloneFor is how long requests go on while the session has no connection: long
	// enough for another one, and for any visitor's patience.
	aloneFor = time.Minute
	// maxResends bounds the resends that are served at the same time. More are
	// dropped; whoever misses something asks again.
	maxResends = 16
)

// errAlone: there is no connection to send something on.
var errAlone = errors.New("the session has no connection at the moment")

// board is what the connections of a session have in common: which requests are
// under way, and what was answered lately. A backend with the capability session
// may ask on one connection and get its answer on the next one: there requests
// outlive the connection that they came on. The zero value is ready.
type board struct {
	seen     seenIDs
	underway atomic.Int64 // requests being served
	buffered atomic.Int64 // bytes of bodies in memory

	mu      sync.Mutex
	links   []*form1      // with the capability session; newest last
	joins   int           // how many have come
	changed chan struct{} // closed when a link comes; nil if nobody waits
	open    map[string]*exchange
	arrives map[string]*arrival
	kept    kept
	again   time.Time       // when answers were offered again
	resends map[string]bool // requests for which parts are being sent again

	// What outlives a connection: from the first one to settle.
	ctx    context.Context // nil before and after
	cancel context.CancelFunc
	wg     sync.WaitGroup
	alone  *time.Timer // ends requests when no link comes
	expiry *time.Timer // forgets answers
}

// join adds a connection. What could not be sent without one is sent on it.
func (b *board) join(f *form1) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx == nil {
		b.ctx, b.cancel = context.WithCancel(context.Background())
	}
	if b.alone != nil {
		b.alone.Stop()
		b.alone = nil
	}
	b.links = append(b.links, f)
	b.joins++
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
	for _, a := range b.kept.answers {
		if a.unsent && a.tunnel == f.tunnel() {
			a.unsent = false
			b.goLocked(func() { b.sendAnswer(a) })
		}
	}
}

// leave takes a connection away. Requests that came on it go on for a while.
func (b *board) leave(f *form1) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.links = slices.DeleteFunc(b.links, func(l *form1) bool { return l == f })
	if len(b.links) == 0 && b.ctx != nil {
		b.alone = time.AfterFunc(aloneFor, b.giveUp)
		return
	}
	// The session has another tunnel now: nobody can answer for the old one.
	if !slices.ContainsFunc(b.links, func(l *form1) bool { return l.tunnel() == f.tunnel() }) {
		b.silence(f.tunnel())
	}
}

// giveUp ends all requests, as no connection has come for them.
func (b *board) giveUp() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.links) > 0 {
		return // it came just now
	}
	b.silence("")
	for id := range b.arrives {
		b.dropLocked(id)
	}
}

// silence gives up the requests of a tunnel, or all for "", whose answers cannot get
// anywhere. b.mu is held.
func (b *board) silence(tunnel string) {
	for _, x := range b.open {
		if x.caps.session && (tunnel == "" || x.tunnel == tunnel) {
			x.silence()
		}
	}
}

// settle ends what has outlived the connections, all of which have left, and waits
// for it. The board is as good as new after it, but for the requests seen.
func (b *board) settle() {
	b.mu.Lock()
	if b.ctx == nil {
		b.mu.Unlock()
		return
	}
	b.cancel()
	b.ctx, b.cancel = nil, nil
	for _, t := range []*time.Timer{b.alone, b.expiry} {
		if t != nil {
			t.Stop()
		}
	}
	b.alone, b.expiry = nil, nil
	for id := range b.arrives {
		b.dropLocked(id)
	}
	b.kept = kept{}
	b.mu.Unlock()
	b.wg.Wait()
}

// goLocked starts a goroutine that settle waits for. b.mu is held.
func (b *board) goLocked(f func()) {
	if b.ctx != nil {
		b.wg.Go(f)
	}
}

// enter notes a request under way, unless there is no room for it.
func (b *board) enter() bool {
	if b.underway.Add(1) > maxConcurrent {
		b.underway.Add(-1)
		return false
	}
	return true
}

// reserve takes n bytes of the memory for bodies, unless there is too little.
func (b *board) reserve(n int64) bool {
	if b.buffered.Add(n) > maxBuffered {
		b.buffered.Add(-n)
		return false
	}
	return true
}

func (b *board) release(n int64) { b.buffered.Add(-n) }

// serve starts a request that may outlive its connection. It is false if the session
// has ended.
func (b *board) serve(f *form1, m *wire.HTTPRequest, body []byte) bool {
	b.mu.Lock()
	ctx := b.ctx
	b.mu.Unlock()
	if ctx == nil {
		return false
	}
	x := newExchange(ctx, f, m, body)
	b.begin(x)
	f.link.work.begin()
	// Not after settle: f has not left, or settle would not have been called.
	b.wg.Go(func() {
		defer f.link.work.end()
		if x.prepare(m, body) {
			f.link.serve(x)
		}
		x.abandon()
		b.end(x)
	})
	return true
}

// cancelRequest ends a request that nobody waits for any more.
func (b *board) cancelRequest(requestID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dropLocked(requestID)
	b.seen.first(requestID) // or it were served, should it come after its own end
	if x := b.open[requestID]; x != nil {
		x.silence()
	}
	if a := b.kept.find(requestID); a != nil {
		a.dropped.Store(true)
	}
}

func (b *board) begin(x *exchange) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		b.open = make(map[string]*exchange)
	}
	b.open[x.requestID] = x
}

func (b *board) end(x *exchange) {
	b.mu.Lock()
	if b.open[x.requestID] == x {
		delete(b.open, x.requestID)
	}
	b.mu.Unlock()
	b.underway.Add(-1)
}

func (b *board) find(requestID string) *exchange {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open[requestID]
}
