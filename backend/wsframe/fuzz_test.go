package wsframe

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/iotest"
	"time"
)

// FuzzRead reads arbitrary bytes in both roles. Whatever comes, no message is over the
// limit, each reading and skipping tells the same, and the error is one of those that
// are documented. Where the library accepts them, too, both give the same messages.
func FuzzRead(f *testing.F) {
	for _, frames := range [][]raw{
		{{first: fin | 1, payload: []byte("ab")}, {first: fin | 2}},
		{{first: 1, payload: []byte("a")}, {first: fin | 0x9, payload: []byte("p")}, {first: fin, payload: []byte("b")}, {first: fin | 0x8, payload: FormatClose(1000, "ä")}},
		{{first: fin | 2, payload: make([]byte, 126)}, {first: fin | 0xA}, {first: fin | 2, payload: make([]byte, 70000)}},
		{{first: fin | 2, length: 1 << 63}}, {{first: fin | 2, length: 1<<63 - 1}}, {{first: fin | 0x8, payload: []byte{3}}},
		{{first: fin | 2, payload: []byte("a"), bytes: 8}}, {{first: 2}, {first: 2}}, {{first: fin | rsv1 | 1}},
	} {
		for _, masked := range []bool{false, true} {
			var stream []byte
			for _, frame := range frames {
				frame.masked = masked
				stream = frame.append(stream)
			}
			f.Add(stream, uint16(1000))
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte, limit16 uint16) {
		limit := int64(limit16)
		for _, client := range []bool{false, true} {
			c := reading(bytes.NewReader(stream), client, limit)
			var pings []string
			c.OnPing = func(p []byte) { pings = append(pings, string(p)) }
			got, err := readAll(c, 4096)
			wantDocumented(t, err)
			for _, m := range got {
				if int64(len(m.body)) > limit || m.op != Text && m.op != Binary {
					t.Fatalf("a message of opcode %d and %d bytes, the limit is %d", m.op, len(m.body), limit)
				}
			}
			slow := reading(iotest.OneByteReader(bytes.NewReader(stream)), client, limit)
			if again, slowErr := readAll(slow, 3); !sameMessages(got, again) || slowErr.Error() != err.Error() {
				t.Fatalf("byte by byte: %d messages and %v; at once %d and %v", len(again), slowErr, len(got), err)
			}
			skipping, skipped := reading(bytes.NewReader(stream), client, limit), 0
			for {
				if _, skipErr := skipping.Next(); skipErr == nil {
					skipped++
				} else if skipErr.Error() != err.Error() {
					t.Fatalf("skipping: %v, reading: %v", skipErr, err)
				} else {
					break
				}
			}
			if skipped < len(got) || skipped > len(got)+1 { // the last one may have no end
				t.Fatalf("%d messages were skipped, and %d read", skipped, len(got))
			}
			if limit > 0 { // to the library, 0 means none
				compare(t, stream, client, limit, got, pings)
			}
		}
	})
}

func wantDocumented(t *testing.T, err error) {
	t.Helper()
	var closed *CloseError
	if !errors.Is(err, ErrProtocol) && err != ErrReadLimit && err != io.ErrUnexpectedEOF && !errors.As(err, &closed) {
		t.Fatalf("error %v", err)
	}
}

// compare wants the library to read the same messages, as far as both accept the stream.
func compare(t *testing.T, stream []byte, client bool, limit int64, got []message, pings []string) {
	t.Helper()
	ws, _ := gorilla(t, client, bytes.NewReader(stream), 0)
	ws.SetReadLimit(limit)
	var theirPings []string
	ws.SetPingHandler(func(p string) error { theirPings = append(theirPings, p); return nil })
	var theirs []message
	for {
		kind, body, err := ws.ReadMessage()
		if err != nil {
			break
		}
		theirs = append(theirs, message{Opcode(kind), body})
	}
	n, m := min(len(got), len(theirs)), min(len(pings), len(theirPings))
	if !sameMessages(got[:n], theirs[:n]) || !slices.Equal(pings[:m], theirPings[:m]) {
		t.Fatalf("the library reads %q and pings %q; here %q and %q", theirs, theirPings, got, pings)
	}
	// What is accepted here the library accepts, but for close codes of the future,
	// behind which nothing is read anyway.
	if len(got) > len(theirs) || len(pings) > len(theirPings) {
		t.Fatalf("%d messages and %d pings; the library has accepted %d and %d", len(got), len(pings), len(theirs), len(theirPings))
	}
}

// FuzzRoundTrip writes messages, cuts them into frames and reads them again, with
// buffers and reads of any size.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("hello"), byte(1), byte(3), uint16(2), false)
	f.Add(make([]byte, 70000), byte(0), byte(0), uint16(1000), true)
	f.Add([]byte{}, byte(7), byte(1), uint16(0), true)
	f.Fuzz(func(t *testing.T, data []byte, pieces, size byte, cut uint16, client bool) {
		// Two messages in one frame each, and a third in pieces.
		at := min(int(cut), len(data))
		want := []message{{Text, data[:at]}, {Binary, data[at:]}, {Binary, data}}
		c, out := writing(client)
		for _, m := range want[:2] {
			if err := c.Write(m.op, append(make([]byte, Headroom), m.body...), time.Second); err != nil {
				t.Fatal(err)
			}
		}
		stream := slices.Clone(out.Bytes())
		var pings []string
		rest, op := data, byte(Binary)
		for i := range pieces {
			n := len(rest) / (1 + int(i)%3)
			stream = raw{first: op, masked: client, payload: rest[:n]}.append(stream)
			rest, op = rest[n:], 0
			if i%2 == 0 {
				pings = append(pings, string(rune(i)))
				stream = raw{first: fin | byte(Ping), masked: client, payload: []byte(string(rune(i)))}.append(stream)
			}
		}
		stream = raw{first: fin | op, masked: client, payload: rest}.append(stream)
		back := reading(bytes.NewReader(stream), !client, int64(len(data)))
		var seen []string
		back.OnPing = func(p []byte) { seen = append(seen, string(p)) }
		got, err := readAll(back, 1+int(size)*int(size))
		if !sameMessages(got, want) || !slices.Equal(seen, pings) || err != io.ErrUnexpectedEOF {
			t.Fatalf("%d messages of %d are the same, pings %q, %v", countSame(got, want), len(want), seen, err)
		}
		compare(t, stream, !client, max(1, int64(len(data))), want, pings)
	})
}
