package mux

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"culvert/backend/wire"
)

// BenchmarkExchange is one request and its answer over a real socket, both ends
// in this process; the allocations are those of both.
func BenchmarkExchange(b *testing.B) {
	for _, size := range []int{200, 100 << 10} {
		body := make([]byte, size)
		header := http.Header{"Content-Type": {"text/html"}, "Cache-Control": {"no-store"}, "Set-Cookie": {"a=b"}}
		for _, parallel := range []int{1, 32} {
			b.Run(fmt.Sprintf("bytes=%d/parallel=%d", size, parallel), func(b *testing.B) {
				backend, _ := pair(b, func(s *Stream) {
					s.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: int64(size), Header: header}, false)
					s.WriteLast(body)
				})
				request := get("/index.html?a=b")
				request.RemoteAddr = "203.0.113.7"
				request.Header = http.Header{"Accept": {"*/*"}, "User-Agent": {"bench"}, "X-Forwarded-For": {"203.0.113.7"}}
				b.ReportAllocs()
				b.SetBytes(int64(size))
				b.SetParallelism(parallel)
				b.RunParallel(func(pb *testing.PB) {
					buf := make([]byte, 32<<10)
					for pb.Next() {
						s, err := backend.Open(request, true)
						if err != nil {
							b.Error(err)
							return
						}
						if _, err := s.ReadHead(b.Context()); err != nil {
							b.Error(err)
							return
						}
						for err == nil {
							_, err = s.Read(buf)
						}
						if err != io.EOF {
							b.Error(err)
							return
						}
						s.Reset(wire.ResetCancel, "")
					}
				})
			})
		}
	}
}

// BenchmarkDownload is one stream at full speed.
func BenchmarkDownload(b *testing.B) {
	chunk := make([]byte, 32<<10)
	backend, _ := pair(b, func(s *Stream) {
		s.WriteHead(ok(), false)
		for {
			if _, err := s.Write(chunk); err != nil {
				return
			}
		}
	})
	s := open(b, backend, get("/"), true)
	readHead(b, s)
	buf := make([]byte, len(chunk))
	b.ReportAllocs()
	b.SetBytes(int64(len(chunk)))
	for b.Loop() {
		if _, err := io.ReadFull(s, buf); err != nil {
			b.Fatal(err)
		}
	}
	s.Reset(wire.ResetCancel, "")
}
