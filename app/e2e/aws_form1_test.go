package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAWSStored has the backend answer without the connections on which answers are
// pushed: as on an account where they cannot be had.
func TestAWSStored(t *testing.T) {
	t.Parallel()
	aws := startAccount(t, accountSpec{
		args: []string{"--subdomains", "--function-url", "127.0.0.1:0"},
		env:  []string{"CULVERT_WAITERS_URL"},
	})
	t.Run("form 1", func(t *testing.T) {
		if pushed, stored := testAWSForm1(t, aws); pushed != 0 || stored == 0 {
			t.Errorf("%d answers were pushed and %d stored", pushed, stored)
		}
	})
	t.Run("streams", func(t *testing.T) { testAWSStream(t, aws) })
	aws.stop(t)
}

// testAWSForm1 has the forwarder that knows form 1's table and nothing else serve a
// tunnel of the AWS backend. It is the one of TestForm1ForwarderOnRelay, unchanged.
// What it gives is the way that the answers took.
func testAWSForm1(t *testing.T, aws *account) (pushed, stored int64) {
	var mu sync.Mutex
	seen := map[string]int{} // request IDs
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(seen)
	}
	f := dialForm1(t, aws.agents, form1Service(&mu, seen))
	id, base := f.established.TunnelID, f.established.PathBasedURL
	if base != aws.visitors+"/"+id {
		t.Errorf("path_based_url %q, want it below %s", base, aws.visitors)
	}
	_, port, _ := strings.Cut(strings.TrimPrefix(aws.visitors, "http://"), ":")
	sub := "http://" + id + ".localhost:" + port
	if f.established.SubdomainURL != sub || f.established.PublicURL != sub {
		t.Errorf("subdomain_url %q and public_url %q, want %q", f.established.SubdomainURL, f.established.PublicURL, sub)
	}

	for form, base := range map[string]string{"path": base, "subdomain": sub} {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"} {
			body := "the body\x00\xff"
			if method == "GET" || method == "HEAD" {
				body = ""
			}
			req, err := http.NewRequest(method, base+"/a%20b//c?x=%2F&y=1", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Accept", "application/json")
			req.Header["X-Multi"] = []string{"one", "two"}
			got, err := do(t, req)
			if err != nil || got.status != 201 {
				t.Fatalf("%s form, %s: %v, status %d: %s", form, method, err, got.status, got.body)
			}
			if diff := cmp.Diff([]string{"1, 2"}, got.header["X-Multi"]); diff != "" {
				t.Errorf("%s: the answer's X-Multi, which functions' answers join: %s", method, diff)
			}
			if method == "HEAD" {
				continue
			}
			var m message
			if err := json.Unmarshal([]byte(got.body), &m); err != nil {
				t.Fatalf("%s: %v in %q", method, err, got.body)
			}
			if m.Method != method || m.URI != "/a%20b//c?x=%2F&y=1" || m.body(t) != body {
				t.Errorf("%s arrived as %s %s with the body %q", method, m.Method, m.URI, m.body(t))
			}
			for name, want := range map[string]string{
				"X-Multi": "one,two", "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": hostOf(t, base),
			} {
				if diff := cmp.Diff([]string{want}, m.header(name)); diff != "" {
					t.Errorf("%s: %s: %s", method, name, diff)
				}
			}
		}
	}
	before := count()
	for _, method := range []string{"PROPFIND", "TRACE", "QUERY"} {
		req, _ := http.NewRequest(method, base+"/", nil)
		if got, err := do(t, req); err != nil || got.status != http.StatusNotImplemented {
			t.Errorf("%s: %v, status %d, want 501", method, err, got.status)
		}
	}
	large := strings.Repeat("0123456789abcdef", 10<<10) // 160 KB; it takes one message of 128 KB
	req, _ := http.NewRequest("POST", base+"/toobig", strings.NewReader(large))
	if got, err := do(t, req); err != nil || got.status != http.StatusRequestEntityTooLarge || !strings.Contains(got.body, "bytes") {
		t.Errorf("160 KB: %v, status %d, %q; want 413 naming the limit", err, got.status, got.body)
	}
	if n := count(); n != before {
		t.Errorf("%d requests that the agent cannot answer were sent to it", n-before)
	}
	req, _ = http.NewRequest("POST", base+"/big", strings.NewReader(large[:80<<10]))
	if got, err := do(t, req); err != nil || got.status != 200 || got.body != large[:80<<10] {
		t.Errorf("80 KB came back with %v, status %d and %d bytes: %.200s", err, got.status, len(got.body), got.body)
	}
	for code, status := range map[string]int{"invalid_request": 400, "timeout": 504, "local_service_unavailable": 503, "internal_error": 502} {
		if got := mustGet(t, status, base+"/error/"+code); status == 503 && got.header.Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
	}
	mustGet(t, http.StatusBadGateway, base+"/nonsense")
	mustGet(t, http.StatusBadGateway, base+"/badbase64")
	// Messages of an agent come in any order: of two answers, either may be the first.
	if got, err := get(t, base+"/twice"); err != nil || got.body != "first" && got.body != "second" {
		t.Errorf("answered twice: %v, %q", err, got.body)
	}
	if got := mustGet(t, 200, base+"/stranger"); got.body != "unharmed" {
		t.Errorf("body %q", got.body)
	}
	got := mustGet(t, 302, base+"/redirect")
	if want := "/" + id + "/elsewhere"; got.header.Get("Location") != want {
		t.Errorf("Location %q, want %q", got.header.Get("Location"), want)
	}
	if diff := cmp.Diff([]string{"a=1; Path=/" + id + "/", "b=2"}, got.header["Set-Cookie"]); diff != "" {
		t.Errorf("Set-Cookie: want - got +\n%s", diff)
	}
	req, _ = http.NewRequest("HEAD", base+"/head", nil)
	if got, err := do(t, req); err != nil || got.header.Get("Content-Length") != "12" {
		t.Errorf("HEAD: %v, Content-Length %q, want 12", err, got.header.Get("Content-Length"))
	}
	mu.Lock()
	for id, n := range seen {
		if n != 1 {
			t.Errorf("request %s came %d times", id, n)
		}
	}
	mu.Unlock()
	// Every request says in its line of the log which way its answer took. That is
	// written when the visitor has the answer already.
	eventually(t, func() error {
		pushed, stored = aws.ways(t, id)
		if n := int64(count()); pushed+stored < n {
			return fmt.Errorf("of %d requests, %d answers were pushed and %d stored", n, pushed, stored)
		}
		return nil
	})

	f.ws.Close()
	eventuallyStatus(t, http.StatusBadGateway, base+"/")
	again := dialForm1(t, aws.agents, func(f *form1Forwarder, m message) any { return nil })
	if again.established.TunnelID == id {
		t.Error("an agent that showed nothing got the old tunnel")
	}
	return pushed, stored
}
