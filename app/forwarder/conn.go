package forwarder

import (
	"bufio"
	"math"
	"net"
	"net/textproto"
	"syscall"
	"time"
)

// readBuffer holds most answers' heads, and the small ones whole.
const readBuffer = 8 << 10

// conn is one connection to the local service. One exchange uses it at a time.
type conn struct {
	net.Conn                  // TCP, TLS on top of it, or a connection within this process
	tcp       *net.TCPConn    // below Conn; nil within this process
	raw       syscall.RawConn // of tcp
	br        *bufio.Reader   // reads from Conn, within the bound
	text      *textproto.Reader
	bound     int64 // how many more bytes may be read
	watch     watch
	reused    bool          // it has carried an exchange before
	keep      time.Duration // how long it may be idle
	idleSince time.Time
}

// newConn takes a connection; tcp is nil if there is none below it.
func newConn(c net.Conn, tcp *net.TCPConn, timeout time.Duration) (*conn, error) {
	lc := &conn{Conn: c, tcp: tcp, keep: maxIdle}
	if tcp != nil {
		raw, err := tcp.SyscallConn()
		if err != nil {
			return nil, err
		}
		lc.raw = raw
	}
	lc.watch.timeout, lc.watch.abort = timeout, lc.abort
	lc.br = bufio.NewReaderSize(boundedReader{lc}, readBuffer)
	lc.text = textproto.NewReader(lc.br)
	return lc, nil
}

// boundedReader is how the buffer of a conn reads from it.
type boundedReader struct{ c *conn }

func (r boundedReader) Read(p []byte) (int, error) {
	if r.c.bound <= 0 {
		return 0, errHeadTooLarge
	}
	n, err := r.c.Conn.Read(p)
	r.c.bound -= int64(n)
	return n, err
}

// limitHead bounds what is read next to one head or trailer, and what comes with
// it; limitNone lifts the bound for a body.
func (c *conn) limitHead() { c.bound = maxHead }
func (c *conn) limitNone() { c.bound = math.MaxInt64 }

// abort makes every pending and later call on the connection fail. Any goroutine
// may call it.
func (c *conn) abort() {
	c.SetDeadline(time.Unix(1, 0))
}

// close ends a connection that nothing is under way on.
func (c *conn) close() {
	c.watch.close()
	c.Conn.Close()
}

// cut ends a connection so that the service sees a failure (RST): it must not take
// what it has got for all there was, and waits for nothing.
func (c *conn) cut() {
	c.watch.close()
	if c.tcp == nil { // who reads here takes only what is whole
		c.Conn.Close()
		return
	}
	c.tcp.SetLinger(0)
	c.tcp.Close()
}

// closeWrite tells the service that nothing more will be sent.
func (c *conn) closeWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.tcp.CloseWrite()
}
