package host

import (
	"context"
	"encoding/json"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"culvert/backend/lambda/event"
)

// timed has an invocation with time of its own, whose body is what is written to w.
func timed(t *testing.T, test func(t *testing.T, h *hosted, res io.ReadCloser, w *io.PipeWriter)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hostOf(t, RoleStream, nil)
		r, w := io.Pipe()
		defer w.Close()
		h.staff.stream = func(*event.Request) *event.Stream { return &event.Stream{Status: 200, Body: r} }
		res, err := h.Host.Stream(context.WithoutCancel(t.Context()), json.RawMessage(functionURL))
		if err != nil {
			t.Fatal(err)
		}
		test(t, h, res, w)
	})
}

// A visitor that reads nothing holds one of few executions for a minute, not for 15.
func TestVisitorWhoTakesNothing(t *testing.T) {
	timed(t, func(t *testing.T, h *hosted, res io.ReadCloser, w *io.PipeWriter) {
		var p [1024]byte
		_, _ = res.Read(p[:]) // the head
		go func() { _, _ = w.Write([]byte("x")) }()
		if n, err := res.Read(p[:]); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		time.Sleep(patience - time.Millisecond)
		synctest.Wait()
		if h.abandoned.Load() != 0 {
			t.Error("given up too early")
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		if n := h.abandoned.Load(); n != 1 {
			t.Fatalf("given up %d times", n)
		}
		if _, err := w.Write([]byte("x")); err != io.ErrClosedPipe {
			t.Errorf("the agent's side is still open: %v", err)
		}
		if line := h.out.line(t); line["level"] != "WARN" || line["msg"] != "stream given up" && line["message"] != "stream given up" {
			t.Errorf("%v", line)
		}
		_ = res.Close()
	})
}

// A service may be silent for as long as it likes, and a visitor slow.
func TestSlowIsNotStuck(t *testing.T) {
	timed(t, func(t *testing.T, h *hosted, res io.ReadCloser, w *io.PipeWriter) {
		var p [1024]byte
		_, _ = res.Read(p[:])
		for range 3 {
			time.Sleep(patience - time.Second) // the visitor
			go func() {
				time.Sleep(4 * patience) // the service
				_, _ = w.Write([]byte("x"))
			}()
			if n, err := res.Read(p[:]); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		_ = res.Close()
		time.Sleep(2 * patience)
		synctest.Wait()
		if n := h.abandoned.Load(); n != 0 {
			t.Errorf("given up %d times", n)
		}
		if line := h.out.line(t); line["level"] != "INFO" {
			t.Errorf("%v", line)
		}
	})
}
