package visitor

import (
	"maps"
	"net/http"
	"net/netip"
	"testing"

	"culvert/backend/alloctest"
)

func TestAllocations(t *testing.T)     { alloctest.Check(t, operations()) }
func BenchmarkOperations(b *testing.B) { alloctest.Benchmark(b, operations()) }

// operations rewrite the header of a browser's request on its way in, and of an
// ordinary answer on its way out.
func operations() []alloctest.Operation {
	request := http.Header{
		"Accept":          {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
		"Accept-Encoding": {"gzip, deflate, br, zstd"},
		"Accept-Language": {"en-GB,en;q=0.5"},
		"Connection":      {"keep-alive"},
		"Cookie":          {"session=0123456789abcdef0123456789abcdef; theme=dark"},
		"User-Agent":      {"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"},
	}
	answer := http.Header{"Content-Type": {"text/html"}, "Cache-Control": {"no-store"}, "Etag": {`"0123456789abcdef"`}, "Set-Cookie": {"a=b"}}
	hop := Hop{Peer: netip.MustParseAddr("203.0.113.9"), Proto: "https", Host: "shop.example.com"}
	proxies := Proxies{netip.MustParsePrefix("10.0.0.0/8")}
	in, out := http.Header{}, http.Header{}
	return []alloctest.Operation{
		{Name: "request", Max: 3, Do: func() {
			clear(in)
			maps.Copy(in, request)
			proxies.Forward(in, hop)
			RemoveHopByHop(in)
		}},
		{Name: "answer", Max: 0, Do: func() {
			clear(out)
			CopyAnswer(out, answer)
		}},
	}
}
