package mux

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/gorilla/websocket"

	"culvert/backend/wire"
)

func TestAgentResetsBeforeHead(t *testing.T) {
	t.Parallel()
	backend, _ := pair(t, func(s *Stream) { s.Reset(wire.ResetUnavailable, "nothing listens on port 3000") })
	s := open(t, backend, post("/"), false)
	_, err := s.ReadHead(t.Context())
	wantReset(t, err, wire.ResetUnavailable)
	if err.Error() != "stream reset: nothing listens on port 3000" {
		t.Errorf("message %q", err)
	}
	_, err = s.Read(make([]byte, 1))
	wantReset(t, err, wire.ResetUnavailable)
	_, err = s.Write([]byte("x"))
	wantReset(t, err, wire.ResetUnavailable)
	wantReset(t, s.CloseWrite(nil), wire.ResetUnavailable)
	wantReset(t, context.Cause(s.Context()), wire.ResetUnavailable)
	if n := backend.Streams(); n != 0 {
		t.Errorf("%d streams open", n)
	}
}

func TestAgentResetsAfterHead(t *testing.T) {
	t.Parallel()
	cut := make(chan struct{})
	backend, _ := pair(t, func(s *Stream) {
		s.WriteHead(ok(), false)
		s.Write([]byte("some"))
		<-cut
		s.Reset(wire.ResetInternal, "")
	})
	s := open(t, backend, get("/"), true)
	readHead(t, s)
	buf := make([]byte, 4)
	if _, err := io.ReadFull(s, buf); err != nil {
		t.Fatal(err)
	}
	close(cut)
	_, err := s.Read(buf)
	wantReset(t, err, wire.ResetInternal)
}

// What came before the reset is discarded: half an answer must not look whole.
func TestResetDiscardsWhatWasNotRead(t *testing.T) {
	t.Parallel()
	backend, _ := pair(t, func(s *Stream) {
		s.WriteHead(ok(), false)
		s.Write([]byte("some"))
		s.Reset(wire.ResetInternal, "")
	})
	s := open(t, backend, get("/"), true)
	<-s.Context().Done()
	_, err := s.ReadHead(t.Context())
	wantReset(t, err, wire.ResetInternal)
	n, err := s.Read(make([]byte, 10))
	wantReset(t, err, wire.ResetInternal)
	if n != 0 {
		t.Errorf("read %d bytes", n)
	}
}

func TestHandlerThatEndsNothingIsReset(t *testing.T) {
	t.Parallel()
	backend, _ := pair(t, func(s *Stream) {
		if s.Request().Target == "/half" {
			s.WriteHead(ok(), false)
			s.Write([]byte("half"))
		}
	})
	for _, target := range []string{"/", "/half"} {
		s := open(t, backend, get(target), true)
		<-s.Context().Done()
		_, err := s.Read(make([]byte, 1))
		wantReset(t, err, wire.ResetInternal)
	}
}

// A handler may answer without reading the request: the rest of it is refused,
// and the answer, which is complete, stays whole.
func TestAnswerSurvivesUnreadRequest(t *testing.T) {
	t.Parallel()
	answer := bytes.Repeat([]byte("answer"), 10_000)
	backend, agent := pair(t, func(s *Stream) {
		s.WriteHead(&wire.ResponseHead{Status: 413, ContentLength: int64(len(answer))}, false)
		s.WriteLast(answer)
	})
	s := open(t, backend, post("/"), false)
	_, err := s.Write(make([]byte, 10<<20)) // until the agent has had enough
	wantReset(t, err, wire.ResetCancel)
	if h := readHead(t, s); h.Status != 413 {
		t.Errorf("status %d", h.Status)
	}
	if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, answer) {
		t.Errorf("answer of %d bytes, %v", len(got), err)
	}
	if err := agent.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}

// A visitor who leaves wakes the handler, whatever it waits for.
func TestBackendResetWakesHandler(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]func(s *Stream) error{
		"read": func(s *Stream) error {
			_, err := s.Read(make([]byte, 1))
			return err
		},
		"write": func(s *Stream) error {
			_, err := s.Write(make([]byte, 4<<20))
			return err
		},
		"context": func(s *Stream) error {
			<-s.Context().Done()
			return context.Cause(s.Context())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			started, result := make(chan struct{}), make(chan error, 1)
			backend, agent := pair(t, func(s *Stream) {
				s.WriteHead(ok(), false)
				close(started)
				result <- wait(s)
			})
			s := open(t, backend, post("/"), false)
			<-started
			s.Reset(wire.ResetCancel, "visitor left")
			wantReset(t, receive(t, result, "handler"), wire.ResetCancel)
			if err := agent.Drain(t.Context()); err != nil {
				t.Error(err)
			}
			_, err := s.ReadHead(t.Context())
			wantReset(t, err, wire.ResetCancel)
		})
	}
}

// The request was complete; the visitor who leaves after it must end the context.
func TestBackendResetAfterItsEnd(t *testing.T) {
	t.Parallel()
	body, result := make(chan string, 1), make(chan error, 1)
	backend, _ := pair(t, func(s *Stream) {
		<-s.Context().Done()
		b, err := io.ReadAll(s) // came before the end: still readable
		body <- string(b)
		if err != nil {
			t.Error(err)
		}
		result <- s.WriteHead(ok(), true)
	})
	s := open(t, backend, post("/"), false)
	s.WriteLast([]byte("whole"))
	s.Reset(wire.ResetCancel, "")
	if got := receive(t, body, "body"); got != "whole" {
		t.Errorf("body %q", got)
	}
	wantReset(t, receive(t, result, "result"), wire.ResetCancel)
}

func TestTooManyStreams(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	backend, agent := pairConfig(t, Config{MaxStreams: 4}, Config{MaxStreams: 3, Handler: func(s *Stream) {
		<-release
		s.WriteHead(ok(), true)
	}})
	var streams []*Stream
	for range 3 {
		streams = append(streams, open(t, backend, get("/"), true))
	}
	// The agent refuses one more without harm to the connection.
	s := open(t, backend, get("/"), true)
	_, err := s.ReadHead(t.Context())
	wantReset(t, err, wire.ResetBusy)

	close(release)
	for _, s := range streams {
		readHead(t, s)
	}
	if err := agent.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	readHead(t, open(t, backend, get("/"), true)) // there is room again
}

func TestOpenRefusesOverItsLimit(t *testing.T) {
	t.Parallel()
	backend, _ := pairConfig(t, Config{MaxStreams: 2}, Config{Handler: func(s *Stream) { <-s.Context().Done() }})
	first := open(t, backend, get("/"), true)
	open(t, backend, get("/"), true)
	if _, err := backend.Open(get("/"), true); err != ErrTooManyStreams {
		t.Errorf("third Open: %v", err)
	}
	first.Reset(wire.ResetCancel, "")
	open(t, backend, get("/"), true)
}

func TestDrain(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	backend, agent := pair(t, func(s *Stream) {
		<-release
		s.WriteHead(ok(), true)
	})
	s := open(t, backend, get("/"), true)
	short, cancel := context.WithCancel(t.Context())
	cancel()
	if err := backend.Drain(short); !errors.Is(err, context.Canceled) {
		t.Errorf("Drain with a stream open: %v", err)
	}
	if _, err := backend.Open(get("/"), true); err != ErrGoingAway {
		t.Errorf("Open while draining: %v", err)
	}
	drained := make(chan error, 2)
	go func() { drained <- backend.Drain(t.Context()) }()
	go func() { drained <- agent.Drain(t.Context()) }()
	close(release)
	readHead(t, s)
	for range 2 {
		if err := receive(t, drained, "Drain"); err != nil {
			t.Error(err)
		}
	}
	if err := backend.Drain(t.Context()); err != nil {
		t.Errorf("Drain of a drained connection: %v", err)
	}
}

func TestEndOfConnectionWakesEverybody(t *testing.T) {
	t.Parallel()
	errs := make(chan error, 10)
	backend, agent := pair(t, func(s *Stream) {
		s.WriteHead(ok(), false)
		switch s.Request().Target {
		case "/read":
			_, err := s.Read(make([]byte, 1))
			errs <- err
		case "/write":
			_, err := s.Write(make([]byte, 4<<20))
			errs <- err
		case "/context":
			<-s.Context().Done()
			errs <- context.Cause(s.Context())
		}
	})
	var streams []*Stream
	for _, target := range []string{"/read", "/write", "/context"} {
		s := open(t, backend, post(target), false)
		readHead(t, s)
		streams = append(streams, s)
	}
	drained := make(chan error, 1)
	go func() { drained <- agent.Drain(t.Context()) }()
	backend.Close(websocket.CloseServiceRestart, "restarting")
	var closed *CloseError
	for range 3 {
		if err := receive(t, errs, "handler"); !errors.As(err, &closed) || closed.Reason != "restarting" {
			t.Errorf("handler was woken with %v", err)
		}
	}
	if err := receive(t, drained, "Drain"); err != nil && !errors.As(err, &closed) {
		t.Errorf("Drain: %v", err)
	}
	if err := agent.wait(t); !errors.As(err, &closed) {
		t.Errorf("agent's Run: %v", err)
	}
	for _, s := range streams {
		if _, err := s.Write([]byte("x")); err != ErrClosed {
			t.Errorf("Write: %v", err)
		}
	}
	if err := backend.wait(t); err != ErrClosed {
		t.Errorf("backend's Run: %v", err)
	}
	if _, err := backend.Open(get("/"), true); err != ErrClosed {
		t.Errorf("Open: %v", err)
	}
	if err := backend.Drain(t.Context()); err != nil && err != ErrClosed {
		t.Errorf("Drain: %v", err)
	}
	if err := backend.Probe(t.Context()); err != ErrClosed {
		t.Errorf("Probe: %v", err)
	}
}

// A whole answer that had arrived is still readable when the connection has gone.
func TestAnswerSurvivesTheConnection(t *testing.T) {
	t.Parallel()
	backend, agent := pair(t, func(s *Stream) {
		s.WriteHead(ok(), false)
		s.WriteLast([]byte("whole"))
	})
	s := open(t, backend, get("/"), true)
	if err := backend.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	agent.Close(websocket.CloseNormalClosure, "")
	backend.wait(t)
	readHead(t, s)
	if got, err := io.ReadAll(s); string(got) != "whole" || err != nil {
		t.Errorf("answer %q, %v", got, err)
	}
}
