package relay

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"culvert/backend/mux"
	"culvert/backend/tunnel"
	"culvert/backend/wire"
	"culvert/backend/wsframe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patienceForTests ends a test that would hang; nothing waits for it otherwise.
const patienceForTests = 20 * time.Second

// testRelay is a relay on a real socket.
type testRelay struct {
	*Server
	t    testing.TB
	addr string
	base string // http://127.0.0.1:port
	log  *safeBuffer
	http *http.Client

	challenges sync.Map // *websocket.Conn → string
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func startRelay(t testing.TB, change func(*Config)) *testRelay {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startRelayOn(t, ln, change)
}

func startRelayOn(t testing.TB, ln net.Listener, change func(*Config)) *testRelay {
	t.Helper()
	r := &testRelay{t: t, addr: ln.Addr().String(), base: "http://" + ln.Addr().String(), log: &safeBuffer{}}
	cfg := Config{
		PublicURL: mustURL(r.base),
		Limits:    Limits{Grace: 2 * time.Second},
		Logger:    slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Version:   "test",
	}
	if change != nil {
		change(&cfg)
	}
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.Server = srv
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	transport := &http.Transport{DisableCompression: true}
	r.http = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		r.stop()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if t.Failed() {
			t.Logf("the relay's log:\n%s", r.log.String())
		}
	})
	return r
}

func (r *testRelay) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), patienceForTests)
	defer cancel()
	if err := r.Shutdown(ctx); err != nil {
		r.t.Errorf("Shutdown: %v", err)
	}
}

func mustURL(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	return u
}

// do sends a request and reads the whole answer.
func (r *testRelay) do(method, path string, body io.Reader, header ...string) (*http.Response, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.base+path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Add(header[i], header[i+1])
	}
	res, err := r.http.Do(req)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, path, err)
	}
	return res, string(text)
}

func (r *testRelay) get(path string, header ...string) (*http.Response, string) {
	r.t.Helper()
	return r.do("GET", path, nil, header...)
}

// raw is a TCP connection to the relay, for what no client library sends.
type raw struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func (r *testRelay) raw() *raw {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patienceForTests))
	r.t.Cleanup(func() { c.Close() })
	return &raw{c, r.t, bufio.NewReader(c)}
}

func (c *raw) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// answer reads one answer.
func (c *raw) answer(method string) (*http.Response, string, error) {
	res, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res, string(body), err
}

// dialAgent opens an agent's WebSocket.
func (r *testRelay) dialAgent(header http.Header, protocols ...string) (*websocket.Conn, *http.Response, error) {
	r.t.Helper()
	dialer := websocket.Dialer{Subprotocols: protocols, HandshakeTimeout: patienceForTests}
	ws, res, err := dialer.DialContext(r.t.Context(), "ws"+strings.TrimPrefix(r.base, "http")+"/", header)
	if err == nil {
		r.t.Cleanup(func() { ws.Close() })
	}
	return ws, res, err
}

func (r *testRelay) mustDialAgent(header http.Header, protocols ...string) *websocket.Conn {
	r.t.Helper()
	ws, res, err := r.dialAgent(header, protocols...)
	if err != nil {
		body := ""
		if res != nil {
			text, _ := io.ReadAll(res.Body)
			body = string(text)
		}
		r.t.Fatalf("the agent was refused: %v %s", err, body)
	}
	r.challenges.Store(ws, res.Header.Get(wire.ChallengeHeader))
	return ws
}

// prove is the owner's proof for the connection ws, to the relay called host.
func (r *testRelay) prove(ws *websocket.Conn, owner tunnel.OwnerKey, host string) string {
	challenge, _ := r.challenges.Load(ws)
	return owner.Sign(host, challenge.(string))
}

// object is a JSON message as an agent sees it that knows none of our code.
type object = map[string]any

func writeObject(t testing.TB, ws *websocket.Conn, o object) {
	t.Helper()
	if err := ws.WriteJSON(o); err != nil {
		t.Fatal(err)
	}
}

func readObject(t testing.TB, ws *websocket.Conn) object {
	t.Helper()
	ws.SetReadDeadline(time.Now().Add(patienceForTests))
	kind, text, err := ws.ReadMessage()
	if err != nil {
		t.Fatalf("reading a message: %v", err)
	}
	if kind != websocket.TextMessage {
		t.Fatalf("got a message of kind %d", kind)
	}
	var o object
	if err := json.Unmarshal(text, &o); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return o
}

// readClose reads until the connection ends, and gives its close code (0: none).
func readClose(t testing.TB, ws *websocket.Conn) int {
	t.Helper()
	ws.SetReadDeadline(time.Now().Add(patienceForTests))
	for {
		_, _, err := ws.ReadMessage()
		var closed *websocket.CloseError
		if errors.As(err, &closed) {
			return closed.Code
		}
		if err != nil {
			return 0
		}
	}
}

// agent1 is an agent in form 1, written from the table of messages alone.
type agent1 struct {
	ws     *websocket.Conn
	t      testing.TB
	tunnel string
	hello  object // connection_established
	done   chan struct{}
	mu     sync.Mutex // of writing
}

// startAgent1 connects an agent in form 1. serve answers each http_request, or
// returns nil to leave it be. It is called by one goroutine.
func (r *testRelay) startAgent1(ready object, serve func(a *agent1, request object) object) *agent1 {
	r.t.Helper()
	a := &agent1{t: r.t, ws: r.mustDialAgent(nil), done: make(chan struct{})}
	hello := object{"type": "ready"}
	for k, v := range ready {
		hello[k] = v
	}
	writeObject(r.t, a.ws, hello)
	a.hello = readObject(r.t, a.ws)
	if a.hello["type"] != "connection_established" {
		r.t.Fatalf("got %v", a.hello)
	}
	a.tunnel = a.hello["tunnel_id"].(string)
	a.ws.SetReadDeadline(time.Time{})
	go func() {
		defer close(a.done)
		for {
			_, text, err := a.ws.ReadMessage()
			if err != nil {
				return
			}
			var o object
			if err := json.Unmarshal(text, &o); err != nil {
				a.t.Errorf("%v in %s", err, text)
				return
			}
			if answer := serve(a, o); answer != nil {
				a.write(answer)
			}
		}
	}()
	r.t.Cleanup(func() { a.ws.Close(); <-a.done })
	return a
}

func (a *agent1) write(o object) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ws.WriteJSON(o) // the relay may have closed
}

// agent2 is an agent in form 2.
type agent2 struct {
	*mux.Conn
	wire.Established
	done  chan struct{}
	err   error
	texts chan any // control messages
}

// startAgent2 connects an agent in form 2. serve handles each stream, in a
// goroutine of its own.
func (r *testRelay) startAgent2(ready wire.Ready, serve func(*mux.Stream)) *agent2 {
	r.t.Helper()
	a, err := r.connectAgent2(nil, ready, serve)
	if err != nil {
		r.t.Fatalf("the agent was refused: %v", err)
	}
	return a
}

// sendReady proves what ready says of the owner.
func (r *testRelay) sendReady(ws *websocket.Conn, ready wire.Ready) {
	r.t.Helper()
	if owner, ok := owners.Load(ready.Owner); ok {
		ready.Proof = r.prove(ws, owner.(tunnel.OwnerKey), r.addr)
	}
	text, err := wire.Encode(&ready)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := ws.WriteMessage(websocket.TextMessage, text); err != nil {
		r.t.Fatal(err)
	}
}

// connectAgent2 gives the refusal as an error.
func (r *testRelay) connectAgent2(header http.Header, ready wire.Ready, serve func(*mux.Stream)) (*agent2, error) {
	r.t.Helper()
	ws := r.mustDialAgent(header, wire.Subprotocol)
	if ws.Subprotocol() != wire.Subprotocol {
		r.t.Fatalf("subprotocol %q", ws.Subprotocol())
	}
	r.sendReady(ws, ready)
	ws.SetReadDeadline(time.Now().Add(patienceForTests))
	frames := wsframe.New(ws.NetConn(), nil, true, wire.MaxMessage) // a request may come right behind the answer
	text, err := frames.ReadText()
	if err != nil {
		r.t.Fatalf("instead of an answer to ready: %v", err)
	}
	ws.SetReadDeadline(time.Time{})
	message, err := wire.Decode(text, wire.MaxControlMessage)
	if err != nil {
		r.t.Fatal(err)
	}
	if refusal, ok := message.(*wire.ErrorMessage); ok {
		return nil, &wire.Error{Code: refusal.Code, Message: refusal.Message}
	}
	a := &agent2{Established: *message.(*wire.Established), done: make(chan struct{}), texts: make(chan any, 16)}
	a.Conn = mux.New(frames, mux.Config{
		Handler: serve, MaxStreams: 1000, PingInterval: 10 * time.Second, PingTimeout: 25 * time.Second,
		OnText: func(text []byte) {
			if m, err := wire.Decode(text, wire.MaxControlMessage); err == nil {
				a.texts <- m
			}
		},
	})
	go func() {
		defer close(a.done)
		a.err = a.Run(context.Background())
	}()
	r.t.Cleanup(func() {
		a.Close(websocket.CloseNormalClosure, "")
		<-a.done
	})
	return a, nil
}

// owners are the owner keys of the tests by their public key, since a proof can be
// made only for a connection.
var owners sync.Map

func newOwner(t testing.TB) tunnel.OwnerKey {
	t.Helper()
	k, err := tunnel.NewOwnerKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// readyFor is what our own agents send; the proof is added once connected.
func (r *testRelay) readyFor(owner tunnel.OwnerKey, id, instance string) wire.Ready {
	owners.Store(owner.Public(), owner)
	return wire.Ready{
		Protocol: wire.ProtocolVersion, Capabilities: []wire.Capability{wire.CapResume}, Agent: "test",
		TunnelID: id, Owner: owner.Public(), Instance: instance,
	}
}

// resuming is the ready that comes back to what an earlier connection had.
func resuming(ready wire.Ready, had wire.Established) wire.Ready {
	ready.TunnelID, ready.Resume, ready.Epoch = had.TunnelID, had.Resume, had.Epoch
	return ready
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patienceForTests)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not so after %v", what, patienceForTests)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (r *testRelay) status(id string) string {
	r.t.Helper()
	res, body := r.get("/_status/" + id)
	if res.StatusCode == http.StatusNotFound {
		return "unknown"
	}
	var o object
	if err := json.Unmarshal([]byte(body), &o); err != nil {
		r.t.Fatalf("%v in %s", err, body)
	}
	return o["status"].(string)
}

func (r *testRelay) refusalCode(err error) wire.ErrorCode {
	r.t.Helper()
	var refusal *wire.Error
	if !errors.As(err, &refusal) {
		r.t.Fatalf("error %v, want a refusal", err)
	}
	return refusal.Code
}

func insecureTLS() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }
