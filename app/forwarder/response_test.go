package forwarder

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"culvert/backend/wire"
)

// TestAnswers wants these bytes from a service to become these calls.
func TestAnswers(t *testing.T) {
	t.Parallel()
	type seen struct {
		Status  int
		Length  int64
		Header  http.Header
		Body    string
		Trailer http.Header
		Calls   string
	}
	none := http.Header{}
	tests := []struct {
		name, method, answer string
		want                 seen
		reused               bool // the connection is good for another request
	}{
		{"length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", seen{200, 2, none, "hi", nil, "head last"}, true},
		{"no body", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", seen{200, 0, none, "", nil, "head"}, true},
		{"no reason", "GET", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", seen{200, 0, none, "", nil, "head"}, true},
		{"bare line feeds", "GET", "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", seen{200, 2, none, "hi", nil, "head last"}, true},
		{"odd status", "GET", "HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n", seen{999, 0, none, "", nil, "head"}, true},
		{"length twice", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2, 2\r\n\r\nhi", seen{200, 2, none, "hi", nil, "head last"}, true},
		{"chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1;ext=1\r\n!\r\n0\r\n\r\n", seen{200, -1, none, "hi!", nil, "head last"}, true},
		{"chunks, empty", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", seen{200, -1, none, "", nil, "head close"}, true},
		{"trailer", "GET", "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: a\r\nX-Sum: b\r\nContent-Length: 7\r\nConnection: x\r\n\r\n",
			seen{200, -1, http.Header{"Trailer": {"X-Sum"}}, "hi", http.Header{"X-Sum": {"a", "b"}}, "head data close"}, true},
		{"chunks and length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", seen{200, -1, none, "hi", nil, "head last"}, false},
		{"until the end", "GET", "HTTP/1.1 200 OK\r\n\r\nhi", seen{200, -1, none, "hi", nil, "head data close"}, false},
		{"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", seen{200, 2, none, "hi", nil, "head last"}, false},
		{"HTTP/1.0 that stays", "GET", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nhi", seen{200, 2, none, "hi", nil, "head last"}, true},
		{"close", "GET", "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nhi", seen{200, 2, none, "hi", nil, "head last"}, false},
		{"too much", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\n", seen{200, 2, none, "hi", nil, "head last"}, false},
		{"HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", seen{200, 1000, none, "", nil, "head"}, true},
		{"HEAD of chunks", "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", seen{200, -1, none, "", nil, "head"}, true},
		{"HEAD of nothing known", "HEAD", "HTTP/1.1 200 OK\r\n\r\n", seen{200, -1, none, "", nil, "head"}, true},
		{"204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", seen{204, -1, none, "", nil, "head"}, true},
		{"304", "GET", "HTTP/1.1 304 Not Modified\r\nEtag: \"x\"\r\nContent-Length: 1000\r\n\r\n", seen{304, 1000, http.Header{"Etag": {`"x"`}}, "", nil, "head"}, true},
		{"fields", "GET", "HTTP/1.1 200 OK\r\nServer: x\r\nSet-Cookie: a=b\r\nset-cookie: c=d; x\r\nX-Raw: caf\xe9\r\nPragma: no-cache\r\nDate: \r\n" +
			"Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n",
			seen{200, 0, http.Header{"Server": {"x"}, "Set-Cookie": {"a=b", "c=d; x"}, "X-Raw": {"caf\xe9"}, "Pragma": {"no-cache"}, "Date": {""}}, "", nil, "head"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := rawService(t, func(c *serviceConn) {
				for c.head() != "" {
					c.say(tt.answer)
					if !tt.reused {
						return
					}
				}
			})
			f := forwarderTo(t, s.addr(), nil)
			for range 2 {
				v := newVisit(t, tt.method, "/")
				v.strict = true
				answered(t, f, v, tt.want.Status)
				got := seen{v.answer.Status, v.answer.ContentLength, v.answer.Header, v.out.String(), v.outTrailer, strings.Join(v.calls, " ")}
				if tt.want.Calls != got.Calls && strings.Contains(tt.want.Calls, "data") {
					// Pieces may come one by one.
					got.Calls = strings.Join(slices.Compact(v.calls), " ")
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("answer (-want +got):\n%s", diff)
				}
			}
			if n := s.conns.Load(); (n == 1) != tt.reused {
				t.Errorf("two requests took %d connections, reused is to be %v", n, tt.reused)
			}
		})
	}
}

// TestNoAnswers wants what is no answer to become 502 and not more.
func TestNoAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, answer, says string }{
		{"nothing", "", "closed the connection without an answer"},
		{"half a line", "HTTP/1.1 2", "does not speak HTTP/1.1"},
		{"a status line", "HTTP/1.1 200 OK\r\n", "closed the connection without an answer"},
		{"half a head", "HTTP/1.1 200 OK\r\nA: b\r\n", "closed the connection without an answer"},
		{"another protocol", "220 mail.example ESMTP\r\n", "does not speak HTTP/1.1"},
		{"TLS", "\x15\x03\x01\x00\x02\x02\x46\r\n", "does not speak HTTP/1.1"},
		{"HTTP/2", "HTTP/2 200\r\n\r\n", "does not speak HTTP/1.1"},
		{"HTTP/3000", "HTTP/3000 200 OK\r\n\r\n", "does not speak HTTP/1.1"},
		{"a small status", "HTTP/1.1 099 OK\r\n\r\n", "does not speak HTTP/1.1"},
		{"a long status", "HTTP/1.1 2000 OK\r\n\r\n", "does not speak HTTP/1.1"},
		{"a worded status", "HTTP/1.1 abc OK\r\n\r\n", "does not speak HTTP/1.1"},
		{"a field without a colon", "HTTP/1.1 200 OK\r\nwhat\r\n\r\n", "does not speak HTTP/1.1"},
		{"a field with a NUL", "HTTP/1.1 200 OK\r\nA: \x00\r\n\r\n", "does not speak HTTP/1.1"},
		{"a bad length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "Content-Length"},
		{"a signed length", "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n", "Content-Length"},
		{"an endless length", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", "Content-Length"},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nhi", "Content-Length"},
		{"a strange encoding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "Transfer-Encoding"},
		{"two encodings", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "Transfer-Encoding"},
		{"an upgrade unasked", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", "changes protocols unasked"},
		{"an endless line", "HTTP/1.1 200 " + strings.Repeat("x", 300<<10), "larger than 128 KB"},
		{"an endless head", "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 60<<10), "larger than 128 KB"},
		{"endless hints", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 1000), "more than 32"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := rawService(t, func(c *serviceConn) {
				c.head()
				c.say(tt.answer)
			})
			v := newVisit(t, "GET", "/")
			failed(t, forwarderTo(t, s.addr(), nil), v, wire.ResetInternal, tt.says)
			if v.answer != nil {
				t.Errorf("the visitor got a head: %+v", v.answer)
			}
			if n := s.conns.Load(); n != 1 {
				t.Errorf("the request was sent %d times", n)
			}
		})
	}
}

// TestCutAnswers wants an answer that ends early to be cut for the visitor, too.
func TestCutAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, answer, body string }{
		{"a byte short", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", "hi"},
		{"all short", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", ""},
		{"no chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ""},
		{"half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhi", "hi"},
		{"no last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", "hi"},
		{"half a last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n", "hi"},
		{"half a trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nA: b\r\n", "hi"},
		{"an endless trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n" + strings.Repeat("A: b\r\n", 60<<10), "hi"},
		{"no chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\nxyz\r\n", "hi"},
		{"too long a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n", "he"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := rawService(t, func(c *serviceConn) {
				c.head()
				c.say(tt.answer)
				c.Conn.(interface{ CloseWrite() error }).CloseWrite()
				c.untilClosed()
			})
			v := newVisit(t, "GET", "/")
			failed(t, forwarderTo(t, s.addr(), nil), v, wire.ResetInternal, "before the end of its answer")
			if v.answer == nil || v.out.String() != tt.body {
				t.Errorf("before the cut came %+v, %q; want %q", v.answer, v.out.String(), tt.body)
			}
		})
	}
}

func TestInformationalHeads(t *testing.T) {
	t.Parallel()
	s := rawService(t, func(c *serviceConn) {
		for c.head() != "" {
			c.say("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 5\r\n\r\nHTTP/1.1 102 \r\n\r\n" + okEmpty)
		}
	})
	f := forwarderTo(t, s.addr(), nil)
	for range 2 {
		v := newVisit(t, "GET", "/")
		answered(t, f, v, 200)
		want := []wire.ResponseHead{
			{Status: 103, ContentLength: -1, Header: http.Header{"Link": {"</a>"}}},
			{Status: 102, ContentLength: -1, Header: http.Header{}},
		}
		if diff := cmp.Diff(want, v.informational); diff != "" {
			t.Errorf("informational heads (-want +got):\n%s", diff)
		}
	}
	if n := s.conns.Load(); n != 1 {
		t.Errorf("two requests took %d connections", n)
	}
}

// TestStreaming wants every part of an answer as soon as the service has sent it.
func TestStreaming(t *testing.T) {
	t.Parallel()
	for _, framing := range []string{"Content-Length: 30", "Transfer-Encoding: chunked", "Connection: close"} {
		t.Run(framing, func(t *testing.T) {
			t.Parallel()
			next := make(chan struct{})
			s := rawService(t, func(c *serviceConn) {
				c.head()
				c.say("HTTP/1.1 200 OK\r\n" + framing + "\r\n\r\n")
				for range 10 {
					<-next
					if strings.HasPrefix(framing, "Transfer") {
						c.say("3\r\nabc\r\n")
					} else {
						c.say("abc")
					}
				}
				if <-next; strings.HasPrefix(framing, "Transfer") {
					c.say("0\r\n\r\n")
				}
			})
			v := newVisit(t, "GET", "/")
			came := make(chan struct{}, 20)
			v.slow = func(n int) { came <- struct{}{} }
			done := serve(forwarderTo(t, s.addr(), nil), v)
			wait(t, "the head", v.headed)
			for range 10 {
				next <- struct{}{}
				wait(t, "the next part", came)
			}
			next <- struct{}{}
			wait(t, "the end", done)
			if got := v.text(); got != strings.Repeat("abc", 10) || !v.complete {
				t.Errorf("got %q, complete %v", got, v.complete)
			}
		})
	}
}

// TestSmallAnswerIsOneWrite: head, body and end are to leave together, so nothing
// may be waited for between them.
func TestSmallAnswerIsOneWrite(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 200, 3000} { // with the head, what net/http writes at once
		f := forwarderTo(t, httpService(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(size))
			io.WriteString(w, strings.Repeat("x", size))
		}), nil)
		v := newVisit(t, "GET", "/")
		answered(t, f, v, 200)
		if calls := strings.Join(v.calls, " "); calls != "head last" || v.out.Len() != size {
			t.Errorf("%d bytes took the calls %q", size, calls)
		}
	}
}

func TestLargeAnswer(t *testing.T) {
	t.Parallel()
	const size = 20 << 20
	f := forwarderTo(t, httpService(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", strconv.Itoa(size))
		}
		block := []byte(strings.Repeat("0123456789abcdef", 4096))
		for range size / len(block) {
			w.Write(block)
		}
	}), nil)
	for _, path := range []string{"/length", "/chunks"} {
		v := newVisit(t, "GET", path)
		answered(t, f, v, 200)
		if v.out.Len() != size || strings.Trim(string(v.out.Bytes()[size-32:]), "0123456789abcdef") != "" {
			t.Errorf("%s: got %d bytes, want %d", path, v.out.Len(), size)
		}
	}
}

// FuzzReadAnswer wants no input of a service to do more than fail.
func FuzzReadAnswer(f *testing.F) {
	for _, s := range []string{okEmpty, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nA: b\r\n\r\n", "HTTP/1.0 304\n\n", "HTTP/1.1 103\r\n\r\n" + okEmpty} {
		f.Add(s, "GET")
	}
	f.Fuzz(func(t *testing.T, answer, method string) {
		e, visit := exchangeReading(t, answer, method)
		err := e.answer()
		switch {
		case err == nil && !visit.complete:
			t.Errorf("no error, and no end: %q", visit.calls)
		case err != nil && visit.complete:
			t.Errorf("an end, and the error %v", err)
		case visit.answer != nil:
			if visit.answer.Status < 200 || visit.answer.Status > 999 || visit.answer.ContentLength < -1 {
				t.Errorf("head %+v", visit.answer)
			}
			for _, name := range []string{"Connection", "Transfer-Encoding", "Content-Length", "Upgrade"} {
				if visit.answer.Header[name] != nil {
					t.Errorf("the head has %s", name)
				}
			}
			if n := visit.answer.ContentLength; visit.complete && n >= 0 && int64(visit.out.Len()) != n && method != "HEAD" && visit.answer.Status != 304 {
				t.Errorf("a body of %d bytes, announced %d", visit.out.Len(), n)
			}
		}
		_ = fmt.Sprint(err)
	})
}
