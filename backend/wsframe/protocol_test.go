package wsframe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

const (
	fin  = finBit
	rsv1 = 0x40
	rsv2 = 0x20
	rsv3 = 0x10
)

// What a peer may say, and what it must not. The frames are masked as they have to be
// where the table does not say otherwise.
func TestProtocol(t *testing.T) {
	t.Parallel()
	body := func(n int) []byte { return bytes.Repeat([]byte("x"), n) }
	closing := func(code int, reason string) []raw {
		return []raw{{first: fin | byte(Close), payload: FormatClose(code, reason)}}
	}
	text := message{Text, []byte("ab")}
	for name, tt := range map[string]struct {
		frames []raw
		flip   bool // the masks are the wrong way round
		limit  int64
		want   []message
		err    error // io.ErrUnexpectedEOF: the peer just stops behind the frames
		closed *CloseError
		pings  string
		pongs  string
	}{
		"nothing":       {},
		"text":          {frames: []raw{{first: fin | 1, payload: []byte("ab")}}, want: []message{text}},
		"binary":        {frames: []raw{{first: fin | 2, payload: body(300)}}, want: []message{{Binary, body(300)}}},
		"empty message": {frames: []raw{{first: fin | 1}, {first: fin | 2}}, want: []message{{Text, nil}, {Binary, nil}}},
		"fragments":     {frames: []raw{{first: 1, payload: []byte("a")}, {payload: nil}, {first: fin, payload: []byte("b")}}, want: []message{text}},
		"empty fragments": {frames: []raw{{first: 1}, {}, {}, {first: fin, payload: []byte("ab")}, {first: 2}, {first: fin}},
			want: []message{text, {Binary, nil}}},
		"control frames between fragments": {frames: []raw{
			{first: fin | 0x9, payload: []byte("1")}, {first: 1, payload: []byte("a")}, {first: fin | 0x9}, {first: fin | 0xA, payload: []byte("2")},
			{first: fin, payload: []byte("b")}, {first: fin | 0x9, payload: body(MaxControl)},
		}, want: []message{text}, pings: "1,," + string(body(MaxControl)) + ",", pongs: "2,"},
		"lengths at the borders": {frames: []raw{
			{first: fin | 2, payload: body(125)}, {first: fin | 2, payload: body(126)}, {first: fin | 2, payload: body(1<<16 - 1)}, {first: fin | 2, payload: body(1 << 16)},
		}, want: []message{{Binary, body(125)}, {Binary, body(126)}, {Binary, body(1<<16 - 1)}, {Binary, body(1 << 16)}}},

		"RSV1":                      {frames: []raw{{first: fin | rsv1 | 1}}, err: ErrProtocol},
		"RSV2":                      {frames: []raw{{first: fin | rsv2 | 1}}, err: ErrProtocol},
		"RSV3":                      {frames: []raw{{first: fin | rsv3 | 1}}, err: ErrProtocol},
		"RSV1 on a continuation":    {frames: []raw{{first: 1}, {first: fin | rsv1}}, err: ErrProtocol},
		"RSV1 on a ping":            {frames: []raw{{first: fin | rsv1 | 0x9}}, err: ErrProtocol},
		"wrong masks":               {frames: []raw{{first: fin | 1, payload: []byte("ab")}}, flip: true, err: ErrProtocol},
		"wrong masks, nothing":      {frames: []raw{{first: fin | 1}}, flip: true, err: ErrProtocol},
		"wrong masks, ping":         {frames: []raw{{first: fin | 0x9}}, flip: true, err: ErrProtocol},
		"ping in pieces":            {frames: []raw{{first: 0x9}}, err: ErrProtocol},
		"pong in pieces":            {frames: []raw{{first: 0xA}}, err: ErrProtocol},
		"close in pieces":           {frames: []raw{{first: 0x8}}, err: ErrProtocol},
		"long ping":                 {frames: []raw{{first: fin | 0x9, payload: body(126)}}, err: ErrProtocol},
		"long pong":                 {frames: []raw{{first: fin | 0xA, payload: body(1 << 16)}}, err: ErrProtocol},
		"long close":                {frames: closing(1000, string(body(124))), err: ErrProtocol},
		"ping with a wide length":   {frames: []raw{{first: fin | 0x9, payload: body(5), bytes: 2}}, err: ErrProtocol},
		"continuation of nothing":   {frames: []raw{{first: fin, payload: []byte("a")}}, err: ErrProtocol},
		"continuation of the ended": {frames: []raw{{first: fin | 1, payload: []byte("ab")}, {first: fin}}, want: []message{text}, err: ErrProtocol},
		"continuation after a ping": {frames: []raw{{first: fin | 0x9}, {first: fin}}, pings: ",", err: ErrProtocol},
		"text within a message":     {frames: []raw{{first: 2}, {first: fin | 1}}, err: ErrProtocol},
		"binary within a message":   {frames: []raw{{first: 2, payload: body(3)}, {first: 2}}, err: ErrProtocol},
		"16 bits for 125":           {frames: []raw{{first: fin | 2, payload: body(125), bytes: 2}}, err: ErrProtocol},
		"64 bits for 65535":         {frames: []raw{{first: fin | 2, payload: body(1<<16 - 1), bytes: 8}}, err: ErrProtocol},
		"64 bits for 1":             {frames: []raw{{first: fin | 2, payload: body(1), bytes: 8}}, err: ErrProtocol},
		"length of 64 bits":         {frames: []raw{{first: fin | 2, length: 1 << 63}}, err: ErrProtocol},
		"all bits of a length":      {frames: []raw{{first: fin | 2, length: 1<<64 - 1}}, err: ErrProtocol},
		"length of 63 bits":         {frames: []raw{{first: fin | 2, length: 1<<63 - 1}}, err: ErrReadLimit},

		"at the limit":                  {frames: []raw{{first: 1, payload: []byte("a")}, {first: fin, payload: []byte("b")}}, limit: 2, want: []message{text}},
		"limit for each message":        {frames: []raw{{first: fin | 1, payload: []byte("ab")}, {first: fin | 1, payload: []byte("ab")}}, limit: 2, want: []message{text, text}},
		"pings do not count":            {frames: []raw{{first: 1, payload: []byte("ab")}, {first: fin | 0x9, payload: body(9)}, {first: fin}}, limit: 2, want: []message{text}, pings: string(body(9)) + ","},
		"over the limit":                {frames: []raw{{first: fin | 1, payload: []byte("abc")}}, limit: 2, err: ErrReadLimit},
		"over the limit in pieces":      {frames: []raw{{first: 1, payload: []byte("a")}, {payload: []byte("b")}, {first: fin, payload: []byte("c")}}, limit: 2, err: ErrReadLimit},
		"sum of lengths over 63 bits":   {frames: []raw{{first: 1, payload: []byte("ab")}, {first: fin, length: 1<<63 - 1}}, limit: 1<<63 - 1, err: ErrReadLimit},
		"limit of nothing":              {frames: []raw{{first: fin | 1}, {first: fin | 1, payload: []byte("a")}}, limit: -1, want: []message{{Text, nil}}, err: ErrReadLimit},
		"close":                         {frames: closing(1000, ""), closed: &CloseError{Code: 1000}},
		"close with a reason":           {frames: closing(4999, "geschloßen"), closed: &CloseError{4999, "geschloßen"}},
		"close with the longest reason": {frames: closing(1011, string(body(123))), closed: &CloseError{1011, string(body(123))}},
		"close without a code":          {frames: []raw{{first: fin | 0x8}}, closed: &CloseError{Code: 1005}},
		"close within a message":        {frames: append([]raw{{first: 1, payload: []byte("a")}}, closing(1001, "")...), closed: &CloseError{Code: 1001}},
		"nothing counts behind a close": {frames: append(closing(1000, ""), raw{first: fin | 1, payload: []byte("ab")}), closed: &CloseError{Code: 1000}},
		"close of one byte":             {frames: []raw{{first: fin | 0x8, payload: []byte{3}}}, err: ErrProtocol},
		"reason that is not UTF-8":      {frames: closing(1000, "a\xff"), err: ErrProtocol},
		"reason of a surrogate":         {frames: closing(1000, "\xed\xa0\x80"), err: ErrProtocol},
		"reason that is cut":            {frames: closing(1000, "\xe2\x82"), err: ErrProtocol},
	} {
		for _, client := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/client=%v", name, client), func(t *testing.T) {
				var stream []byte
				for _, f := range tt.frames {
					f.masked = client == tt.flip
					stream = f.append(stream)
				}
				for size, reader := range map[int]io.Reader{
					1: bytes.NewReader(stream), 7: iotest.OneByteReader(bytes.NewReader(stream)), 1 << 20: iotest.DataErrReader(bytes.NewReader(stream)),
				} {
					limit := tt.limit
					if limit == 0 {
						limit = 1 << 20
					}
					c := reading(reader, client, max(limit, 0))
					var pings, pongs string
					c.OnPing = func(p []byte) { pings += string(p) + "," }
					c.OnPong = func(p []byte) { pongs += string(p) + "," }
					got, err := readAll(c, size)
					if !sameMessages(got, tt.want) || pings != tt.pings || pongs != tt.pongs {
						t.Errorf("buffers of %d: got %.200q, pings %q, pongs %q", size, got, pings, pongs)
					}
					want := tt.err
					if want == nil {
						want = io.ErrUnexpectedEOF
					}
					var closed *CloseError
					switch {
					case tt.closed != nil && (!errors.As(err, &closed) || *closed != *tt.closed):
						t.Errorf("error %v, want %+v", err, tt.closed)
					case tt.closed == nil && !errors.Is(err, want):
						t.Errorf("error %v, want %v", err, want)
					}
					for range 2 {
						if _, again := c.Next(); again != err {
							t.Errorf("then Next gives %v", again)
						}
						if n, again := c.Read(make([]byte, 1)); n != 0 || again != err {
							t.Errorf("then Read gives %d, %v", n, again)
						}
						if _, again := c.ReadText(); again != err {
							t.Errorf("then ReadText gives %v", again)
						}
					}
				}
			})
		}
	}
}

func sameMessages(a, b []message) bool {
	return slices.EqualFunc(a, b, func(a, b message) bool { return a.op == b.op && bytes.Equal(a.body, b.body) })
}

func TestOpcodesThatThereAreNot(t *testing.T) {
	t.Parallel()
	for op := range byte(16) {
		unknown := op >= 3 && op <= 7 || op >= 0xB
		c := reading(bytes.NewReader(raw{first: fin | op}.append(nil)), true, 10)
		_, err := c.Next()
		if errors.Is(err, ErrProtocol) != (unknown || op == 0) { // 0 continues nothing
			t.Errorf("opcode %X: %v", op, err)
		}
	}
}

// Section 7.4. What nobody has defined yet of what the protocol may define, 1016 to
// 2999, may come from a newer peer.
func TestCloseCodes(t *testing.T) {
	t.Parallel()
	for code := range 1 << 16 {
		forbidden := code < 1000 || code == 1004 || code == 1005 || code == 1006 || code == 1015 || code >= 5000
		err := parseClose(FormatClose(code, ""))
		var closed *CloseError
		if errors.Is(err, ErrProtocol) != forbidden || errors.As(err, &closed) == forbidden || !forbidden && closed.Code != code {
			t.Errorf("code %d: %v", code, err)
		}
	}
}

// A peer that stops anywhere but behind a close frame has been cut off, also between
// messages, and what came before counts.
func TestCut(t *testing.T) {
	t.Parallel()
	for _, client := range []bool{false, true} {
		var stream []byte
		for _, f := range []raw{{first: 1, payload: []byte("ab")}, {first: fin | 0x9, payload: []byte("p")}, {first: fin, payload: bytes.Repeat([]byte("x"), 300)}} {
			f.masked = !client
			stream = f.append(stream)
		}
		for n := range stream {
			for _, size := range []int{1, 512} {
				got, err := readAll(reading(bytes.NewReader(stream[:n]), client, 1<<10), size)
				if err != io.ErrUnexpectedEOF || got != nil {
					t.Fatalf("%d bytes, client %v: %v, %v", n, client, got, err)
				}
				c := reading(bytes.NewReader(stream[:n]), client, 1<<10)
				for range 2 { // the rest of the first is skipped
					_, err = c.Next()
				}
				if err != io.ErrUnexpectedEOF {
					t.Fatalf("%d bytes, client %v, skipping: %v", n, client, err)
				}
			}
		}
	}
	broken := errors.New("broken")
	if _, err := readAll(reading(io.MultiReader(bytes.NewReader(raw{first: fin | 2, length: 9, payload: []byte("ab")}.append(nil)), iotest.ErrReader(broken)), true, 10), 10); err != broken {
		t.Errorf("error %v, want the network's", err)
	}
}

// What of a message nobody reads is skipped, also where it ends in later frames and
// where those do not keep to the protocol.
func TestNextSkips(t *testing.T) {
	t.Parallel()
	for _, client := range []bool{false, true} {
		for read := range 12 {
			var stream []byte
			for _, f := range []raw{
				{first: 2, payload: []byte("abcd")}, {}, {first: fin | 0x9}, {payload: bytes.Repeat([]byte("x"), 40000)}, {first: fin, payload: []byte("e")},
				{first: fin | 1, payload: []byte("next")}, {first: 2, payload: []byte("abc")}, {first: fin | 2},
			} {
				f.masked = !client
				stream = f.append(stream)
			}
			c := reading(bytes.NewReader(stream), client, 1<<20)
			pings := 0
			c.OnPing = func([]byte) { pings++ }
			if op, err := c.Next(); op != Binary || err != nil {
				t.Fatal(op, err)
			}
			if _, err := io.ReadFull(c, make([]byte, read)); err != nil {
				t.Fatal(err)
			}
			if text, err := c.ReadText(); string(text) != "next" || err != nil || pings != 1 {
				t.Fatalf("%d read: then %q, %v, pings %d", read, text, err, pings)
			}
			if n, err := c.Read(make([]byte, 9)); n != 0 || err != io.EOF {
				t.Fatalf("behind a message: %d, %v", n, err)
			}
			if text, err := c.ReadText(); text != nil || err != nil {
				t.Fatalf("a binary message as text: %q, %v", text, err)
			}
			if _, err := c.Next(); !errors.Is(err, ErrProtocol) {
				t.Fatalf("a message within the one that is skipped: %v", err)
			}
		}
	}
}

func TestReadText(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 5000)
	stream := raw{first: fin | 1}.append(nil)
	stream = raw{first: 1, payload: []byte(long[:777])}.append(stream)
	stream = raw{first: fin, payload: []byte(long[777:])}.append(stream)
	c := reading(bytes.NewReader(stream), true, 10000)
	for _, want := range []string{"", long} {
		if text, err := c.ReadText(); text == nil || string(text) != want || err != nil {
			t.Errorf("text %.20q, %v", text, err)
		}
	}
}

// A reader that asks for nothing, and one before the first message, get nothing and do
// not wait.
func TestReadNothing(t *testing.T) {
	t.Parallel()
	c := reading(bytes.NewReader(raw{first: fin | 2, payload: []byte("ab")}.append(nil)), true, 10)
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("before the first message: %d, %v", n, err)
	}
	if _, err := c.Next(); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(nil); n != 0 || err != nil {
		t.Errorf("nothing: %d, %v", n, err)
	}
	if got, err := io.ReadAll(c); string(got) != "ab" || err != nil {
		t.Errorf("then %q, %v", got, err)
	}
}

func TestReadLimitIsTheNextMessages(t *testing.T) {
	t.Parallel()
	stream := raw{first: fin | 2, payload: []byte("abcd")}.append(raw{first: fin, payload: []byte("abc")}.append(raw{first: 2}.append(nil)))
	c := reading(bytes.NewReader(stream), true, 3)
	if _, err := c.Next(); err != nil {
		t.Fatal(err)
	}
	c.SetReadLimit(1)
	if got, err := io.ReadAll(c); len(got) != 3 || err != nil {
		t.Errorf("the message that had begun: %q, %v", got, err)
	}
	c.SetReadLimit(4)
	if _, err := c.Next(); err != nil {
		t.Errorf("a larger limit: %v", err)
	}
	if got, err := io.ReadAll(c); len(got) != 4 || err != nil {
		t.Errorf("a larger limit: %q, %v", got, err)
	}
}
