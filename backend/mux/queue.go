package mux

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"culvert/backend/wire"
	"culvert/backend/wsframe"
)

const (
	// maxPendingData is how many bytes may be pending before writers of DATA wait.
	maxPendingData = 256 << 10
	// maxPending bounds the frames that do not wait. Only a peer that makes us
	// answer and does not read the answers gets us there.
	maxPending = 16 << 20
	// maxPendingHeads is how many bytes may be pending before heads and trailers
	// wait, and before no stream is opened: far above what DATA alone makes pending,
	// so that heads pass it by, and far enough below maxPending.
	maxPendingHeads = 4 << 20
	// maxPendingText bounds the text messages that wait, in bytes.
	maxPendingText = 1 << 20
	// headDelay is how long a head that promises a body waits for its first part,
	// so that small answers leave in one message.
	headDelay = 500 * time.Microsecond
	// keepBuffer is the largest pending buffer that is kept for reuse.
	keepBuffer = 1 << 20
)

// writer gathers what is to be sent.
type writer struct {
	wake chan struct{} // 1: there is something

	mu        sync.Mutex
	room      sync.Cond // pending was taken, or a stream or the connection failed
	waiting   int       // those who wait for room
	pending   []byte    // room for a WebSocket header, and whole frames
	holder    *[]byte   // what buffers gave pending in, for giving it back
	texts     [][]byte
	textBytes int
	pingDue   bool
	pongDue   bool
	pongData  []byte
	refused   error // why nothing more is taken
	timer     *time.Timer
	armed     bool

	buffers *sync.Pool // of *[]byte
}

// batch is what the writer goroutine sends next.
type batch struct {
	frames []byte
	holder *[]byte // goes back to writer.buffers
	texts  [][]byte
	ping   bool
	pong   bool
	data   []byte // of the pong
}

func (w *writer) init(buffers *sync.Pool) {
	w.buffers = buffers
	w.wake = make(chan struct{}, 1)
	w.room.L = &w.mu
	w.timer = time.AfterFunc(time.Hour, func() {
		w.mu.Lock()
		w.armed = false
		w.mu.Unlock()
		w.signal()
	})
	w.timer.Stop()
}

func (w *writer) stop() { w.timer.Stop() }

func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// soon is signal, but a little later, if nobody else signals before. w.mu is held.
func (w *writer) soon() {
	if !w.armed {
		w.armed = true
		w.timer.Reset(headDelay)
	}
}

// refuse makes all sending fail with err, and wakes those who wait to.
func (w *writer) refuse(err error) {
	w.mu.Lock()
	w.refused = err
	w.room.Broadcast()
	w.mu.Unlock()
}

// nudge makes those who wait for room look at their streams again.
func (w *writer) nudge() {
	w.mu.Lock()
	if w.waiting > 0 {
		w.room.Broadcast()
	}
	w.mu.Unlock()
}

func (w *writer) ping() {
	w.mu.Lock()
	w.pingDue = true
	w.mu.Unlock()
	w.signal()
}

// pong answers a ping. RFC 6455 section 5.5.3 allows to answer the latest only.
func (w *writer) pong(data []byte) {
	w.mu.Lock()
	w.pongDue, w.pongData = true, data
	w.mu.Unlock()
	w.signal()
}

func (w *writer) text(text []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refused != nil {
		return w.refused
	}
	if w.textBytes+len(text) > maxPendingText {
		return fmt.Errorf("control messages pile up: %w", wire.ErrTooLarge)
	}
	w.texts = append(w.texts, text)
	w.textBytes += len(text)
	w.signal()
	return nil
}

// buffer readies pending for appending. w.mu is held.
func (w *writer) buffer() {
	if w.pending != nil {
		return
	}
	if b, ok := w.buffers.Get().(*[]byte); ok {
		w.pending, w.holder = (*b)[:wsframe.Headroom], b
		return
	}
	w.pending, w.holder = make([]byte, wsframe.Headroom, 4<<10), new([]byte)
}

func (w *writer) take() batch {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := batch{w.pending, w.holder, w.texts, w.pingDue, w.pongDue, w.pongData}
	w.pending, w.holder, w.texts, w.textBytes = nil, nil, nil, 0
	w.pingDue, w.pongDue, w.pongData = false, false, nil
	if w.waiting > 0 {
		w.room.Broadcast()
	}
	return b
}

// recycle takes a sent batch's buffer back.
func (w *writer) recycle(b batch) {
	if b.holder != nil && cap(b.frames) <= keepBuffer {
		*b.holder = b.frames
		w.buffers.Put(b.holder)
	}
}

// control appends a frame that does not wait, made by add.
func (c *Conn) control(add func(dst []byte) []byte) {
	w := &c.w
	w.mu.Lock()
	if w.refused != nil {
		w.mu.Unlock()
		return
	}
	w.buffer()
	w.pending = add(w.pending)
	c.appended()
}

func (c *Conn) sendReset(id uint32, code wire.ResetCode, message string) {
	c.control(func(dst []byte) []byte { return wire.AppendReset(dst, id, code, message) })
}

func (c *Conn) sendWindow(id uint32, n int) {
	w := &c.w
	w.mu.Lock()
	if w.refused == nil {
		w.buffer()
		w.pending = wire.AppendWindow(w.pending, id, uint32(n))
	}
	c.appended()
}

// appended is the end of appending a frame that does not wait. w.mu is held, and
// released here.
func (c *Conn) appended() {
	w := &c.w
	full := len(w.pending) > maxPending
	w.mu.Unlock()
	w.signal()
	if full {
		c.end(ending{err: fmt.Errorf("%w: peer does not read", ErrDead)})
	}
}

func (c *Conn) sendRequest(s *Stream, h *wire.RequestHead, end bool) error {
	w := &c.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refused != nil {
		return w.refused
	}
	if len(w.pending) > maxPendingHeads {
		return fmt.Errorf("%w: the agent is slow to take those before", ErrTooManyStreams)
	}
	w.buffer()
	start := w.openFrame(s.id, wire.FrameRequest, end)
	var err error
	w.pending, err = wire.AppendRequestHead(w.pending, h)
	if err := w.closeFrame(start, !end, err); err != nil {
		return err
	}
	if grant := s.expected(); grant > 0 {
		w.pending = wire.AppendWindow(w.pending, s.id, uint32(grant))
	}
	return nil
}

func (c *Conn) sendResponse(s *Stream, h *wire.ResponseHead, end bool) error {
	w := &c.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := c.awaitRoom(s, maxPendingHeads); err != nil {
		return err
	}
	w.buffer()
	start := w.openFrame(s.id, wire.FrameResponse, end)
	var err error
	w.pending, err = wire.AppendResponseHead(w.pending, h)
	if err := w.closeFrame(start, !end, err); err != nil {
		return err
	}
	c.sent(s, end)
	return nil
}

func (c *Conn) sendTrailer(s *Stream, trailer http.Header) error {
	w := &c.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := c.awaitRoom(s, maxPendingHeads); err != nil {
		return err
	}
	w.buffer()
	start := w.openFrame(s.id, wire.FrameTrailers, false)
	var err error
	w.pending, err = wire.AppendTrailer(w.pending, trailer)
	if err := w.closeFrame(start, false, err); err != nil {
		return err
	}
	c.sent(s, true)
	return nil
}

// sendData sends one DATA frame, for which the stream's window has been taken. It
// waits while much is pending.
func (c *Conn) sendData(s *Stream, p []byte, end bool) error {
	w := &c.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := c.awaitRoom(s, maxPendingData); err != nil {
		return err
	}
	w.buffer()
	w.pending = wire.AppendFrameHeader(w.pending, wire.FrameHeader{
		Stream: s.id, Length: len(p), Type: wire.FrameData, End: end,
	})
	w.pending = append(w.pending, p...)
	c.sent(s, end)
	w.signal()
	return nil
}

// awaitRoom waits until at most limit bytes are pending and a frame of s may be
// appended, or never may. w.mu is held, but not while it waits.
func (c *Conn) awaitRoom(s *Stream, limit int) error {
	w := &c.w
	for {
		if err := c.sendable(s); err != nil || len(w.pending) <= limit {
			return err
		}
		w.waiting++
		w.room.Wait()
		w.waiting--
	}
}

// openFrame appends a frame header without a length and says where. w.mu is held.
func (w *writer) openFrame(id uint32, typ wire.FrameType, end bool) int {
	start := len(w.pending)
	w.pending = wire.AppendFrameHeader(w.pending, wire.FrameHeader{Stream: id, Type: typ, End: end})
	return start
}

// closeFrame completes the frame at start, or takes it back after an error. w.mu is held.
func (w *writer) closeFrame(start int, more bool, err error) error {
	if err != nil {
		w.pending = w.pending[:start]
		return err
	}
	wire.PutFrameLength(w.pending[start:], len(w.pending)-start-wire.FrameHeaderSize)
	if more {
		w.soon()
	} else {
		w.signal()
	}
	return nil
}

// sendable says whether a frame of s may be appended now. With c.w.mu held, and
// resets marked before they are appended, no frame follows its stream's RESET.
func (c *Conn) sendable(s *Stream) error {
	if c.w.refused != nil {
		return c.w.refused
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writeErr
}

// sent notes that the last frame of our direction is appended. It is done before
// the writer can send it, so that the peer cannot use the free room too early.
func (c *Conn) sent(s *Stream, end bool) {
	if end && s.endSent() {
		c.remove(s)
	}
}
