package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
)

// TestUpgrade has a protocol of nobody's pass: what follows the switch is the
// two ends' own, with each direction ending by itself.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	service := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "shouting/1.0" || !strings.EqualFold(r.Header.Get("Connection"), "upgrade") {
			http.Error(w, fmt.Sprint("no upgrade asked for: ", r.Header), http.StatusUpgradeRequired)
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		// The first word leaves together with the head.
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: shouting/1.0\r\nX-Extra: yes\r\n\r\nHELLO ")
		for {
			word, err := rw.ReadString(' ')
			if err != nil { // the visitor has said all that he has to say
				fmt.Fprint(conn, "GOODBYE")
				return
			}
			fmt.Fprint(conn, strings.ToUpper(word))
		}
	}))
	r := startRelay(t)
	a := startAgent(t, agentSpec{target: service.URL, backend: r.url()})
	conn, err := net.Dial("tcp", r.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	in := bufio.NewReader(conn)
	// The visitor does not wait for the switch either.
	fmt.Fprintf(conn, "GET /%s/ HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: shouting/1.0\r\n\r\nearly ", a.id(), r.addr())
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Upgrade") != "shouting/1.0" || resp.Header.Get("X-Extra") != "yes" {
		t.Fatalf("%s %v", resp.Status, resp.Header)
	}
	for _, want := range []string{"HELLO ", "EARLY "} {
		if got, err := in.ReadString(' '); err != nil || got != want {
			t.Fatalf("got %q (%v), want %q", got, err, want)
		}
	}
	for _, word := range []string{"one ", "two "} {
		fmt.Fprint(conn, word)
		if got, err := in.ReadString(' '); err != nil || got != strings.ToUpper(word) {
			t.Fatalf("said %q, got %q (%v)", word, got, err)
		}
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(in); err != nil || string(rest) != "GOODBYE" {
		t.Errorf("after the visitor's end: %q, %v", rest, err)
	}
}

// TestUpgradeBreaks checks that the end of one side of an open stream, or of what
// is between, reaches the others.
func TestUpgradeBreaks(t *testing.T) {
	t.Parallel()
	opened, closed := make(chan struct{}, 1), make(chan struct{}, 1)
	_, a := tunnel(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		up := websocket.Upgrader{}
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.Close()
		opened <- struct{}{}
		_, _, err = ws.ReadMessage()
		if r.URL.Path == "/leave" && err == nil {
			return // without a word
		}
		if err == nil {
			t.Error("a message from nobody")
		}
		closed <- struct{}{}
	}))
	dial := func(path string) *websocket.Conn {
		t.Helper()
		ws, _, err := websocket.DefaultDialer.Dial("ws"+a.path(path)[len("http"):], nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ws.Close() })
		_ = ws.SetReadDeadline(time.Now().Add(patience))
		<-opened
		return ws
	}
	await := func(what string) {
		t.Helper()
		select {
		case <-closed:
		case <-time.After(patience):
			t.Errorf("%s, and the local service was not told", what)
		}
	}
	dial("/").NetConn().Close()
	await("the visitor left")

	ws := dial("/leave")
	if err := ws.WriteMessage(websocket.TextMessage, []byte("go")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.ReadMessage(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the local service left, and the visitor got %v", err)
	}

	ws = dial("/")
	a.kill(t)
	if _, _, err := ws.ReadMessage(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the agent was killed, and the visitor got %v", err)
	}
	await("the agent was killed")
}

// TestEarlyAnswer has a local service that answers without reading the request.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				if _, err := http.ReadRequest(in); err == nil { // the head alone
					io.WriteString(conn, "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 7\r\n\r\nnot you")
				}
				_, _ = io.Copy(io.Discard, in)
			})
		}
	})
	t.Cleanup(func() { ln.Close(); conns.Wait() }) // after the agent's end
	r := startRelay(t)
	a := startAgent(t, agentSpec{target: ln.Addr().String(), backend: r.url()})
	// As without a tunnel, a visitor who sends for long may find the connection
	// closed; one who still listens gets the answer.
	for _, size := range []int{0, 1, 1000, 100_000} {
		req, err := http.NewRequest(http.MethodPost, a.path("/"), strings.NewReader(strings.Repeat("x", size)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := do(t, req); err != nil || got.status != http.StatusForbidden || got.body != "not you" {
			t.Errorf("%d bytes: %v, status %d, %q", size, err, got.status, got.body)
		}
	}
	// A visitor whose body never ends.
	body, end := io.Pipe()
	// The client does not give up while it waits for more of the body.
	defer time.AfterFunc(patience, func() { end.Close() }).Stop()
	defer end.Close()
	req, err := http.NewRequest(http.MethodPost, a.path("/"), body)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := do(t, req); err != nil || got.status != http.StatusForbidden || got.body != "not you" {
		t.Errorf("a body without end: %v, status %d, %q", err, got.status, got.body)
	}
}

// TestRequestTrailer sends fields after the body.
func TestRequestTrailer(t *testing.T) {
	t.Parallel()
	_, a := tunnel(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s|%v|%s|%s", body, err, r.Trailer.Get("X-Sum"), r.Trailer.Get("X-Unset"))
	}))
	req, err := http.NewRequest(http.MethodPost, a.path("/"), io.NopCloser(strings.NewReader("body")))
	if err != nil {
		t.Fatal(err)
	}
	req.Trailer = http.Header{"X-Sum": {"42"}, "X-Unset": nil}
	if got, err := do(t, req); err != nil || got.body != "body|<nil>|42|" {
		t.Errorf("%v, %q", err, got.body)
	}
}

// TestRawAnswer has a local service whose answers only just are ones.
func TestRawAnswer(t *testing.T) {
	t.Parallel()
	r := startRelay(t)
	for name, c := range map[string]struct {
		answer string // of the service
		fields []string
		body   string
	}{
		"repeated fields": {
			"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a:   2  \r\nX-A: 3, 4\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nX-Empty:\r\nX-Bytes: gr\xfc\xdf\r\nContent-Length: 2\r\n\r\nok",
			[]string{"X-A: 1", "X-A: 2", "X-A: 3, 4", "Set-Cookie: a=1; Path=/ID/", "Set-Cookie: b=2", "X-Empty:", "X-Bytes: gr\xfc\xdf", "Content-Length: 2"}, "ok",
		},
		"fields between neighbours": {
			"HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nok",
			[]string{"Content-Length: 2"}, "ok",
		},
		"no reason":  {"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", []string{"Content-Length: 2"}, "ok"},
		"HTTP/1.0":   {"HTTP/1.0 200 OK\r\n\r\nup to the end", []string{"Transfer-Encoding: chunked"}, "d\r\nup to the end\r\n0\r\n\r\n"},
		"no content": {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", []string{"Content-Length: 0"}, ""},
		"early hints": {
			"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
			[]string{"Link: </style.css>; rel=preload"}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := record(t, c.answer)
			a := startAgent(t, agentSpec{target: service.target(), backend: r.url()})
			raw := sendRaw(t, r.addr(), "GET /"+a.id()+"/ HTTP/1.1\r\nHost: "+r.addr()+"\r\nConnection: close\r\n\r\n")
			head, body, _ := strings.Cut(raw, "\r\n\r\n")
			var fields []string
			for _, line := range strings.Split(head, "\r\n")[1:] {
				if name, _, _ := strings.Cut(line, ":"); name != "Date" && name != "Connection" {
					fields = append(fields, strings.TrimSpace(strings.ReplaceAll(line, "/"+a.id()+"/", "/ID/")))
				}
			}
			slices.Sort(fields)
			slices.Sort(c.fields)
			if diff := cmp.Diff(c.fields, fields); diff != "" {
				t.Errorf("fields: want - got +\n%s", diff)
			}
			if name != "early hints" && body != c.body {
				t.Errorf("body %q, want %q", body, c.body)
			}
			if name == "early hints" && (!strings.HasPrefix(body, "HTTP/1.1 200 OK\r\n") || !strings.HasSuffix(body, "\r\n\r\nok")) {
				t.Errorf("after the hints: %q", body)
			}
		})
	}
}

// TestOldVisitor has a visitor who speaks HTTP/1.0, and knows no chunks.
func TestOldVisitor(t *testing.T) {
	t.Parallel()
	r, a := tunnel(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range 3 {
			io.WriteString(w, "piece,")
			w.(http.Flusher).Flush()
		}
	}))
	raw := sendRaw(t, r.addr(), "GET /"+a.id()+"/ HTTP/1.0\r\nHost: "+r.addr()+"\r\n\r\n")
	head, body, _ := strings.Cut(raw, "\r\n\r\n")
	if statusOf(raw) != http.StatusOK || body != "piece,piece,piece," || strings.Contains(strings.ToLower(head), "chunked") {
		t.Errorf("the visitor got %q", raw)
	}
}

// TestSameOrigin has a local service that checks where its requests come from,
// as many do against cross-site requests: pages of the public URL are its own.
func TestSameOrigin(t *testing.T) {
	t.Parallel()
	service := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s|%s|%s", r.Host, r.Header.Get("Origin"), r.Header.Get("Referer"))
	}))
	r := startRelay(t, "--subdomains")
	local := startAgent(t, agentSpec{target: service.URL, backend: r.url()})
	public := startAgent(t, agentSpec{target: service.URL, backend: r.url(), args: []string{"--host-header", "public"}})
	own := service.URL
	for name, c := range map[string]struct {
		base, origin, referer string
		want                  string
	}{
		"subdomain": {local.subdomain(""), local.subdomain(""), local.subdomain("/a?b=c"), hostOf(t, own) + "|" + own + "|" + own + "/a?b=c"},
		"path":      {local.path(""), "http://" + hostOf(t, local.path("")), local.path("/a?b=c"), hostOf(t, own) + "|" + own + "|" + own + "/a?b=c"},
		"foreign":   {local.subdomain(""), "https://example.com", "https://example.com/x", hostOf(t, own) + "|https://example.com|https://example.com/x"},
		"sandbox":   {local.subdomain(""), "null", "", hostOf(t, own) + "|null|"},
		"none":      {local.subdomain(""), "", "", hostOf(t, own) + "||"},
		"public":    {public.subdomain(""), public.subdomain(""), public.subdomain("/a"), hostOf(t, public.subdomain("")) + "|" + public.subdomain("") + "|" + public.subdomain("/a")},
	} {
		header := []string{}
		if c.origin != "" {
			header = append(header, "Origin", c.origin)
		}
		if c.referer != "" {
			header = append(header, "Referer", c.referer)
		}
		if got := mustGet(t, http.StatusOK, c.base+"/", header...); got.body != c.want {
			t.Errorf("%s: the service sees %q, want %q", name, got.body, c.want)
		}
	}
}

// TestTrustedProxy has the relay stand behind a proxy, whose word it takes.
func TestTrustedProxy(t *testing.T) {
	t.Parallel()
	service := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header["X-Forwarded-For"], r.Header["X-Forwarded-Proto"], r.Header["X-Forwarded-Host"])
	}))
	header := []string{"X-Forwarded-For", "198.51.100.1, 203.0.113.9", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "shop.example.com"}
	for args, want := range map[string]struct{ seen, addr string }{
		"--trusted-proxy=127.0.0.0/8": {"[198.51.100.1, 203.0.113.9, 127.0.0.1] [https] [shop.example.com]", "203.0.113.9"},
		"--trusted-proxy=10.0.0.0/8":  {"", "127.0.0.1"},
	} {
		r := startRelay(t, args)
		a := startAgent(t, agentSpec{target: service.URL, backend: r.url()})
		if want.seen == "" {
			want.seen = fmt.Sprintf("[127.0.0.1] [http] [%s]", r.addr())
		}
		if got := mustGet(t, http.StatusOK, a.path("/"), header...); got.body != want.seen {
			t.Errorf("%s: the service sees %s, want %s", args, got.body, want.seen)
		}
		if e := a.awaitEvent(t, "request"); e.str("remote_addr") != want.addr {
			t.Errorf("%s: the log says %s, want %s", args, e.str("remote_addr"), want.addr)
		}
	}
}

// TestHTTPSService has a local service with a certificate that nobody signed.
func TestHTTPSService(t *testing.T) {
	t.Parallel()
	service := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Host, " ", r.Header.Get("X-Forwarded-Proto"))
	}))
	t.Cleanup(service.Close)
	r := startRelay(t)
	a := startAgent(t, agentSpec{target: service.URL, backend: r.url()})
	if got, want := mustGet(t, http.StatusOK, a.path("/")).body, hostOf(t, service.URL)+" http"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// Spoken to without TLS, it answers with an error of its own, which is an answer.
	plain := startAgent(t, agentSpec{target: strings.Replace(service.URL, "https", "http", 1), backend: r.url()})
	mustGet(t, http.StatusBadRequest, plain.path("/"))
	// The other way round, no answer is to be had.
	web := serve(t, http.NotFoundHandler())
	wrong := startAgent(t, agentSpec{target: strings.Replace(web.URL, "http", "https", 1), backend: r.url()})
	mustGet(t, http.StatusBadGateway, wrong.path("/"))
}

// TestVisitorLimits has visitors with more header than fits, or none for too long.
func TestVisitorLimits(t *testing.T) {
	t.Parallel()
	service := record(t, rawOK)
	r := startRelay(t)
	a := startAgent(t, agentSpec{target: service.target(), backend: r.url()})
	request := func(header string) string {
		return "GET /" + a.id() + "/ HTTP/1.1\r\nHost: " + r.addr() + "\r\n" + header + "Connection: close\r\n\r\n"
	}
	if status := statusOf(sendRaw(t, r.addr(), request("X-A: "+strings.Repeat("a", 60_000)+"\r\n"))); status != http.StatusOK {
		t.Errorf("60 KB of header: status %d", status)
	}
	if status := statusOf(sendRaw(t, r.addr(), request("X-A: "+strings.Repeat("a", 70_000)+"\r\n"))); status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("70 KB of header: status %d, want 431", status)
	}
	if n := len(service.got()); n != 1 {
		t.Errorf("%d requests reached the service", n)
	}
	conn, err := net.Dial("tcp", r.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n")
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadAll(conn); err != nil && !isReset(err) {
		t.Errorf("a header that never ends is waited for: %v", err)
	}
}

// TestStatus looks a tunnel up.
func TestStatus(t *testing.T) {
	t.Parallel()
	r := startRelay(t)
	before := time.Now().Add(-time.Minute)
	a := startAgent(t, agentSpec{target: "9", backend: r.url(), args: []string{"--name", "looked-up"}})
	look := func() (status string) {
		got := mustGet(t, http.StatusOK, r.url()+"/_status/looked-up")
		var fields map[string]string
		if err := json.Unmarshal([]byte(got.body), &fields); err != nil {
			t.Fatalf("%v: %s", err, got.body)
		}
		since, err := time.Parse(time.RFC3339, fields["since"])
		if err != nil || since.Before(before) || since.After(time.Now().Add(time.Minute)) {
			t.Errorf("since %q (%v)", fields["since"], err)
		}
		status = fields["status"]
		delete(fields, "since")
		if diff := cmp.Diff(map[string]string{"tunnel_id": "looked-up", "status": status}, fields); diff != "" {
			t.Errorf("want - got +\n%s", diff)
		}
		return status
	}
	online := look()
	a.stop(t)
	eventually(t, func() error {
		if offline := look(); offline == online {
			return fmt.Errorf("status %q with and without an agent", offline)
		}
		return nil
	})
}
