package e2e

import (
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRawTargets(t *testing.T) {
	t.Parallel()
	service := record(t, rawOK)
	r := startRelay(t, "--subdomains")
	a := startAgent(t, agentSpec{target: service.target(), backend: r.url()})
	prefix := "/" + a.id()
	subHost := hostOf(t, a.subdomain(""))

	targets := []string{
		"/", "/?", "/?a", "/a?", "/a/b/", "//a//b", "///", "/a//", "//",
		"/%2F", "/%2f/%2F", "/a%20b", "/%C3%A9", "/%00", "/%zz", "/%", "/a%",
		"/;x=1", "/a;b;c?d;e", "/|", "/a|b?c|d", "/[x]", "/{y}", "/^`\"<>\\",
		"/?a=b&a=c&&", "/?%2F%3F", "/?a=//x//", "/?a?b?c", "/.", "/..", "/../x", "/./x", "/a/../b", "/%2e%2e/x",
		"/:80/x", "/a:b@c", "/http://example.com/", "/~!$&'()*+,;=:@-._", "/*",
		"/?q=\xc3\xa9", "/\xff\xfe", "/_culvert/healthz", "/_status/x",
		"/" + strings.Repeat("long/", 2000),
	}
	for _, target := range targets {
		for _, visit := range []struct{ form, host, target string }{
			{"path", r.addr(), prefix + target},
			{"subdomain", subHost, target},
		} {
			if visit.form == "subdomain" && (strings.HasPrefix(target, "/_culvert/") || strings.HasPrefix(target, "/_status/")) {
				continue // the relay's own on every host
			}
			before := len(service.got())
			raw := sendRaw(t, r.addr(), "GET "+visit.target+" HTTP/1.1\r\nHost: "+visit.host+"\r\nConnection: close\r\n\r\n")
			requests := service.got()[before:]
			// A target that net/url cannot parse may be refused, but never changed.
			if len(requests) == 0 && statusOf(raw) == http.StatusBadRequest && strings.ContainsAny(target, "%") && !validEscapes(target) {
				continue
			}
			if len(requests) != 1 || statusOf(raw) != http.StatusOK {
				t.Errorf("%s form, %.60q: %d requests arrived; answer: %.200q", visit.form, target, len(requests), raw)
				continue
			}
			if got, want := requests[0].line, "GET "+target+" HTTP/1.1"; got != want {
				t.Errorf("%s form: the local service got %.80q, want %.80q", visit.form, got, want)
			}
		}
	}
	// The tunnel's bare name and the bare name with a query.
	for target, want := range map[string]string{prefix: "GET / HTTP/1.1", prefix + "?a=b": "GET /?a=b HTTP/1.1"} {
		before := len(service.got())
		sendRaw(t, r.addr(), "GET "+target+" HTTP/1.1\r\nHost: "+r.addr()+"\r\nConnection: close\r\n\r\n")
		if got := service.got()[before:]; len(got) != 1 || got[0].line != want {
			t.Errorf("%s: the local service got %+v, want %q", target, got, want)
		}
	}
}

func validEscapes(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' {
			if i+2 >= len(s) || !strings.ContainsRune("0123456789abcdefABCDEF", rune(s[i+1])) || !strings.ContainsRune("0123456789abcdefABCDEF", rune(s[i+2])) {
				return false
			}
		}
	}
	return true
}

func TestRawHeaders(t *testing.T) {
	t.Parallel()
	service := record(t, rawOK)
	r := startRelay(t)
	a := startAgent(t, agentSpec{target: service.target(), backend: r.url()})
	prefix := "/" + a.id()

	raw := sendRaw(t, r.addr(), "POST "+prefix+"/x HTTP/1.1\r\nHost: "+r.addr()+"\r\n"+
		"X-A: 1\r\nX-A:   2  \r\nX-A: 3,4\r\nx-lower: v\r\nX-Empty:\r\nX-Bytes: gr\xfc\xdf\r\n"+
		"Accept-Encoding: br;q=1, *;q=0\r\nCookie: a=1\r\nCookie: b=2\r\n"+
		"X-Hop: drop me\r\nKeep-Alive: timeout=5\r\nProxy-Authorization: Basic x\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\n"+
		"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: forged.example\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n"+
		"Content-Length: 4\r\nConnection: close, X-Hop\r\n\r\nbody")
	if statusOf(raw) != http.StatusOK {
		t.Fatalf("answer: %q", raw)
	}
	requests := service.got()
	if len(requests) != 1 {
		t.Fatalf("%d requests arrived", len(requests))
	}
	got := requests[0]
	want := map[string][]string{
		"X-A": {"1", "2", "3,4"}, "X-Lower": {"v"}, "X-Empty": {""}, "X-Bytes": {"gr\xfc\xdf"},
		"Accept-Encoding": {"br;q=1, *;q=0"},
		"X-Hop":           nil, "Keep-Alive": nil, "Proxy-Authorization": nil, "Proxy-Connection": nil,
		"Forwarded": nil, "X-Real-IP": nil,
		"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {r.addr()},
		"Host": {service.target()}, "Content-Length": {"4"}, "Transfer-Encoding": nil,
		"User-Agent": nil, // none was sent
		"Cookie":     {"a=1", "b=2"},
	}
	for name, values := range want {
		if diff := cmp.Diff(values, got.fields(name)); diff != "" {
			t.Errorf("%s: want - got +\n%s", name, diff)
		}
	}
	if got.body != "body" {
		t.Errorf("body %q", got.body)
	}
	// An answer without fields gains none but, perhaps, a Date (RFC 9110, section 6.6.1).
	var names []string
	head, _, _ := strings.Cut(raw, "\r\n\r\n")
	for _, line := range strings.Split(head, "\r\n")[1:] {
		if name, _, _ := strings.Cut(line, ":"); name != "Date" {
			names = append(names, http.CanonicalHeaderKey(name))
		}
	}
	slices.Sort(names)
	if diff := cmp.Diff([]string{"Connection", "Content-Length", "X-From"}, names); diff != "" {
		t.Errorf("fields of the answer: want - got +\n%s", diff)
	}
}

// TestRawAnswer has a local service whose answers only just are ones.
func TestRawAnswer(t *testing.T) {
	t.Parallel()
	r := startRelay(t)
	for name, c := range map[string]struct {
		answer string // of the service
		fields []string
		body   string // regular expression
	}{
		"repeated fields": {
			"HTTP/1.1 200 OK\r\nX-A: 9\r\nx-a:   2  \r\nX-A: 3, 4\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nX-Empty:\r\nX-Bytes: gr\xfc\xdf\r\nContent-Length: 2\r\n\r\nok",
			[]string{"X-A: 9", "X-A: 2", "X-A: 3, 4", "Set-Cookie: a=1; Path=/ID/", "Set-Cookie: b=2", "X-Empty:", "X-Bytes: gr\xfc\xdf", "Content-Length: 2"}, `^ok$`,
		},
		"fields between neighbours": {
			"HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nok",
			[]string{"Content-Length: 2"}, `^ok$`,
		},
		"no reason":  {"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", []string{"Content-Length: 2"}, `^ok$`},
		"HTTP/1.0":   {"HTTP/1.0 200 OK\r\n\r\nup to the end", []string{"Transfer-Encoding: chunked"}, `^d\r\nup to the end\r\n0\r\n\r\n$`},
		"no content": {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", []string{"Content-Length: 0"}, `^$`},
		"early hints": {
			"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
			[]string{"Link: </style.css>; rel=preload"}, `^HTTP/1\.1 200 OK\r\n(.+\r\n)+\r\nok$`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := record(t, c.answer)
			a := startAgent(t, agentSpec{target: service.target(), backend: r.url()})
			raw := sendRaw(t, r.addr(), "GET /"+a.id()+"/ HTTP/1.1\r\nHost: "+r.addr()+"\r\nConnection: close\r\n\r\n")
			head, body, _ := strings.Cut(raw, "\r\n\r\n")
			var fields []string
			for _, line := range strings.Split(head, "\r\n")[1:] {
				if name, _, _ := strings.Cut(line, ":"); name != "Date" && name != "Connection" {
					fields = append(fields, strings.TrimSpace(strings.ReplaceAll(line, "/"+a.id()+"/", "/ID/")))
				}
			}
			// The order counts among fields of one name alone.
			byName := func(a, b string) int {
				a, _, _ = strings.Cut(a, ":")
				b, _, _ = strings.Cut(b, ":")
				return strings.Compare(a, b)
			}
			slices.SortStableFunc(fields, byName)
			slices.SortStableFunc(c.fields, byName)
			if diff := cmp.Diff(c.fields, fields); diff != "" {
				t.Errorf("fields: want - got +\n%s", diff)
			}
			if !regexp.MustCompile(c.body).MatchString(body) {
				t.Errorf("body %q, want %s", body, c.body)
			}
		})
	}
}

// TestOldVisitor has a visitor who speaks HTTP/1.0, and knows no chunks.
func TestOldVisitor(t *testing.T) {
	t.Parallel()
	r, a := tunnel(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range 3 {
			io.WriteString(w, "piece,")
			w.(http.Flusher).Flush()
		}
	}))
	raw := sendRaw(t, r.addr(), "GET /"+a.id()+"/ HTTP/1.0\r\nHost: "+r.addr()+"\r\n\r\n")
	head, body, _ := strings.Cut(raw, "\r\n\r\n")
	if statusOf(raw) != http.StatusOK || body != "piece,piece,piece," || strings.Contains(strings.ToLower(head), "chunked") {
		t.Errorf("the visitor got %q", raw)
	}
}
