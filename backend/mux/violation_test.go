package mux

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"culvert/backend/wire"
)

func frame(id uint32, typ wire.FrameType, end bool, payload []byte) []byte {
	b := wire.AppendFrameHeader(nil, wire.FrameHeader{Stream: id, Length: len(payload), Type: typ, End: end})
	return append(b, payload...)
}

func requestFrame(t testing.TB, id uint32, h *wire.RequestHead, end bool) []byte {
	t.Helper()
	p, err := wire.AppendRequestHead(nil, h)
	if err != nil {
		t.Fatal(err)
	}
	return frame(id, wire.FrameRequest, end, p)
}

func responseFrame(t testing.TB, id uint32, status int, end bool) []byte {
	t.Helper()
	p, err := wire.AppendResponseHead(nil, &wire.ResponseHead{Status: status, ContentLength: -1})
	if err != nil {
		t.Fatal(err)
	}
	return frame(id, wire.FrameResponse, end, p)
}

// next gives the next frame that the connection under test has sent.
type frameReader struct {
	ws   *websocket.Conn
	rest []byte
}

func (r *frameReader) next(t testing.TB) (wire.FrameHeader, []byte) {
	t.Helper()
	for len(r.rest) == 0 {
		_, p, err := r.ws.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		r.rest = p
	}
	h, payload, rest, err := wire.NextFrame(r.rest)
	if err != nil {
		t.Fatal(err)
	}
	r.rest = rest
	return h, payload
}

// A violation on a stream costs the agent's stream, and the connection goes on.
func TestViolationsEndOnlyTheStream(t *testing.T) {
	t.Parallel()
	head := requestFrame(t, 1, post("/wait"), false)
	ended := requestFrame(t, 1, get("/wait"), true)
	for name, message := range map[string][]byte{
		"malformed head":        frame(1, wire.FrameRequest, true, []byte{0xff}),
		"empty head":            frame(1, wire.FrameRequest, true, nil),
		"request twice":         append(bytes.Clone(head), head...),
		"data after end":        append(bytes.Clone(ended), frame(1, wire.FrameData, false, []byte("x"))...),
		"trailers after end":    append(bytes.Clone(ended), frame(1, wire.FrameTrailers, false, []byte{0})...),
		"malformed trailers":    append(bytes.Clone(head), frame(1, wire.FrameTrailers, false, []byte{9})...),
		"response from backend": append(bytes.Clone(head), responseFrame(t, 1, 200, true)...),
		"window of nothing":     append(bytes.Clone(head), wire.AppendWindow(nil, 1, 0)...),
		"window of too much":    append(bytes.Clone(head), wire.AppendWindow(nil, 1, wire.MaxWindow+1)...),
		"windows of too much":   append(bytes.Clone(head), wire.AppendWindow(nil, 1, wire.MaxWindow)...),
		"data over the window": append(bytes.Clone(head), append(
			frame(1, wire.FrameData, false, make([]byte, wire.MaxData)), frame(1, wire.FrameData, false, []byte("x"))...)...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, a := sockets(t)
			defer b.Close()
			run(t, New(framed(a, true), Config{Handler: func(s *Stream) {
				if s.Request().Target == "/wait" {
					<-s.Context().Done()
					return
				}
				s.WriteHead(ok(), true)
			}}))
			r := &frameReader{ws: b}
			b.WriteMessage(websocket.BinaryMessage, message)
			h, p := r.next(t)
			if h.Type != wire.FrameReset || h.Stream != 1 {
				t.Fatalf("got %v on stream %d, want a RESET", h.Type, h.Stream)
			}
			reset, err := wire.DecodeReset(p)
			if err != nil {
				t.Fatal(err)
			}
			wantReset(t, reset, wire.ResetProtocol)
			b.WriteMessage(websocket.BinaryMessage, requestFrame(t, 2, get("/"), true))
			if h, _ := r.next(t); h.Type != wire.FrameResponse || h.Stream != 2 {
				t.Errorf("got %v on stream %d, want the answer on the next one", h.Type, h.Stream)
			}
		})
	}
}

// The same for what an agent does wrong.
func TestAgentsViolationsEndOnlyTheStream(t *testing.T) {
	t.Parallel()
	data := frame(1, wire.FrameData, false, []byte("x"))
	for name, message := range map[string][]byte{
		"data before head":     data,
		"trailers before head": frame(1, wire.FrameTrailers, false, []byte{0}),
		"data after hint":      append(responseFrame(t, 1, 103, false), data...),
		"end with hint":        responseFrame(t, 1, 103, true),
		"malformed head":       frame(1, wire.FrameResponse, false, []byte{1}),
		"status 1000":          frame(1, wire.FrameResponse, false, []byte{0xe8, 0x07, 0, 0}),
		"too many hints":       bytes.Repeat(responseFrame(t, 1, 103, false), maxHeads+1),
		"second head": append(append(responseFrame(t, 1, 200, false), data...),
			responseFrame(t, 1, 200, false)...),
		"data after end": append(append(responseFrame(t, 1, 200, false), frame(1, wire.FrameData, true, nil)...), data...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, a := sockets(t)
			defer a.Close()
			backend := run(t, New(framed(b, false), Config{}))
			s := open(t, backend, post("/"), false)
			a.WriteMessage(websocket.BinaryMessage, message)
			<-s.Context().Done()
			_, err := s.Read(make([]byte, 1))
			wantReset(t, err, wire.ResetProtocol)
			_, err = s.ReadHead(t.Context())
			wantReset(t, err, wire.ResetProtocol)
			r := &frameReader{ws: a}
			for {
				if h, p := r.next(t); h.Type == wire.FrameReset {
					if p[0] != byte(wire.ResetProtocol) {
						t.Errorf("RESET with code %d", p[0])
					}
					break
				}
			}
			s = open(t, backend, get("/"), true)
			a.WriteMessage(websocket.BinaryMessage, responseFrame(t, 2, 204, true))
			readHead(t, s)
		})
	}
}

// What cannot be blamed on a stream ends the connection, and says so.
func TestViolationsThatEndTheConnection(t *testing.T) {
	t.Parallel()
	header := func(id uint32, length int, last byte) []byte {
		b := binary.BigEndian.AppendUint32(nil, id)
		return append(b, byte(length>>16), byte(length>>8), byte(length), last)
	}
	for name, c := range map[string]struct {
		typ     int
		message []byte
		code    int
		tooBig  bool
	}{
		"empty message":         {websocket.BinaryMessage, nil, websocket.CloseProtocolError, false},
		"half a header":         {websocket.BinaryMessage, []byte{0, 0, 0}, websocket.CloseProtocolError, false},
		"half a second header":  {websocket.BinaryMessage, append(wire.AppendWindow(nil, 7, 1), 0), websocket.CloseProtocolError, false},
		"no payload":            {websocket.BinaryMessage, header(1, 5, 0x30), websocket.CloseProtocolError, false},
		"half a payload":        {websocket.BinaryMessage, append(header(1, 5, 0x30), 1, 2), websocket.CloseProtocolError, false},
		"half a large payload":  {websocket.BinaryMessage, append(header(1, 50_000, 0x30), make([]byte, 40_000)...), websocket.CloseProtocolError, false},
		"half a head":           {websocket.BinaryMessage, append(header(1, 5, 0x10), 1, 2), websocket.CloseProtocolError, false},
		"stream 0":              {websocket.BinaryMessage, header(0, 0, 0x30), websocket.CloseProtocolError, false},
		"type 0":                {websocket.BinaryMessage, header(1, 0, 0x00), websocket.CloseProtocolError, false},
		"type 7":                {websocket.BinaryMessage, header(1, 0, 0x70), websocket.CloseProtocolError, false},
		"unknown flag":          {websocket.BinaryMessage, header(1, 0, 0x32), websocket.CloseProtocolError, false},
		"end on a window":       {websocket.BinaryMessage, header(1, 4, 0x61), websocket.CloseProtocolError, false},
		"short window":          {websocket.BinaryMessage, header(1, 3, 0x60), websocket.CloseProtocolError, false},
		"empty reset":           {websocket.BinaryMessage, header(1, 0, 0x50), websocket.CloseProtocolError, false},
		"data over its bound":   {websocket.BinaryMessage, header(1, wire.MaxData+1, 0x30), websocket.CloseMessageTooBig, true},
		"head over its bound":   {websocket.BinaryMessage, header(1, wire.MaxHead+1, 0x10), websocket.CloseMessageTooBig, true},
		"message over its size": {websocket.BinaryMessage, make([]byte, wire.MaxMessage+1), websocket.CloseMessageTooBig, true},
		"text over its size":    {websocket.TextMessage, make([]byte, wire.MaxControlMessage+1), websocket.CloseMessageTooBig, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, a := sockets(t)
			agent := run(t, New(framed(a, true), Config{Handler: echo}))
			if err := b.WriteMessage(c.typ, c.message); err != nil {
				t.Fatal(err)
			}
			err := agent.wait(t)
			if !errors.Is(err, wire.ErrProtocol) || errors.Is(err, wire.ErrTooLarge) != c.tooBig {
				t.Errorf("Run: %v", err)
			}
			_, _, err = b.ReadMessage()
			var closed *websocket.CloseError
			if !errors.As(err, &closed) || closed.Code != c.code {
				t.Errorf("peer was told %v, want code %d", err, c.code)
			}
		})
	}
}

func TestAgentMayNotOpen(t *testing.T) {
	t.Parallel()
	b, a := sockets(t)
	backend := run(t, New(framed(b, false), Config{}))
	a.WriteMessage(websocket.BinaryMessage, requestFrame(t, 1, get("/"), true))
	if err := backend.wait(t); !errors.Is(err, wire.ErrProtocol) || !strings.Contains(err.Error(), "REQUEST") {
		t.Errorf("Run: %v", err)
	}
}

// Frames for streams that are gone, or never were, are late ones.
func TestLateFramesAreIgnored(t *testing.T) {
	t.Parallel()
	b, a := sockets(t)
	defer b.Close()
	run(t, New(framed(a, true), Config{Handler: func(s *Stream) { s.WriteHead(ok(), true) }}))
	var m []byte
	m = append(m, frame(9, wire.FrameData, true, make([]byte, 5000))...)
	m = append(m, frame(9, wire.FrameData, false, nil)...)
	m = append(m, frame(9, wire.FrameTrailers, false, []byte{0xff})...)
	m = append(m, responseFrame(t, 9, 200, true)...)
	m = wire.AppendWindow(m, 9, 0)
	m = wire.AppendReset(m, 9, wire.ResetCancel, "")
	m = append(m, requestFrame(t, 9, get("/"), true)...)
	b.WriteMessage(websocket.BinaryMessage, m)
	r := &frameReader{ws: b}
	if h, _ := r.next(t); h.Type != wire.FrameResponse || h.Stream != 9 || !h.End {
		t.Errorf("got %+v, want the answer", h)
	}
}

// Single bytes cost what they hold, and a stream of them arrives whole.
func TestSingleBytes(t *testing.T) {
	t.Parallel()
	b, a := sockets(t)
	defer b.Close()
	got := make(chan []byte, 1)
	run(t, New(framed(a, true), Config{Handler: func(s *Stream) {
		body, err := io.ReadAll(s)
		if err != nil {
			t.Error(err)
		}
		got <- body
		s.WriteHead(ok(), true)
	}}))
	m := requestFrame(t, 1, post("/"), false)
	var want []byte
	for i := range 20_000 {
		m = append(m, frame(1, wire.FrameData, false, []byte{byte(i)})...)
		want = append(want, byte(i))
	}
	m = append(m, frame(1, wire.FrameData, true, nil)...)
	b.WriteMessage(websocket.BinaryMessage, m)
	if body := receive(t, got, "body"); !bytes.Equal(body, want) {
		t.Errorf("%d bytes came, want %d", len(body), len(want))
	}
}

func TestCutMessage(t *testing.T) {
	t.Parallel()
	var all []byte
	for i := range uint32(40) {
		all = append(all, frame(i+1, wire.FrameData, false, make([]byte, wire.MaxData-int(i)))...)
	}
	var again []byte
	for rest := all; len(rest) > 0; {
		m := cutMessage(rest)
		if len(m) == 0 || len(m) > wire.MaxMessage {
			t.Fatalf("message of %d bytes", len(m))
		}
		for p := m; len(p) > 0; {
			var err error
			if _, _, p, err = wire.NextFrame(p); err != nil {
				t.Fatalf("frame cut in two: %v", err)
			}
		}
		again = append(again, m...)
		rest = rest[len(m):]
	}
	if !bytes.Equal(again, all) {
		t.Error("frames were lost")
	}
}

func TestCloseMessage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		e      ending
		code   uint16
		reason string
	}{
		{ending{code: 1000, reason: "bye"}, 1000, "bye"},
		{ending{}, 1001, ""},
		{ending{code: websocket.CloseNoStatusReceived}, 1000, ""},
		{ending{code: 4000, reason: strings.Repeat("ä", 100)}, 4000, strings.Repeat("ä", 61)},
	} {
		p := closeMessage(&c.e)
		if len(p) > 125 || binary.BigEndian.Uint16(p) != c.code || string(p[2:]) != c.reason {
			t.Errorf("close message for %+v: %d bytes, %q", c.e, len(p), p)
		}
	}
}
