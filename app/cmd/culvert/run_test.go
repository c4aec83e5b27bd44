//go:build unix

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

// TestJSONLines runs a tunnel with everything in it and looks at every field.
func TestJSONLines(t *testing.T) {
	t.Parallel()
	p := spawn(t, "http", service(t), "--json", "--config", t.TempDir())
	p.read()
	online := p.next(t, "online")
	keys := func(e event) []string { return slices.Sorted(maps.Keys(e)) }
	if diff := cmp.Diff([]string{"event", "path_based_url", "public_url", "subdomain_url", "target", "time", "tunnel_id"}, keys(online)); diff != "" {
		t.Errorf("online: -want +got:\n%s", diff)
	}
	id, public := online["tunnel_id"].(string), online["public_url"].(string)
	if !strings.HasSuffix(public, "/"+id) || online["path_based_url"] != public || !strings.HasPrefix(online["target"].(string), "http://127.0.0.1:") {
		t.Errorf("online %v", online)
	}
	if got := get(t, visits(), public+"/a%2Fb?c=%20d"); got != "hello /a/b" {
		t.Errorf("answer %q", got)
	}
	request := p.next(t, "request")
	if diff := cmp.Diff([]string{"bytes_in", "bytes_out", "duration_ms", "event", "id", "method", "path", "remote_addr", "status", "time"}, keys(request)); diff != "" {
		t.Errorf("request: -want +got:\n%s", diff)
	}
	if request["path"] != "/a%2Fb?c=%20d" || request["method"] != "GET" || request["status"] != 200.0 || request["bytes_out"] != 10.0 ||
		request["bytes_in"] != 0.0 || request["remote_addr"] != "127.0.0.1" || request["id"] == "" {
		t.Errorf("request %v", request)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	offline := p.next(t, "offline")
	if diff := cmp.Diff([]string{"cause", "event", "time"}, keys(offline)); diff != "" || offline["cause"] != "stopped by SIGTERM" {
		t.Errorf("offline %v: -want +got:\n%s", offline, diff)
	}
	for _, e := range []event{online, request, offline} {
		if _, err := time.Parse(time.RFC3339Nano, e["time"].(string)); err != nil {
			t.Error(err)
		}
	}
	if line, more := <-p.lines; more {
		t.Errorf("%q follows the end", line)
	}
	if code := p.wait(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// TestFolder serves files, and says what the target is in full.
func TestFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "my site")
	if err := os.MkdirAll(filepath.Join(dir, ".git"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"index.html": "<h1>home</h1>", ".git/config": "secret"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := spawn(t, "http", dir+"/../my site/", "--json", "--config", t.TempDir())
	p.read()
	online := p.next(t, "online")
	if online["target"] != dir {
		t.Errorf("target %v", online["target"])
	}
	public := online["public_url"].(string)
	if got := get(t, visits(), public+"/"); got != "<h1>home</h1>" {
		t.Errorf("answer %q", got)
	}
	if got := get(t, visits(), public+"/.git/config"); !strings.Contains(got, "begin with a dot") {
		t.Errorf("answer %q", got)
	}
	if request := p.next(t, "request"); request["path"] != "/" || request["status"] != 200.0 {
		t.Errorf("request %v", request)
	}
	if request := p.next(t, "request"); request["status"] != 404.0 {
		t.Errorf("request %v", request)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

func TestSignals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		signals []syscall.Signal
		cause   string
	}{
		{"SIGINT", []syscall.Signal{syscall.SIGINT}, "stopped by SIGINT"},
		{"SIGTERM", []syscall.Signal{syscall.SIGTERM}, "stopped by SIGTERM"},
		{"twice at once", []syscall.Signal{syscall.SIGTERM, syscall.SIGTERM}, "stopped by SIGTERM"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := spawn(t, "http", service(t), "--json", "--config", t.TempDir())
			p.url(t)
			for _, s := range c.signals {
				if err := p.cmd.Process.Signal(s); err != nil {
					t.Fatal(err)
				}
			}
			if got := p.next(t, "offline")["cause"]; got != c.cause {
				t.Errorf("cause %q", got)
			}
			if code := p.wait(t); code != exitOK {
				t.Errorf("exit code %d", code)
			}
			if said := p.stderr.String(); strings.Contains(said, "in time") {
				t.Errorf("stderr %q", said)
			}
		})
	}
}

// TestBeforeOnline is stopped while there is no backend yet.
func TestBeforeOnline(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + ln.Addr().String()
	ln.Close()
	p := spawn(t, "http", "3000", "--json", "--config", t.TempDir(), "--backend", nobody)
	p.read()
	e := p.next(t, "reconnecting")
	if e["attempt"] != 1.0 || e["retry_in_ms"].(float64) < 0 || e["retry_in_ms"].(float64) > 60_000 || e["cause"] == "" || len(e) != 5 {
		t.Errorf("event %v", e)
	}
	_ = p.cmd.Process.Signal(syscall.SIGINT)
	if code := p.wait(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// TestBackendAnswersHTML finds a web server where a relay should be.
func TestBackendAnswersHTML(t *testing.T) {
	t.Parallel()
	web := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>Welcome!</title>")
	})
	p := spawn(t, "http", "3000", "--json", "--config", t.TempDir(), "--backend", web)
	p.read()
	if cause := p.next(t, "reconnecting")["cause"].(string); !strings.Contains(cause, "web page") || !strings.Contains(cause, "--backend") {
		t.Errorf("cause %q does not say what answered and what to do", cause)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef0123456789abcdef"
	mint := func(secret string) string {
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "ann"}).SignedString([]byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	_, relay := relayProcess(t, "--jwt-secret-file", file(secret+"\n"))
	local, config := service(t), t.TempDir()
	good, bad := file(mint(secret)+"\n"), file(mint(strings.ToUpper(secret)))
	first := spawn(t, "http", local, "--json", "--backend", relay, "--name", "shop", "--token-file", good, "--config", config)
	public := first.url(t)
	for name, args := range map[string][]string{
		"no token":              {},
		"token of another":      {"--token-file", bad},
		"name that is live":     {"--token-file", good, "--name", "shop"},
		"from another computer": {"--token-file", good, "--name", "shop", "--config", t.TempDir()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := spawn(t, append([]string{"http", local, "--json", "--backend", relay, "--config", config}, args...)...)
			p.read()
			cause := p.next(t, "offline")["cause"].(string)
			if code := p.wait(t); code != exitRefused {
				t.Errorf("exit code %d", code)
			}
			said := p.stderr.String()
			if !strings.Contains(cause, "refused by the backend: ") || !strings.Contains(said, strings.TrimPrefix(cause, "refused by the backend: ")) {
				t.Errorf("cause %q, stderr %q", cause, said)
			}
			for _, secret := range []string{mint(secret), mint(strings.ToUpper(secret))} {
				if strings.Contains(said+cause, secret) {
					t.Errorf("the token is in %q", said)
				}
			}
		})
	}
	t.Cleanup(func() { // after the others
		if got := get(t, visits(), public+"/x"); got != "hello /x" {
			t.Errorf("the first has lost its tunnel: %q", got)
		}
	})
}

func TestTokenInArguments(t *testing.T) {
	t.Parallel()
	_, relay := relayProcess(t)
	p := spawn(t, "http", service(t), "--backend", relay, "--token", "not-so-secret", "--json", "--config", t.TempDir())
	p.url(t)
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	p.wait(t)
	said := p.stderr.String()
	if strings.Count(said, "--token-file") != 1 || strings.Contains(said, "not-so-secret") {
		t.Errorf("stderr %q", said)
	}
}

// TestReaderGone closes stdout: the tunnel stays, and says so.
func TestReaderGone(t *testing.T) {
	t.Parallel()
	p := spawn(t, "http", service(t), "--name", "gone", "--config", t.TempDir(), "--json")
	public := p.url(t)
	p.stdout.Close()
	for range 3 {
		if got := get(t, visits(), public+"/x"); got != "hello /x" {
			t.Fatalf("answer %q", got)
		}
	}
	p.complains(t, "nobody reads the output")
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if code := p.wait(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// TestSlowReader lets the pipe fill up: traffic goes on.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	_, relay := relayProcess(t)
	p := spawn(t, "http", service(t), "--name", "slow", "--config", t.TempDir(), "--json", "--backend", relay)
	// Nobody reads; that it is online is seen from outside.
	client := &http.Client{Timeout: patience}
	deadline := time.Now().Add(patience)
	for {
		resp, err := client.Get(relay + "/_status/slow")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				break
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("not online; stderr %q", p.stderr.String())
		}
		time.Sleep(10 * time.Millisecond)
	}
	// A pipe holds 64 KB: 100 lines of 2 KB are more.
	path := "/slow/" + strings.Repeat("x", 2000)
	for range 100 {
		if got := get(t, client, relay+path); !strings.HasPrefix(got, "hello ") {
			t.Fatalf("answer %q", got)
		}
	}
	p.read()
	p.next(t, "online")
	for range 100 { // all of them had room in the queue
		p.next(t, "request")
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	p.next(t, "offline")
	if code := p.wait(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// TestNothingListens: who opens a tunnel to nowhere learns of it before the first visitor.
func TestNothingListens(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := ln.Addr().String()
	ln.Close()
	want := "nothing is listening on " + nobody + ": start the service"
	program := spawn(t, "http", nobody, "--json", "--config", t.TempDir())
	program.url(t)
	if got := program.next(t, "notice")["message"].(string); !strings.HasPrefix(got, want) {
		t.Errorf("notice %q", got)
	}
	person := spawn(t, "http", nobody, "--config", t.TempDir())
	person.read()
	person.says(t, "public URL")
	person.says(t, "! "+want)

	there := spawn(t, "http", service(t), "--config", t.TempDir())
	there.read()
	_, public, _ := strings.Cut(there.says(t, "public URL"), "public URL  ")
	get(t, visits(), public+"/")
	_ = there.cmd.Process.Signal(syscall.SIGTERM)
	there.says(t, "GET")
	for line := range there.lines {
		if strings.Contains(line, "!") {
			t.Errorf("%q, though the service is there", line)
		}
	}
}

// TestReadableLog is what a person sees, without a terminal.
func TestReadableLog(t *testing.T) {
	t.Parallel()
	p := spawn(t, "http", service(t), "--name", "readable", "--config", t.TempDir())
	p.read()
	p.says(t, "no backend is named")
	p.says(t, "connecting to the built-in relay for http://")
	_, public, _ := strings.Cut(p.says(t, "public URL"), "public URL  ")
	get(t, visits(), public+"/%1b%5b2J")
	line := p.says(t, "GET")
	if !strings.Contains(line, "/%1b%5b2J") || !strings.Contains(line, "200") || !strings.Contains(line, "127.0.0.1") || strings.Contains(line, "\x1b") {
		t.Errorf("line %q", line)
	}
	_ = p.cmd.Process.Signal(syscall.SIGINT)
	p.says(t, "offline: stopped by SIGINT")
}

func TestRelayDrains(t *testing.T) {
	t.Parallel()
	began, finish := make(chan struct{}), make(chan struct{})
	local := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "one ")
		w.(http.Flusher).Flush()
		close(began)
		<-finish
		fmt.Fprint(w, "two")
	})
	relay, base := relayProcess(t)
	agent := spawn(t, "http", local, "--json", "--backend", base, "--config", t.TempDir())
	public := agent.url(t)
	answer := make(chan string, 1)
	go func() {
		resp, err := visits().Get(public + "/")
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		answer <- fmt.Sprint(string(body), err)
	}()
	<-began
	if err := relay.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	relay.complains(t, "stopping: visitors may finish")
	close(finish)
	if got := <-answer; got != "one two<nil>" {
		t.Errorf("the visitor got %q", got)
	}
	if code := relay.wait(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

func TestRelaySecondSignal(t *testing.T) {
	t.Parallel()
	began := make(chan struct{})
	local := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
	})
	relay, base := relayProcess(t)
	agent := spawn(t, "http", local, "--json", "--backend", base, "--config", t.TempDir())
	public := agent.url(t)
	answer := make(chan error, 1)
	go func() {
		resp, err := visits().Get(public + "/")
		if err == nil {
			resp.Body.Close()
		}
		answer <- err
	}()
	<-began
	start := time.Now()
	_ = relay.cmd.Process.Signal(syscall.SIGTERM)
	time.Sleep(sameSignal + 100*time.Millisecond) // what comes earlier counts as the same one
	_ = relay.cmd.Process.Signal(syscall.SIGTERM)
	if code := relay.wait(t); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(start); took > 9*time.Second { // the grace is 10 s
		t.Errorf("it took %v", took)
	}
	<-answer
}

func serveFunc(t *testing.T, f http.HandlerFunc) string {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: f}
	go server.Serve(ln)
	t.Cleanup(func() { server.Close() })
	return "http://" + ln.Addr().String()
}

// TestBuiltInCannotRun ends with an error that is nobody's refusal.
func TestBuiltInCannotRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "builtin-relay"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := spawn(t, "http", "3000", "--json", "--config", dir)
	p.read()
	if code := p.wait(t); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	if offline := p.next(t, "offline"); !strings.HasPrefix(offline["cause"].(string), "failed: ") {
		t.Errorf("%v", offline)
	}
	if said := p.stderr.String(); !strings.Contains(said, "builtin-relay") {
		t.Errorf("stderr %q", said)
	}
}

func TestRelayWarnings(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("0123456789abcdef0123456789abcdef"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		says string // "" for no warning
		url  string // of the form http://HOST:
	}{
		"plain":             {nil, "", "http://127.0.0.1:"},
		"subdomains":        {[]string{"--subdomains"}, "", "http://localhost:"},
		"open":              {[]string{"--open"}, "OPEN RELAY", "http://127.0.0.1:"},
		"everywhere":        {[]string{"--listen", "0.0.0.0:0"}, "--public-url", "http://127.0.0.1:"},
		"nobody can come":   {[]string{"--public-url", "https://tunnel.example.com"}, "no agent will be accepted", "https://tunnel.example.com"},
		"readable secret":   {[]string{"--jwt-secret-file", secret}, "chmod 600", "http://127.0.0.1:"},
		"all is well there": {[]string{"--public-url", "https://tunnel.example.com", "--open"}, "OPEN RELAY", "https://tunnel.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, public := relayProcess(t, c.args...)
			if !strings.HasPrefix(public, c.url) {
				t.Errorf("public URL %q", public)
			}
			_ = p.cmd.Process.Signal(syscall.SIGTERM)
			if code := p.wait(t); code != exitOK {
				t.Errorf("exit code %d", code)
			}
			said := p.stderr.String()
			if strings.Contains(said, "level=WARN") != (c.says != "") || !strings.Contains(said, c.says) {
				t.Errorf("stderr %q, want %q", said, c.says)
			}
		})
	}
}

func TestRelayPortTaken(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p := spawn(t, "relay", "--listen", ln.Addr().String(), "--config", t.TempDir())
	p.read()
	if code := p.wait(t); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	if said := p.stderr.String(); !strings.Contains(said, "in use") || !strings.Contains(said, "--listen") {
		t.Errorf("stderr %q", said)
	}
}

// TestRelayTLS has visitors and agents trust a certificate by --ca-file.
func TestRelayTLS(t *testing.T) {
	t.Parallel()
	certFile, keyFile := makeCertificate(t, t.TempDir(), 1)
	_, base := relayProcess(t, "--tls-cert", certFile, "--tls-key", keyFile)
	if !strings.HasPrefix(base, "https://127.0.0.1:") {
		t.Fatalf("public URL %q", base)
	}
	agent := spawn(t, "http", service(t), "--json", "--backend", base, "--ca-file", certFile, "--config", t.TempDir())
	public := agent.url(t)
	roots := x509.NewCertPool()
	text, err := os.ReadFile(certFile)
	if err != nil || !roots.AppendCertsFromPEM(text) {
		t.Fatal(err)
	}
	client := visits()
	client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: roots}
	if got := get(t, client, public+"/tls"); got != "hello /tls" {
		t.Errorf("answer %q", got)
	}
	// Without the file there is no trust.
	stranger := spawn(t, "http", "3000", "--json", "--backend", base, "--config", t.TempDir())
	stranger.read()
	if cause := stranger.next(t, "reconnecting")["cause"].(string); !strings.Contains(cause, "certificate") {
		t.Errorf("cause %q", cause)
	}
}

// TestCertificateRenewal replaces the file under a running relay.
func TestCertificateRenewal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := makeCertificate(t, dir, 1)
	c, err := loadCertificate(certFile, keyFile, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	serial := func() int64 { return c.get().Leaf.SerialNumber.Int64() }
	later := func() { // as if reloadEvery had passed since the last look
		c.mu.Lock()
		c.looked = time.Time{}
		c.mu.Unlock()
	}
	touch := func(offset time.Duration) {
		when := time.Now().Add(offset)
		if err := os.Chtimes(certFile, when, when); err != nil {
			t.Fatal(err)
		}
	}
	makeCertificate(t, dir, 2)
	touch(time.Hour)
	if got := serial(); got != 1 {
		t.Errorf("certificate %d was looked for too soon", got)
	}
	later()
	if got := serial(); got != 2 {
		t.Errorf("certificate %d, want the new one", got)
	}
	if err := os.WriteFile(certFile, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	touch(2 * time.Hour)
	later()
	if got := serial(); got != 2 {
		t.Errorf("certificate %d, want the one before the broken one", got)
	}
	makeCertificate(t, dir, 3)
	touch(3 * time.Hour)
	later()
	if got := serial(); got != 3 {
		t.Errorf("certificate %d, want the one after the broken one", got)
	}
}

func makeCertificate(t *testing.T, dir string, serial int64) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "relay"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", private)
}

func TestColorful(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		env  map[string]string
		goos string
		want bool
	}{
		{nil, "linux", true},
		{map[string]string{"TERM": "xterm"}, "linux", true},
		{map[string]string{"TERM": "dumb"}, "linux", false},
		{map[string]string{"NO_COLOR": "1", "TERM": "xterm"}, "linux", false},
		{map[string]string{"NO_COLOR": ""}, "linux", true},
		{nil, "windows", false},
		{map[string]string{"WT_SESSION": "x"}, "windows", true},
	} {
		if got := colorful(func(k string) string { return c.env[k] }, c.goos); got != c.want {
			t.Errorf("%v on %s: %v", c.env, c.goos, got)
		}
	}
}
