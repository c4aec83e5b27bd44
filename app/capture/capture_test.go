package capture

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"culvert/backend/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorded runs f with a Recorder and gives what came out of it.
func recorded(t *testing.T, cfg Config, f func(*Recorder)) (exchanges []*Exchange, dropped int) {
	t.Helper()
	cfg.OnExchange = func(e *Exchange) {
		e.Keep()
		exchanges = append(exchanges, e)
	}
	cfg.OnDropped = func(n int) { dropped += n }
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	f(r)
	r.Close()
	return exchanges, dropped
}

var request = wire.RequestHead{Method: "POST", Target: "/a%2Fb?c=d", Host: "shop.example.com", Prefix: "/shop", RemoteAddr: "203.0.113.9",
	ContentLength: 4, Header: http.Header{"Accept": {"*/*"}}}

func TestRecord(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	got, dropped := recorded(t, Config{Bodies: true}, func(r *Recorder) {
		rec := r.Begin("7", &request)
		rec.RequestBody([]byte("ab"))
		rec.RequestBody(nil)
		rec.RequestBody([]byte("cd"))
		rec.ResponseHead(&wire.ResponseHead{Status: 103, Header: http.Header{"Link": {"x"}}})
		rec.ResponseHead(&wire.ResponseHead{Status: 201, ContentLength: -1, Header: http.Header{"Etag": {"x"}}})
		rec.ResponseBody([]byte("efg"))
		rec.End(nil)
	})
	want := []*Exchange{{
		ID: "7", RemoteAddr: "203.0.113.9", Method: "POST", Path: "/a%2Fb?c=d", Host: "shop.example.com", Prefix: "/shop",
		Status: 201, BytesIn: 4, BytesOut: 3,
		RequestHeader: http.Header{"Accept": {"*/*"}}, ResponseHeader: http.Header{"Etag": {"x"}},
	}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Exchange{}, "Start", "Duration", "Waited", "RequestBody", "ResponseBody")); diff != "" || dropped > 0 {
		t.Errorf("%d dropped, recorded (-want +got):\n%s", dropped, diff)
	}
	if e := got[0]; e.Start.Before(begin) || e.Duration < 0 || e.Start.Add(e.Duration).After(time.Now()) {
		t.Errorf("from %v for %v", e.Start, e.Duration)
	}
	if in, out := string(got[0].RequestBody.Bytes()), string(got[0].ResponseBody.Bytes()); in != "abcd" || out != "efg" {
		t.Errorf("bodies %q and %q", in, out)
	}
	if e := got[0]; e.Truncated() || e.Dropped() {
		t.Error("flagged, but nothing is missing")
	}
}

// TestCopies: buffers are used again after they were shown.
func TestCopies(t *testing.T) {
	t.Parallel()
	got, _ := recorded(t, Config{Bodies: true}, func(r *Recorder) {
		rec := r.Begin("1", &wire.RequestHead{})
		buf := []byte("abc")
		rec.RequestBody(buf)
		copy(buf, "xyz")
		rec.End(nil)
	})
	if s := string(got[0].RequestBody.Bytes()); s != "abc" {
		t.Errorf("recorded %q", s)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	reset := func(code wire.ResetCode) error { return fmt.Errorf("x: %w", &wire.ResetError{Code: code}) }
	tests := []struct {
		head *wire.ResponseHead
		err  error
		want int
	}{
		{nil, nil, 0},
		{nil, reset(wire.ResetUnavailable), 503},
		{nil, reset(wire.ResetTimeout), 504},
		{nil, reset(wire.ResetInternal), 502},
		{nil, reset(wire.ResetCancel), 0},
		{nil, errors.New("x"), 0},
		{&wire.ResponseHead{Status: 200}, reset(wire.ResetInternal), 200},
		{&wire.ResponseHead{Status: 101}, reset(wire.ResetCancel), 101},
	}
	for _, tt := range tests {
		got, _ := recorded(t, Config{}, func(r *Recorder) {
			rec := r.Begin("1", &wire.RequestHead{})
			if tt.head != nil {
				rec.ResponseHead(tt.head)
			}
			rec.End(tt.err)
		})
		if e := got[0]; e.Status != tt.want || !errors.Is(e.Err, tt.err) {
			t.Errorf("head %v, error %v: status %d, error %v", tt.head, tt.err, e.Status, e.Err)
		}
	}
}

func TestBodiesOnlyIfWanted(t *testing.T) {
	t.Parallel()
	for name, bodies := range map[string]bool{"not wanted": false, "upgraded": true} {
		got, _ := recorded(t, Config{Bodies: bodies}, func(r *Recorder) {
			head, status := wire.RequestHead{}, 200
			if bodies {
				head.Upgrade, status = "websocket", 101
			}
			rec := r.Begin("1", &head)
			rec.ResponseHead(&wire.ResponseHead{Status: status, ContentLength: -1})
			rec.RequestBody([]byte("abc"))
			rec.ResponseBody([]byte("de"))
			rec.End(nil)
		})
		if e := got[0]; e.BytesIn != 3 || e.BytesOut != 2 || e.RequestBody.Len() > 0 || e.ResponseBody.Bytes() != nil || e.Truncated() || e.Dropped() {
			t.Errorf("%s: recorded %+v", name, e)
		}
	}
}

func TestBodyCap(t *testing.T) {
	t.Parallel()
	const limit = 3*partSize + 1000
	for _, announced := range []int64{-1, 0, 10, 1000, limit, 5 * limit} {
		for _, piece := range []int{999, partSize - 1, partSize, partSize + 1, 4 * limit} {
			for _, total := range []int{0, 5, 999, 1000, 1001, partSize, limit - 1, limit, limit + 1, 2 * limit} {
				body := []byte(strings.Repeat("0123456789", total/10+1)[:total])
				got, _ := recorded(t, Config{Bodies: true, MaxBody: limit}, func(r *Recorder) {
					rec := r.Begin("1", &wire.RequestHead{ContentLength: announced})
					for rest := body; len(rest) > 0; {
						n := min(piece, len(rest))
						rec.RequestBody(rest[:n])
						rest = rest[n:]
					}
					rec.End(nil)
				})
				e := got[0]
				if !bytes.Equal(e.RequestBody.Bytes(), body[:min(total, limit)]) || e.BytesIn != int64(total) || e.Truncated() != (total > limit) {
					t.Fatalf("%d bytes in pieces of %d, announced %d: %d bytes kept, %d counted, truncated %v", total, piece, announced,
						e.RequestBody.Len(), e.BytesIn, e.Truncated())
				}
			}
		}
	}
}

// TestMemory: over the budget bodies are left out and flagged; what is given back
// can be used again.
func TestMemory(t *testing.T) {
	t.Parallel()
	const memory = 4*partSize + 1000
	release := make(chan struct{})
	var got []*Exchange
	r, err := New(Config{Bodies: true, Memory: memory, OnExchange: func(e *Exchange) {
		<-release
		e.Keep()
		got = append(got, e)
	}})
	if err != nil {
		t.Fatal(err)
	}
	record := func(id string, size int, announced int64) {
		rec := r.Begin(id, &wire.RequestHead{ContentLength: announced})
		for range size / 1000 {
			rec.RequestBody(make([]byte, 1000))
		}
		rec.End(nil)
	}
	record("fits", 2*partSize, 2*partSize)
	record("is too much", 3*partSize, -1)
	record("fits beside", 2*partSize, -1)
	record("is small", 1000, 1000)
	record("is small, but too much", 1000, 1000)
	close(release)
	r.Close()
	var kept []string
	for _, e := range got {
		if e.Dropped() != (e.RequestBody.Bytes() == nil) || e.BytesIn < 1000 {
			t.Errorf("%s: dropped %v with %d bytes kept, %d counted", e.ID, e.Dropped(), e.RequestBody.Len(), e.BytesIn)
		}
		if !e.Dropped() {
			kept = append(kept, e.ID)
		}
	}
	if diff := cmp.Diff([]string{"fits", "fits beside", "is small"}, kept); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	if left := r.memory.Load(); left != memory {
		t.Errorf("%d bytes of the budget are left, want all", left)
	}
}

// TestKeep: bodies are used again once OnExchange has returned, but not those that
// were kept.
func TestKeep(t *testing.T) {
	t.Parallel()
	const n = 200
	var exchanges []*Exchange
	inside := 0
	r, err := New(Config{Bodies: true, OnExchange: func(e *Exchange) {
		if len(exchanges)%2 == 0 {
			e.Keep()
		}
		if bytes.Equal(e.RequestBody.Bytes(), bodyOf(e.ID)) {
			inside++
		}
		exchanges = append(exchanges, e)
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		rec := r.Begin(fmt.Sprint(i), &wire.RequestHead{ContentLength: -1})
		rec.RequestBody(bodyOf(fmt.Sprint(i)))
		rec.End(nil)
	}
	r.Close()
	if len(exchanges) != n || inside != n {
		t.Fatalf("%d of %d exchanges came, %d with their body", len(exchanges), n, inside)
	}
	for i, e := range exchanges {
		body := e.RequestBody.Bytes()
		if i%2 == 0 && !bytes.Equal(body, bodyOf(e.ID)) {
			t.Errorf("exchange %s has lost its body", e.ID)
		}
		if i%2 == 1 && body != nil {
			t.Errorf("exchange %s still has a body", e.ID)
		}
	}
}

func bodyOf(id string) []byte { return bytes.Repeat([]byte(id+","), 10_000) }

// TestFullQueue: a consumer that hangs costs the log exchanges and nobody time.
func TestFullQueue(t *testing.T) {
	t.Parallel()
	const queue, total = 8, 1000
	entered, release := make(chan struct{}, total), make(chan struct{})
	var got, dropped, reports atomic.Int64
	r, err := New(Config{
		Queue: queue, Bodies: true,
		OnExchange: func(*Exchange) {
			entered <- struct{}{}
			<-release
			got.Add(1)
		},
		OnDropped: func(n int) {
			dropped.Add(int64(n))
			reports.Add(1)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	one := func() {
		rec := r.Begin("1", &wire.RequestHead{ContentLength: 3})
		rec.RequestBody([]byte("abc"))
		rec.End(nil)
	}
	one()
	<-entered // the consumer hangs now, and the queue is empty
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range total / 10 {
				one() // returns though nobody takes anything
			}
		})
	}
	wg.Wait()
	close(release)
	r.Close()
	if got.Load() != 1+queue || dropped.Load() != total-queue {
		t.Errorf("%d came and %d were dropped, of %d", got.Load(), dropped.Load(), total+1)
	}
	if reports.Load() != 1 {
		t.Errorf("%d reports of what was dropped, want one for all", reports.Load())
	}
	if left := r.memory.Load(); left != DefaultMemory {
		t.Errorf("%d bytes of the budget are missing", DefaultMemory-left)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	got, dropped := recorded(t, Config{}, func(r *Recorder) {
		before, after := r.Begin("before", &wire.RequestHead{}), r.Begin("after", &wire.RequestHead{})
		before.End(nil)
		r.Close()
		after.End(nil)
	})
	if len(got) != 1 || got[0].ID != "before" || dropped != 0 {
		t.Errorf("%d came, %d dropped", len(got), dropped)
	}
}

func TestNilRecorder(t *testing.T) {
	t.Parallel()
	var r *Recorder
	rec := r.Begin("1", &wire.RequestHead{})
	rec.RequestBody([]byte("x"))
	rec.ResponseHead(&wire.ResponseHead{Status: 200})
	rec.ResponseBody([]byte("x"))
	rec.End(nil)
	r.Close()
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for _, cfg := range []Config{{}, {OnExchange: func(*Exchange) {}, Queue: -1}, {OnExchange: func(*Exchange) {}, Memory: -1}, {OnExchange: func(*Exchange) {}, MaxBody: -1}} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v: no error", cfg)
		}
	}
}
