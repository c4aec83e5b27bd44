package mux

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"culvert/backend/wire"
)

func TestReadPart(t *testing.T) {
	t.Parallel()
	body := bytes.Repeat([]byte("0123456789"), 30_000) // several frames, and a window
	backend, _ := pair(t, func(s *Stream) {
		s.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: int64(len(body))}, false)
		s.WriteLast(body)
	})
	s := open(t, backend, get("/"), true)
	readHead(t, s)
	var first [3]byte
	if _, err := io.ReadFull(s, first[:]); err != nil { // a part may have lost its start
		t.Fatal(err)
	}
	got := bytes.Clone(first[:])
	for {
		part, err := s.ReadPart(t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(part.Bytes()) == 0 || len(part.Bytes()) > wire.MaxData {
			t.Errorf("a part of %d bytes", len(part.Bytes()))
		}
		got = append(got, part.Bytes()...)
		part.Release()
	}
	if !bytes.Equal(got, body) {
		t.Errorf("%d bytes have come, and not as they were sent (%d)", len(got), len(body))
	}
	if got := backend.budget.Load(); got != windowBudget {
		t.Errorf("%d bytes of the budget are missing", windowBudget-got)
	}
}

func TestReadPartEnds(t *testing.T) {
	t.Parallel()
	backend, _ := pair(t, func(s *Stream) {
		s.WriteHead(ok(), false)
		<-s.Context().Done()
	})
	s := open(t, backend, get("/"), true)
	readHead(t, s)
	left := errors.New("the visitor has left")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(left)
	if _, err := s.ReadPart(ctx); err != left {
		t.Errorf("error %v", err)
	}
	s.Reset(wire.ResetCancel, "enough")
	_, err := s.ReadPart(t.Context())
	wantReset(t, err, wire.ResetCancel)
}

// A part that was taken stays what it is when the stream is reset and its memory goes to
// others.
func TestPartOutlivesItsStream(t *testing.T) {
	t.Parallel()
	backend, _ := pair(t, func(s *Stream) {
		s.WriteHead(ok(), false)
		s.WriteLast(bytes.Repeat([]byte(s.Request().Target[1:]), 20_000))
	})
	s := open(t, backend, get("/a"), true)
	readHead(t, s)
	part, err := s.ReadPart(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Reset(wire.ResetCancel, "")
	other := open(t, backend, get("/b"), true)
	readHead(t, other)
	if _, err := io.ReadAll(other); err != nil {
		t.Fatal(err)
	}
	if i := bytes.IndexFunc(part.Bytes(), func(r rune) bool { return r != 'a' }); i >= 0 {
		t.Errorf("byte %d is another's", i)
	}
	part.Release()
}

func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, a := pipes(t)
		more := make(chan struct{})
		backend, agent := bubble(New(framed(b, false), Config{})), bubble(New(framed(a, true), Config{Handler: func(s *Stream) {
			s.WriteHead(ok(), false)
			<-more
			s.WriteLast([]byte("x"))
		}}))
		s := open(t, backend, get("/"), true)
		readHead(t, s)
		begun := time.Now()
		s.Await(time.Second)
		if waited := time.Since(begun); waited != time.Second {
			t.Errorf("waited %v for nothing", waited)
		}
		close(more)
		s.Await(time.Hour)
		if waited := time.Since(begun); waited > 2*time.Second {
			t.Errorf("waited %v", waited)
		}
		if body, err := io.ReadAll(s); string(body) != "x" || err != nil { // the wake-up is still there
			t.Errorf("%q, %v", body, err)
		}
		backend.Close(closeNormal, "")
		<-backend.result
		<-agent.result
	})
}

// An answer of known length over a new stream's window gets a larger one at once; and
// the next stream has it from its beginning, without a message of its own.
func TestLargeAnswersGetTheirWindow(t *testing.T) {
	t.Parallel()
	const size = 200 << 10
	served := make(chan *Stream, 1)
	backend, _ := pair(t, func(s *Stream) {
		served <- s
		s.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: size}, false)
		s.WriteLast(make([]byte, size))
	})
	for i := range 2 {
		s := open(t, backend, get("/"), true)
		<-served
		readHead(t, s)
		// Nothing is read of the body: all of it has to come by the first window.
		for n := 0; n < size; n, _ = s.Buffered() {
			s.Await(time.Minute)
		}
		s.mu.Lock()
		window := s.window
		s.mu.Unlock()
		if want := []int{size, promptWindow}[i]; window != want {
			t.Errorf("stream %d: a window of %d, want %d", i, window, want)
		}
		if _, err := io.Copy(io.Discard, s); err != nil {
			t.Fatal(err)
		}
		s.Reset(wire.ResetCancel, "")
	}
	if got := backend.budget.Load(); got != windowBudget {
		t.Errorf("%d bytes of the budget are missing", windowBudget-got)
	}
}

func TestAfterEnd(t *testing.T) {
	t.Parallel()
	type outcome struct {
		called chan struct{}
		s      *Stream
	}
	served := make(chan outcome)
	backend, _ := pair(t, func(s *Stream) {
		o := outcome{make(chan struct{}), s}
		s.AfterEnd(func() { close(o.called) })
		served <- o
		<-s.Context().Done()
	})
	s := open(t, backend, get("/"), true)
	o := receive(t, served, "a stream")
	if !o.s.CancelAfterEnd() {
		t.Error("it was called before the end")
	}
	if o.s.CancelAfterEnd() {
		t.Error("taken back twice")
	}
	o.s.AfterEnd(func() { close(o.called) })
	s.Reset(wire.ResetCancel, "")
	receive(t, o.called, "the call")
	if o.s.CancelAfterEnd() {
		t.Error("taken back after the call")
	}
	late := make(chan struct{})
	o.s.AfterEnd(func() { close(late) })
	receive(t, late, "the call after the end")
}
