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

// unsentLimit is how much the kernel takes on before the line has room for it, in
// bytes. It would take megabytes, and whoever asks for a part again that is only on its
// way would get all of them twice over a slow line.
const unsentLimit = 64 << 10

// controlGatewaySocket is controlSocket for a connection on which parts are asked for again.
func controlGatewaySocket(ctx context.Context, network, address string, raw syscall.RawConn) error {
	if err := controlSocket(ctx, network, address, raw); err != nil {
		return err
	}
	return raw.Control(setUnsentLimit)
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
