package mux

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gorilla/websocket"

	"culvert/backend/wire"
	"culvert/backend/wsframe"
)

// gated is a socket whose first write takes until it is opened, as on a busy line. It
// counts writes.
type gated struct {
	net.Conn
	writes atomic.Int64
	open   chan struct{}
}

func (g *gated) Write(p []byte) (int, error) {
	g.writes.Add(1)
	<-g.open
	return g.Conn.Write(p)
}

func gate(ws *websocket.Conn, client bool) (*wsframe.Conn, *gated) {
	g := &gated{Conn: ws.NetConn(), open: make(chan struct{})}
	return wsframe.New(g, nil, client, wire.MaxMessage), g
}

const sharing = 64 // streams

// What many streams have to send while a message is under way leaves in the next one,
// with one write: that is what keeps a request cheap under load.
func TestAnswersShareMessages(t *testing.T) {
	t.Parallel()
	b, a := sockets(t)
	ws, line := gate(a, true)
	var answered sync.WaitGroup
	answered.Add(sharing)
	run(t, New(ws, Config{Handler: func(s *Stream) {
		defer answered.Done()
		s.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: 200}, false)
		s.WriteLast(make([]byte, 200))
	}}))
	var requests []byte
	for n := range sharing {
		requests = append(requests, requestFrame(t, uint32(n+1), get(fmt.Sprint("/", n)), true)...)
	}
	if err := b.WriteMessage(websocket.BinaryMessage, requests); err != nil {
		t.Fatal(err)
	}
	answered.Wait()
	close(line.open)
	wantShared(t, b, line, func(h wire.FrameHeader) bool { return h.Type == wire.FrameData && h.End })
}

func TestRequestsShareMessages(t *testing.T) {
	t.Parallel()
	b, a := sockets(t)
	ws, line := gate(b, false)
	backend := run(t, New(ws, Config{}))
	var asked sync.WaitGroup
	for n := range sharing {
		asked.Go(func() {
			s, err := backend.Open(get(fmt.Sprint("/", n)), true)
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { s.Reset(wire.ResetCancel, "") })
		})
	}
	asked.Wait()
	close(line.open)
	wantShared(t, a, line, func(h wire.FrameHeader) bool { return h.Type == wire.FrameRequest && h.End })
}

// wantShared wants all streams to end in two messages: the one that was under way, and
// the next.
func wantShared(t *testing.T, peer *websocket.Conn, line *gated, ends func(wire.FrameHeader) bool) {
	t.Helper()
	messages, ended := 0, map[uint32]bool{}
	for len(ended) < sharing {
		_, rest, err := peer.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		messages++
		for len(rest) > 0 {
			var h wire.FrameHeader
			if h, _, rest, err = wire.NextFrame(rest); err != nil {
				t.Fatal(err)
			}
			if ends(h) {
				ended[h.Stream] = true
			}
		}
	}
	peer.Close() // it would not answer a close
	if writes := line.writes.Load(); messages > 2 || writes > 2 {
		t.Errorf("%d streams took %d messages, in %d writes; want 2", sharing, messages, writes)
	}
}
