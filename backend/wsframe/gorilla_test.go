package wsframe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gorilla/websocket"
)

// sizes are those at which the header's form changes, and some others.
func sizes(random *rand.Rand) []int {
	list := []int{0, 1, 2, 125, 126, 127, 1<<16 - 1, 1 << 16, 1<<16 + 1, 300 << 10}
	for range 8 {
		list = append(list, random.IntN(70000))
	}
	return list
}

func randomBytes(random *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

// What the library writes is read here: messages in one frame and in many, with pings
// before, between and after their frames, and a close frame in the end.
func TestReadsWhatGorillaWrites(t *testing.T) {
	t.Parallel()
	for _, client := range []bool{false, true} {
		for _, frame := range []int{0, 1, 130, 1000, 64 << 10} {
			t.Run(fmt.Sprintf("client=%v/frame=%d", client, frame), func(t *testing.T) {
				t.Parallel()
				random := rand.New(rand.NewPCG(1, uint64(frame)))
				ws, out := gorilla(t, !client, bytes.NewReader(nil), frame)
				var want []message
				pings := 0
				ping := func() {
					pings++
					if err := ws.WriteControl(websocket.PingMessage, fmt.Appendf(nil, "%d", pings), time.Time{}); err != nil {
						t.Fatal(err)
					}
				}
				list := sizes(random)
				if frame == 1 || frame == 130 {
					list = append(list[:6], random.IntN(2000)) // as many frames as bytes, almost
				}
				for _, size := range list {
					m := message{Opcode(1 + random.IntN(2)), randomBytes(random, size)}
					want = append(want, m)
					w, err := ws.NextWriter(int(m.op))
					if err != nil {
						t.Fatal(err)
					}
					for rest := m.body; len(rest) > 0; {
						n := min(len(rest), 1+random.IntN(2*len(rest)))
						if _, err := w.Write(rest[:n]); err != nil {
							t.Fatal(err)
						}
						if rest = rest[n:]; random.IntN(3) == 0 {
							ping()
						}
					}
					if err := w.Close(); err != nil {
						t.Fatal(err)
					}
					ping()
				}
				if err := ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4321, "geschloßen"), time.Time{}); err != nil {
					t.Fatal(err)
				}
				for _, size := range []int{1, 3, 100, 4096, 1 << 20} {
					if size < 100 && out.Len() > 64<<10 {
						continue
					}
					for _, reader := range []io.Reader{bytes.NewReader(out.Bytes()), iotest.HalfReader(bytes.NewReader(out.Bytes()))} {
						c := reading(reader, client, 300<<10)
						seen := 0
						c.OnPing = func(p []byte) {
							if seen++; string(p) != fmt.Sprint(seen) {
								t.Errorf("ping %d says %q", seen, p)
							}
						}
						got, err := readAll(c, size)
						var closed *CloseError
						if !errors.As(err, &closed) || *closed != (CloseError{4321, "geschloßen"}) {
							t.Errorf("buffers of %d: error %v", size, err)
						}
						if !sameMessages(got, want) || seen != pings {
							t.Errorf("buffers of %d: %d messages of %d are the same, pings %d of %d", size, countSame(got, want), len(want), seen, pings)
						}
					}
				}
			})
		}
	}
}

func countSame(a, b []message) (n int) {
	for n < min(len(a), len(b)) && sameMessages(a[n:n+1], b[n:n+1]) {
		n++
	}
	return n
}

// What is written here is read by the library.
func TestGorillaReadsWhatIsWritten(t *testing.T) {
	t.Parallel()
	for _, client := range []bool{false, true} {
		t.Run(fmt.Sprintf("client=%v", client), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(2, 0))
			c, out := writing(client)
			var want []message
			pings := 0
			for _, size := range sizes(random) {
				m := message{Opcode(1 + random.IntN(2)), randomBytes(random, size)}
				want = append(want, m)
				if err := c.Write(m.op, append(make([]byte, Headroom), m.body...), time.Second); err != nil {
					t.Fatal(err)
				}
				pings++
				if err := c.WriteSmall(Ping, fmt.Appendf(nil, "%d", pings), time.Second); err != nil {
					t.Fatal(err)
				}
				if size <= MaxControl {
					want = append(want, m)
					if err := c.WriteSmall(m.op, m.body, time.Second); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := c.WriteSmall(Pong, []byte("pong"), time.Second); err != nil {
				t.Fatal(err)
			}
			if err := c.WriteSmall(Close, FormatClose(4321, "geschloßen"), time.Second); err != nil {
				t.Fatal(err)
			}
			ws, _ := gorilla(t, !client, out, 0)
			seen, pong := 0, ""
			ws.SetPingHandler(func(p string) error {
				if seen++; p != fmt.Sprint(seen) {
					t.Errorf("ping %d says %q", seen, p)
				}
				return nil
			})
			ws.SetPongHandler(func(p string) error { pong = p; return nil })
			var got []message
			kind, body, err := ws.ReadMessage()
			for ; err == nil; kind, body, err = ws.ReadMessage() {
				got = append(got, message{Opcode(kind), body})
			}
			var closed *websocket.CloseError
			if !errors.As(err, &closed) || closed.Code != 4321 || closed.Text != "geschloßen" {
				t.Errorf("error %v", err)
			}
			if !sameMessages(got, want) || seen != pings || pong != "pong" {
				t.Errorf("%d messages of %d are the same, pings %d of %d, pong %q", countSame(got, want), len(want), seen, pings, pong)
			}
		})
	}
}
