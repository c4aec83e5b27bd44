package relay

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"

	"culvert/backend/alloctest"
	"culvert/backend/mux"
	"culvert/backend/wire"
)

func TestAllocations(t *testing.T)     { alloctest.Check(t, operations(t)) }
func BenchmarkOperations(b *testing.B) { alloctest.Benchmark(b, operations(b)) }

// operations are a browser's requests on a connection that is kept, through relay and
// mux to an agent that answers by itself. The visitor allocates nothing.
func operations(tb testing.TB) []alloctest.Operation {
	exchange := func(size, most int) alloctest.Operation {
		r := startRelay(tb, func(c *Config) { c.Logger = nil })
		body := bytes.Repeat([]byte("x"), size)
		head := &wire.ResponseHead{Status: 200, ContentLength: int64(size), Header: http.Header{
			"Content-Type": {"text/plain"}, "Date": {"Thu, 01 Jan 2026 00:00:00 GMT"}, "Server": {"bench"},
		}}
		a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) {
			st.WriteHead(head, false)
			st.WriteLast(body)
		})
		visitor := r.raw()
		request := fmt.Appendf(nil, "GET /%s/v1/items?page=2 HTTP/1.1\r\nHost: %s\r\n"+
			"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"+
			"Accept-Language: en-GB,en;q=0.5\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0\r\n\r\n", a.TunnelID, r.addr)
		visitor.send(string(request))
		res, err := http.ReadResponse(visitor.r, nil)
		if err != nil {
			tb.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, res.Body); n != int64(size) || err != nil {
			tb.Fatalf("%s, %d bytes: %v", res.Status, n, err)
		}
		// All answers are as long as the second one, whose end is known by its body's.
		answer := make([]byte, size+1<<10)
		whole := 0
		return alloctest.Operation{
			// The server of net/http has a goroutine beside each request, which may be late.
			Name: fmt.Sprintf("bytes=%d", size), Max: most, Slack: 2, Bytes: int64(size),
			Do: func() {
				if _, err := visitor.Write(request); err != nil {
					tb.Error(err)
					return
				}
				if whole == 0 {
					for !bytes.HasSuffix(answer[:whole], body) {
						n, err := visitor.Read(answer[whole:])
						if err != nil {
							tb.Fatal(err)
						}
						whole += n
					}
					return
				}
				if _, err := io.ReadFull(visitor.Conn, answer[:whole]); err != nil || !bytes.HasSuffix(answer[:whole], body) {
					tb.Errorf("not the answer: %v", err)
				}
			},
		}
	}
	return []alloctest.Operation{exchange(200, 47), exchange(100<<10, 47)}
}
