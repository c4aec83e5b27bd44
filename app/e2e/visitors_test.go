package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestSameOrigin has a local service that checks where its requests come from,
// as many do against cross-site requests: pages of the public URL are its own.
func TestSameOrigin(t *testing.T) {
	t.Parallel()
	service := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s|%s|%s", r.Host, r.Header.Get("Origin"), r.Header.Get("Referer"))
	}))
	r := startRelay(t, "--subdomains")
	local := startAgent(t, agentSpec{target: service.URL, backend: r.url()})
	public := startAgent(t, agentSpec{target: service.URL, backend: r.url(), args: []string{"--host-header", "public"}})
	own := service.URL
	for name, c := range map[string]struct {
		base, origin, referer string
		want                  string
	}{
		"subdomain": {local.subdomain(""), local.subdomain(""), local.subdomain("/a?b=c"), hostOf(t, own) + "|" + own + "|" + own + "/a?b=c"},
		"path":      {local.path(""), "http://" + hostOf(t, local.path("")), local.path("/a?b=c"), hostOf(t, own) + "|" + own + "|" + own + "/a?b=c"},
		"foreign":   {local.subdomain(""), "https://example.com", "https://example.com/x", hostOf(t, own) + "|https://example.com|https://example.com/x"},
		"sandbox":   {local.subdomain(""), "null", "", hostOf(t, own) + "|null|"},
		"none":      {local.subdomain(""), "", "", hostOf(t, own) + "||"},
		"public":    {public.subdomain(""), public.subdomain(""), public.subdomain("/a"), hostOf(t, public.subdomain("")) + "|" + public.subdomain("") + "|" + public.subdomain("/a")},
	} {
		header := []string{}
		if c.origin != "" {
			header = append(header, "Origin", c.origin)
		}
		if c.referer != "" {
			header = append(header, "Referer", c.referer)
		}
		if got := mustGet(t, http.StatusOK, c.base+"/", header...); got.body != c.want {
			t.Errorf("%s: the service sees %q, want %q", name, got.body, c.want)
		}
	}
}

// TestTrustedProxy has the relay stand behind a proxy, whose word it takes.
func TestTrustedProxy(t *testing.T) {
	t.Parallel()
	service := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header["X-Forwarded-For"], r.Header["X-Forwarded-Proto"], r.Header["X-Forwarded-Host"])
	}))
	header := []string{"X-Forwarded-For", "198.51.100.1, 203.0.113.9", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "shop.example.com"}
	for args, want := range map[string]struct{ seen, addr string }{
		"--trusted-proxy=127.0.0.0/8": {"[198.51.100.1, 203.0.113.9, 127.0.0.1] [https] [shop.example.com]", "203.0.113.9"},
		"--trusted-proxy=10.0.0.0/8":  {"", "127.0.0.1"},
	} {
		r := startRelay(t, args)
		a := startAgent(t, agentSpec{target: service.URL, backend: r.url()})
		if want.seen == "" {
			want.seen = fmt.Sprintf("[127.0.0.1] [http] [%s]", r.addr())
		}
		if got := mustGet(t, http.StatusOK, a.path("/"), header...); got.body != want.seen {
			t.Errorf("%s: the service sees %s, want %s", args, got.body, want.seen)
		}
		if e := a.awaitEvent(t, "request"); e.str("remote_addr") != want.addr {
			t.Errorf("%s: the log says %s, want %s", args, e.str("remote_addr"), want.addr)
		}
	}
}

// TestVisitorLimits has visitors with more header than fits, or none for too long.
func TestVisitorLimits(t *testing.T) {
	t.Parallel()
	service := record(t, rawOK)
	r := startRelay(t)
	a := startAgent(t, agentSpec{target: service.target(), backend: r.url()})
	request := func(header string) string {
		return "GET /" + a.id() + "/ HTTP/1.1\r\nHost: " + r.addr() + "\r\n" + header + "Connection: close\r\n\r\n"
	}
	if status := statusOf(sendRaw(t, r.addr(), request("X-A: "+strings.Repeat("a", 60_000)+"\r\n"))); status != http.StatusOK {
		t.Errorf("60 KB of header: status %d", status)
	}
	if status := statusOf(sendRaw(t, r.addr(), request("X-A: "+strings.Repeat("a", 70_000)+"\r\n"))); status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("70 KB of header: status %d, want 431", status)
	}
	if n := len(service.got()); n != 1 {
		t.Errorf("%d requests reached the service", n)
	}
	conn, err := net.Dial("tcp", r.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n")
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := io.ReadAll(conn); err != nil && !isReset(err) {
		t.Errorf("a header that never ends is waited for: %v", err)
	}
}

// TestStatus looks a tunnel up.
func TestStatus(t *testing.T) {
	t.Parallel()
	r := startRelay(t)
	before := time.Now().Add(-time.Minute)
	a := startAgent(t, agentSpec{target: "9", backend: r.url(), args: []string{"--name", "looked-up"}})
	look := func() (status string) {
		got := mustGet(t, http.StatusOK, r.url()+"/_status/looked-up")
		var fields map[string]string
		if err := json.Unmarshal([]byte(got.body), &fields); err != nil {
			t.Fatalf("%v: %s", err, got.body)
		}
		since, err := time.Parse(time.RFC3339, fields["since"])
		if err != nil || since.Before(before) || since.After(time.Now().Add(time.Minute)) {
			t.Errorf("since %q (%v)", fields["since"], err)
		}
		status = fields["status"]
		delete(fields, "since")
		if diff := cmp.Diff(map[string]string{"tunnel_id": "looked-up", "status": status}, fields); diff != "" {
			t.Errorf("want - got +\n%s", diff)
		}
		return status
	}
	online := look()
	a.stop(t)
	eventually(t, func() error {
		if offline := look(); offline == online {
			return fmt.Errorf("status %q with and without an agent", offline)
		}
		return nil
	})
}
