package e2e

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
)

// The forwarder and the backend in this file are written from the table of form
// 1 in the protocol's description alone. They declare nothing, so whatever they
// are sent has to be in that table.

// fieldTypes are the table's fields with what their JSON has to look like.
var fieldTypes = map[string]string{
	"type":               `^"[a-z_]+"$`,
	"connection_id":      `^".+"$`,
	"tunnel_id":          `^"[a-z0-9]([a-z0-9-]{1,61}[a-z0-9])"$`,
	"public_url":         `^"https?://.+"$`,
	"subdomain_url":      `^"https?://.+"$`,
	"path_based_url":     `^"https?://.+"$`,
	"request_id":         `^".+"$`,
	"method":             `^".+"$`,
	"uri":                `^"/.*"$`,
	"headers":            `^\{.*\}$`,
	"body":               `^"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"$`,
	"timestamp":          `^[0-9]+$`,
	"status_code":        `^[1-9][0-9]{2}$`,
	"processing_time_ms": `^[0-9]+$`,
	"code":               `^"(invalid_request|timeout|local_service_unavailable|internal_error)"$`,
	"message":            `^".*"$`,
}

// required and optional fields by type.
var (
	requiredFields = map[string]string{
		"ready":                  "type",
		"connection_established": "type connection_id tunnel_id public_url",
		"http_request":           "type request_id method uri headers body timestamp",
		"http_response":          "type request_id status_code headers body processing_time_ms",
		"ping":                   "type", "pong": "type",
		"error": "type code message",
	}
	optionalFields = map[string]string{"connection_established": "subdomain_url path_based_url", "error": "request_id"}
)

// checkMessage holds a message against the table. Unknown fields are findings
// unless the sender may declare itself in this message.
func checkMessage(text []byte, mayDeclare bool) (message, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return message{}, fmt.Errorf("no JSON object: %w: %.200s", err, text)
	}
	var m message
	if err := json.Unmarshal(text, &m); err != nil {
		return message{}, fmt.Errorf("%w: %.200s", err, text)
	}
	required, known := requiredFields[m.Type]
	if !known {
		return m, fmt.Errorf("unknown type: %.200s", text)
	}
	for _, name := range strings.Fields(required) {
		if _, ok := fields[name]; !ok {
			return m, fmt.Errorf("no %s in %.200s", name, text)
		}
	}
	for name, value := range fields {
		if !strings.Contains(" "+required+" "+optionalFields[m.Type]+" ", " "+name+" ") {
			if mayDeclare {
				continue
			}
			return m, fmt.Errorf("field %s is not for a peer that declared nothing: %.300s", name, text)
		}
		if !regexp.MustCompile(`(?s)` + fieldTypes[name]).Match(value) {
			return m, fmt.Errorf("%s is %.200s", name, value)
		}
	}
	return m, nil
}

// message is any message of form 1.
type message struct {
	Type         string              `json:"type"`
	ConnectionID string              `json:"connection_id,omitempty"`
	TunnelID     string              `json:"tunnel_id,omitempty"`
	PublicURL    string              `json:"public_url,omitempty"`
	SubdomainURL string              `json:"subdomain_url,omitempty"`
	PathBasedURL string              `json:"path_based_url,omitempty"`
	RequestID    string              `json:"request_id,omitempty"`
	Method       string              `json:"method,omitempty"`
	URI          string              `json:"uri,omitempty"`
	Headers      map[string][]string `json:"headers,omitempty"`
	Body         string              `json:"body"`
	Timestamp    int64               `json:"timestamp,omitempty"`
	StatusCode   int                 `json:"status_code,omitempty"`
	Millis       int64               `json:"processing_time_ms"`
	Code         string              `json:"code,omitempty"`
	Message      string              `json:"message,omitempty"`
}

func (m message) header(name string) []string {
	for n, values := range m.Headers {
		if strings.EqualFold(n, name) {
			return values
		}
	}
	return nil
}

func (m message) body(t testing.TB) string {
	body, err := base64.StdEncoding.DecodeString(m.Body)
	if err != nil {
		t.Errorf("body: %v", err)
	}
	return string(body)
}

// form1Forwarder is an agent that knows the table and nothing else.
type form1Forwarder struct {
	t           testing.TB
	ws          *websocket.Conn
	established message

	writing sync.Mutex
	done    chan struct{}
}

// dialForm1 connects a forwarder that gives each request to handle; what that
// returns is sent back, unless it is nil.
func dialForm1(t testing.TB, wsURL string, handle func(f *form1Forwarder, m message) any) *form1Forwarder {
	t.Helper()
	ws, resp, err := websocket.DefaultDialer.Dial(wsURL, nil)
	if err != nil {
		t.Fatalf("dialling as an agent: %v (%v)", err, resp)
	}
	if ws.Subprotocol() != "" {
		t.Errorf("the relay chose the subprotocol %q that nobody offered", ws.Subprotocol())
	}
	f := &form1Forwarder{t: t, ws: ws, done: make(chan struct{})}
	f.send(map[string]any{"type": "ready"})
	f.established = f.read()
	if f.established.Type != "connection_established" {
		t.Fatalf("the first message is %+v, want connection_established", f.established)
	}
	go func() {
		defer close(f.done)
		var handlers sync.WaitGroup
		defer handlers.Wait()
		for {
			kind, text, err := ws.ReadMessage()
			if err != nil {
				return
			}
			if kind != websocket.TextMessage {
				t.Errorf("the relay sent a binary message of %d bytes", len(text))
			}
			m, err := checkMessage(text, false)
			if err != nil {
				t.Error(err)
			}
			switch m.Type {
			case "http_request":
				handlers.Go(func() {
					if answer := handle(f, m); answer != nil {
						f.send(answer)
					}
				})
			case "pong":
			default:
				t.Errorf("the relay sent %.300s", text)
			}
		}
	}()
	t.Cleanup(func() { ws.Close(); <-f.done })
	return f
}

func (f *form1Forwarder) send(m any) {
	f.writing.Lock()
	defer f.writing.Unlock()
	_ = f.ws.WriteJSON(m) // a connection that has gone shows in the test's result
}

func (f *form1Forwarder) read() message {
	f.t.Helper()
	_ = f.ws.SetReadDeadline(time.Now().Add(patience))
	_, text, err := f.ws.ReadMessage()
	if err != nil {
		f.t.Fatal(err)
	}
	_ = f.ws.SetReadDeadline(time.Time{})
	m, err := checkMessage(text, false)
	if err != nil {
		f.t.Error(err)
	}
	return m
}

// form1Answer is an http_response.
func form1Answer(m message, status int, headers map[string][]string, body string) map[string]any {
	return map[string]any{
		"type": "http_response", "request_id": m.RequestID, "status_code": status,
		"headers": headers, "body": base64.StdEncoding.EncodeToString([]byte(body)), "processing_time_ms": 3,
	}
}

func TestForm1ForwarderOnRelay(t *testing.T) {
	t.Parallel()
	r := startRelay(t, "--subdomains")
	var mu sync.Mutex
	seen := map[string]int{} // request IDs
	f := dialForm1(t, "ws://"+r.addr()+"/", func(f *form1Forwarder, m message) any {
		mu.Lock()
		seen[m.RequestID]++
		mu.Unlock()
		path, _, _ := strings.Cut(m.URI, "?")
		switch path {
		case "/error/invalid_request", "/error/timeout", "/error/local_service_unavailable", "/error/internal_error":
			return map[string]any{"type": "error", "request_id": m.RequestID, "code": path[len("/error/"):], "message": "as asked"}
		case "/twice":
			f.send(form1Answer(m, 200, map[string][]string{}, "first"))
			return form1Answer(m, 500, map[string][]string{}, "second")
		case "/stranger":
			f.send(map[string]any{"type": "http_response", "request_id": "no-such-request", "status_code": 200, "headers": map[string][]string{}, "body": "", "processing_time_ms": 0})
			f.send(map[string]any{"type": "a_type_of_tomorrow", "field": 1})
			f.send(map[string]any{"type": "ping"})
			return form1Answer(m, 200, map[string][]string{}, "unharmed")
		case "/nonsense":
			return map[string]any{"type": "http_response", "request_id": m.RequestID, "status_code": 42, "headers": map[string][]string{}, "body": "", "processing_time_ms": 0}
		case "/badbase64":
			return map[string]any{"type": "http_response", "request_id": m.RequestID, "status_code": 200, "headers": map[string][]string{}, "body": "%%%", "processing_time_ms": 0}
		case "/redirect":
			return form1Answer(m, 302, map[string][]string{"location": {"/elsewhere"}, "set-cookie": {"a=1; Path=/", "b=2"}}, "")
		case "/big":
			return form1Answer(m, 200, map[string][]string{}, m.body(f.t))
		case "/head":
			return form1Answer(m, 200, map[string][]string{"content-length": {"12"}}, "")
		}
		echo, err := json.Marshal(m)
		if err != nil {
			f.t.Error(err)
		}
		return form1Answer(m, 201, map[string][]string{"content-type": {"application/json"}, "x-multi": {"1", "2"}, "connection": {"close"}, "transfer-encoding": {"chunked"}}, string(echo))
	})
	id, base := f.established.TunnelID, f.established.PathBasedURL
	if want := fmt.Sprintf(":%d/%s", r.port, id); !strings.HasPrefix(base, "http://") || !strings.HasSuffix(base, want) {
		t.Errorf("path_based_url %q, want http://…%s", base, want)
	}
	if want := fmt.Sprintf("http://%s.localhost:%d", id, r.port); f.established.SubdomainURL != want || f.established.PublicURL != want {
		t.Errorf("subdomain_url %q and public_url %q, want %q", f.established.SubdomainURL, f.established.PublicURL, want)
	}

	t.Run("echo", func(t *testing.T) {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"} {
			req, err := http.NewRequest(method, base+"/a%20b//c?x=%2F&y=1", strings.NewReader("the body\x00\xff"))
			if err != nil {
				t.Fatal(err)
			}
			if method == "GET" || method == "HEAD" {
				req.Body, req.ContentLength = http.NoBody, 0
			}
			req.Header.Set("Accept", "application/json")
			req.Header["X-Multi"] = []string{"one", "two"}
			got, err := do(t, req)
			if err != nil || got.status != 201 {
				t.Fatalf("%s: %v, status %d: %s", method, err, got.status, got.body)
			}
			if diff := cmp.Diff([]string{"1", "2"}, got.header["X-Multi"]); diff != "" {
				t.Errorf("%s: the answer's X-Multi: %s", method, diff)
			}
			if method == "HEAD" {
				continue
			}
			var m message
			if err := json.Unmarshal([]byte(got.body), &m); err != nil {
				t.Fatalf("%s: %v in %q", method, err, got.body)
			}
			if m.Method != method || m.URI != "/a%20b//c?x=%2F&y=1" {
				t.Errorf("%s arrived as %s %s", method, m.Method, m.URI)
			}
			if want := map[bool]string{true: "", false: "the body\x00\xff"}[method == "GET"]; m.body(t) != want {
				t.Errorf("%s: body %q, want %q", method, m.body(t), want)
			}
			if diff := cmp.Diff([]string{"one", "two"}, m.header("X-Multi")); diff != "" {
				t.Errorf("%s: X-Multi: %s", method, diff)
			}
			if diff := cmp.Diff([]string{"127.0.0.1"}, m.header("X-Forwarded-For")); diff != "" {
				t.Errorf("%s: X-Forwarded-For: %s", method, diff)
			}
			if age := time.Since(time.UnixMilli(m.Timestamp)); age < -time.Minute || age > time.Minute {
				t.Errorf("%s: the timestamp %d is %v old", method, m.Timestamp, age)
			}
		}
	})
	t.Run("methods beyond the seed's", func(t *testing.T) {
		mu.Lock()
		before := len(seen)
		mu.Unlock()
		for _, method := range []string{"PROPFIND", "TRACE", "QUERY"} {
			req, _ := http.NewRequest(method, base+"/", nil)
			if got, err := do(t, req); err != nil || got.status != http.StatusNotImplemented {
				t.Errorf("%s: %v, status %d, want 501", method, err, got.status)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if len(seen) != before {
			t.Errorf("requests that the agent cannot answer were sent to it")
		}
	})
	for code, status := range map[string]int{"invalid_request": 400, "timeout": 504, "local_service_unavailable": 503, "internal_error": 502} {
		t.Run(code, func(t *testing.T) {
			got := mustGet(t, status, base+"/error/"+code)
			if status == 503 && got.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
		})
	}
	t.Run("answers that are none", func(t *testing.T) {
		mustGet(t, http.StatusBadGateway, base+"/nonsense")
		mustGet(t, http.StatusBadGateway, base+"/badbase64")
	})
	t.Run("late and strange messages", func(t *testing.T) {
		if got := mustGet(t, 200, base+"/twice"); got.body != "first" {
			t.Errorf("body %q", got.body)
		}
		if got := mustGet(t, 200, base+"/stranger"); got.body != "unharmed" {
			t.Errorf("body %q", got.body)
		}
	})
	t.Run("prefix", func(t *testing.T) {
		got := mustGet(t, 302, base+"/redirect")
		if want := "/" + id + "/elsewhere"; got.header.Get("Location") != want {
			t.Errorf("Location %q, want %q", got.header.Get("Location"), want)
		}
		if diff := cmp.Diff([]string{"a=1; Path=/" + id + "/", "b=2"}, got.header["Set-Cookie"]); diff != "" {
			t.Errorf("Set-Cookie: want - got +\n%s", diff)
		}
	})
	t.Run("HEAD keeps the length", func(t *testing.T) {
		req, _ := http.NewRequest("HEAD", base+"/head", nil)
		if got, err := do(t, req); err != nil || got.header.Get("Content-Length") != "12" {
			t.Errorf("%v, Content-Length %q, want 12", err, got.header.Get("Content-Length"))
		}
	})
	t.Run("large bodies", func(t *testing.T) {
		big := strings.Repeat("0123456789abcdef", 7<<16) // 7 MB
		req, _ := http.NewRequest("POST", base+"/big", strings.NewReader(big))
		got, err := do(t, req)
		if err != nil || got.status != 200 || got.body != big {
			t.Fatalf("7 MB came back with %v, status %d and %d bytes: %.200s", err, got.status, len(got.body), got.body)
		}
		mu.Lock()
		before := len(seen)
		mu.Unlock()
		tooBig := func(body io.Reader, expect string) error {
			req, err := http.NewRequest("POST", base+"/toobig", body)
			if err != nil {
				t.Fatal(err)
			}
			if expect != "" {
				req.Header.Set("Expect", expect)
			}
			got, err := do(t, req)
			if err == nil && (got.status != http.StatusRequestEntityTooLarge || !strings.Contains(got.body, "8")) {
				t.Errorf("14 MB: status %d, %q; want 413 naming the limit", got.status, got.body)
			}
			return err
		}
		if err := tooBig(strings.NewReader(big+big), "100-continue"); err != nil {
			t.Errorf("14 MB of a visitor who asks first: %v", err)
		}
		// Visitors who do not ask may find the connection closed while they still
		// send, and lose the answer to that; not each time.
		eventually(t, func() error { return tooBig(strings.NewReader(big+big), "") })
		eventually(t, func() error { return tooBig(struct{ io.Reader }{strings.NewReader(big + big)}, "") })
		mu.Lock()
		defer mu.Unlock()
		if len(seen) != before {
			t.Error("a body that is too large was sent")
		}
	})
	t.Run("each request once", func(t *testing.T) {
		mu.Lock()
		defer mu.Unlock()
		for id, n := range seen {
			if n != 1 {
				t.Errorf("request %s came %d times", id, n)
			}
		}
	})
	t.Run("gone", func(t *testing.T) {
		f.ws.Close()
		eventuallyStatus(t, http.StatusBadGateway, base+"/")
		again := dialForm1(t, "ws://"+r.addr()+"/", func(f *form1Forwarder, m message) any { return nil })
		if again.established.TunnelID == id {
			t.Error("an agent that showed nothing got the old tunnel")
		}
	})
}

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
		c := &gatewayConn{t: t, request: r, ws: ws, id: fmt.Sprintf("seed-%d", n), messages: make(chan message, 100), closed: make(chan struct{})}
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

func (c *gatewayConn) answer(requestID string) message {
	c.t.Helper()
	select {
	case m := <-c.messages:
		if m.RequestID != requestID {
			c.t.Errorf("an answer to %q, want one to %q", m.RequestID, requestID)
		}
		return m
	case <-c.closed:
		c.t.Fatalf("the agent closed the connection instead of answering %s", requestID)
	case <-time.After(patience):
		c.t.Fatalf("no answer to %s", requestID)
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

	// Frames that API Gateway injects, types of tomorrow and broken requests end nothing.
	c.send(map[string]any{"message": "Internal server error", "connectionId": "abc=", "requestId": "def="})
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

// wsDial dials a URL as a WebSocket client and gives the refusal's status, or 101.
func wsDial(t testing.TB, target string, header http.Header, dial func(network, addr string) (net.Conn, error)) (int, string) {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	d := websocket.Dialer{HandshakeTimeout: patience, NetDial: dial}
	ws, resp, err := d.Dial(u.String(), header)
	if err == nil {
		ws.Close()
		return http.StatusSwitchingProtocols, ""
	}
	if resp == nil {
		t.Fatalf("dialling %s: %v", target, err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}
