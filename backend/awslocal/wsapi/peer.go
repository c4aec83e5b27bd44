package wsapi

import (
	"bufio"
	"net"
	"net/http"
	"sync"
	"time"

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
