package visitor

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"

func answer(t *testing.T, method, accept string, status int, message string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequest(method, "/shop/", nil)
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	w := httptest.NewRecorder()
	w.Header().Set("Content-Encoding", "gzip") // of an answer that came to nothing
	WriteError(w, r, status, message)
	return w.Result(), w.Body.String()
}

func TestWriteErrorText(t *testing.T) {
	t.Parallel()
	res, body := answer(t, "GET", "", 502, "two\r\nlines \x1b[31m and a \u202etrick")
	if body != "two  lines  [31m and a  trick\n" {
		t.Errorf("body %q", body)
	}
	want := map[string]string{
		"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store", "Vary": "Accept",
		"X-Content-Type-Options": "nosniff", "Retry-After": "", "Content-Encoding": "",
	}
	for name, value := range want {
		if got := res.Header.Get(name); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	if res, _ := answer(t, "POST", browser, 503, ""); res.Header.Get("Retry-After") == "" || res.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("503 for POST: %v", res.Header)
	}
	if _, body := answer(t, "GET", "", 504, ""); body != "Gateway Timeout\n" {
		t.Errorf("no message: %q", body)
	}
	if _, body := answer(t, "GET", "", 502, strings.Repeat("é", 5000)); len(body) > 2*maxMessage || strings.Contains(body, "\xc3\n") {
		t.Errorf("a long message: %d bytes, %q", len(body), body)
	}
}

// The page runs nothing but what its policy names, and loads nothing.
func TestWriteErrorPage(t *testing.T) {
	t.Parallel()
	res, body := answer(t, "GET", browser, 503, `<script>alert("x")</script> & 'more'`)
	policy := res.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
	doc, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	scripts, said := 0, false
	for n := range doc.Descendants() {
		switch {
		case n.Type == html.TextNode && n.Data == `<script>alert("x")</script> & 'more'` && n.Parent.Data == "p":
			said = true
		case n.Type == html.ElementNode && (n.Data == "script" || n.Data == "style"):
			scripts++
			if source := hashSource(n.FirstChild.Data); !strings.Contains(policy, n.Data+"-src "+source) {
				t.Errorf("the policy does not allow the page's own %s", n.Data)
			}
		}
		for _, a := range n.Attr {
			if a.Key == "src" || a.Key == "href" || a.Key == "style" || strings.HasPrefix(a.Key, "on") {
				t.Errorf("<%s %s=%q> is not in keeping with the policy", n.Data, a.Key, a.Val)
			}
		}
	}
	if scripts != 2 || !said {
		t.Errorf("%d scripts and styles, message shown: %v\n%s", scripts, said, body)
	}
	if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Retry-After") == "" {
		t.Errorf("header %v", res.Header)
	}
}

func TestOnlyWhatMayPassIsReloaded(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{400: false, 404: true, 413: false, 429: true, 501: false, 502: true, 503: true, 504: true} {
		_, body := answer(t, "GET", browser, status, "message")
		if got := strings.Contains(body, "location.reload"); got != want {
			t.Errorf("%d reloads itself: %v, want %v", status, got, want)
		}
		if got := regexp.MustCompile(`http-equiv="refresh"`).MatchString(body); got != want {
			t.Errorf("%d reloads itself without script: %v, want %v", status, got, want)
		}
	}
}

func TestPrefersHTML(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		method, accept string
		want           bool
	}{
		{"GET", browser, true}, {"HEAD", browser, true}, {"POST", browser, false},
		{"GET", "", false}, {"GET", "*/*", false}, {"GET", "application/json, text/plain, */*", false},
		{"GET", "text/html;q=0.5, application/json", false}, {"GET", "application/json;q=0.5, TEXT/HTML ; Q=0.6", true},
		{"GET", "text/html;q=0", false}, {"GET", "text/html;q=x", false}, {"GET", "text/event-stream", false},
		{"GET", "text/html;q=NaN", false}, {"GET", "image/avif,*/*", false},
	} {
		r := httptest.NewRequest(c.method, "/", nil)
		if c.accept != "" {
			r.Header.Set("Accept", c.accept)
		}
		if got := PrefersHTML(r); got != c.want {
			t.Errorf("%s %q: %v, want %v", c.method, c.accept, got, c.want)
		}
	}
}
