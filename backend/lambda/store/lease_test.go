package store_test

import (
	"testing"
	"time"

	"culvert/backend/lambda/store"
)

func TestLease(t *testing.T) {
	t.Parallel()
	s, c, _ := open(t)
	end := c.Now().Truncate(time.Minute).Add(time.Minute)
	for n, want := range []int{4, 4, 2, 0, 0} {
		got, until, err := s.Lease(t.Context(), "shop", 10, 4)
		if err != nil || got != want || !until.Equal(end) {
			t.Errorf("lease %d: %d until %v, %v; want %d until %v", n, got, until, err, want, end)
		}
	}
	if got, _, err := s.Lease(t.Context(), "blog", 10, 4); err != nil || got != 4 {
		t.Errorf("another tunnel: %d, %v", got, err)
	}
	c.Advance(time.Minute)
	if got, _, err := s.Lease(t.Context(), "shop", 10, 4); err != nil || got != 4 {
		t.Errorf("the next minute: %d, %v", got, err)
	}
}

func TestLimiter(t *testing.T) {
	t.Parallel()
	s, c, db := open(t)
	const limit = 40
	environments := []*store.Limiter{s.NewLimiter(limit), s.NewLimiter(limit)}
	allowed := 0
	for n := range 2 * limit {
		ok, wait, err := environments[n%2].Allow(t.Context(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			allowed++
		} else if wait <= 0 || wait > time.Minute {
			t.Errorf("wait %v", wait)
		}
	}
	if allowed != limit {
		t.Errorf("%d of %d requests were allowed", allowed, limit)
	}
	// A tenth at a time, and one or two refusals that are remembered.
	if n := len(db.updates); n > 12 {
		t.Errorf("%d writes for %d requests", n, 2*limit)
	}
	c.Advance(time.Minute)
	if ok, _, err := environments[0].Allow(t.Context(), "shop"); !ok || err != nil {
		t.Errorf("the next minute: %v, %v", ok, err)
	}
	if ok, _, err := s.NewLimiter(0).Allow(t.Context(), "shop"); !ok || err != nil {
		t.Errorf("no limit: %v, %v", ok, err)
	}
	small := s.NewLimiter(1)
	if ok, _, err := small.Allow(t.Context(), "tiny"); !ok || err != nil {
		t.Errorf("the one request: %v, %v", ok, err)
	}
	if ok, _, err := small.Allow(t.Context(), "tiny"); ok || err != nil {
		t.Errorf("one more: %v, %v", ok, err)
	}
}
