package mux

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"culvert/backend/alloctest"
	"culvert/backend/wire"
)

func TestAllocations(t *testing.T)     { alloctest.Check(t, operations(t)) }
func BenchmarkOperations(b *testing.B) { alloctest.Benchmark(b, operations(b)) }

// operations are a request and its answer over a real socket; the allocations are those
// of both ends.
func operations(tb testing.TB) []alloctest.Operation {
	exchange := func(size, most int) alloctest.Operation {
		body := make([]byte, size)
		answer := &wire.ResponseHead{Status: 200, ContentLength: int64(size), Header: http.Header{
			"Cache-Control": {"no-store"}, "Content-Type": {"text/html"}, "Set-Cookie": {"a=b"},
		}}
		backend, _ := pair(tb, func(s *Stream) {
			s.WriteHead(answer, false)
			s.WriteLast(body)
		})
		request := get("/index.html?a=b")
		request.RemoteAddr = "203.0.113.7"
		request.Header = http.Header{"Accept": {"*/*"}, "User-Agent": {"bench"}, "X-Forwarded-For": {"203.0.113.7"}}
		buf := make([]byte, 32<<10)
		ctx := tb.Context()
		return alloctest.Operation{
			// What the two connections do besides, such as growing a buffer, is the slack.
			Name: fmt.Sprintf("bytes=%d", size), Max: most, Slack: 1, Bytes: int64(size),
			Do: func() {
				s, err := backend.Open(request, true)
				if err == nil {
					_, err = s.ReadHead(ctx)
				}
				got := 0
				for n := 0; err == nil; got += n {
					n, err = s.Read(buf)
				}
				if err != io.EOF || got != size {
					tb.Errorf("%d bytes: %v", got, err)
					return
				}
				s.Reset(wire.ResetCancel, "")
			},
		}
	}
	return []alloctest.Operation{exchange(200, 15), exchange(100<<10, 15)}
}
