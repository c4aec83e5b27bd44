package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
	"github.com/mccutchen/go-httpbin/v2/httpbin"
)

// testAWSFaults has everything fail that can, and looks at what visitors are told.
func testAWSFaults(t *testing.T, aws *account) {
	_, port, _ := strings.Cut(strings.TrimPrefix(aws.visitors, "http://"), ":")
	t.Run("unknown tunnel", func(t *testing.T) {
		checkErrorPages(t, aws.visitors+"/no-such-tunnel/x", http.StatusNotFound)
		checkErrorPages(t, "http://no-such-tunnel.localhost:"+port+"/x", http.StatusNotFound)
		mustGet(t, http.StatusNotFound, aws.visitors+"/")
		mustGet(t, http.StatusNotFound, aws.visitors+"/favicon.ico")
		mustGet(t, http.StatusNotFound, aws.visitors+"/_culvert/nothing")
		got := mustGet(t, http.StatusNotFound, aws.visitors+"/_status/no-such-tunnel")
		if ct := got.header.Get("Content-Type"); !strings.HasPrefix(ct, "application/json") {
			t.Errorf("status of an unknown tunnel: Content-Type %q: %s", ct, got.body)
		}
		if got := mustGet(t, http.StatusOK, aws.visitors+"/_culvert/healthz"); !strings.Contains(got.body, `"ok"`) {
			t.Errorf("healthz: %s", got.body)
		}
	})
	t.Run("service down", func(t *testing.T) {
		a := startAgent(t, agentSpec{target: strconv.Itoa(freePort(t)), backend: aws.agents})
		checkErrorPages(t, a.path("/"), http.StatusServiceUnavailable)
		got := mustGet(t, http.StatusServiceUnavailable, a.path("/x?y"))
		if s, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || s < 1 {
			t.Errorf("Retry-After %q", got.header.Get("Retry-After"))
		}
		a.await(t, "the failed request", func(e event) bool {
			return e.kind() == "request" && e.str("path") == "/x?y" && e.num("status") == 503
		})
	})
	t.Run("service slow", func(t *testing.T) {
		a := aws.tunnel(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // the server watches for the peer's end only then
			<-r.Context().Done()
		}), "--timeout", "500ms")
		checkErrorPages(t, a.path("/"), http.StatusGatewayTimeout)
	})
	t.Run("agent killed", func(t *testing.T) {
		service := serve(t, httpbin.New())
		spec := agentSpec{target: service.URL, backend: aws.agents, config: t.TempDir(), args: []string{"--name", "kill-me"}}
		a := startAgent(t, spec)
		mustGet(t, http.StatusOK, a.path("/get"))
		status := func() string { return mustGet(t, http.StatusOK, aws.visitors+"/_status/kill-me").body }
		if got := status(); !strings.Contains(got, `"kill-me"`) || !strings.Contains(got, `"online"`) || !strings.Contains(got, `"since"`) {
			t.Errorf("status %s", got)
		}
		a.kill(t)
		eventuallyStatus(t, http.StatusBadGateway, a.path("/get"))
		checkErrorPages(t, a.path("/get"), http.StatusBadGateway)
		checkErrorPages(t, a.subdomain("/get"), http.StatusBadGateway)
		eventually(t, func() error { // environments remember what they have looked up
			if got := status(); !strings.Contains(got, `"offline"`) {
				return fmt.Errorf("status %s", got)
			}
			return nil
		})
		// Names belong to an installation, for as long as it may come back.
		thief := agentSpec{target: service.URL, backend: aws.agents, args: spec.args}.start(t)
		if code := thief.exit(t); code != 3 {
			t.Errorf("somebody else's agent with that name: exit code %d, want 3", code)
		}
		again := startAgent(t, spec)
		for _, url := range []string{"public_url", "path_based_url", "subdomain_url"} {
			if again.online.str(url) != a.online.str(url) {
				t.Errorf("%s was %s and is %s after the restart", url, a.online.str(url), again.online.str(url))
			}
		}
		eventuallyStatus(t, http.StatusOK, a.path("/get"))
		// A second process that asks for a name in use gets it no more than a stranger.
		second := spec.start(t)
		if code := second.exit(t); code != 3 {
			t.Errorf("a second agent with that name: exit code %d, want 3", code)
		}
		mustGet(t, http.StatusOK, a.path("/get"))
		again.stop(t)
		eventuallyStatus(t, http.StatusBadGateway, a.path("/get"))
	})
}

// testAWSLimits sends what is too large for AWS: refused before anything of it is sent.
func testAWSLimits(t *testing.T, aws *account) {
	var asked atomic.Int32
	a := aws.tunnel(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(body)
	}))
	post := func(t *testing.T, size int64) answer {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, a.path("/"), io.LimitReader(endless(), size))
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = size
		req.Header.Set("Content-Type", "application/octet-stream")
		// Who asks first is told before he sends, and loses no answer by sending on.
		req.Header.Set("Expect", "100-continue")
		got, err := do(t, req)
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		return got
	}
	var want strings.Builder
	_, _ = io.CopyN(&want, endless(), 4<<20)
	for _, size := range []int64{0, 1, 90 << 10, 100 << 10, 1 << 20, 4 << 20} {
		if got := post(t, size); got.status != http.StatusOK || got.body != want.String()[:size] {
			t.Errorf("%d bytes came back with status %d and %d bytes", size, got.status, len(got.body))
		}
	}
	before := asked.Load()
	// In JSON, 6 MB hold 4.5 MB of binary data; HTTP APIs take 10 MB of anything.
	for _, size := range []int64{5 << 20, 11 << 20} {
		if got := post(t, size); got.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%d bytes: status %d, want 413; %.200s", size, got.status, got.body)
		}
	}
	// 10,240 bytes of request line and header.
	got, err := get(t, a.path("/"), "X-Large", strings.Repeat("x", 10_240))
	if err != nil || got.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of 10 KB: %v, status %d, want 431", err, got.status)
	}
	if n := asked.Load(); n != before {
		t.Errorf("%d requests that are too large reached the service", n-before)
	}
	mustGet(t, http.StatusOK, a.path("/"), "X-Large", strings.Repeat("x", 9_000))
}

// testAWSHeads looks at heads byte by byte, with a service that understands nothing.
func testAWSHeads(t *testing.T, aws *account) {
	service := record(t, "HTTP/1.1 200 OK\r\nX-A: 9\r\nx-a:   2  \r\nX-Empty:\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2; Path=/x, y\r\n"+
		"Connection: close, X-Hop\r\nX-Hop: 1\r\nContent-Length: 2\r\n\r\nok")
	a := startAgent(t, agentSpec{target: service.target(), backend: aws.agents})
	host := hostOf(t, aws.visitors)
	send := func(method string) (string, rawRequest) {
		t.Helper()
		before := len(service.got())
		raw := sendRaw(t, host, method+" /"+a.id()+"/a%20b//c;d?x=%2F&&y HTTP/1.1\r\nHost: "+host+"\r\n"+
			"X-A: 1\r\nX-A:   2  \r\nx-lower: v\r\nX-Empty:\r\nCookie: a=1\r\nCookie: b=2; c=\"3\"\r\n"+
			"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: forged.example\r\nForwarded: for=6.6.6.6\r\n"+
			"Connection: close\r\n\r\n")
		got := service.got()[before:]
		if statusOf(raw) != http.StatusOK || len(got) != 1 {
			t.Fatalf("%s: %d requests arrived; answer: %q", method, len(got), raw)
		}
		return raw, got[0]
	}
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "DELETE", "PROPFIND"} {
		raw, got := send(method)
		if want := method + " /a%20b//c;d?x=%2F&&y HTTP/1.1"; got.line != want {
			t.Errorf("the service got %q, want %q", got.line, want)
		}
		for name, values := range map[string][]string{
			"X-A": {"1,2"}, "X-Lower": {"v"}, "Cookie": {`a=1; b=2; c="3"`}, "Host": {service.target()},
			"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {host}, "Forwarded": nil,
			"Transfer-Encoding": nil, "Connection": got.fields("Connection"),
		} {
			if diff := cmp.Diff(values, got.fields(name)); diff != "" {
				t.Errorf("%s: %s: want - got +\n%s", method, name, diff)
			}
		}
		head, body, _ := strings.Cut(raw, "\r\n\r\n")
		answer := http.Header{}
		for _, line := range strings.Split(head, "\r\n")[1:] {
			name, value, _ := strings.Cut(line, ":")
			answer.Add(name, strings.TrimSpace(value))
		}
		for name, values := range map[string][]string{
			"X-A": {"9, 2"}, "X-Hop": nil, "Content-Length": {"2"}, "Transfer-Encoding": nil,
			"Set-Cookie": {"a=1; Path=/" + a.id() + "/", "b=2; Path=/" + a.id() + "/x, y"},
		} {
			if diff := cmp.Diff(values, answer[name]); diff != "" {
				t.Errorf("the answer to %s: %s: want - got +\n%s", method, name, diff)
			}
		}
		if want := map[bool]string{true: "", false: "ok"}[method == "HEAD"]; body != want {
			t.Errorf("%s: body %q, want %q", method, body, want)
		}
	}
}

// testAWSUpgrade asks for a WebSocket, which HTTP APIs and Function URLs take for a
// GET: the visitor is told, and the service is not asked for what nobody wanted.
func testAWSUpgrade(t *testing.T, aws *account) {
	var asked atomic.Int32
	service := httpbin.New()
	a := aws.tunnel(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		service.ServeHTTP(w, r)
	}))
	for _, form := range []string{"path", "subdomain", "stream"} {
		dialer := websocket.Dialer{NetDialContext: dialLocalhost}
		conn, resp, err := dialer.Dial("ws"+aws.form(a, form)[len("http"):]+"/websocket/echo", nil)
		if err == nil {
			conn.Close()
			t.Errorf("%s form: a WebSocket was opened", form)
			continue
		}
		if resp == nil {
			t.Errorf("%s form: %v", form, err)
			continue
		}
		body, _ := io.ReadAll(resp.Body) // gorilla has read it
		if resp.StatusCode != http.StatusNotImplemented || !strings.Contains(string(body), "relay") {
			t.Errorf("%s form: %s, %q; want 501 and what helps", form, resp.Status, body)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the service was asked %d times", n)
	}
	mustGet(t, http.StatusOK, a.path("/get"))
}
