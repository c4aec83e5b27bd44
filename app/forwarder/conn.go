package forwarder

import (
	"bufio"
	"crypto/tls"
	"errors"
	"math"
	"net"
	"net/textproto"
	"os"
	"syscall"
	"time"
)

// readBuffer is how much is read at once, in bytes: as much as one DATA frame holds.
const readBuffer = 64 << 10

// reading is what an answer is read with. Connections that are kept have none: only
// exchanges take memory.
type reading struct {
	br   *bufio.Reader
	text *textproto.Reader
}

func newReading() *reading {
	br := bufio.NewReaderSize(nil, readBuffer)
	return &reading{br, textproto.NewReader(br)}
}

// conn is one connection to the local service. One exchange uses it at a time.
type conn struct {
	net.Conn                  // TCP, TLS on top of it, or a connection within this process
	tcp       *net.TCPConn    // below Conn; nil within this process
	raw       syscall.RawConn // of tcp
	*reading                  // how Conn is read, within the bound; nil while nobody uses it
	bound     int64           // how many more bytes may be read
	watch     watch
	abortFunc func()        // abort
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
	lc.abortFunc = lc.abort
	lc.watch.timeout, lc.watch.abort = timeout, lc.abortFunc
	return lc, nil
}

// attach makes c be read with r, detach ends that.
func (c *conn) attach(r *reading) {
	r.br.Reset(boundedReader{c})
	c.reading = r
}

func (c *conn) detach() { c.reading = nil }

// next gives what has come, at least a byte and, unless it is negative, at most so many.
// It is valid until the next call.
func (c *conn) next(most int64) ([]byte, error) {
	if c.br.Buffered() == 0 {
		if _, err := c.br.Peek(1); err != nil {
			return nil, err
		}
	}
	n := c.br.Buffered()
	if most >= 0 {
		n = int(min(int64(n), most))
	}
	data, _ := c.br.Peek(n) // it is there
	c.br.Discard(n)
	return data, nil
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

// drained reports whether nothing is left of what TLS has read with the last answer:
// it reads on beyond a record, and what a service sends unasked could be taken for the
// next answer. With a deadline that is over, nothing new is read for that.
func (c *conn) drained() bool {
	secure, ok := c.Conn.(*tls.Conn)
	if !ok {
		return true
	}
	if secure.SetReadDeadline(time.Unix(1, 0)) != nil {
		return false
	}
	var b [1]byte
	_, err := secure.Read(b[:])
	return errors.Is(err, os.ErrDeadlineExceeded) && secure.SetReadDeadline(time.Time{}) == nil
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
