package wsframe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// Headers are as short as can be, and masked by the role.
func TestWrite(t *testing.T) {
	t.Parallel()
	for _, client := range []bool{false, true} {
		for _, size := range []int{0, 1, 125, 126, 127, 1<<16 - 1, 1 << 16, 300 << 10} {
			body := bytes.Repeat([]byte("payload "), size/8+1)[:size]
			c, out := writing(client)
			if err := c.Write(Binary, append(make([]byte, Headroom), body...), time.Second); err != nil {
				t.Fatal(err)
			}
			want := []byte{fin | byte(Binary)}
			switch {
			case size <= 125:
				want = append(want, byte(size))
			case size <= 65535:
				want = binary.BigEndian.AppendUint16(append(want, 126), uint16(size))
			default:
				want = binary.BigEndian.AppendUint64(append(want, 127), uint64(size))
			}
			if client {
				want[1] |= 0x80
			}
			header, got := out.Next(len(want)), []byte(nil)
			if client {
				key := [4]byte(out.Next(4))
				got = out.Bytes()
				maskByBytes(key, 0, got)
			} else {
				got = out.Bytes()
			}
			if !bytes.Equal(header, want) || !bytes.Equal(got, body) {
				t.Errorf("client %v, %d bytes: header %x, want %x; payload the same: %v", client, size, header, want, bytes.Equal(got, body))
			}
		}
	}
}

// A message is destroyed, but nothing behind it, and a server's payload is not: what
// follows in the same memory can be sent next.
func TestWriteLeavesTheRest(t *testing.T) {
	t.Parallel()
	for _, client := range []bool{false, true} {
		for _, size := range []int{0, 1, 33, 126, 5000, 70000} {
			memory := bytes.Repeat([]byte{0x55}, Headroom+size+100)
			c, _ := writing(client)
			if err := c.Write(Binary, memory[:Headroom+size], time.Second); err != nil {
				t.Fatal(err)
			}
			kept := memory[Headroom:]
			if client {
				kept = memory[Headroom+size:]
			}
			if len(bytes.Trim(kept, "\x55")) > 0 {
				t.Errorf("client %v, %d bytes: what Write may not touch has changed", client, size)
			}
		}
	}
}

func TestWriteSmall(t *testing.T) {
	t.Parallel()
	for _, client := range []bool{false, true} {
		for _, op := range []Opcode{Text, Binary, Close, Ping, Pong} {
			c, out := writing(client)
			for _, size := range []int{MaxControl, 1, 0, 60} {
				body := bytes.Repeat([]byte("x"), size)
				if err := c.WriteSmall(op, body, time.Second); err != nil {
					t.Fatal(err)
				}
				if len(bytes.Trim(body, "x")) > 0 {
					t.Error("WriteSmall has changed its argument")
				}
				want := raw{first: fin | byte(op), payload: body}.append(nil)
				got := out.Next(2)
				if client {
					key := [4]byte(out.Next(4))
					maskByBytes(key, 0, out.Bytes())
					got[1] &^= maskBit
				}
				if got = append(got, out.Next(size)...); !bytes.Equal(got, want) || out.Len() > 0 {
					t.Errorf("client %v: wrote %x and %d bytes more, want %x", client, got, out.Len(), want)
				}
			}
			if err := c.WriteSmall(op, make([]byte, MaxControl+1), time.Second); !errors.Is(err, ErrProtocol) || out.Len() > 0 {
				t.Errorf("a large one: %v, %d bytes written", err, out.Len())
			}
		}
		for _, op := range []Opcode{Close, Ping, Pong} {
			c, out := writing(client)
			if err := c.Write(op, make([]byte, Headroom+MaxControl+1), time.Second); !errors.Is(err, ErrProtocol) || out.Len() > 0 {
				t.Errorf("a large control frame: %v, %d bytes written", err, out.Len())
			}
			if err := c.Write(op, make([]byte, Headroom+MaxControl), time.Second); err != nil {
				t.Errorf("after one that was refused: %v", err)
			}
		}
	}
}

// RFC 6455, section 5.3: each frame has a new key, and none follows from another.
func TestKeysDiffer(t *testing.T) {
	t.Parallel()
	const conns, frames = 20, 50
	seen := make(map[[4]byte]int)
	for range conns {
		c, out := writing(true)
		for i := range frames {
			var err error
			if i%2 == 0 {
				err = c.Write(Binary, make([]byte, Headroom+4), time.Second)
			} else {
				err = c.WriteSmall(Ping, make([]byte, 4), time.Second)
			}
			if err != nil {
				t.Fatal(err)
			}
			frame := out.Next(10)
			if !bytes.Equal(frame[2:6], frame[6:]) { // nothing, masked
				t.Fatalf("frame %x is not masked by its key", frame)
			}
			seen[[4]byte(frame[2:6])]++
		}
	}
	// Two of a thousand keys are the same once in ten thousand runs, and three never.
	if len(seen) < conns*frames-1 {
		t.Errorf("%d keys in %d frames", len(seen), conns*frames)
	}
}

func TestFormatClose(t *testing.T) {
	t.Parallel()
	if got := FormatClose(1001, "ä"); string(got) != "\x03\xe9\xc3\xa4" {
		t.Errorf("got %x", got)
	}
}

// Messages that lie behind each other in one buffer go out one by one, each header in
// the room that its predecessor has left.
func TestWriteOneBehindTheOther(t *testing.T) {
	t.Parallel()
	for _, client := range []bool{false, true} {
		var want []message
		memory := make([]byte, Headroom)
		for _, size := range []int{200, Headroom, 70000, 126, 1000} {
			m := message{Binary, bytes.Repeat([]byte{byte(size)}, size)}
			want, memory = append(want, m), append(memory, m.body...)
		}
		c, out := writing(client)
		for rest, i := memory, 0; i < len(want); i++ {
			n := Headroom + len(want[i].body)
			if err := c.Write(Binary, rest[:n], time.Second); err != nil {
				t.Fatal(err)
			}
			rest = rest[n-Headroom:]
		}
		if got, _ := readAll(reading(out, !client, 1<<20), 1000); !sameMessages(got, want) {
			t.Errorf("client %v: %d messages of %d are the same", client, countSame(got, want), len(want))
		}
	}
}

func TestHeadroomHoldsEveryHeader(t *testing.T) {
	t.Parallel()
	for _, h := range []header{{length: 0}, {length: 126}, {length: 1 << 40}, {length: 1<<63 - 1, masked: true, op: Pong, fin: true, key: [4]byte{1, 2, 3, 4}}} {
		b := make([]byte, Headroom)
		start := h.put(b, Headroom)
		var got header
		more, err := got.parse([2]byte(b[start:]))
		if err == nil && len(b[start+2:]) == more {
			err = got.parseMore(b[start+2:])
		}
		if h.op.control() { // only to see the longest one
			if Headroom-start != maxHeader || !slices.Equal(b[Headroom-4:], h.key[:]) {
				t.Errorf("header %x", b)
			}
			continue
		}
		if fmt.Sprint(got, err) != fmt.Sprint(h, nil) {
			t.Errorf("%+v became %+v, %v", h, got, err)
		}
	}
}
