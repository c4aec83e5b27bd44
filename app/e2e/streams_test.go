package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
	"github.com/mccutchen/go-httpbin/v2/httpbin"
)

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

// TestUpgrade has a protocol of nobody's pass: what follows the switch is the
// two ends' own, with each direction ending by itself.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	service := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "shouting/1.0" || !strings.EqualFold(r.Header.Get("Connection"), "upgrade") {
			http.Error(w, fmt.Sprint("no upgrade asked for: ", r.Header), http.StatusUpgradeRequired)
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		// The first word leaves together with the head.
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: shouting/1.0\r\nX-Extra: yes\r\n\r\nHELLO ")
		for {
			word, err := rw.ReadString(' ')
			if err != nil { // the visitor has said all that he has to say
				fmt.Fprint(conn, "GOODBYE")
				return
			}
			fmt.Fprint(conn, strings.ToUpper(word))
		}
	}))
	r := startRelay(t)
	a := startAgent(t, agentSpec{target: service.URL, backend: r.url()})
	conn, err := net.Dial("tcp", r.addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	in := bufio.NewReader(conn)
	// The visitor does not wait for the switch either.
	fmt.Fprintf(conn, "GET /%s/ HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: shouting/1.0\r\n\r\nearly ", a.id(), r.addr())
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Upgrade") != "shouting/1.0" || resp.Header.Get("X-Extra") != "yes" {
		t.Fatalf("%s %v", resp.Status, resp.Header)
	}
	for _, want := range []string{"HELLO ", "EARLY "} {
		if got, err := in.ReadString(' '); err != nil || got != want {
			t.Fatalf("got %q (%v), want %q", got, err, want)
		}
	}
	for _, word := range []string{"one ", "two "} {
		fmt.Fprint(conn, word)
		if got, err := in.ReadString(' '); err != nil || got != strings.ToUpper(word) {
			t.Fatalf("said %q, got %q (%v)", word, got, err)
		}
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(in); err != nil || string(rest) != "GOODBYE" {
		t.Errorf("after the visitor's end: %q, %v", rest, err)
	}
}

// TestUpgradeBreaks checks that the end of one side of an open stream, or of what
// is between, reaches the others.
func TestUpgradeBreaks(t *testing.T) {
	t.Parallel()
	opened, closed := make(chan struct{}, 1), make(chan struct{}, 1)
	_, a := tunnel(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		up := websocket.Upgrader{}
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.Close()
		opened <- struct{}{}
		_, _, err = ws.ReadMessage()
		if r.URL.Path == "/leave" && err == nil {
			return // without a word
		}
		if err == nil {
			t.Error("a message from nobody")
		}
		closed <- struct{}{}
	}))
	dial := func(path string) *websocket.Conn {
		t.Helper()
		ws, _, err := websocket.DefaultDialer.Dial("ws"+a.path(path)[len("http"):], nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ws.Close() })
		_ = ws.SetReadDeadline(time.Now().Add(patience))
		<-opened
		return ws
	}
	await := func(what string) {
		t.Helper()
		select {
		case <-closed:
		case <-time.After(patience):
			t.Errorf("%s, and the local service was not told", what)
		}
	}
	dial("/").NetConn().Close()
	await("the visitor left")

	ws := dial("/leave")
	if err := ws.WriteMessage(websocket.TextMessage, []byte("go")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.ReadMessage(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the local service left, and the visitor got %v", err)
	}

	ws = dial("/")
	a.kill(t)
	if _, _, err := ws.ReadMessage(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the agent was killed, and the visitor got %v", err)
	}
	await("the agent was killed")
}

// TestEarlyAnswer has a local service that answers without reading the request.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				if _, err := http.ReadRequest(in); err == nil { // the head alone
					io.WriteString(conn, "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 7\r\n\r\nnot you")
				}
				_, _ = io.Copy(io.Discard, in)
			})
		}
	})
	t.Cleanup(func() { ln.Close(); conns.Wait() }) // after the agent's end
	r := startRelay(t)
	a := startAgent(t, agentSpec{target: ln.Addr().String(), backend: r.url()})
	// As without a tunnel, a visitor who sends for long may find the connection
	// closed; one who still listens gets the answer.
	for _, size := range []int{0, 1, 1000, 100_000} {
		req, err := http.NewRequest(http.MethodPost, a.path("/"), strings.NewReader(strings.Repeat("x", size)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := do(t, req); err != nil || got.status != http.StatusForbidden || got.body != "not you" {
			t.Errorf("%d bytes: %v, status %d, %q", size, err, got.status, got.body)
		}
	}
	// A visitor whose body never ends.
	body, end := io.Pipe()
	// The client does not give up while it waits for more of the body.
	defer time.AfterFunc(patience, func() { end.Close() }).Stop()
	defer end.Close()
	req, err := http.NewRequest(http.MethodPost, a.path("/"), body)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := do(t, req); err != nil || got.status != http.StatusForbidden || got.body != "not you" {
		t.Errorf("a body without end: %v, status %d, %q", err, got.status, got.body)
	}
}

// TestRequestTrailer sends fields after the body.
func TestRequestTrailer(t *testing.T) {
	t.Parallel()
	_, a := tunnel(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s|%v|%s|%s", body, err, r.Trailer.Get("X-Sum"), r.Trailer.Get("X-Unset"))
	}))
	req, err := http.NewRequest(http.MethodPost, a.path("/"), io.NopCloser(strings.NewReader("body")))
	if err != nil {
		t.Fatal(err)
	}
	req.Trailer = http.Header{"X-Sum": {"42"}, "X-Unset": nil}
	if got, err := do(t, req); err != nil || got.body != "body|<nil>|42|" {
		t.Errorf("%v, %q", err, got.body)
	}
}
