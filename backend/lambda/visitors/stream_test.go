package visitors

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"culvert/backend/lambda/event"
	"culvert/backend/lambda/timer"
	"culvert/backend/wire"
)

// streamRequest begins a stream as a Function URL has it: 15 minutes.
func (w *world) streamRequest(t *testing.T, target string) *event.Stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	t.Cleanup(cancel)
	r := get(target)
	r.Kind = event.FunctionURL
	return w.v.Stream(ctx, r)
}

// streamer makes an agent whose service streams n parts, each after a pause.
func (w *world) streamer(n int, pause time.Duration, part func(i int) []byte) *fakeAgent {
	a := w.agent(everything...)
	a.serve = func(context.Context, *wire.HTTPRequest) *wire.HTTPResponse {
		return &wire.HTTPResponse{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}}
	}
	a.stream = func(ctx context.Context, i int) []byte {
		if timer.Wait(ctx, pause) != nil || i > n {
			return nil
		}
		return part(i)
	}
	return a
}

func TestStreamHeadComesAtOnce(t *testing.T) {
	for _, way := range []string{"", waiterConn} {
		bubbleNamed(t, "way "+way, func(t *testing.T, w *world) {
			w.named = way
			w.streamer(3, time.Second, func(i int) []byte { return []byte(strings.Repeat("x", i)) })
			start := time.Now()
			s := w.streamRequest(t, "/shop/events")
			if took := time.Since(start); took > 30*ms {
				t.Errorf("the head came after %v", took)
			}
			if s.Status != 200 || s.Header.Get("Content-Type") != "text/event-stream" {
				t.Errorf("%d %v", s.Status, s.Header)
			}
			var p [100]byte
			for i := 1; i <= 3; i++ {
				n, err := s.Body.Read(p[:])
				late := time.Since(start) - time.Duration(i)*time.Second
				if n != i || err != nil || late > mostStream || way != "" && late > 0 {
					t.Errorf("part %d: %d bytes, %v, %v late", i, n, err, late)
				}
			}
			if n, err := s.Body.Read(p[:]); n != 0 || err != io.EOF {
				t.Errorf("after the end: %d, %v", n, err)
			}
			s.Body.Close()
		})
	}
}

// A large download arrives whole and in order, and no faster than it is read: the
// agent never has more under way than its credit.
func TestStreamCredit(t *testing.T) {
	for _, way := range []string{"", waiterConn} {
		bubbleNamed(t, "way "+way, func(t *testing.T, w *world) {
			w.named = way
			const parts = 20
			var sent atomic.Int64
			a := w.streamer(parts, ms, func(i int) []byte {
				sent.Store(int64(i))
				return noise(9_000, byte(i))
			})
			s := w.streamRequest(t, "/shop/large")
			time.Sleep(time.Minute)
			synctest.Wait()
			if n := sent.Load(); n > creditWindow+1 {
				t.Errorf("%d parts were made without a reader", n)
			}
			got, err := io.ReadAll(s.Body)
			if err != nil {
				t.Fatal(err)
			}
			var want []byte
			for i := 1; i <= parts; i++ {
				want = append(want, noise(9_000, byte(i))...)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%d bytes, want %d", len(got), len(want))
			}
			s.Body.Close()
			if n := len(gotOf[*wire.Credit](a)); n > parts/(creditWindow/2)+4 {
				t.Errorf("%d credits for %d parts", n, parts)
			}
			if n := len(gotOf[*wire.Cancel](a)); n != 0 {
				t.Errorf("%d cancels of what came to its end", n)
			}
		})
	}
}

// The visitor who leaves ends the work of the local service.
func TestStreamVisitorLeaves(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.named = waiterConn
		a := w.streamer(1<<30, time.Second, func(int) []byte { return []byte("tick") })
		s := w.streamRequest(t, "/shop/events")
		io.ReadFull(s.Body, make([]byte, 12))
		read := make(chan error)
		go func() {
			_, err := io.ReadAll(s.Body)
			read <- err
		}()
		synctest.Wait()
		s.Body.Close() // while Read waits
		if err := <-read; err == nil {
			t.Error("the reader was told that this was all")
		}
		s.Body.Close()
		if n := len(gotOf[*wire.Cancel](a)); n > 1 {
			t.Errorf("%d cancels", n)
		}
		w.tasks.Wait() // ends only if the agent's service has ended
		if n := len(gotOf[*wire.Cancel](a)); n != 1 {
			t.Errorf("%d cancels", n)
		}
		if !w.lastTurn.ended {
			t.Error("the environment's connection is still taken")
		}
	})
}

// Time is up before the function's own end.
func TestStreamEndsInTime(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.named = waiterConn
		a := w.streamer(1<<30, 10*time.Second, func(int) []byte { return []byte("tick") })
		start := time.Now()
		s := w.streamRequest(t, "/shop/events")
		_, err := io.ReadAll(s.Body)
		if took := time.Since(start); !errors.Is(err, errCut) || took != 15*time.Minute-reserve {
			t.Errorf("ended after %v with %v", took, err)
		}
		s.Body.Close()
		w.tasks.Wait()
		if n := len(gotOf[*wire.Cancel](a)); n != 1 {
			t.Errorf("%d cancels", n)
		}
		if w.lastTurn.sustain < 10 {
			t.Errorf("the environment's connection was seen to %d times", w.lastTurn.sustain)
		}
	})
}

// Also if there always is another part.
func TestEndlessStreamEndsInTime(t *testing.T) {
	for _, way := range []string{"", waiterConn} {
		bubbleNamed(t, "way "+way, func(t *testing.T, w *world) {
			w.named = way
			w.streamer(1<<30, ms, func(int) []byte { return []byte("tick") }) // faster than it is read
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			r := get("/shop/events")
			r.Kind = event.FunctionURL
			s := w.v.Stream(ctx, r)
			var n int
			var err error
			for p := make([]byte, 4); err == nil && time.Since(start) < time.Minute; time.Sleep(50 * ms) {
				_, err = s.Body.Read(p)
				n++
			}
			if took := time.Since(start); !errors.Is(err, errCut) || took > 20*time.Second-reserve/2+50*ms {
				t.Errorf("ended after %v and %d reads with %v", took, n, err)
			}
			s.Body.Close()
		})
	}
}

// The head has to come as soon as that of any other answer.
func TestStreamWithoutHead(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		a := w.streamer(1, 0, func(int) []byte { return nil })
		a.serve = func(context.Context, *wire.HTTPRequest) *wire.HTTPResponse { return nil }
		start := time.Now()
		s := w.streamRequest(t, "/shop/events")
		if took := time.Since(start); s.Status != 504 || took != 28*time.Second {
			t.Errorf("%d after %v", s.Status, took)
		}
		if s.Body != nil {
			s.Body.Close()
		}
	})
}

// What gets lost of a stream is sent again.
func TestStreamLosses(t *testing.T) {
	for _, way := range []string{"", waiterConn} {
		bubbleNamed(t, "way "+way, func(t *testing.T, w *world) {
			w.named = way
			const parts = 40
			a := w.streamer(parts, 20*ms, func(i int) []byte { return []byte{byte(i)} })
			var n atomic.Int64
			a.send = func(text []byte) {
				if n.Add(1)%3 != 0 {
					w.fromAgent(agentConn, text)
				}
			}
			var losing atomic.Bool
			losing.Store(true)
			receive := w.agents[agentConn]
			w.agents[agentConn] = func(text []byte) {
				// The first credit is lost, too.
				if strings.Contains(string(text), `"credit"`) && !strings.Contains(string(text), "http_request") && losing.Swap(false) {
					return
				}
				receive(text)
			}
			s := w.streamRequest(t, "/shop/events")
			start := time.Now()
			got, err := io.ReadAll(s.Body)
			if err != nil || len(got) != parts {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			for i, b := range got {
				if int(b) != i+1 {
					t.Fatalf("part %d came as number %d", b, i+1)
				}
			}
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %v", took)
			}
			s.Body.Close()
		})
	}
}

// A stream follows its agent to another connection.
func TestStreamFollows(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.named = waiterConn
		const parts = 60
		var a *fakeAgent
		a = w.streamer(parts, 10*ms, func(i int) []byte {
			if i == 20 {
				w.set(func() { delete(w.agents, agentConn) })
				a.connect("agent2=")
			}
			return []byte{byte(i)}
		})
		s := w.streamRequest(t, "/shop/events")
		got, err := io.ReadAll(s.Body)
		if err != nil || len(got) != parts {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		s.Body.Close()
		if n := w.counted("marks"); n != 0 {
			t.Errorf("marked as left %d times", n)
		}
	})
}

// An agent may end a stream with an error: what came before reaches the visitor, but
// not as the whole.
func TestStreamFails(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.named = waiterConn
		a := w.streamer(1<<30, 10*ms, nil)
		a.stream = func(ctx context.Context, i int) []byte {
			if i == 3 {
				a.mu.Lock()
				var id string
				for id = range a.requests {
				}
				a.mu.Unlock()
				a.emit(&wire.ErrorMessage{RequestID: id, Code: wire.CodeInternal, Message: "the service has crashed", Session: a.session})
				<-ctx.Done()
			}
			if timer.Wait(ctx, 10*ms) != nil {
				return nil
			}
			return []byte{byte(i)}
		}
		s := w.streamRequest(t, "/shop/events")
		got, err := io.ReadAll(s.Body)
		if len(got) != 2 || !errors.Is(err, errCut) || !strings.Contains(err.Error(), "crashed") {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		s.Body.Close()
		for _, p := range a.requests {
			p.cancel()
		}
	})
}

// A whole answer to a request that could have been streamed, and agents that cannot.
func TestStreamOfWholeAnswers(t *testing.T) {
	for name, caps := range map[string][]wire.Capability{
		"stream": everything, "no stream": without(everything, wire.CapStream), "original": nil,
	} {
		bubbleNamed(t, name, func(t *testing.T, w *world) {
			a := w.agent(caps...)
			a.serve = func(context.Context, *wire.HTTPRequest) *wire.HTTPResponse {
				return &wire.HTTPResponse{StatusCode: 201, Header: http.Header{"X-A": {"1"}}, Body: []byte("whole")}
			}
			s := w.streamRequest(t, "/shop/")
			body, err := io.ReadAll(s.Body)
			if s.Status != 201 || s.Header.Get("X-A") != "1" || string(body) != "whole" || err != nil {
				t.Errorf("%d %v %q %v", s.Status, s.Header, body, err)
			}
			s.Body.Close()
			if !w.lastTurn.ended {
				t.Error("the environment's connection is still taken")
			}
		})
	}
	bubbleNamed(t, "error", func(t *testing.T, w *world) {
		if s := w.streamRequest(t, "/nothing/"); s.Status != 404 {
			t.Errorf("%d", s.Status)
		}
	})
}

// A silent stream costs little.
func TestSilentStream(t *testing.T) {
	for way, most := range map[string]int{"": 1000, waiterConn: 300} {
		bubbleNamed(t, "way "+way, func(t *testing.T, w *world) {
			w.named = way
			w.streamer(1, 14*time.Minute, func(int) []byte { return []byte("at last") })
			s := w.streamRequest(t, "/shop/events")
			w.resetCounts()
			p := make([]byte, 100)
			if n, err := s.Body.Read(p); n != 7 || err != nil {
				t.Fatalf("%d, %v", n, err)
			}
			reads, posts := w.counted("reads"), w.counted("posts")
			if reads > most || posts > 35 {
				t.Errorf("%d reads, %d posts", reads, posts)
			}
			s.Body.Close()
		})
	}
}

// An agent that waits for credit repeats its latest part: it gets the credit again at
// once, not when the stream has been silent for long.
func TestCreditIsRepeated(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.named = waiterConn
		const parts = 30
		a := w.streamer(parts, ms, func(i int) []byte { return []byte{byte(i)} })
		var latest atomic.Pointer[[]byte]
		a.send = func(text []byte) {
			latest.Store(&text)
			w.fromAgent(agentConn, text)
		}
		receive := w.agents[agentConn]
		var credits atomic.Int64
		w.agents[agentConn] = func(text []byte) {
			if strings.Contains(string(text), `"type":"credit"`) {
				if credits.Add(1) <= 2 { // what the first half of the window allows, and the second
					return
				}
			}
			receive(text)
		}
		w.tasks.Go(func() {
			time.Sleep(2 * time.Second)
			w.fromAgent(agentConn, *latest.Load())
		})
		s := w.streamRequest(t, "/shop/events")
		start := time.Now()
		got, err := io.ReadAll(s.Body)
		if err != nil || len(got) != parts {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("took %v", took)
		}
		s.Body.Close()
	})
}

func TestWindow(t *testing.T) {
	t.Parallel()
	w := newWindow()
	add := func(seq int, last, fresh bool) {
		t.Helper()
		got, err := w.add(seq, []byte{byte(seq)}, last)
		if err != nil || got != fresh {
			t.Errorf("add(%d, %v) = %v, %v", seq, last, got, err)
		}
	}
	add(2, false, true)
	add(2, false, false)
	add(creditWindow+1, false, false) // beyond its credit
	add(0, false, true)
	if m := w.missing("r"); len(m.Seqs) != 1 || m.Seqs[0] != 1 || *m.From != 3 {
		t.Errorf("missing %+v", m)
	}
	if _, _, ok := w.pop(); !ok {
		t.Error("nothing to pop")
	}
	if _, _, ok := w.pop(); ok {
		t.Error("popped what is missing")
	}
	add(0, false, false)
	add(1, false, true)
	add(4, true, true)
	if _, err := w.add(5, nil, false); err == nil {
		t.Error("a part after the last")
	}
	if _, err := w.add(3, nil, true); err == nil {
		t.Error("another last part")
	}
	if m := w.missing("r"); len(m.Seqs) != 1 || m.Seqs[0] != 3 || m.From != nil {
		t.Errorf("missing %+v", m)
	}
	add(3, false, true)
	if w.missing("r") != nil || !w.complete() {
		t.Error("something is missing")
	}
	for range 4 {
		if _, credit, ok := w.pop(); !ok || credit != 0 {
			t.Errorf("pop: %v, credit %d after the end is known", ok, credit)
		}
	}
	if !w.done() {
		t.Error("not done")
	}
}
