package visitors

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"culvert/backend/lambda/event"
	"culvert/backend/wire"
)

// slots are those of one tunnel.
type slots struct {
	free, taken, given int
	until              time.Time
	err                error
}

func (s *slots) Take(_ context.Context, _ string, until time.Time) (func(context.Context) error, bool, error) {
	if s.err != nil || s.free == 0 {
		return nil, false, s.err
	}
	s.free--
	s.taken++
	s.until = until
	return func(ctx context.Context) error {
		s.free++
		s.given++
		return ctx.Err() // also when the invocation was given up
	}, true, nil
}

func TestStreamsOfATunnelAreBounded(t *testing.T) {
	s := &slots{free: 1}
	bubble(t, func(c *Config) { c.Slots = s }, func(t *testing.T, w *world) {
		a := w.streamer(3, time.Second, func(int) []byte { return []byte("tick") })
		begun := time.Now()
		first := w.streamRequest(t, "/shop/events")
		if first.Status != 200 || s.taken != 1 {
			t.Fatalf("status %d, %d taken", first.Status, s.taken)
		}
		if end := begun.Add(15 * time.Minute); s.until.Before(end.Add(-time.Second)) || s.until.After(end) {
			t.Errorf("taken for %v", s.until.Sub(begun))
		}
		second := w.streamRequest(t, "/shop/events")
		if second.Status != 429 || second.Header.Get("Retry-After") == "" {
			t.Errorf("a second of one: %d %v", second.Status, second.Header)
		}
		if n := len(gotOf[*wire.HTTPRequest](a)); n != 1 {
			t.Errorf("the agent got %d requests", n)
		}
		// Whole answers of the other gateway need none.
		if answer := w.serve(get("/shop/")); answer.Status != 200 || s.taken != 1 {
			t.Errorf("%d, %d taken", answer.Status, s.taken)
		}
		if _, err := io.ReadAll(first.Body); err != nil {
			t.Error(err)
		}
		first.Body.Close()
		first.Body.Close()
		if s.given != 1 {
			t.Errorf("given back %d times", s.given)
		}
		third := w.streamRequest(t, "/shop/events")
		if third.Status != 200 {
			t.Errorf("after the first one's end: %d", third.Status)
		}
		third.Body.Close() // the visitor leaves
		if s.given != 2 || w.log.Len() > 0 {
			t.Errorf("given back %d times\n%s", s.given, &w.log)
		}
	})
}

// Also what comes to nothing gives its slot back; and a count that fails fails nobody.
func TestSlotsOfWhatIsNoStream(t *testing.T) {
	s := &slots{free: 1}
	bubble(t, func(c *Config) { c.Slots = s }, func(t *testing.T, w *world) {
		stream := func(target string) *event.Stream {
			st := w.streamRequest(t, target)
			if st.Body != nil {
				_, _ = io.ReadAll(st.Body)
				st.Body.Close()
			}
			return st
		}
		if st := stream("/nobody/"); st.Status != 404 || s.taken != 0 {
			t.Errorf("no tunnel: %d, %d taken", st.Status, s.taken)
		}
		w.agent(everything...)
		w.set(func() { w.postErr = func(string, []byte) error { return errors.New("out of luck") } })
		if st := stream("/shop/"); st.Status < 500 || s.taken != 1 || s.given != 1 {
			t.Errorf("no agent: %d, %d taken, %d given back", st.Status, s.taken, s.given)
		}
		w.set(func() { w.postErr = nil })
		s.err = errors.New("throttled")
		if st := stream("/shop/"); st.Status != 200 {
			t.Errorf("no count: %d", st.Status)
		}
	})
}
