package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"culvert/backend/auth"
	"culvert/backend/relay"
	"culvert/backend/tunnel"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var secret = []byte("0123456789abcdef0123456789abcdef")

// mint makes a token that lives for so long.
func mint(t *testing.T, life time.Duration, names ...string) string {
	t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": "jana", "exp": time.Now().Add(life).Unix(), "tunnels": names,
	}).SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// startRelay serves a real relay, with or without TLS and tokens.
func startRelay(t *testing.T, secure, tokens bool, change ...func(*relay.Config)) *httptest.Server {
	t.Helper()
	cfg := relay.Config{PublicURL: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}, Open: true, Version: "culvert-relay/1.2.3"}
	if tokens {
		v, err := auth.NewSecretVerifier(secret)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Authenticate = v.Verify
	}
	for _, c := range change {
		c(&cfg)
	}
	srv, err := relay.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewUnstartedServer(srv.Handler())
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	if secure {
		web.StartTLS()
	} else {
		web.Start()
	}
	t.Cleanup(func() {
		web.CloseClientConnections()
		web.Close()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = srv.Shutdown(ctx)
	})
	return web
}

func roots(s *httptest.Server) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return pool
}

// listen accepts connections and does something with each.
func listen(t *testing.T, do func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
			do(conn)
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-done
	})
	return ln.Addr().String()
}

// nobody is an address at which nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// names are a test's name servers.
type names func(host string) ([]netip.Addr, error)

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) { return n(host) }

var states = []string{"running", "ok", "warn", "failed", "skipped"}

// short is a result for comparing: states of the nine checks.
func short(checks []Check) string {
	var all []string
	for _, c := range checks {
		all = append(all, states[c.State])
	}
	return strings.Join(all, " ")
}

func TestRun(t *testing.T) {
	t.Parallel()
	plain, secure := startRelay(t, false, false), startRelay(t, true, false)
	guarded := startRelay(t, true, true)
	deferred := startRelay(t, false, true, func(c *relay.Config) { c.ConnectAuth = relay.AuthDeferred })
	private := startRelay(t, false, false, func(c *relay.Config) {
		c.Open, c.PublicURL = false, &url.URL{Scheme: "https", Host: "tunnel.example.com"}
	})
	website := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<h1>hello</h1>")
	}))
	t.Cleanup(website.Close)
	visitors := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(visitors.Close)
	mute := listen(t, func(net.Conn) {})
	rude := listen(t, func(c net.Conn) { _ = c.Close() })
	ssh := listen(t, func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.6\r\n") })

	for name, c := range map[string]struct {
		url, token string
		roots      *x509.CertPool
		want       string
		says       map[ID]string // a part of detail or advice
	}{
		"a relay on this computer": {url: plain.URL, want: "ok skipped skipped ok ok ok ok skipped ok",
			says: map[ID]string{TLS: "does not leave this computer", Token: "none is needed", Version: "culvert-relay/1.2.3", RoundTrip: "ms"}},
		"a relay with TLS": {url: secure.URL, roots: roots(secure), want: "ok skipped ok ok ok ok ok skipped ok",
			says: map[ID]string{TLS: "TLS 1.3, certificate valid until "}},
		"an unknown authority": {url: secure.URL, want: "ok skipped failed skipped skipped skipped skipped skipped skipped",
			says: map[ID]string{TLS: "signed by an authority", Handshake: "because this failed: Encryption"}},
		"another name": {url: strings.Replace(secure.URL, "127.0.0.1", "localhost", 1), roots: roots(secure), want: "ok skipped failed skipped skipped skipped skipped skipped skipped",
			says: map[ID]string{TLS: "another name than localhost"}},
		"no TLS there":       {url: "https" + strings.TrimPrefix(plain.URL, "http"), want: "ok skipped failed skipped skipped skipped skipped skipped skipped", says: map[ID]string{TLS: "does not speak TLS"}},
		"TLS wanted there":   {url: "http" + strings.TrimPrefix(secure.URL, "https"), want: "ok skipped skipped failed skipped skipped skipped skipped skipped", says: map[ID]string{Handshake: "write https:// instead of http:// (or wss:// instead of ws://) Correct the beginning of the address."}},
		"visitors' address":  {url: visitors.URL, want: "ok skipped skipped failed skipped skipped skipped skipped skipped", says: map[ID]string{Handshake: "visitors have another"}},
		"a token":            {url: guarded.URL, roots: roots(guarded), token: mint(t, 30*24*time.Hour, "shop", "api"), want: "ok skipped ok ok ok ok ok skipped ok", says: map[ID]string{Token: "for the tunnel names shop, api, until "}},
		"a token for all":    {url: guarded.URL, roots: roots(guarded), token: mint(t, 30*24*time.Hour), want: "ok skipped ok ok ok ok ok skipped ok", says: map[ID]string{Token: "for any tunnel name"}},
		"a token that ends":  {url: guarded.URL, roots: roots(guarded), token: mint(t, time.Hour), want: "ok skipped ok ok ok warn ok skipped ok", says: map[ID]string{Token: "It ends soon"}},
		"an expired token":   {url: guarded.URL, roots: roots(guarded), token: mint(t, -50*time.Hour), want: "ok skipped ok ok ok failed skipped skipped skipped", says: map[ID]string{Token: "it expired 2 days ago", Handshake: "does not let this computer in"}},
		"a wrong token":      {url: guarded.URL, roots: roots(guarded), token: "s3cret", want: "ok skipped ok ok ok failed skipped skipped skipped", says: map[ID]string{Token: "does not accept it"}},
		"a forged token":     {url: guarded.URL, roots: roots(guarded), token: mint(t, time.Hour) + "x", want: "ok skipped ok ok ok failed skipped skipped skipped", says: map[ID]string{Token: "does not accept it"}},
		"no token":           {url: guarded.URL, roots: roots(guarded), want: "ok skipped ok ok ok failed skipped skipped skipped", says: map[ID]string{Token: "the backend wants a token"}},
		"no token, later":    {url: deferred.URL, want: "ok skipped skipped ok ok failed skipped skipped skipped", says: map[ID]string{Token: "the backend wants a token"}},
		"a token, later":     {url: deferred.URL, token: mint(t, 30*24*time.Hour), want: "ok skipped skipped ok ok ok ok skipped ok", says: map[ID]string{Token: "accepted; "}},
		"a token for nobody": {url: plain.URL, token: mint(t, time.Hour), want: "ok skipped skipped ok ok skipped ok skipped ok", says: map[ID]string{Token: "takes none"}},
		"not a token":        {url: plain.URL, token: "s3cret", want: "ok skipped skipped ok ok skipped ok skipped ok", says: map[ID]string{Token: "takes none, and has not looked at yours"}},
		"its own machine":    {url: private.URL, want: "ok skipped skipped ok ok failed skipped skipped skipped", says: map[ID]string{Token: "only from its own machine"}},
		"a clock ahead":      {url: secure.URL, roots: roots(secure), want: "ok skipped ok ok warn ok ok skipped ok", says: map[ID]string{Clock: " minutes ahead"}},
		"a clock behind":     {url: plain.URL, want: "ok skipped skipped ok warn ok ok skipped ok", says: map[ID]string{Clock: " days behind"}},
		"nobody there":       {url: "https://" + nobody(t), want: "ok skipped failed skipped skipped skipped skipped skipped skipped", says: map[ID]string{TLS: "refused the connection"}},
		"nobody, plain":      {url: "http://" + nobody(t), want: "ok skipped skipped failed skipped skipped skipped skipped skipped", says: map[ID]string{Handshake: "refused the connection"}},
		"a web site":         {url: website.URL, want: "ok skipped skipped failed skipped skipped skipped skipped skipped", says: map[ID]string{Handshake: "a web page"}},
		"mute":               {url: "https://" + mute, want: "ok skipped failed skipped skipped skipped skipped skipped skipped", says: map[ID]string{TLS: "does not answer"}},
		"mute, plain":        {url: "http://" + mute, want: "ok skipped skipped failed skipped skipped skipped skipped skipped", says: map[ID]string{Handshake: "did not answer"}},
		"rude":               {url: "https://" + rude, want: "ok skipped failed skipped skipped skipped skipped skipped skipped", says: map[ID]string{TLS: "closed the connection"}},
		"another protocol":   {url: "ws://" + ssh, want: "ok skipped skipped failed skipped skipped skipped skipped skipped", says: map[ID]string{Handshake: "does not speak HTTP"}},
		"no such name":       {url: "https://nowhere.example.com", token: mint(t, -time.Hour), want: "failed skipped skipped skipped skipped failed skipped skipped skipped", says: map[ID]string{DNS: "there is no nowhere.example.com", Token: "expired 60 minutes ago"}},
		"no name server":     {url: "https://silent.example.com", want: "failed skipped skipped skipped skipped skipped skipped skipped skipped", says: map[ID]string{DNS: "no name server answered"}},
		"no host":            {url: "https://", want: "failed skipped skipped skipped skipped skipped skipped skipped skipped", says: map[ID]string{DNS: "no host"}},
		"a path":             {url: "https://example.com/x?token=s3cret", want: "failed skipped skipped skipped skipped skipped skipped skipped skipped", says: map[ID]string{DNS: "no path or query"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at, err := url.Parse(c.url)
			if err != nil {
				t.Fatal(err)
			}
			owner, err := tunnel.NewOwnerKey()
			if err != nil {
				t.Fatal(err)
			}
			e := examine(Backend{URL: at, Token: c.token, RootCAs: c.roots, Owner: owner, Agent: "culvert-test/1"})
			if c.roots == nil {
				e.RootCAs = x509.NewCertPool() // whatever this machine trusts
			}
			e.proxy = func(*url.URL) (*url.URL, error) { return nil, nil }
			e.names = names(func(host string) ([]netip.Addr, error) {
				return nil, &net.DNSError{Err: "failed", Name: host, IsNotFound: strings.HasPrefix(host, "nowhere"), IsTimeout: strings.HasPrefix(host, "silent")}
			})
			switch name {
			case "a clock ahead":
				e.now = func() time.Time { return time.Now().Add(10 * time.Minute) }
			case "a clock behind":
				e.now = func() time.Time { return time.Now().Add(-72 * time.Hour) }
			}
			if strings.HasPrefix(name, "mute") {
				e.limits.look, e.limits.dial = 50*time.Millisecond, 50*time.Millisecond
			}
			var told []Check
			checks := e.run(t.Context(), func(c Check) { told = append(told, c) })
			if got := short(checks); got != c.want {
				t.Errorf("got  %s\nwant %s\n%+v", got, c.want, checks)
			}
			for i, check := range checks {
				if !strings.Contains(check.Detail+" "+check.Advice, c.says[check.ID]) {
					t.Errorf("%s says %q and %q, not %q", check.ID, check.Detail, check.Advice, c.says[check.ID])
				}
				if check.ID != IDs()[i] || told[2*i].ID != check.ID || told[2*i].State != Running || told[2*i+1] != check {
					t.Errorf("check %d is %+v, and was told as %+v and %+v", i, check, told[2*i], told[2*i+1])
				}
				if text := check.Detail + check.Advice; strings.Contains(text, "--") || strings.Contains(text, "s3cret") || c.token != "" && strings.Contains(text, c.token) {
					t.Errorf("%s says %q", check.ID, text)
				}
				if text := check.Typing(); strings.Contains(text, "field") || strings.Contains(text, "Enter") || (text == "") != (check.Advice == "") {
					t.Errorf("%s says %q at a command line", check.ID, text)
				}
				if (check.State == Failed || check.State == Warn) && check.Advice == "" {
					t.Errorf("%s says %q, and not what to do", check.ID, check.Detail)
				}
			}
			if len(told) != 2*len(IDs()) || len(checks) != len(IDs()) {
				t.Errorf("%d results, told %d", len(checks), len(told))
			}
		})
	}
}

// TestAdviceNamesFlags: who typed a command has no fields to fill in.
func TestAdviceNamesFlags(t *testing.T) {
	t.Parallel()
	plain, guarded := startRelay(t, true, false), startRelay(t, false, true)
	for flag, c := range map[string]struct {
		url string
		id  ID
	}{"--ca-file": {plain.URL, TLS}, "--token-file": {guarded.URL, Token}} {
		at, err := url.Parse(c.url)
		if err != nil {
			t.Fatal(err)
		}
		e := examine(Backend{URL: at, RootCAs: x509.NewCertPool()})
		e.proxy = func(*url.URL) (*url.URL, error) { return nil, nil }
		for _, check := range e.run(t.Context(), nil) {
			if check.ID == c.id && (!strings.Contains(check.Typing(), flag) || strings.Contains(check.Advice, "--")) {
				t.Errorf("%+v", check)
			}
		}
	}
}

// TestTunnelsAreLeftAlone: an agent that holds the only name of a token goes on.
func TestTunnelsAreLeftAlone(t *testing.T) {
	t.Parallel()
	web := startRelay(t, false, true)
	at, err := url.Parse(web.URL)
	if err != nil {
		t.Fatal(err)
	}
	b := Backend{URL: at, Token: mint(t, 30*24*time.Hour, "shop")}
	first, second := examine(b), examine(b)
	if c := first.handshake(t.Context()); c.State != OK || !strings.Contains(c.Detail, "shop") {
		t.Fatalf("%+v", c)
	}
	checks := second.run(t.Context(), nil)
	if got := short(checks); got != "ok skipped skipped ok ok ok ok skipped skipped" {
		t.Errorf("%s: %+v", got, checks)
	}
	if c := first.roundTrip(t.Context()); c.State != OK {
		t.Errorf("the one that was there: %+v", c)
	}
	first.met.end()
}

// TestStopped: whoever stops a test does not learn of failures that this makes.
func TestStopped(t *testing.T) {
	t.Parallel()
	began := make(chan struct{}, 8)
	at := &url.URL{Scheme: "http", Host: listen(t, func(net.Conn) { began <- struct{}{} })}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-began
		cancel()
	}()
	checks := Run(ctx, Backend{URL: at}, nil)
	if got := short(checks); got != "ok skipped skipped skipped skipped skipped skipped skipped skipped" {
		t.Errorf("%s: %+v", got, checks)
	}
	if checks[3].Detail != "the test was stopped" {
		t.Errorf("%+v", checks[3])
	}
}

// TestClockByDate is for backends that answer no actions.
func TestClockByDate(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for off, want := range map[time.Duration]string{0: "agree on the time, within 1s", 10 * time.Minute: "10 minutes ahead", -72 * time.Hour: "3 days behind"} {
		e := examine(Backend{URL: &url.URL{Scheme: "https", Host: "tunnel.example.com"}})
		e.seen = &sighting{at: now.Add(off), date: now.Add(-500 * time.Millisecond)}
		if c := e.clock(t.Context()); !strings.Contains(c.Detail, want) || (c.State == Warn) != (off != 0) {
			t.Errorf("%v: %+v", off, c)
		}
	}
}

func TestCertificateEnds(t *testing.T) {
	t.Parallel()
	web := startRelay(t, true, false)
	at, err := url.Parse(web.URL)
	if err != nil {
		t.Fatal(err)
	}
	e := examine(Backend{URL: at, RootCAs: roots(web)})
	e.now = func() time.Time { return web.Certificate().NotAfter.Add(-24 * time.Hour) }
	if c := e.tls(t.Context()); c.State != Warn || !strings.Contains(c.Advice, "about to expire") {
		t.Errorf("%+v", c)
	}
	expired := &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}}
	if c := e.insecure(expired); c.State != Failed || !strings.Contains(c.Advice, "clock") {
		t.Errorf("%+v", c)
	}
	if c := e.insecure(errors.New("?")); c.State != Failed || c.Advice == "" {
		t.Errorf("%+v", c)
	}
}

func TestFound(t *testing.T) {
	t.Parallel()
	e := examine(Backend{URL: &url.URL{Scheme: "https", Host: "tunnel.example.com"}})
	e.proxy = func(*url.URL) (*url.URL, error) { return nil, nil }
	for want, addresses := range map[string][]string{
		"tunnel.example.com is 192.0.2.1":            {"::ffff:192.0.2.1"},
		"tunnel.example.com is 192.0.2.1 and 1 more": {"192.0.2.1", "2001:db8::1"},
	} {
		var ips []netip.Addr
		for _, a := range addresses {
			ips = append(ips, netip.MustParseAddr(a))
		}
		e.names = names(func(string) ([]netip.Addr, error) { return ips, nil })
		if c := e.dns(t.Context()); c.State != OK || c.Detail != want {
			t.Errorf("%+v", c)
		}
	}
}

func TestProxy(t *testing.T) {
	t.Parallel()
	via := &url.URL{Scheme: "http", Host: nobody(t)}
	e := examine(Backend{URL: &url.URL{Scheme: "https", Host: "tunnel.example.com"}})
	e.proxy = func(*url.URL) (*url.URL, error) { return via, nil }
	if c := e.dns(t.Context()); c.State != Skipped || !strings.Contains(c.Detail, via.Host) {
		t.Errorf("%+v", c)
	}
	if c := e.tls(t.Context()); c.State != Failed || c.Advice == "" {
		t.Errorf("%+v", c)
	}
	e.proxy = func(*url.URL) (*url.URL, error) { return nil, errors.New("no URL") }
	if c := e.dns(t.Context()); c.State != Failed || !strings.Contains(c.Advice, "HTTPS_PROXY") {
		t.Errorf("%+v", c)
	}
}

func TestTitles(t *testing.T) {
	t.Parallel()
	var all []string
	for _, id := range IDs() {
		if id.Title() == string(id) || slices.Contains(all, id.Title()) {
			t.Errorf("%s: %q", id, id.Title())
		}
		all = append(all, id.Title())
	}
}

func FuzzClaims(f *testing.F) {
	f.Add("a.e30.b")
	f.Add("a.eyJleHAiOjFlOTk5fQ.b")
	f.Add("a.eyJ0dW5uZWxzIjpbImEiXX0.b")
	f.Fuzz(func(t *testing.T, token string) {
		c, ok := claimsOf(token)
		if !ok {
			return
		}
		if text := goodFor(c); strings.ContainsAny(text, "\n\x1b") {
			t.Errorf("%q", text)
		}
	})
}
