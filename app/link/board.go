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

// send sends a message about a request to the tunnel's backend, on the newest
// connection that takes it. An error other than errAlone is about the message.
func (b *board) send(tunnel string, message any, resent bool) error {
	b.mu.Lock()
	links := slices.Clone(b.links)
	b.mu.Unlock()
	for _, f := range slices.Backward(links) {
		if f.tunnel() != tunnel {
			continue
		}
		text, err := f.encode(signed(message, f.link.est.Session, resent))
		if err != nil {
			return err
		}
		if f.sendText(text) == nil {
			return nil
		}
	}
	return errAlone
}

// sendWaiting is send that waits for a connection until ctx ends.
func (b *board) sendWaiting(ctx context.Context, tunnel string, message any) error {
	for {
		b.mu.Lock()
		if b.changed == nil {
			b.changed = make(chan struct{})
		}
		changed := b.changed
		b.mu.Unlock()
		if err := b.send(tunnel, message, false); !errors.Is(err, errAlone) {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// deliver keeps an answer and sends it: on the next connection if there is none.
func (b *board) deliver(a *answer) error {
	b.keep(a)
	return b.sendAnswer(a)
}

// keepSent remembers an answer all of which has left already.
func (b *board) keepSent(a *answer) {
	a.sent.Store(int64(len(a.parts)))
	b.keep(a)
}

// keep remembers an answer for those who did not get it.
func (b *board) keep(a *answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx == nil {
		return
	}
	b.kept.put(a)
	if b.expiry == nil {
		b.expiry = time.AfterFunc(keepFor, b.forget)
	}
}

// forget frees the memory of answers that are too old.
func (b *board) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expiry = nil
	now := time.Now()
	b.kept.forget(now)
	if b.ctx != nil && len(b.kept.answers) > 0 {
		b.expiry = time.AfterFunc(max(b.kept.answers[0].at.Add(keepFor).Sub(now), time.Second), b.forget)
	}
}

func (b *board) sendAnswer(a *answer) error {
	for {
		b.mu.Lock()
		joins := b.joins
		b.mu.Unlock()
		err := b.sendFirst(a)
		if !errors.Is(err, errAlone) {
			return err
		}
		b.mu.Lock()
		a.unsent = b.joins == joins // else one has come after the look
		unsent := a.unsent
		b.mu.Unlock()
		if unsent {
			return nil
		}
	}
}

// sendFirst sends all of an answer, and notes how far it has come.
func (b *board) sendFirst(a *answer) error {
	for i, part := range a.parts {
		if a.dropped.Load() {
			return nil
		}
		if err := b.send(a.tunnel, part, false); err != nil {
			return err
		}
		a.sent.Store(max(a.sent.Load(), int64(i)+1))
	}
	return nil
}

func (b *board) sendParts(tunnel string, parts []any, resent bool) error {
	for _, part := range parts {
		if err := b.send(tunnel, part, resent); err != nil {
			return err
		}
	}
	return nil
}

// resend serves a backend that has missed something, asked for on the connection f.
// If that is the answer to a request which has never come, the request is what got
// lost: then all of it is asked for.
func (b *board) resend(f *form1, r *wire.Resend) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx == nil || len(b.resends) >= maxResends || b.resends[r.RequestID] {
		return
	}
	var parts []any
	tunnel := f.tunnel()
	stop := func() bool { return false }
	if x := b.open[r.RequestID]; x != nil && x.stream != nil {
		parts, tunnel = wanted(x.stream.unacknowledged(), r), x.tunnel
	} else if a := b.kept.find(r.RequestID); a != nil {
		// What has not left yet is on its way: a slow line must not carry it twice.
		parts, tunnel, stop = wanted(a.parts[:a.sent.Load()], r), a.tunnel, a.dropped.Load
	} else if r.Wants(0) && b.arrives[r.RequestID] == nil && b.seen.never(r.RequestID) {
		all := 0
		parts = []any{&wire.Resend{RequestID: r.RequestID, From: &all}}
		f.link.log.Debug("a request has not come, and is asked for", "request", printable(r.RequestID))
	}
	if len(parts) == 0 {
		return
	}
	if b.resends == nil {
		b.resends = make(map[string]bool)
	}
	b.resends[r.RequestID] = true
	b.goLocked(func() {
		for _, part := range parts {
			if stop() || b.send(tunnel, part, true) != nil {
				break // else it is asked for again
			}
		}
		b.mu.Lock()
		delete(b.resends, r.RequestID)
		b.mu.Unlock()
	})
}

// offerAgain sends the answers of the last moments once more: see offers.
func (b *board) offerAgain() (answers int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if now.Sub(b.again) < offerEvery {
		return 0
	}
	recent := b.kept.since(now.Add(-offerFor))
	if len(recent) > 0 {
		b.again = now
	}
	b.goLocked(func() {
		for _, a := range recent {
			if b.sendAnswer(a) != nil {
				return
			}
		}
	})
	return len(recent)
}
