package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
)

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
		t.Errorf("the backend chose the subprotocol %q that nobody offered", ws.Subprotocol())
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
				t.Errorf("the backend sent a binary message of %d bytes", len(text))
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
				t.Errorf("the backend sent %.300s", text)
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

// form1Service answers requests in every way that the table knows, right and wrong,
// and counts how often each came.
func form1Service(mu *sync.Mutex, seen map[string]int) func(f *form1Forwarder, m message) any {
	return func(f *form1Forwarder, m message) any {
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
	}
}

func TestForm1ForwarderOnRelay(t *testing.T) {
	t.Parallel()
	r := startRelay(t, "--subdomains")
	var mu sync.Mutex
	seen := map[string]int{} // request IDs
	f := dialForm1(t, "ws://"+r.addr()+"/", form1Service(&mu, seen))
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
