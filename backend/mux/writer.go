package mux

import (
	"errors"
	"fmt"
	"net"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"culvert/backend/wire"
)

// The writing goroutine: from batches to the socket.

// writeLoop sends batches until the end. It is the only one that writes to the socket.
func (c *Conn) writeLoop() {
	for {
		select {
		case <-c.w.wake:
		case <-c.done:
		}
		e := c.ended()
		if e != nil && !e.graceful {
			return
		}
		b := c.w.take()
		if err := c.writeBatch(b); err != nil {
			c.writeFailed(err)
			return
		}
		c.w.recycle(b)
		if e != nil {
			c.ws.WriteControl(websocket.CloseMessage, closeMessage(e), time.Now().Add(closeGrace))
			return
		}
	}
}

// writeFailed ends the connection, but lets the reader have a moment to find a
// better reason: the peer may have closed in good order and said why.
func (c *Conn) writeFailed(err error) {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		c.end(ending{err: fmt.Errorf("%w: peer takes no data", ErrDead)})
		return
	}
	select {
	case <-c.done:
	case <-time.After(closeGrace / 2):
		c.end(ending{err: fmt.Errorf("connection lost: %w", err)})
	}
}

func (c *Conn) writeBatch(b batch) error {
	if b.pong {
		if err := c.ws.WriteControl(websocket.PongMessage, b.data, c.deadline()); err != nil {
			return err
		}
	}
	if b.ping {
		if err := c.ws.WriteControl(websocket.PingMessage, nil, c.deadline()); err != nil {
			return err
		}
	}
	for _, text := range b.texts {
		c.ws.SetWriteDeadline(c.deadline())
		if err := c.ws.WriteMessage(websocket.TextMessage, text); err != nil {
			return err
		}
	}
	for frames := b.frames; len(frames) > 0; {
		message := cutMessage(frames)
		if err := c.writeMessage(message); err != nil {
			return err
		}
		frames = frames[len(message):]
	}
	return nil
}

// deadline is when the next write must be done. It holds a monotonic time, so a
// clock that is set does not move it.
func (c *Conn) deadline() time.Time { return time.Now().Add(c.cfg.PingTimeout) }

func (c *Conn) writeMessage(p []byte) error {
	c.ws.SetWriteDeadline(c.deadline())
	if len(p) <= writeStep {
		return c.ws.WriteMessage(websocket.BinaryMessage, p)
	}
	m, err := c.ws.NextWriter(websocket.BinaryMessage)
	if err != nil {
		return err
	}
	for len(p) > 0 {
		n := min(len(p), writeStep)
		c.ws.SetWriteDeadline(c.deadline())
		if _, err := m.Write(p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return m.Close()
}

// cutMessage gives as many whole frames from the start as one message may hold.
func cutMessage(frames []byte) []byte {
	if len(frames) <= wire.MaxMessage {
		return frames
	}
	end := 0
	for {
		h, err := wire.ParseFrameHeader(frames[end:])
		if err != nil {
			panic("mux: malformed frame of our own: " + err.Error())
		}
		next := end + wire.FrameHeaderSize + h.Length
		if next > wire.MaxMessage {
			return frames[:end]
		}
		end = next
	}
}

// closeMessage makes the payload of a close frame: RFC 6455 section 5.5 allows
// 125 bytes, the code included, and some codes never stand in one.
func closeMessage(e *ending) []byte {
	code, reason := e.code, e.reason
	switch code {
	case 0:
		code = websocket.CloseGoingAway
	case websocket.CloseNoStatusReceived, websocket.CloseAbnormalClosure, websocket.CloseTLSHandshake:
		code = websocket.CloseNormalClosure
	}
	const room = 123
	if len(reason) > room {
		cut := room
		for cut > 0 && !utf8.RuneStart(reason[cut]) {
			cut--
		}
		reason = reason[:cut]
	}
	return websocket.FormatCloseMessage(code, reason)
}
