package link

import (
	"context"
	"net"
	"sync"
	"syscall"
	"time"
)

// unackedFor is how long sent data may stay unacknowledged before the kernel
// gives the connection up. Without it a heartbeat into a void fails after some
// 15 minutes only, and on a backend that owes no answer nothing else would.
const unackedFor = 30 * time.Second

// controlSocket sets that on systems that have it (see the files beside this
// one); elsewhere, and on failure, the connection is as good as without.
func controlSocket(_ context.Context, _, _ string, raw syscall.RawConn) error {
	return raw.Control(setUnackedLimit)
}

// closer closes a connection that may not be there yet.
type closer struct {
	mu     sync.Mutex
	conn   net.Conn
	closed bool
}

func (c *closer) set(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = conn
	if c.closed {
		_ = conn.Close()
	}
}

func (c *closer) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.conn != nil {
		_ = c.conn.Close()
	}
}
