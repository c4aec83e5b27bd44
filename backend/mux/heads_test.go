package mux

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/gorilla/websocket"

	"culvert/backend/wire"
)

// Heads are not under flow control. These tests want them bounded all the same.

// large is a head's fields of some 100 KB.
func large() http.Header { return http.Header{"X-Large": {strings.Repeat("x", 100<<10)}} }

func TestNoMoreRequestsForAnAgentThatTakesNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, a := pipes(t)
		defer a.Close()
		backend := bubble(New(framed(b, false), Config{}))
		opened := 0
		head := get("/")
		head.Header = large()
		var err error
		for ; opened < 500; opened++ {
			if _, err = backend.Open(head, true); err != nil {
				break
			}
			synctest.Wait() // the first one is under way
		}
		if !errors.Is(err, ErrTooManyStreams) || opened < 30 || opened > 50 {
			t.Errorf("%d requests of 100 KB were taken, then %v", opened, err)
		}
		if n := backend.Streams(); n != opened {
			t.Errorf("%d streams are open, want %d", n, opened)
		}
		if err := <-backend.result; !errors.Is(err, ErrDead) {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestAnswersWaitForABackendThatTakesNone(t *testing.T) {
	t.Parallel()
	const streams = 300
	synctest.Test(t, func(t *testing.T) {
		b, a := pipes(t)
		var written atomic.Int32
		agent := bubble(New(framed(a, true), Config{Handler: func(s *Stream) {
			if err := s.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: -1, Header: large()}, true); err != nil {
				t.Error(err)
			}
			written.Add(1)
		}}))
		for id := range uint32(streams) {
			if err := b.WriteMessage(websocket.BinaryMessage, requestFrame(t, id+1, get("/"), true)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		// As many may be on their way, and as many wait.
		if n := written.Load(); n < 30 || n > 90 {
			t.Errorf("%d answers of 100 KB wait in memory", n)
		}
		go io.Copy(io.Discard, b.NetConn())
		synctest.Wait()
		if n := written.Load(); n != streams {
			t.Errorf("%d answers were written once they were taken, want %d", n, streams)
		}
		agent.Close(websocket.CloseNormalClosure, "")
		if err := <-agent.result; err != ErrClosed {
			t.Errorf("Run: %v", err)
		}
	})
}
