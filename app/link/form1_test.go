package link

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

func TestRelayThatKnowsNoFrames(t *testing.T) {
	t.Parallel()
	b := newTableBackend(t, "http")
	owner, err := tunnel.NewOwnerKey()
	if err != nil {
		t.Fatal(err)
	}
	heads := make(chan *wire.RequestHead, 1)
	l, p, done := b.agent(&Config{Token: "s3cret", Owner: owner, Agent: "culvert/test", Handler: func(x wire.Exchange) {
		heads <- x.Request()
		echo(x)
	}})

	r := <-b.handshake
	if got := r.Header.Get("Sec-WebSocket-Protocol"); got != wire.Subprotocol {
		t.Errorf("offered subprotocol %q", got)
	}
	if got := r.Header.Get("Authorization"); got != "Bearer s3cret" {
		t.Errorf("Authorization = %q", got)
	}
	if r.URL.Path != "/" {
		t.Errorf("path = %q", r.URL.Path)
	}
	public, _ := p.ready["owner"].(string)
	proof, _ := p.ready["proof"].(string)
	if err := tunnel.VerifyOwner(public, proof, "", r.Host); err != nil || public != owner.Public() {
		t.Errorf("owner proof: %v", err)
	}
	if est := l.Established(); est.TunnelID != "t1" || est.Resume != "" || est.MaxAgeMS != 0 {
		t.Errorf("established = %+v", est)
	}

	body := []byte("h\x00llo \xff")
	p.send(request("r1", "POST", "/a%2Fb?q=1&q=2", map[string][]string{
		"host": {"relay.test"}, "x-forwarded-for": {"192.0.2.7, 198.51.100.1"}, "connection": {"keep-alive, x-hop"},
		"x-hop": {"1"}, "accept": {"a", "b"}, "content-length": {"8"}, "transfer-encoding": {"chunked"},
	}, body))
	want := &wire.RequestHead{
		Method: "POST", Target: "/a%2Fb?q=1&q=2", Host: "relay.test", Prefix: "/t1", RemoteAddr: "192.0.2.7",
		ContentLength: int64(len(body)),
		Header:        http.Header{"X-Forwarded-For": {"192.0.2.7, 198.51.100.1"}, "X-Forwarded-Proto": {"http"}, "Accept": {"a", "b"}},
	}
	if diff := cmp.Diff(want, <-heads); diff != "" {
		t.Errorf("head (-want +got):\n%s", diff)
	}
	headers, got := p.wantAnswer("r1", 200)
	if !bytes.Equal(got, body) {
		t.Errorf("body = %q, want %q", got, body)
	}
	if diff := cmp.Diff(map[string]any{"X-Echo": []any{"1"}}, headers); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}

	l.Close()
	if err := wait(t, done); err == nil {
		t.Error("Run = nil after Close without ctx")
	}
}

func TestGatewayLimits(t *testing.T) {
	t.Parallel()
	b := newTableBackend(t, "ws")
	b.url.Path, b.url.RawQuery = "/prod", "token=abc"
	sizes := map[string]int{"/fits": 90 << 10, "/body": 97 << 10, "/head": 10}
	l, p, _ := b.agent(&Config{Handler: func(x wire.Exchange) {
		h := http.Header{}
		if x.Request().Target == "/head" {
			h["X-Long"] = []string{strings.Repeat("x", 129<<10)}
		}
		if x.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: -1, Header: h}, false) != nil {
			return
		}
		chunk := make([]byte, 1000)
		for left := sizes[x.Request().Target]; left > 0; left -= len(chunk) {
			if _, err := x.Write(chunk[:min(left, len(chunk))]); err != nil {
				return
			}
		}
		_ = x.CloseWrite(nil)
	}})
	r := <-b.handshake
	if got := r.Header.Values("Sec-WebSocket-Protocol"); len(got) > 0 {
		t.Errorf("offered subprotocols %q: API Gateway wants them answered", got)
	}
	if r.URL.String() != "/prod?token=abc" {
		t.Errorf("handshake to %s", r.URL)
	}
	if age := l.Established().MaxAgeMS; age != 7200_000 {
		t.Errorf("maximum age %d ms, want API Gateway's", age)
	}

	p.send(request("r1", "GET", "/fits", nil, nil))
	if _, body := p.wantAnswer("r1", 200); len(body) != sizes["/fits"] {
		t.Errorf("%d bytes, want %d", len(body), sizes["/fits"])
	}
	for id, uri := range map[string]string{"r2": "/body", "r3": "/head"} {
		p.send(request(id, "GET", uri, nil, nil))
		if text := p.wantError(id, "internal_error"); !strings.Contains(text, "128 KB") {
			t.Errorf("error %q does not name the limit", text)
		}
	}
	b.frames.mu.Lock()
	defer b.frames.mu.Unlock()
	if b.frames.maxFrame >= 32<<10 || b.frames.maxMessage > 128<<10 || b.frames.maxMessage < 120<<10 {
		t.Errorf("largest frame %d, largest message %d", b.frames.maxFrame, b.frames.maxMessage)
	}
	if b.frames.opcodes[2] > 0 {
		t.Error("a binary frame was sent")
	}
}

func TestRelayBodyLimit(t *testing.T) {
	t.Parallel()
	b := newTableBackend(t, "http")
	body := bytes.Repeat([]byte("0123456789abcdef"), wire.MaxRelayBody/16)
	_, p, _ := b.agent(&Config{Handler: func(x wire.Exchange) {
		_ = x.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: -1}, false)
		_, _ = x.Write(body)
		if x.Request().Target == "/fits" {
			_ = x.CloseWrite(nil)
		} else if _, err := x.WriteLast([]byte("!")); err == nil {
			t.Error("a body over the limit was taken")
		}
	}})
	p.send(request("r1", "GET", "/fits", nil, nil))
	if _, got := p.wantAnswer("r1", 200); !bytes.Equal(got, body) {
		t.Errorf("%d bytes came back, want the %d sent", len(got), len(body))
	}
	p.send(request("r2", "GET", "/more", nil, nil))
	if text := p.wantError("r2", "internal_error"); !strings.Contains(text, "8 MB") {
		t.Errorf("error %q does not name the limit", text)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	head := func(status int, length int64) *wire.ResponseHead {
		return &wire.ResponseHead{Status: status, ContentLength: length}
	}
	for _, tt := range []struct {
		name   string
		method string
		serve  func(x wire.Exchange)
		status int    // of the answer; 0 for an error
		code   string // of the error
		text   string
		body   string
		header map[string]any // of the answer
	}{
		{name: "informational heads are not sent", serve: func(x wire.Exchange) {
			_ = x.WriteHead(head(103, -1), false)
			_ = x.WriteHead(head(200, 2), false)
			_, _ = x.WriteLast([]byte("ok"))
		}, status: 200, body: "ok"},
		{name: "no body", serve: func(x wire.Exchange) { _ = x.WriteHead(head(204, -1), true) }, status: 204},
		{name: "a trailer has no place", serve: func(x wire.Exchange) {
			_ = x.WriteHead(head(200, -1), false)
			_, _ = x.Write([]byte("ok"))
			_ = x.CloseWrite(http.Header{"X-T": {"1"}})
		}, status: 200, body: "ok"},
		{name: "length of an answer to HEAD", method: "HEAD", serve: func(x wire.Exchange) { _ = x.WriteHead(head(200, 5), true) }, status: 200,
			header: map[string]any{"Content-Length": []any{"5"}}},
		{name: "no length of an answer to HEAD", method: "HEAD", serve: func(x wire.Exchange) { _ = x.WriteHead(head(200, -1), true) }, status: 200},
		{name: "length of an unmodified one", serve: func(x wire.Exchange) { _ = x.WriteHead(head(304, 5), true) }, status: 304},
		{name: "cut short", serve: func(x wire.Exchange) {
			_ = x.WriteHead(head(200, 5), false)
			_, _ = x.Write([]byte("ok"))
			if x.CloseWrite(nil) == nil {
				t.Error("a short body was taken")
			}
		}, code: "internal_error", text: "short"},
		{name: "given up in the middle", serve: func(x wire.Exchange) {
			_ = x.WriteHead(head(200, -1), false)
			_, _ = x.Write([]byte("ok"))
			x.Reset(wire.ResetInternal, "the local service broke off")
			if _, err := x.Write([]byte("more")); err == nil {
				t.Error("writing goes on after a reset")
			}
		}, code: "internal_error", text: "broke off"},
		{name: "unavailable", serve: func(x wire.Exchange) { x.Reset(wire.ResetUnavailable, "down") }, code: "local_service_unavailable", text: "down"},
		{name: "busy", serve: func(x wire.Exchange) { x.Reset(wire.ResetBusy, "") }, code: "local_service_unavailable"},
		{name: "timeout", serve: func(x wire.Exchange) { x.Reset(wire.ResetTimeout, "") }, code: "timeout"},
		{name: "invalid", serve: func(x wire.Exchange) { x.Reset(wire.ResetInvalid, "") }, code: "invalid_request"},
		{name: "upgrade", serve: func(x wire.Exchange) {
			if x.WriteHead(head(101, -1), false) == nil {
				t.Error("an upgrade was taken")
			}
		}, code: "internal_error", text: "needs a relay"},
		{name: "nothing", serve: func(wire.Exchange) {}, code: "internal_error"},
		{name: "no head", serve: func(x wire.Exchange) {
			_, err := x.Write([]byte("x"))
			if err == nil || x.CloseWrite(nil) == nil {
				t.Error("a body without head was taken")
			}
		}, code: "internal_error"},
		{name: "head only", serve: func(x wire.Exchange) { _ = x.WriteHead(head(200, -1), false) }, code: "internal_error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newTableBackend(t, "http")
			_, p, _ := b.agent(&Config{Handler: tt.serve})
			method := tt.method
			if method == "" {
				method = "GET"
			}
			p.send(request("r1", method, "/", nil, nil))
			if tt.code != "" {
				if text := p.wantError("r1", tt.code); !strings.Contains(text, tt.text) || text == "" {
					t.Errorf("error %q, want %q in it", text, tt.text)
				}
			} else {
				headers, body := p.wantAnswer("r1", tt.status)
				if string(body) != tt.body {
					t.Errorf("body %q, want %q", body, tt.body)
				}
				if diff := cmp.Diff(tt.header, headers, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("headers (-want +got):\n%s", diff)
				}
			}
			p.send(request("r2", "GET", "/", nil, nil)) // one message per request, and the link goes on
			if m := p.next(); m["request_id"] != "r2" {
				t.Errorf("message %v, want one about r2", m)
			}
		})
	}
}

func TestPanicBreaksOneRequestOnly(t *testing.T) {
	t.Parallel()
	b := newTableBackend(t, "http")
	var log bytes.Buffer
	waits, release := make(chan bool), make(chan bool)
	l, p, done := b.agent(&Config{Logger: slog.New(slog.NewTextHandler(&log, nil)), Handler: func(x wire.Exchange) {
		switch x.Request().Target {
		case "/waits":
			close(waits)
			<-release
		case "/panics":
			_ = x.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: 9}, false)
			panic("no way")
		}
		echo(x)
	}})
	p.send(request("r1", "GET", "/waits", nil, nil))
	<-waits
	p.send(request("r2", "GET", "/panics", nil, nil))
	if text := p.wantError("r2", "internal_error"); text != "the agent failed: see its log" {
		t.Errorf("the visitor reads %q", text)
	}
	close(release)
	p.wantAnswer("r1", 200)
	l.Close()
	_ = wait(t, done)
	if text := log.String(); !strings.Contains(text, "no way") || !strings.Contains(text, "form1_test.go") {
		t.Errorf("the log has neither reason nor place: %s", text)
	}
}

func TestUpgradeIsOfferedToTheHandler(t *testing.T) {
	t.Parallel()
	b := newTableBackend(t, "ws")
	_, p, _ := b.agent(&Config{Handler: func(x wire.Exchange) {
		if x.Request().Upgrade != "websocket" {
			t.Errorf("upgrade = %q", x.Request().Upgrade)
		}
		_ = x.WriteHead(&wire.ResponseHead{Status: 101, ContentLength: -1}, false)
	}})
	p.send(request("r1", "GET", "/", map[string][]string{"connection": {"Upgrade"}, "upgrade": {"websocket"}}, nil))
	if text := p.wantError("r1", "internal_error"); text != "websocket needs a relay: this backend carries whole messages only" {
		t.Errorf("error %q", text)
	}
}

func TestRequestsDeliveredTwice(t *testing.T) {
	t.Parallel()
	b := newTableBackend(t, "http")
	var mu sync.Mutex
	served := map[string]int{}
	cfg := &Config{Handler: func(x wire.Exchange) {
		mu.Lock()
		served[x.Request().Target]++
		mu.Unlock()
		echo(x)
	}}
	_, first, _ := b.agent(cfg)
	_, second, _ := b.agent(cfg) // the same session's next connection
	for i, p := range []*peer{first, first, second, second} {
		p.send(request("same", "POST", "/same", nil, nil))
		if i == 0 {
			p.wantAnswer("same", 200)
		}
	}
	for _, p := range []*peer{first, second} { // messages are taken in order
		p.send(request(fmt.Sprintf("%p", p), "POST", "/other", nil, nil))
		p.wantAnswer(fmt.Sprintf("%p", p), 200)
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff(map[string]int{"/same": 1, "/other": 2}, served); diff != "" {
		t.Errorf("served (-want +got):\n%s", diff)
	}
}

func TestTooManyRequests(t *testing.T) {
	t.Parallel()
	b := newTableBackend(t, "http")
	release := make(chan struct{})
	_, p, _ := b.agent(&Config{Handler: func(x wire.Exchange) {
		<-release
		echo(x)
	}})
	for i := range maxConcurrent + 1 {
		p.send(request(fmt.Sprint(i), "GET", "/", nil, nil))
	}
	p.wantError(fmt.Sprint(maxConcurrent), "local_service_unavailable")
	close(release)
	for range maxConcurrent {
		if m := p.next(); m["type"] != "http_response" {
			t.Fatalf("message %v", m)
		}
	}
	p.send(request("later", "GET", "/", nil, nil))
	p.wantAnswer("later", 200)
}

func TestAnswersBeingGatheredAreBounded(t *testing.T) {
	t.Parallel()
	b := newTableBackend(t, "http")
	release := make(chan struct{})
	full := make(chan bool, maxConcurrent)
	_, p, _ := b.agent(&Config{Handler: func(x wire.Exchange) {
		_ = x.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: -1}, false)
		_, err := x.Write(make([]byte, wire.MaxRelayBody))
		full <- err != nil
		<-release
		x.Reset(wire.ResetInternal, "enough")
	}})
	n := maxBuffered/wire.MaxRelayBody + 1
	for i := range n {
		p.send(request(fmt.Sprint(i), "GET", "/", nil, nil))
	}
	refused := 0
	for range n {
		if <-full {
			refused++
		}
	}
	if refused != 1 {
		t.Errorf("%d of %d refused, want 1", refused, n)
	}
	if m := p.next(); m["code"] != "local_service_unavailable" {
		t.Errorf("message %v", m)
	}
	close(release)
	for range n - 1 {
		p.next()
	}
	p.send(request("later", "GET", "/", nil, nil))
	if <-full {
		t.Error("the budget of answers that are over did not come back")
	}
}

func TestErrorsFromTheBackend(t *testing.T) {
	t.Parallel()
	t.Run("about one request", func(t *testing.T) {
		t.Parallel()
		b := newTableBackend(t, "http")
		begun := make(chan struct{}, 2)
		_, p, _ := b.agent(&Config{Handler: func(x wire.Exchange) {
			begun <- struct{}{}
			if x.Request().Target == "/slow" {
				<-x.Context().Done()
			}
			echo(x)
		}})
		p.send(request("slow", "GET", "/slow", nil, nil))
		<-begun
		p.send(map[string]any{"type": "error", "request_id": "slow", "code": "timeout", "message": "too late"})
		p.send(request("next", "GET", "/", nil, nil))
		ids := []any{p.next()["request_id"], p.next()["request_id"]}
		if ids[0] == ids[1] {
			t.Errorf("messages about %v", ids)
		}
	})
	t.Run("not permanent, or about some message", func(t *testing.T) {
		t.Parallel()
		b := newTableBackend(t, "ws")
		_, p, _ := b.agent(&Config{})
		p.send(map[string]any{"type": "error", "code": "internal_error", "message": "oops"})
		p.send(map[string]any{"type": "error", "code": "invalid_request", "message": "what?"})
		p.sendText(`{"message":"Endpoint request timed out","connectionId":"c","requestId":"r"}`)
		p.sendText(`{"type":"weather","rain":true}`)
		p.sendText(`[1,2`)
		p.sendText(`{"type":"ping"}`)
		p.sendText(`{"type":"pong"}`)
		p.send(request("r1", "GET", "/", nil, nil))
		p.wantAnswer("r1", 200) // and nothing before it: an undeclared backend knows no pong
	})
	t.Run("a request that cannot be read", func(t *testing.T) {
		t.Parallel()
		b := newTableBackend(t, "http")
		_, p, _ := b.agent(&Config{})
		m := request("bad", "GET", "/", nil, nil)
		m["body"] = "no base64!"
		p.send(m)
		p.wantError("bad", "invalid_request")
		p.send(request("r1", "GET", "/", nil, nil))
		p.wantAnswer("r1", 200)
	})
	t.Run("replaced", func(t *testing.T) {
		t.Parallel()
		b := newTableBackend(t, "http")
		_, p, done := b.agent(&Config{})
		p.send(map[string]any{"type": "error", "code": "replaced", "message": "taken over"})
		var refusal *wire.Error
		if err := wait(t, done); !errors.As(err, &refusal) || refusal.Code != wire.CodeReplaced || refusal.Message != "taken over" {
			t.Errorf("Run = %v", err)
		}
	})
	t.Run("going away", func(t *testing.T) {
		t.Parallel()
		b := newTableBackend(t, "http")
		l, p, _ := b.agent(&Config{})
		for range 2 {
			p.send(map[string]any{"type": "error", "code": "going_away", "message": "restart"})
		}
		<-l.GoingAway()
		p.send(request("r1", "GET", "/", nil, nil))
		p.wantAnswer("r1", 200)
	})
	t.Run("a ping from one that knows pong", func(t *testing.T) {
		t.Parallel()
		b := newTableBackend(t, "http")
		b.greet = func(p *peer) { p.send(declared(established("t1"))) }
		_, p, _ := b.agent(&Config{})
		p.sendText(`{"type":"ping"}`)
		if m := p.next(); m["type"] != "pong" {
			t.Errorf("message %v, want pong", m)
		}
	})
}

func TestSchemeOfTheVisitor(t *testing.T) {
	t.Parallel()
	u := parseURLs(&wire.Established{PublicURL: "https://r.test/t1"})
	for _, tt := range []struct {
		header http.Header
		want   []string
	}{
		{http.Header{}, []string{"https"}},
		{http.Header{"x-forwarded-proto": {"http"}}, []string{"http"}},
		{http.Header{"X-Forwarded-Proto": {""}}, []string{"https"}},
	} {
		h := requestHead(&wire.HTTPRequest{Method: "GET", URI: "/", Header: tt.header}, u)
		if got := h.Header["X-Forwarded-Proto"]; !slices.Equal(got, tt.want) {
			t.Errorf("%v: %q, want %q", tt.header, got, tt.want)
		}
	}
}

func TestPrefix(t *testing.T) {
	t.Parallel()
	both := wire.Established{PublicURL: "https://r.test/t1", PathBasedURL: "https://r.test/t1", SubdomainURL: "https://t1.r.test"}
	pathOnly := wire.Established{PublicURL: "https://x.execute-api.test/dev/t1/"}
	hostOnly := wire.Established{PublicURL: "https://t1.r.test", SubdomainURL: "https://t1.r.test"}
	odd := wire.Established{PublicURL: "http://r.test:8080/t1", PathBasedURL: "http://r.test:8080/t1", SubdomainURL: "http://t1.r.test:8080"}
	for _, tt := range []struct {
		name      string
		est       wire.Established
		forwarded string
		host      string
		want      string
	}{
		{"path form", both, "", "r.test", "/t1"},
		{"host form", both, "", "t1.r.test", ""},
		{"case and default port", both, "", "R.Test:443", "/t1"},
		{"the forwarded host decides", both, "r.test", "internal", "/t1"},
		{"the first of them", both, "t1.r.test, r.test", "internal", ""},
		{"an unknown host", both, "", "internal", ""},
		{"stage and trailing slash", pathOnly, "", "x.execute-api.test", "/dev/t1"},
		{"only a path form, behind something", pathOnly, "", "internal", "/dev/t1"},
		{"only a host form", hostOnly, "", "t1.r.test", ""},
		{"only a host form, unknown host", hostOnly, "", "internal", ""},
		{"port, path form", odd, "", "r.test:8080", "/t1"},
		{"port, host form", odd, "", "t1.r.test:8080", ""},
	} {
		h := http.Header{}
		if tt.forwarded != "" {
			h.Set("X-Forwarded-Host", tt.forwarded)
		}
		u := parseURLs(&tt.est)
		if got := u.prefixOf(h, tt.host); got != tt.want {
			t.Errorf("%s: prefix %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestReadLimit(t *testing.T) {
	t.Parallel()
	b := newTableBackend(t, "ws")
	_, p, done := b.agent(&Config{})
	p.sendText(`{"type":"x","pad":"` + strings.Repeat("x", 128<<10) + `"}`)
	if err := wait(t, done); err == nil {
		t.Error("a message over the limit was read")
	}
}

func TestStopWithRequestsUnderWay(t *testing.T) {
	t.Parallel()
	b := newTableBackend(t, "http")
	begun := make(chan struct{})
	l, p, done := b.agent(&Config{Handler: func(x wire.Exchange) {
		close(begun)
		<-x.Context().Done()
		if _, err := io.ReadAll(x); err != nil {
			t.Errorf("read: %v", err)
		}
	}})
	p.send(request("r1", "GET", "/", nil, nil))
	<-begun
	l.Close()
	if err := wait(t, done); err == nil {
		t.Error("Run = nil")
	}
}
