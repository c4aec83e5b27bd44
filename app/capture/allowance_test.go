package capture

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"culvert/backend/wire"
)

// What comes faster than is allowed for long is dropped and counted; what somebody waits
// for is not, nor is a burst.
func TestRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen, dropped, streams int
		r, err := New(Config{
			Rate: 1000, Queue: 2 * burst,
			OnExchange: func(x *Exchange) {
				seen++
				if x.Stream != nil || x.ReplayOf != "" {
					streams++
				}
			},
			OnStream:  func(*Stream) {},
			OnDropped: func(n int) { dropped += n },
		})
		if err != nil {
			t.Fatal(err)
		}
		record := func(n int) {
			for range n {
				rec := r.Begin("1", &wire.RequestHead{Method: "GET", Target: "/"})
				rec.ResponseHead(&wire.ResponseHead{Status: 200})
				rec.End(nil)
			}
			time.Sleep(time.Second)
			synctest.Wait()
		}
		check := func(when string, wantSeen, wantDropped int) {
			t.Helper()
			if seen != wantSeen || dropped != wantDropped {
				t.Errorf("%s: %d seen, %d dropped; want %d and %d", when, seen, dropped, wantSeen, wantDropped)
			}
		}
		record(burst + 10)
		check("after a burst", burst, 10)
		record(1500) // a second later
		check("after as much as a second gives", burst+1000, 510)
		time.Sleep(time.Hour)
		record(burst + 1)
		check("after a burst an hour later", 2*burst+1000, 511)

		rec := r.Begin("2", &wire.RequestHead{Method: "GET", Target: "/"})
		rec.Repeats("1")
		rec.End(nil)
		rec = r.Begin("3", &wire.RequestHead{Method: "GET", Target: "/"})
		rec.ResponseHead(&wire.ResponseHead{Status: 200, ContentLength: -1, Header: http.Header{"Content-Type": {"text/event-stream"}}})
		rec.End(nil)
		r.Close()
		check("after what somebody waits for", 2*burst+1002, 511)
		if streams != 2 {
			t.Errorf("%d of those were among them", streams)
		}
	})
}

// Bodies beyond what is allowed for long are left out, and the exchange is not.
func TestBodyRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var whole, dropped int
		r, err := New(Config{
			Bodies: true, Memory: 1 << 20, BodyRate: 4 * partSize,
			OnExchange: func(x *Exchange) {
				switch {
				case x.BytesOut != 20<<10:
					t.Errorf("%d bytes", x.BytesOut)
				case x.Dropped() && x.ResponseBody.Len() == 0:
					dropped++
				case x.ResponseBody.Len() == 20<<10:
					whole++
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		body := make([]byte, 20<<10) // takes a part each
		for second, want := range [][2]int{{32, 8}, {36, 44}, {40, 80}} {
			for range 40 {
				rec := r.Begin("1", &wire.RequestHead{Method: "GET", Target: "/"})
				rec.ResponseHead(&wire.ResponseHead{Status: 200, ContentLength: int64(len(body))})
				rec.ResponseBody(body)
				rec.End(nil)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if whole != want[0] || dropped != want[1] {
				t.Errorf("in second %d: %d bodies are whole, %d were dropped; want %v", second, whole, dropped, want)
			}
		}
	})
}
