package e2e

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
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
