package engine

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"culvert/app/exchange"
	"culvert/app/session"
	"culvert/app/target"
)

// TestStreams are told when they begin, can be read while they last, and keep their ID.
func TestStreams(t *testing.T) {
	t.Parallel()
	more := make(chan bool)
	upgrader := websocket.Upgrader{EnableCompression: true}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
			for _, text := range []string{"event: a\ndata: one\n\n", "data: two\n\n"} {
				io.WriteString(w, text)
				w.(http.Flusher).Flush()
				<-more
			}
			return
		}
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		for {
			kind, p, err := c.ReadMessage()
			if err != nil {
				return
			}
			c.WriteMessage(kind, append([]byte("echo "), p...))
		}
	}))
	defer s.Close()
	to, err := target.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	e, l := start(t, Config{Dir: folder(t), Bodies: true})
	tun := open(t, e, Spec{Target: to})
	url := state(t, l, session.Online).Established.PublicURL

	// Server-sent events.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	lines := bufio.NewReader(answer.Body)
	if line, err := lines.ReadString('\n'); line != "event: a\n" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
	events := wait(t, l, "stream", func(e StreamOpened) bool { return e.Tunnel == tun }).Stream
	snapshot := events.Snapshot()
	open := Exchange(tun, &snapshot)
	if !open.Open || open.Path != "/events" || open.Status != 200 || len(open.Messages) != 1 || open.Messages[0].Name != "a" || string(open.Messages[0].Data) != "one" || open.ID == "" {
		t.Errorf("so far %+v", open)
	}
	more <- true
	more <- true
	done := wait(t, l, "end", func(e RequestDone) bool { return e.Exchange.Path == "/events" }).Exchange
	closed := Exchange(tun, done)
	if closed.Open || closed.ID != open.ID || !closed.Start.Equal(open.Start) || len(closed.Messages) != 2 || done.Stream != events || string(closed.Messages[1].Data) != "two" {
		t.Errorf("at the end %+v", closed)
	}

	// A WebSocket with compression.
	dialer := websocket.Dialer{EnableCompression: true, HandshakeTimeout: patience}
	c, _, err := dialer.Dial("ws"+strings.TrimPrefix(url, "http")+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	text := strings.Repeat("hello ", 100)
	c.WriteMessage(websocket.TextMessage, []byte(text))
	c.SetReadDeadline(time.Now().Add(patience))
	if _, p, err := c.ReadMessage(); string(p) != "echo "+text || err != nil {
		t.Errorf("%q, %v", p, err)
	}
	frames := wait(t, l, "stream", func(e StreamOpened) bool { return e.Tunnel == tun }).Stream
	c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, "bye"), time.Now().Add(patience))
	c.Close()
	ws := Exchange(tun, wait(t, l, "end", func(e RequestDone) bool { return e.Exchange.Path == "/ws" }).Exchange)
	if len(ws.Messages) < 3 || string(ws.Messages[0].Data) != text || ws.Messages[0].From != exchange.FromVisitor || ws.Messages[0].Kind != exchange.Text ||
		string(ws.Messages[1].Data) != "echo "+text || ws.Messages[1].From != exchange.FromService || ws.Messages[2].Kind != exchange.Close {
		t.Errorf("messages %+v", ws.Messages)
	}
	if !frames.Done() || ws.Upgrade != "websocket" || ws.ID == closed.ID || !frames.Readable() {
		t.Errorf("at the end %+v", ws)
	}
	if _, err := ReplayOf(ws); err == nil {
		t.Error("a WebSocket can be replayed")
	}
}
