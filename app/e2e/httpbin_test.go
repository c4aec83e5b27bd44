package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mccutchen/go-httpbin/v2/httpbin"
)

// httpbinRoutes are all of go-httpbin's; TestHTTPBin sees that each was asked
// for through the tunnel.
var httpbinRoutes = strings.Fields(`
	/absolute-redirect/{numRedirects} /anything /anything/ /base64/{data} /base64/{operation}/{data}
	/basic-auth/{user}/{password} /bearer /brotli /bytes/{numBytes} /cache /cache/{numSeconds} /cookies
	/cookies/delete /cookies/set /deflate /delay/{duration} /deny /digest-auth/{qop}/{user}/{password}
	/digest-auth/{qop}/{user}/{password}/{algorithm} /drip /dump/request /env /etag/{etag} /gzip /headers
	/hidden-basic-auth/{user}/{password} /hostname /html /image /image/{kind} /ip /json /jsonl
	/links/{numLinks} /links/{numLinks}/{offset} /range/{numBytes} /redirect-to /redirect/{numRedirects}
	/relative-redirect/{numRedirects} /response-headers /robots.txt /sse /status/{code}
	/stream-bytes/{numBytes} /stream/{numLines} /trailers /unstable /user-agent /uuid /version /xml
	DELETE:/delete GET:/encoding/utf8 GET:/forms/post GET:/get GET:/websocket/echo GET:/{$} HEAD:/head
	PATCH:/patch PATCH:/upload POST:/post POST:/upload PUT:/put PUT:/upload`)

func TestHTTPBin(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	asked := map[string]bool{}
	local := httpbin.New(
		httpbin.WithEnv(map[string]string{"HTTPBIN_X": "y"}),
		httpbin.WithObserver(func(ctx context.Context, r httpbin.Result) {
			mu.Lock()
			defer mu.Unlock()
			asked[strings.ReplaceAll(r.Route, " ", ":")] = true
		}))
	service := serve(t, local)
	r := startRelay(t, "--subdomains")
	a := startAgent(t, agentSpec{target: service.URL, backend: r.url()})

	// The tunnel is asked for everything before the service itself is asked for
	// anything, so that the list of routes is the tunnel's.
	forms := map[string]string{"path": a.path(""), "subdomain": a.subdomain("")}
	client := newClient(t)
	cases := slices.Clone(httpbinCases)
	for code := 200; code < 600; code++ {
		cases = append(cases, httpbinCase{target: fmt.Sprint("/status/", code)})
	}
	tunnelled := map[string][]*httpbinAnswer{}
	for form, base := range forms {
		tunnelled[form] = make([]*httpbinAnswer, len(cases))
		visitAll(t, client, base, nil, cases, tunnelled[form])
	}
	mu.Lock()
	for _, route := range httpbinRoutes {
		if !asked[route] {
			t.Errorf("the tunnel was not asked for %s", route)
		}
	}
	mu.Unlock()

	different := 0
	for form, base := range forms {
		direct := make([]*httpbinAnswer, len(cases))
		visitAll(t, client, service.URL, forwarded(hostOf(t, base)), cases, direct)
		for i, c := range cases {
			want := direct[i]
			want.header = mapped(want.header, service.URL, base, form)
			diff := cmp.Diff(want.text(c.vary), tunnelled[form][i].text(c.vary))
			if diff == "" {
				continue
			}
			if different++; different <= 10 {
				t.Errorf("%s form, %s %s: direct - tunnelled +\n%s", form, c.method, c.target, diff)
			}
		}
	}
	if different > 10 {
		t.Errorf("… and %d more differences", different-10)
	}
}

// visitAll makes the cases' requests, several at a time.
func visitAll(t *testing.T, client *http.Client, base string, extra http.Header, cases []httpbinCase, answers []*httpbinAnswer) {
	t.Helper()
	var wg sync.WaitGroup
	next := make(chan int)
	for range 4 {
		wg.Go(func() {
			for i := range next {
				answers[i] = visit(t, client, base, extra, cases[i])
			}
		})
	}
	for i := range cases {
		next <- i
	}
	close(next)
	wg.Wait()
}

// forwarded is what the backend adds to a request: who asked, how, and for which host.
func forwarded(host string) http.Header {
	return http.Header{
		"X-Forwarded-For":   {"127.0.0.1"},
		"X-Forwarded-Proto": {"http"},
		"X-Forwarded-Host":  {host},
	}
}

// mapped is the local service's header as visitors of the tunnel are to see it.
func mapped(h http.Header, local, base, form string) http.Header {
	h = maps.Clone(h)
	h.Del("Proxy-Authenticate")
	prefix := ""
	if form == "path" {
		u, _ := url.Parse(base)
		prefix = u.Path
	}
	toPublic := func(ref string) string {
		if rest, ok := strings.CutPrefix(ref, local); ok {
			return base + rest
		}
		if strings.HasPrefix(ref, "/") && !strings.HasPrefix(ref, "//") {
			return prefix + ref
		}
		return ref
	}
	for _, name := range []string{"Location", "Content-Location"} {
		if v := h.Get(name); v != "" {
			h.Set(name, toPublic(v))
		}
	}
	if v := h.Get("Refresh"); v != "" {
		head, ref, _ := strings.Cut(v, "url=")
		h.Set("Refresh", head+"url="+toPublic(ref))
	}
	for i, cookie := range h["Set-Cookie"] {
		h["Set-Cookie"] = slices.Clone(h["Set-Cookie"])
		h["Set-Cookie"][i] = strings.Replace(cookie, "Path=/", "Path="+prefix+"/", 1)
	}
	return h
}

// httpbinAnswer is everything that a visitor sees of an answer.
type httpbinAnswer struct {
	err              error
	proto, status    string
	informational    []string
	header           http.Header
	length           int64
	transferEncoding []string
	body             []byte
	trailer          http.Header
}

func visit(t *testing.T, client *http.Client, base string, extra http.Header, c httpbinCase) *httpbinAnswer {
	t.Helper()
	a := &httpbinAnswer{}
	var body io.Reader
	switch {
	case c.chunks != nil:
		var parts []io.Reader
		for _, chunk := range c.chunks {
			parts = append(parts, strings.NewReader(chunk))
		}
		body = io.MultiReader(parts...)
	case c.body != "":
		body = strings.NewReader(c.body)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			if code == http.StatusContinue {
				return nil
			}
			a.informational = append(a.informational, fmt.Sprint(code, header))
			return nil
		},
	})
	method := c.method
	if method == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, base+c.target, body)
	if err != nil {
		t.Errorf("%s: %v", c.target, err)
		a.err = err
		return a
	}
	req.GetBody = nil // the client must not send anything twice by itself
	maps.Copy(req.Header, extra)
	for line := range strings.Lines(c.header) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		req.Header[name] = append(req.Header[name], strings.TrimSpace(value))
	}
	if extra != nil {
		req.Header.Del("Te") // directly, as the tunnel's forwarder asks
	}
	resp, err := client.Do(req)
	if err != nil {
		a.err = err
		return a
	}
	defer resp.Body.Close()
	a.proto, a.status, a.header = resp.Proto, resp.Status, resp.Header
	a.length, a.transferEncoding = resp.ContentLength, resp.TransferEncoding
	a.body, a.err = io.ReadAll(resp.Body)
	a.trailer = resp.Trailer
	return a
}

// text renders an answer for comparison, without what may vary.
func (a *httpbinAnswer) text(vary []string) string {
	var b strings.Builder
	if a.err != nil {
		// Which address or connection it was about does not matter.
		fmt.Fprintf(&b, "error: %s\n", regexp.MustCompile(`^.*": |127\.0\.0\.1:\d+`).ReplaceAllString(a.err.Error(), ""))
	}
	for _, info := range a.informational {
		fmt.Fprintf(&b, "informational %s\n", info)
	}
	fmt.Fprintf(&b, "%s status %s\nlength %d, transfer encoding %q\n", a.proto, a.status, a.length, a.transferEncoding)
	for _, part := range []struct {
		name   string
		header http.Header
	}{{"", a.header}, {"trailer ", a.trailer}} {
		for _, name := range slices.Sorted(maps.Keys(part.header)) {
			for _, value := range part.header[name] {
				if name == "Date" {
					value = "(now)"
				}
				fmt.Fprintf(&b, "%s%s: %s\n", part.name, name, value)
			}
		}
	}
	fmt.Fprintf(&b, "%d bytes:\n", len(a.body))
	if bytes.ContainsFunc(a.body, func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' || r == '\uFFFD' }) {
		for chunk := range slices.Chunk(a.body, 32) {
			fmt.Fprintf(&b, "%x\n", chunk)
		}
	} else {
		b.Write(a.body)
	}
	text := b.String()
	for _, pattern := range vary {
		text = regexp.MustCompile(pattern).ReplaceAllString(text, "(varies)")
	}
	return text
}
