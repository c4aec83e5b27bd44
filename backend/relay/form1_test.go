package relay

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"culvert/backend/wire"
)

// respond makes an http_response for a request.
func respond(request object, status int, header object, body string) object {
	if header == nil {
		header = object{}
	}
	return object{
		"type": "http_response", "request_id": request["request_id"], "status_code": status,
		"headers": header, "body": base64.StdEncoding.EncodeToString([]byte(body)), "processing_time_ms": 1,
	}
}

func TestForm1HandshakeOfAnOriginalAgent(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) {
		c.PublicURL = mustURL("http://localhost:1234")
		c.Subdomains = true
	})
	a := r.startAgent1(nil, func(*agent1, object) object { return nil })
	id := a.hello["tunnel_id"].(string)
	want := object{
		"type": "connection_established", "connection_id": a.hello["connection_id"], "tunnel_id": id,
		"public_url": "http://" + id + ".localhost:1234", "subdomain_url": "http://" + id + ".localhost:1234", "path_based_url": "http://localhost:1234/" + id,
	}
	if diff := cmp.Diff(want, a.hello); diff != "" {
		t.Errorf("connection_established (-want +got):\n%s", diff)
	}
	if a.hello["connection_id"] == "" {
		t.Error("connection_id is empty")
	}
	if b := r.startAgent1(object{"tunnel_id": id, "protocol": 1}, func(*agent1, object) object { return nil }); b.tunnel == id {
		t.Error("an agent that declares nothing got another one's ID")
	}
}

func TestForm1Exchange(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	requests := make(chan object, 10)
	a := r.startAgent1(nil, func(a *agent1, request object) object {
		requests <- request
		return respond(request, 207, object{"content-type": []string{"text/x"}, "Set-Cookie": []string{"a=1", "b=2"}, "Location": []string{"/next"}, "Connection": "close"}, "hello")
	})
	res, body := r.do("POST", "/"+a.tunnel+"//a%2Fb/../c?x=%20&y", strings.NewReader("\x00\xffbody"), "X-Twice", "1", "X-Twice", "2", "X-Forwarded-For", "6.6.6.6")
	if res.StatusCode != 207 || body != "hello" || res.ContentLength != 5 {
		t.Errorf("got %d %q, length %d", res.StatusCode, body, res.ContentLength)
	}
	want := http.Header{"Content-Type": {"text/x"}, "Set-Cookie": {"a=1", "b=2"}, "Location": {"/" + a.tunnel + "/next"}, "Content-Length": {"5"}}
	if diff := cmp.Diff(want, res.Header); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	request := <-requests
	if request["type"] != "http_request" || request["method"] != "POST" || request["uri"] != "//a%2Fb/../c?x=%20&y" ||
		request["body"] != base64.StdEncoding.EncodeToString([]byte("\x00\xffbody")) {
		t.Errorf("request %v", request)
	}
	header := request["headers"].(object)
	for name, want := range map[string][]any{
		"X-Twice": {"1", "2"}, "X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Host": {r.addr}, "X-Forwarded-Proto": {"http"}, "Host": {r.addr},
	} {
		if diff := cmp.Diff(want, header[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for _, name := range []string{"Connection", "Content-Length", "Transfer-Encoding"} {
		if header[name] != nil {
			t.Errorf("%s was sent: %v", name, header[name])
		}
	}
	if ts, ok := request["timestamp"].(float64); !ok || ts < 1.7e12 {
		t.Errorf("timestamp %v", request["timestamp"])
	}
}

func TestForm1Answers(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) { c.Limits.AnswerTimeout = 200 * time.Millisecond })
	fail := func(code string) func(object) object {
		return func(q object) object {
			return object{"type": "error", "request_id": q["request_id"], "code": code, "message": "because of " + code}
		}
	}
	answers := map[string]struct {
		answer func(object) object
		status int
		body   string
	}{
		"/ok":              {func(q object) object { return respond(q, 200, nil, "fine") }, 200, "fine"},
		"/empty":           {func(q object) object { return respond(q, 204, nil, "") }, 204, ""},
		"/not-modified":    {func(q object) object { return respond(q, 304, object{"Etag": "x"}, "") }, 304, ""},
		"/invalid":         {fail("invalid_request"), 400, "because of invalid_request\n"},
		"/timeout":         {fail("timeout"), 504, "because of timeout\n"},
		"/down":            {fail("local_service_unavailable"), 503, "because of local_service_unavailable\n"},
		"/internal":        {fail("internal_error"), 502, "because of internal_error\n"},
		"/unknown-code":    {fail("something_new"), 502, "because of something_new\n"},
		"/status-99":       {func(q object) object { return respond(q, 99, nil, "") }, 502, ""},
		"/status-101":      {func(q object) object { return respond(q, 101, nil, "") }, 502, ""},
		"/status-1000":     {func(q object) object { return respond(q, 1000, nil, "") }, 502, ""},
		"/split":           {func(q object) object { return respond(q, 200, object{"X-A": "b\r\nX-Evil: 1"}, "") }, 502, ""},
		"/bad-base64":      {func(q object) object { a := respond(q, 200, nil, ""); a["body"] = "%%%"; return a }, 502, ""},
		"/silence":         {func(q object) object { return nil }, 504, ""},
		"/other-id":        {func(q object) object { a := respond(q, 200, nil, "x"); a["request_id"] = "r999"; return a }, 504, ""},
		"/as-an-error-too": {func(q object) object { a := respond(q, 200, nil, "x"); a["type"] = "unknown"; return a }, 504, ""},
	}
	a := r.startAgent1(nil, func(a *agent1, q object) object { return answers[q["uri"].(string)].answer(q) })
	for path, want := range answers {
		res, body := r.get("/" + a.tunnel + path)
		if res.StatusCode != want.status || want.body != "" && body != want.body {
			t.Errorf("%s: %d %q, want %d %q", path, res.StatusCode, body, want.status, want.body)
		}
		if res.StatusCode == 503 && res.Header.Get("Retry-After") == "" {
			t.Errorf("%s: 503 without Retry-After", path)
		}
		if res.Header.Get("X-Evil") != "" {
			t.Errorf("%s: a field was smuggled in", path)
		}
	}
}

// Answers count on the connection that was asked, and once.
func TestForm1AnswersOfOthersDoNotCount(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	asked := make(chan object, 1)
	victim := r.startAgent1(nil, func(a *agent1, q object) object { asked <- q; return nil })
	other := r.startAgent1(nil, func(*agent1, object) object { return nil })
	got := make(chan string, 1)
	go func() {
		_, body := r.get("/" + victim.tunnel + "/")
		got <- body
	}()
	q := <-asked
	other.write(respond(q, 200, nil, "forged"))
	victim.write(respond(q, 200, nil, "true"))
	victim.write(respond(q, 200, nil, "twice"))
	if body := <-got; body != "true" {
		t.Errorf("got %q", body)
	}
}

func TestForm1WhatIsNotCarried(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) { c.Limits.BodyBytes = 1000 })
	var mu sync.Mutex
	var seen []string
	serve := func(a *agent1, q object) object {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, fmt.Sprint(q["method"], q["uri"]))
		return respond(q, 200, nil, fmt.Sprint(q["method"]))
	}
	original := r.startAgent1(nil, serve)
	declared := r.startAgent1(object{"protocol": 2, "capabilities": []string{"resume"}}, serve)
	if declared.hello["resume"] == "" || declared.hello["protocol"] != 2.0 {
		t.Errorf("an agent that has declared protocol 2 got %v", declared.hello)
	}
	big := strings.Repeat("x", 1001)
	for _, c := range []struct {
		agent        *agent1
		method, path string
		body         io.Reader
		header       []string
		status       int
	}{
		{original, "PROPFIND", "/", nil, nil, 501},
		{declared, "PROPFIND", "/", nil, nil, 200},
		{original, "OPTIONS", "/", nil, nil, 200},
		{original, "GET", "/ws", nil, []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Key", "x"}, 501},
		{declared, "GET", "/ws", nil, []string{"Connection", "Upgrade", "Upgrade", "websocket"}, 501},
		{original, "GET", "/other", nil, []string{"Connection", "Upgrade", "Upgrade", "foo"}, 200},
		{original, "POST", "/fits", strings.NewReader(big[:1000]), nil, 200},
		{original, "POST", "/fits-chunked", iotest.OneByteReader(strings.NewReader(big[:1000])), nil, 200},
		{original, "POST", "/big", strings.NewReader(big), nil, 413},
		{original, "POST", "/big-chunked", iotest.OneByteReader(strings.NewReader(big)), nil, 413},
	} {
		res, body := r.do(c.method, "/"+c.agent.tunnel+c.path, c.body, c.header...)
		if res.StatusCode != c.status {
			t.Errorf("%s %s: %d %q, want %d", c.method, c.path, res.StatusCode, body, c.status)
		}
		if c.status == 413 && !strings.Contains(body, "1000 bytes") {
			t.Errorf("413 does not name the limit: %q", body)
		}
	}
	mu.Lock()
	for _, unwanted := range seen {
		if strings.Contains(unwanted, "/big") || strings.Contains(unwanted, "/ws") {
			t.Errorf("the agent was sent %s", unwanted)
		}
	}
	mu.Unlock()
	eventually(t, "all of the memory budget is back", func() bool { return r.held() == [bodies]int64{} })
}

// held is what bodies take of the memory.
func (r *testRelay) held() [bodies]int64 {
	r.memory.mu.Lock()
	defer r.memory.mu.Unlock()
	return r.memory.used
}

// Visitors who send slowly, or never, keep no memory from others; and what they
// do hold is their own tunnel's.
func TestForm1SlowUploadsStarveNobody(t *testing.T) {
	t.Parallel()
	const largest = 1 << 20
	r := startRelay(t, func(c *Config) { c.Limits.BodyBytes, c.Limits.PendingBodyBytes = largest, 8*largest })
	answer := strings.Repeat("x", largest)
	serve := func(a *agent1, q object) object { return respond(q, 200, nil, answer) }
	victim, other := r.startAgent1(nil, serve), r.startAgent1(nil, serve)
	works := func(what string, a *agent1, body io.Reader) {
		t.Helper()
		method := "GET"
		if body != nil {
			method = "POST"
		}
		if res, got := r.do(method, "/"+a.tunnel+"/", body); res.StatusCode != 200 || len(got) != largest {
			t.Errorf("%s: %d, %d bytes", what, res.StatusCode, len(got))
		}
	}
	const begun = 32
	for range begun {
		r.raw().send("POST /" + victim.tunnel + "/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
	}
	eventually(t, "all have begun", func() bool { return r.held()[requestBody] == begun*firstPart })
	works("a body where others have begun theirs", victim, strings.NewReader(answer[:largest/2]))

	half := r.raw()
	half.send("POST /" + victim.tunnel + "/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048576\r\n\r\n")
	half.send(answer[:largest/2+1])
	eventually(t, "half a body is there", func() bool { return r.held()[requestBody] == begun*firstPart+largest })
	if res, _ := r.do("POST", "/"+victim.tunnel+"/", strings.NewReader(answer)); res.StatusCode != 503 {
		t.Errorf("a body past the tunnel's share: %d", res.StatusCode)
	}
	works("an answer where request bodies fill the share", victim, nil)
	works("the other tunnel's body", other, strings.NewReader(answer[:largest/2]))
	works("the other tunnel's answer", other, nil)
}

// Memory is held for a body that stands still, or crawls, for a short time only.
func TestForm1StalledUploadsAreCut(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) { c.Limits.BodyStallTimeout = 300 * time.Millisecond })
	a := r.startAgent1(nil, func(a *agent1, q object) object { return respond(q, 200, nil, "") })
	begin := "POST /" + a.tunnel + "/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\na"
	stalled, crawling := r.raw(), r.raw()
	stalled.send(begin)
	crawling.send(begin)
	stop, done := make(chan bool), make(chan bool)
	go func() {
		defer close(done)
		ticker := time.NewTicker(50 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
				io.WriteString(crawling, "a")
			}
		}
	}()
	for name, c := range map[string]*raw{"stalled": stalled, "crawling": crawling} {
		if res, body, err := c.answer("POST"); err != nil || res.StatusCode != 408 {
			t.Errorf("%s: %v %q %v, want 408", name, res, body, err)
		}
	}
	close(stop)
	<-done
	eventually(t, "the memory is back", func() bool { return r.held() == [bodies]int64{} })
}

func TestForm1HeadHasTheLengthButNoBody(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	a := r.startAgent1(nil, func(a *agent1, q object) object {
		return respond(q, 200, object{"Content-Length": "1234"}, "")
	})
	res, body := r.do("HEAD", "/"+a.tunnel+"/", nil)
	if res.ContentLength != 1234 || body != "" || res.StatusCode != 200 {
		t.Errorf("%d, length %d, %q", res.StatusCode, res.ContentLength, body)
	}
}

func TestForm1BigBodies(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	a := r.startAgent1(nil, func(a *agent1, q object) object {
		body, err := base64.StdEncoding.DecodeString(q["body"].(string))
		if err != nil {
			t.Error(err)
		}
		return respond(q, 200, nil, string(body))
	})
	sent := bytes.Repeat([]byte("0123456789abcde\n"), wire.MaxRelayBody/16)
	res, got := r.do("PUT", "/"+a.tunnel+"/", bytes.NewReader(sent))
	if res.StatusCode != 200 || got != string(sent) {
		t.Errorf("%d, %d bytes of %d", res.StatusCode, len(got), len(sent))
	}
}

func TestForm1PingIsAnswered(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	messages := make(chan object, 10)
	a := r.startAgent1(nil, func(a *agent1, o object) object { messages <- o; return nil })
	a.write(object{"type": "ping"})
	a.write(object{"type": "something_new", "field": 1})
	a.write(object{"message": "Endpoint request timed out"})
	a.write(object{"type": "error", "code": "internal_error", "message": "for nobody"})
	a.write(object{"type": "ping"})
	for range 2 {
		if o := <-messages; len(o) != 1 || o["type"] != "pong" {
			t.Errorf("got %v, want a pong", o)
		}
	}
}

func TestForm1BinaryClosesTheConnection(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	ws := r.mustDialAgent(nil)
	writeObject(t, ws, object{"type": "ready"})
	readObject(t, ws)
	if err := ws.WriteMessage(websocket.BinaryMessage, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if code := readClose(t, ws); code != websocket.CloseUnsupportedData {
		t.Errorf("close code %d, want 1003", code)
	}
}

// An agent that is silent is dead after a while, and its visitors do not wait longer.
func TestForm1SilentAgentIsNoticed(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) {
		c.Limits.PingInterval, c.Limits.PingTimeout = 20*time.Millisecond, 300*time.Millisecond
	})
	ws := r.mustDialAgent(nil) // nobody reads from it: pings are not answered
	writeObject(t, ws, object{"type": "ready"})
	id := readObject(t, ws)["tunnel_id"].(string)
	if res, body := r.get("/" + id + "/"); res.StatusCode != 502 {
		t.Errorf("%d %q, want 502", res.StatusCode, body)
	}
	eventually(t, "offline", func() bool { return r.status(id) == "offline" })
}

// One that answers pings lives on, though it says nothing.
func TestForm1QuietAgentLivesOn(t *testing.T) {
	t.Parallel()
	const interval, timeout = 100 * time.Millisecond, 3 * time.Second
	r := startRelay(t, func(c *Config) { c.Limits.PingInterval, c.Limits.PingTimeout = interval, timeout })
	pings := make(chan bool, 1000)
	ws := r.mustDialAgent(nil)
	answer := ws.PingHandler()
	ws.SetPingHandler(func(text string) error { pings <- true; return answer(text) })
	writeObject(t, ws, object{"type": "ready"})
	id := readObject(t, ws)["tunnel_id"].(string)
	ws.SetReadDeadline(time.Time{})
	go func() {
		ws.ReadMessage() // until the end: nothing but pings comes
		close(pings)
	}()
	for range timeout/interval + 5 {
		if !<-pings {
			t.Fatal("an agent that answers pings was cut off")
		}
	}
	if status := r.status(id); status != "online" {
		t.Errorf("status %s", status)
	}
}
