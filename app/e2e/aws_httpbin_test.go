package e2e

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mccutchen/go-httpbin/v2/httpbin"
)

// What may differ between an answer from the local service itself and the same
// answer through a tunnel of the AWS backend, beside what httpbinCase lists for the
// relay. All of it is AWS's; everything else is compared byte for byte.
//
// What API Gateway and Function URLs do to requests. The direct request does the
// same by itself, so that what the service echoes stays comparable (see asked):
//
//   - X-Amzn-Trace-Id is added.
//   - Fields that come several times are joined with commas.
//   - The body is gathered before the function is invoked: one that was sent in
//     chunks arrives with its length.
//   - A "?" with nothing behind it is gone: events have the query without it.
//   - HTTP API only: the path is URL-decoded. What was %2F is a slash then; other
//     escapes can be, and are, made again.
//
// What they do to answers (see returned):
//
//   - Apigw-Requestid (HTTP API) or X-Amzn-Requestid (Function URL) is added.
//   - Fields that come several times are joined, as functions' answers have one value
//     of each; Set-Cookie alone has a place of its own.
//   - Informational answers and trailers have no place.
//   - HTTP API: the answer is gathered, and sent with its length whether the service
//     said one or not. An answer to HEAD has no body to take a length of: it is 0
//     unless the service said one.
//   - Function URL: the answer is a stream, so that it is sent in chunks, also where
//     the service said a length.
//   - There are no upgrades: see testAWSUpgrade. Sizes are bounded: 10,240 bytes of
//     header, 6 MB of JSON with the body in it: see testAWSLimits and testAWSNoStream.

// asked is the request that AWS makes of a visitor's.
func asked(c httpbinCase, form string) httpbinCase {
	if c.chunks != nil {
		c.body, c.chunks = strings.Join(c.chunks, ""), nil
	}
	var names []string
	values := map[string][]string{}
	for line := range strings.Lines(c.header) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		if values[name] == nil {
			names = append(names, name)
		}
		values[name] = append(values[name], strings.TrimSpace(value))
	}
	c.header = ""
	for _, name := range names {
		c.header += name + ": " + strings.Join(values[name], ",") + "\n"
	}
	path, query, _ := strings.Cut(c.target, "?")
	if form != "stream" {
		path = strings.ReplaceAll(path, "%2F", "/")
	}
	if c.target = path; query != "" {
		c.target += "?" + query
	}
	return c
}

// returned is the answer that AWS makes of the service's.
func returned(a httpbinAnswer, method, form string) *httpbinAnswer {
	a.informational, a.trailer = nil, nil
	a.header = maps.Clone(a.header)
	for name, values := range a.header {
		if name != "Set-Cookie" {
			a.header[name] = []string{strings.Join(values, ", ")}
		}
	}
	bodiless := method == http.MethodHead || strings.HasPrefix(a.status, "204") || strings.HasPrefix(a.status, "304")
	switch {
	case a.err != nil:
	case form != "stream" && !bodiless || method == http.MethodHead && form != "stream" && a.length < 0:
		a.length, a.transferEncoding = int64(len(a.body)), nil
		a.header["Content-Length"] = []string{fmt.Sprint(len(a.body))}
	case form == "stream" && !bodiless:
		a.length, a.transferEncoding = -1, []string{"chunked"}
		delete(a.header, "Content-Length")
	}
	return &a
}

// traceID is X-Amzn-Trace-Id's, of the request that it was drawn for.
var traceID = regexp.MustCompile(`Root=1-[0-9a-f]{8}-[0-9a-f]{24}`)

const someTraceID = "Root=1-00000000-000000000000000000000000"

// withoutAWS takes out of an answer what names the one request it answers, and
// reports what AWS should have added and did not.
func withoutAWS(a *httpbinAnswer, form string) error {
	if a.err != nil {
		return nil
	}
	added := "Apigw-Requestid"
	if form == "stream" {
		added = "X-Amzn-Requestid"
	}
	if a.header.Get(added) == "" {
		return fmt.Errorf("no %s: this answer is not AWS's", added)
	}
	a.header.Del(added)
	return nil
}

// unpacked makes bodies comparable that echo a trace ID in packed form, where it
// changes every byte and the length.
func unpacked(a *httpbinAnswer) {
	var r io.Reader
	var err error
	switch a.header.Get("Content-Encoding") {
	case "gzip":
		r, err = gzip.NewReader(bytes.NewReader(a.body))
	case "deflate":
		r, err = zlib.NewReader(bytes.NewReader(a.body))
	}
	if len(a.body) == 0 && a.length > 0 && a.header.Get("Content-Encoding") != "" { // HEAD
		a.length = 1
		a.header.Set("Content-Length", "1")
	}
	if r != nil && err == nil {
		if plain, err := io.ReadAll(r); err == nil {
			if a.length == int64(len(a.body)) {
				a.length = int64(len(plain))
				a.header.Set("Content-Length", fmt.Sprint(len(plain)))
			}
			a.body = plain
		}
	}
	a.body = traceID.ReplaceAll(a.body, []byte(someTraceID))
}

func testAWSHTTPBin(t *testing.T, aws *account) {
	var mu sync.Mutex
	routes := map[string]bool{}
	service := serve(t, httpbin.New(
		httpbin.WithEnv(map[string]string{"HTTPBIN_X": "y"}),
		httpbin.WithObserver(func(ctx context.Context, r httpbin.Result) {
			mu.Lock()
			defer mu.Unlock()
			routes[strings.ReplaceAll(r.Route, " ", ":")] = true
		})))
	a := startAgent(t, agentSpec{target: service.URL, backend: aws.agents})

	// The tunnel is asked for everything before the service itself is asked for
	// anything, so that the list of routes is the tunnel's.
	forms := []string{"path", "subdomain", "stream"}
	client := newClient(t)
	cases := slices.Clone(httpbinCases)
	for code := 200; code < 600; code++ {
		cases = append(cases, httpbinCase{target: fmt.Sprint("/status/", code)})
	}
	tunnelled := map[string][]*httpbinAnswer{}
	for _, form := range forms {
		tunnelled[form] = make([]*httpbinAnswer, len(cases))
		visitAll(t, client, aws.form(a, form), nil, cases, tunnelled[form])
		mu.Lock()
		for _, route := range httpbinRoutes {
			if !routes[route] {
				t.Errorf("%s form: the tunnel was not asked for %s", form, route)
			}
		}
		clear(routes)
		mu.Unlock()
	}

	different := 0
	for _, form := range forms {
		base := aws.form(a, form)
		extra := forwarded(hostOf(t, base))
		extra["X-Amzn-Trace-Id"] = []string{someTraceID}
		direct := make([]*httpbinAnswer, len(cases))
		requests := slices.Clone(cases)
		for i := range requests {
			requests[i] = asked(requests[i], form)
		}
		visitAll(t, client, service.URL, extra, requests, direct)
		for i, c := range cases {
			got := tunnelled[form][i]
			err := withoutAWS(got, form)
			if err != nil {
				t.Errorf("%s form, %s %s: %v", form, c.method, c.target, err)
			}
			want := direct[i]
			want.header = mapped(want.header, service.URL, base, map[string]string{"path": "path", "stream": "path"}[form])
			want = returned(*want, c.method, form)
			unpacked(want)
			unpacked(got)
			diff := cmp.Diff(want.text(c.vary), got.text(c.vary))
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
	// Environments keep a connection of their own that answers are pushed to, from
	// their second request on.
	if pushed, stored := aws.ways(t, a.id()); pushed < 10*stored || pushed+stored < int64(2*len(cases)) {
		t.Errorf("%d answers were pushed and %d stored", pushed, stored)
	}
}
