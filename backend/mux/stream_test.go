package mux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"culvert/backend/wire"
)

func TestHeadsArriveAsSent(t *testing.T) {
	t.Parallel()
	want := &wire.RequestHead{
		Method: "PROPFIND", Target: "/a%2Fb//c?x=%zz", Host: "shop.example.com", Prefix: "/shop",
		RemoteAddr: "203.0.113.7", ContentLength: 0, Upgrade: "websocket",
		Header: http.Header{"X-A": {"1", "2"}, "Cookie": {"a=b"}},
	}
	got := make(chan *wire.RequestHead, 1)
	backend, _ := pair(t, func(s *Stream) {
		got <- s.Request()
		s.WriteHead(&wire.ResponseHead{Status: 103, ContentLength: -1, Header: http.Header{"Link": {"</a>"}}}, false)
		s.WriteHead(&wire.ResponseHead{Status: 204, ContentLength: -1, Header: http.Header{"Set-Cookie": {"a=1", "b=2"}}}, true)
	})
	s := open(t, backend, want, true)
	if h := readHead(t, s); h.Status != 103 || h.Header.Get("Link") != "</a>" {
		t.Errorf("first head %+v", h)
	}
	h := readHead(t, s)
	if diff := cmp.Diff(&wire.ResponseHead{Status: 204, ContentLength: -1, Header: http.Header{"Set-Cookie": {"a=1", "b=2"}}}, h); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, receive(t, got, "request")); diff != "" {
		t.Error(diff)
	}
	if n, err := s.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("Read = %d, %v, want EOF", n, err)
	}
	if _, err := s.ReadHead(t.Context()); err == nil {
		t.Error("a third head was read")
	}
	if n := backend.Streams(); n != 0 {
		t.Errorf("%d streams open, want none", n)
	}
}

func TestEchoOfRandomSizes(t *testing.T) {
	t.Parallel()
	backend, agent := pair(t, echo)
	sizes := []int{0, 1, 4095, 4096, 4097, wire.InitialWindow - 1, wire.InitialWindow, wire.InitialWindow + 1,
		wire.MaxData, wire.MaxData + 1, wire.MaxMessage + 1, 3 << 20}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		sizes = append(sizes, rng.IntN(200_000))
	}
	var wg sync.WaitGroup
	for i, size := range sizes {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(3, uint64(i)))
			body := make([]byte, size)
			for j := range body {
				body[j] = byte(rng.Uint32())
			}
			s, err := backend.Open(post(fmt.Sprint("/", size)), false)
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Reset(wire.ResetCancel, "")
			var sending sync.WaitGroup
			defer sending.Wait()
			sending.Go(func() {
				for rest := body; len(rest) > 0; {
					n := min(len(rest), 1+rng.IntN(100_000))
					if _, err := s.Write(rest[:n]); err != nil {
						t.Errorf("size %d: %v", size, err)
						return
					}
					rest = rest[n:]
				}
				if err := s.CloseWrite(http.Header{"X-Size": {fmt.Sprint(size)}}); err != nil {
					t.Errorf("size %d: %v", size, err)
				}
			})
			if _, err := s.ReadHead(t.Context()); err != nil {
				t.Errorf("size %d: %v", size, err)
				return
			}
			got, err := io.ReadAll(s)
			if err != nil || !bytes.Equal(got, body) {
				t.Errorf("size %d: %d bytes came back (%v)", size, len(got), err)
			}
			if got := s.Trailer().Get("X-Size"); got != fmt.Sprint(size) {
				t.Errorf("size %d: trailer %q", size, got)
			}
		})
	}
	wg.Wait()
	if err := backend.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if err := agent.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	for _, c := range []*running{backend, agent} {
		if got := c.budget.Load(); got != windowBudget {
			t.Errorf("%d bytes of the window budget are missing", windowBudget-got)
		}
	}
}

func TestWriteLastEndsInBothDirections(t *testing.T) {
	t.Parallel()
	backend, _ := pair(t, func(s *Stream) {
		body, err := io.ReadAll(s)
		if err != nil {
			t.Error(err)
		}
		s.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: int64(len(body))}, false)
		s.WriteLast(bytes.ToUpper(body))
		if _, err := s.Write([]byte("x")); err == nil {
			t.Error("wrote after the end")
		}
	})
	s := open(t, backend, post("/"), false)
	body := bytes.Repeat([]byte("abc"), 50_000) // more than one window
	if n, err := s.WriteLast(body); n != len(body) || err != nil {
		t.Fatalf("WriteLast = %d, %v", n, err)
	}
	readHead(t, s)
	got, err := io.ReadAll(s)
	if err != nil || !bytes.Equal(got, bytes.ToUpper(body)) {
		t.Errorf("%d bytes came back (%v)", len(got), err)
	}
}

// The answer may end before the request does, and the request may go on.
func TestResponseEndsFirst(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	backend, agent := pair(t, func(s *Stream) {
		s.WriteHead(ok(), false)
		s.WriteLast([]byte("early"))
		body, err := io.ReadAll(s)
		got <- fmt.Sprint(string(body), err)
	})
	s := open(t, backend, post("/"), false)
	readHead(t, s)
	if body, err := io.ReadAll(s); string(body) != "early" || err != nil {
		t.Fatalf("answer %q, %v", body, err)
	}
	if n := backend.Streams(); n != 1 {
		t.Errorf("%d streams are open, want 1: the request goes on", n)
	}
	if _, err := s.WriteLast([]byte("late")); err != nil {
		t.Fatal(err)
	}
	if v := receive(t, got, "request body"); v != "late<nil>" {
		t.Errorf("request body %q", v)
	}
	if err := agent.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if n := backend.Streams(); n != 0 {
		t.Errorf("%d streams are open, want 0", n)
	}
}

func TestUpgradedStreamIsFullDuplex(t *testing.T) {
	t.Parallel()
	backend, _ := pair(t, func(s *Stream) {
		s.WriteHead(&wire.ResponseHead{Status: 101, ContentLength: -1, Header: http.Header{"Upgrade": {s.Request().Upgrade}}}, false)
		io.Copy(struct{ io.Writer }{s}, struct{ io.Reader }{s})
		s.CloseWrite(nil)
	})
	h := get("/ws")
	h.Upgrade = "websocket"
	s := open(t, backend, h, false)
	if head := readHead(t, s); head.Status != 101 || head.Header.Get("Upgrade") != "websocket" {
		t.Fatalf("head %+v", head)
	}
	for i := range 20 {
		msg := fmt.Appendf(nil, "message %d", i)
		if _, err := s.Write(msg); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(msg))
		if _, err := io.ReadFull(s, got); err != nil || !bytes.Equal(got, msg) {
			t.Fatalf("echo %q, %v", got, err)
		}
	}
	s.CloseWrite(nil)
	if _, err := s.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
}

func TestMisuseIsAnError(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	backend, agent := pair(t, func(s *Stream) {
		defer close(done)
		if _, err := s.Write([]byte("x")); err == nil {
			t.Error("body before head was written")
		}
		if err := s.WriteHead(&wire.ResponseHead{Status: 100, ContentLength: -1}, true); err == nil {
			t.Error("informational head ended the answer")
		}
		if err := s.WriteHead(&wire.ResponseHead{Status: 1000}, true); !errors.Is(err, wire.ErrProtocol) {
			t.Errorf("status 1000: %v", err)
		}
		if err := s.WriteHead(&wire.ResponseHead{Status: 200, Header: http.Header{"X": {"a\r\nb"}}}, true); !errors.Is(err, wire.ErrProtocol) {
			t.Errorf("header with CRLF: %v", err)
		}
		if err := s.WriteHead(ok(), false); err != nil { // nothing of the above was sent
			t.Error(err)
		}
		if err := s.WriteHead(ok(), false); err == nil {
			t.Error("second head was written")
		}
		if err := s.CloseWrite(http.Header{"X": {"\x00"}}); !errors.Is(err, wire.ErrProtocol) {
			t.Errorf("bad trailer: %v", err)
		}
		if err := s.CloseWrite(nil); err != nil {
			t.Error(err)
		}
		if err := s.CloseWrite(nil); err == nil {
			t.Error("ended twice")
		}
	})
	if _, err := backend.Open(&wire.RequestHead{Method: "GET", Target: "/a b"}, true); !errors.Is(err, wire.ErrProtocol) {
		t.Errorf("bad target: %v", err)
	}
	if n := backend.Streams(); n != 0 {
		t.Errorf("%d streams after a refused Open", n)
	}
	if _, err := agent.Open(get("/"), true); err == nil {
		t.Error("agent opened a stream")
	}
	s := open(t, backend, get("/"), true)
	if _, err := s.Write([]byte("x")); err == nil {
		t.Error("wrote after Open with end")
	}
	receive(t, done, "handler")
	readHead(t, s)
	if b, err := io.ReadAll(s); len(b) != 0 || err != nil {
		t.Errorf("answer %q, %v", b, err)
	}
}

func TestReadHeadGivesCauseOfContext(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	backend, _ := pair(t, func(s *Stream) {
		<-release
		s.WriteHead(ok(), true)
	})
	s := open(t, backend, get("/"), true)
	cause := errors.New("visitor has gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := s.ReadHead(ctx); err != cause {
		t.Errorf("ReadHead: %v, want %v", err, cause)
	}
	close(release)
	readHead(t, s) // the stream lives on
}

func TestIDsAreUniqueAndSkipOpenStreams(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	backend, _ := pair(t, func(s *Stream) {
		<-release
		s.WriteHead(ok(), true)
	})
	backend.mu.Lock()
	backend.lastID = 1<<32 - 2
	backend.mu.Unlock()
	first := open(t, backend, get("/"), true)
	second := open(t, backend, get("/"), true)
	if first.id != 1<<32-1 || second.id != 1 {
		t.Errorf("ids %d, %d: want the last one, then 1", first.id, second.id)
	}
	backend.mu.Lock()
	backend.lastID = 0
	backend.mu.Unlock()
	third := open(t, backend, get("/"), true)
	if third.id != 2 {
		t.Errorf("id %d, want 2: 1 is open", third.id)
	}
	if first.ID() == second.ID() || second.ID() == third.ID() {
		t.Errorf("IDs %s, %s, %s", first.ID(), second.ID(), third.ID())
	}
	close(release)
	for _, s := range []*Stream{first, second, third} {
		readHead(t, s)
	}
}

func TestBuffered(t *testing.T) {
	t.Parallel()
	backend, _ := pair(t, func(s *Stream) {
		s.WriteHead(ok(), false)
		s.Write([]byte("hello"))
		s.Read(make([]byte, 1)) // the visitor has looked
		s.CloseWrite(nil)
	})
	s := open(t, backend, post("/"), false)
	readHead(t, s)
	one := make([]byte, 1)
	if _, err := s.Read(one); err != nil {
		t.Fatal(err)
	}
	if n, ended := s.Buffered(); n != 4 || ended {
		t.Errorf("Buffered = %d, %v, want 4, false", n, ended)
	}
	s.WriteLast([]byte("x"))
	rest, err := io.ReadAll(s)
	if string(rest) != "ello" || err != nil {
		t.Errorf("rest %q, %v", rest, err)
	}
	if n, ended := s.Buffered(); n != 0 || !ended {
		t.Errorf("Buffered = %d, %v, want 0, true", n, ended)
	}
}

func TestTexts(t *testing.T) {
	t.Parallel()
	toAgent, toBackend := make(chan string, 10), make(chan string, 10)
	backend, agent := pairConfig(t,
		Config{OnText: func(b []byte) { toBackend <- string(b) }},
		Config{OnText: func(b []byte) { toAgent <- string(b) }, Handler: echo})
	for i := range 3 {
		if err := backend.SendText(fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		if got := receive(t, toAgent, "text"); got != fmt.Sprint(i) {
			t.Errorf("text %q, want %d", got, i)
		}
	}
	if err := agent.SendText([]byte("hi")); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, toBackend, "text"); got != "hi" {
		t.Errorf("text %q", got)
	}
	if err := agent.SendText(make([]byte, wire.MaxControlMessage+1)); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("large text: %v", err)
	}
	// What was said last before a close still arrives.
	backend.SendText([]byte("going away"))
	backend.Close(websocket.CloseGoingAway, "bye")
	if got := receive(t, toAgent, "text"); got != "going away" {
		t.Errorf("text %q", got)
	}
	var closed *CloseError
	if err := agent.wait(t); !errors.As(err, &closed) || closed.Code != websocket.CloseGoingAway || closed.Reason != "bye" {
		t.Errorf("agent ended with %v", err)
	}
	if err := backend.wait(t); err != ErrClosed {
		t.Errorf("backend ended with %v", err)
	}
	if err := backend.SendText([]byte("x")); err != ErrClosed {
		t.Errorf("SendText after the end: %v", err)
	}
}
