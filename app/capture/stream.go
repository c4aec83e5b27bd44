package capture

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"culvert/app/exchange"
	"culvert/app/stream"
	"culvert/backend/wire"
)

// Bounds of the messages of one stream. When one is reached the oldest leave.
const (
	MaxMessages     = 1000
	MaxMessageBytes = 4 << 20
)

// messageCost is what a kept message takes beside its text.
const messageCost = 160

// Stream is an exchange that lasts: a connection that has changed protocols, or
// server-sent events. Its messages can be read while it goes on, and afterwards for
// as long as the Stream is kept. Any goroutine may call its methods.
type Stream struct {
	rec       *Record
	decoder   stream.Decoder // nil if nobody here speaks the protocol
	both      bool           // the visitor's bytes are messages, too
	announced atomic.Bool
	forgotten atomic.Bool // Forget was called: no body is kept any more
	in, out   atomic.Int64

	mu       sync.Mutex
	exchange Exchange // as at the answer's head; as at its end, once done
	done     bool
	bytes    int64 // of the budget that are taken
	messages []exchange.StreamMessage
	count    int // of all messages; messages are the last of them
}

// newStream is the stream that begins with this answer, or nil if it is an answer
// as any other.
func newStream(rec *Record, h *wire.ResponseHead) *Stream {
	s := &Stream{rec: rec, exchange: rec.exchange}
	switch {
	case h.Status == http.StatusSwitchingProtocols:
		if strings.EqualFold(h.Header.Get("Upgrade"), "websocket") {
			s.decoder = stream.NewWebSocket(rec.exchange.RequestHeader, h.Header)
		}
		s.both = true
	case isEvents(h.Header) && rec.exchange.Method != http.MethodHead && h.Status != http.StatusNoContent && h.Status != http.StatusNotModified:
		s.decoder = stream.NewEvents(h.Header)
	default:
		return nil
	}
	if s.decoder != nil {
		s.decoder.Charge(s.reserve, func(n int64) { rec.recorder.memory.Add(n) })
	}
	s.exchange.Stream = s
	return s
}

// isEvents reports whether the answer is of server-sent events.
func isEvents(h http.Header) bool {
	const events = "text/event-stream"
	values := h["Content-Type"]
	if len(values) == 0 {
		return false
	}
	v := values[0]
	return len(v) >= len(events) && strings.EqualFold(v[:len(events)], events) &&
		(len(v) == len(events) || strings.IndexByte("; \t", v[len(events)]) >= 0)
}

// write is told of bytes that pass; each direction is one goroutine's.
func (s *Stream) write(from exchange.Direction, p []byte) {
	if from == exchange.FromVisitor {
		s.in.Add(int64(len(p)))
	} else {
		s.out.Add(int64(len(p)))
	}
	if s.decoder != nil && (s.both || from == exchange.FromService) {
		s.decoder.Write(from, p, time.Now(), s.add)
	}
	if !s.announced.Load() {
		s.rec.recorder.announce(s)
	}
}

// reserve is for the message that is coming: older ones leave for it.
func (s *Stream) reserve(n int64) bool {
	r := s.rec.recorder
	if r.reserve(n) {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.messages) > 0 {
		s.dropOldest()
		if r.reserve(n) {
			return true
		}
	}
	return false
}

// add keeps a message, within the bounds.
func (s *Stream) add(m exchange.StreamMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	for len(s.messages) >= MaxMessages || len(s.messages) > 0 && s.bytes+cost(&m) > MaxMessageBytes {
		s.dropOldest()
	}
	for !s.rec.recorder.reserve(cost(&m)) {
		if len(s.messages) > 0 {
			s.dropOldest()
			continue
		}
		if len(m.Data) == 0 {
			return // not even that it was there
		}
		m.Data, m.Truncated = nil, true
	}
	s.bytes += cost(&m)
	s.messages = append(s.messages, m)
}

func cost(m *exchange.StreamMessage) int64 {
	return int64(messageCost + len(m.Data) + len(m.Name) + len(m.LastID))
}

func (s *Stream) dropOldest() {
	n := cost(&s.messages[0])
	s.messages[0] = exchange.StreamMessage{} // the array stays for a while
	s.messages = s.messages[1:]
	s.bytes -= n
	s.rec.recorder.memory.Add(n)
}

// end is told of the finished exchange.
func (s *Stream) end(x *Exchange) {
	if s.decoder != nil {
		s.decoder.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exchange, s.done = *x, true
	if s.forgotten.Load() {
		s.rec.request.forget(s.rec.recorder)
		s.rec.response.forget(s.rec.recorder)
	}
}

// release gives the budget its bytes back. What is kept of the messages from now on
// is for the one who keeps the Stream to bound.
func (s *Stream) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rec.recorder.memory.Add(s.bytes)
	s.bytes = 0
}

// Forget drops the messages that are kept, and what is kept of the bodies. The stream
// goes on: its messages keep their numbers, and those that come from now on are kept
// as before. It may be called at any time.
func (s *Stream) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgotten.Store(true)
	s.rec.recorder.memory.Add(s.bytes)
	s.messages, s.bytes = nil, 0
	if s.done { // and the exchange waits to be handed out
		s.rec.request.body.forget(&s.rec.recorder.parts)
		s.rec.response.body.forget(&s.rec.recorder.parts)
	}
}

// Snapshot is the exchange so far; at its end, it is the one that OnExchange gets.
// Before that the answer's body is not in it, and the request's only if all of it
// has come.
func (s *Stream) Snapshot() Exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.exchange
	if s.done {
		return x
	}
	x.Duration = time.Since(x.Start)
	x.BytesIn, x.BytesOut = s.in.Load(), s.out.Load()
	if forgotten := s.forgotten.Load(); forgotten || !s.rec.requestOver() {
		x.RequestBody = &Body{Truncated: forgotten && s.in.Load() > 0}
	}
	x.ResponseBody = new(Body)
	return x
}

// Messages are those that are kept, beginning with the one of this number; the first
// message of the stream has the number 0. Skipped counts the ones in front that are
// no longer there: the next call's number is from + skipped + len(messages).
func (s *Stream) Messages(from int) (messages []exchange.StreamMessage, skipped int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from = min(max(from, 0), s.count)
	first := s.count - len(s.messages)
	skipped = max(0, first-from)
	return slices.Clone(s.messages[from+skipped-first:]), skipped
}

// Count is the number of messages that have passed.
func (s *Stream) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// Done reports whether the exchange is over.
func (s *Stream) Done() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done
}

// Readable reports whether the messages can be told: the protocol is known and
// nothing has come that is none of it.
func (s *Stream) Readable() bool { return s.decoder != nil && !s.decoder.Broken() }
