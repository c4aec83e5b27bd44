package history

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"culvert/app/exchange"
)

// While exchanges come faster than they can be stored beside the traffic, the writer
// leaves the processor to that; then it stores what has gathered, unasked.
func TestWriterRestsWhileMuchComes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	synctest.Test(t, func(t *testing.T) {
		h, err := Open(t.Context(), Config{Path: path, redact: func(x *exchange.Exchange) *exchange.Exchange {
			time.Sleep(time.Millisecond) // is what storing takes here
			return x
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer shut(t, h)
		stored := func() int64 {
			s, err := h.Stats(t.Context())
			if err != nil || s.Dropped > 0 {
				t.Errorf("%d were dropped: %v", s.Dropped, err)
			}
			return s.Exchanges
		}
		const flood = 4000
		for n := range flood {
			h.Add(sample(n))
			time.Sleep(time.Millisecond)
		}
		if n := stored(); n == 0 || n > flood/10 {
			t.Errorf("%d of %d were stored while more came, which took all of the processor", n, flood)
		}
		time.Sleep(2 * flood * time.Millisecond)
		if n := stored(); n != flood {
			t.Errorf("%d of %d were stored when no more came", n, flood)
		}
	})
}

// Somebody who asks does not wait for the rest.
func TestFlushEndsTheRest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	synctest.Test(t, func(t *testing.T) {
		h, err := Open(t.Context(), Config{Path: path, redact: func(x *exchange.Exchange) *exchange.Exchange {
			time.Sleep(time.Second)
			return x
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer shut(t, h)
		h.Add(sample(1))
		time.Sleep(linger + 1100*time.Millisecond) // it is stored, and there is a rest of many seconds
		h.Add(sample(2))
		began := time.Now()
		flush(t, h)
		if took := time.Since(began); took != time.Second {
			t.Errorf("flushing one took %v", took)
		}
	})
}
