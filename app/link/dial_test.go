package link

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"culvert/backend/wire"
)

const secret = "t0ken-s3cret"

// dialTo dials with a token and checks that no error tells it.
func dialTo(t testing.TB, cfg *Config, raw string) (*Link, error) {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Backend, cfg.Token = u, secret
	if cfg.Handler == nil {
		cfg.Handler = echo
	}
	l, err := cfg.Dial(t.Context(), Hello{})
	if err == nil {
		t.Cleanup(l.Close)
	} else if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), secret) {
		t.Errorf("the token is in the error %v", err)
	}
	return l, err
}

func TestHandshakesThatAreRefused(t *testing.T) {
	t.Parallel()
	answer := func(status int, kind, body string, more ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			for i := 0; i < len(more); i += 2 {
				w.Header().Set(more[i], more[i+1])
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		code    wire.ErrorCode // "": worth trying again
		want    string         // HOST stands for the address
		after   time.Duration
	}{
		{name: "web page", handler: answer(200, "text/html; charset=utf-8", "<!doctype html>"+strings.Repeat("x", 9999)),
			want: "HOST answered with a web page (200 text/html), not a tunnel backend: check --backend"},
		{name: "web page of a 404", handler: answer(404, "text/html", "<p>"),
			want: "HOST answered with a web page (404 text/html), not a tunnel backend: check --backend"},
		{name: "other", handler: answer(400, "text/plain", "no"),
			want: "HOST is no tunnel backend: it answered 400 text/plain to a WebSocket handshake: check --backend"},
		{name: "TLS by Go", handler: answer(400, "", "Client sent an HTTP request to an HTTPS server.\n"),
			want: "HOST wants a secure connection: write https:// instead of http:// (or wss:// instead of ws://) in --backend"},
		{name: "TLS by nginx", handler: answer(400, "text/html", "<center>The plain HTTP request was sent to HTTPS port</center>"),
			want: "HOST wants a secure connection: write https:// instead of http:// (or wss:// instead of ws://) in --backend"},
		{name: "down", handler: answer(503, "text/html", "<p>"), want: "HOST answered 503 Service Unavailable"},
		{name: "down for a while", handler: answer(503, "text/html", "<p>", "Retry-After", "7"), want: "HOST answered 503 Service Unavailable", after: 7 * time.Second},
		{name: "down, without saying when", handler: answer(503, "", "", "Retry-After", "soon"), want: "HOST answered 503 Service Unavailable"},
		{name: "down for ever", handler: answer(503, "", "", "Retry-After", "9223372036854775807"), want: "HOST answered 503 Service Unavailable", after: 10 * time.Minute},
		{name: "cannot tell", handler: answer(503, "application/json", `{"status":"error","error":{"code":"internal_error","message":"whether the token is valid cannot be told"}}`, "Retry-After", "1"),
			code: wire.CodeInternal, want: "whether the token is valid cannot be told", after: time.Second},
		{name: "failed, and says when", handler: answer(500, "", "", "Retry-After", "7"), want: "HOST answered 500 Internal Server Error"},
		{name: "redirect", handler: answer(301, "text/html", "", "Location", "https://other.test/x?token="+secret),
			want: "HOST answered with a redirect (301) to https://other.test: name the right address with --backend"},
		{name: "said why", handler: answer(403, "application/json", `{"status":"error","error":{"code":"name_taken","message":"choose another"}}`),
			code: wire.CodeNameTaken, want: "choose another"},
		{name: "no token", handler: answer(401, "application/json", `{"message":"Unauthorized"}`),
			code: wire.CodeUnauthorized, want: "HOST wants to know who you are: give it a valid token with --token or --token-file"},
		{name: "forbidden", handler: answer(403, "text/html", "<p>"),
			code: wire.CodeForbidden, want: "HOST does not let you in: check --token and --backend"},
		{name: "throttled", handler: answer(429, "text/plain", "", "Retry-After", "17"),
			code: wire.CodeThrottled, want: "HOST has too much to do: trying again later", after: 17 * time.Second},
		{name: "throttled, and said so", handler: answer(429, "application/json", `{"status":"error","error":{"code":"throttled","message":"slow down"}}`),
			code: wire.CodeThrottled, want: "slow down", after: 5 * time.Second},
		{name: "throttled for ever", handler: answer(429, "text/plain", "", "Retry-After", "99999999"),
			code: wire.CodeThrottled, want: "HOST has too much to do: trying again later", after: 10 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(tt.handler)
			defer srv.Close()
			host := strings.TrimPrefix(srv.URL, "http://")
			_, err := dialTo(t, &Config{}, srv.URL)
			if err == nil || err.Error() != strings.ReplaceAll(tt.want, "HOST", host) {
				t.Fatalf("error %q, want %q", err, tt.want)
			}
			var refusal *wire.Error
			if errors.As(err, &refusal) != (tt.code != "") || refusal != nil && refusal.Code != tt.code {
				t.Errorf("refusal %+v, want code %q", refusal, tt.code)
			}
			var throttled interface{ RetryAfter() time.Duration }
			if errors.As(err, &throttled) != (tt.after > 0) || throttled != nil && throttled.RetryAfter() != tt.after {
				t.Errorf("throttled: %v, want %v", throttled, tt.after)
			}
		})
	}
}

// rawServer accepts connections and gives them to serve.
func rawServer(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		wg.Wait()
	})
	return ln.Addr().String()
}

func TestServersThatAreNoBackend(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		scheme string
		serve  func(net.Conn)
		want   string
	}{
		{"silent", "http", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, "HOST did not answer within 200ms"},
		{"silent, TLS", "https", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, "HOST did not answer within 200ms"},
		{"closes", "http", func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) }, "HOST closed the connection during the handshake: is it a tunnel backend, and ws right for it?"},
		{"another protocol", "http", func(c net.Conn) {
			_, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.2\r\n\r\n")
			_, _ = io.Copy(io.Discard, c)
		}, "HOST does not speak HTTP: check --backend (is it https?)"},
		{"plain HTTP for https", "https", func(c net.Conn) {
			_, _ = http.ReadRequest(bufio.NewReader(c))
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
		}, "HOST does not speak TLS: try http:// or ws:// instead"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			host := rawServer(t, tt.serve)
			limit := patience
			if strings.HasPrefix(tt.name, "silent") {
				limit = 200 * time.Millisecond
			}
			_, err := dialTo(t, &Config{DialTimeout: limit}, tt.scheme+"://"+host)
			if want := strings.ReplaceAll(tt.want, "HOST", host); err == nil || err.Error() != want {
				t.Errorf("error %q, want %q", err, want)
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		t.Parallel()
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		host := ln.Addr().String()
		_ = ln.Close()
		_, err = dialTo(t, &Config{}, "http://"+host)
		if want := host + " refused the connection: is the backend running there?"; err == nil || err.Error() != want {
			t.Errorf("error %q, want %q", err, want)
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%v does not wrap its reason", err)
		}
	})
}

func TestExplain(t *testing.T) {
	t.Parallel()
	to := &url.URL{Scheme: "wss", Host: "relay.test", RawQuery: "token=" + secret}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "relay.test", IsNotFound: true}},
			"cannot find relay.test: no such host: check --backend and the network connection"},
		{&net.DNSError{Err: "server misbehaving", Name: "relay.test", IsTemporary: true},
			"cannot look up relay.test: server misbehaving: check the network connection"},
		{&net.OpError{Op: "dial", Err: syscall.ENETUNREACH}, "no way to relay.test:443: check the network connection"},
		{x509.CertificateInvalidError{Reason: x509.Expired, Cert: &x509.Certificate{}},
			"the certificate of relay.test:443 is not valid today: it has expired, or this machine's clock is wrong"},
		{tls.AlertError(40), "relay.test:443 refused the TLS handshake: tls: handshake failure"},
		{errors.New("something else"), "cannot connect to relay.test:443: something else"},
	} {
		got := explain(tt.err, to, time.Second)
		if got.Error() != tt.want {
			t.Errorf("%v:\n got %q\nwant %q", tt.err, got, tt.want)
		}
		if !errors.Is(got, tt.err) {
			t.Errorf("%q does not wrap %v", got, tt.err)
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	b := &tableBackend{t: t, handshake: make(chan *http.Request, 8), peers: make(chan *peer, 8), frames: &frameLog{}}
	srv := httptest.NewUnstartedServer(b)
	srv.EnableHTTP2 = true // it must not be chosen
	srv.Config.ErrorLog = quiet()
	srv.StartTLS()
	t.Cleanup(srv.Close)
	host := strings.TrimPrefix(srv.URL, "https://")

	_, err := dialTo(t, &Config{}, srv.URL)
	want := "the certificate of " + host + " is signed by an unknown authority: if that is yours, name its certificate with --ca-file"
	if err == nil || err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}

	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	_, port, _ := net.SplitHostPort(host)
	_, err = dialTo(t, &Config{RootCAs: roots}, "https://localhost:"+port)
	if err == nil || !strings.HasPrefix(err.Error(), "the certificate of localhost:"+port+" is for another name: ") {
		t.Errorf("error %q about a wrong name", err)
	}

	for _, scheme := range []string{"https", "wss"} {
		if _, err := dialTo(t, &Config{RootCAs: roots}, scheme+"://"+host); err != nil {
			t.Fatalf("%s: %v", scheme, err)
		}
		if r := <-b.handshake; r.TLS == nil || r.TLS.Version < tls.VersionTLS12 {
			t.Errorf("%s: TLS %+v", scheme, r.TLS)
		}
	}

	old := httptest.NewUnstartedServer(b)
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	old.Config.ErrorLog = quiet()
	old.StartTLS()
	t.Cleanup(old.Close)
	if _, err := dialTo(t, &Config{RootCAs: roots}, old.URL); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
}

func TestGreetings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		greet func(p *peer)
		code  wire.ErrorCode
		want  string // "": it works
	}{
		{name: "after other messages", greet: func(p *peer) {
			p.sendText(`{"type":"pong"}`)
			p.sendText(`{"type":"weather"}`)
			p.sendText(`{"type":"http_request","request_id":"x","body":7}`)
			p.send(established("t1"))
		}},
		{name: "refused", greet: func(p *peer) {
			p.send(map[string]any{"type": "error", "code": "name_taken", "message": "choose\nanother"})
		}, code: wire.CodeNameTaken, want: "choose another"},
		{name: "throttled", greet: func(p *peer) {
			p.send(map[string]any{"type": "error", "code": "throttled", "message": ""})
		}, code: wire.CodeThrottled, want: "the backend refused the connection (throttled)"},
		{name: "API Gateway forbids", greet: func(p *peer) {
			p.sendText(`{"message":"Forbidden","connectionId":"c","requestId":"r"}`)
		}, code: wire.CodeForbidden, want: `the API answered "Forbidden": does it have a $default route, and may it invoke its function?`},
		{name: "API Gateway fails", greet: func(p *peer) {
			p.sendText(`{"message": "Internal server error", "connectionId":"c", "requestId":"r"}`)
		}, want: `the API answered "Internal server error" instead of greeting: see the backend's log`},
		{name: "no JSON", greet: func(p *peer) { p.sendText("hello") },
			want: "HOST does not speak the tunnel protocol: protocol error: message is not a JSON object: check --backend"},
		{name: "no URL", greet: func(p *peer) { p.sendText(`{"type":"connection_established","tunnel_id":"x"}`) },
			want: "HOST does not speak the tunnel protocol: protocol error: connection_established without tunnel_id or public_url: check --backend"},
		{name: "a local file", greet: func(p *peer) { p.send(greeting("t1", "file:///bin/sh")) },
			want: "HOST does not speak the tunnel protocol: protocol error: public_url is no http or https URL: check --backend"},
		{name: "a name for a terminal", greet: func(p *peer) { p.send(greeting("../../x\x1b", "http://relay.test/x")) },
			want: "HOST does not speak the tunnel protocol: protocol error: tunnel_id is no name of a tunnel: check --backend"},
		{name: "goodbye", greet: func(p *peer) { _ = p.ws.Close() },
			want: "the connection to the backend broke off"},
		{name: "never", greet: func(*peer) {},
			want: "HOST opened a WebSocket, but did not greet within 200ms: is it a tunnel backend?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newTableBackend(t, "http")
			b.greet = tt.greet
			limit := patience
			if tt.name == "never" {
				limit = 200 * time.Millisecond
			}
			_, err := dialTo(t, &Config{HelloTimeout: limit}, b.url.String())
			if tt.want == "" {
				if err != nil {
					t.Errorf("dial: %v", err)
				}
				return
			}
			if want := strings.ReplaceAll(tt.want, "HOST", b.url.Host); err == nil || err.Error() != want {
				t.Errorf("error %q, want %q", err, want)
			}
			var refusal *wire.Error
			if errors.As(err, &refusal) != (tt.code != "") || refusal != nil && refusal.Code != tt.code {
				t.Errorf("refusal %+v, want %q", refusal, tt.code)
			}
		})
	}
}

// A WebSocket API keeps no order: a request may overtake the greeting.
func greeting(id, public string) map[string]any {
	return map[string]any{"type": "connection_established", "tunnel_id": id, "public_url": public}
}

func TestGreetingIsChecked(t *testing.T) {
	t.Parallel()
	const public = "https://x.execute-api.eu-west-1.amazonaws.com:443/prod/a%20b_c~1"
	for _, id := range []string{"a", "My_shop-2.x~", strings.Repeat("x", maxTunnelID)} {
		if err := checkGreeting(&wire.Established{TunnelID: id, PublicURL: public}); err != nil {
			t.Errorf("ID %q: %v", id, err)
		}
	}
	for _, id := range []string{"a b", "a/b", "a\x1b[31m", "é", "a\u202eb", "a;b", strings.Repeat("x", maxTunnelID+1)} {
		if err := checkGreeting(&wire.Established{TunnelID: id, PublicURL: public}); !errors.Is(err, wire.ErrProtocol) {
			t.Errorf("ID %q: %v", id, err)
		}
	}
	for _, bad := range []string{
		"http://x/\x1b[31m\u202e\r\nfoo", "http://x/\u202efoo", "http://x/\nrm -rf ~", "http://x/$(id)", "http://x/`id`", "http://x/;id", "http://x/?q|sh",
		"file:///etc/passwd", "smb://x/y", "javascript:alert(1)", "//x/y", "/x", "x", "http:///x", "http://:80/x", "http://x:99999/y", "http://u@x/y",
		"http://x/" + strings.Repeat("y", maxPublicURL),
	} {
		if err := checkGreeting(&wire.Established{TunnelID: "a", PublicURL: bad}); !errors.Is(err, wire.ErrProtocol) {
			t.Errorf("public URL %q: %v", bad, err)
		}
		est := wire.Established{TunnelID: "a", PublicURL: public, SubdomainURL: bad, PathBasedURL: public, StreamURL: bad}
		if err := checkGreeting(&est); err != nil || est.SubdomainURL != "" || est.StreamURL != "" || est.PathBasedURL != public {
			t.Errorf("other URLs %q: %v, %+v", bad, err, est)
		}
	}
}

func TestRequestBeforeTheGreeting(t *testing.T) {
	t.Parallel()
	b := newTableBackend(t, "ws")
	b.greet = func(p *peer) {
		p.send(request("early", "POST", "/", nil, []byte("hi")))
		p.send(established("t1"))
	}
	_, p, _ := b.agent(&Config{})
	if _, body := p.wantAnswer("early", 200); string(body) != "hi" {
		t.Errorf("body %q", body)
	}
}

func TestDialGivenUp(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, 1)
	host := rawServer(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1))
		begun <- struct{}{}
		_, _ = io.Copy(io.Discard, c)
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-begun
		cancel()
	}()
	cfg := &Config{Backend: &url.URL{Scheme: "http", Host: host}, Handler: echo, DialTimeout: time.Minute}
	if _, err := cfg.Dial(ctx, Hello{}); !errors.Is(err, context.Canceled) {
		t.Errorf("dial = %v, want context.Canceled", err)
	}
}

func TestLocalhostIsEither(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(addr, func(t *testing.T) {
			t.Parallel()
			ln, err := net.Listen("tcp", addr)
			if err != nil {
				t.Skipf("this machine has no such address: %v", err)
			}
			b := serveTableBackend(t, "http", ln)
			_, port, _ := net.SplitHostPort(b.url.Host)
			if _, err := dialTo(t, &Config{}, "http://localhost:"+port); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestValidateBackend(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"http://relay.test":                     "",
		"https://relay.test/":                   "",
		"wss://x.execute-api.test/prod?token=a": "",
		"ws://localhost:8082":                   "",
		"https://relay.test/base":               "no path",
		"https://relay.test?x=1":                "no path or query",
		"relay.test:8080":                       "want http://",
		"ftp://relay.test":                      "want http://",
		"http://":                               "no host",
		"https://me:pw@relay.test":              "use --token",
		"wss://relay.test/#x":                   "fragment",
		"http://relay.test:65535":               "",
		"http://[::1]:1":                        "",
		"http://relay.test:65536":               "from 1 to 65535",
		"http://relay.test:0":                   "from 1 to 65535",
		"ws://relay.test:":                      "from 1 to 65535",
		"wss://[::1]:99999999999999999999":      "from 1 to 65535",
		// Never repeated: secrets.
		"http://relay.test/path?token=hunter2": "backend http://relay.test/path: a relay's address has no path",
		"https://relay.test?hunter2":           "no path or query",
		"ftp://relay.test?token=hunter2":       "want http://",
		"wss://hunter2@relay.test":             "use --token",
		"wss://relay.test#hunter2":             "fragment",
		"me:hunter2@relay.test":                "backend me:relay.test: want http://",
		"wss:///x?token=hunter2":               "no host",
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		err = ValidateBackend(u, "")
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "pw") || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
	}
	if err := ValidateBackend(nil, ""); err == nil {
		t.Error("no backend is fine")
	}
	u := &url.URL{Scheme: "http", Host: "relay.test"}
	for _, token := range []string{"two\nlines", strings.Repeat("x", maxTokenLen+1)} {
		if err := ValidateBackend(u, token); err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("a bad token: %.60v", err)
		}
	}
}
