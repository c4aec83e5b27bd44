package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mccutchen/go-httpbin/v2/httpbin"
)

// TestTargets has every way to name a local service.
func TestTargets(t *testing.T) {
	t.Parallel()
	service := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Host) }))
	_, port, _ := net.SplitHostPort(service.Listener.Addr().String())
	r := startRelay(t)
	for target, host := range map[string]string{
		port:                             "localhost:" + port,
		"localhost:" + port:              "localhost:" + port,
		"127.0.0.1:" + port:              "127.0.0.1:" + port,
		"http://127.0.0.1:" + port:       "127.0.0.1:" + port,
		"http://localhost:" + port:       "localhost:" + port,
		"HTTP://LocalHost:" + port:       "localhost:" + port,
		"http://localhost:" + port + "/": "localhost:" + port,
	} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			a := startAgent(t, agentSpec{target: target, backend: r.url()})
			if got := mustGet(t, http.StatusOK, a.path("/")); got.body != host {
				t.Errorf("Host %q, want %q", got.body, host)
			}
		})
	}
	for value, host := range map[string]string{"public": r.addr(), "my.host:1": "my.host:1", "local": "127.0.0.1:" + port} {
		t.Run("host-header="+value, func(t *testing.T) {
			t.Parallel()
			a := startAgent(t, agentSpec{target: "127.0.0.1:" + port, backend: r.url(), args: []string{"--host-header", value}})
			if got := mustGet(t, http.StatusOK, a.path("/")); got.body != host {
				t.Errorf("Host %q, want %q", got.body, host)
			}
		})
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

// TestFlagOrder puts flags before and after the target, and settings into the environment.
func TestFlagOrder(t *testing.T) {
	t.Parallel()
	service := serve(t, httpbin.New())
	r := startRelay(t)
	config := t.TempDir()
	for _, args := range [][]string{
		{"http", "--json", "--backend", r.url(), service.URL, "--config", config},
		{"http", service.URL, "--config=" + config, "--backend=" + r.url(), "--json"},
		{"--config", config, "http", "--json", service.URL, "--backend", r.url()},
	} {
		p := startProcess(t, "culvert", nil, args...)
		p.awaitEvent(t, "online")
		p.stop(t)
	}
	p := startProcess(t, "culvert", []string{"CULVERT_CONFIG_DIR=" + config, "CULVERT_BACKEND=" + r.url()}, "http", "--json", service.URL)
	if got := p.awaitEvent(t, "online"); !strings.HasPrefix(got.str("public_url"), r.url()) {
		t.Errorf("CULVERT_BACKEND is %s, online is %v", r.url(), got)
	}
	p.stop(t)
	// The owner key is nobody else's to read.
	keys := 0
	err := filepath.WalkDir(config, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && strings.Contains(string(text), "PRIVATE KEY") {
			if keys++; info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v", path, info.Mode().Perm())
			}
		}
		return err
	})
	if err != nil || keys != 1 {
		t.Errorf("%d owner keys, %v", keys, err)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	p := startProcess(t, "culvert", nil, "version")
	if code := p.exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if len(p.stdout) == 0 || !strings.HasPrefix(p.stdout[0], "culvert ") {
		t.Errorf("stdout %q", p.stdout)
	}
	for _, args := range [][]string{{"--help"}, {"http", "--help"}, {"relay", "--help"}} {
		p := startProcess(t, "culvert", nil, args...)
		if code := p.exit(t); code != 0 || len(p.stdout) == 0 {
			t.Errorf("%q: exit code %d, %d lines on stdout", args, code, len(p.stdout))
		}
	}
}

// TestBuiltInRelay starts the agent with nothing but a port.
func TestBuiltInRelay(t *testing.T) {
	t.Parallel()
	service := serve(t, httpbin.New())
	config := t.TempDir()
	a := startAgent(t, agentSpec{target: service.URL, config: config})
	mustGet(t, http.StatusOK, a.path("/get"))
	mustGet(t, http.StatusOK, a.online.str("public_url")+"/get")
	mustGet(t, http.StatusOK, a.subdomain("/get"))
	// A second process of the same installation has a tunnel of its own.
	b := startAgent(t, agentSpec{target: service.URL, config: config})
	mustGet(t, http.StatusOK, b.path("/get"))
	a.stop(t)
	mustGet(t, http.StatusOK, b.path("/get"))
	t.Run("nobody else gets in", func(t *testing.T) {
		_, port, err := net.SplitHostPort(hostOf(t, b.path("")))
		if err != nil {
			t.Fatal(err)
		}
		if conn, err := net.Dial("tcp", net.JoinHostPort(outsideAddr(t), port)); err == nil {
			conn.Close()
			t.Errorf("the built-in relay listens on %s", conn.RemoteAddr())
		}
	})
}

// TestSharedConfig starts several processes in one config folder that is not
// there yet: they have to agree on whose it is.
func TestSharedConfig(t *testing.T) {
	t.Parallel()
	r := startRelay(t)
	config := filepath.Join(t.TempDir(), "new", "folder")
	const n = 5
	var first []*process
	spec := func(i int) agentSpec {
		return agentSpec{target: "9", backend: r.url(), config: config, args: []string{"--name", fmt.Sprint("shared-", i)}}
	}
	for i := range n {
		first = append(first, spec(i).start(t))
	}
	for _, p := range first {
		p.awaitEvent(t, "online")
	}
	// Were their keys different, all but one name would be somebody else's now.
	for i, p := range first {
		p.stop(t)
		startAgent(t, spec(i))
	}
}
