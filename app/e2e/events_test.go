package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mccutchen/go-httpbin/v2/httpbin"
)

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
