package doctor

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// webProxy is an HTTP proxy; every host is at addr.
type webProxy struct {
	addr   string
	status int              // to CONNECT, instead of 200
	strips bool             // takes Upgrade out of plain requests
	shows  *tls.Certificate // reads along
}

func (p *webProxy) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	req, err := http.ReadRequest(r)
	if err != nil {
		return
	}
	if req.Method != http.MethodConnect { // plain http, for who does not need a tunnel
		p.pass(conn, req)
		return
	}
	if p.status != 0 {
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n", p.status)
		return
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	switch {
	case p.shows != nil:
		_ = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*p.shows}}).Handshake()
	case p.strips:
		if req, err := http.ReadRequest(r); err == nil {
			p.pass(conn, req)
		}
	default:
		up, err := net.Dial("tcp", p.addr)
		if err != nil {
			return
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _ = io.Copy(up, r)
			_ = up.Close()
		})
		_, _ = io.Copy(conn, up)
		_ = conn.Close()
		wg.Wait()
	}
}

func (p *webProxy) pass(conn net.Conn, req *http.Request) {
	req.URL.Scheme, req.URL.Host, req.RequestURI = "http", p.addr, ""
	req.Host = "127.0.0.1:1" // as the relay calls itself
	for _, name := range []string{"Upgrade", "Connection", "Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Protocol"} {
		req.Header.Del(name)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	_ = resp.Write(conn)
}

// These tests set environment variables, which excludes t.Parallel.
func TestThroughAProxy(t *testing.T) {
	plain, secure := startRelay(t, false, false), startRelay(t, true, false)
	guarded := startRelay(t, false, true)
	other := httptest.NewUnstartedServer(nil) // with a certificate that nobody knows
	other.StartTLS()
	t.Cleanup(other.Close)
	website := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }))
	t.Cleanup(website.Close)
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUpgradeRequired) }))
	t.Cleanup(gateway.Close)
	host := func(s *httptest.Server) string { return s.Listener.Addr().String() }

	for _, c := range []struct {
		name  string
		proxy *webProxy
		url   string
		want  State
		says  []string
		then  string // the states of the checks after it
	}{
		{"a relay", &webProxy{addr: host(plain)}, "http://relay.test", OK, []string{"WebSockets pass through PROXY"}, "warn ok ok ok ok skipped ok"},
		{"a relay with TLS", &webProxy{addr: host(secure)}, "https://example.com", OK, []string{"WebSockets pass"}, "ok ok ok ok ok skipped ok"},
		{"a relay that refuses us", &webProxy{addr: host(guarded)}, "http://relay.test", OK, []string{"WebSockets pass"}, "warn ok ok failed skipped skipped skipped"},
		{"refused", &webProxy{status: 403}, "https://example.com", Failed, []string{"PROXY refuses to connect (CONNECT) to example.com: 403 Forbidden", "allow CONNECT"}, ""},
		{"a password", &webProxy{status: 407}, "https://example.com", Failed, []string{"PROXY wants a user and a password", "USER:PASSWORD@"}, ""},
		{"no way", &webProxy{status: 502}, "https://example.com", Failed, []string{"does not get through to example.com (502 Bad Gateway)"}, ""},
		{"strips Upgrade", &webProxy{addr: host(plain), strips: true}, "http://relay.test", Failed, []string{"takes the request for a WebSocket out", "use an address with TLS"}, ""},
		{"strips Upgrade before API Gateway", &webProxy{addr: host(gateway), strips: true}, "ws://api.test/live", Failed, []string{"takes the request for a WebSocket out", "426"}, ""},
		{"not a backend", &webProxy{addr: host(website)}, "http://relay.test", OK, []string{"the next checks"}, "warn failed ok skipped skipped skipped skipped"},
		{"reads along", &webProxy{addr: host(secure), shows: &other.TLS.Certificates[0]}, "https://example.com", Failed, []string{`shows a certificate by "Acme Co"`, "root certificate"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := listen(t, func(conn net.Conn) { go c.proxy.serve(conn) })
			t.Setenv("HTTP_PROXY", "http://me:s3cret@"+at)
			t.Setenv("HTTPS_PROXY", "http://me:s3cret@"+at)
			t.Setenv("NO_PROXY", "")
			backend, err := url.Parse(c.url)
			if err != nil {
				t.Fatal(err)
			}
			b := Backend{URL: backend, RootCAs: x509.NewCertPool()}
			if c.proxy.shows == nil {
				b.RootCAs = roots(secure)
			}
			checks := Run(t.Context(), b, nil)
			if checks[0].State != Skipped || !strings.Contains(checks[0].Detail, at) {
				t.Errorf("dns: %+v", checks[0])
			}
			text := checks[1].Detail + " " + checks[1].Advice
			if checks[1].ID != Proxy || checks[1].State != c.want {
				t.Errorf("%+v", checks[1])
			}
			for _, says := range c.says {
				if says = strings.ReplaceAll(says, "PROXY", at); !strings.Contains(text, says) {
					t.Errorf("it says %q, not %q", text, says)
				}
			}
			if strings.Contains(text, "s3cret") || strings.Contains(text, "--") {
				t.Errorf("it says %q", text)
			}
			then := short(checks[2:])
			if c.then == "" { // all for the same reason; the time may be had all the same
				c.then = "skipped skipped skipped skipped skipped skipped skipped"
				then = strings.Replace(then, " ok ", " skipped ", 1)
			}
			if then != c.then {
				t.Errorf("then %s, want %s: %+v", then, c.then, checks)
			}
		})
	}
}
