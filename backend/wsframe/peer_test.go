package wsframe

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// memConn is a connection in memory: it reads in, and gathers what is written.
type memConn struct {
	net.Conn // nil: nothing else is asked for
	in       io.Reader
	out      bytes.Buffer
	calls    int // of Read and Write
}

func (c *memConn) Read(p []byte) (int, error)       { c.calls++; return c.in.Read(p) }
func (c *memConn) Write(p []byte) (int, error)      { c.calls++; return c.out.Write(p) }
func (c *memConn) Close() error                     { return nil }
func (c *memConn) SetDeadline(time.Time) error      { return nil }
func (c *memConn) SetWriteDeadline(time.Time) error { return nil }

// reading is a Conn that reads in.
func reading(in io.Reader, client bool, limit int64) *Conn {
	return New(&memConn{in: in}, nil, client, limit)
}

// writing is a Conn, and what it has written.
func writing(client bool) (*Conn, *bytes.Buffer) {
	conn := &memConn{in: bytes.NewReader(nil)}
	return New(conn, nil, client, 0), &conn.out
}

// raw is a frame of any kind, also of one that must not be.
type raw struct {
	first   byte // with FIN and the reserved bits
	masked  bool
	payload []byte
	// length stands in the frame instead of the payload's; bytes, if it is not 0, is
	// how many there are of it besides the second byte's bits.
	length uint64
	bytes  int
}

func (f raw) append(dst []byte) []byte {
	length, bytes := f.length, f.bytes
	if length == 0 {
		length = uint64(len(f.payload))
	}
	switch {
	case bytes == 0 && length > 0xFFFF:
		bytes = 8
	case bytes == 0 && length > MaxControl:
		bytes = 2
	}
	second := byte(length)
	if bytes > 0 {
		second = map[int]byte{2: 126, 8: 127}[bytes]
	}
	if f.masked {
		second |= maskBit
	}
	dst = append(dst, f.first, second)
	var wide [8]byte
	binary.BigEndian.PutUint64(wide[:], length)
	dst = append(dst, wide[8-bytes:]...)
	payload := slices.Clone(f.payload)
	if f.masked {
		key := [4]byte{0xA5, 0x01, 0xFF, 0x3C}
		dst = append(dst, key[:]...)
		maskByBytes(key, 0, payload)
	}
	return append(dst, payload...)
}

// maskByBytes is what RFC 6455, section 5.3, says, to the letter.
func maskByBytes(key [4]byte, phase int, b []byte) {
	for i := range b {
		b[i] ^= key[(phase+i)%4]
	}
}

// message is one that was read whole.
type message struct {
	op   Opcode
	body []byte
}

// readAll reads messages until an error, by buffers of that size.
func readAll(c *Conn, size int) (got []message, err error) {
	buf := make([]byte, size)
	for {
		op, err := c.Next()
		if err != nil {
			return got, err
		}
		m := message{op, []byte{}}
		for {
			n, err := c.Read(buf)
			m.body = append(m.body, buf[:n]...)
			if err == io.EOF {
				break
			}
			if err != nil {
				return got, err
			}
		}
		got = append(got, m)
	}
}

// gorilla makes the library's end of a WebSocket whose peer says in, and gives what it
// writes after the handshake. Its frames are cut at size, if that is not 0.
func gorilla(t testing.TB, client bool, in io.Reader, size int) (*websocket.Conn, *bytes.Buffer) {
	t.Helper()
	var (
		conn = &memConn{in: in}
		ws   *websocket.Conn
		err  error
	)
	if client {
		conn.in = io.MultiReader(&answer{request: &conn.out}, in)
		d := websocket.Dialer{WriteBufferSize: size, ReadBufferSize: 32 << 10, NetDialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}
		ws, _, err = d.Dial("ws://backend.test/", nil)
	} else {
		r := &http.Request{Method: "GET", Header: http.Header{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
			"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="},
		}}
		up := websocket.Upgrader{WriteBufferSize: size, ReadBufferSize: 32 << 10}
		ws, err = up.Upgrade(hijacked{conn: conn}, r, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	conn.out.Reset()
	return ws, &conn.out
}

// answer is that to a client's handshake, and then the end.
type answer struct {
	request *bytes.Buffer
	text    *bytes.Reader
}

func (a *answer) Read(p []byte) (int, error) {
	if a.text == nil {
		r, err := http.ReadRequest(bufio.NewReader(a.request))
		if err != nil {
			return 0, err
		}
		// RFC 6455, section 4.2.2
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		a.text = bytes.NewReader([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
			base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n"))
	}
	return a.text.Read(p)
}

// hijacked is a server's end of a connection.
type hijacked struct {
	http.ResponseWriter
	conn net.Conn
}

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}
