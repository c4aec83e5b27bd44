package mux

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"

	"culvert/backend/wire"
)

// maxHeads bounds the response heads that wait for ReadHead: informational ones
// are not under flow control.
const maxHeads = 32

var (
	errEnded    = errors.New("write after the end of the body")
	errNoHead   = errors.New("body written before the response head")
	errTwoHeads = errors.New("response head written twice")
	errHeadRead = errors.New("response head was read already")
	errOver     = errors.New("exchange is over")
)

// Stream is one request and its answer: on the agent's side a wire.Exchange, on
// the backend's side what Open gives. The directions end independently; a stream
// is over when both have ended, or when either side has reset it.
//
// One goroutine may read (Read, ReadHead) and one may write at a time; Reset,
// Context and Buffered may be called by any. On the backend's side, call Reset in
// the end, whatever happened: it does nothing to a stream that is over but to
// return its memory.
type Stream struct {
	c   *Conn
	id  uint32
	req *wire.RequestHead

	readable chan struct{} // 1: something to read may have come

	mu      sync.Mutex
	credit  int64     // what we may send, in bytes
	granted sync.Cond // credit grew, or writeErr was set

	sentHead, sentEnd bool
	gotHead, recvEnd  bool  // the final head has come; the peer has ended
	over              bool  // removed from the connection
	writeErr, readErr error // set once, for good

	heads   []*wire.ResponseHead // received, not read
	oneHead [1]*wire.ResponseHead
	trailer http.Header
	in      buffer
	// What the peer may send: allowed + in.size + consumed == window, but for the
	// payload that is being read from the socket.
	window, allowed, consumed int
	// toCome is what is left of the length that the peer has announced; it means
	// nothing unless it is positive.
	toCome int64

	ctx    context.Context // made when asked for
	cancel context.CancelCauseFunc
	ctxErr error  // why the context has ended
	after  func() // what AfterEnd has left, or nil
}

var _ wire.Exchange = (*Stream)(nil)

func newStream(c *Conn, h *wire.RequestHead) *Stream {
	s := &Stream{
		c:        c,
		req:      h,
		readable: make(chan struct{}, 1),
		credit:   wire.InitialWindow,
		window:   wire.InitialWindow,
		allowed:  wire.InitialWindow,
	}
	s.granted.L = &s.mu
	s.heads = s.oneHead[:0]
	s.in.pool = &c.buffers.chunks
	return s
}

// ID names the stream in logs; it is unique within this process.
func (s *Stream) ID() string { return s.c.name + "-" + strconv.FormatUint(uint64(s.id), 10) }

// Request is the head that opened the stream.
func (s *Stream) Request() *wire.RequestHead { return s.req }

// Context ends when the stream is reset, when the connection ends, and on the
// agent's side when the handler returns, on the backend's when both directions
// have ended.
func (s *Stream) Context() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx == nil {
		s.ctx, s.cancel = context.WithCancelCause(context.Background())
		if s.ctxErr != nil {
			s.cancel(s.ctxErr)
		}
	}
	return s.ctx
}

// AfterEnd has f called, in a goroutine of its own, when the context ends, as
// context.AfterFunc does, but without a context. One f at a time has its place.
func (s *Stream) AfterEnd(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctxErr != nil {
		go f()
		return
	}
	s.after = f
}

// CancelAfterEnd takes back what AfterEnd has left. It returns false if that was called.
func (s *Stream) CancelAfterEnd() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := s.after != nil
	s.after = nil
	return left
}

// endContext ends the context; the first cause counts. s.mu is held.
func (s *Stream) endContext(cause error) {
	if s.ctxErr != nil {
		return
	}
	s.ctxErr = cause
	if s.cancel != nil {
		s.cancel(cause)
	}
	if s.after != nil {
		go s.after()
		s.after = nil
	}
}

// WriteHead sends a response head, on the agent's side; end says that no body
// follows. Informational heads (1xx but 101) may come before the final one. It waits
// only while a peer that takes nothing has very much to take.
func (s *Stream) WriteHead(h *wire.ResponseHead, end bool) error {
	final := finalStatus(h.Status)
	s.mu.Lock()
	err := s.writeErr
	switch {
	case err != nil:
	case s.sentHead:
		err = errTwoHeads
	case end && !final:
		err = errors.New("informational response head cannot end the answer")
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if err := s.c.sendResponse(s, h, end); err != nil {
		return err
	}
	s.mu.Lock()
	s.sentHead = final
	s.mu.Unlock()
	return nil
}

// finalStatus is true for all but informational heads; 101 is the last head of
// its stream.
func finalStatus(status int) bool { return status >= 200 || status == http.StatusSwitchingProtocols }

// Write sends a part of the body. It waits while the peer's window is used up.
func (s *Stream) Write(p []byte) (int, error) { return s.write(p, false) }

// WriteLast sends the last part of the body.
func (s *Stream) WriteLast(p []byte) (int, error) { return s.write(p, true) }

func (s *Stream) write(p []byte, end bool) (int, error) {
	for n := 0; ; {
		k, err := s.reserve(len(p) - n)
		if err != nil {
			return n, err
		}
		if k == 0 && !end {
			return n, nil
		}
		last := n+k == len(p)
		if err := s.c.sendData(s, p[n:n+k], end && last); err != nil {
			return n, err
		}
		if n += k; last {
			return n, nil
		}
	}
}

// CloseWrite ends the body, with a trailer or nil.
func (s *Stream) CloseWrite(trailer http.Header) error {
	if len(trailer) == 0 {
		_, err := s.write(nil, true)
		return err
	}
	if _, err := s.reserve(0); err != nil {
		return err
	}
	return s.c.sendTrailer(s, trailer)
}

// endSent marks our direction as ended, and says whether the stream is over.
func (s *Stream) endSent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sentEnd = true
	return s.checkOver()
}

// checkOver says whether both directions have ended. s.mu is held.
func (s *Stream) checkOver() bool {
	if s.over || !s.sentEnd || !s.recvEnd {
		return false
	}
	s.over = true
	if s.c.cfg.Handler == nil {
		s.endContext(errOver)
	}
	return true
}

// ReadHead gives the next response head, on the backend's side: informational
// ones first. When ctx ends it gives its cause, and the stream lives on. A stream
// that the agent has given up gives a *wire.ResetError.
func (s *Stream) ReadHead(ctx context.Context) (*wire.ResponseHead, error) {
	for {
		s.mu.Lock()
		var h *wire.ResponseHead
		err := s.readErr
		if len(s.heads) > 0 {
			h, s.heads = s.heads[0], s.heads[1:]
		} else if err == nil && s.gotHead {
			err = errHeadRead
		}
		s.mu.Unlock()
		if h != nil || err != nil {
			return h, err
		}
		select {
		case <-s.readable:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Read reads the peer's body up to io.EOF. What came before the peer's end stays
// readable whatever happens later; what came before a reset does not.
func (s *Stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, grant, err := s.read(p)
		if grant > 0 {
			s.c.sendWindow(s.id, grant)
		}
		if n > 0 || err != nil {
			return n, err
		}
		<-s.readable
	}
}

func (s *Stream) read(p []byte) (n, grant int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n = s.in.copyOut(p); n > 0 {
		return n, s.consume(n), nil
	}
	return 0, 0, s.readEnd()
}

// readEnd is what reading gives when nothing is there: nil if something may still come.
// s.mu is held.
func (s *Stream) readEnd() error {
	switch {
	case s.readErr != nil:
		return s.readErr
	case s.recvEnd:
		return io.EOF
	}
	return nil
}

// Buffered says how many bytes Read would give at once, and whether the peer has
// ended: what a writer to a visitor needs to know whether to flush.
func (s *Stream) Buffered() (n int, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.in.size, s.recvEnd
}

// Trailer is the peer's trailer, once Read has given io.EOF; nil if there is none.
func (s *Stream) Trailer() http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trailer
}

// RequestTrailer is Trailer, as wire.Exchange calls it.
func (s *Stream) RequestTrailer() http.Header { return s.Trailer() }

// Reset gives the stream up and discards what was received. The peer is told,
// unless the stream is over; reads and writes fail from then on.
func (s *Stream) Reset(code wire.ResetCode, message string) {
	s.mu.Lock()
	tell := !s.over
	s.over = true
	err := errOver
	if tell {
		err = &wire.ResetError{Code: code, Message: message}
	}
	s.giveUp(err)
	s.stopReading(err)
	s.mu.Unlock()
	s.c.w.nudge()
	if tell {
		s.c.remove(s)
		s.c.sendReset(s.id, code, message)
	}
}

// finish ends what the handler, which has returned, has left open.
func (s *Stream) finish() {
	s.mu.Lock()
	ended := s.sentEnd
	s.mu.Unlock()
	if ended {
		s.Reset(wire.ResetCancel, "the answer is complete") // the rest of the request is not wanted
	} else {
		s.Reset(wire.ResetInternal, "the agent gave no complete answer")
	}
}

// fail is the peer's reset, or the connection's end. The caller has removed the
// stream from the connection.
func (s *Stream) fail(err error) {
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return
	}
	s.over = true
	s.giveUp(err)
	if !s.recvEnd {
		s.stopReading(err)
	}
	s.mu.Unlock()
	s.c.w.nudge()
}

// giveUp makes writing fail. s.mu is held.
func (s *Stream) giveUp(err error) {
	if s.writeErr == nil {
		s.writeErr = err
	}
	s.granted.Broadcast()
	s.endContext(err)
}

// stopReading makes reading fail and frees what was received. s.mu is held.
func (s *Stream) stopReading(err error) {
	if s.readErr == nil {
		s.readErr = err
	}
	s.heads = nil
	s.in.discard()
	s.returnBudget()
	s.wakeReader()
}

func (s *Stream) wakeReader() {
	select {
	case s.readable <- struct{}{}:
	default:
	}
}
