package pathform

import (
	"maps"
	"net/http"
	"testing"

	"culvert/backend/alloctest"
)

func TestAllocations(t *testing.T)     { alloctest.Check(t, operations()) }
func BenchmarkOperations(b *testing.B) { alloctest.Benchmark(b, operations()) }

// operations map the headers of answers: most have nothing that concerns a View.
func operations() []alloctest.Operation {
	page := http.Header{"Content-Type": {"text/html"}, "Cache-Control": {"no-store"}, "Etag": {`"0123456789abcdef"`}}
	login := http.Header{
		"Content-Type": {"text/html"}, "Location": {"http://localhost:3000/account?tab=orders"},
		"Set-Cookie": {"session=0123456789abcdef; Path=/; Domain=localhost; HttpOnly", "theme=dark"},
	}
	// MapHeader replaces what it maps, so that each run needs it anew.
	scratch := http.Header{}
	mapped := func(h http.Header) func() {
		return func() {
			clear(scratch)
			maps.Copy(scratch, h)
			pathView.MapHeader(scratch)
		}
	}
	return []alloctest.Operation{
		{Name: "page", Max: 0, Do: mapped(page)},
		{Name: "login", Max: 7, Do: mapped(login)},
	}
}
