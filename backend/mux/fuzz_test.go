package mux

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/gorilla/websocket"

	"culvert/backend/wire"
)

// FuzzMessages feeds messages to both kinds of connection, the way the reader
// goroutine does. Whatever comes, the error is the peer's, no stream is left, and
// the window budget is whole in the end.
func FuzzMessages(f *testing.F) {
	body := frame(1, wire.FrameData, false, bytes.Repeat([]byte("x"), 5000))
	request := requestFrame(f, 1, post("/a"), false)
	f.Add(append(bytes.Clone(request), append(bytes.Clone(body), frame(1, wire.FrameData, true, nil)...)...))
	f.Add(append(bytes.Clone(request), wire.AppendReset(wire.AppendWindow(nil, 1, 70000), 1, wire.ResetCancel, "")...))
	f.Add(append(requestFrame(f, 7, get("/"), true), requestFrame(f, 8, get("/"), true)...))
	f.Add(append(responseFrame(f, 1, 103, false), append(responseFrame(f, 1, 200, false), body...)...))
	f.Add(append(responseFrame(f, 1, 101, false), frame(1, wire.FrameTrailers, false, []byte{1, 1, 'A', 0})...))
	f.Fuzz(func(t *testing.T, message []byte) {
		for _, handler := range []func(*Stream){nil, echo} {
			c := New(framed(offline(t), false), Config{Handler: handler, MaxStreams: 3})
			var s *Stream
			if handler == nil {
				var err error
				if s, err = c.Open(post("/"), false); err != nil {
					t.Fatal(err)
				}
			}
			r := &reader{c: c, message: bytes.NewReader(message)}
			if err := r.frames(); err != nil && !errors.Is(err, wire.ErrProtocol) {
				t.Fatalf("error %v is no protocol error", err)
			}
			if s != nil {
				if n, _ := s.Buffered(); n > wire.InitialWindow {
					t.Fatalf("%d bytes are buffered, the window is %d", n, wire.InitialWindow)
				}
				if n, ended := s.Buffered(); ended {
					got, err := io.ReadAll(s)
					if err == nil && len(got) != n {
						t.Fatalf("read %d bytes of %d", len(got), n)
					}
				}
			}
			c.Close(websocket.CloseNormalClosure, "")
			c.serving.Wait()
			if s != nil {
				s.Reset(wire.ResetCancel, "")
			}
			if n := c.Streams(); n != 0 {
				t.Fatalf("%d streams are left", n)
			}
			if got := c.budget.Load(); got != windowBudget {
				t.Fatalf("%d bytes of the budget are missing", windowBudget-got)
			}
		}
	})
}

// offline gives a WebSocket whose peer takes everything and says nothing.
func offline(t *testing.T) *websocket.Conn {
	server, client := net.Pipe()
	t.Cleanup(func() { client.Close() })
	go io.Copy(io.Discard, client)
	r, err := http.NewRequest("GET", "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="},
	}
	rw := bufio.NewReadWriter(bufio.NewReader(server), bufio.NewWriter(server))
	ws, err := (&websocket.Upgrader{}).Upgrade(hijacked{conn: server, rw: rw}, r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ws
}
