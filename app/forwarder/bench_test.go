package forwarder

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"culvert/app/capture"
	"culvert/backend/wire"
)

// swift is a visit that can be used again and again, and costs nothing itself.
type swift struct {
	*visit
	calls, bytes int
}

func (s *swift) WriteHead(*wire.ResponseHead, bool) error { s.calls++; return nil }
func (s *swift) Write(p []byte) (int, error)              { s.calls++; s.bytes += len(p); return len(p), nil }
func (s *swift) WriteLast(p []byte) (int, error)          { return s.Write(p) }
func (s *swift) CloseWrite(http.Header) error             { s.calls++; return nil }

// BenchmarkServe is one visitor after the other at a raw service: what it costs
// beyond that is the forwarder's. net/http's Transport is there to compare.
func BenchmarkServe(b *testing.B) {
	for _, size := range []int{200, 100 << 10} {
		answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nServer: x\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("x", size))
		s := rawService(b, func(c *serviceConn) {
			raw, seen := []byte(answer), make([]byte, 4<<10)
			for {
				if _, err := c.Read(seen); err != nil {
					return
				}
				c.Write(raw)
			}
		})
		header := http.Header{"Accept": {"*/*"}, "Accept-Encoding": {"gzip"}, "User-Agent": {"bench"},
			"X-Forwarded-For": {"203.0.113.9"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"shop.example.com"}}
		for _, mode := range []string{"plain", "captured"} {
			b.Run(fmt.Sprintf("%d/%s", size, mode), func(b *testing.B) {
				f := forwarderTo(b, s.addr(), func(c *Config) {
					if mode == "captured" {
						r, err := capture.New(capture.Config{Bodies: true, OnExchange: func(*capture.Exchange) {}})
						if err != nil {
							b.Fatal(err)
						}
						b.Cleanup(r.Close)
						c.Recorder = r
					}
				})
				x := &swift{visit: newVisit(b, "GET", "/bench")}
				x.head.Header = header
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					x.bytes = 0
					if f.Serve(x); x.bytes != size {
						b.Fatalf("%d bytes, reset %v", x.bytes, x.reset)
					}
				}
			})
		}
		b.Run(fmt.Sprintf("%d/transport", size), func(b *testing.B) {
			transport := &http.Transport{DisableCompression: true}
			defer transport.CloseIdleConnections()
			buf := make([]byte, bufferSize)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				r, _ := http.NewRequestWithContext(b.Context(), "GET", "http://"+s.addr()+"/bench", nil)
				r.Header = header
				answer, err := transport.RoundTrip(r)
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, answer.Body, buf); n != int64(size) || err != nil {
					b.Fatal(n, err)
				}
				answer.Body.Close()
			}
		})
	}
}
