package relay

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/backend/mux"
	"culvert/backend/wire"
)

// serveSeen answers with what it was asked.
func serveSeen(st *mux.Stream) {
	h := st.Request()
	reply(st, 200, nil, fmt.Sprintf("%s %s host=%s prefix=%s", h.Method, h.Target, h.Host, h.Prefix))
}

func TestRouting(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) {
		c.PublicURL, c.Subdomains = mustURL("http://LocalHost:8080"), true
	})
	owner := newOwner(t)
	ready := r.readyFor(owner, "shop", "one")
	a := r.startAgent2(ready, serveSeen)
	if a.PublicURL != "http://shop.localhost:8080" || a.PathBasedURL != "http://localhost:8080/shop" || a.SubdomainURL != a.PublicURL {
		t.Errorf("URLs %+v", a.Established)
	}
	const html = "text/html,*/*"
	for _, c := range []struct {
		method, path, host, accept string
		status                     int
		want                       string // the body, or Location
	}{
		{"GET", "/shop/", "localhost", "", 200, "GET / host=localhost prefix=/shop"},
		{"GET", "/shop/a/b?c=/d", "", "", 200, "GET /a/b?c=/d host=" + r.addr + " prefix=/shop"},
		{"GET", "/shop/x", "127.9.9.9", "", 200, "GET /x host=127.9.9.9 prefix=/shop"},
		{"GET", "/shop/x", "elsewhere.test", "", 421, ""},
		{"GET", "/shop", "localhost", "", 200, "GET / host=localhost prefix=/shop"},
		{"GET", "/shop?q=1", "localhost", "", 200, "GET /?q=1 host=localhost prefix=/shop"},
		{"GET", "/shop?q=1", "localhost", html, 308, "/shop/?q=1"},
		{"HEAD", "/shop", "localhost", html, 308, "/shop/"},
		{"POST", "/shop", "localhost", html, 200, "POST / host=localhost prefix=/shop"},
		{"GET", "/shop//", "localhost", html, 200, "GET // host=localhost prefix=/shop"},
		{"GET", "/shop%2Fx", "localhost", "", 404, ""},
		{"GET", "/Shop/", "localhost", "", 404, ""},
		{"GET", "//shop/", "localhost", "", 404, ""},
		{"GET", "/", "localhost", "", 404, ""},
		{"GET", "/none", "localhost", html, 404, ""},
		{"GET", "/none/", "localhost", "", 404, ""},
		{"GET", "/favicon.ico", "localhost", "", 404, ""},

		{"GET", "/", "shop.localhost", "", 200, "GET / host=shop.localhost prefix="},
		{"GET", "/a//b%20?c", "SHOP.localhost:1", "", 200, "GET /a//b%20?c host=SHOP.localhost:1 prefix="},
		{"GET", "/shop/", "shop.localhost", "", 200, "GET /shop/ host=shop.localhost prefix="},
		{"GET", "/shop", "shop.localhost", html, 200, "GET /shop host=shop.localhost prefix="},
		{"GET", "/_status/shop", "shop.localhost", "", 200, "GET /_status/shop host=shop.localhost prefix="},
		{"GET", "/_culvert/healthz", "shop.localhost", "", 200, "GET /_culvert/healthz host=shop.localhost prefix="},
		{"GET", "/shop/", "none.localhost", "", 404, ""},
		{"GET", "/", "a.shop.localhost", "", 404, ""},
	} {
		header := []string{}
		if c.host != "" {
			header = append(header, "Host", c.host)
		}
		if c.accept != "" {
			header = append(header, "Accept", c.accept)
		}
		res, body := r.do(c.method, c.path, nil, header...)
		if res.StatusCode == 308 {
			body = res.Header.Get("Location")
		}
		if res.StatusCode != c.status || c.want != "" && body != c.want {
			t.Errorf("%s %s on %q: %d %q, want %d %q", c.method, c.path, c.host, res.StatusCode, body, c.status, c.want)
		}
	}
	c := r.raw()
	c.send("OPTIONS * HTTP/1.1\r\nHost: shop.localhost\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if res, body, err := c.answer("OPTIONS"); err != nil || body != "OPTIONS * host=shop.localhost prefix=" {
		t.Errorf("OPTIONS *: %v %q %v", res, body, err)
	}
	if res, _, err := c.answer("OPTIONS"); err != nil || res.StatusCode != 400 {
		t.Errorf("OPTIONS * for the relay: %v %v", res, err)
	}
}

func TestWithoutSubdomains(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		public    string
		subdomain string // %s is the ID
		host      string // of a request for "/"; %s is the ID
		status    int
	}{
		{"http://localhost:8080", "http://%s.localhost:8080", "%s.localhost:8080", 200},
		{"http://127.0.0.1:8080", "http://%s.localhost:8080", "%s.LOCALHOST.", 200},
		{"http://[::1]", "http://%s.localhost", "%s.localhost", 200},
		{"http://127.0.0.1:8080", "http://%s.localhost:8080", "none.localhost", 404},
		{"https://localhost:8443", "", "localhost:8443", 404},
	} {
		r := startRelay(t, func(cfg *Config) { cfg.PublicURL = mustURL(c.public) })
		a := r.startAgent2(wire.Ready{}, serveSeen)
		if want := strings.ReplaceAll(c.subdomain, "%s", a.TunnelID); a.PublicURL != c.public+"/"+a.TunnelID || a.SubdomainURL != want {
			t.Errorf("%s: URLs %+v, want subdomain %q", c.public, a.Established, want)
		}
		host := strings.ReplaceAll(c.host, "%s", a.TunnelID)
		if res, _ := r.get("/", "Host", host); res.StatusCode != c.status {
			t.Errorf("%s: status %d for the host %s, want %d", c.public, res.StatusCode, host, c.status)
		}
	}
}

// A name that is not of this machine needs DNS, which only --subdomains promises.
func TestNoSubdomainsElsewhere(t *testing.T) {
	t.Parallel()
	cfg := Config{PublicURL: mustURL("http://tunnel.example.com")}
	if err := cfg.prepare(); err != nil {
		t.Fatal(err)
	}
	if public, path, subdomain := cfg.publicURLs("shop"); public != path || subdomain != "" {
		t.Errorf("URLs %q %q %q", public, path, subdomain)
	}
}

func TestOwnPaths(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	a := r.startAgent2(wire.Ready{}, serveSeen)
	for _, c := range []struct {
		method, path string
		status       int
		fields       object
	}{
		{"GET", "/_culvert/healthz", 200, object{"status": "ok", "version": "test"}},
		{"GET", "/_culvert/healthz?x", 200, object{"status": "ok", "version": "test"}},
		{"POST", "/_culvert/healthz", 405, nil},
		{"GET", "/_culvert/none", 404, nil},
		{"GET", "/_culvert/", 404, nil},
		{"GET", "/_status/none", 404, nil},
		{"GET", "/_status/", 404, nil},
		{"GET", "/_status/" + a.TunnelID + "/", 404, nil},
		{"GET", "/_status/" + a.TunnelID, 200, object{"tunnel_id": a.TunnelID, "status": "online"}},
	} {
		res, body := r.do(c.method, c.path, nil)
		var got object
		if err := json.Unmarshal([]byte(body), &got); err != nil || res.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %q is no JSON", c.path, body)
		}
		if res.StatusCode != c.status {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, res.StatusCode, c.status)
		}
		for name, want := range c.fields {
			if got[name] != want {
				t.Errorf("%s: %s is %v, want %v", c.path, name, got[name], want)
			}
		}
		if since, ok := got["since"].(string); c.fields["tunnel_id"] != nil {
			at, err := time.Parse(time.RFC3339, since)
			if !ok || err != nil || time.Since(at) > time.Minute {
				t.Errorf("since %q", since)
			}
		}
	}
}

func TestTrustedProxies(t *testing.T) {
	t.Parallel()
	serve := func(st *mux.Stream) {
		h := st.Request()
		reply(st, 200, nil, fmt.Sprint(h.RemoteAddr, h.Header["X-Forwarded-For"], h.Header["X-Forwarded-Proto"], h.Header["X-Forwarded-Host"], h.Header["Forwarded"]))
	}
	header := []string{"Host", "localhost:9", "X-Forwarded-For", "6.6.6.6, 1.2.3.4", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "b.test", "Forwarded", "x"}
	for _, c := range []struct {
		trusted []netip.Prefix
		want    string
	}{
		{nil, "127.0.0.1[127.0.0.1] [http] [localhost:9] []"},
		{[]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, "1.2.3.4[6.6.6.6, 1.2.3.4, 127.0.0.1] [https] [b.test] [x]"},
	} {
		r := startRelay(t, func(cfg *Config) { cfg.TrustedProxies = c.trusted })
		a := r.startAgent2(wire.Ready{}, serve)
		if _, body := r.get("/"+a.TunnelID+"/", header...); body != c.want {
			t.Errorf("trusted %v: got %s, want %s", c.trusted, body, c.want)
		}
	}
}

// Inputs that two readers may take for different requests. Whatever the visitor
// gets, the local service must see exactly the requests listed, and nothing of a
// body as a request.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	var mu sync.Mutex
	var seen []string
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
		body, err := io.ReadAll(st)
		mu.Lock()
		seen = append(seen, fmt.Sprintf("%s %s %s %v", st.Request().Method, st.Request().Target, body, err != nil))
		mu.Unlock()
		reply(st, 200, nil, "ok")
	})
	p := "/" + a.TunnelID
	evil := "GET " + p + "/evil HTTP/1.1\r\nHost: localhost\r\n\r\n"
	for _, c := range []struct {
		name, request string
		status        int // of the first answer; 0: none at all, or an error
		seen          []string
	}{
		{"absolute form", "GET http://localhost" + p + "/x HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, nil},
		{"absolute form, local", "GET http://127.0.0.1:22/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, nil},
		{"CONNECT", "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, nil},
		{"CONNECT path", "CONNECT " + p + "/x HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, nil},
		{"no slash", "GET " + p[1:] + "/x HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, nil},
		{"asterisk", "GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, nil},
		{"fragment", "GET " + p + "/x#y HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, nil},
		{"NUL in the target", "GET " + p + "/\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, nil},
		{"control in the target", "GET " + p + "/\x01 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, nil},
		{"space in the target", "GET " + p + "/a b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, nil},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, nil},
		{"two lengths", "POST " + p + "/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400, nil},
		{"two lengths in one", "POST " + p + "/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1, 2\r\n\r\nxx", 400, nil},
		{"signed length", "POST " + p + "/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: +1\r\n\r\nx", 400, nil},
		{"negative length", "POST " + p + "/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\nx", 400, nil},
		// The chunks count, and what follows them does not (RFC 9112, section 6.1).
		{"length and chunks", "POST " + p + "/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + evil, 200, []string{"POST /x  false"}},
		{"length and chunks, refused", "POST /none/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + evil, 404, nil},
		{"length and chunks, own path", "GET /_culvert/healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + evil, 200, nil},
		{"length and chunks, no agent", "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + evil, 400, nil},
		{"old version with chunks", "POST " + p + "/x HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0" + evil, 200, []string{"POST /x 0 false"}},
		{"unknown coding", "POST " + p + "/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501, nil},
		{"two codings", "POST " + p + "/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 501, nil},
		{"coding with a tab", "POST " + p + "/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding:\vchunked\r\nContent-Length: 0\r\n\r\n" + "", 400, nil},
		{"space before the colon", "POST " + p + "/x HTTP/1.1\r\nHost: localhost\r\nContent-Length : 5\r\n\r\nhello", 400, nil},
		{"no name", "GET " + p + "/x HTTP/1.1\r\nHost: localhost\r\n: x\r\n\r\n", 400, nil},
		{"no host", "GET " + p + "/x HTTP/1.1\r\n\r\n", 400, nil},
		{"two hosts", "GET " + p + "/x HTTP/1.1\r\nHost: localhost\r\nHost: b\r\n\r\n", 400, nil},
		{"CR in a value", "GET " + p + "/x HTTP/1.1\r\nHost: localhost\r\nX-A: b\rX-B: c\r\n\r\n", 400, nil},
		{"NUL in a value", "GET " + p + "/x HTTP/1.1\r\nHost: localhost\r\nX-A: b\x00c\r\n\r\n", 400, nil},
		{"chunk extension with LF", "POST " + p + "/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2;x\nxx\r\n0\r\n\r\n" + evil, 400, []string{"POST /x  true"}},
		{"chunk size with a sign", "POST " + p + "/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n+2\r\nxx\r\n0\r\n\r\n" + evil, 400, []string{"POST /x  true"}},
		{"body longer than its length", "POST " + p + "/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhelloGARBAGE\r\n\r\n", 200, []string{"POST /x hello false"}},
		{"connection drops the length", "POST " + p + "/x HTTP/1.1\r\nHost: localhost\r\nConnection: Content-Length, Transfer-Encoding, Host\r\nContent-Length: 5\r\n\r\nhello", 200, []string{"POST /x hello false"}},
	} {
		mu.Lock()
		seen = nil
		mu.Unlock()
		conn := r.raw()
		conn.send(c.request)
		answers, status := max(1, len(c.seen)), 0
		for i := range answers {
			res, _, _ := conn.answer("GET")
			if res != nil && i == 0 {
				status = res.StatusCode
			}
		}
		conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)) // nothing more is to come
		if rest, _ := io.ReadAll(conn.r); strings.Contains(string(rest), " 200 ") {
			t.Errorf("%s: one more answer: %q", c.name, rest)
		}
		if status != c.status && (c.status != 0 || status == 200) {
			t.Errorf("%s: status %d, want %d", c.name, status, c.status)
		}
		eventually(t, c.name, func() bool { mu.Lock(); defer mu.Unlock(); return len(seen) >= len(c.seen) })
		mu.Lock()
		if !slices.Equal(seen, c.seen) {
			t.Errorf("%s: the local service saw %q, want %q", c.name, seen, c.seen)
		}
		mu.Unlock()
	}
}

// A folded field is one field with one value for everybody behind the relay.
func TestObsFoldAndBareLF(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	headers := make(chan http.Header, 1)
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
		headers <- st.Request().Header
		reply(st, 200, nil, "ok")
	})
	for _, request := range []string{
		"GET /" + a.TunnelID + "/ HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n Content-Length: 5\r\n\r\n",
		"GET /" + a.TunnelID + "/ HTTP/1.1\nHost: localhost\nX-A: b\n\tContent-Length: 5\n\n",
	} {
		c := r.raw()
		c.send(request)
		res, _, err := c.answer("GET")
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode == 400 {
			continue
		}
		if h := <-headers; h.Get("X-A") != "b Content-Length: 5" || h["Content-Length"] != nil {
			t.Errorf("%q became %v", request, h)
		}
	}
}

// A page whose host name was made to point to this machine reads nothing here.
func TestHostNamesPointedAtThisMachine(t *testing.T) {
	t.Parallel()
	own := startRelay(t, nil)
	proxied := startRelay(t, func(c *Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} })
	public := startRelay(t, func(c *Config) { c.PublicURL, c.Open = mustURL("https://tunnel.example.com"), true })
	for _, c := range []struct {
		r    *testRelay
		host string
		want int
	}{
		{own, "evil.example", 421}, {own, "evil.example:80", 421}, {own, "localhost.evil.example", 421}, {own, "127.0.0.1.evil.example", 421},
		{own, "localhost", 200}, {own, "LOCALHOST.:1", 200}, {own, "other.localhost", 404}, {own, "127.0.0.1", 200}, {own, "[::1]:80", 200}, {own, "192.0.2.1", 200},
		{proxied, "tunnel.example.com", 200}, {public, "tunnel.example.com", 200}, {public, "any.example", 200},
	} {
		a := c.r.startAgent2(wire.Ready{}, serveName("ok"))
		if res, body := c.r.get("/"+a.TunnelID+"/", "Host", c.host); res.StatusCode != c.want {
			t.Errorf("%s of %s: %d %q, want %d", c.host, c.r.cfg.PublicURL, res.StatusCode, body, c.want)
		}
	}
}

func TestSlowOrLargeHeads(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) {
		c.Limits.HeaderTimeout, c.Limits.IdleTimeout = 200*time.Millisecond, 300*time.Millisecond
	})
	a := r.startAgent2(wire.Ready{}, serveName("ok"))
	slow := r.raw()
	slow.send("GET /" + a.TunnelID + "/ HTTP/1.1\r\nHost: localhost\r\nX-Slow")
	if rest, err := io.ReadAll(slow.r); err != nil && !strings.Contains(err.Error(), "reset") || strings.Contains(string(rest), " 200 ") {
		t.Errorf("a slow head: %q, %v", rest, err)
	}
	idle := r.raw()
	idle.send("GET /" + a.TunnelID + "/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if _, body, err := idle.answer("GET"); err != nil || body != "ok" {
		t.Fatalf("%q %v", body, err)
	}
	if rest, err := io.ReadAll(idle.r); err != nil || len(rest) > 0 {
		t.Errorf("an idle connection: %q, %v", rest, err)
	}
	for size, want := range map[int]int{60 << 10: 200, 72 << 10: 431} {
		if res, _ := r.get("/"+a.TunnelID+"/", "X-Large", strings.Repeat("x", size)); res.StatusCode != want {
			t.Errorf("a head of %d bytes: %d, want %d", size, res.StatusCode, want)
		}
	}
}
