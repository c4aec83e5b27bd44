package capture

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"culvert/app/exchange"
	"culvert/backend/wire"
)

// streamed is what a Recorder with OnStream hands out.
type streamed struct {
	*Recorder
	mu     sync.Mutex
	calls  []string // "stream 7", "exchange 7"
	opened chan *Stream
	ended  chan *Exchange
}

func newStreamed(t *testing.T, cfg Config) *streamed {
	t.Helper()
	s := &streamed{opened: make(chan *Stream, 100), ended: make(chan *Exchange, 100)}
	cfg.OnStream = func(st *Stream) {
		x := st.Snapshot()
		s.note("stream " + x.ID)
		s.opened <- st
	}
	cfg.OnExchange = func(x *Exchange) {
		s.note("exchange " + x.ID)
		s.ended <- x
	}
	var err error
	if s.Recorder, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func (s *streamed) note(call string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call)
}

func soon[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatalf("no %s", what)
		panic("unreachable")
	}
}

var (
	upgrade = wire.RequestHead{Method: "GET", Target: "/ws", Upgrade: "websocket", Header: http.Header{"Sec-Websocket-Key": {"x"}}}
	changed = wire.ResponseHead{Status: 101, ContentLength: -1, Header: http.Header{"Upgrade": {"websocket"}}}
	events  = wire.ResponseHead{Status: 200, ContentLength: -1, Header: http.Header{"Content-Type": {"text/event-stream; charset=utf-8"}}}
)

// frame is an unmasked WebSocket frame of text.
func frame(text string) []byte {
	switch n := len(text); {
	case n < 126:
		return append([]byte{0x81, byte(n)}, text...)
	default:
		return append([]byte{0x81, 126, byte(n >> 8), byte(n)}, text...)
	}
}

// masked is the same from a visitor, with a mask that changes nothing.
func masked(text string) []byte {
	f := frame(text)
	f[1] |= 0x80
	return append(f[:len(f)-len(text)], append(make([]byte, 4), text...)...)
}

func TestWebSocketIsReadWhileItLasts(t *testing.T) {
	t.Parallel()
	r := newStreamed(t, Config{Bodies: true})
	rec := r.Begin("7", &upgrade)
	rec.ResponseHead(&changed)
	s := soon(t, "stream", r.opened)
	rec.RequestBody(masked("hello"))
	rec.ResponseBody(frame("good day")[:4]) // a message may come in pieces
	rec.ResponseBody(frame("good day")[4:])
	if s.Count() != 2 || s.Done() || !s.Readable() {
		t.Errorf("%d messages, done %v", s.Count(), s.Done())
	}
	got, skipped := s.Messages(0)
	want := []exchange.StreamMessage{
		{From: exchange.FromVisitor, Data: []byte("hello"), Size: 5}, {From: exchange.FromService, Data: []byte("good day"), Size: 8},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(exchange.StreamMessage{}, "Time")); diff != "" || skipped != 0 {
		t.Errorf("%d skipped, messages (-want +got):\n%s", skipped, diff)
	}
	if more, skipped := s.Messages(2); len(more) != 0 || skipped != 0 {
		t.Errorf("more: %v, %d", more, skipped)
	}
	x := s.Snapshot()
	if x.ID != "7" || x.Status != 101 || x.Stream != s || x.BytesIn != 11 || x.BytesOut != 10 || x.Duration <= 0 || x.RequestBody.Len() != 0 || x.ResponseBody.Len() != 0 {
		t.Errorf("so far %+v", x)
	}
	rec.ResponseBody(frame("bye"))
	rec.End(nil)
	end := soon(t, "exchange", r.ended)
	if end.Stream != s || !s.Done() || s.Count() != 3 || end.BytesOut != 15 {
		t.Errorf("at the end %+v", end)
	}
	if x := s.Snapshot(); x.BytesOut != 15 || x.Duration != end.Duration {
		t.Errorf("snapshot of the end %+v", x)
	}
	if more, _ := s.Messages(2); len(more) != 1 || string(more[0].Data) != "bye" {
		t.Errorf("kept %v", more)
	}
	if diff := cmp.Diff([]string{"stream 7", "exchange 7"}, r.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestEventsAreRead(t *testing.T) {
	t.Parallel()
	r := newStreamed(t, Config{Bodies: true})
	rec := r.Begin("1", &wire.RequestHead{Method: "POST", Target: "/chat", ContentLength: 4})
	rec.RequestBody([]byte("as"))
	rec.ResponseHead(&events) // before all of the request is there
	s := soon(t, "stream", r.opened)
	if x := s.Snapshot(); x.RequestBody.Len() != 0 {
		t.Errorf("half a request is shown: %q", x.RequestBody.Bytes())
	}
	rec.RequestBody([]byte("k?"))
	rec.ResponseBody([]byte("event: token\nid: 4\ndata: Hel\n"))
	rec.ResponseBody([]byte("data: lo\n\n"))
	got, _ := s.Messages(0)
	if len(got) != 1 || got[0].Kind != exchange.Event || got[0].Name != "token" || got[0].LastID != "4" || string(got[0].Data) != "Hel\nlo" {
		t.Errorf("events %+v", got)
	}
	if x := s.Snapshot(); string(x.RequestBody.Bytes()) != "ask?" || x.BytesOut != 39 {
		t.Errorf("so far %q, %d", x.RequestBody.Bytes(), x.BytesOut)
	}
	rec.End(nil)
	if x := soon(t, "exchange", r.ended); x.Stream != s {
		t.Errorf("stream %v", x.Stream)
	}
}

// TestPlainExchangesAreNoStreams, nor is anything without OnStream.
func TestPlainExchangesAreNoStreams(t *testing.T) {
	t.Parallel()
	head := func(kind string, status int) *wire.ResponseHead {
		return &wire.ResponseHead{Status: status, ContentLength: -1, Header: http.Header{"Content-Type": {kind}}}
	}
	r := newStreamed(t, Config{})
	for _, tt := range []struct {
		method string
		answer *wire.ResponseHead
		stream bool
	}{
		{"GET", head("text/html", 200), false},
		{"GET", head("text/event-streams", 200), false},
		{"GET", head("text/event-stream", 204), false},
		{"HEAD", head("text/event-stream", 200), false},
		{"GET", &wire.ResponseHead{Status: 200}, false},
		{"GET", head("Text/Event-Stream", 200), true},
		{"GET", &wire.ResponseHead{Status: 101, Header: http.Header{"Upgrade": {"other"}}}, true},
	} {
		rec := r.Begin("1", &wire.RequestHead{Method: tt.method})
		rec.ResponseHead(tt.answer)
		rec.ResponseBody([]byte("x"))
		rec.End(nil)
		if x := soon(t, "exchange", r.ended); (x.Stream != nil) != tt.stream {
			t.Errorf("%s, %v: stream %v", tt.method, tt.answer, x.Stream)
		} else if tt.answer.Status == 101 && (x.Stream.Readable() || x.Stream.Count() != 0) {
			t.Error("an unknown protocol is read")
		}
	}
	got, _ := recorded(t, Config{}, func(r *Recorder) {
		rec := r.Begin("1", &upgrade)
		rec.ResponseHead(&changed)
		rec.End(nil)
	})
	if got[0].Stream != nil {
		t.Error("a stream that nobody has asked for")
	}
}

// TestMessagesAreBounded by number, by size, and by the budget, from which all comes back.
func TestMessagesAreBounded(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		memory         int64
		messages, size int
		want           int // kept
	}{
		{"number", 64 << 20, MaxMessages + 100, 10, MaxMessages},
		{"size", 64 << 20, 100, 60_000, MaxMessageBytes / (60_000 + messageCost)},
		{"budget", 10 * (1000 + messageCost), 100, 1000, 10},
		{"no room for one", 1000, 3, 1000, 1},
		{"no room at all", messageCost - 1, 3, 10, 0},
	} {
		r := newStreamed(t, Config{Memory: tt.memory})
		rec := r.Begin("1", &upgrade)
		rec.ResponseHead(&changed)
		s := soon(t, "stream", r.opened)
		for i := range tt.messages {
			rec.ResponseBody(frame(fmt.Sprintf("%0*d", tt.size, i)))
		}
		got, skipped := s.Messages(0)
		if len(got) != tt.want || skipped != tt.messages-tt.want || s.Count() != tt.messages {
			t.Errorf("%s: %d kept and %d skipped of %d", tt.name, len(got), skipped, s.Count())
		}
		for i, m := range got {
			if want := fmt.Sprintf("%0*d", tt.size, skipped+i); string(m.Data) != want && !(m.Data == nil && m.Truncated) {
				t.Errorf("%s: message %d is %.20q, %v", tt.name, i, m.Data, m.Truncated)
				break
			}
		}
		if from := max(0, tt.messages-1); tt.want > 0 {
			if last, skipped := s.Messages(from); len(last) != 1 || skipped != 0 {
				t.Errorf("%s: the last one: %d, %d", tt.name, len(last), skipped)
			}
		}
		rec.End(nil)
		soon(t, "exchange", r.ended)
		r.Close()
		if left := r.memory.Load(); left != tt.memory {
			t.Errorf("%s: %d of %d bytes are back", tt.name, left, tt.memory)
		}
	}
}

// TestFullQueueAnnouncesLater: a stream that could not be announced when it began is
// when something passes on it.
func TestFullQueueAnnouncesLater(t *testing.T) {
	t.Parallel()
	inside, leave := make(chan bool, 10), make(chan bool)
	opened := make(chan *Stream, 1)
	r, err := New(Config{Queue: 1, OnStream: func(s *Stream) { opened <- s }, OnExchange: func(*Exchange) {
		inside <- true
		<-leave
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer close(leave)
	r.Begin("1", &request).End(nil)
	soon(t, "call", inside)
	r.Begin("2", &request).End(nil) // fills the queue
	rec := r.Begin("3", &upgrade)
	rec.ResponseHead(&changed)
	leave <- true
	soon(t, "call", inside)
	rec.ResponseBody(frame("x"))
	leave <- true
	s := soon(t, "stream", opened)
	if x := s.Snapshot(); x.ID != "3" || s.Count() != 1 {
		t.Errorf("stream %+v", x)
	}
	// Its end may be dropped; then it says so itself.
	r.Begin("4", &request).End(nil)
	soon(t, "call", inside)
	r.Begin("5", &request).End(nil)
	rec.End(nil)
	if !s.Done() {
		t.Error("the stream does not know its end")
	}
}

// TestStreamFromAllSides is for the race detector.
func TestStreamFromAllSides(t *testing.T) {
	t.Parallel()
	r := newStreamed(t, Config{Bodies: true, Memory: 1 << 20})
	rec := r.Begin("1", &upgrade)
	rec.ResponseHead(&changed)
	s := soon(t, "stream", r.opened)
	var traffic, readers sync.WaitGroup
	stop := make(chan bool)
	for range 2 {
		readers.Go(func() {
			for from := 0; ; {
				select {
				case <-stop:
					return
				default:
				}
				m, skipped := s.Messages(from)
				from += skipped + len(m)
				x := s.Snapshot()
				_, _, _ = x.RequestBody.Bytes(), x.ResponseBody.Bytes(), s.Count()
			}
		})
	}
	traffic.Go(func() {
		for i := range 500 {
			rec.RequestBody(masked(strings.Repeat("a", i)))
		}
	})
	traffic.Go(func() {
		for i := range 500 {
			rec.ResponseBody(frame(strings.Repeat("b", i)))
		}
	})
	traffic.Wait()
	rec.End(io.ErrUnexpectedEOF)
	soon(t, "exchange", r.ended)
	close(stop)
	readers.Wait()
	if s.Count() != 1000 {
		t.Errorf("%d messages", s.Count())
	}
}

func TestWaitedAndRepeats(t *testing.T) {
	t.Parallel()
	got, _ := recorded(t, Config{}, func(r *Recorder) {
		rec := r.Begin("1", &request)
		rec.Repeats("original")
		rec.ResponseHead(&wire.ResponseHead{Status: 103})
		rec.ResponseHead(&wire.ResponseHead{Status: 200})
		rec.ResponseBody([]byte("x"))
		rec.End(nil)
		r.Begin("2", &request).End(nil)
	})
	if x := got[0]; x.Waited <= 0 || x.Waited > x.Duration || x.ReplayOf != "original" {
		t.Errorf("waited %v of %v, repeats %q", x.Waited, x.Duration, x.ReplayOf)
	}
	if x := got[1]; x.Waited != 0 || x.ReplayOf != "" {
		t.Errorf("waited %v, repeats %q", x.Waited, x.ReplayOf)
	}
	var none *Record
	none.Repeats("x")
}

// TestBytesStay when the body goes: part buffers are used again, what was given out is not.
func TestBytesStay(t *testing.T) {
	t.Parallel()
	for _, length := range []int{10, 2 * partSize} {
		var given, before []byte
		r, err := New(Config{Bodies: true, OnExchange: func(x *Exchange) {
			if given == nil {
				given = x.ResponseBody.Bytes()
				before = bytes.Clone(given)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			rec := r.Begin("1", &request)
			rec.ResponseHead(&wire.ResponseHead{Status: 200, ContentLength: int64(length)})
			rec.ResponseBody(bytes.Repeat([]byte{byte('a' + i)}, length))
			rec.End(nil)
		}
		r.Close()
		if len(given) != length || !bytes.Equal(given, before) {
			t.Errorf("%d bytes have changed", length)
		}
	}
}
