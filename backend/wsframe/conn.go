package wsframe

import (
	"bufio"
	crand "crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"time"
)

// Headroom is how many bytes a message that is written has to leave free at its start:
// room for the longest header, and up to the next word, because masking words that do
// not lie across the cache's lines is less work.
const Headroom = (maxHeader + 7) &^ 7

// Conn is one WebSocket. One goroutine may read (Next, Read, ReadText) and one may
// write; they do not disturb each other.
type Conn struct {
	conn   net.Conn
	client bool

	// OnPing and OnPong, if they are set, get the payloads of such frames, which are
	// valid during the call. The reader waits for them; pings are not answered here.
	OnPing, OnPong func(payload []byte)

	// Of the reader.
	in      *bufio.Reader
	limit   int64 // of a message, in bytes
	room    int64 // what the current message may still have
	quiet   bool  // what came last was a control frame
	idle    bool  // the two before the current one were, or nothing has come yet
	begun   bool  // a message has begun, and not ended
	fin     bool  // the current frame is its last
	masked  bool
	left    int64 // of the current frame's payload
	key     [4]byte
	phase   int
	control [MaxControl]byte
	err     error // for good

	// Of the writer.
	keys     *rand.ChaCha8 // RFC 6455, section 10.3: keys must not be foreseeable
	single   bool          // a write that timed out may be gone on with
	head     [Headroom + MaxControl]byte
	bundle   *Bundle // below TLS, or nil
	writeErr error   // for good
}

// New makes a Conn of a connection on which the handshake is done. in, if it is not nil,
// holds what was read beyond that. A client masks what it sends.
func New(conn net.Conn, in *bufio.Reader, client bool, limit int64) *Conn {
	_, single := conn.(*net.TCPConn)
	// Windows cancels what timed out, and leaves open how much of it has gone.
	return newConn(conn, in, client, limit, single && runtime.GOOS != "windows")
}

func newConn(conn net.Conn, in *bufio.Reader, client bool, limit int64, single bool) *Conn {
	if in == nil {
		in = bufio.NewReaderSize(conn, idleBuffer)
	}
	c := &Conn{conn: conn, client: client, in: in, limit: limit, single: single, idle: true}
	if secure, ok := conn.(*tls.Conn); ok {
		c.bundle, _ = secure.NetConn().(*Bundle)
	}
	if client {
		var seed [32]byte
		crand.Read(seed[:]) // never fails since Go 1.24
		c.keys = rand.NewChaCha8(seed)
	}
	return c
}

// BufferSize is what is read at once, in bytes, unless a larger payload goes right to
// where it stays.
const BufferSize = 16 << 10

// idleBuffer is the same while nothing but control frames comes: thousands of
// connections may be idle, and need only their headers.
const idleBuffer = 512

// NetConn is the connection below.
func (c *Conn) NetConn() net.Conn { return c.conn }

// Close closes the connection below at once: whoever wants to say goodbye has done so by
// a close frame, and TLS would wait for a peer that takes nothing.
func (c *Conn) Close() error {
	if c.bundle != nil {
		return c.bundle.Conn.Close()
	}
	return c.conn.Close()
}

// SetReadLimit bounds messages from the next one on, in bytes. It is the reader's.
func (c *Conn) SetReadLimit(limit int64) { c.limit = limit }

// Next goes to the next message, text or binary; the rest of the current one is
// skipped. A close frame gives a *CloseError. An error is given again ever after.
func (c *Conn) Next() (Opcode, error) {
	for c.onward() == nil {
		n, err := c.in.Discard(int(min(c.left, 1<<20)))
		if c.left -= int64(n); err != nil {
			c.err = cutShort(err)
		}
	}
	if c.err != nil {
		return 0, c.err
	}
	c.room = c.limit
	op, err := c.nextFrame()
	if err != nil {
		c.err = err
		return 0, err
	}
	c.begun = true
	return op, nil
}

// Read reads the current message; at its end it gives io.EOF.
func (c *Conn) Read(p []byte) (int, error) {
	if err := c.onward(); err != nil {
		return 0, err
	}
	return c.payload(p)
}

// onward goes to where the current message has something left; at its end it gives
// io.EOF.
func (c *Conn) onward() error {
	for c.err == nil && c.begun {
		switch {
		case c.left > 0:
			return nil
		case c.fin:
			c.begun = false
		default:
			_, c.err = c.nextFrame()
		}
	}
	if c.err != nil {
		return c.err
	}
	return io.EOF
}

// payload reads from the current frame.
func (c *Conn) payload(p []byte) (int, error) {
	n, err := c.in.Read(p[:min(int64(len(p)), c.left)])
	if c.masked {
		c.phase = mask(c.key, c.phase, p[:n])
	}
	c.left -= int64(n)
	if err != nil && n == 0 {
		c.err = cutShort(err)
		return 0, c.err
	}
	return n, nil
}

// cutShort: a WebSocket that ends without a close frame was cut.
func cutShort(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// nextFrame goes to the next frame of a message, the first if none has begun, and
// serves the control frames before it.
func (c *Conn) nextFrame() (Opcode, error) {
	for {
		c.fitBuffer()
		h, err := c.readHeader()
		if err != nil {
			return 0, err
		}
		if h.op.control() {
			c.idle, c.quiet = c.idle || c.quiet, true
			if err := c.serveControl(h); err != nil {
				return 0, err
			}
			continue
		}
		switch {
		case h.op == Continuation && !c.begun:
			return 0, violation("continuation of nothing")
		case h.op != Continuation && c.begun:
			return 0, violation("message within a message")
		case h.length > c.room:
			return 0, ErrReadLimit
		}
		c.idle, c.quiet = false, false
		c.room -= h.length
		c.fin, c.left, c.masked, c.key, c.phase = h.fin, h.length, h.masked, h.key, 0
		return h.op, nil
	}
}

// fitBuffer makes the buffer as large as what came lately suggests, if nothing is in it.
func (c *Conn) fitBuffer() {
	size := BufferSize
	if c.idle {
		size = idleBuffer
	}
	if c.in.Size() != size && c.in.Buffered() == 0 {
		c.in = bufio.NewReaderSize(c.conn, size)
	}
}

func (c *Conn) readHeader() (h header, err error) {
	start, err := c.in.Peek(2)
	if err != nil {
		return h, cutShort(err)
	}
	more, err := h.parse([2]byte(start))
	if err != nil {
		return h, err
	}
	if h.masked == c.client { // RFC 6455, section 5.1
		return h, violation("client's frames are masked, and a server's are not")
	}
	all, err := c.in.Peek(2 + more)
	if err != nil {
		return h, cutShort(err)
	}
	err = h.parseMore(all[2:])
	c.in.Discard(2 + more) // it is there
	return h, err
}

func (c *Conn) serveControl(h header) error {
	p := c.control[:h.length]
	if _, err := io.ReadFull(c.in, p); err != nil {
		return cutShort(err)
	}
	if h.masked {
		mask(h.key, 0, p)
	}
	switch {
	case h.op == Close:
		return parseClose(p)
	case h.op == Ping && c.OnPing != nil:
		c.OnPing(p)
	case h.op == Pong && c.OnPong != nil:
		c.OnPong(p)
	}
	return nil
}

// ReadText reads the next message, which must be text, whole. Of others it gives nil.
// Whether it is UTF-8 is left to whoever decodes it.
func (c *Conn) ReadText() ([]byte, error) {
	op, err := c.Next()
	if err != nil || op != Text {
		return nil, err
	}
	return io.ReadAll(c)
}

// Write sends a message in one frame: message[Headroom:], in place. Afterwards
// message[:Headroom] holds something else, and what a client has sent does, too. Each
// step of it, and with TCP each byte, has the time until now+patience to be taken;
// whoever takes nothing for so long is given up. An error is given again ever after:
// what followed half a frame would be read as its end.
func (c *Conn) Write(op Opcode, message []byte, patience time.Duration) error {
	h := header{op: op, fin: true, masked: c.client, length: int64(len(message) - Headroom)}
	switch {
	case c.writeErr != nil:
		return c.writeErr
	case op.control() && h.length > MaxControl:
		return tooLong()
	}
	if c.client {
		binary.NativeEndian.PutUint32(h.key[:], uint32(c.keys.Uint64()))
		mask(h.key, 0, message[Headroom:])
	}
	c.writeErr = c.send(message[h.put(message, Headroom):], patience)
	return c.writeErr
}

// WriteSmall sends a message, or a control frame, of at most MaxControl bytes, which it
// leaves alone.
func (c *Conn) WriteSmall(op Opcode, p []byte, patience time.Duration) error {
	if len(p) > MaxControl {
		return tooLong()
	}
	n := copy(c.head[Headroom:], p)
	return c.Write(op, c.head[:Headroom+n], patience)
}

// step is how much is written under one deadline where a write that timed out is the end
// of the connection, which TLS cannot go on with: a peer that takes less than this in
// so long is given up.
const step = 64 << 10

func (c *Conn) send(p []byte, patience time.Duration) error {
	for len(p) > 0 {
		part := p
		if !c.single {
			part = p[:min(len(p), step)]
		}
		c.conn.SetWriteDeadline(time.Now().Add(patience)) // monotonic: a clock that is set does not move it
		n, err := c.writePart(part)
		p = p[n:]
		if err != nil && !(c.single && n > 0 && errors.Is(err, os.ErrDeadlineExceeded)) {
			return err
		}
	}
	return nil
}

// writePart writes part of a message.
func (c *Conn) writePart(p []byte) (int, error) {
	if c.bundle == nil || len(p) <= record {
		return c.conn.Write(p)
	}
	c.bundle.hold()
	n, err := c.conn.Write(p)
	if failed := c.bundle.release(); err == nil {
		err = failed
	}
	return n, err
}

// record is how much certainly fits one record of TLS; crypto/tls begins with small ones.
const record = 1 << 10

// FormatClose makes the payload of a close frame; reason is at most 123 bytes of UTF-8.
func FormatClose(code int, reason string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
}
