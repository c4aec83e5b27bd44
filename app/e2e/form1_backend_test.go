package e2e

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
)

// gateway is a backend that knows the table, on a WebSocket with API Gateway's limits.
type gateway struct {
	t      testing.TB
	server *httptest.Server
	conns  chan *gatewayConn
}

type gatewayConn struct {
	t        testing.TB
	request  *http.Request
	ws       *websocket.Conn
	id       string // tunnel ID
	messages chan message
	closed   chan struct{}
	answers  map[string]message // by request ID
}

func startGateway(t testing.TB) *gateway {
	g := &gateway{t: t, conns: make(chan *gatewayConn, 10)}
	var open sync.WaitGroup
	var count atomic.Int32
	g.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		open.Add(1)
		defer open.Done()
		up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			t.Errorf("the agent's handshake: %v", err)
			return
		}
		defer ws.Close()
		n := count.Add(1)
		c := &gatewayConn{t: t, request: r, ws: ws, id: fmt.Sprintf("seed-%d", n), messages: make(chan message, 1000), closed: make(chan struct{}), answers: map[string]message{}}
		defer close(c.closed)
		c.serve(g, n)
	}))
	t.Cleanup(func() { g.server.CloseClientConnections(); g.server.Close(); open.Wait() })
	return g
}

// wsURL is what the agent is told to dial.
func (g *gateway) wsURL(path string) string { return "ws" + g.server.URL[len("http"):] + path }

// serve reads the agent's frames with API Gateway's eyes: gorilla hides how
// messages are cut into frames, so they are read from the connection itself.
func (c *gatewayConn) serve(g *gateway, n int32) {
	conn := c.ws.NetConn()
	_ = conn.SetReadDeadline(time.Time{})
	var text []byte
	first := true
	for {
		var head [2]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return
		}
		length := uint64(head[1] & 0x7f)
		switch length {
		case 126:
			var b [2]byte
			_, _ = io.ReadFull(conn, b[:])
			length = uint64(binary.BigEndian.Uint16(b[:]))
		case 127:
			var b [8]byte
			_, _ = io.ReadFull(conn, b[:])
			length = binary.BigEndian.Uint64(b[:])
		}
		if length > 32<<10 {
			c.t.Errorf("a frame of %d bytes; API Gateway closes at 32 KB", length)
			return
		}
		var mask [4]byte
		if head[1]&0x80 == 0 {
			c.t.Error("a frame without a mask")
			return
		}
		payload := make([]byte, length)
		if _, err := io.ReadFull(conn, mask[:]); err != nil {
			return
		}
		if _, err := io.ReadFull(conn, payload); err != nil {
			return
		}
		for i := range payload {
			payload[i] ^= mask[i%4]
		}
		switch op := head[0] & 0x0f; op {
		case 0x8: // close
			return
		case 0x9:
			_ = c.ws.WriteControl(websocket.PongMessage, payload, time.Now().Add(patience))
			continue
		case 0xa:
			continue
		case 0x0, 0x1:
			text = append(text, payload...)
		default:
			c.t.Errorf("a frame with opcode %d; API Gateway closes at anything but text", op)
			return
		}
		if len(text) > 128<<10 {
			c.t.Errorf("a message of more than 128 KB; API Gateway closes")
			return
		}
		if head[0]&0x80 == 0 {
			continue
		}
		m, err := checkMessage(text, first)
		if err != nil {
			c.t.Error(err)
		}
		text = nil
		switch {
		case first && m.Type != "ready":
			c.t.Errorf("the first message is %s, want ready", m.Type)
			return
		case first:
			first = false
			c.send(map[string]any{
				"type": "connection_established", "connection_id": fmt.Sprint("conn-", n),
				"tunnel_id": c.id, "public_url": "https://" + c.id + ".tunnels.example.com",
				"path_based_url": "https://tunnels.example.com/" + c.id,
			})
			g.conns <- c
		case m.Type == "ping": // the seed's Lambda answers none
		default:
			c.messages <- m
		}
	}
}

func (c *gatewayConn) send(m any) {
	c.t.Helper()
	if err := c.ws.WriteJSON(m); err != nil {
		c.t.Error(err)
	}
}

// accept gives the next agent that is connected.
func (g *gateway) accept() *gatewayConn {
	g.t.Helper()
	select {
	case c := <-g.conns:
		return c
	case <-time.After(patience):
		g.t.Fatal("no agent has connected")
		return nil
	}
}

// ask sends a request as the seed's Lambda does and gives the agent's answer to it.
func (c *gatewayConn) ask(requestID, method, uri string, headers map[string][]string, body string) message {
	c.t.Helper()
	c.send(gatewayRequest(requestID, method, uri, headers, body))
	return c.answer(requestID)
}

func gatewayRequest(requestID, method, uri string, headers map[string][]string, body string) map[string]any {
	if headers == nil {
		headers = map[string][]string{}
	}
	return map[string]any{
		"type": "http_request", "request_id": requestID, "method": method, "uri": uri,
		"headers": headers, "body": base64.StdEncoding.EncodeToString([]byte(body)), "timestamp": time.Now().UnixMilli(),
	}
}

// answer gives the answer to a request. Those that were given already may come
// again unchanged, and count for nothing.
func (c *gatewayConn) answer(requestID string) message {
	c.t.Helper()
	for {
		m := c.next("no answer to " + requestID)
		first, again := c.answers[m.RequestID]
		switch {
		case again && !reflect.DeepEqual(m, first):
			c.t.Errorf("the answer to %s was %+v and is %+v now", m.RequestID, first, m)
		case again:
			continue
		case m.RequestID != requestID:
			c.t.Errorf("an answer to %q, want one to %q", m.RequestID, requestID)
		}
		c.answers[m.RequestID] = m
		return m
	}
}

// offersAgain sends a frame as API Gateway injects them and reports whether the
// answer to a request that was answered just before comes again. The agent offers
// answers again for a few seconds only, and not all the time.
func (c *gatewayConn) offersAgain(requestID string) bool {
	c.t.Helper()
	c.send(map[string]any{"message": "Endpoint request timed out", "connectionId": "abc=", "requestId": "def="})
	deadline := time.After(3 * time.Second)
	for {
		select {
		case m := <-c.messages:
			if first, again := c.answers[m.RequestID]; !again || !reflect.DeepEqual(m, first) {
				c.t.Errorf("the answer to %q was %+v and is %+v now", m.RequestID, first, m)
			}
			if m.RequestID == requestID {
				return true
			}
		case <-deadline:
			return false
		}
	}
}

func (c *gatewayConn) next(otherwise string) message {
	c.t.Helper()
	select {
	case m := <-c.messages:
		return m
	case <-c.closed:
		c.t.Fatalf("%s: the agent closed the connection", otherwise)
	case <-time.After(patience):
		c.t.Fatal(otherwise)
	}
	return message{}
}

func TestAgentOnForm1Backend(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	asked := map[string]int{}
	hanging := make(chan struct{})
	service := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked[r.URL.Path]++
		mu.Unlock()
		switch r.URL.Path {
		case "/large":
			io.WriteString(w, strings.Repeat("x", 60<<10))
			w.(http.Flusher).Flush()
			io.WriteString(w, strings.Repeat("y", 25<<10))
		case "/toolarge":
			io.WriteString(w, strings.Repeat("x", 200<<10))
		case "/hang":
			select {
			case <-r.Context().Done():
			case <-hanging:
			}
		case "/cut":
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, "short")
			panic(http.ErrAbortHandler)
		default:
			body, _ := io.ReadAll(r.Body)
			w.Header()["X-Multi"] = []string{"1", "2"}
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprintf(w, "%s %s host=%s xff=%s %s", r.Method, r.RequestURI, r.Host, r.Header.Get("X-Forwarded-For"), body)
		}
	}))
	t.Cleanup(func() { close(hanging) })
	g := startGateway(t)
	p := agentSpec{target: service.URL, backend: g.wsURL("/prod"), args: []string{"--token", "tok.en", "--timeout", "2s"}}.start(t)
	c := g.accept()
	online := p.awaitEvent(t, "online")
	if got := online.str("public_url"); got != "https://seed-1.tunnels.example.com" {
		t.Errorf("public_url %q", got)
	}
	if got := c.request.URL.Path; got != "/prod" {
		t.Errorf("the agent dialled the path %q, want the stage /prod", got)
	}
	if got := c.request.Header["Sec-Websocket-Protocol"]; got != nil {
		t.Errorf("the agent offered the subprotocol %q to API Gateway", got)
	}
	if got := c.request.Header.Get("Authorization"); got != "Bearer tok.en" {
		t.Errorf("Authorization %q", got)
	}

	m := c.ask("r1", "POST", "/a/b?x=%2F&y", map[string][]string{
		"Host": {"tunnels.example.com"}, "X-Forwarded-For": {"9.9.9.9"}, "content-type": {"text/plain"},
	}, "hello")
	want := "POST /a/b?x=%2F&y host=" + hostOf(t, service.URL) + " xff=9.9.9.9 hello"
	if m.Type != "http_response" || m.StatusCode != http.StatusAccepted || m.body(t) != want {
		t.Errorf("answer %+v with the body %q, want %q", m, m.body(t), want)
	}
	if diff := cmp.Diff([]string{"1", "2"}, m.header("X-Multi")); diff != "" {
		t.Errorf("X-Multi: %s", diff)
	}
	// The seed's Lambda sends the path unescaped.
	m = c.ask("r2", "GET", "/a b/\u00e9%2F?q=x y", nil, "")
	if got, want := m.body(t), "GET /a%20b/%C3%A9%2F?q=x%20y "; !strings.HasPrefix(got, want) {
		t.Errorf("the service got %q, want %q", got, want)
	}
	// Answers as large as a message may be, in frames as large as they may be.
	m = c.ask("r3", "GET", "/large", nil, "")
	if got := m.body(t); m.StatusCode != 200 || got != strings.Repeat("x", 60<<10)+strings.Repeat("y", 25<<10) {
		t.Errorf("status %d, %d bytes", m.StatusCode, len(got))
	}
	m = c.ask("r4", "GET", "/toolarge", nil, "")
	if m.Type != "error" || m.Code != "internal_error" || !strings.Contains(m.Message, "128") {
		t.Errorf("an answer over the limit: %+v, want error internal_error naming 128 KB", m)
	}
	m = c.ask("r5", "GET", "/hang", nil, "")
	if m.Type != "error" || m.Code != "timeout" {
		t.Errorf("no head in time: %+v, want error timeout", m)
	}
	m = c.ask("r6", "GET", "/cut", nil, "")
	if m.Type != "error" || m.Code != "internal_error" {
		t.Errorf("a body cut short: %+v, want error internal_error", m)
	}

	// API Gateway's own frames say that some message was lost, and not which one: the
	// latest answers come again.
	for round := 0; ; round++ {
		id := fmt.Sprint("lost-", round)
		c.ask(id, "GET", "/lost", nil, "")
		if c.offersAgain(id) {
			break
		}
		if round == 9 {
			t.Fatal("no answer comes again")
		}
	}

	// Types of tomorrow and broken requests end nothing.
	c.send(map[string]any{"type": "a_type_of_tomorrow"})
	broken := gatewayRequest("r7", "GET", "/", nil, "")
	broken["body"] = "%%%"
	c.send(broken)
	if m = c.answer("r7"); m.Type != "error" || m.Code != "invalid_request" {
		t.Errorf("a broken request: %+v, want error invalid_request", m)
	}
	// The same request twice reaches the service once.
	c.send(gatewayRequest("r8", "GET", "/once", nil, ""))
	c.send(gatewayRequest("r8", "GET", "/once", nil, ""))
	c.answer("r8")
	if m = c.ask("r9", "GET", "/last", nil, ""); m.StatusCode != http.StatusAccepted {
		t.Errorf("answer %+v", m)
	}
	mu.Lock()
	if asked["/once"] != 1 {
		t.Errorf("a request that came twice reached the service %d times", asked["/once"])
	}
	mu.Unlock()

	// The seed cannot resume: a new connection brings a new URL, which is said.
	c.ws.NetConn().Close()
	c = g.accept()
	if again := p.awaitEvent(t, "online"); again.str("public_url") != "https://seed-2.tunnels.example.com" {
		t.Errorf("after the reconnect: %v", again)
	}
	if len(p.seen("reconnecting")) == 0 {
		t.Error("reconnecting was not said")
	}
	service.Close()
	m = c.ask("r10", "GET", "/", nil, "")
	if m.Type != "error" || m.Code != "local_service_unavailable" {
		t.Errorf("service down: %+v, want error local_service_unavailable", m)
	}
	p.stop(t)
}
