package wsapi

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
	"unicode/utf8"

	"culvert/backend/awslocal/chaos"
	"culvert/backend/awslocal/clock"
)

const (
	// closeTimeout is how long a close frame, and what was posted before it, may take to be sent.
	closeTimeout = time.Second
	// lingerTimeout is how long a client that was sent a close frame may take to
	// close. Closing at once could lose the frame: what the client sent and nobody
	// read makes TCP reset the connection.
	lingerTimeout = 2 * time.Second
)

// peer is one client's connection:
//
//	connecting ──$connect returned 2xx──▶ open ──end──▶ gone
//	     └───────$connect refused────────────────────────▶
//
// Posts are possible while it is open. While it is, one goroutine reads (the
// handshake's) and one writes.
type peer struct {
	api         *API
	id          string
	connectedAt time.Time // wall clock, as events show it
	host        string    // that the client asked for
	sourceIP    string
	userAgent   string
	lowerCase   bool           // names of fields in $connect's event
	accessKey   string         // that signed the handshake
	authorizer  map[string]any // context that the authorizer returned

	wake chan struct{} // the queue has something
	done chan struct{} // closed by end

	mu       sync.Mutex
	open     bool
	ended    bool
	ending   ending
	hung     bool
	conn     net.Conn
	queue    [][]byte
	queued   int       // bytes in queue
	since    time.Time // open since, by the API's clock
	active   time.Time // the latest message either way, by the API's clock
	activeAt time.Time // the same by the wall clock
	// shy: posts find the connection gone until a moment after its first message.
	shy     bool
	shyFor  time.Duration
	shyTill time.Time // zero until the first message
}

// ending is why and how a connection ends.
type ending struct {
	code   int
	reason string
	cut    bool // no close frame: the TCP connection is just reset
	closed bool // the client has closed, and is not waited for
}

// run is the connection's life after $connect. handshake is sent first.
func (p *peer) run(conn net.Conn, r *bufio.Reader, handshake []byte) {
	a := p.api
	shy := a.cfg.Chaos.Strike(chaos.GoneAtFirst)
	p.mu.Lock()
	p.conn = conn
	p.since = a.cfg.Clock.Now()
	p.active, p.activeAt = p.since, time.Now()
	p.shy, p.shyFor = shy, a.cfg.Chaos.Delay(chaos.GoneAtFirst)
	p.open = !p.ended
	p.mu.Unlock()

	if !p.isOpen() {
		// Ended while $connect ran: there is nobody to shake hands with.
		reset(conn)
		p.finish()
		return
	}
	p.observeConnect(http.StatusSwitchingProtocols, "")
	lifetime := a.cfg.Clock.AfterFunc(a.cfg.Limits.Lifetime, func() {
		p.end(ending{code: closeGoingAway, reason: "Going away"})
	})
	idle := p.watchIdle()
	conn.SetWriteDeadline(time.Now().Add(closeTimeout))
	if _, err := conn.Write(handshake); err != nil {
		p.end(ending{code: closeAbnormal, cut: true})
	}
	p.mu.Lock()
	if !p.ended {
		conn.SetWriteDeadline(time.Time{})
	}
	p.mu.Unlock()

	written := make(chan struct{})
	go func() {
		defer close(written)
		p.write(conn)
	}()
	p.end(p.read(r))
	<-written
	p.linger(conn)
	idle.Stop()
	lifetime.Stop()
	p.finish()
}

// watchIdle ends the connection when no message has passed for long enough.
func (p *peer) watchIdle() clock.Timer {
	a := p.api
	var mu sync.Mutex // the timer must be known before its call sets it anew
	var timer clock.Timer
	mu.Lock()
	defer mu.Unlock()
	timer = a.cfg.Clock.AfterFunc(a.cfg.Limits.Idle, func() {
		p.mu.Lock()
		left := a.cfg.Limits.Idle - a.cfg.Clock.Now().Sub(p.active)
		ended := p.ended
		p.mu.Unlock()
		switch {
		case ended:
		case left > 0:
			mu.Lock()
			defer mu.Unlock()
			timer.Reset(left)
		default:
			p.end(ending{code: closeGoingAway, reason: "Going away"})
		}
	})
	return timer
}

// end lets the connection end; only the first call says how.
func (p *peer) end(e ending) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	p.ended, p.open, p.ending = true, false, e
	close(p.done)
	if p.conn == nil {
		return // $connect is still running
	}
	if e.cut || p.hung {
		reset(p.conn)
		return
	}
	p.conn.SetWriteDeadline(time.Now().Add(closeTimeout))
	p.conn.SetReadDeadline(time.Now().Add(closeTimeout + lingerTimeout))
}

// reset closes a TCP connection without a goodbye.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.Close()
}

// finish is after the connection: it is billed, and $disconnect is run.
func (p *peer) finish() {
	a := p.api
	a.forget(p)
	p.mu.Lock()
	e, since := p.ending, p.since
	p.mu.Unlock()
	a.observe(Usage{Kind: Disconnected, Connection: p.id, Status: e.code, Duration: a.cfg.Clock.Now().Sub(since)})
	a.background(func() { a.disconnected(p, e) })
}

func (p *peer) isOpen() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open
}

func (p *peer) hasEnded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

func (p *peer) hang() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hung = true
}

func (p *peer) isHung() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hung
}

// touch notes that a message has passed.
func (p *peer) touch() {
	now := p.api.cfg.Clock.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active, p.activeAt = now, time.Now()
}

// read takes the client's messages until the connection ends, and says how.
func (p *peer) read(r *bufio.Reader) ending {
	var message []byte
	inMessage := false
	for {
		f, err := readFrame(r, p.api.cfg.Limits.Frame)
		if p.isHung() {
			<-p.done
			return ending{}
		}
		if p.hasEnded() && err == nil && f.op != opClose {
			continue // nobody takes it any more
		}
		if violated := (*violation)(nil); errors.As(err, &violated) {
			return ending{code: violated.code, reason: violated.reason}
		} else if err != nil {
			return ending{code: closeAbnormal, cut: true}
		}
		switch f.op {
		case opPing:
			// Neither ping nor pong resets the idle timer.
			p.control(opPong, f.payload)
			continue
		case opPong:
			continue
		case opClose:
			code, reason := parseClose(f.payload)
			return ending{code: code, reason: reason, closed: true}
		}
		if inMessage != (f.op == opContinuation) {
			return ending{code: closeProtocolError, reason: "fragments of messages are mixed up"}
		}
		inMessage = !f.fin
		if len(message)+len(f.payload) > p.api.cfg.Limits.Message {
			return ending{code: closeTooBig, reason: "message too big"}
		}
		message = append(message, f.payload...)
		p.touch()
		if !f.fin {
			continue
		}
		if !utf8.Valid(message) {
			return ending{code: closeInvalidPayload, reason: "text is not UTF-8"}
		}
		p.first()
		p.api.receive(p, message)
		message = nil
	}
}

// first notes the first message, if it is.
func (p *peer) first() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shyTill.IsZero() {
		p.shyTill = time.Now().Add(p.shyFor)
	}
}

// reachable reports whether posts find the connection.
func (p *peer) reachable() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shy && (p.shyTill.IsZero() || time.Now().Before(p.shyTill)) {
		return false
	}
	return p.open
}

// errFull is a message for a client that does not take the earlier ones.
var errFull = errors.New("the client's buffer is full")

// send queues a message for the client.
func (p *peer) send(text []byte) error {
	if err := p.enqueue(text); err != nil {
		return err
	}
	p.api.observe(Usage{Kind: MessageOut, Connection: p.id, Bytes: len(text), Units: units(len(text))})
	return nil
}

func (p *peer) enqueue(text []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.open {
		return net.ErrClosed
	}
	if p.queued+len(text) > p.api.cfg.Limits.ClientBuffer {
		return errFull
	}
	p.queue = append(p.queue, text)
	p.queued += len(text)
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return nil
}

// control sends a control frame between two frames of messages.
func (p *peer) control(op opcode, payload []byte) {
	p.mu.Lock()
	conn := p.conn
	p.mu.Unlock()
	conn.Write(appendFrame(nil, true, op, payload)) // one Write is not divided by others
}

// write sends what is queued until the connection ends, then the rest and a close frame.
func (p *peer) write(conn net.Conn) {
	for {
		ended := false
		select {
		case <-p.wake:
		case <-p.done:
			ended = true
		}
		if p.isHung() {
			<-p.done
			return
		}
		p.flush(conn)
		if ended {
			break
		}
	}
	p.mu.Lock()
	e := p.ending
	p.mu.Unlock()
	if e.cut {
		return
	}
	conn.Write(appendClose(nil, e.code, e.reason))
}

// flush writes the messages that are queued.
func (p *peer) flush(conn net.Conn) {
	for !p.isHung() {
		p.mu.Lock()
		if len(p.queue) == 0 {
			p.mu.Unlock()
			return
		}
		text := p.queue[0]
		p.mu.Unlock()
		p.touch()
		if _, err := conn.Write(appendMessage(nil, text, p.api.cfg.Limits.Frame)); err != nil {
			p.end(ending{code: closeAbnormal, cut: true})
			return
		}
		p.mu.Lock()
		p.queue[0] = nil
		p.queue = p.queue[1:]
		p.queued -= len(text)
		p.mu.Unlock()
	}
}

// linger closes the TCP connection once the client has, or has had the time to.
func (p *peer) linger(conn net.Conn) {
	p.mu.Lock()
	e, hung := p.ending, p.hung
	p.mu.Unlock()
	if half, ok := conn.(interface{ CloseWrite() error }); ok && !e.cut && !e.closed && !hung {
		half.CloseWrite()
		buffer := make([]byte, 4096)
		for {
			if _, err := conn.Read(buffer); err != nil {
				break
			}
		}
	}
	conn.Close()
}
