package wsframe

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"

	"culvert/backend/alloctest"
)

func TestAllocations(t *testing.T) { alloctest.Check(t, operations(t)) }

// operations are what goes on for every message; none of it allocates.
func operations(tb testing.TB) (list []alloctest.Operation) {
	for _, client := range []bool{false, true} {
		for _, size := range []int{0, 200, 100 << 10} {
			for name, do := range map[string]func() error{
				"write": writes(client, size), "small": smallWrites(client), "read": reads(tb, client, size, false), "skip": reads(tb, client, size, true),
			} {
				list = append(list, alloctest.Operation{
					Name: fmt.Sprintf("%s/client=%v/bytes=%d", name, client, size), Bytes: int64(size),
					Do: func() {
						if err := do(); err != nil {
							tb.Errorf("%s, client %v, %d bytes: %v", name, client, size, err)
						}
					},
				})
			}
		}
	}
	return list
}

// writes sends a message of that size again and again.
func writes(client bool, size int) func() error {
	c, out := writing(client)
	message := make([]byte, Headroom+size)
	out.Grow(len(message))
	return func() error {
		out.Reset()
		return c.Write(Binary, message, time.Minute)
	}
}

func smallWrites(client bool) func() error {
	c, out := writing(client)
	p := make([]byte, MaxControl)
	out.Grow(Headroom + len(p))
	return func() error {
		out.Reset()
		return c.WriteSmall(Ping, p, time.Minute)
	}
}

// reads takes messages of that size, each with a ping before it, from a stream without
// an end.
func reads(tb testing.TB, client bool, size int, skip bool) func() error {
	stream := raw{first: fin | byte(Ping), masked: !client, payload: []byte("ping")}.append(nil)
	stream = raw{first: fin | byte(Binary), masked: !client, payload: make([]byte, size)}.append(stream)
	c := reading(&endless{stream: stream}, client, int64(size))
	c.OnPing = func([]byte) {}
	buf := make([]byte, 32<<10)
	return func() error {
		_, err := c.Next()
		if skip {
			return err
		}
		for err == nil {
			_, err = c.Read(buf)
		}
		if err == io.EOF {
			return nil
		}
		return err
	}
}

// endless gives the same bytes for ever.
type endless struct {
	stream []byte
	at     int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.stream[e.at:])
	e.at = (e.at + n) % len(e.stream)
	return n, nil
}

// A length that is only announced costs no memory, whatever the limit.
func TestAnnouncedLengthIsNotAllocated(t *testing.T) {
	stream := raw{first: fin | byte(Binary), masked: true, payload: []byte("abc"), length: 1<<63 - 1}.append(nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, limit := range []int64{10, 1<<63 - 1} {
		if text, err := reading(bytes.NewReader(stream), false, limit).ReadText(); err == nil && text != nil {
			t.Errorf("limit %d: %q", limit, text)
		}
		if got, err := readAll(reading(bytes.NewReader(stream), false, limit), 100); got != nil || err == nil {
			t.Errorf("limit %d: %v, %v", limit, got, err)
		}
	}
	stream[0] = fin | byte(Text)
	if text, err := reading(bytes.NewReader(stream), false, 1<<63-1).ReadText(); err != io.ErrUnexpectedEOF {
		t.Errorf("%q, %v", text, err)
	}
	if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 1<<20 {
		t.Errorf("%d bytes were allocated", after.TotalAlloc-before.TotalAlloc)
	}
}
