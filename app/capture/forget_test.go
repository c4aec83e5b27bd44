package capture

import (
	"strings"
	"testing"

	"culvert/backend/wire"
)

// TestForgetDropsWhatWasKept of a stream that goes on, and nothing of what follows.
func TestForgetDropsWhatWasKept(t *testing.T) {
	t.Parallel()
	const memory = 1 << 20
	r := newStreamed(t, Config{Bodies: true, Memory: memory})
	rec := r.Begin("1", &wire.RequestHead{Method: "POST", Target: "/chat", ContentLength: 6})
	rec.RequestBody([]byte("secret"))
	rec.ResponseHead(&events)
	s := soon(t, "stream", r.opened)
	rec.ResponseBody([]byte("data: before\n\n"))
	s.Forget()
	if got, skipped := s.Messages(0); len(got) != 0 || skipped != 1 || s.Count() != 1 {
		t.Errorf("kept %v, %d skipped, %d in all", got, skipped, s.Count())
	}
	if x := s.Snapshot(); x.RequestBody.Len() != 0 || !x.RequestBody.Truncated {
		t.Errorf("the request's body is shown: %q, cut %v", x.RequestBody.Bytes(), x.RequestBody.Truncated)
	}
	rec.ResponseBody([]byte("data: after\n\n"))
	if got, skipped := s.Messages(0); len(got) != 1 || string(got[0].Data) != "after" || skipped != 1 {
		t.Errorf("kept %v, %d skipped", got, skipped)
	}
	rec.End(nil)
	x := soon(t, "exchange", r.ended)
	if body := string(x.RequestBody.Bytes()) + string(x.ResponseBody.Bytes()); body != "" || !x.Truncated() {
		t.Errorf("%q is kept at the end, cut %v", body, x.Truncated())
	}
	if x.BytesIn != 6 || x.BytesOut != 27 {
		t.Errorf("counted %d, %d", x.BytesIn, x.BytesOut)
	}
	r.Close()
	if left := r.memory.Load(); left != memory {
		t.Errorf("%d of %d are left", left, memory)
	}
}

// TestForgetAtTheEnd is for a stream that waits to be handed out, and after that.
func TestForgetAtTheEnd(t *testing.T) {
	t.Parallel()
	const memory = 1 << 20
	held, resume := make(chan *Stream), make(chan struct{})
	var kept *Exchange
	r, err := New(Config{Bodies: true, Memory: memory,
		OnStream:   func(s *Stream) { held <- s; <-resume },
		OnExchange: func(x *Exchange) { x.Keep(); kept = x },
	})
	if err != nil {
		t.Fatal(err)
	}
	rec := r.Begin("1", &request)
	rec.ResponseHead(&events)
	rec.ResponseBody([]byte("data: " + strings.Repeat("x", 2*partSize) + "\n\n"))
	s := <-held
	rec.End(nil)
	s.Forget()
	close(resume)
	r.Close()
	if got, _ := kept.Stream.Messages(0); len(got) != 0 || kept.ResponseBody.Len() != 0 || kept.BytesOut == 0 {
		t.Errorf("%v and %d bytes are kept", got, kept.ResponseBody.Len())
	}
	s.Forget()
	if left := r.memory.Load(); left != memory {
		t.Errorf("%d of %d are left", left, memory)
	}
}

// TestForgetAmidTraffic is for the race detector.
func TestForgetAmidTraffic(t *testing.T) {
	t.Parallel()
	const memory = 1 << 20
	r := newStreamed(t, Config{Bodies: true, Memory: memory})
	rec := r.Begin("1", &wire.RequestHead{Method: "POST", Target: "/chat", ContentLength: -1})
	rec.ResponseHead(&events)
	s := soon(t, "stream", r.opened)
	side := func(step func()) chan struct{} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 1000 {
				step()
			}
		}()
		return done
	}
	sides := []chan struct{}{
		side(func() { rec.RequestBody([]byte("more")) }),
		side(func() { rec.ResponseBody([]byte("data: x\n\n")) }),
		side(func() {
			s.Forget()
			x := s.Snapshot()
			x.RequestBody.Bytes()
		}),
	}
	for _, done := range sides {
		<-done
	}
	rec.End(nil)
	soon(t, "exchange", r.ended)
	r.Close()
	if left := r.memory.Load(); left != memory {
		t.Errorf("%d of %d are left", left, memory)
	}
}
