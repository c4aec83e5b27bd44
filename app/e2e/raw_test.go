package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mccutchen/go-httpbin/v2/httpbin"
)

// rawRequest is a request as a local service got it, byte for byte.
type rawRequest struct {
	line   string   // request line
	header []string // field lines, in order
	body   string   // decoded if it was chunked
}

// fields gives the values of a field, in order.
func (r rawRequest) fields(name string) []string {
	var values []string
	for _, line := range r.header {
		n, v, _ := strings.Cut(line, ":")
		if strings.EqualFold(n, name) {
			values = append(values, strings.TrimSpace(v))
		}
	}
	return values
}

// recorder is a local service that keeps the bytes of each request and gives
// the same bytes as answer to each. It parses as strictly as it can: whatever
// it finds odd is a finding.
type recorder struct {
	ln     net.Listener
	answer string

	mu       sync.Mutex
	requests []rawRequest
	oddities []string
	conns    []net.Conn
}

const rawOK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-From: service\r\n\r\nok"

func record(t testing.TB, answer string) *recorder {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{ln: ln, answer: answer}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			r.mu.Lock()
			r.conns = append(r.conns, conn)
			r.mu.Unlock()
			conns.Go(func() { defer conn.Close(); r.serve(conn) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		r.mu.Lock()
		for _, conn := range r.conns {
			conn.Close()
		}
		r.mu.Unlock()
		conns.Wait()
		for _, odd := range r.oddities {
			t.Errorf("the local service got a malformed request: %s", odd)
		}
	})
	return r
}

func (r *recorder) target() string { return r.ln.Addr().String() }

func (r *recorder) serve(conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		req, err := readRaw(in)
		if err != nil {
			var odd oddity
			if errors.As(err, &odd) {
				r.mu.Lock()
				r.oddities = append(r.oddities, string(odd))
				r.mu.Unlock()
			}
			return
		}
		r.mu.Lock()
		r.requests = append(r.requests, req)
		r.mu.Unlock()
		if _, err := io.WriteString(conn, r.answer); err != nil || r.answer != rawOK {
			return
		}
	}
}

// got gives the requests so far.
func (r *recorder) got() []rawRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

// oddity is what no sane HTTP/1.1 client sends.
type oddity string

func (o oddity) Error() string { return string(o) }

// readRaw reads one request. Ends of connections between requests are no oddities.
func readRaw(in *bufio.Reader) (rawRequest, error) {
	line := func() (string, error) {
		s, err := in.ReadString('\n')
		if err != nil {
			return "", err
		}
		s, ok := strings.CutSuffix(s, "\r\n")
		if !ok || strings.ContainsAny(s, "\r\x00") {
			return "", oddity(fmt.Sprintf("line %q", s))
		}
		return s, nil
	}
	var req rawRequest
	var err error
	if req.line, err = line(); err != nil {
		return req, err
	}
	if parts := strings.Split(req.line, " "); len(parts) != 3 || parts[2] != "HTTP/1.1" {
		return req, oddity(fmt.Sprintf("request line %q", req.line))
	}
	for {
		field, err := line()
		if err != nil {
			return req, err
		}
		if field == "" {
			break
		}
		name, _, ok := strings.Cut(field, ":")
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			return req, oddity(fmt.Sprintf("field line %q", field))
		}
		req.header = append(req.header, field)
	}
	length, coding := req.fields("Content-Length"), req.fields("Transfer-Encoding")
	if len(length) > 1 || len(coding) > 1 || len(length)+len(coding) > 1 || len(req.fields("Host")) != 1 {
		return req, oddity(fmt.Sprintf("framing or host: %q", req.header))
	}
	switch {
	case len(length) == 1:
		var n int
		if _, err := fmt.Sscanf(length[0], "%d", &n); err != nil || fmt.Sprint(n) != length[0] {
			return req, oddity(fmt.Sprintf("Content-Length %q", length[0]))
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(in, body); err != nil {
			return req, err
		}
		req.body = string(body)
	case len(coding) == 1:
		if coding[0] != "chunked" {
			return req, oddity(fmt.Sprintf("Transfer-Encoding %q", coding[0]))
		}
		for {
			size, err := line()
			if err != nil {
				return req, err
			}
			var n int
			if _, err := fmt.Sscanf(size, "%x", &n); err != nil {
				return req, oddity(fmt.Sprintf("chunk size %q", size))
			}
			chunk := make([]byte, n)
			if _, err := io.ReadFull(in, chunk); err != nil {
				return req, err
			}
			req.body += string(chunk)
			end, err := line()
			for n == 0 && err == nil && end != "" { // trailers
				end, err = line()
			}
			if err != nil || end != "" {
				return req, oddity(fmt.Sprintf("chunk ends with %q: %v", end, err))
			}
			if n == 0 {
				break
			}
		}
	}
	return req, nil
}

// sendRaw writes bytes to the relay and gives all that it answers until it
// closes the connection or, as the request is to say "Connection: close" if it
// is sane, until patience ends.
func sendRaw(t testing.TB, addr, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if _, err := io.Copy(&got, conn); err != nil && !isReset(err) {
		t.Errorf("after %q and the answer %q: %v", request, got.String(), err)
	}
	return got.String()
}

// statusOf gives the status of the first answer in raw bytes, 0 for none.
func statusOf(raw string) int {
	var status int
	var minor int
	_, _ = fmt.Sscanf(raw, "HTTP/1.%d %d", &minor, &status)
	return status
}

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

// TestExpectContinue has a visitor that sends its body only when told to.
func TestExpectContinue(t *testing.T) {
	t.Parallel()
	_, a := tunnel(t, httpbin.New())
	conn, err := net.Dial("tcp", hostOf(t, a.path("")))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	in := bufio.NewReader(conn)
	fmt.Fprintf(conn, "POST /%s/post HTTP/1.1\r\nHost: %s\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
		a.id(), hostOf(t, a.path("")))
	status, err := in.ReadString('\n')
	if err != nil || status != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("the visitor was told %q (%v), want 100 Continue", status, err)
	}
	if blank, err := in.ReadString('\n'); err != nil || blank != "\r\n" {
		t.Fatalf("100 Continue has a field: %q (%v)", blank, err)
	}
	io.WriteString(conn, "hello")
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !bytes.Contains(body, []byte(`"data": "hello"`)) {
		t.Errorf("%s, %v: %s", resp.Status, err, body)
	}
}

// TestWebSocketEcho compares a whole WebSocket conversation with go-httpbin's
// echo, direct and tunnelled, byte for byte.
func TestWebSocketEcho(t *testing.T) {
	t.Parallel()
	service := serve(t, httpbin.New())
	r := startRelay(t, "--subdomains")
	a := startAgent(t, agentSpec{target: service.URL, backend: r.url()})

	var script bytes.Buffer
	frame := func(first byte, payload string) {
		mask := [4]byte{1, 2, 3, 4}
		script.WriteByte(first)
		switch n := len(payload); {
		case n < 126:
			script.WriteByte(0x80 | byte(n))
		default:
			script.Write([]byte{0x80 | 126, byte(n >> 8), byte(n)})
		}
		script.Write(mask[:])
		for i := range len(payload) {
			script.WriteByte(payload[i] ^ mask[i%4])
		}
	}
	frame(0x81, "hello")                    // text
	frame(0x82, "\x00\x01\xff")             // binary
	frame(0x01, "in ")                      // text in parts
	frame(0x89, "still there?")             // with a ping between
	frame(0x80, "parts")                    // the last part
	frame(0x82, strings.Repeat("x", 60000)) // a long one
	frame(0x81, "")                         // an empty one
	frame(0x88, "\x03\xe8bye")              // close

	converse := func(addr, host, target string) (http.Header, string) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://%s\r\n\r\n", target, host, host)
		in := bufio.NewReader(conn)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%s%s: %s", host, target, resp.Status)
		}
		if _, err := conn.Write(script.Bytes()); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(in)
		if err != nil && !isReset(err) {
			t.Errorf("%s%s: after %d bytes: %v", host, target, len(rest), err)
		}
		return resp.Header, string(rest)
	}
	const target = "/websocket/echo"
	wantHeader, want := converse(service.Listener.Addr().String(), service.Listener.Addr().String(), target)
	wantHeader.Del("Date")
	wantHeader.Del("Connection") // each hop's own
	if len(want) < 60000 {
		t.Fatalf("go-httpbin answers %d bytes", len(want))
	}
	for form, visit := range map[string]struct{ host, target string }{
		"path":      {r.addr(), "/" + a.id() + target},
		"subdomain": {hostOf(t, a.subdomain("")), target},
	} {
		header, got := converse(r.addr(), visit.host, visit.target)
		header.Del("Date")
		if !strings.EqualFold(header.Get("Connection"), "upgrade") {
			t.Errorf("%s form: Connection %q", form, header["Connection"])
		}
		header.Del("Connection")
		// go-httpbin lets a page of its own origin in and says which it was; the
		// service's origin and the public one differ.
		for _, h := range []http.Header{header, wantHeader} {
			if h.Get("Access-Control-Allow-Origin") == "" {
				t.Errorf("%s form: no Access-Control-Allow-Origin", form)
			}
		}
		if diff := cmp.Diff(wantHeader, header); diff != "" {
			t.Errorf("%s form, header: direct - tunnelled +\n%s", form, diff)
		}
		if got != want {
			t.Errorf("%s form: %d bytes, direct %d bytes; they begin %.40q and %.40q", form, len(got), len(want), got, want)
		}
	}
}
