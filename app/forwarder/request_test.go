package forwarder

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"culvert/backend/wire"
)

// TestTargets wants request-targets to come to the service byte for byte.
func TestTargets(t *testing.T) {
	t.Parallel()
	s, heads := recordingService(t)
	f := forwarderTo(t, s.addr(), nil)
	for _, target := range []string{
		"/", "*", "//", "//a", "//host.example/a", "///", "/a//b", "/./a/../b", "/a/.", "/..",
		"/%2F", "/%2f%2F", "/%zz", "/%", "/%2", "/a|b", "/{x}", "/[x]", "/a\\b", "/<a>", "/\"a\"", "/^`", "/a;b;c", "/a;b?c;d",
		"/a%20b", "/%C3%A9", "/caf\xc3\xa9", "/\xff", "/?", "/a?", "/??", "/a?b?c", "/?a=b&&c", "/?q=%zz", "/?a=|{}",
		"/#a", "/a:b", "/http://x/y", "/@", "/a+b", "/$&'()*,=", "/~", "/" + strings.Repeat("x", 60<<10),
	} {
		v := newVisit(t, "GET", target)
		answered(t, f, v, 200)
		line, _, _ := strings.Cut(<-heads, "\r\n")
		if want := "GET " + target + " HTTP/1.1"; line != want {
			t.Errorf("target %q came as %q", target, line)
		}
	}
}

func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	s, heads := recordingService(t)
	f := forwarderTo(t, s.addr(), nil)
	for name, change := range map[string]func(*wire.RequestHead){
		"empty target":      func(h *wire.RequestHead) { h.Target = "" },
		"absolute target":   func(h *wire.RequestHead) { h.Target = "http://localhost/" },
		"space":             func(h *wire.RequestHead) { h.Target = "/a b" },
		"line in target":    func(h *wire.RequestHead) { h.Target = "/a\r\nX: y" },
		"nul in target":     func(h *wire.RequestHead) { h.Target = "/\x00" },
		"del in target":     func(h *wire.RequestHead) { h.Target = "/\x7f" },
		"empty method":      func(h *wire.RequestHead) { h.Method = "" },
		"line in method":    func(h *wire.RequestHead) { h.Method = "GET / HTTP/1.1\r\n" },
		"line in a value":   func(h *wire.RequestHead) { h.Header.Set("A", "b\r\nC: d") },
		"line in a name":    func(h *wire.RequestHead) { h.Header["A\r\nB"] = []string{"c"} },
		"empty name":        func(h *wire.RequestHead) { h.Header[""] = []string{"c"} },
		"space in a name":   func(h *wire.RequestHead) { h.Header["A "] = []string{"c"} },
		"nul in the origin": func(h *wire.RequestHead) { h.Header.Set("Origin", "http://\x00") },
	} {
		v := newVisit(t, "GET", "/")
		change(&v.head)
		failed(t, f, v, wire.ResetInvalid, "malformed request")
		if n := len(heads); n > 0 {
			t.Fatalf("%s: the service got %q", name, <-heads)
		}
	}
}

// TestHeads wants these requests, from first to last byte.
func TestHeads(t *testing.T) {
	t.Parallel()
	s, heads := recordingService(t)
	f := forwarderTo(t, s.addr(), nil)
	host := "Host: " + s.addr() + "\r\n"
	const forwarded = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Host: shop.example.com\r\n"
	tests := []struct {
		name string
		head wire.RequestHead
		want string
	}{
		{"nothing but what is needed", wire.RequestHead{Method: "GET", Target: "/"},
			"GET / HTTP/1.1\r\n" + host + "\r\n"},
		{"what is missing is added",
			wire.RequestHead{Method: "GET", Target: "/", RemoteAddr: "203.0.113.9", Host: "shop.example.com"},
			"GET / HTTP/1.1\r\n" + host + forwarded + "\r\n"},
		{"what is there stays",
			wire.RequestHead{Method: "GET", Target: "/", RemoteAddr: "203.0.113.9", Host: "shop.example.com", Header: http.Header{
				"X-Forwarded-For": {"198.51.100.1, 10.0.0.1"}, "X-Forwarded-Host": {"a.example"}, "X-Forwarded-Proto": {"https"}}},
			"GET / HTTP/1.1\r\n" + host + "X-Forwarded-For: 198.51.100.1, 10.0.0.1\r\nX-Forwarded-Host: a.example\r\nX-Forwarded-Proto: https\r\n\r\n"},
		{"names in lower case are known",
			wire.RequestHead{Method: "GET", Target: "/", RemoteAddr: "203.0.113.9", Host: "shop.example.com", Header: http.Header{
				"x-forwarded-for": {"198.51.100.1"}, "x-forwarded-host": {"a.example"}, "connection": {"close"}, "host": {"evil"}, "content-length": {"5"}}},
			"GET / HTTP/1.1\r\n" + host + "x-forwarded-for: 198.51.100.1\r\nx-forwarded-host: a.example\r\n\r\n"},
		{"repeated and odd values",
			wire.RequestHead{Method: "PURGE", Target: "/", Header: http.Header{
				"Accept": {"b", "a", "b"}, "Cookie": {"a=b; c=\"d\"", "e=f"}, "X-Empty": {""}, "X-Raw": {"caf\xc3\xa9 \xff\t;,"}, "User-Agent": {"x"}}},
			"PURGE / HTTP/1.1\r\n" + host + "Accept: b\r\nAccept: a\r\nAccept: b\r\nCookie: a=b; c=\"d\"\r\nCookie: e=f\r\nUser-Agent: x\r\nX-Empty: \r\nX-Raw: caf\xc3\xa9 \xff\t;,\r\n\r\n"},
		{"hop-by-hop fields",
			wire.RequestHead{Method: "GET", Target: "/", Header: http.Header{
				"Connection": {"keep-alive, X-A"}, "Keep-Alive": {"5"}, "Proxy-Connection": {"x"}, "Te": {"trailers"},
				"Transfer-Encoding": {"chunked"}, "Upgrade": {"h2c"}, "Http2-Settings": {"x"}, "Accept-Encoding": {"br"}}},
			"GET / HTTP/1.1\r\n" + host + "Accept-Encoding: br\r\n\r\n"},
		{"an upgrade to h2c", wire.RequestHead{Method: "GET", Target: "/", Upgrade: "h2c"},
			"GET / HTTP/1.1\r\n" + host + "\r\n"},
		{"an upgrade to something", wire.RequestHead{Method: "GET", Target: "/", Upgrade: "websocket", Header: http.Header{"Sec-Websocket-Key": {"x"}}},
			"GET / HTTP/1.1\r\n" + host + "Sec-Websocket-Key: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
		{"POST without a body", wire.RequestHead{Method: "POST", Target: "/"},
			"POST / HTTP/1.1\r\n" + host + "Content-Length: 0\r\n\r\n"},
		{"DELETE without a body", wire.RequestHead{Method: "DELETE", Target: "/"},
			"DELETE / HTTP/1.1\r\n" + host + "\r\n"},
		{"OPTIONS *", wire.RequestHead{Method: "OPTIONS", Target: "*"},
			"OPTIONS * HTTP/1.1\r\n" + host + "\r\n"},
	}
	for _, tt := range tests {
		v := newVisit(t, "", "")
		v.head = tt.head
		answered(t, f, v, 200)
		if diff := cmp.Diff(tt.want, <-heads); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	if n := s.conns.Load(); n != 1 {
		t.Errorf("the requests took %d connections, want 1", n)
	}
}

// TestBodies wants bodies to come as they were announced, in whatever pieces.
func TestBodies(t *testing.T) {
	t.Parallel()
	type seen struct {
		Method  string
		Length  int64
		Coding  []string
		Body    string
		Trailer http.Header
	}
	got := make(chan seen, 1)
	f := forwarderTo(t, httpService(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- seen{r.Method, r.ContentLength, r.TransferEncoding, string(body), r.Trailer}
	}), nil)
	large := strings.Repeat("0123456789abcdef", 100<<10/16)
	trailer := http.Header{"X-Sum": {"a", "b"}}
	tests := []struct {
		name    string
		visit   func() *visit
		trailer http.Header
		want    seen
	}{
		{"one byte", func() *visit { return newVisit(t, "POST", "/").withBody("x") }, nil, seen{"POST", 1, nil, "x", nil}},
		{"GET with a body", func() *visit { return newVisit(t, "GET", "/").withBody("x") }, nil, seen{"GET", 1, nil, "x", nil}},
		{"100 KB", func() *visit { return newVisit(t, "PUT", "/").withBody(large) }, nil, seen{"PUT", int64(len(large)), nil, large, nil}},
		{"unknown length", func() *visit { return streamed(newVisit(t, "POST", "/"), large) }, nil, seen{"POST", -1, []string{"chunked"}, large, nil}},
		{"unknown length, empty", func() *visit { return streamed(newVisit(t, "POST", "/"), "") }, nil, seen{"POST", -1, []string{"chunked"}, "", nil}},
		{"GET of unknown length", func() *visit { return streamed(newVisit(t, "GET", "/"), "x") }, nil, seen{"GET", -1, []string{"chunked"}, "x", nil}},
		{"trailer", func() *visit { return streamed(newVisit(t, "POST", "/"), "x") }, trailer, seen{"POST", -1, []string{"chunked"}, "x", trailer}},
		{"all there already", func() *visit { return newVisit(t, "POST", "/").withBody("together") }, nil, seen{"POST", 8, nil, "together", nil}},
	}
	for _, tt := range tests {
		v := tt.visit()
		v.strict = true
		v.trailer = tt.trailer
		v.head.Header.Set("Trailer", "X-Sum")
		if tt.trailer == nil {
			v.head.Header.Del("Trailer")
		}
		answered(t, f, v, 200)
		if diff := cmp.Diff(tt.want, <-got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// streamed gives a request a body of unknown length.
func streamed(v *visit, body string) *visit {
	v.head.ContentLength, v.body = -1, strings.NewReader(body)
	return v
}

// hasty is a visit whose body has come whole before it is served.
type hasty struct{ *visit }

func (h hasty) Buffered() (int, bool) { return int(h.head.ContentLength), true }

func TestSmallBodyIsOneWrite(t *testing.T) {
	t.Parallel()
	first := make(chan string, 1)
	s := rawService(t, func(c *serviceConn) {
		buf := make([]byte, 64<<10)
		n, _ := c.Read(buf)
		first <- string(buf[:n])
		c.say(okEmpty)
	})
	f := forwarderTo(t, s.addr(), nil)
	v := newVisit(t, "POST", "/").withBody("hello")
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Serve(hasty{v})
	}()
	wait(t, "the exchange", done)
	if got := <-first; !strings.HasSuffix(got, "\r\nContent-Length: 5\r\n\r\nhello") {
		t.Errorf("the service first read %q", got)
	}
	if !v.complete {
		t.Errorf("no answer: %v", v.reset)
	}
}
