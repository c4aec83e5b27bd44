package mux

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"culvert/backend/wire"
	"culvert/backend/wsframe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sockets gives both ends of one WebSocket over a real TCP connection. The
// backend is the server, as in life. They are closed when the test ends.
func sockets(t testing.TB) (backend, agent *websocket.Conn) {
	t.Helper()
	accepted := make(chan *websocket.Conn, 1)
	up := websocket.Upgrader{
		Subprotocols: []string{wire.Subprotocol},
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			t.Errorf("upgrade: %v", err)
			close(accepted)
			return
		}
		accepted <- ws
	}))
	t.Cleanup(srv.Close)
	d := websocket.Dialer{
		Subprotocols: []string{wire.Subprotocol},
	}
	agent, _, err := d.DialContext(t.Context(), "ws"+strings.TrimPrefix(srv.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	backend = <-accepted
	if backend == nil {
		t.FailNow()
	}
	t.Cleanup(func() { agent.Close(); backend.Close() })
	return backend, agent
}

// framed takes a WebSocket over from gorilla, which has read nothing beyond the handshake.
func framed(ws *websocket.Conn, client bool) *wsframe.Conn {
	return wsframe.New(ws.NetConn(), nil, client, wire.MaxMessage)
}

// running is a Conn under Run.
type running struct {
	*Conn
	result chan error
}

// run runs a connection, and closes it when the test ends.
func run(t testing.TB, c *Conn) *running {
	r := &running{c, make(chan error, 1)}
	go func() { r.result <- c.Run(context.Background()) }()
	t.Cleanup(func() {
		r.Close(websocket.CloseNormalClosure, "")
		<-c.Done()
		// Whoever has read result already has put it back.
		r.wait(t)
	})
	return r
}

// wait gives what Run gave.
func (r *running) wait(t testing.TB) error {
	t.Helper()
	select {
	case err := <-r.result:
		r.result <- err
		return err
	case <-time.After(20 * time.Second):
		t.Error("Run did not return")
		return nil
	}
}

// pair runs both ends, with handler on the agent's.
func pair(t testing.TB, handler func(*Stream)) (backend, agent *running) {
	t.Helper()
	return pairConfig(t, Config{}, Config{Handler: handler})
}

func pairConfig(t testing.TB, forBackend, forAgent Config) (backend, agent *running) {
	t.Helper()
	b, a := sockets(t)
	return run(t, New(framed(b, false), forBackend)), run(t, New(framed(a, true), forAgent))
}

func get(target string) *wire.RequestHead {
	return &wire.RequestHead{Method: "GET", Target: target, Host: "example.com"}
}

func post(target string) *wire.RequestHead {
	return &wire.RequestHead{Method: "POST", Target: target, Host: "example.com", ContentLength: -1}
}

func ok() *wire.ResponseHead { return &wire.ResponseHead{Status: 200, ContentLength: -1} }

func open(t testing.TB, c *running, h *wire.RequestHead, end bool) *Stream {
	t.Helper()
	s, err := c.Open(h, end)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func readHead(t testing.TB, s *Stream) *wire.ResponseHead {
	t.Helper()
	h, err := s.ReadHead(t.Context())
	if err != nil {
		t.Fatalf("ReadHead: %v", err)
	}
	return h
}

// wantReset wants err to be a reset with this code.
func wantReset(t testing.TB, err error, code wire.ResetCode) {
	t.Helper()
	var reset *wire.ResetError
	if !errors.As(err, &reset) || reset.Code != code {
		t.Errorf("error %v, want a reset with code %d", err, code)
	}
}

// receive waits for ch, but not for ever.
func receive[T any](t testing.TB, ch <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: nothing came", what)
	}
	return v
}

// echo answers with the request's body, as it comes.
func echo(s *Stream) {
	if err := s.WriteHead(ok(), false); err != nil {
		return
	}
	if _, err := io.Copy(s, struct{ io.Reader }{s}); err != nil {
		return
	}
	s.CloseWrite(s.RequestTrailer())
}
