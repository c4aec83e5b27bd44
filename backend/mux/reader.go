package mux

import (
	"errors"
	"fmt"
	"io"

	"culvert/backend/wire"
	"culvert/backend/wsframe"
)

const (
	// smallData is the largest DATA payload that is copied into what room the
	// stream's last buffer has; larger ones get a buffer of their own. Small ones
	// must share, or a peer that sends single bytes would cost a buffer for each.
	smallData = minChunk
	// keepScratch is the largest scratch buffer that is kept between heads.
	keepScratch = 16 << 10
)

// reader is the state of the reading goroutine.
type reader struct {
	c       *Conn
	message io.Reader // the rest of the current message
	scratch []byte
	header  [wire.FrameHeaderSize]byte
}

// readLoop reads until the connection ends and says how it did.
func (c *Conn) readLoop() ending {
	r := &reader{c: c, message: c.ws}
	for {
		op, err := c.ws.Next()
		if err != nil {
			return readEnding(err)
		}
		c.life.seen()
		if op == wsframe.Text {
			err = r.text()
		} else {
			err = r.frames()
		}
		if err != nil {
			return readEnding(err)
		}
	}
}

// readEnding tells what ended the reading: the peer in good order, the peer by a
// mistake, which it is told, or the network.
func readEnding(err error) ending {
	var closed *wsframe.CloseError
	switch {
	case errors.As(err, &closed):
		return ending{err: &CloseError{Code: closed.Code, Reason: closed.Reason}, graceful: true, code: closed.Code}
	case errors.Is(err, wsframe.ErrReadLimit):
		err = fmt.Errorf("%w: a message is over %d", wire.ErrTooLarge, wire.MaxMessage)
		return ending{err: err, graceful: true, code: closeTooBig, reason: err.Error()}
	case errors.Is(err, wsframe.ErrProtocol):
		err = fmt.Errorf("%w: %w", wire.ErrProtocol, err)
		return ending{err: err, graceful: true, code: closeProtocolError, reason: err.Error()}
	case errors.Is(err, wire.ErrTooLarge):
		return ending{err: err, graceful: true, code: closeTooBig, reason: err.Error()}
	case errors.Is(err, wire.ErrProtocol):
		return ending{err: err, graceful: true, code: closeProtocolError, reason: err.Error()}
	default:
		return ending{err: fmt.Errorf("connection lost: %w", err)}
	}
}

// Read reads the current message; whatever arrives is a sign of life, so that a
// long message over a slow line is no silence.
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.message.Read(p)
	if n > 0 {
		r.c.life.seen()
	}
	return n, err
}

func (r *reader) text() error {
	text, err := io.ReadAll(io.LimitReader(r, wire.MaxControlMessage+1))
	if err != nil {
		return err
	}
	if len(text) > wire.MaxControlMessage {
		return fmt.Errorf("%w: a text message is over %d", wire.ErrTooLarge, wire.MaxControlMessage)
	}
	if r.c.ended() == nil {
		r.c.cfg.OnText(text)
	}
	return nil
}

func (r *reader) frames() error {
	for first := true; ; first = false {
		if n, err := io.ReadFull(r, r.header[:]); err == io.EOF && !first {
			return nil
		} else if err == io.EOF || err == io.ErrUnexpectedEOF {
			return fmt.Errorf("%w: message ends %d bytes into a frame header", wire.ErrProtocol, n)
		} else if err != nil {
			return err
		}
		h, err := wire.ParseFrameHeader(r.header[:])
		if err != nil {
			return err
		}
		if h.Type == wire.FrameData {
			err = r.data(h)
		} else {
			err = r.other(h)
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return fmt.Errorf("%w: message ends within a %s frame", wire.ErrProtocol, h.Type)
		} else if err != nil {
			return err
		}
	}
}

// data hands a DATA frame's payload to its stream, if that may have it.
func (r *reader) data(h wire.FrameHeader) error {
	s := r.c.lookup(h.Stream)
	if s != nil {
		if violation := s.admit(h.Length); violation != "" {
			s.Reset(wire.ResetProtocol, violation)
			s = nil
		}
	}
	switch {
	case s == nil:
		if _, err := io.CopyN(io.Discard, r, int64(h.Length)); err != nil {
			return err
		}
		return nil
	case h.Length <= smallData:
		p, err := r.payload(h.Length)
		if err != nil {
			return err
		}
		s.receive(p, h.End)
	default:
		k := r.c.buffers.chunks.get(h.Length)
		if _, err := io.ReadFull(r, k.buf[:h.Length]); err != nil {
			r.c.buffers.chunks.put(k)
			return err
		}
		k.w = h.Length
		s.receiveChunk(k, h.End)
	}
	return nil
}

// other handles the frames that do not count against a window.
func (r *reader) other(h wire.FrameHeader) error {
	p, err := r.payload(h.Length)
	if err != nil {
		return err
	}
	switch h.Type {
	case wire.FrameRequest:
		return r.request(h, p)
	case wire.FrameResponse:
		r.onStream(h, func(s *Stream) string {
			if r.c.cfg.Handler != nil {
				return "RESPONSE frame from the backend"
			}
			head, err := wire.DecodeResponseHead(p)
			if err != nil {
				return err.Error()
			}
			return s.receiveHead(head, h.End)
		})
	case wire.FrameTrailers:
		r.onStream(h, func(s *Stream) string {
			trailer, err := wire.DecodeTrailer(p)
			if err != nil {
				return err.Error()
			}
			return s.receiveTrailer(trailer)
		})
	case wire.FrameWindow:
		r.onStream(h, func(s *Stream) string {
			n, err := wire.DecodeWindow(p)
			if err != nil {
				return err.Error()
			}
			return s.grow(int64(n))
		})
	case wire.FrameReset:
		reset, err := wire.DecodeReset(p)
		if err != nil {
			return err
		}
		if s := r.c.lookup(h.Stream); s != nil {
			r.c.remove(s)
			s.fail(reset)
		}
	}
	return nil
}

// onStream does something with an open stream, and resets it if that finds a
// violation. A frame for any other stream is a late one and is ignored.
func (r *reader) onStream(h wire.FrameHeader, do func(*Stream) (violation string)) {
	if s := r.c.lookup(h.Stream); s != nil {
		if violation := do(s); violation != "" {
			s.Reset(wire.ResetProtocol, violation)
		}
	}
}

// request accepts a stream, on the agent's side.
func (r *reader) request(h wire.FrameHeader, p []byte) error {
	c := r.c
	if c.cfg.Handler == nil {
		return fmt.Errorf("%w: REQUEST frame from the agent", wire.ErrProtocol)
	}
	if s := c.lookup(h.Stream); s != nil {
		s.Reset(wire.ResetProtocol, "REQUEST frame for an open stream")
		return nil
	}
	head, err := wire.DecodeRequestHead(p)
	if err != nil {
		c.sendReset(h.Stream, wire.ResetProtocol, err.Error())
		return nil
	}
	s := newStream(c, head)
	s.id, s.gotHead, s.recvEnd = h.Stream, true, h.End
	grant := s.announced(head.ContentLength)
	switch {
	case !c.accept(s):
		s.returnBudget()
		c.sendReset(h.Stream, wire.ResetBusy, "the agent has no room for another request")
	case grant > 0:
		c.sendWindow(h.Stream, grant)
	}
	return nil
}

// payload reads n bytes that are valid until the next call.
func (r *reader) payload(n int) ([]byte, error) {
	if cap(r.scratch) < n || cap(r.scratch) > max(n, keepScratch) {
		r.scratch = make([]byte, max(n, 1<<10))
	}
	p := r.scratch[:n]
	_, err := io.ReadFull(r, p)
	return p, err
}
