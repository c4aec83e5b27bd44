package e2e

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/mccutchen/go-httpbin/v2/httpbin"
)

// TestLoopbackTrust knocks as agents would, with all that tells a program of
// this machine's user from a web page or from somebody behind a proxy.
func TestLoopbackTrust(t *testing.T) {
	t.Parallel()
	plain := startRelay(t)
	subdomains := startRelay(t, "--subdomains")
	public := startRelay(t, "--public-url", "https://tunnel.example.com")
	open := startRelay(t, "--open")
	secret := writeSecret(t, testSecret)
	token := startRelay(t, "--jwt-secret-file", secret)
	good := "Bearer " + mint(t, jwt.SigningMethodHS256, []byte(testSecret), jwt.MapClaims{"sub": "me", "exp": time.Now().Add(time.Hour).Unix()})

	h := func(pairs ...string) http.Header {
		header := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			header.Add(pairs[i], pairs[i+1])
		}
		return header
	}
	const in, out = true, false
	for name, c := range map[string]struct {
		relay  *relay
		host   string // "" for the address
		header http.Header
		want   bool
	}{
		"plain":                     {plain, "", nil, in},
		"localhost":                 {plain, "localhost", nil, in},
		"localhost with port":       {plain, fmt.Sprintf("localhost:%d", plain.port), nil, in},
		"IPv6 host":                 {plain, "[::1]:1", nil, in},
		"other loopback address":    {plain, "127.9.9.9", nil, in},
		"public host":               {plain, "tunnel.example.com", nil, out},
		"rebound host":              {plain, fmt.Sprintf("attacker.example:%d", plain.port), nil, out},
		"host like loopback":        {plain, "127.0.0.1.example.com", nil, out},
		"host like localhost":       {plain, "localhost.example.com", nil, out},
		"LAN host":                  {plain, "192.168.1.2", nil, out},
		"page of another site":      {plain, "", h("Origin", "https://example.com"), out},
		"page on localhost":         {plain, "", h("Origin", "http://localhost:3000"), out},
		"page of the relay itself":  {plain, "", h("Origin", plain.url()), out},
		"sandboxed page":            {plain, "", h("Origin", "null"), out},
		"behind a proxy (For)":      {plain, "", h("X-Forwarded-For", "203.0.113.9"), out},
		"behind a proxy (loopback)": {plain, "", h("X-Forwarded-For", "127.0.0.1"), out},
		"behind a proxy (Proto)":    {plain, "", h("X-Forwarded-Proto", "https"), out},
		"behind a proxy (Host)":     {plain, "", h("X-Forwarded-Host", "localhost"), out},
		"behind a proxy (other)":    {plain, "", h("X-Forwarded-Anything", "x"), out},
		"behind a proxy (RFC 7239)": {plain, "", h("Forwarded", "for=127.0.0.1"), out},
		"subdomains":                {subdomains, "", nil, in},
		"public URL is not here":    {public, "", nil, out},
		"public URL as host":        {public, "tunnel.example.com", nil, out},
		"open":                      {open, "", nil, in},
		"open, any host":            {open, "tunnel.example.com", nil, in},
		"open, proxied":             {open, "", h("X-Forwarded-For", "203.0.113.9"), in},
		"open, page":                {open, "", h("Origin", "https://example.com"), out},
		"token missing":             {token, "", nil, out},
		"token":                     {token, "", h("Authorization", good), in},
		"token, any host":           {token, "tunnel.example.com", h("Authorization", good), in},
		"token, page":               {token, "", h("Authorization", good, "Origin", "https://example.com"), in},
		"token, garbage":            {token, "", h("Authorization", "Bearer x.y.z"), out},
		"token, no bearer":          {token, "", h("Authorization", "Basic dXNlcjpwYXNz"), out},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := c.header.Clone()
			if header == nil {
				header = http.Header{}
			}
			if c.host != "" {
				header.Set("Host", c.host)
			}
			status, body := wsDial(t, "ws://"+c.relay.addr()+"/", header, nil)
			switch {
			case c.want == in && status != http.StatusSwitchingProtocols:
				t.Errorf("refused with %d: %s", status, body)
			case c.want == out && status != http.StatusUnauthorized && status != http.StatusForbidden:
				t.Errorf("status %d, want 401 or 403: %s", status, body)
			case c.want == out && (!strings.Contains(body, `"status":"error"`) || !strings.Contains(body, `"code":`) || !strings.Contains(body, `"message":`)):
				t.Errorf("the refusal is %q, want the documented shape", body)
			}
		})
	}
	t.Run("peer", func(t *testing.T) {
		t.Parallel()
		addr := outsideAddr(t)
		everywhere := &relay{port: freePort(t), config: t.TempDir()}
		everywhere.process = startProcess(t, "culvert", nil, "relay", "--listen", fmt.Sprintf("0.0.0.0:%d", everywhere.port),
			"--public-url", fmt.Sprintf("http://localhost:%d", everywhere.port), "--config", everywhere.config)
		everywhere.awaitHealthy(t)
		header := http.Header{"Host": {fmt.Sprintf("localhost:%d", everywhere.port)}}
		if status, _ := wsDial(t, "ws://"+everywhere.addr()+"/", header, nil); status != http.StatusSwitchingProtocols {
			t.Errorf("from loopback: status %d", status)
		}
		status, _ := wsDial(t, fmt.Sprintf("ws://%s/", net.JoinHostPort(addr, fmt.Sprint(everywhere.port))), header, nil)
		if status != http.StatusUnauthorized && status != http.StatusForbidden {
			t.Errorf("from %s, claiming to be local: status %d", addr, status)
		}
	})
}

// outsideAddr is an IPv4 address of this machine other than loopback.
func outsideAddr(t *testing.T) string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if ipnet, ok := a.(*net.IPNet); ok && ipnet.IP.To4() != nil && !ipnet.IP.IsLoopback() && !ipnet.IP.IsLinkLocalUnicast() {
			return ipnet.IP.String()
		}
	}
	t.Skip("this machine has no address but loopback")
	return ""
}

const testSecret = "a secret of at least thirty-two bytes, for tests"

func writeSecret(t testing.TB, secret string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mint(t testing.TB, method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(method, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestTokens(t *testing.T) {
	t.Parallel()
	service := serve(t, httpbin.New())
	r := startRelay(t, "--jwt-secret-file", writeSecret(t, testSecret))
	soon := time.Now().Add(time.Hour).Unix()
	good := mint(t, jwt.SigningMethodHS256, []byte(testSecret), jwt.MapClaims{"sub": "me", "exp": soon})
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte(good+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args, env []string
		admitted  bool
	}{
		"flag":         {args: []string{"--token", good}, admitted: true},
		"file":         {args: []string{"--token-file", tokenFile}, admitted: true},
		"environment":  {env: []string{"CULVERT_TOKEN=" + good}, admitted: true},
		"none":         {},
		"garbage":      {args: []string{"--token", "garbage"}},
		"wrong secret": {args: []string{"--token", mint(t, jwt.SigningMethodHS256, []byte(strings.ToUpper(testSecret)), jwt.MapClaims{"sub": "me", "exp": soon})}},
		"expired":      {args: []string{"--token", mint(t, jwt.SigningMethodHS256, []byte(testSecret), jwt.MapClaims{"sub": "me", "exp": time.Now().Add(-time.Hour).Unix()})}},
		"not yet":      {args: []string{"--token", mint(t, jwt.SigningMethodHS256, []byte(testSecret), jwt.MapClaims{"sub": "me", "exp": soon, "nbf": soon})}},
		"unsigned":     {args: []string{"--token", mint(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, jwt.MapClaims{"sub": "me", "exp": soon})}},
		"other method": {args: []string{"--token", mint(t, jwt.SigningMethodES256, ecKey, jwt.MapClaims{"sub": "me", "exp": soon})}},
		"tampered":     {args: []string{"--token", good[:len(good)-8] + "AAAAAAAA"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := agentSpec{target: service.URL, backend: r.url(), args: c.args, env: c.env}.start(t)
			if c.admitted {
				p.awaitEvent(t, "online")
				p.stop(t)
				return
			}
			if code := p.exit(t); code != 3 {
				t.Errorf("exit code %d, want 3", code)
			}
			if len(p.seen("online")) > 0 {
				t.Error("the agent was online")
			}
			if p.errors() == "" {
				t.Error("nothing says why")
			}
			for _, arg := range c.args {
				if len(arg) > 40 && (strings.Contains(p.output(), arg) || strings.Contains(r.output(), arg)) {
					t.Error("the token stands in a log")
				}
			}
		})
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	service := serve(t, httpbin.New())
	r := startRelay(t)
	mine := t.TempDir()
	first := startAgent(t, agentSpec{target: service.URL, backend: r.url(), config: mine, args: []string{"--name", "shop"}})
	if first.id() != "shop" || first.online.str("public_url") != r.url()+"/shop" {
		t.Errorf("asked for shop: %v", first.online)
	}
	for name, config := range map[string]string{"same owner": mine, "other owner": t.TempDir()} {
		second := agentSpec{target: service.URL, backend: r.url(), config: config, args: []string{"--name", "shop"}}.start(t)
		if code := second.exit(t); code != 3 {
			t.Errorf("%s: exit code %d, want 3", name, code)
		}
		if !strings.Contains(second.errors(), "shop") {
			t.Errorf("%s: nothing says why: %q", name, second.errors())
		}
	}
	mustGet(t, http.StatusOK, first.path("/get"))
	if n := len(first.seen("reconnecting")); n != 0 {
		t.Errorf("the holder of the name was disturbed %d times", n)
	}
	// Offline the name stays its owner's, also over the relay's restart.
	first.stop(t)
	r.stop(t)
	r.start(t)
	thief := agentSpec{target: service.URL, backend: r.url(), args: []string{"--name", "shop"}}.start(t)
	if code := thief.exit(t); code != 3 {
		t.Errorf("a thief: exit code %d, want 3", code)
	}
	back := startAgent(t, agentSpec{target: service.URL, backend: r.url(), config: mine, args: []string{"--name", "shop"}})
	mustGet(t, http.StatusOK, back.path("/get"))
	// Without a name every process has a tunnel of its own, same owner or not.
	one := startAgent(t, agentSpec{target: service.URL, backend: r.url(), config: mine})
	two := startAgent(t, agentSpec{target: service.URL, backend: r.url(), config: mine})
	if one.id() == two.id() || one.id() == "shop" {
		t.Errorf("two processes share the tunnel %s", one.id())
	}
	for _, a := range []*agent{back, one, two} {
		mustGet(t, http.StatusOK, a.path("/get"))
	}
}

// proxy is an HTTP proxy that knows CONNECT alone and finds every host at one address.
type proxy struct {
	ln net.Listener
	to string

	mu    sync.Mutex
	asked []string // request lines
	conns []net.Conn
	wg    sync.WaitGroup
}

func startProxy(t testing.TB, to string) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{ln: ln, to: to}
	p.wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			p.keep(conn)
			p.wg.Go(func() { defer conn.Close(); p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		p.mu.Lock()
		for _, conn := range p.conns {
			conn.Close()
		}
		p.mu.Unlock()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) keep(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, conn)
}

func (p *proxy) url() string { return "http://" + p.ln.Addr().String() }

func (p *proxy) lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.asked...)
}

func (p *proxy) serve(conn net.Conn) {
	in := bufio.NewReader(conn)
	req, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	p.mu.Lock()
	p.asked = append(p.asked, req.Method+" "+req.RequestURI)
	p.mu.Unlock()
	if req.Method != http.MethodConnect {
		io.WriteString(conn, "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
		return
	}
	far, err := net.Dial("tcp", p.to)
	if err != nil {
		io.WriteString(conn, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
		return
	}
	defer far.Close()
	p.keep(far)
	io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	p.wg.Go(func() { io.Copy(conn, far); conn.Close() })
	io.Copy(far, in)
}

// TestProxy has agents reach relays through an HTTP proxy alone: the relays' names
// mean something to the proxy only.
func TestProxy(t *testing.T) {
	t.Parallel()
	service := serve(t, httpbin.New())
	cert, key := certificate(t, "relay.example")
	secret := writeSecret(t, testSecret)
	token := mint(t, jwt.SigningMethodHS256, []byte(testSecret), jwt.MapClaims{"sub": "me", "exp": time.Now().Add(time.Hour).Unix()})
	plain := startRelay(t, "--jwt-secret-file", secret)
	secure := startRelay(t, "--jwt-secret-file", secret, "--tls-cert", cert, "--tls-key", key, "--public-url", "https://relay.example")

	t.Run("http", func(t *testing.T) {
		t.Parallel()
		p := startProxy(t, plain.addr())
		a := startAgent(t, agentSpec{target: service.URL, backend: "http://relay.example", env: []string{"HTTP_PROXY=" + p.url()}, args: []string{"--token", token}})
		mustGet(t, http.StatusOK, plain.url()+"/"+a.id()+"/get")
		if lines := p.lines(); len(lines) != 1 || lines[0] != "CONNECT relay.example:80" {
			t.Errorf("the proxy was asked %q", lines)
		}
	})
	t.Run("https", func(t *testing.T) {
		t.Parallel()
		p := startProxy(t, secure.addr())
		a := startAgent(t, agentSpec{target: service.URL, backend: "https://relay.example", env: []string{"HTTPS_PROXY=" + p.url()}, args: []string{"--token", token, "--ca-file", cert}})
		if got := a.online.str("public_url"); got != "https://relay.example/"+a.id() {
			t.Errorf("public_url %q", got)
		}
		mustGet(t, http.StatusOK, "https://"+secure.addr()+"/"+a.id()+"/get")
		if lines := p.lines(); len(lines) != 1 || lines[0] != "CONNECT relay.example:443" {
			t.Errorf("the proxy was asked %q", lines)
		}
		// Visitors may speak HTTP/2.
		client := newClient(t)
		client.Transport.(*http.Transport).ForceAttemptHTTP2 = true
		resp, err := client.Get("https://" + secure.addr() + "/" + a.id() + "/get")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); err != nil || resp.ProtoMajor != 2 || !strings.Contains(string(body), `"https"`) {
			t.Errorf("%s %s, %v: %s", resp.Proto, resp.Status, err, body)
		}
	})
	t.Run("untrusted certificate", func(t *testing.T) {
		t.Parallel()
		p := startProxy(t, secure.addr())
		a := agentSpec{target: service.URL, backend: "https://relay.example", env: []string{"HTTPS_PROXY=" + p.url()}, args: []string{"--token", token}}.start(t)
		e := a.awaitEvent(t, "reconnecting")
		if cause := e.str("cause"); !strings.Contains(cause, "certificate") {
			t.Errorf("cause %q", cause)
		}
	})
	t.Run("not for this host", func(t *testing.T) {
		t.Parallel()
		p := startProxy(t, plain.addr())
		a := agentSpec{target: service.URL, backend: "http://relay.example", env: []string{"HTTP_PROXY=" + p.url(), "NO_PROXY=relay.example"}, args: []string{"--token", token}}.start(t)
		a.awaitEvent(t, "reconnecting")
		if lines := p.lines(); len(lines) != 0 {
			t.Errorf("the proxy was asked %q", lines)
		}
	})
	t.Run("not for the local service", func(t *testing.T) {
		t.Parallel()
		p := startProxy(t, plain.addr())
		r := startRelay(t)
		a := startAgent(t, agentSpec{target: service.URL, backend: r.url(), env: []string{"HTTP_PROXY=" + p.url(), "HTTPS_PROXY=" + p.url()}})
		mustGet(t, http.StatusOK, a.path("/get"))
		if lines := p.lines(); len(lines) != 0 {
			t.Errorf("the proxy was asked %q", lines)
		}
	})
}

// certificate writes a self-signed certificate for a host and its key.
func certificate(t testing.TB, host string) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}
