package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
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
