package link

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"culvert/backend/mux"
	"culvert/backend/wire"
	"culvert/backend/wsframe"
)

// frameBackend is a backend that speaks form 2, for one agent.
type frameBackend struct {
	url   *url.URL
	conns chan *mux.Conn
	ended chan error
}

func newFrameBackend(t *testing.T, greeting string) *frameBackend {
	t.Helper()
	b := &frameBackend{conns: make(chan *mux.Conn, 1), ended: make(chan error, 1)}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		up := websocket.Upgrader{Subprotocols: []string{wire.Subprotocol}}
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			t.Errorf("upgrade: %v", err)
			return
		}
		if _, text, err := ws.ReadMessage(); err != nil || !strings.Contains(string(text), `"type":"ready"`) {
			t.Errorf("first message %s: %v", text, err)
		}
		_ = ws.WriteMessage(websocket.TextMessage, []byte(greeting))
		conn := mux.New(wsframe.New(ws.NetConn(), nil, false, wire.MaxMessage), mux.Config{})
		b.conns <- conn
		b.ended <- conn.Run(context.Background())
	}))
	t.Cleanup(srv.Close)
	var err error
	if b.url, err = url.Parse(srv.URL); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *frameBackend) agent(t *testing.T, handler func(wire.Exchange)) (*Link, *mux.Conn, <-chan error) {
	t.Helper()
	cfg := &Config{Backend: b.url, Handler: handler}
	l, err := cfg.Dial(t.Context(), Hello{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		done <- l.Run(ctx)
	}()
	conn := <-b.conns
	t.Cleanup(func() {
		cancel()
		<-ended
		<-conn.Done()
	})
	return l, conn, done
}

// get sends a request and gives the answer's body.
func get(t *testing.T, conn *mux.Conn, target string) (string, error) {
	t.Helper()
	s, err := conn.Open(&wire.RequestHead{Method: "GET", Target: target, Host: "x", Header: http.Header{}}, true)
	if err != nil {
		return "", err
	}
	defer s.Reset(wire.ResetCancel, "")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := s.ReadHead(ctx); err != nil {
		return "", err
	}
	body, err := io.ReadAll(s)
	return string(body), err
}

func hello(x wire.Exchange) {
	_ = x.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: -1, Header: http.Header{}}, false)
	_, _ = x.WriteLast([]byte("hello from " + x.Request().Target))
}

func TestFrames(t *testing.T) {
	t.Parallel()
	b := newFrameBackend(t, greetDeclared)
	l, conn, done := b.agent(t, hello)
	if est := l.Established(); est.Resume != "r" || est.Epoch != 1 || est.MaxAgeMS != 0 {
		t.Errorf("established = %+v", est)
	}
	if body, err := get(t, conn, "/a"); err != nil || body != "hello from /a" {
		t.Errorf("body %q, %v", body, err)
	}
	if err := l.Probe(t.Context()); err != nil {
		t.Errorf("probe = %v", err)
	}
	for _, text := range []string{
		`{"type":"error","code":"going_away","message":"restart"}`, `{"type":"weather"}`, `{`,
		`{"type":"error","request_id":"r1","code":"replaced","message":"not about the connection"}`,
	} {
		if err := conn.SendText([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	<-l.GoingAway()
	if body, err := get(t, conn, "/b"); err != nil || body != "hello from /b" {
		t.Errorf("after going_away: body %q, %v", body, err)
	}
	conn.Close(websocket.CloseGoingAway, "")
	if err := wait(t, done); err == nil || err.Error() != "the backend closed the connection: it stops or restarts" {
		t.Errorf("Run = %v", err)
	}
	if err := l.Probe(t.Context()); err == nil {
		t.Error("a link that has ended shows signs of life")
	}
}

func TestFramesPanicBreaksOneRequestOnly(t *testing.T) {
	t.Parallel()
	b := newFrameBackend(t, greetDeclared)
	_, conn, _ := b.agent(t, func(x wire.Exchange) {
		if x.Request().Target == "/panics" {
			panic("no way")
		}
		hello(x)
	})
	var reset *wire.ResetError
	if body, err := get(t, conn, "/panics"); !errors.As(err, &reset) || reset.Code != wire.ResetInternal || reset.Message != "the agent failed: see its log" {
		t.Errorf("got %q, %v", body, err)
	}
	if body, err := get(t, conn, "/a"); err != nil || body != "hello from /a" {
		t.Errorf("then %q, %v", body, err)
	}
}

func TestFramesReplaced(t *testing.T) {
	t.Parallel()
	b := newFrameBackend(t, greetDeclared)
	_, conn, done := b.agent(t, hello)
	if err := conn.SendText([]byte(`{"type":"error","code":"replaced","message":"taken over"}`)); err != nil {
		t.Fatal(err)
	}
	conn.Close(websocket.ClosePolicyViolation, "replaced")
	var refusal *wire.Error
	if err := wait(t, done); !errors.As(err, &refusal) || refusal.Code != wire.CodeReplaced {
		t.Errorf("Run = %v, want replaced", err)
	}
}

func TestFramesDrain(t *testing.T) {
	t.Parallel()
	b := newFrameBackend(t, greetDeclared)
	begun, release := make(chan struct{}), make(chan struct{})
	l, conn, _ := b.agent(t, func(x wire.Exchange) {
		if x.Request().Target == "/slow" {
			close(begun)
			<-release
		}
		hello(x)
	})
	slow := make(chan error, 1)
	go func() {
		_, err := get(t, conn, "/slow")
		slow <- err
	}()
	<-begun
	drained := make(chan error, 1)
	go func() { drained <- l.Drain(context.Background()) }()
	if body, err := get(t, conn, "/late"); err != nil || body != "hello from /late" {
		t.Errorf("a late request: %q, %v", body, err)
	}
	close(release)
	if err := wait(t, slow); err != nil {
		t.Errorf("the request under way: %v", err)
	}
	if err := wait(t, drained); err != nil {
		t.Errorf("drain = %v", err)
	}
}

func TestFramesCloseAndStop(t *testing.T) {
	t.Parallel()
	b := newFrameBackend(t, greetDeclared)
	l, _, done := b.agent(t, hello)
	l.Close()
	if err := wait(t, done); err == nil {
		t.Error("Run = nil")
	}
	if err := wait(t, b.ended); err == nil {
		t.Error("the backend did not notice")
	}
	// A link that is never run does not leak either.
	b = newFrameBackend(t, greetDeclared)
	cfg := &Config{Backend: b.url, Handler: hello}
	l, err := cfg.Dial(t.Context(), Hello{})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := wait(t, b.ended); err == nil {
		t.Error("the backend did not notice")
	}
}
