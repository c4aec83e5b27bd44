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
		ok, wait, err := environments[n%2].Allow(t.Context(), "shop", 0)
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
	if ok, _, err := environments[0].Allow(t.Context(), "shop", 0); !ok || err != nil {
		t.Errorf("the next minute: %v, %v", ok, err)
	}
	if ok, _, err := s.NewLimiter(0).Allow(t.Context(), "shop", 0); !ok || err != nil {
		t.Errorf("no limit: %v, %v", ok, err)
	}
	small := s.NewLimiter(1)
	if ok, _, err := small.Allow(t.Context(), "tiny", 0); !ok || err != nil {
		t.Errorf("the one request: %v, %v", ok, err)
	}
	if ok, _, err := small.Allow(t.Context(), "tiny", 0); ok || err != nil {
		t.Errorf("one more: %v, %v", ok, err)
	}
}

// What is paid for is bytes as well as requests.
func TestLimiterCountsBytes(t *testing.T) {
	t.Parallel()
	const limit, large = 100, 4_400_000 // 43 units and one
	for name, c := range map[string]struct {
		up, down int
		want     int // requests in the first minute, and in three
		later    int
	}{
		"small":         {1000, 1000, 100, 300},
		"large bodies":  {large, 0, 3, 7}, // the third is begun with what is left
		"large answers": {0, large, 3, 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c2, _ := open(t)
			l := s.NewLimiter(limit)
			served := 0
			for minute := range 3 {
				for range limit + 10 {
					ok, wait, err := l.Allow(t.Context(), "shop", c.up)
					if err != nil {
						t.Fatal(err)
					}
					if !ok {
						if wait <= 0 || wait > time.Minute {
							t.Errorf("wait %v", wait)
						}
						continue
					}
					served++
					l.Spend("shop", c.down)
				}
				if minute == 0 && served != c.want {
					t.Errorf("%d served in a minute, want %d", served, c.want)
				}
				c2.Advance(time.Minute)
			}
			if served != c.later {
				t.Errorf("%d served in three minutes, want %d", served, c.later)
			}
		})
	}
}

// A burst starts many environments. None of them may take what others need.
func TestLeasesOfABurst(t *testing.T) {
	t.Parallel()
	s, _, db := open(t)
	const limit = 300
	for n := range limit / firstLease {
		if ok, _, err := s.NewLimiter(limit).Allow(t.Context(), "shop", 0); !ok || err != nil {
			t.Fatalf("environment %d: %v, %v", n, ok, err)
		}
	}
	// One that goes on takes ever more at once.
	busy := s.NewLimiter(3000)
	writes := len(db.updates)
	for range 600 {
		if ok, _, err := busy.Allow(t.Context(), "busy", 0); !ok || err != nil {
			t.Fatalf("%v, %v", ok, err)
		}
	}
	if n := len(db.updates) - writes; n > 20 {
		t.Errorf("%d writes for 600 requests", n)
	}
}

const firstLease = 5

func TestSlots(t *testing.T) {
	t.Parallel()
	s, c, db := open(t)
	until := func() time.Time { return c.Now().Add(15 * time.Minute) }
	a, b := s.NewSlots(2), s.NewSlots(2) // two environments
	first, ok, err := a.Take(t.Context(), "shop", until())
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	c.Advance(time.Minute)
	if _, ok, err = b.Take(t.Context(), "shop", until()); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if _, ok, err = a.Take(t.Context(), "shop", until()); ok || err != nil {
		t.Errorf("a third of two: %v", err)
	}
	if _, ok, err = a.Take(t.Context(), "blog", until()); !ok || err != nil {
		t.Errorf("another tunnel's: %v", err)
	}
	if err := first(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok, err = a.Take(t.Context(), "shop", until()); !ok || err != nil {
		t.Errorf("one that was given back: %v", err)
	}
	// Whose holder was killed comes back by itself, and is not given back twice.
	if err := first(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok, err = b.Take(t.Context(), "shop", until()); ok || err != nil {
		t.Errorf("given back by one who no longer has it: %v", err)
	}
	c.Advance(15*time.Minute + time.Second)
	for range 2 {
		if _, ok, err = b.Take(t.Context(), "shop", until()); !ok || err != nil {
			t.Errorf("after its time: %v", err)
		}
	}
	if _, ok, err = b.Take(t.Context(), "shop", until()); ok || err != nil {
		t.Errorf("a third of two, later: %v", err)
	}
	if n := len(db.updates); n > 18 {
		t.Errorf("%d writes", n)
	}
}
