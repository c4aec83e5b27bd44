package mux

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"
	"unicode/utf8"

	"culvert/backend/wire"
	"culvert/backend/wsframe"
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
		// Who else is ready to send may do so first: many streams then share one message
		// and one write, and where nobody is, this costs next to nothing.
		runtime.Gosched()
		b := c.w.take()
		if err := c.writeBatch(b); err != nil {
			c.writeFailed(err)
			return
		}
		c.w.recycle(b)
		if e != nil {
			c.ws.WriteSmall(wsframe.Close, closeMessage(e), closeGrace)
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
		if err := c.ws.WriteSmall(wsframe.Pong, b.data, c.cfg.PingTimeout); err != nil {
			return err
		}
	}
	if b.ping {
		if err := c.ws.WriteSmall(wsframe.Ping, nil, c.cfg.PingTimeout); err != nil {
			return err
		}
	}
	for _, text := range b.texts {
		message := append(make([]byte, wsframe.Headroom, wsframe.Headroom+len(text)), text...)
		if err := c.ws.Write(wsframe.Text, message, c.cfg.PingTimeout); err != nil {
			return err
		}
	}
	for rest := b.frames; len(rest) > wsframe.Headroom; {
		n := wsframe.Headroom + len(cutMessage(rest[wsframe.Headroom:]))
		if err := c.ws.Write(wsframe.Binary, rest[:n], c.cfg.PingTimeout); err != nil {
			return err
		}
		rest = rest[n-wsframe.Headroom:] // the end of what has gone makes room for the next header
	}
	return nil
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
		code = closeGoingAway
	case closeNoStatus:
		code = closeNormal
	}
	const room = 123
	if len(reason) > room {
		cut := room
		for cut > 0 && !utf8.RuneStart(reason[cut]) {
			cut--
		}
		reason = reason[:cut]
	}
	return wsframe.FormatClose(code, reason)
}
