package folder

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipeBuffer is how far a writer may be ahead of its reader.
const pipeBuffer = 32 << 10

// pipe is one end of a connection within this process. It differs from net.Pipe in that
// it has room, so that two sides which both write do not wait for each other, and in
// that one direction can be closed alone.
type pipe struct{ in, out *half }

// newPipe gives both ends.
func newPipe() (a, b *pipe) {
	x, y := newHalf(), newHalf()
	return &pipe{x, y}, &pipe{y, x}
}

func (p *pipe) Read(b []byte) (int, error)  { return p.in.read(b) }
func (p *pipe) Write(b []byte) (int, error) { return p.out.write(b) }

// CloseWrite lets the other end read io.EOF.
func (p *pipe) CloseWrite() error {
	p.out.endWriting()
	return nil
}

// Close ends both directions. What was written can still be read.
func (p *pipe) Close() error {
	p.out.endWriting()
	p.in.endReading()
	return nil
}

func (p *pipe) SetDeadline(t time.Time) error {
	p.in.set(&p.in.reading, t)
	p.out.set(&p.out.writing, t)
	return nil
}

func (p *pipe) SetReadDeadline(t time.Time) error {
	p.in.set(&p.in.reading, t)
	return nil
}

func (p *pipe) SetWriteDeadline(t time.Time) error {
	p.out.set(&p.out.writing, t)
	return nil
}

func (p *pipe) LocalAddr() net.Addr  { return address{} }
func (p *pipe) RemoteAddr() net.Addr { return address{} }

// address is where the ends of pipes are.
type address struct{}

func (address) Network() string { return "memory" }
func (address) String() string  { return "memory" }

// half is one direction: a ring of bytes with a writer and a reader.
type half struct {
	mu               sync.Mutex
	changed          sync.Cond
	ring             []byte // nil before the first byte
	start, length    int    // of what is unread in ring
	written          bool   // the writer has ended
	unread           bool   // the reader has
	reading, writing deadline
}

// deadline is the end of one side's patience.
type deadline struct {
	timer *time.Timer // of a deadline that is to come
	over  bool
}

func newHalf() *half {
	h := &half{}
	h.changed.L = &h.mu
	return h
}

func (h *half) read(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.unread:
			return 0, net.ErrClosed
		case h.reading.over:
			return 0, os.ErrDeadlineExceeded
		case h.length > 0 || len(b) == 0:
			n := copy(b, h.ring[h.start:min(h.start+h.length, len(h.ring))])
			if n < len(b) { // what has wrapped around
				n += copy(b[n:], h.ring[:max(0, h.start+h.length-len(h.ring))])
			}
			if h.length -= n; h.length == 0 {
				h.start = 0
			} else {
				h.start = (h.start + n) % len(h.ring)
			}
			h.changed.Broadcast()
			return n, nil
		case h.written:
			return 0, io.EOF
		}
		h.changed.Wait()
	}
}

func (h *half) write(b []byte) (n int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.written:
			return n, net.ErrClosed
		case h.unread:
			return n, io.ErrClosedPipe
		case h.writing.over:
			return n, os.ErrDeadlineExceeded
		case len(b) == 0:
			return n, nil
		}
		if h.ring == nil {
			h.ring = make([]byte, pipeBuffer)
		}
		if room := len(h.ring) - h.length; room == 0 {
			h.changed.Wait()
			continue
		}
		end := (h.start + h.length) % len(h.ring)
		to := h.ring[end:]
		if end < h.start {
			to = h.ring[end:h.start]
		}
		copied := copy(to, b)
		h.length += copied
		n += copied
		b = b[copied:]
		h.changed.Broadcast()
	}
}

func (h *half) endWriting() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.written = true
	h.writing.stop()
	h.changed.Broadcast()
}

func (h *half) endReading() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unread = true
	h.reading.stop()
	h.changed.Broadcast()
}

// set moves a deadline; the zero time takes it away.
func (h *half) set(d *deadline, t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	d.stop()
	d.over = false
	if wait := time.Until(t); t.IsZero() {
		// none
	} else if wait <= 0 {
		d.over = true
	} else {
		var timer *time.Timer
		timer = time.AfterFunc(wait, func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			if d.timer == timer { // and not moved meanwhile
				d.over = true
				h.changed.Broadcast()
			}
		})
		d.timer = timer
	}
	h.changed.Broadcast()
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
