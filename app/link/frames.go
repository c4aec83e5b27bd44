package link

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"

	"github.com/gorilla/websocket"

	"culvert/backend/wire"
	"culvert/backend/wsframe"
)

// From gorilla's handshake to the frames of form 2, which package wsframe reads.

// prepareFrames sees to it that the handshake leaves everything behind it unread.
func (d *dialer) prepareFrames(wd *websocket.Dialer) {
	config := wd.TLSClientConfig
	wd.ReadBufferSize, wd.WriteBufferPool = 4<<10, &sync.Pool{} // little is left for gorilla
	wd.NetDialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := d.connect(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return newHeadConn(conn), nil
	}
	wd.NetDialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := d.connect(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		config := config.Clone()
		config.ServerName = d.target.Hostname()
		secure := tls.Client(wsframe.NewBundle(conn), config)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return newHeadConn(secure), nil
	}
}

// headConn gives what is read of the answer to the handshake up to its end, and from
// then on no more than it is asked for, so that nobody above holds what comes next.
type headConn struct {
	net.Conn
	in   *bufio.Reader
	size int    // of the head, so far
	tail uint32 // its last bytes
	over bool
}

func newHeadConn(conn net.Conn) *headConn {
	return &headConn{Conn: conn, in: bufio.NewReaderSize(conn, wsframe.BufferSize)}
}

// maxHead bounds the answer's head, in bytes; the library does not.
const maxHead = 64 << 10

// headEnds: an empty line ends the head of an HTTP message, for package net/http also
// one of a line feed alone.
func headEnds(tail uint32) bool {
	return tail&0xFFFF == '\n'<<8|'\n' || tail&0xFFFFFF == '\n'<<16|'\r'<<8|'\n'
}

func (c *headConn) Read(p []byte) (n int, err error) {
	if c.over {
		return c.in.Read(p)
	}
	for n < len(p) && !c.over && (n == 0 || c.in.Buffered() > 0) {
		if c.size == maxHead {
			return n, errors.New("the answer to the handshake does not end")
		}
		b, err := c.in.ReadByte()
		if err != nil {
			return n, err
		}
		p[n], c.tail = b, c.tail<<8|uint32(b)
		n++
		c.size++
		c.over = headEnds(c.tail)
	}
	return n, nil
}

// takeFrames takes a WebSocket over from gorilla before anything was read of it.
func takeFrames(ws *websocket.Conn, limit int64) (*wsframe.Conn, error) {
	head, ok := ws.NetConn().(*headConn)
	if !ok || !head.over {
		return nil, errors.New("the answer to the handshake has no proper end")
	}
	frames := wsframe.New(head.Conn, head.in, true, limit)
	// For as long as the greeting lasts, one goroutine both reads and writes.
	frames.OnPing = func(p []byte) { _ = frames.WriteSmall(wsframe.Pong, p, writeTimeout) } // say meets the error, too
	return frames, nil
}

// talk is how the greeting passes, whichever form comes after it.
type talk interface {
	say(text []byte) error
	// hear gives the next message, nil if it is no text.
	hear() ([]byte, error)
}

// plainTalk is that of form 1.
type plainTalk struct{ ws *websocket.Conn }

func (t plainTalk) say(text []byte) error { return t.ws.WriteMessage(websocket.TextMessage, text) }

func (t plainTalk) hear() ([]byte, error) {
	kind, text, err := t.ws.ReadMessage()
	if kind != websocket.TextMessage {
		text = nil
	}
	return text, err
}

// framedTalk is that of form 2.
type framedTalk struct{ frames *wsframe.Conn }

func (t framedTalk) say(text []byte) error {
	message := append(make([]byte, wsframe.Headroom), text...)
	return t.frames.Write(wsframe.Text, message, writeTimeout)
}

func (t framedTalk) hear() ([]byte, error) {
	text, err := t.frames.ReadText()
	var closed *wsframe.CloseError
	switch {
	case errors.As(err, &closed):
		err = &websocket.CloseError{Code: closed.Code, Text: closed.Reason}
	case err == io.ErrUnexpectedEOF: // in the words of form 1
		err = &websocket.CloseError{Code: websocket.CloseAbnormalClosure, Text: err.Error()}
	case errors.Is(err, wsframe.ErrReadLimit):
		err = wire.ErrTooLarge
	}
	return text, err
}
