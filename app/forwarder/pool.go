package forwarder

import (
	"sync"
	"time"
)

const (
	// maxIdle is how long an unused connection is kept. It is shorter than what
	// services usually do (Node.js and uvicorn close after 5 s), because a request
	// that is sent while the service closes is lost and cannot be sent again; and
	// a new connection to the same machine costs some 50 µs.
	maxIdle = 4 * time.Second
	// idleMargin is how long before the service we close, if it says when.
	idleMargin = time.Second
	// maxPool bounds the connections that are kept, not those in use.
	maxPool = 1024
)

// pool keeps connections between exchanges. The zero value is ready.
type pool struct {
	mu       sync.Mutex
	idle     []*conn // the one that was used last is at the end
	closed   bool
	sweeping bool
	sweeper  *time.Timer
}

// take gives the connection that was used last and is still open, or nil.
func (p *pool) take() *conn {
	for {
		p.mu.Lock()
		n := len(p.idle) - 1
		if n < 0 {
			p.mu.Unlock()
			return nil
		}
		c := p.idle[n]
		p.idle[n], p.idle = nil, p.idle[:n]
		p.mu.Unlock()

		idle := time.Since(c.idleSince)
		if idle < c.keep && c.drained() && c.quiet(idle) {
			return c
		}
		c.close()
	}
}

// put keeps a connection for later.
func (p *pool) put(c *conn) {
	c.reused = true
	c.idleSince = time.Now()
	p.mu.Lock()
	if p.closed || len(p.idle) >= maxPool || c.keep <= 0 {
		p.mu.Unlock()
		c.close()
		return
	}
	p.idle = append(p.idle, c)
	if !p.sweeping {
		p.sweeping = true
		if p.sweeper == nil {
			p.sweeper = time.AfterFunc(maxIdle/4, p.sweep)
		} else {
			p.sweeper.Reset(maxIdle / 4)
		}
	}
	p.mu.Unlock()
}

// sweep closes what has been idle for too long, and comes back while there is
// anything left.
func (p *pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.idle[:0]
	for _, c := range p.idle {
		if time.Since(c.idleSince) < c.keep {
			kept = append(kept, c)
		} else {
			c.close()
		}
	}
	clear(p.idle[len(kept):])
	p.idle = kept
	if p.sweeping = len(kept) > 0 && !p.closed; p.sweeping {
		p.sweeper.Reset(maxIdle / 4)
	}
}

// close closes all connections, and from now on those that are put back.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.sweeper != nil {
		p.sweeper.Stop()
	}
	for _, c := range p.idle {
		c.close()
	}
	p.idle = nil
}
