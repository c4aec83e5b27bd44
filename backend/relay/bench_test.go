package relay

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"testing"

	"culvert/backend/mux"
	"culvert/backend/wire"
)

// BenchmarkSmallAnswer is one request and a small answer, of a visitor with a
// connection that is kept, through relay and agent.
func BenchmarkSmallAnswer(b *testing.B) {
	r := startRelay(b, nil)
	header := http.Header{"Content-Type": {"text/plain"}, "Date": {"Sat, 21 Nov 2026 06:00:00 GMT"}}
	a := r.startAgent2(wire.Ready{}, func(st *mux.Stream) { reply(st, 200, header, "hello, world") })
	get(b, r.http, r.base+"/"+a.TunnelID+"/")
}

// BenchmarkTwoReverseProxies is what that is measured against.
func BenchmarkTwoReverseProxies(b *testing.B) {
	local := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello, world") }))
	defer local.Close()
	inner := httptest.NewServer(httputil.NewSingleHostReverseProxy(mustURL(local.URL)))
	defer inner.Close()
	outer := httptest.NewServer(httputil.NewSingleHostReverseProxy(mustURL(inner.URL)))
	defer outer.Close()
	get(b, outer.Client(), outer.URL)
}

func get(b *testing.B, client *http.Client, url string) {
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			res, err := client.Get(url)
			if err != nil {
				b.Error(err)
				return
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
	})
}
