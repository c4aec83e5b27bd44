package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mccutchen/go-httpbin/v2/httpbin"
)

// browser is what browsers say they like.
const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

// checkErrorPages holds the answer to a fault against what visitors are
// promised: a page that reloads itself for browsers, a line of text for others,
// and neither for caches.
func checkErrorPages(t *testing.T, url string, status int) {
	t.Helper()
	page := mustGet(t, status, url, "Accept", browser)
	if ct := page.header.Get("Content-Type"); !strings.HasPrefix(ct, "text/html") {
		t.Errorf("%d for a browser: Content-Type %q", status, ct)
	}
	if !strings.Contains(page.body, "<title>") || !strings.Contains(page.body, strconv.Itoa(status)) {
		t.Errorf("%d for a browser: %.500s", status, page.body)
	}
	for _, accept := range []string{"*/*", "application/json", ""} {
		line := mustGet(t, status, url, "Accept", accept)
		if ct := line.header.Get("Content-Type"); !strings.HasPrefix(ct, "text/plain") {
			t.Errorf("%d for Accept %q: Content-Type %q", status, accept, ct)
		}
		if text := strings.TrimSuffix(line.body, "\n"); text == "" || strings.ContainsAny(text, "\n<") {
			t.Errorf("%d for Accept %q: %q, want one line of text", status, accept, line.body)
		}
	}
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", browser)
	if got, err := do(t, req); err != nil || got.status != status || !strings.HasPrefix(got.header.Get("Content-Type"), "text/plain") {
		t.Errorf("POST: %v, status %d, Content-Type %q; want %d and a line of text", err, got.status, got.header.Get("Content-Type"), status)
	}
	if cc := page.header.Get("Cache-Control"); !strings.Contains(cc, "no-store") {
		t.Errorf("%d: Cache-Control %q, want no-store", status, cc)
	}
}

func TestUnknownTunnel(t *testing.T) {
	t.Parallel()
	r := startRelay(t, "--subdomains")
	checkErrorPages(t, r.url()+"/no-such-tunnel/x", http.StatusNotFound)
	checkErrorPages(t, fmt.Sprintf("http://no-such-tunnel.localhost:%d/x", r.port), http.StatusNotFound)
	mustGet(t, http.StatusNotFound, r.url()+"/")
	mustGet(t, http.StatusNotFound, r.url()+"/favicon.ico")
	mustGet(t, http.StatusNotFound, r.url()+"/_culvert/nothing")
	got := mustGet(t, http.StatusNotFound, r.url()+"/_status/no-such-tunnel")
	if ct := got.header.Get("Content-Type"); !strings.HasPrefix(ct, "application/json") {
		t.Errorf("status of an unknown tunnel: Content-Type %q: %s", ct, got.body)
	}
}

func TestLocalServiceDown(t *testing.T) {
	t.Parallel()
	r := startRelay(t)
	port := freePort(t)
	a := startAgent(t, agentSpec{target: strconv.Itoa(port), backend: r.url()})
	checkErrorPages(t, a.path("/"), http.StatusServiceUnavailable)
	got := mustGet(t, http.StatusServiceUnavailable, a.path("/x?y"))
	if s, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || s < 1 {
		t.Errorf("Retry-After %q", got.header.Get("Retry-After"))
	}
	a.await(t, "the failed request", func(e event) bool {
		return e.kind() == "request" && e.str("path") == "/x?y" && e.num("status") == 503
	})
	// It comes up later: on ::1 alone, as Node does, and then on 127.0.0.1 alone.
	for _, host := range []string{"::1", "127.0.0.1"} {
		ln, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			t.Logf("%s is not tried: %v", host, err)
			continue
		}
		service := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, host) }))
		service.Listener.Close()
		service.Listener = ln
		service.Start()
		got := eventuallyStatus(t, http.StatusOK, a.path("/"))
		if got.body != host {
			t.Errorf("body %q", got.body)
		}
		service.CloseClientConnections()
		service.Close()
	}
}

func TestAgentGone(t *testing.T) {
	t.Parallel()
	r, a := tunnel(t, httpbin.New())
	mustGet(t, http.StatusOK, a.path("/get"))
	status := mustGet(t, http.StatusOK, r.url()+"/_status/"+a.id())
	if !strings.Contains(status.body, `"`+a.id()+`"`) || !strings.Contains(status.body, `"since"`) {
		t.Errorf("status %s", status.body)
	}
	a.kill(t)
	eventuallyStatus(t, http.StatusBadGateway, a.path("/get"))
	checkErrorPages(t, a.path("/get"), http.StatusBadGateway)
	checkErrorPages(t, a.subdomain("/get"), http.StatusBadGateway)
}

func TestHeadTimeout(t *testing.T) {
	t.Parallel()
	// The head leaves at once, and has long arrived on a machine that is busy with
	// other tests before the time for it is over.
	const ample = 6 * time.Second
	service := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the server watches for the peer's end only then
		if r.URL.Path == "/slow-body" {
			w.(http.Flusher).Flush()
			select {
			case <-time.After(ample + time.Second): // longer than the timeout, which is for heads alone
			case <-r.Context().Done():
			}
			io.WriteString(w, "late but whole")
			return
		}
		<-r.Context().Done()
	})
	_, hasty := tunnel(t, service, "--timeout", "1s")
	_, patient := tunnel(t, service, "--timeout", ample.String())
	var both sync.WaitGroup
	both.Go(func() { checkErrorPages(t, hasty.path("/"), http.StatusGatewayTimeout) })
	both.Go(func() {
		if got, err := get(t, patient.path("/slow-body")); err != nil || got.body != "late but whole" {
			t.Errorf("a slow body: %v, %q", err, got.body)
		}
	})
	both.Wait()
}

// TestCutShort has the local service break off its answers. A visitor has to see
// that as clearly as without a tunnel: as an error of his connection or, if
// nothing of the answer has left yet, as a status that says so.
func TestCutShort(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"known length": "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this",
		"chunked":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n",
		"bad chunk":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\nxyz\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := record(t, raw)
			r := startRelay(t)
			a := startAgent(t, agentSpec{target: service.target(), backend: r.url()})
			got, err := get(t, a.path("/"))
			if err == nil && got.status != http.StatusBadGateway {
				t.Errorf("status %d and the body %q look whole", got.status, got.body)
			}
			if n := len(service.got()); n != 1 {
				t.Errorf("the service was asked %d times", n)
			}
		})
	}
	for name, length := range map[string]string{"known length, begun": "1000", "chunked, begun": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun := make(chan struct{})
			_, a := tunnel(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if length != "" {
					w.Header().Set("Content-Length", length)
				}
				io.WriteString(w, "only this")
				w.(http.Flusher).Flush()
				select {
				case <-begun:
				case <-r.Context().Done():
				}
				panic(http.ErrAbortHandler)
			}))
			resp, err := newClient(t).Get(a.path("/"))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if _, err := io.ReadFull(resp.Body, make([]byte, len("only this"))); err != nil {
				t.Errorf("the beginning does not come through: %v", err)
			}
			close(begun)
			if rest, err := io.ReadAll(resp.Body); err == nil {
				t.Errorf("an answer that was cut looks whole, with %q at its end", rest)
			}
		})
	}
	// Without a length or chunks, the end of the connection is the end of the body.
	service := record(t, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nup to the end")
	r := startRelay(t)
	a := startAgent(t, agentSpec{target: service.target(), backend: r.url()})
	if got := mustGet(t, http.StatusOK, a.path("/")); got.body != "up to the end" {
		t.Errorf("body %q", got.body)
	}
}

// TestNoAnswer has the local service answer what is no answer: 502, and never a retry.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	r := startRelay(t)
	for name, raw := range map[string]string{
		"closed":           "",
		"not HTTP":         "SSH-2.0-OpenSSH_9.2\r\n",
		"half a head":      "HTTP/1.1 200 OK\r\nContent-Len",
		"status of no use": "HTTP/1.1 42 Odd\r\n\r\n",
		"two lengths":      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
		"unasked switch":   "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nsurprise",
		"endless head":     "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 2<<20) + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := record(t, raw)
			a := startAgent(t, agentSpec{target: service.target(), backend: r.url()})
			mustGet(t, http.StatusBadGateway, a.path("/"))
			if n := len(service.got()); n != 1 {
				t.Errorf("the service was asked %d times", n)
			}
		})
	}
}

// TestVisitorLeaves checks that the local service learns that nobody waits any more.
func TestVisitorLeaves(t *testing.T) {
	t.Parallel()
	started, ended := make(chan struct{}), make(chan struct{})
	_, a := tunnel(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "first")
		w.(http.Flusher).Flush()
		close(started)
		<-r.Context().Done()
		close(ended)
	}))
	resp, err := newClient(t).Get(a.path("/"))
	if err != nil {
		t.Fatal(err)
	}
	<-started
	resp.Body.Close()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("the local service still works for a visitor who has left")
	}
}

// TestKeepAliveClosed has the local service close each connection after one
// answer without saying so. The request that runs into that may fail, but no
// request is sent twice.
func TestKeepAliveClosed(t *testing.T) {
	t.Parallel()
	service := record(t, strings.Replace(rawOK, "ok", "OK", 1)) // closes after each answer
	r := startRelay(t)
	a := startAgent(t, agentSpec{target: service.target(), backend: r.url()})
	const visits = 30
	failed := 0
	for i := range visits {
		got, err := get(t, a.path("/"+strconv.Itoa(i)))
		if err != nil || got.status != http.StatusOK && got.status != http.StatusBadGateway && got.status != http.StatusServiceUnavailable {
			t.Errorf("visit %d: %v, status %d", i, err, got.status)
		}
		if got.status != http.StatusOK {
			failed++
		}
	}
	seen := map[string]int{}
	for _, req := range service.got() {
		seen[req.line]++
	}
	for line, n := range seen {
		if n != 1 {
			t.Errorf("%q was sent %d times", line, n)
		}
	}
	if failed > visits/3 {
		t.Errorf("%d of %d visits failed", failed, visits)
	}
}
