package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSmuggling sends what makes two parsers disagree about where a request ends
// or what it asks for. One sane request may pass, with what hides behind it as its
// body at most; the hidden one never does, neither from the visitor's connection
// nor from the agent's to the local service.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	service := record(t, rawOK)
	r := startRelay(t)
	a := startAgent(t, agentSpec{target: service.target(), backend: r.url()})
	prefix := "/" + a.id()
	host := "Host: " + r.addr() + "\r\n"
	// The hidden request is one that the tunnel would carry, were it taken for one.
	// Nothing before it asks for the connection's end, which would hide what the
	// relay makes of it; the last one does, so that every case ends.
	hidden := "GET " + prefix + "/hidden HTTP/1.1\r\n" + host + "\r\n"
	last := "GET " + prefix + "/last HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n"
	get := "GET " + prefix + "/open HTTP/1.1\r\n" + host
	post := "POST " + prefix + "/open HTTP/1.1\r\n" + host
	const chunked = "Transfer-Encoding: chunked\r\n"
	length := func(n int) string { return fmt.Sprintf("Content-Length: %d\r\n", n) }
	chunk := func(s string) string { return fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(s), s) }

	const refused, answered = 0, http.StatusOK
	type requests []string // "METHOD /target body"
	open := func(body string) string { return "POST /open " + body }
	for name, c := range map[string]struct {
		request string
		status  int      // of the first answer
		seen    requests // by the local service: without /last, the connection was closed
	}{
		// The end is in doubt: whoever stood before the relay may have seen another.
		"CL.TE":             {post + length(5+len(hidden)) + chunked + "\r\n0\r\n\r\n" + hidden, answered, requests{open("")}},
		"TE.CL":             {post + chunked + length(4) + "\r\n" + chunk(hidden), answered, requests{open(hidden)}},
		"TE.CL, no body":    {get + chunked + length(5+len(hidden)) + "\r\n0\r\n\r\n" + hidden, answered, requests{"GET /open "}},
		"TE and length 0":   {post + length(0) + chunked + "\r\n" + chunk(hidden), answered, requests{open(hidden)}},
		"TE with a tab":     {post + "Transfer-Encoding:\tchunked\r\n" + length(5+len(hidden)) + "\r\n0\r\n\r\n" + hidden, answered, requests{open("")}},
		"HTTP/1.0 with TE":  {"POST " + prefix + "/open HTTP/1.0\r\n" + host + "Connection: keep-alive\r\n" + chunked + length(len(hidden)) + "\r\n" + hidden, answered, requests{open(hidden)}},
		"two lengths":       {post + length(0) + length(len(hidden)) + "\r\n" + hidden, refused, nil},
		"length list":       {post + fmt.Sprintf("Content-Length: %d, 0\r\n\r\n", len(hidden)) + hidden, refused, nil},
		"negative length":   {post + "Content-Length: -1\r\n\r\n" + hidden, refused, nil},
		"length with plus":  {post + fmt.Sprintf("Content-Length: +%d\r\n\r\n", len(hidden)) + hidden, refused, nil},
		"length in hex":     {post + fmt.Sprintf("Content-Length: 0x%x\r\n\r\n", len(hidden)) + hidden, refused, nil},
		"length too long":   {post + "Content-Length: 99999999999999999999\r\n\r\n" + hidden, refused, nil},
		"TE twice":          {post + chunked + "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n" + hidden, refused, nil},
		"TE unknown":        {post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + hidden, refused, nil},
		"TE list":           {post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + hidden, refused, nil},
		"TE, space, colon":  {post + "Transfer-Encoding : chunked\r\n" + length(5+len(hidden)) + "\r\n0\r\n\r\n" + hidden, refused, nil},
		"bare CR":           {post + "X-A: b\rTransfer-Encoding: chunked\r\n" + length(5) + "\r\n0\r\n\r\n" + hidden, refused, nil},
		"NUL in a field":    {get + "X-A: b\x00c\r\n\r\n" + hidden, refused, nil},
		"HTTP/0.9":          {"GET " + prefix + "/open\r\n\r\n" + hidden, refused, nil},
		"h2 preface":        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + hidden, refused, nil},
		"no host":           {"GET " + prefix + "/open HTTP/1.1\r\n\r\n" + hidden, refused, nil},
		"two hosts":         {get + "Host: example.com\r\n\r\n" + hidden, refused, nil},
		"bad method":        {"GE(T " + prefix + "/open HTTP/1.1\r\n" + host + "\r\n" + hidden, refused, nil},
		"NUL in the target": {"GET " + prefix + "/a\x00b HTTP/1.1\r\n" + host + "\r\n" + hidden, refused, nil},
		"space in it":       {"GET " + prefix + "/a b HTTP/1.1\r\n" + host + "\r\n" + hidden, refused, nil},
		"tab in it":         {"GET " + prefix + "/a\tb HTTP/1.1\r\n" + host + "\r\n" + hidden, refused, nil},
		"no slash":          {"GET " + a.id() + "/open HTTP/1.1\r\n" + host + "\r\n" + hidden, refused, nil},
		// A field after the body changes nothing about its end.
		"trailer length":  {post + chunked + "Trailer: Content-Length\r\n\r\n1\r\nx\r\n0\r\n" + length(len(hidden)) + "\r\n" + hidden, refused, nil},
		"secret trailers": {post + chunked + "\r\n1\r\nx\r\n0\r\n" + length(len(hidden)) + chunked + "\r\n" + hidden, answered, requests{open("x")}},
		// The end is clear, and what the other reader would take for a request is body.
		"underscore length":  {post + "Content_Length: 0\r\n" + length(len(hidden)) + "\r\n" + hidden, answered, requests{open(hidden), "GET /last "}},
		"obs-fold":           {post + "X-A: b\r\n\tTransfer-Encoding: chunked\r\n" + length(5+len(hidden)) + "\r\n0\r\n\r\n" + hidden, answered, requests{open("0\r\n\r\n" + hidden), "GET /last "}},
		"bare LF":            {"POST " + prefix + "/open HTTP/1.1\nHost: " + r.addr() + fmt.Sprintf("\nContent-Length: %d\n\n", len(hidden)) + hidden, answered, requests{open(hidden), "GET /last "}},
		"length among hops":  {post + "Connection: Content-Length\r\n" + length(len(hidden)) + "\r\n" + hidden, answered, requests{open(hidden), "GET /last "}},
		"same length twice":  {post + length(len(hidden)) + length(len(hidden)) + "\r\n" + hidden, answered, requests{open(hidden), "GET /last "}},
		"a GET with a body":  {get + length(len(hidden)) + "\r\n" + hidden, answered, requests{"GET /open " + hidden, "GET /last "}},
		"a HEAD with a body": {"HEAD " + prefix + "/open HTTP/1.1\r\n" + host + length(len(hidden)) + "\r\n" + hidden, answered, requests{"HEAD /open " + hidden, "GET /last "}},
		// The end is clear, and the request is for nobody.
		"absolute form":  {"GET http://" + r.addr() + prefix + "/open HTTP/1.1\r\n" + host + "\r\n", refused, requests{"GET /last "}},
		"two hosts in 1": {"GET http://example.com" + prefix + "/open HTTP/1.1\r\n" + host + "\r\n", refused, requests{"GET /last "}},
		"fragment":       {"GET " + prefix + "/open#x HTTP/1.1\r\n" + host + "\r\n", refused, requests{"GET /last "}},
		"CONNECT":        {"CONNECT " + r.addr() + " HTTP/1.1\r\n" + host + "\r\n", refused, requests{"GET /last "}},
		"asterisk form":  {"OPTIONS * HTTP/1.1\r\n" + host + "\r\n", refused, requests{"GET /last "}},
		// An upgrade that would take the connection away from whoever looks at requests.
		"h2c upgrade": {get + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n", answered, requests{"GET /open ", "GET /last "}},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(service.got())
			raw := sendRaw(t, r.addr(), c.request+last)
			var seen requests
			for _, req := range service.got()[before:] {
				seen = append(seen, strings.Replace(req.line, "HTTP/1.1", req.body, 1))
				if req.fields("Upgrade") != nil || req.fields("HTTP2-Settings") != nil {
					t.Errorf("the upgrade reached the local service: %q", req.header)
				}
			}
			if diff := cmp.Diff(c.seen, seen); diff != "" {
				t.Errorf("the local service: want - got +\n%s\nthe visitor got %q", diff, raw)
			}
			if status := statusOf(raw); c.status == answered && status != answered || c.status == refused && (status < 400 || status > 505) {
				t.Errorf("the visitor got %q", raw)
			}
			answers := strings.Count(raw, "HTTP/1.")
			if closed := !strings.HasSuffix(strings.Join(c.seen, ""), "/last "); closed && answers != 1 {
				t.Errorf("%d answers, want one and the connection's end: %q", answers, raw)
			}
		})
	}

	// Here the body breaks off in the middle: the local service may see a beginning,
	// which it cannot take for a whole (the recorder keeps whole requests alone).
	for name, request := range map[string]string{
		"chunk size too long":  post + chunked + "\r\nfffffffffffffffff1\r\nx\r\n0\r\n\r\n" + hidden,
		"chunk size signed":    post + chunked + "\r\n+1\r\nx\r\n0\r\n\r\n" + hidden,
		"chunk without end":    post + chunked + "\r\n1\r\nxx\r\n0\r\n\r\n" + hidden,
		"chunk ends in LF":     post + chunked + "\r\n1;x\nx\r\n0\r\n\r\n" + hidden,
		"chunk longer by CRLF": post + chunked + fmt.Sprintf("\r\n%x\r\n%s0\r\n\r\n", len(hidden)+2, hidden),
	} {
		t.Run(name, func(t *testing.T) {
			before := len(service.got())
			raw := sendRaw(t, r.addr(), request+last)
			if seen := service.got()[before:]; len(seen) != 0 {
				t.Errorf("the local service took %q for whole", seen)
			}
			if status := statusOf(raw); status < 400 || strings.Count(raw, "HTTP/1.") != 1 {
				t.Errorf("the visitor got %q, want a refusal and the connection's end", raw)
			}
		})
	}

	// The tunnel is unharmed, and nothing came late.
	mustGet(t, http.StatusOK, a.path("/end"))
	for _, req := range service.got() {
		if strings.Contains(req.line, "/hidden") {
			t.Errorf("the local service got %q", req.line)
		}
	}
}
