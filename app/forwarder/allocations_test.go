package forwarder

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"testing"

	"culvert/app/capture"
	"culvert/backend/alloctest"
)

func TestAllocations(t *testing.T)     { alloctest.Check(t, operations(t)) }
func BenchmarkOperations(b *testing.B) { alloctest.Benchmark(b, operations(b)) }

// operations are exchanges with a local service that allocates nothing, of a visitor
// who allocates nothing either.
func operations(tb testing.TB) []alloctest.Operation {
	get := func(size, most int, record bool) alloctest.Operation {
		mode := "plain"
		f := forwarderTo(tb, cannedService(tb, size).addr(), func(c *Config) {
			if record {
				mode = "captured"
				c.Recorder = discardingRecorder(tb)
			}
		})
		x := &swift{visit: newVisit(tb, "GET", "/v1/items?page=2")}
		x.ctx = context.Background()
		x.head.Header = browserHeader()
		return alloctest.Operation{
			Name: fmt.Sprintf("bytes=%d/%s", size, mode), Max: most, Bytes: int64(size),
			Do: func() {
				x.bytes = 0
				if f.Serve(x); x.bytes != size {
					tb.Errorf("%d bytes, reset %v", x.bytes, x.reset)
				}
			},
		}
	}
	return []alloctest.Operation{get(200, 14, false), get(200, 16, true), get(100<<10, 14, false)}
}

// cannedService answers every read with an answer of that size.
func cannedService(tb testing.TB, size int) *service {
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nServer: bench\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: %d\r\n\r\n", size)
	answer = append(answer, bytes.Repeat([]byte("x"), size)...)
	return rawService(tb, func(c *serviceConn) {
		for seen := make([]byte, 4<<10); ; {
			if _, err := c.Read(seen); err != nil {
				return
			}
			if _, err := c.Write(answer); err != nil {
				return
			}
		}
	})
}

func discardingRecorder(tb testing.TB) *capture.Recorder {
	r, err := capture.New(capture.Config{Bodies: true, OnExchange: func(*capture.Exchange) {}, OnStream: func(*capture.Stream) {}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(r.Close)
	return r
}

// browserHeader is a browser's, as the backend passes it on.
func browserHeader() http.Header {
	return http.Header{
		"Accept":            {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
		"Accept-Encoding":   {"gzip, deflate, br, zstd"},
		"Accept-Language":   {"en-GB,en;q=0.5"},
		"User-Agent":        {"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"},
		"X-Forwarded-For":   {"203.0.113.9"},
		"X-Forwarded-Host":  {"shop.example.com"},
		"X-Forwarded-Proto": {"https"},
	}
}
