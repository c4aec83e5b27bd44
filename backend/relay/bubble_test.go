package relay

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"culvert/backend/wire"
)

// bubble is a relay inside a synctest bubble, where time is the bubble's and
// connections are pipes.
type bubble struct {
	*Server
	t     *testing.T
	conns chan net.Conn
	over  chan struct{}
	log   *safeBuffer
}

func startBubble(t *testing.T, change func(*Config)) *bubble {
	t.Helper()
	b := &bubble{t: t, conns: make(chan net.Conn), over: make(chan struct{}), log: &safeBuffer{}}
	cfg := Config{PublicURL: mustURL("http://127.0.0.1:80"), Logger: slog.New(slog.NewTextHandler(b.log, nil)), Version: "test"}
	if change != nil {
		change(&cfg)
	}
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.Server = srv
	var served sync.WaitGroup
	served.Go(func() { _ = srv.Serve(b) })
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = srv.Shutdown(ctx)
		served.Wait()
		if t.Failed() {
			t.Logf("the relay's log:\n%s", b.log.String())
		}
	})
	return b
}

// The listener.

func (b *bubble) Accept() (net.Conn, error) {
	select {
	case c := <-b.conns:
		return c, nil
	case <-b.over:
		return nil, net.ErrClosed
	}
}

func (b *bubble) Close() error {
	select {
	case <-b.over:
	default:
		close(b.over)
	}
	return nil
}

func (b *bubble) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

// localConn comes from this machine.
type localConn struct{ net.Conn }

func (localConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5000} }

// bubbleConn is a peer of a bubble's relay.
type bubbleConn struct {
	*websocket.Conn
	t   *testing.T
	raw net.Conn
}

func (b *bubble) dial(header http.Header, protocols ...string) *bubbleConn {
	b.t.Helper()
	here, there := net.Pipe()
	b.conns <- localConn{there}
	dialer := websocket.Dialer{
		Subprotocols:   protocols,
		NetDialContext: func(context.Context, string, string) (net.Conn, error) { return here, nil },
	}
	ws, res, err := dialer.DialContext(b.t.Context(), "ws://127.0.0.1:80/", header)
	if err != nil {
		b.t.Fatalf("%v %v", err, res)
	}
	b.t.Cleanup(func() { ws.Close() })
	return &bubbleConn{ws, b.t, here}
}

// vanish makes the connection half-open: the peer says nothing any more, and takes
// whatever it is sent, as a network does that loses it.
func (c *bubbleConn) vanish() { go io.Copy(io.Discard, c.raw) }

// untilClosed reads until the relay closes the connection. It gives what came, the
// close code, and the reason.
func (c *bubbleConn) untilClosed() (got []object, code int, reason string) {
	for {
		var o object
		err := c.ReadJSON(&o)
		if closed, ok := err.(*websocket.CloseError); ok {
			return got, closed.Code, closed.Text
		}
		if err != nil {
			return got, 0, ""
		}
		got = append(got, o)
	}
}

// listen reads in the background, for control pings to be answered.
func (c *bubbleConn) listen() <-chan object {
	messages := make(chan object, 1000)
	go func() {
		defer close(messages)
		for {
			var o object
			if c.ReadJSON(&o) != nil {
				return
			}
			messages <- o
		}
	}()
	return messages
}

func (c *bubbleConn) say(o object) {
	c.t.Helper()
	writeObject(c.t, c.Conn, o)
}

func (c *bubbleConn) hear() object {
	c.t.Helper()
	var o object
	if err := c.ReadJSON(&o); err != nil {
		c.t.Fatal(err)
	}
	return o
}

func (b *bubble) open() int { return len(b.connections.all()) }

// wait lets time pass until a condition holds, and says how long that took.
func (b *bubble) wait(most time.Duration, ok func() bool) time.Duration {
	b.t.Helper()
	start := time.Now()
	for !ok() {
		if time.Since(start) > most {
			b.t.Errorf("not so after %v", most)
			break
		}
		time.Sleep(100 * time.Millisecond) // of the bubble's time
	}
	return time.Since(start)
}

var declaredReady = object{"type": "ready", "protocol": 2, "capabilities": []wire.Capability{wire.CapActions, wire.CapNotices}, "agent": "test/1"}
