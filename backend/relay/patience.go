package relay

import (
	"io"
	"net/http"
	"sync"
	"time"
)

// patience cuts a visitor who neither takes nor sends a byte that is due. It sets
// deadlines for reading and writing only while the relay waits for one of them,
// and as seldom as will do: idle streams live as long as both ends want.
type patience struct {
	rc    *http.ResponseController
	limit time.Duration // StallTimeout
	// exact: an HTTP/2 stream ends with its deadline even if nobody is reading or
	// writing, so that it must not outlast the call. In HTTP/1 it only counts for
	// calls, and may lie about.
	exact bool

	writeSet time.Time

	mu       sync.Mutex
	upload   time.Duration // how long a body's next byte may take
	readSet  time.Time
	reading  bool // between beforeRead and afterRead
	leftover bool
	stopped  bool
}

func newPatience(rc *http.ResponseController, exact bool, limits *Limits) *patience {
	p := &patience{}
	p.init(rc, exact, limits, time.Time{})
	return p
}

// init prepares p. In HTTP/1, a first deadline for writing was set at writeSet, which is
// also for what the server itself writes at the end.
func (p *patience) init(rc *http.ResponseController, exact bool, limits *Limits, writeSet time.Time) {
	p.rc, p.exact, p.limit, p.upload, p.writeSet = rc, exact, limits.StallTimeout, limits.UploadTimeout, writeSet
}

// shorten lowers the limit from the next call on.
func (p *patience) shorten(limit time.Duration) {
	p.writeSet = time.Time{}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit, p.upload, p.readSet = min(p.limit, limit), min(p.upload, limit), time.Time{}
}

// answering: the answer begins, and with it what may be a conversation. Silence says
// less in that than in half a request.
func (p *patience) answering() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.upload = p.limit; p.reading && !p.stopped && !p.leftover {
		p.readSet = time.Now()
		p.rc.SetReadDeadline(p.readSet.Add(p.limit))
	}
}

func (p *patience) beforeWrite() {
	if now := time.Now(); p.exact || now.Sub(p.writeSet) > p.limit/4 {
		p.rc.SetWriteDeadline(now.Add(p.limit))
		p.writeSet = now
	}
}

func (p *patience) afterWrite() {
	if p.exact {
		p.rc.SetWriteDeadline(time.Time{})
	}
}

// beforeRead returns false if nothing is to be read any more.
func (p *patience) beforeRead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return false
	}
	p.reading = true
	if now := time.Now(); !p.leftover && (p.exact || now.Sub(p.readSet) > p.upload/4) {
		p.rc.SetReadDeadline(now.Add(p.upload))
		p.readSet = now
	}
	return true
}

func (p *patience) afterRead(end bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reading = false
	if !p.exact && !end {
		return
	}
	if !p.stopped && !p.leftover {
		p.rc.SetReadDeadline(time.Time{})
	}
}

// stopReading ends a read that waits, and all later ones.
func (p *patience) stopReading() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	p.rc.SetReadDeadline(time.Unix(1, 0))
}

// Bounds of what is still read of a body that nobody wants.
const (
	leftoverTime  = 2 * time.Second
	leftoverBytes = 64 << 20
)

// onlyLeftover gives what is still to be read a last, short time. A connection
// that is closed with unread data is reset, and a visitor who sends all before he
// reads may lose the answer.
func (p *patience) onlyLeftover() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.stopped || p.leftover:
	case p.exact: // HTTP/2 has better ways
		p.stopped = true
		p.rc.SetReadDeadline(time.Unix(1, 0))
	default:
		p.leftover = true
		p.rc.SetReadDeadline(time.Now().Add(leftoverTime))
	}
}

// takeLeftover reads what is left of a body that nobody wants.
func (p *patience) takeLeftover(body io.Reader) {
	p.onlyLeftover()
	if p.beforeRead() {
		io.CopyN(io.Discard, body, leftoverBytes)
	}
}
