package mux

import (
	"net/http"

	"culvert/backend/wire"
)

// What the reader goroutine does with a stream, here and in window.go. Methods
// that can find a violation of the protocol say what it is, or "".

// receive takes a small payload that admit has let in.
func (s *Stream) receive(p []byte, end bool) {
	s.mu.Lock()
	if s.readErr == nil {
		s.in.copyIn(p)
	}
	s.received(end)
}

// receiveChunk is receive for a payload in a chunk of its own.
func (s *Stream) receiveChunk(k *chunk, end bool) {
	s.mu.Lock()
	if s.readErr == nil {
		s.in.add(k)
	} else {
		s.in.pool.put(k)
	}
	s.received(end)
}

// received wakes the reader and notes the end. s.mu is held, and released here.
func (s *Stream) received(end bool) {
	over := false
	if end {
		s.recvEnd = true
		over = s.checkOver()
	}
	s.wakeReader()
	s.mu.Unlock()
	if over {
		s.c.remove(s)
	}
}

// receiveHead takes a response head, on the backend's side.
func (s *Stream) receiveHead(h *wire.ResponseHead, end bool) (violation string) {
	final := finalStatus(h.Status)
	s.mu.Lock()
	switch {
	case s.gotHead:
		violation = "second response head"
	case end && !final:
		violation = "informational response head with END"
	case len(s.heads) >= maxHeads:
		violation = "too many informational response heads"
	}
	if violation != "" {
		s.mu.Unlock()
		return violation
	}
	if s.readErr == nil {
		s.heads = append(s.heads, h)
	}
	grant := 0
	if s.gotHead = final; final && !end && s.readErr == nil {
		grant = s.announced(h.ContentLength)
	}
	s.received(end)
	if grant > 0 {
		s.c.sendWindow(s.id, grant)
	}
	return ""
}

func (s *Stream) receiveTrailer(trailer http.Header) (violation string) {
	s.mu.Lock()
	switch {
	case s.recvEnd:
		violation = "TRAILERS frame after the end"
	case !s.gotHead:
		violation = "TRAILERS frame before the response head"
	}
	if violation != "" {
		s.mu.Unlock()
		return violation
	}
	s.trailer = trailer
	s.received(true)
	return ""
}
