package link

import (
	"sync"
	"time"

	"culvert/backend/wire"
)

const (
	// gatherFor is how long a stream waits for more before it sends a chunk that is
	// not full: a service that writes line by line must not cost a message for each.
	gatherFor = 5 * time.Millisecond
	// A stream that waits for credit sends its latest chunk again after prodAfter,
	// then after twice as long and so on: the credit may have got lost.
	prodAfter = 2 * time.Second
	prodEvery = time.Minute // at least
	// creditFor is how long it waits before it takes the visitor for gone.
	creditFor = 5 * time.Minute
	// maxStream bounds a stream whose backend does not say how long it waits: longer
	// than any Lambda function runs.
	// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
	maxStream = 16 * time.Minute
)

var (
	errNoCredit = &wire.ResetError{Code: wire.ResetTimeout, Message: "the visitor has taken no data for too long"}
	errTooLong  = &wire.ResetError{Code: wire.ResetInternal, Message: "the body is longer than its head says"}
)

// stream is an answer that leaves in chunks while it is made, never more of them
// than the backend has given credit for. One goroutine writes, another sends.
type stream struct {
	x      *exchange
	window int // in chunks
	// signals; each has room for one.
	data   chan struct{} // for the sender: something was written, or the end
	credit chan struct{} // for the sender
	room   chan struct{} // for the writer
	done   chan struct{} // closed when the sender has ended

	mu      sync.Mutex
	head    *wire.HTTPResponse // nil before it
	length  int64              // of the body as the head says; -1 if unknown
	written int64
	pending []byte // written, not sent
	ended   bool   // nothing is going to be written
	next    int    // number of the next chunk
	upto    int    // number of the last chunk that may be sent
	unacked []*wire.Chunk
	err     error // why the sender has given up
}

func newStream(x *exchange, window int) *stream {
	return &stream{
		x: x, window: window, upto: window, next: 1,
		data: make(chan struct{}, 1), credit: make(chan struct{}, 1), room: make(chan struct{}, 1),
		done: make(chan struct{}),
	}
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// cost is the memory that a stream with this window may take, in bytes.
func streamCost(window int) int64 { return int64(window+1) * wire.MaxPart }

// begin sends the head and starts the sender.
func (s *stream) begin(head *wire.HTTPResponse, length int64) error {
	s.mu.Lock()
	s.head, s.length = head, length
	s.mu.Unlock()
	board := s.x.board()
	if err := board.sendWaiting(s.x.ctx, s.x.tunnel, head); err != nil {
		close(s.done)
		return err
	}
	board.wg.Go(s.run) // within the exchange's own goroutine, which settle waits for
	return nil
}

// write adds to what is sent, and waits while there is no room.
func (s *stream) write(p []byte) (int, error) {
	n := 0
	for {
		s.mu.Lock()
		if s.length >= 0 && s.written+int64(len(p)) > s.length {
			s.mu.Unlock()
			return n, errTooLong
		}
		take := min(wire.MaxPart-len(s.pending), len(p))
		s.pending = append(s.pending, p[:take]...)
		s.written += int64(take)
		if s.length >= 0 && s.written == s.length {
			s.ended = true // no need for an empty chunk that says so
		}
		s.mu.Unlock()
		if take > 0 {
			signal(s.data)
		}
		n += take
		if p = p[take:]; len(p) == 0 {
			return n, nil
		}
		select {
		case <-s.room:
		case <-s.done:
			return n, s.failure()
		}
	}
}

// close ends the body and waits until the last chunk was sent.
func (s *stream) close() error {
	s.mu.Lock()
	short := s.length >= 0 && s.written < s.length
	if !short {
		s.ended = true
	}
	s.mu.Unlock()
	if short {
		return &wire.ResetError{Code: wire.ResetInternal, Message: "the local service cut its answer short"}
	}
	signal(s.data)
	<-s.done
	return s.failure()
}

func (s *stream) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// run sends chunks until the end, or until the exchange is over.
func (s *stream) run() {
	defer close(s.done)
	for {
		chunk, err := s.chunk()
		if err == nil {
			err = s.x.board().sendWaiting(s.x.ctx, s.x.tunnel, chunk)
		}
		if err != nil {
			s.mu.Lock()
			s.err = err
			s.mu.Unlock()
			if s.x.ctx.Err() == nil { // else whoever ended it says so
				s.x.fail(wire.CodeInternal, reason(err))
			}
			return
		}
		if chunk.Last {
			return
		}
	}
}

// chunk waits for something to send, and for the credit to do so.
func (s *stream) chunk() (*wire.Chunk, error) {
	if err := s.gather(); err != nil {
		return nil, err
	}
	if err := s.awaitCredit(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &wire.Chunk{RequestID: s.x.requestID, Seq: s.next, Body: s.pending, Last: s.ended}
	s.pending = nil
	s.next++
	s.unacked = append(s.unacked, c)
	s.forgetLocked()
	signal(s.room)
	return c, nil
}

// gather waits until there is a full chunk, or the end, or a pause.
func (s *stream) gather() error {
	var pause <-chan time.Time
	for {
		s.mu.Lock()
		n, ended := len(s.pending), s.ended
		s.mu.Unlock()
		if ended || n == wire.MaxPart {
			return nil
		}
		if n > 0 && pause == nil {
			timer := time.NewTimer(gatherFor)
			defer timer.Stop()
			pause = timer.C
		}
		select {
		case <-s.data:
		case <-pause:
			return nil
		case <-s.x.ctx.Done():
			return s.x.gone()
		}
	}
}

func (s *stream) awaitCredit() error {
	start, wait := time.Now(), prodAfter
	var prod *time.Timer
	for {
		s.mu.Lock()
		allowed := s.next <= s.upto
		var latest *wire.Chunk
		if n := len(s.unacked); n > 0 {
			latest = s.unacked[n-1]
		}
		s.mu.Unlock()
		if allowed {
			return nil
		}
		if prod == nil {
			prod = time.NewTimer(wait)
			defer prod.Stop()
		}
		select {
		case <-s.credit:
		case <-prod.C:
			if time.Since(start) >= creditFor {
				return errNoCredit
			}
			if latest != nil {
				_ = s.x.board().send(s.x.tunnel, latest, true) // without a connection it waits for the next time
			}
			wait = min(2*wait, prodEvery)
			prod.Reset(wait)
		case <-s.x.ctx.Done():
			return s.x.gone()
		}
	}
}

// allow takes a credit: chunks up to this number may be sent, and those a window
// before it have arrived.
func (s *stream) allow(upto int) {
	s.mu.Lock()
	s.upto = max(s.upto, upto)
	s.forgetLocked()
	s.mu.Unlock()
	signal(s.credit)
}

// forgetLocked lets go of what has arrived, so that never more chunks than the window
// are kept, whatever credit there is. s.mu is held.
func (s *stream) forgetLocked() {
	n := 0
	for n < len(s.unacked) && s.unacked[n].Seq <= s.upto-s.window {
		n++
	}
	clear(s.unacked[:n])
	s.unacked = s.unacked[n:]
}

// wait returns when nothing is going to be sent by itself any more. The exchange's
// context has ended, or the body has.
func (s *stream) wait() {
	s.mu.Lock()
	begun := s.head != nil
	s.mu.Unlock()
	if begun {
		<-s.done
	}
}

// unacknowledged are the head and the chunks that may have to be sent again.
func (s *stream) unacknowledged() []any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.head == nil {
		return nil
	}
	parts := []any{s.head}
	for _, c := range s.unacked {
		parts = append(parts, c)
	}
	return parts
}
