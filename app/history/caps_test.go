package history

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"culvert/app/exchange"
)

// settle waits until the writer has nothing left to trim.
func settle(t testing.TB, h *History) {
	t.Helper()
	err := h.do(t.Context(), func(_ context.Context, w *writer) error {
		w.storeAll()
		for w.over {
			w.trim()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// heavy is an exchange with a body of that size, which does not compress.
func heavy(n, size int) *exchange.Exchange {
	x := sample(n)
	x.Response.Body = bytes.Repeat(fmt.Appendf(nil, "%06d:", n), size/7+1)[:size]
	return x
}

func TestSizeIsCapped(t *testing.T) {
	t.Parallel()
	const most = 2 << 20
	h := begun(t, Config{Limits: Limits{MaxBytes: most}})
	for n := range 400 {
		h.Add(heavy(n, 50<<10)) // 20 MB in all
		if n%20 == 19 {
			settle(t, h)
			info, err := os.Stat(h.cfg.Path)
			if err != nil {
				t.Fatal(err)
			}
			if info.Size() > most {
				t.Fatalf("after %d exchanges the file has %d bytes, more than %d", n+1, info.Size(), most)
			}
		}
	}
	p, err := h.Search(t.Context(), Query{Limit: maxLimit})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(p.Rows); n < most*3/4/(50<<10) || n > most/(50<<10) {
		t.Errorf("%d exchanges of 50 KB are kept in 2 MB", n)
	}
	for i, row := range p.Rows { // the youngest, without a gap
		if want := sample(399 - i).ID; row.ID != want {
			t.Fatalf("row %d is %s, want %s", i, row.ID, want)
		}
	}
	integral(t, h)
}

// A smaller limit makes the file smaller, too, while it is in use.
func TestSizeIsLoweredLater(t *testing.T) {
	t.Parallel()
	h := begun(t, Config{})
	for n := range 200 {
		h.Add(heavy(n, 50<<10))
	}
	settle(t, h)
	if err := h.SetLimits(Limits{MaxBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	// Told by itself: no batch comes along.
	wait(t, func() bool {
		info, err := os.Stat(h.cfg.Path)
		return err == nil && info.Size() <= 1<<20
	})
	if p, err := h.Search(t.Context(), Query{Limit: 1}); err != nil || len(p.Rows) != 1 || p.Rows[0].ID != sample(199).ID {
		t.Errorf("the youngest is %v, %v; want the one that came last", p.Rows, err)
	}
	integral(t, h)
}

// wait looks again and again for what ought to be so soon.
func wait(t *testing.T, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !so() {
		select {
		case <-ctx.Done():
			t.Fatal("it does not happen")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func TestAgeIsCapped(t *testing.T) {
	t.Parallel()
	h := begun(t, Config{Limits: Limits{MaxAge: 24 * time.Hour, Secrets: true}})
	const marker = "zebra-crossing"
	for n := range 3 * trimStep {
		x := sample(n)
		x.Start = time.Now().Add(-25 * time.Hour)
		x.Request.Body = []byte(marker)
		h.Add(x)
	}
	h.Add(sample(9999))
	settle(t, h)
	p, err := h.Search(t.Context(), Query{})
	if err != nil || len(p.Rows) != 1 || p.Rows[0].ID != sample(9999).ID {
		t.Errorf("%d exchanges are left, %v; want the young one", len(p.Rows), err)
	}
	shut(t, h) // which copies the log over
	if found := run(t, "grep", filepath.Dir(h.cfg.Path), marker); len(found) > 0 {
		t.Errorf("what was too old is still in the files: %v", found)
	}
}

// A history in which nothing happens forgets all the same.
func TestAgeIsCappedInSilence(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	synctest.Test(t, func(t *testing.T) {
		h, err := Open(t.Context(), Config{Path: path, Limits: Limits{MaxAge: time.Hour}})
		if err != nil {
			t.Fatal(err)
		}
		defer shut(t, h)
		x := sample(1)
		x.Start = time.Now()
		h.Add(x)
		flush(t, h)
		time.Sleep(time.Hour)
		if s, err := h.Stats(t.Context()); err != nil || s.Exchanges != 1 {
			t.Errorf("after an hour there are %d exchanges, %v; want 1", s.Exchanges, err)
		}
		time.Sleep(lookAround + time.Second)
		synctest.Wait()
		if s, err := h.Stats(t.Context()); err != nil || s.Exchanges != 0 {
			t.Errorf("a little later there are %d exchanges, %v; want none", s.Exchanges, err)
		}
	})
}

func TestBodiesAreCut(t *testing.T) {
	t.Parallel()
	h := begun(t, Config{MaxBody: 1000})
	x := heavy(1, 5000)
	x.Response.Size = 5000
	for n := range 20 {
		x.Messages = append(x.Messages, exchange.StreamMessage{Time: begin, Data: bytes.Repeat([]byte{byte('a' + n)}, 100), Size: 100})
	}
	h.Add(x)
	y := sample(2)
	y.Messages = []exchange.StreamMessage{{Time: begin, Data: make([]byte, 3000), Size: 3000}}
	h.Add(y)
	flush(t, h)
	got, err := h.Get(t.Context(), x.ID)
	if err != nil {
		t.Fatal(err)
	}
	if r := got.Response; len(r.Body) != 1000 || !r.Truncated || r.Size != 5000 || got.Request.Truncated {
		t.Errorf("the answer's body has %d bytes, truncated %v, size %d; want 1000 of 5000", len(r.Body), r.Truncated, r.Size)
	}
	if n := len(got.Messages); n == 0 || n > 10 || got.Skipped != 20-n || got.Messages[n-1].Data[0] != 'a'+19 {
		t.Errorf("%d messages, %d skipped; want the last ones of 20", n, got.Skipped)
	}
	if len(x.Response.Body) != 5000 || len(x.Messages) != 20 || x.Response.Truncated {
		t.Error("the exchange that was added has changed")
	}
	got, err = h.Get(t.Context(), y.ID)
	if err != nil || len(got.Messages) != 1 || len(got.Messages[0].Data) != 1000 || !got.Messages[0].Truncated || y.Messages[0].Truncated {
		t.Errorf("of a message that is too long there is %v, %v", got, err)
	}
}

func TestLimitsAreChecked(t *testing.T) {
	t.Parallel()
	for _, l := range []Limits{{MaxBytes: 1000}, {MaxBytes: -1}, {MaxAge: -time.Second}} {
		if h, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "h.db"), Limits: l}); err == nil || h != nil {
			t.Errorf("limits %+v give a history, %v", l, err)
		}
		h := begun(t, Config{})
		if err := h.SetLimits(l); err == nil {
			t.Errorf("limits %+v can be set", l)
		}
	}
	if _, err := Open(t.Context(), Config{}); err == nil {
		t.Error("no path is no error")
	}
}

// wide is an exchange that is long everywhere but in its bodies: 200 KB.
func wide(n int) *exchange.Exchange {
	x := sample(n)
	long := func(size int) string { return string(heavy(n, size).Response.Body) }
	x.Path, x.URL, x.Err, x.Detail = "/"+long(40<<10), "https://shop.example.com/"+long(40<<10), long(10<<10), long(10<<10)
	x.Request.Header.Set("X-Long", long(50<<10))
	x.Response.Header.Set("X-Long", long(50<<10))
	return x
}

// What a visitor makes long without any body counts as well, the file stays within
// its limit while much comes at once, and no more is removed than has to be.
func TestSizeIsCappedForAllThatIsLong(t *testing.T) {
	t.Parallel()
	const most, size = 8 << 20, 200 << 10
	h := begun(t, Config{Limits: Limits{MaxBytes: most, Secrets: true}})
	for n := range 300 { // 60 MB in all
		h.Add(wide(n))
		if n%50 != 49 {
			continue
		}
		flush(t, h)
		info, err := os.Stat(h.cfg.Path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > most+most/8 {
			t.Fatalf("after %d exchanges the file has %d bytes, more than %d", n+1, info.Size(), most)
		}
	}
	settle(t, h)
	p, err := h.Search(t.Context(), Query{Limit: maxLimit})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(p.Rows); n < most*2/3/size || n > most/size {
		t.Errorf("%d exchanges of 200 KB are kept in 8 MB", n)
	}
	for i, row := range p.Rows { // the youngest, without a gap
		if want := sample(299 - i).ID; row.ID != want {
			t.Fatalf("row %d is %s, want %s", i, row.ID, want)
		}
	}
	// A little less room costs a few, not most.
	if err := h.SetLimits(Limits{MaxBytes: most - most/8}); err != nil {
		t.Fatal(err)
	}
	h.Add(sample(300))
	settle(t, h)
	s, err := h.Stats(t.Context())
	if n := len(p.Rows); err != nil || int(s.Exchanges) > n || int(s.Exchanges) < n*3/4 {
		t.Errorf("with an eighth less room %d exchanges are left of %d, %v", s.Exchanges, n, err)
	}
	integral(t, h)
}

func TestQueueIsBoundedByAllThatIsLong(t *testing.T) {
	t.Parallel()
	q := newQueue()
	x := wide(1)
	taken := int64(0)
	for q.add(x) {
		taken++
	}
	if bytes := taken * 200 << 10; bytes > maxQueuedBytes || bytes < maxQueuedBytes*9/10 {
		t.Errorf("a queue of %d MB takes %d exchanges of 200 KB", maxQueuedBytes>>20, taken)
	}
	for q.next() != nil {
		taken--
	}
	if taken != 0 || q.bytes != 0 || !q.add(x) {
		t.Errorf("emptied, the queue is %d short and believes to hold %d bytes", taken, q.bytes)
	}
}

// One exchange in which secrets are looked for without end costs itself, not those
// that come after it.
func TestTimeToLookForSecretsIsCapped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		h := begun(t, Config{Path: path, redact: func(x *exchange.Exchange) *exchange.Exchange {
			if x.ID == sample(1).ID {
				<-release
			}
			return x
		}})
		h.Add(sample(1))
		h.Add(sample(2))
		flush(t, h)
		close(release)
		if s, err := h.Stats(t.Context()); err != nil || s.Exchanges != 1 || s.Dropped != 1 {
			t.Errorf("there are %d exchanges, %d dropped, %v; want 1 and 1", s.Exchanges, s.Dropped, err)
		}
	})
}
