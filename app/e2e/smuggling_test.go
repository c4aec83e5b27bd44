package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// TestSmuggling sends what makes two parsers disagree. The local service may
// see one sane request or none, and never the hidden one.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	service := record(t, rawOK)
	r := startRelay(t)
	a := startAgent(t, agentSpec{target: service.target(), backend: r.url()})
	prefix := "/" + a.id()
	host := "Host: " + r.addr() + "\r\n"
	hidden := "GET /hidden HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n"
	post := "POST " + prefix + "/open HTTP/1.1\r\n" + host

	for name, request := range map[string]string{
		"CL.TE":                    post + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\nG" + hidden,
		"TE.CL":                    post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\nConnection: close\r\n\r\n1\r\nx\r\n0\r\n\r\n" + hidden,
		"two lengths":              post + "Content-Length: 1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nxy" + hidden,
		"length list":              post + "Content-Length: 1, 1\r\nConnection: close\r\n\r\nx" + hidden,
		"negative length":          post + "Content-Length: -1\r\nConnection: close\r\n\r\n" + hidden,
		"length with a plus":       post + "Content-Length: +1\r\nConnection: close\r\n\r\nx" + hidden,
		"length beyond numbers":    post + "Content-Length: 99999999999999999999\r\nConnection: close\r\n\r\nx",
		"TE twice":                 post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nConnection: close\r\n\r\n0\r\n\r\n" + hidden,
		"TE unknown":               post + "Transfer-Encoding: xchunked\r\nConnection: close\r\n\r\n0\r\n\r\n" + hidden,
		"TE list":                  post + "Transfer-Encoding: gzip, chunked\r\nConnection: close\r\n\r\n0\r\n\r\n" + hidden,
		"TE with a tab":            post + "Transfer-Encoding:\tchunked\r\nContent-Length: 3\r\nConnection: close\r\n\r\n0\r\n\r\n" + hidden,
		"space before colon":       post + "Transfer-Encoding : chunked\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx" + hidden,
		"obs-fold":                 post + "X-A: b\r\n\tTransfer-Encoding: chunked\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx" + hidden,
		"bare CR":                  post + "X-A: b\rTransfer-Encoding: chunked\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx" + hidden,
		"bare LF":                  "POST " + prefix + "/open HTTP/1.1\n" + "Host: " + r.addr() + "\nContent-Length: 1\nConnection: close\n\nx" + hidden,
		"NUL in a field":           post + "X-A: b\x00c\r\nConnection: close\r\n\r\n" + hidden,
		"NUL in the target":        "GET " + prefix + "/a\x00b HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n" + hidden,
		"space in the target":      "GET " + prefix + "/a b HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n" + hidden,
		"tab in the target":        "GET " + prefix + "/a\tb HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n" + hidden,
		"fragment":                 "GET " + prefix + "/open#x HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n",
		"absolute form":            "GET http://" + r.addr() + prefix + "/open HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n",
		"absolute form, two hosts": "GET http://example.com" + prefix + "/open HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n",
		"authority form":           "CONNECT " + r.addr() + " HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n" + hidden,
		"asterisk form":            "OPTIONS * HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n",
		"no slash":                 "GET " + a.id() + "/open HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n" + hidden,
		"no host":                  "GET " + prefix + "/open HTTP/1.1\r\nConnection: close\r\n\r\n" + hidden,
		"two hosts":                "GET " + prefix + "/open HTTP/1.1\r\n" + host + "Host: example.com\r\nConnection: close\r\n\r\n" + hidden,
		"h2c upgrade": "GET " + prefix + "/open HTTP/1.1\r\n" + host + "Connection: Upgrade, HTTP2-Settings\r\n" +
			"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
		"h2 preface":          "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"chunk size overflow": post + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nfffffffffffffffff1\r\nx\r\n0\r\n\r\n" + hidden,
		"chunk without end":   post + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\nxx\r\n0\r\n\r\n" + hidden,
		"HTTP/0.9":            "GET " + prefix + "/open\r\n\r\n" + hidden,
		"HTTP/1.0 with TE":    "POST " + prefix + "/open HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" + hidden,
		"underscore length":   post + "Content_Length: 50\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx" + hidden,
		"bad method":          "GE(T " + prefix + "/open HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n" + hidden,
		"trailer with length": post + "Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\nConnection: close\r\n\r\n1\r\nx\r\n0\r\nContent-Length: 50\r\n\r\n" + hidden,
	} {
		t.Run(name, func(t *testing.T) {
			before := len(service.got())
			if name == "h2c upgrade" {
				// The upgrade is dropped and the connection stays: no close to wait for.
				request += "GET " + prefix + "/last HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n"
			}
			raw := sendRaw(t, r.addr(), request)
			requests := service.got()[before:]
			for i, req := range requests {
				if !strings.Contains(req.line, " /open") && !strings.Contains(req.line, " /last") || i > 0 && name != "h2c upgrade" {
					t.Errorf("the local service got %q with the body %q", req.line, req.body)
				}
				if req.fields("Upgrade") != nil || req.fields("HTTP2-Settings") != nil {
					t.Errorf("the upgrade reached the local service: %q", req.header)
				}
			}
			// With no request to the service there has to be a refusal, never
			// another success. A preface or HTTP/0.9 may be met with a closed door.
			if status := statusOf(raw); len(requests) == 0 && raw != "" && (status < 400 || status > 505) {
				t.Errorf("no request arrived, but the visitor got %q", raw)
			}
			if len(requests) > 0 && statusOf(raw) != http.StatusOK && name != "chunk without end" && name != "chunk size overflow" {
				t.Errorf("a request arrived, but the visitor got %q", raw)
			}
		})
	}
	// The tunnel is unharmed.
	mustGet(t, http.StatusOK, a.path("/open"))
}
