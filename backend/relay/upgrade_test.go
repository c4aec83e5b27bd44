package relay

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
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"culvert/backend/mux"
	"culvert/backend/wire"
)

// switchTo answers an upgrade with 101.
func switchTo(st *mux.Stream, protocol string) {
	st.WriteHead(&wire.ResponseHead{Status: 101, ContentLength: -1, Header: http.Header{"Upgrade": {protocol}, "X-A": {"1", "2"}}}, false)
}

// hijacked lets a library that hijacks connections answer on a stream.
type hijacked struct {
	st     *mux.Stream
	header http.Header
}

func (h *hijacked) Header() http.Header         { return h.header }
func (h *hijacked) Write(p []byte) (int, error) { return h.st.Write(p) }
func (h *hijacked) WriteHeader(int)             {}
func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn := &streamConn{Stream: h.st}
	return conn, bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn)), nil
}

// streamConn turns the handshake that is written to it into a head.
type streamConn struct {
	*mux.Stream
	switched bool
}

func (c *streamConn) Write(p []byte) (int, error) {
	if c.switched {
		return c.Stream.Write(p)
	}
	c.switched = true
	res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(p)), nil)
	if err != nil {
		return 0, err
	}
	return len(p), c.WriteHead(&wire.ResponseHead{Status: res.StatusCode, ContentLength: -1, Header: res.Header}, false)
}

func (c *streamConn) Close() error                     { return c.CloseWrite(nil) }
func (c *streamConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *streamConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *streamConn) SetDeadline(time.Time) error      { return nil }
func (c *streamConn) SetReadDeadline(time.Time) error  { return nil }
func (c *streamConn) SetWriteDeadline(time.Time) error { return nil }

const upgradeHeader = " HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: raw/1\r\n\r\n"

// A visitor's WebSocket, with a local service that speaks WebSocket itself.
func TestUpgradeWebSocket(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
		head := st.Request()
		if head.Upgrade != "websocket" || head.Header.Get("Sec-Websocket-Key") == "" || head.Header.Get("Connection") != "" || head.ContentLength != 0 {
			t.Errorf("head %+v", head)
		}
		// The stream is the connection on which the local service sees the handshake.
		local := &hijacked{st: st, header: http.Header{}}
		req := &http.Request{Method: head.Method, Host: head.Host, Header: head.Header.Clone(), ProtoMajor: 1, ProtoMinor: 1}
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", "websocket")
		ws, err := (&websocket.Upgrader{Subprotocols: []string{"chat"}}).Upgrade(local, req, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.Close()
		for {
			kind, text, err := ws.ReadMessage()
			if err != nil {
				return
			}
			ws.WriteMessage(kind, append([]byte("echo "), text...))
		}
	})
	dialer := websocket.Dialer{Subprotocols: []string{"chat"}}
	ws, res, err := dialer.Dial("ws://"+r.addr+"/"+a.TunnelID+"/ws?x=1", nil)
	if err != nil {
		t.Fatalf("%v %v", err, res)
	}
	defer ws.Close()
	if ws.Subprotocol() != "chat" {
		t.Errorf("subprotocol %q", ws.Subprotocol())
	}
	for i, size := range []int{1, 70_000, 300_000} {
		text := strings.Repeat(fmt.Sprint(i), size)
		if err := ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := ws.ReadMessage(); err != nil || string(got) != "echo "+text {
			t.Fatalf("message %d: %d bytes, %v", i, len(got), err)
		}
	}
	ws.Close()
	eventually(t, "no stream is left", func() bool { return a.Streams() == 0 })
}

// Bytes right behind the request, and right behind the 101, are not lost; each
// direction ends by itself.
func TestUpgradeEarlyBytesAndHalfClose(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
		switchTo(st, "RAW/1")
		st.Write([]byte("early "))
		got, err := io.ReadAll(st)
		st.WriteLast([]byte(fmt.Sprintf("got %q %v", got, err)))
	})
	c := r.raw()
	c.send("GET /" + a.TunnelID + "/" + upgradeHeader + "first,")
	c.send("second,")
	res, err := http.ReadResponse(c.r, nil)
	if err != nil || res.StatusCode != 101 || res.Header.Get("Upgrade") != "RAW/1" || res.Header.Get("Connection") != "Upgrade" || len(res.Header["X-A"]) != 2 {
		t.Fatalf("%v %v", res, err)
	}
	for _, name := range []string{"Transfer-Encoding", "Content-Length", "Date"} {
		if res.Header.Get(name) != "" {
			t.Errorf("%s: %s", name, res.Header.Get(name))
		}
	}
	c.send("third")
	c.Conn.(interface{ CloseWrite() error }).CloseWrite()
	if got, err := io.ReadAll(c.r); err != nil || string(got) != `early got "first,second,third" <nil>` {
		t.Errorf("got %q, %v", got, err)
	}
}

// The other way round: the local service ends first, and still listens.
func TestUpgradeLocalServiceEndsFirst(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	heard := make(chan string, 1)
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
		switchTo(st, "raw/1")
		st.WriteLast([]byte("bye"))
		got, err := io.ReadAll(st)
		heard <- fmt.Sprintf("%s %v", got, err)
	})
	c := r.raw()
	c.send("GET /" + a.TunnelID + "/" + upgradeHeader)
	http.ReadResponse(c.r, nil)
	if got, err := io.ReadAll(c.r); err != nil || string(got) != "bye" {
		t.Fatalf("%q, %v", got, err)
	}
	c.send("still here")
	c.Close()
	if got := <-heard; got != "still here <nil>" {
		t.Errorf("the local service heard %s", got)
	}
}

func TestUpgradeEnds(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	ended, seen := make(chan error, 1), make(chan bool)
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
		switchTo(st, "raw/1")
		st.Write([]byte("x"))
		if st.Request().Target == "/reset" {
			<-seen
			st.Reset(wire.ResetInternal, "")
			return
		}
		_, err := io.ReadAll(st)
		ended <- err
	})
	c := r.raw()
	c.send("GET /" + a.TunnelID + "/reset" + upgradeHeader)
	http.ReadResponse(c.r, nil)
	c.r.ReadByte()
	seen <- true
	if _, err := io.ReadAll(c.r); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the agent's reset did not end the visitor's connection")
	}
	eventually(t, "no stream is left", func() bool { return a.Streams() == 0 })

	// A visitor who vanishes without a proper end.
	c = r.raw()
	c.send("GET /" + a.TunnelID + "/" + upgradeHeader)
	http.ReadResponse(c.r, nil)
	c.r.ReadByte()
	c.Conn.(interface{ SetLinger(int) error }).SetLinger(0)
	c.Close()
	var reset *wire.ResetError
	if err := <-ended; !errors.As(err, &reset) {
		t.Errorf("the agent's read gave %v, want a reset", err)
	}
}

// The local service may decline, and then HTTP goes on as usual.
func TestUpgradeDeclined(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	decline := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
		if st.Request().Target == "/other" {
			switchTo(st, "something-else")
			return
		}
		reply(st, 426, nil, "no "+st.Request().Upgrade)
	})
	c := r.raw()
	for range 2 {
		c.send("GET /" + decline.TunnelID + "/" + upgradeHeader)
		if res, body, err := c.answer("GET"); err != nil || res.StatusCode != 426 || body != "no raw/1" {
			t.Fatalf("%v %q %v", res, body, err)
		}
	}
	choose := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
		if got := st.Request().Upgrade; got != "first, second" {
			t.Errorf("the local service is offered %q", got)
		}
		switchTo(st, "second")
		<-st.Context().Done()
	})
	picky := r.raw()
	picky.send("GET /" + choose.TunnelID + "/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: first, second\r\n\r\n")
	if res, err := http.ReadResponse(picky.r, nil); err != nil || res.StatusCode != 101 || res.Header.Get("Upgrade") != "second" {
		t.Errorf("one of two protocols: %v %v", res, err)
	}
	picky.Close()
	c.send("GET /" + decline.TunnelID + "/other" + upgradeHeader)
	if res, _, err := c.answer("GET"); err != nil || res.StatusCode != 502 {
		t.Errorf("another protocol than asked for: %v %v", res, err)
	}
	// h2c is never offered to the local service, and neither is an upgrade with a body.
	for _, request := range []string{
		"GET /" + decline.TunnelID + "/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
		"POST /" + decline.TunnelID + "/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: raw/1\r\nContent-Length: 1\r\n\r\nx",
		"GET /" + decline.TunnelID + "/ HTTP/1.0\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: raw/1\r\n\r\n",
	} {
		c := r.raw()
		c.send(request)
		if res, body, err := c.answer("GET"); err != nil || body != "no " {
			t.Errorf("%q: %v %q %v", request, res, body, err)
		}
	}
}

// Nothing moves for longer than any limit, and then both sides talk.
func TestUpgradeMayBeIdle(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) {
		c.Limits.StallTimeout, c.Limits.IdleTimeout, c.Limits.HeaderTimeout = 500*time.Millisecond, 500*time.Millisecond, 500*time.Millisecond
	})
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
		switchTo(st, "raw/1")
		line, _ := bufio.NewReader(st).ReadString('\n')
		st.WriteLast([]byte("heard " + line))
	})
	c := r.raw()
	c.send("GET /" + a.TunnelID + "/" + upgradeHeader)
	http.ReadResponse(c.r, nil)
	time.Sleep(1200 * time.Millisecond) // is what is tested
	c.send("hello\n")
	if got, err := io.ReadAll(c.r); err != nil || string(got) != "heard hello\n" {
		t.Errorf("%q, %v", got, err)
	}
}
