package wsframe

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// The benchmarks set this package beside the library in the same run. Both have the
// network in memory, so that what is left is their own work; what each asks of the
// network is counted beside it (where the library hands over two parts at once, which
// TCP takes in one call, two are counted).

// libraryBuffer is what the library gets to write with, in bytes.
const libraryBuffer = 32 << 10

// subject is what is measured, and the network below it.
type subject struct {
	do   func() error
	conn *memConn
}

// benchmark runs both with every size and role.
func benchmark(b *testing.B, ours, theirs func(b *testing.B, client bool, size int) subject) {
	for _, size := range []int{200, 100 << 10} {
		for _, role := range []string{"client", "server"} {
			for _, by := range []struct {
				name string
				make func(b *testing.B, client bool, size int) subject
			}{{"ours", ours}, {"gorilla", theirs}} {
				b.Run(fmt.Sprintf("bytes=%d/%s/%s", size, role, by.name), func(b *testing.B) {
					s := by.make(b, role == "client", size)
					s.conn.calls = 0
					b.ReportAllocs()
					b.SetBytes(int64(size))
					for b.Loop() {
						if err := s.do(); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(s.conn.calls)/float64(b.N), "calls/op")
				})
			}
		}
	}
}

// BenchmarkWrite sends messages.
func BenchmarkWrite(b *testing.B) {
	benchmark(b, func(_ *testing.B, client bool, size int) subject {
		conn := &memConn{}
		c := newConn(conn, nil, client, 0, true) // as over TCP
		message := make([]byte, Headroom+size)
		return subject{func() error {
			conn.out.Reset()
			return c.Write(Binary, message, time.Minute)
		}, conn}
	}, func(b *testing.B, client bool, size int) subject {
		ws, out := gorilla(b, client, bytes.NewReader(nil), libraryBuffer)
		body := make([]byte, size)
		return subject{func() error {
			out.Reset()
			if err := ws.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
				return err
			}
			return ws.WriteMessage(websocket.BinaryMessage, body)
		}, ws.NetConn().(*memConn)}
	})
}

// BenchmarkRead reads messages with a buffer of 32 KB.
func BenchmarkRead(b *testing.B) {
	benchmark(b, func(b *testing.B, client bool, size int) subject {
		c := reading(benchStream(client, size), client, int64(size))
		buf := make([]byte, 32<<10)
		return subject{func() error {
			if _, err := c.Next(); err != nil {
				return err
			}
			return drain(c, buf)
		}, c.conn.(*memConn)}
	}, func(b *testing.B, client bool, size int) subject {
		ws, _ := gorilla(b, client, benchStream(client, size), libraryBuffer)
		buf := make([]byte, 32<<10)
		return subject{func() error {
			_, r, err := ws.NextReader()
			if err != nil {
				return err
			}
			return drain(r, buf)
		}, ws.NetConn().(*memConn)}
	})
}

func benchStream(client bool, size int) io.Reader {
	return &endless{stream: raw{first: fin | byte(Binary), masked: !client, payload: make([]byte, size)}.append(nil)}
}

// drain reads a message to its end.
func drain(r io.Reader, buf []byte) error {
	for {
		if _, err := r.Read(buf); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
