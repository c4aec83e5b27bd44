package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mccutchen/go-httpbin/v2/httpbin"
)

// TestBadInput gives the command what cannot work: it ends at once with the
// promised code, and says which word was wrong.
func TestBadInput(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "no-such-file")
	short := writeSecret(t, "too short")
	for name, c := range map[string]struct {
		args []string
		code int
		says string // regular expression, of stderr
	}{
		"no command":            {nil, 2, `http|relay`},
		"unknown command":       {[]string{"frobnicate"}, 2, `frobnicate`},
		"no target":             {[]string{"http"}, 2, `(?i)target`},
		"two targets":           {[]string{"http", "3000", "4000"}, 2, `4000`},
		"port 0":                {[]string{"http", "0"}, 2, `65535`},
		"port too large":        {[]string{"http", "65536"}, 2, `65535`},
		"port far too large":    {[]string{"http", "99999999999999999999"}, 2, `99999999999999999999`},
		"negative port":         {[]string{"http", "--", "-1"}, 2, `-1`},
		"port of host":          {[]string{"http", "localhost:70000"}, 2, `65535`},
		"port of URL":           {[]string{"http", "http://localhost:70000"}, 2, `65535`},
		"other scheme":          {[]string{"http", "ftp://localhost"}, 2, `ftp`},
		"no URL":                {[]string{"http", "http://"}, 2, `http://`},
		"words":                 {[]string{"http", "my web site"}, 2, `my web site`},
		"empty target":          {[]string{"http", ""}, 2, `.`},
		"name with capitals":    {[]string{"http", "3000", "--name", "Shop"}, 2, `Shop`},
		"name with underscore":  {[]string{"http", "3000", "--name", "my_shop"}, 2, `my_shop`},
		"name too short":        {[]string{"http", "3000", "--name", "ab"}, 2, `ab`},
		"name too long":         {[]string{"http", "3000", "--name", strings.Repeat("x", 64)}, 2, `xxx`},
		"backend no URL":        {[]string{"http", "3000", "--backend", "relay"}, 2, `relay`},
		"backend scheme":        {[]string{"http", "3000", "--backend", "ftp://relay"}, 2, `ftp`},
		"host header":           {[]string{"http", "3000", "--host-header", "a b"}, 2, `a b`},
		"timeout":               {[]string{"http", "3000", "--timeout", "soon"}, 2, `soon`},
		"timeout of nothing":    {[]string{"http", "3000", "--timeout", "-1s"}, 2, `-1s`},
		"unknown flag":          {[]string{"http", "3000", "--frobnicate"}, 2, `frobnicate`},
		"flag of a later day":   {[]string{"http", "3000", "--basic-auth", "a:b"}, 2, `basic-auth`},
		"another":               {[]string{"http", "3000", "--expires", "1h"}, 2, `expires`},
		"token file":            {[]string{"http", "3000", "--token-file", missing}, 2, `no-such-file`},
		"CA file":               {[]string{"http", "3000", "--ca-file", missing}, 2, `no-such-file`},
		"CA file without certs": {[]string{"http", "3000", "--ca-file", short}, 2, `certificate`},
		"listen":                {[]string{"relay", "--listen", "nowhere"}, 2, `nowhere`},
		"listen port":           {[]string{"relay", "--listen", "127.0.0.1:70000"}, 2, `70000`},
		"public URL":            {[]string{"relay", "--public-url", "example"}, 2, `example`},
		"public URL with path":  {[]string{"relay", "--public-url", "https://example.com/x"}, 2, `path`},
		"trusted proxy":         {[]string{"relay", "--trusted-proxy", "10.0.0.0/99"}, 2, `10\.0\.0\.0/99`},
		"JWT secret file":       {[]string{"relay", "--jwt-secret-file", missing}, 2, `no-such-file`},
		"JWT secret too short":  {[]string{"relay", "--jwt-secret-file", short}, 2, `32`},
		"certificate":           {[]string{"relay", "--tls-cert", missing, "--tls-key", missing}, 2, `no-such-file`},
		"certificate alone":     {[]string{"relay", "--tls-cert", missing}, 2, `tls-key`},
		"relay with a target":   {[]string{"relay", "3000"}, 2, `3000`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := c.args
			if len(args) > 1 {
				args = append([]string{args[0], "--config", t.TempDir()}, args[1:]...)
			}
			p := startProcess(t, "culvert", nil, args...)
			if code := p.exit(t); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if said := p.errors(); !regexp.MustCompile(c.says).MatchString(said) {
				t.Errorf("stderr %q does not mention %s", said, c.says)
			}
			if len(p.stdout) > 0 {
				t.Errorf("errors stand on stdout: %q", p.stdout)
			}
			if said := p.output(); strings.Contains(said, "goroutine ") || strings.Contains(said, "panic") {
				t.Errorf("it fell over: %s", said)
			}
		})
	}
}

func TestBrokenConfig(t *testing.T) {
	t.Parallel()
	for _, command := range [][]string{{"http", "3000"}, {"relay", "--listen", fmt.Sprintf("127.0.0.1:%d", freePort(t))}} {
		dir := t.TempDir()
		// Which file it is is told by the program; the documents call it the config file.
		file := filepath.Join(dir, "config.toml")
		const broken = "# mine\n\nthis is [not TOML\n"
		if err := os.WriteFile(file, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		p := startProcess(t, "culvert", nil, append(command, "--config", dir)...)
		if code := p.exit(t); code != 2 {
			t.Errorf("%s: exit code %d, want 2", command[0], code)
		}
		if said := p.errors(); !strings.Contains(said, file) || !regexp.MustCompile(`(:|line )3\b`).MatchString(said) {
			t.Errorf("%s: stderr %q names not file and line", command[0], said)
		}
		if left, err := os.ReadFile(file); err != nil || string(left) != broken {
			t.Errorf("%s: the file was touched: %q, %v", command[0], left, err)
		}
	}
}

// TestBackendAnswersHTML has the agent dial what is no backend at all.
func TestBackendAnswersHTML(t *testing.T) {
	t.Parallel()
	web := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<!doctype html><title>Welcome to nginx!</title>")
	}))
	for _, scheme := range []string{"http", "ws"} {
		p := agentSpec{target: "3000", backend: scheme + web.URL[len("http"):]}.start(t)
		var cause string
		eventually(t, func() error {
			for _, e := range p.seen("reconnecting") {
				cause = e.str("cause")
				return nil
			}
			select {
			case <-p.done:
				if p.code != 1 && p.code != 3 {
					t.Errorf("%s: exit code %d", scheme, p.code)
				}
				cause = p.errors()
				return nil
			default:
				return fmt.Errorf("%s: neither an end nor a cause", scheme)
			}
		})
		if !strings.Contains(cause, web.Listener.Addr().String()) || !regexp.MustCompile(`(?i)web ?(page|site|server)|html`).MatchString(cause) {
			t.Errorf("%s: cause %q, want one that says what answered", scheme, cause)
		}
		if strings.Contains(cause, "<") {
			t.Errorf("%s: the cause quotes the page: %q", scheme, cause)
		}
	}
}

func TestBackendNotThere(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	p := agentSpec{target: "3000", backend: fmt.Sprintf("http://127.0.0.1:%d", port)}.start(t)
	for attempt := int64(1); attempt <= 2; attempt++ {
		e := p.awaitEvent(t, "reconnecting")
		if e.num("attempt") != attempt || e.num("retry_in_ms") < 0 || e.num("retry_in_ms") > 60_000 || !strings.Contains(e.str("cause"), "refused") {
			t.Errorf("attempt %d: %v", attempt, e)
		}
	}
	p.stop(t)
}

func TestPortTaken(t *testing.T) {
	t.Parallel()
	r := startRelay(t)
	p := startProcess(t, "culvert", nil, "relay", "--listen", r.addr(), "--config", t.TempDir())
	if code := p.exit(t); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if said := p.errors(); !strings.Contains(said, strconv.Itoa(r.port)) {
		t.Errorf("stderr %q does not name the port", said)
	}
}

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

// TestEvents checks the JSON lines field by field.
func TestEvents(t *testing.T) {
	t.Parallel()
	r, a := tunnel(t, httpbin.New())
	mustGet(t, http.StatusOK, a.path("/bytes/1000?seed=1&x=%2F"))
	req, err := http.NewRequest(http.MethodPost, a.path("/status/418"), strings.NewReader("12345"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := do(t, req); err != nil {
		t.Fatal(err)
	}
	one := a.awaitEvent(t, "request")
	two := a.awaitEvent(t, "request")
	for _, c := range []struct {
		e               event
		method, path    string
		status, in, out int64
	}{
		{one, "GET", "/bytes/1000?seed=1&x=%2F", 200, 0, 1000},
		{two, "POST", "/status/418", 418, 5, 13},
	} {
		e := c.e
		if e.str("method") != c.method || e.str("path") != c.path || e.num("status") != c.status ||
			e.num("bytes_in") != c.in || e.num("bytes_out") != c.out || e.str("remote_addr") != "127.0.0.1" || e.str("id") == "" || e.num("duration_ms") < 0 {
			t.Errorf("want %+v, got %v", c, e)
		}
	}
	if one.str("id") == two.str("id") {
		t.Error("two requests have one id")
	}
	for _, key := range []string{"tunnel_id", "public_url", "path_based_url", "subdomain_url", "target"} {
		if a.online.str(key) == "" {
			t.Errorf("online has no %s: %v", key, a.online)
		}
	}
	if want := fmt.Sprintf("http://%s.localhost:%d", a.id(), r.port); a.online.str("public_url") != want {
		t.Errorf("public_url %q, want %q", a.online.str("public_url"), want)
	}
	a.signal(t, syscall.SIGINT)
	if code := a.exit(t); code != 0 {
		t.Errorf("exit code %d after SIGINT", code)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.events) != len(a.stdout) {
		t.Errorf("stdout has %d lines, of which %d are JSON objects", len(a.stdout), len(a.events))
	}
	for _, e := range a.events {
		if _, err := time.Parse(time.RFC3339, e.str("time")); err != nil {
			t.Errorf("time: %v in %v", err, e)
		}
		switch e.kind() {
		case "online", "reconnecting", "request", "offline", "notice":
		default:
			t.Errorf("unknown event %v", e)
		}
	}
}

// TestReadableLog runs the agent as a person does, but without a terminal.
func TestReadableLog(t *testing.T) {
	t.Parallel()
	service := serve(t, httpbin.New())
	r := startRelay(t)
	p := startProcess(t, "culvert", nil, "http", service.URL, "--backend", r.url(), "--name", "readable", "--config", t.TempDir())
	public := r.url() + "/readable"
	eventually(t, func() error {
		if !strings.Contains(p.output(), public) {
			return fmt.Errorf("the public URL is not said")
		}
		return nil
	})
	mustGet(t, http.StatusOK, public+"/get?q=1")
	eventually(t, func() error {
		for line := range strings.Lines(p.output()) {
			if strings.Contains(line, "GET") && strings.Contains(line, "/get?q=1") && strings.Contains(line, "200") {
				return nil
			}
		}
		return fmt.Errorf("the request is not said")
	})
	if strings.Contains(p.output(), "\x1b") {
		t.Error("there are terminal codes in a pipe")
	}
	p.stop(t)
}
