package wsapi

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"culvert/backend/awslocal/clock"
)

func TestLimitsOfMessagesFromClients(t *testing.T) {
	t.Parallel()
	const kb = 1 << 10
	type piece struct {
		op   opcode
		size int
	}
	for name, test := range map[string]struct {
		pieces []piece
		code   int // of the close frame; 0: delivered
	}{
		"a whole frame":           {[]piece{{opText, 32 * kb}}, 0},
		"frame over 32 KB":        {[]piece{{opText, 32*kb + 1}}, 1009},
		"a whole message":         {[]piece{{opText, 32 * kb}, {0, 32 * kb}, {0, 32 * kb}, {0, 32 * kb}}, 0},
		"message over 128 KB":     {[]piece{{opText, 32 * kb}, {0, 32 * kb}, {0, 32 * kb}, {0, 32 * kb}, {0, 1}}, 1009},
		"second frame over 32 KB": {[]piece{{opText, 1}, {0, 32*kb + 1}}, 1009},
		"binary":                  {[]piece{{opBinary, 5}}, 1003},
		"large binary":            {[]piece{{opBinary, 40 * kb}}, 1003},
		"ping between":            {[]piece{{opText, 3}, {opPing, 3}, {0, 3}}, 0},
		"continues nothing":       {[]piece{{0, 3}}, 1002},
		"text between":            {[]piece{{opText, 3}, {opText, 3}}, 1002},
		"unknown kind":            {[]piece{{0x5, 3}}, 1002},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := start(t, nil)
			p := x.rawDial()
			x.next("CONNECT")
			total := 0
			for i, piece := range test.pieces {
				last := i == len(test.pieces)-1
				p.frame(last || piece.op.control(), piece.op, bytes.Repeat([]byte("x"), piece.size))
				if !piece.op.control() {
					total += piece.size
				}
			}
			if test.code == 0 {
				if got := len(x.next("MESSAGE").Body); got != total {
					t.Errorf("a message of %d bytes arrived, want %d", got, total)
				}
				return
			}
			if got := p.closeCode(); got != test.code {
				t.Errorf("closed with %d, want %d", got, test.code)
			}
			p.Close()
			if got := x.next("DISCONNECT").RequestContext.DisconnectStatusCode; got != int64(test.code) {
				t.Errorf("$disconnect has status %d, want %d", got, test.code)
			}
			if got := x.used.of(MessageIn); len(got) != 0 {
				t.Errorf("a message was taken: %+v", got)
			}
		})
	}
}

func TestTextMustBeUTF8(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	p := x.rawDial()
	p.frame(true, opText, []byte("\xff"))
	if got := p.closeCode(); got != 1007 {
		t.Errorf("closed with %d, want 1007", got)
	}
	// A character may be cut by a frame's end.
	p = x.rawDial()
	p.frame(false, opText, []byte("\xc3"))
	p.frame(true, opContinuation, []byte("\xa4"))
	for {
		if i := <-x.f.invoked; i.RequestContext.EventType == "MESSAGE" {
			if i.Body != "ä" {
				t.Errorf("got %q", i.Body)
			}
			break
		}
	}
}

// What is over 32 KB comes to the client in several frames, as text.
func TestMessagesToClientsAreFragmented(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	p := x.rawDial()
	id := x.next("CONNECT").id()
	for _, test := range []struct {
		size   int
		frames []string
	}{
		{1, []string{"fin=true op=1 1"}},
		{32 << 10, []string{"fin=true op=1 32768"}},
		{32<<10 + 1, []string{"fin=false op=1 32768", "fin=true op=0 1"}},
		{128 << 10, []string{"fin=false op=1 32768", "fin=false op=0 32768", "fin=false op=0 32768", "fin=true op=0 32768"}},
	} {
		text := strings.Repeat("x", test.size)
		x.mustPost(id, text)
		var got []string
		whole := ""
		for {
			f := p.readServerFrame()
			got = append(got, fmt.Sprintf("fin=%v op=%d %d", f.fin, f.op, len(f.payload)))
			whole += string(f.payload)
			if f.fin {
				break
			}
		}
		if diff := cmp.Diff(test.frames, got); diff != "" || whole != text {
			t.Errorf("%d bytes:\n%s", test.size, diff)
		}
	}
}

// idleFixture has a client on a clock that stands still.
func idleFixture(t *testing.T) (*fixture, *clock.Movable, *websocket.Conn, string) {
	c := clock.NewStopped(time.Now())
	x := start(t, func(cfg *Config) { cfg.Clock = c })
	ws, i := x.dial()
	return x, c, ws, i.id()
}

func TestIdleConnectionIsClosed(t *testing.T) {
	t.Parallel()
	x, c, ws, id := idleFixture(t)
	c.Advance(10*time.Minute - time.Millisecond)
	x.mustBeOpen(id)
	c.Advance(time.Millisecond)
	if code, reason := closed(t, ws); code != 1001 || reason != "Going away" {
		t.Errorf("closed with %d %q, want 1001", code, reason)
	}
	ws.Close()
	if got := x.next("DISCONNECT"); got.RequestContext.DisconnectStatusCode != 1001 || got.id() != id {
		t.Errorf("$disconnect %+v", got.RequestContext)
	}
	wantKind(t, x.post(id, "x"), "GoneException", 410)
}

func TestMessagesKeepConnectionsOpen(t *testing.T) {
	t.Parallel()
	for name, speak := range map[string]func(x *fixture, ws *websocket.Conn, id string){
		"from the client": func(x *fixture, ws *websocket.Conn, _ string) {
			send(t, ws, "still here")
			x.next("MESSAGE")
		},
		"to the client": func(x *fixture, ws *websocket.Conn, id string) {
			x.mustPost(id, "still here")
			read(t, ws)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x, c, ws, id := idleFixture(t)
			for range 3 {
				c.Advance(9 * time.Minute)
				speak(x, ws, id)
			}
			x.mustBeOpen(id)
			c.Advance(10 * time.Minute)
			if code, _ := closed(t, ws); code != 1001 {
				t.Errorf("closed with %d, want 1001", code)
			}
		})
	}
}

// Ping and pong do not count as traffic.
func TestControlFramesDoNotResetIdleTimer(t *testing.T) {
	t.Parallel()
	x, c, ws, id := idleFixture(t)
	ponged := make(chan string, 1)
	ws.SetPongHandler(func(data string) error { ponged <- data; return nil })
	c.Advance(9 * time.Minute)
	deadline := time.Now().Add(20 * time.Second)
	ws.WriteControl(websocket.PongMessage, []byte("unasked"), deadline)
	ws.WriteControl(websocket.PingMessage, []byte("alive?"), deadline)
	code := make(chan int)
	go func() {
		got, _ := closed(t, ws)
		code <- got
	}()
	if got := <-ponged; got != "alive?" {
		t.Errorf("ponged %q", got)
	}
	x.mustBeOpen(id)
	c.Advance(time.Minute)
	if got := <-code; got != 1001 {
		t.Errorf("closed with %d, want 1001", got)
	}
}

func TestConnectionEndsAfterTwoHours(t *testing.T) {
	t.Parallel()
	x, c, ws, id := idleFixture(t)
	for range 23 {
		c.Advance(5 * time.Minute)
		send(t, ws, "busy")
		x.next("MESSAGE")
	}
	c.Advance(5*time.Minute - time.Millisecond)
	x.mustBeOpen(id)
	send(t, ws, "busy")
	x.next("MESSAGE")
	c.Advance(time.Millisecond)
	if code, reason := closed(t, ws); code != 1001 || reason != "Going away" {
		t.Errorf("closed with %d %q, want 1001", code, reason)
	}
	ws.Close()
	x.next("DISCONNECT")
	if got := x.used.of(Disconnected); len(got) != 1 || got[0].Duration != 2*time.Hour || got[0].Minutes() != 120 {
		t.Errorf("billed %+v", got)
	}
}

// What was posted before the end is still sent, and what comes after it is nobody's.
func TestClosingSendsWhatWasAccepted(t *testing.T) {
	t.Parallel()
	x, c, ws, id := idleFixture(t)
	large := strings.Repeat("x", 100<<10)
	for range 5 {
		x.mustPost(id, large)
	}
	c.Advance(2 * time.Hour)
	for i := range 5 {
		if got := read(t, ws); got != large {
			t.Fatalf("message %d has %d bytes", i, len(got))
		}
	}
	if code, _ := closed(t, ws); code != 1001 {
		t.Errorf("closed with %d, want 1001", code)
	}
	ws.Close()
	x.next("DISCONNECT")
}

// The same where the writer learns of the end before it has sent anything.
func TestEndFlushesTheQueue(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	server, client := net.Pipe()
	defer client.Close()
	p := &peer{api: x.API, conn: server, open: true, wake: make(chan struct{}, 1), done: make(chan struct{})}
	if err := p.enqueue([]byte("accepted")); err != nil {
		t.Fatal(err)
	}
	<-p.wake
	p.end(ending{code: closeNormal})
	go func() {
		defer server.Close()
		p.write(server)
	}()
	got, err := io.ReadAll(client)
	if want := "\x81\x08accepted\x88\x02\x03\xe8"; err != nil || string(got) != want {
		t.Errorf("sent %q, %v, want %q", got, err, want)
	}
}

// halfConn notes in which order a connection is closed.
type halfConn struct {
	net.Conn
	unread int
	did    []string
}

func (c *halfConn) Read(p []byte) (int, error) {
	n := min(len(p), c.unread)
	c.unread -= n
	if n == 0 {
		c.did = append(c.did, "read to the end")
		return 0, io.EOF
	}
	return n, nil
}

func (c *halfConn) CloseWrite() error { c.did = append(c.did, "closed for writing"); return nil }
func (c *halfConn) Close() error      { c.did = append(c.did, "closed"); return nil }

// Closing while the client still sends would reset the connection, and could lose
// the close frame on its way.
func TestClosingReadsWhatTheClientStillSends(t *testing.T) {
	t.Parallel()
	all := []string{"closed for writing", "read to the end", "closed"}
	for name, test := range map[string]struct {
		ending ending
		hung   bool
		want   []string
	}{
		"by the gateway": {ending{code: closeTooBig}, false, all},
		"by the client":  {ending{code: closeNormal, closed: true}, false, all[2:]},
		"cut":            {ending{code: closeAbnormal, cut: true}, false, all[2:]},
		"half-open":      {ending{code: closeGoingAway}, true, all[2:]},
	} {
		c := &halfConn{unread: 100 << 10}
		(&peer{ending: test.ending, hung: test.hung}).linger(c)
		if diff := cmp.Diff(test.want, c.did); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// A client that has been sent its close frame is no longer listened to.
func TestNothingIsTakenAfterTheEnd(t *testing.T) {
	t.Parallel()
	x, c, ws, _ := idleFixture(t)
	c.Advance(10 * time.Minute)
	send(t, ws, "too late")
	if code, _ := closed(t, ws); code != 1001 {
		t.Errorf("closed with %d, want 1001", code)
	}
	ws.Close()
	x.next("DISCONNECT")
	x.noInvocation()
}

func (x *fixture) mustBeOpen(id string) {
	x.t.Helper()
	for _, c := range x.Connections() {
		if c.ID == id && c.Open {
			return
		}
	}
	x.t.Errorf("connection %s is not open", id)
}

// A slow function does not hold up the client's other messages, however many.
func TestMessagesAreDeliveredConcurrently(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	release := make(chan struct{})
	x.f.answers(func(_ context.Context, i invocation) (string, error) {
		if i.Body == "slow" {
			<-release
		}
		return `{"statusCode":200}`, nil
	})
	ws, _ := x.dial()
	for range 20 {
		send(t, ws, "slow")
	}
	send(t, ws, "quick")
	seen := map[string]int{}
	for range 21 {
		seen[x.next("MESSAGE").Body]++
	}
	if diff := cmp.Diff(map[string]int{"slow": 20, "quick": 1}, seen); diff != "" {
		t.Error(diff)
	}
	close(release)
}
