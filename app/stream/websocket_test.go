package stream

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"culvert/app/exchange"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

const (
	fin  = 0x80
	rsv1 = 0x40
)

// wsFrame is a frame on the wire; mask 0 means none.
func wsFrame(first byte, mask uint32, payload string) []byte {
	out := []byte{first, 0}
	switch n := len(payload); {
	case n < 126:
		out[1] = byte(n)
	case n < 1<<16:
		out[1] = 126
		out = binary.BigEndian.AppendUint16(out, uint16(n))
	default:
		out[1] = 127
		out = binary.BigEndian.AppendUint64(out, uint64(n))
	}
	data := []byte(payload)
	if mask != 0 {
		out[1] |= 0x80
		key := binary.BigEndian.AppendUint32(nil, mask)
		out = append(out, key...)
		for i := range data {
			data[i] ^= key[i%4]
		}
	}
	return append(out, data...)
}

// decode tells a decoder of the bytes in pieces of at most n.
func decode(d Decoder, from exchange.Direction, wire []byte, n int) []exchange.StreamMessage {
	var messages []exchange.StreamMessage
	for len(wire) > 0 {
		k := min(n, len(wire))
		d.Write(from, wire[:k], noon, func(m exchange.StreamMessage) { messages = append(messages, m) })
		wire = wire[k:]
	}
	return messages
}

func message(from exchange.Direction, kind exchange.MessageKind, data string) exchange.StreamMessage {
	return exchange.StreamMessage{Time: noon, From: from, Kind: kind, Data: []byte(data), Size: int64(len(data))}
}

var empty = cmp.Transformer("bytes", func(b []byte) string { return string(b) })

// sharing is a response that agreed on compression, with parameters.
func sharing(parameters string) http.Header {
	return http.Header{"Sec-Websocket-Extensions": {"permessage-deflate" + parameters}}
}

func TestWebSocketFrames(t *testing.T) {
	t.Parallel()
	const v, s = exchange.FromVisitor, exchange.FromService
	long := strings.Repeat("0123456789abcdef", 20)
	huge := strings.Repeat("x", 1<<16)
	tests := []struct {
		name   string
		from   exchange.Direction
		wire   [][]byte
		want   []exchange.StreamMessage
		broken bool
	}{
		{"text", s, [][]byte{wsFrame(fin|opText, 0, "Hello")}, []exchange.StreamMessage{message(s, exchange.Text, "Hello")}, false},
		{"masked", v, [][]byte{wsFrame(fin|opText, 0x37fa213d, "Hello")}, []exchange.StreamMessage{message(v, exchange.Text, "Hello")}, false},
		{"empty", v, [][]byte{wsFrame(fin|opBinary, 1, "")}, []exchange.StreamMessage{message(v, exchange.Binary, "")}, false},
		{"16-bit length", v, [][]byte{wsFrame(fin|opText, 9, long)}, []exchange.StreamMessage{message(v, exchange.Text, long)}, false},
		{"64-bit length", s, [][]byte{wsFrame(fin|opBinary, 0, huge)}, []exchange.StreamMessage{message(s, exchange.Binary, huge)}, false},
		{"fragments with a ping between", v, [][]byte{
			wsFrame(opText, 5, "Hel"), wsFrame(fin|opPing, 6, "?"), wsFrame(opContinuation, 7, ""), wsFrame(fin|opContinuation, 8, "lo"),
		}, []exchange.StreamMessage{message(v, exchange.Ping, "?"), message(v, exchange.Text, "Hello")}, false},
		{"nothing after a close", s, [][]byte{
			wsFrame(fin|opPong, 0, ""), wsFrame(fin|opClose, 0, "\x03\xe8bye"), wsFrame(fin|opText, 0, "late"),
		}, []exchange.StreamMessage{message(s, exchange.Pong, ""), message(s, exchange.Close, "\x03\xe8bye")}, false},
		{"too long for what is kept", s, [][]byte{wsFrame(fin|opText, 0, huge+"yz")}, []exchange.StreamMessage{
			{Time: noon, From: s, Data: []byte(huge), Size: 1<<16 + 2, Truncated: true},
		}, false},
		{"cut between runes", s, [][]byte{wsFrame(fin|opText, 0, huge[1:]+"é")}, []exchange.StreamMessage{
			{Time: noon, From: s, Data: []byte(huge[1:]), Size: 1<<16 + 1, Truncated: true},
		}, false},

		{"garbage", s, [][]byte{[]byte("HTTP/1.1 200 OK\r\n")}, nil, true},
		{"reserved bits", s, [][]byte{wsFrame(fin|0x20|opText, 0, "x")}, nil, true},
		{"compression that was not agreed on", s, [][]byte{wsFrame(fin|rsv1|opText, 0, "x")}, nil, true},
		{"reserved opcode", s, [][]byte{wsFrame(fin|3, 0, "x")}, nil, true},
		{"control frame in fragments", s, [][]byte{wsFrame(opPing, 0, "x")}, nil, true},
		{"long control frame", s, [][]byte{wsFrame(fin|opPing, 0, long)}, nil, true},
		{"continuation of nothing", s, [][]byte{wsFrame(fin|opContinuation, 0, "x")}, nil, true},
		{"message within a message", s, [][]byte{wsFrame(opText, 0, "x"), wsFrame(fin|opText, 0, "y")}, nil, true},
		{"endless frame", s, [][]byte{{fin | opText, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 'x'}}, nil, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			wire := bytes.Join(test.wire, nil)
			for _, n := range []int{1, 3, 1000, len(wire)} {
				w := NewWebSocket(nil, http.Header{})
				got := decode(w, test.from, bytes.Clone(wire), n)
				if diff := cmp.Diff(test.want, got, empty); diff != "" {
					t.Errorf("in pieces of %d: %s", n, diff)
				}
				if w.Broken() != test.broken {
					t.Errorf("in pieces of %d: broken is %v", n, w.Broken())
				}
				w.Close()
			}
		})
	}
}

func TestWebSocketSidesAreApart(t *testing.T) {
	t.Parallel()
	w := NewWebSocket(nil, nil)
	decode(w, exchange.FromService, bytes.Repeat([]byte{0xff}, 14), 20)
	got := decode(w, exchange.FromVisitor, wsFrame(fin|opText, 3, "still here"), 100)
	if want := []exchange.StreamMessage{message(exchange.FromVisitor, exchange.Text, "still here")}; !cmp.Equal(want, got) {
		t.Errorf("after garbage on the other side: %v", got)
	}
	if !w.Broken() {
		t.Error("it is not broken")
	}
}

// TestWebSocketKeepsWhatItIsGiven checks that emitted data does not change when
// the reader's buffer does.
func TestWebSocketKeepsWhatItIsGiven(t *testing.T) {
	t.Parallel()
	w := NewWebSocket(nil, nil)
	wire := wsFrame(fin|opText, 0, "first")
	got := decode(w, exchange.FromService, wire, 100)
	clear(wire)
	decode(w, exchange.FromService, wsFrame(fin|opText, 0, "other"), 100)
	if string(got[0].Data) != "first" {
		t.Errorf("became %q", got[0].Data)
	}
	if string(wire) != strings.Repeat("\x00", len(wire)) {
		t.Error("it has written into what passes")
	}
}

// deflated compresses messages as permessage-deflate does, with context takeover.
type deflated struct {
	out bytes.Buffer
	w   *flate.Writer
}

func (d *deflated) frame(text string) []byte {
	if d.w == nil {
		d.w, _ = flate.NewWriter(&d.out, flate.BestSpeed)
	}
	io.WriteString(d.w, text)
	d.w.Flush()
	data := strings.TrimSuffix(d.out.String(), "\x00\x00\xff\xff")
	d.out.Reset()
	return wsFrame(fin|rsv1|opText, 0, data)
}

func TestWebSocketCompressed(t *testing.T) {
	t.Parallel()
	texts := []string{"Hello, Hello, Hello", "", "Hello, Hello, Hello", strings.Repeat("a long text, ", 9000), "a long text, Hello, Hello"}
	var d deflated
	var wire []byte
	for _, text := range texts {
		wire = append(wire, d.frame(text)...)
	}
	for _, n := range []int{1, 7, len(wire)} {
		w := NewWebSocket(nil, sharing("; client_max_window_bits=15"))
		got := decode(w, exchange.FromService, bytes.Clone(wire), n)
		if len(got) != len(texts) || w.Broken() {
			t.Fatalf("%d messages of %d, broken: %v", len(got), len(texts), w.Broken())
		}
		for i, text := range texts {
			if got[i].Size != int64(len(text)) || string(got[i].Data) != text[:min(len(text), MaxData)] || got[i].Truncated != (len(text) > MaxData) {
				t.Errorf("message %d: %d bytes %.40q", i, got[i].Size, got[i].Data)
			}
		}
	}
}

// TestWebSocketExample is RFC 7692's own (7.2.3.1 and 7.2.3.2).
func TestWebSocketExample(t *testing.T) {
	t.Parallel()
	first := []byte{0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}
	second := []byte{0xc1, 0x05, 0xf2, 0x00, 0x11, 0x00, 0x00}
	fragments := []byte{0x41, 0x03, 0xf2, 0x48, 0xcd, 0x80, 0x04, 0xc9, 0xc9, 0x07, 0x00}
	w := NewWebSocket(nil, sharing(""))
	for i, wire := range [][]byte{first, second, fragments} {
		got := decode(w, exchange.FromService, wire, 4)
		if len(got) != 1 || string(got[0].Data) != "Hello" {
			t.Errorf("frame %d: %v", i, got)
		}
	}
}

func TestWebSocketBomb(t *testing.T) {
	t.Parallel()
	var d deflated
	wire := append(d.frame(strings.Repeat("\x00", maxGrowth+maxGrowth/4)), d.frame("after")...)
	for _, parameters := range []string{"", "; server_no_context_takeover"} {
		w := NewWebSocket(nil, sharing(parameters))
		got := decode(w, exchange.FromService, wire, 1<<20)
		if w.Broken() || len(got) != 2 {
			t.Fatalf("%d messages, broken: %v", len(got), w.Broken())
		}
		if got[0].Size > 2*maxGrowth || !got[0].Truncated || len(got[0].Data) != MaxData {
			t.Errorf("the bomb: %d bytes of %d", len(got[0].Data), got[0].Size)
		}
		if len(got[1].Data) != 0 || !got[1].Truncated {
			t.Errorf("after it: %q, without its context", got[1].Data)
		}
	}
}

func TestWebSocketBrokenCompression(t *testing.T) {
	t.Parallel()
	w := NewWebSocket(nil, sharing(""))
	if got := decode(w, exchange.FromService, wsFrame(fin|rsv1|opText, 0, "\xff\xff\xff"), 9); len(got) != 0 || !w.Broken() {
		t.Errorf("%v, broken: %v", got, w.Broken())
	}
}

// TestWebSocketOfGorilla watches a real connection, compressed on both sides.
func TestWebSocketOfGorilla(t *testing.T) {
	t.Parallel()
	upgrader := websocket.Upgrader{EnableCompression: true}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			kind, p, err := c.ReadMessage()
			if err != nil || c.WriteMessage(kind, p) != nil {
				return
			}
		}
	}))
	defer server.Close()
	var tap *tapped
	dialer := websocket.Dialer{EnableCompression: true, WriteBufferSize: 200, NetDial: func(network, address string) (net.Conn, error) {
		c, err := net.Dial(network, address)
		tap = &tapped{Conn: c}
		return tap, err
	}}
	c, response, err := dialer.Dial("ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	tap.start(NewWebSocket(response.Request.Header, response.Header))
	random := rand.New(rand.NewPCG(1, 2))
	var sent []string
	for i := range 50 {
		text := strings.Repeat("words and "+string(rune('a'+i%26)), random.IntN(300))
		sent = append(sent, text)
		if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, p, err := c.ReadMessage(); err != nil || string(p) != text {
			t.Fatalf("the echo: %q, %v", p, err)
		}
	}
	for from, got := range tap.messages() {
		var texts []string
		for _, m := range got {
			texts = append(texts, string(m.Data))
		}
		if diff := cmp.Diff(sent, texts); diff != "" {
			t.Errorf("direction %d: %s", from, diff)
		}
	}
}

// tapped is a connection that tells a decoder what passes.
type tapped struct {
	net.Conn
	mu      sync.Mutex
	decoder *WebSocket
	got     [2][]exchange.StreamMessage
}

func (c *tapped) start(w *WebSocket) { c.mu.Lock(); c.decoder = w; c.mu.Unlock() }

func (c *tapped) messages() [2][]exchange.StreamMessage {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.got
}

func (c *tapped) tell(from exchange.Direction, p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.decoder != nil {
		c.decoder.Write(from, p, noon, func(m exchange.StreamMessage) { c.got[from] = append(c.got[from], m) })
	}
}

func (c *tapped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.tell(exchange.FromService, p[:n])
	return n, err
}

func (c *tapped) Write(p []byte) (int, error) {
	c.tell(exchange.FromVisitor, p)
	return c.Conn.Write(p)
}

func FuzzWebSocket(f *testing.F) {
	f.Add(wsFrame(fin|opText, 0x01020304, "Hello"), uint8(1), false)
	f.Add(append(wsFrame(opText, 0, "a"), wsFrame(fin|opContinuation, 0, "b")...), uint8(3), false)
	f.Add([]byte{0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0xc1, 0x05, 0xf2, 0x00, 0x11, 0x00, 0x00}, uint8(2), true)
	f.Add(wsFrame(fin|opClose, 7, "\x03\xe8"), uint8(9), true)
	f.Fuzz(func(t *testing.T, wire []byte, piece uint8, compressed bool) {
		var header http.Header
		if compressed {
			header = sharing("")
		}
		whole, pieces := NewWebSocket(nil, header), NewWebSocket(nil, header)
		want := decode(whole, exchange.FromVisitor, bytes.Clone(wire), len(wire))
		got := decode(pieces, exchange.FromVisitor, bytes.Clone(wire), int(piece)+1)
		if diff := cmp.Diff(want, got, empty); diff != "" {
			t.Error(diff)
		}
		if whole.Broken() != pieces.Broken() {
			t.Errorf("broken: %v, in pieces: %v", whole.Broken(), pieces.Broken())
		}
		for _, m := range got {
			if len(m.Data) > MaxData || int64(len(m.Data)) > m.Size || m.Truncated != (int64(len(m.Data)) < m.Size) {
				t.Errorf("%d bytes of %d, truncated: %v", len(m.Data), m.Size, m.Truncated)
			}
		}
	})
}

func BenchmarkWebSocket(b *testing.B) {
	wire := bytes.Repeat(wsFrame(fin|opText, 0x01020304, strings.Repeat("x", 200)), 100)
	w := NewWebSocket(nil, nil)
	b.SetBytes(int64(len(wire)))
	b.ReportAllocs()
	for b.Loop() {
		w.Write(exchange.FromVisitor, wire, noon, func(exchange.StreamMessage) {})
	}
}
