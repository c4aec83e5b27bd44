package capture

import (
	"fmt"
	"net/http"
	"testing"

	"culvert/backend/alloctest"
	"culvert/backend/wire"
)

func TestAllocations(t *testing.T)     { alloctest.Check(t, operations(t)) }
func BenchmarkOperations(b *testing.B) { alloctest.Benchmark(b, operations(b)) }

// operations are records of answers, from the request's head until they are handed out,
// which is done here at once.
func operations(tb testing.TB) []alloctest.Operation {
	var all []alloctest.Operation
	for _, o := range []struct {
		bodies    bool
		size, max int
	}{
		{false, 200, 1}, {true, 200, 2},
		{false, 100 << 10, 1}, {true, 100 << 10, 2},
	} {
		r, err := newRecorder(Config{Bodies: o.bodies, OnExchange: func(*Exchange) {}, OnStream: func(*Stream) {}})
		if err != nil {
			tb.Fatal(err)
		}
		head := &wire.RequestHead{Method: "GET", Target: "/"}
		answer := &wire.ResponseHead{Status: 200, ContentLength: int64(o.size), Header: http.Header{"Content-Type": {"text/html"}}}
		data := make([]byte, min(o.size, 32<<10))
		all = append(all, alloctest.Operation{
			Name: fmt.Sprintf("bytes=%d/bodies=%v", o.size, o.bodies), Max: o.max, Bytes: int64(o.size),
			Do: func() {
				rec := r.Begin("1", head)
				rec.ResponseHead(answer)
				for left := o.size; left > 0; left -= len(data) {
					rec.ResponseBody(data[:min(left, len(data))])
				}
				rec.End(nil)
				r.hand(<-r.queue)
			},
		})
	}
	return all
}
