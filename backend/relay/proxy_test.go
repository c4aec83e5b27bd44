package relay

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"culvert/backend/mux"
	"culvert/backend/wire"
)

// reply answers a stream with a whole body.
func reply(st *mux.Stream, status int, header http.Header, body string) {
	st.WriteHead(&wire.ResponseHead{Status: status, ContentLength: int64(len(body)), Header: header}, body == "")
	if body != "" {
		st.WriteLast([]byte(body))
	}
}

// serveName answers every request with one text.
func serveName(text string) func(*mux.Stream) {
	return func(st *mux.Stream) { reply(st, 200, nil, text) }
}

func TestForm2RequestHead(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	heads := make(chan *wire.RequestHead, 1)
	bodies := make(chan string, 1)
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
		body, err := io.ReadAll(st)
		bodies <- fmt.Sprint(string(body), err, st.RequestTrailer())
		heads <- st.Request()
		reply(st, 200, nil, "ok")
	})
	c := r.raw()
	c.send("PATCH /" + a.TunnelID + "//a%2Fb/../\xc3\xa9?q=%20&&x HTTP/1.1\r\nHost: 127.9.9.9:99\r\nX-Twice: 1\r\nX-Twice: 2\r\n" +
		"Connection: keep-alive, X-Hop\r\nX-Hop: secret\r\nKeep-Alive: 1\r\nTE: trailers\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n" +
		"X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nCookie: a=1\r\nCookie: b=2\r\n" +
		"Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n")
	if res, body, err := c.answer("PATCH"); err != nil || body != "ok" {
		t.Fatalf("%v %q %v", res, body, err)
	}
	if body := <-bodies; body != "abcde<nil> map[X-Sum:[5]]" {
		t.Errorf("body and trailer: %s", body)
	}
	want := &wire.RequestHead{
		Method: "PATCH", Target: "//a%2Fb/../\xc3\xa9?q=%20&&x", Host: "127.9.9.9:99", Prefix: "/" + a.TunnelID, RemoteAddr: "127.0.0.1", ContentLength: -1,
		Header: http.Header{
			"X-Twice": {"1", "2"}, "Http2-Settings": {"x"}, "Cookie": {"a=1", "b=2"},
			"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"127.9.9.9:99"},
		},
	}
	if diff := cmp.Diff(want, <-heads); diff != "" {
		t.Errorf("head (-want +got):\n%s", diff)
	}
}

func TestForm2AnswersAreFramedAsTheyCame(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	head := func(status int, length int64, kv ...string) *wire.ResponseHead {
		h := http.Header{}
		for i := 0; i < len(kv); i += 2 {
			h.Add(kv[i], kv[i+1])
		}
		return &wire.ResponseHead{Status: status, ContentLength: length, Header: h}
	}
	serve := map[string]func(*mux.Stream){
		"/length": func(st *mux.Stream) {
			st.WriteHead(head(200, 5, "X-A", "1", "X-A", "2"), false)
			st.WriteLast([]byte("hello"))
		},
		"/chunked":   func(st *mux.Stream) { st.WriteHead(head(200, -1), false); st.WriteLast([]byte("hello")) },
		"/empty":     func(st *mux.Stream) { st.WriteHead(head(200, 0), true) },
		"/empty-end": func(st *mux.Stream) { st.WriteHead(head(200, -1), true) },
		"/204":       func(st *mux.Stream) { st.WriteHead(head(204, -1, "X-A", "1"), true) },
		"/304":       func(st *mux.Stream) { st.WriteHead(head(304, -1, "Etag", `"x"`), true) },
		"/999":       func(st *mux.Stream) { st.WriteHead(head(999, 2), false); st.WriteLast([]byte("??")) },
		"/html":      func(st *mux.Stream) { st.WriteHead(head(200, -1), false); st.WriteLast([]byte("<html>")) },
		"/dated":     func(st *mux.Stream) { st.WriteHead(head(200, 0, "Date", "yesterday", "Content-Type", ""), true) },
		"/hop": func(st *mux.Stream) {
			st.WriteHead(head(200, 0, "Keep-Alive", "x", "Upgrade", "y", "Proxy-Connection", "z", "Te", "t", "Server", "mine"), true)
		},
		"/trailer": func(st *mux.Stream) {
			st.WriteHead(head(200, -1), false)
			st.Write([]byte("hello"))
			st.CloseWrite(http.Header{"X-Sum": {"5"}, "Content-Length": {"9"}})
		},
		"/early": func(st *mux.Stream) {
			st.WriteHead(head(103, -1, "Link", "</a.css>"), false)
			st.WriteHead(head(200, 2), false)
			st.WriteLast([]byte("ok"))
		},
	}
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) { serve[st.Request().Target](st) })
	for _, c := range []struct{ method, path, want string }{
		{"GET", "/length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\nX-A: 2\r\n\r\nhello"},
		{"GET", "/chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
		{"GET", "/empty", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"GET", "/empty-end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"GET", "/204", "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n"},
		{"GET", "/304", "HTTP/1.1 304 Not Modified\r\nEtag: \"x\"\r\n\r\n"},
		{"GET", "/999", "HTTP/1.1 999 status code 999\r\nContent-Length: 2\r\n\r\n??"},
		{"GET", "/html", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n<html>\r\n0\r\n\r\n"},
		{"GET", "/dated", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Type: \r\nDate: yesterday\r\n\r\n"},
		{"GET", "/hop", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nServer: mine\r\n\r\n"},
		{"GET", "/trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n"},
		{"GET", "/early", "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
		{"HEAD", "/length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\nX-A: 2\r\n\r\n"},
		{"HEAD", "/empty-end", "HTTP/1.1 200 OK\r\n\r\n"},
	} {
		t.Run(c.method+c.path, func(t *testing.T) {
			t.Parallel()
			conn := r.raw()
			conn.send(c.method + " /" + a.TunnelID + c.path + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
			got := make([]byte, len(c.want))
			n, err := io.ReadFull(conn.r, got)
			if string(got[:n]) != c.want {
				t.Errorf("got  %q (%v)\nwant %q", got[:n], err, c.want)
			}
			// Nothing stands between this answer and the next.
			conn.send("GET /_culvert/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
			if next, _, err := conn.answer("GET"); err != nil || next.StatusCode != 200 {
				t.Errorf("the connection cannot be used again: %v", err)
			}
		})
	}
}

// The answer to a request in chunks is the connection's last one, and says so
// only where that is understood.
func TestChunksCloseTheConnection(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
		io.Copy(io.Discard, st)
		st.WriteHead(&wire.ResponseHead{Status: 103, ContentLength: -1, Header: http.Header{"Link": {"</a.css>"}}}, false)
		st.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: 2}, false)
		st.WriteLast([]byte("ok"))
	})
	old := r.startAgent1(nil, func(_ *agent1, request object) object {
		return object{"type": "http_response", "request_id": request["request_id"], "status_code": 200, "headers": object{}, "body": ""}
	})
	for path, want := range map[string]string{
		"/" + a.TunnelID + "/":   "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
		"/" + old.tunnel + "/":   "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
		"/" + a.TunnelID + "?x#": "HTTP/1.1 400 Bad Request\r\n", // malformed
	} {
		c := r.raw()
		c.send("POST " + path + " HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n")
		got, err := io.ReadAll(c.r)
		if !strings.HasPrefix(string(got), want) || !strings.Contains(string(got), "\r\nConnection: close\r\n") || err != nil {
			t.Errorf("%s: got  %q (%v)\nwant %q", path, got, err, want)
		}
	}
}

// An event reaches the visitor while the next one is still to come, and the
// visitor's leaving reaches the agent.
func TestForm2EventsAreNotHeldBack(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	next := make(chan string)
	left := make(chan error, 1)
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
		st.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: -1, Header: http.Header{"Content-Type": {"text/event-stream"}}}, false)
		for event := range next {
			st.Write([]byte(event))
		}
		<-st.Context().Done()
		_, err := st.Write([]byte("x"))
		left <- err
	})
	res, err := r.http.Get(r.base + "/" + a.TunnelID + "/events") // the head comes before any event
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	for i := range 3 {
		event := fmt.Sprintf("data: %d\n\n", i)
		next <- event
		n, err := io.ReadFull(res.Body, buf[:len(event)])
		if err != nil || string(buf[:n]) != event {
			t.Fatalf("event %d: %q, %v", i, buf[:n], err)
		}
	}
	res.Body.Close()
	close(next)
	var reset *wire.ResetError
	if err := <-left; !errors.As(err, &reset) || reset.Code != wire.ResetCancel {
		t.Errorf("after the visitor left, the agent's write gave %v", err)
	}
	eventually(t, "no stream is left", func() bool { return a.Streams() == 0 })
}

// Both directions flow at once.
func TestForm2FullDuplex(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
		st.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: -1}, false)
		io.Copy(struct{ io.Writer }{st}, struct{ io.Reader }{st})
		st.CloseWrite(nil)
	})
	for _, size := range []int{1, 5, 100_000, 3} {
		pr, pw := io.Pipe()
		req, _ := http.NewRequest("POST", r.base+"/"+a.TunnelID+"/echo", pr)
		res, err := r.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, size)
		for i := range 3 {
			part := bytes.Repeat([]byte{byte('a' + i)}, size)
			go pw.Write(part)
			if _, err := io.ReadFull(res.Body, buf); err != nil || !bytes.Equal(buf, part) {
				t.Fatalf("round %d: %v", i, err)
			}
		}
		pw.Close()
		if rest, err := io.ReadAll(res.Body); err != nil || len(rest) > 0 {
			t.Errorf("%q, %v after the end", rest, err)
		}
		res.Body.Close()
	}
}

func TestForm2LongBodiesBothWays(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	const size = 20 << 20
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
		sum := sha256.New()
		n, err := io.Copy(sum, struct{ io.Reader }{st})
		if err != nil {
			t.Error(err)
		}
		st.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: size, Header: http.Header{"X-Got": {fmt.Sprintf("%d %x", n, sum.Sum(nil))}}}, false)
		part := bytes.Repeat([]byte("0123456789abcde\n"), 1<<12)
		for range size / len(part) {
			if _, err := st.Write(part); err != nil {
				t.Error(err)
				return
			}
		}
		st.CloseWrite(nil)
	})
	body := bytes.Repeat([]byte("0123456789abcde\n"), size/16)
	sum := sha256.Sum256(body)
	res, got := r.do("PUT", "/"+a.TunnelID+"/", bytes.NewReader(body))
	if want := fmt.Sprintf("%d %x", size, sum); res.Header.Get("X-Got") != want {
		t.Errorf("the agent got %s, sent %s", res.Header.Get("X-Got"), want)
	}
	if got != string(body) {
		t.Errorf("the visitor got %d bytes", len(got))
	}
}

// A local service may answer before it has read the body, and read on.
func TestForm2EarlyAnswer(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	const size = 3 << 20
	read := make(chan string, 1)
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
		reply(st, 202, nil, "taken")
		if st.Request().Target == "/read-on" {
			n, err := io.Copy(io.Discard, struct{ io.Reader }{st})
			read <- fmt.Sprint(n, err)
		}
	})
	c := r.raw()
	c.send(fmt.Sprintf("POST /%s/read-on HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", a.TunnelID, size))
	res, body, err := c.answer("POST")
	if err != nil || res.StatusCode != 202 || body != "taken" {
		t.Fatalf("%v %q %v", res, body, err)
	}
	c.send(strings.Repeat("x", size))
	if got := <-read; got != fmt.Sprint(size, nil) {
		t.Errorf("the local service read %s", got)
	}
	// It does not want the body: the visitor gets the answer all the same, and then the end.
	c = r.raw()
	c.send("POST /" + a.TunnelID + "/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	if res, body, err := c.answer("POST"); err != nil || body != "taken" || !res.Close {
		t.Errorf("%v %q %v", res, body, err)
	}
	c.Write([]byte("0\r\n\r\nGET /_culvert/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	if rest, _ := io.ReadAll(c.r); len(rest) > 0 {
		t.Errorf("after the end: %q", rest)
	}
}

func TestForm2ExpectContinue(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
		if expect := st.Request().Header["Expect"]; expect != nil {
			t.Errorf("Expect %q reaches the agent", expect)
		}
		body, _ := io.ReadAll(st)
		reply(st, 200, nil, string(body))
	})
	c := r.raw()
	c.send("POST /" + a.TunnelID + "/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	if line, err := c.r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		t.Fatalf("%q, %v", line, err)
	}
	c.r.ReadString('\n')
	c.send("hello")
	if res, body, err := c.answer("POST"); err != nil || body != "hello" {
		t.Errorf("%v %q %v", res, body, err)
	}
}

// What goes wrong before the head is a status, after it a cut.
func TestForm2Failures(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	cut := make(chan bool)
	serve := map[string]func(*mux.Stream){
		"/cancel":    func(st *mux.Stream) { st.Reset(wire.ResetCancel, "") },
		"/down":      func(st *mux.Stream) { st.Reset(wire.ResetUnavailable, "nothing listens on localhost:3000") },
		"/timeout":   func(st *mux.Stream) { st.Reset(wire.ResetTimeout, "") },
		"/too-large": func(st *mux.Stream) { st.Reset(wire.ResetTooLarge, "") },
		"/invalid":   func(st *mux.Stream) { st.Reset(wire.ResetInvalid, "") },
		"/busy":      func(st *mux.Stream) { st.Reset(wire.ResetBusy, "") },
		"/nothing":   func(st *mux.Stream) {},
		"/unasked-101": func(st *mux.Stream) {
			st.WriteHead(&wire.ResponseHead{Status: 101, ContentLength: -1, Header: http.Header{"Upgrade": {"x"}}}, false)
		},
		"/cut-length": func(st *mux.Stream) {
			st.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: 10}, false)
			st.Write([]byte("hello"))
			<-cut
			st.Reset(wire.ResetInternal, "")
		},
		"/cut-chunked": func(st *mux.Stream) {
			st.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: -1}, false)
			st.Write([]byte("hello"))
			<-cut
			st.Reset(wire.ResetInternal, "")
		},
		"/short": func(st *mux.Stream) {
			st.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: 10}, false)
			st.WriteLast([]byte("hello"))
		},
		"/long": func(st *mux.Stream) {
			st.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: 3}, false)
			st.WriteLast([]byte("hello"))
		},
	}
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) { serve[st.Request().Target](st) })
	for path, status := range map[string]int{
		"/cancel": 502, "/down": 503, "/timeout": 504, "/too-large": 413, "/invalid": 400, "/busy": 503, "/nothing": 502, "/unasked-101": 502,
	} {
		res, body := r.get("/" + a.TunnelID + path)
		if res.StatusCode != status || (status == 503) != (res.Header.Get("Retry-After") != "") {
			t.Errorf("%s: %d %v, want %d", path, res.StatusCode, res.Header, status)
		}
		if path == "/down" && body != "nothing listens on localhost:3000\n" {
			t.Errorf("%s: %q", path, body)
		}
	}
	for _, path := range []string{"/cut-length", "/cut-chunked", "/short", "/long"} {
		res, err := r.http.Get(r.base + "/" + a.TunnelID + path)
		if err != nil {
			t.Errorf("%s: %v before the head", path, err)
			continue
		}
		if strings.HasPrefix(path, "/cut") {
			if _, err := io.ReadFull(res.Body, make([]byte, 5)); err != nil {
				t.Errorf("%s: %v before the cut", path, err)
			}
			cut <- true
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err == nil {
			t.Errorf("%s: %q is presented as complete", path, body)
		}
	}
	if res, body := r.get("/"+a.TunnelID+"/down", "Accept", "text/html"); !strings.Contains(body, "<!doctype html>") || res.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("a reader gets %q", body)
	}
}

// A body that the visitor does not send to its end is never complete for the agent.
func TestForm2BodyCutShort(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	read := make(chan error, 1)
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
		_, err := io.ReadAll(st)
		read <- err
	})
	for name, request := range map[string]string{
		"length":    "Content-Length: 10\r\n\r\nhello",
		"chunk":     "Transfer-Encoding: chunked\r\n\r\na\r\nhello",
		"last":      "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"malformed": "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nXYZ\r\n",
		"oversized": "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello",
	} {
		c := r.raw()
		c.send("POST /" + a.TunnelID + "/ HTTP/1.1\r\nHost: localhost\r\n" + request)
		c.Conn.(interface{ CloseWrite() error }).CloseWrite()
		var reset *wire.ResetError
		if err := <-read; !errors.As(err, &reset) || reset.Code != wire.ResetCancel {
			t.Errorf("%s: the agent's read gave %v, want a reset", name, err)
		}
		if res, _, err := c.answer("POST"); err == nil && res.StatusCode != 400 {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
}

// The agent's end in the middle of it all.
func TestForm2AgentVanishes(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	streams := make(chan *mux.Stream, 2)
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
		if st.Request().Target == "/half" {
			st.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: -1}, false)
			st.Write([]byte("hello"))
		}
		streams <- st
		<-st.Context().Done()
	})
	half, err := r.http.Get(r.base + "/" + a.TunnelID + "/half")
	if err != nil {
		t.Fatal(err)
	}
	defer half.Body.Close()
	status := make(chan int, 1)
	go func() {
		res, _ := r.get("/" + a.TunnelID + "/none")
		status <- res.StatusCode
	}()
	<-streams
	<-streams
	a.Close(1000, "")
	if got := <-status; got != 502 {
		t.Errorf("unanswered: %d, want 502", got)
	}
	if body, err := io.ReadAll(half.Body); err == nil {
		t.Errorf("half answered: %q is presented as complete", body)
	}
	eventually(t, "offline", func() bool { return r.status(a.TunnelID) == "offline" })
	if res, body := r.get("/" + a.TunnelID + "/"); res.StatusCode != 502 || body != msgNoAgent+"\n" {
		t.Errorf("%d %q", res.StatusCode, body)
	}
}

func TestForm2StreamsPerTunnel(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) { c.Limits.StreamsPerTunnel, c.Limits.StreamsPerVisitor = 2, 3 })
	started, release := make(chan bool, 2), make(chan bool)
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
		started <- true
		<-release
		reply(st, 200, nil, "ok")
	})
	answers := make(chan string, 2)
	for range 2 {
		go func() {
			_, body := r.get("/" + a.TunnelID + "/")
			answers <- body
		}()
		<-started
	}
	res, _ := r.do("POST", "/"+a.TunnelID+"/", strings.NewReader("body"))
	if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %d %v", res.StatusCode, res.Header)
	}
	close(release)
	if x, y := <-answers, <-answers; x != "ok" || y != "ok" {
		t.Errorf("the others got %q and %q", x, y)
	}
	if _, body := r.get("/" + a.TunnelID + "/"); body != "ok" {
		t.Errorf("then %q", body)
	}
}

// One address cannot use up what a tunnel may carry.
func TestStreamsPerVisitor(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) {
		c.Limits.StreamsPerTunnel = 4 // of which one address gets 2
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	started := make(chan bool, 4)
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
		started <- true
		io.Copy(io.Discard, st)
		reply(st, 200, nil, "ok")
	})
	const half = " HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 1.1.1.1\r\nContent-Length: 10\r\n\r\nab"
	var attackers []*raw
	for range 2 {
		c := r.raw()
		c.send("POST /" + a.TunnelID + "/" + half)
		<-started
		attackers = append(attackers, c)
	}
	c := r.raw()
	c.send("POST /" + a.TunnelID + "/" + half)
	if res, body, err := c.answer("POST"); err != nil || res.StatusCode != 429 || body != msgCrowd+"\n" || res.Header.Get("Retry-After") == "" {
		t.Errorf("one more from that address: %v %q %v", res, body, err)
	}
	if res, body := r.get("/"+a.TunnelID+"/", "X-Forwarded-For", "1.1.1.2"); res.StatusCode != 200 || body != "ok" {
		t.Errorf("another address: %d %q", res.StatusCode, body)
	}
	for _, c := range attackers {
		c.send("cdefghij")
		if _, body, err := c.answer("POST"); err != nil || body != "ok" {
			t.Errorf("%q %v", body, err)
		}
	}
	eventually(t, "room again", func() bool {
		res, _ := r.get("/"+a.TunnelID+"/", "X-Forwarded-For", "1.1.1.1")
		return res.StatusCode == 200
	})
}

// Half a request is given up sooner than half of a conversation.
func TestStalledUploadsAreCutSooner(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) { c.Limits.UploadTimeout = 300 * time.Millisecond })
	ended := make(chan error, 1)
	proceed := make(chan bool)
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
		if st.Request().Target == "/conversation" {
			st.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: -1}, false)
		}
		var part [2]byte
		_, err := io.ReadFull(st, part[:])
		if st.Request().Target == "/conversation" {
			close(proceed)
		}
		if err == nil {
			_, err = io.ReadFull(st, part[:])
		}
		ended <- err
		st.CloseWrite(nil)
	})
	for _, target := range []string{"/upload", "/conversation"} {
		c := r.raw()
		c.send("POST /" + a.TunnelID + target + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nab")
		if target == "/upload" {
			var reset *wire.ResetError
			if err := <-ended; !errors.As(err, &reset) {
				t.Errorf("%s: the stream ended with %v", target, err)
			}
			continue
		}
		<-proceed
		time.Sleep(700 * time.Millisecond) // is what is tested
		c.send("cd")
		if err := <-ended; err != nil {
			t.Errorf("%s: the stream ended with %v", target, err)
		}
	}
}

// A visitor who reads nothing, or sends nothing of what was promised, is cut.
func TestStalledVisitorsAreCut(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) { c.Limits.StallTimeout = 200 * time.Millisecond })
	ended := make(chan error, 2)
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
		if st.Request().Method == "POST" {
			_, err := io.ReadAll(st)
			ended <- err
			return
		}
		st.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: -1}, false)
		part := make([]byte, 64<<10)
		for {
			if _, err := st.Write(part); err != nil {
				ended <- err
				return
			}
		}
	})
	for name, request := range map[string]string{
		"reads nothing": "GET /" + a.TunnelID + "/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"sends nothing": "POST /" + a.TunnelID + "/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n",
	} {
		r.raw().send(request)
		var reset *wire.ResetError
		if err := <-ended; !errors.As(err, &reset) {
			t.Errorf("%s: the stream ended with %v", name, err)
		}
	}
	eventually(t, "no stream is left", func() bool { return a.Streams() == 0 })
}

// A stream on which nothing moves for longer than that, because nothing is due, lives on.
func TestIdleStreamsLiveOn(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) { c.Limits.StallTimeout = 500 * time.Millisecond })
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
		st.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: -1}, false)
		st.Write([]byte("one"))
		time.Sleep(1200 * time.Millisecond) // is what is tested
		st.WriteLast([]byte("two"))
	})
	for _, body := range []io.Reader{nil, strings.NewReader("body")} {
		if _, got := r.do("POST", "/"+a.TunnelID+"/", body); got != "onetwo" {
			t.Errorf("got %q", got)
		}
	}
}

// Visitors who send all before they read get their answer, though nobody wants
// what they send.
func TestAnswersSurviveUnwantedBodies(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) { c.Limits.BodyBytes = 1000 })
	one := r.startAgent1(nil, func(a *agent1, q object) object { return respond(q, 200, nil, "") })
	two := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
		if st.Request().Target == "/reset" {
			st.Reset(wire.ResetTooLarge, "")
			return
		}
		reply(st, 401, nil, "no")
	})
	const size = 4 << 20
	for _, c := range []struct {
		path   string
		status int
	}{
		{"/" + one.tunnel + "/", 413}, {"/none/", 404}, {"/" + two.TunnelID + "/reset", 413}, {"/" + two.TunnelID + "/", 401},
	} {
		for _, framing := range []string{
			fmt.Sprintf("Content-Length: %d\r\n\r\n%s", size, strings.Repeat("x", size)),
			fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", size, strings.Repeat("x", size)),
		} {
			conn := r.raw()
			conn.send("POST " + c.path + " HTTP/1.1\r\nHost: localhost\r\n" + framing)
			if res, _, err := conn.answer("POST"); err != nil || res.StatusCode != c.status || !res.Close {
				t.Errorf("%s, %.20s: %v, %v; want %d", c.path, framing, res, err, c.status)
			}
		}
	}
}
