package keys

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"
)

// throttled is what the Systems Manager says of too many calls.
var throttled = &Refusal{Status: 400, Kind: "ThrottlingException", Message: "Rate exceeded"}

// fault is that it has one.
var fault = &Refusal{Status: 500, Kind: "InternalServerError"}

// busy is a Systems Manager that as many use as the account may.
type busy struct {
	*parameters
	limit *rate.Limiter
	mu    sync.Mutex
	calls int
}

func (b *busy) GetParameter(ctx context.Context, of string) (string, error) {
	b.mu.Lock()
	b.calls++
	b.mu.Unlock()
	if !b.limit.Allow() {
		return "", throttled
	}
	return b.parameters.GetParameter(ctx, of)
}

// A burst of visitors starts hundreds of environments on both sides. Each needs the
// keys, and what an agent sends to one without keys is lost.
func TestBurstOfEnvironments(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const environments = 300
		b := &busy{parameters: new(parameters).set(fresh(nil, 1)), limit: rate.NewLimiter(40, 40)}
		begin := time.Now()
		var wg sync.WaitGroup
		for range environments {
			s, err := New(Config{Client: b, Name: name})
			if err != nil {
				t.Fatal(err)
			}
			wg.Go(func() {
				if _, err := s.Get(t.Context()); err != nil {
					t.Errorf("after %v: %v", time.Since(begin), err)
				}
			})
		}
		wg.Wait()
		// A call takes no time here, so the pauses alone keep the number of calls down.
		if b.calls > 20*environments {
			t.Errorf("%d environments made %d calls", environments, b.calls)
		}
	})
}

// A first read that was in vain is not held against the next message for long; one
// that cannot succeed is not tried again and again.
func TestFirstReadInVain(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		err            error
		waited, silent time.Duration
	}{
		"too many calls": {throttled, firstPatience, memory},
		"a fault":        {fault, firstPatience, memory},
		"no leave":       {&Refusal{Status: 400, Kind: "AccessDeniedException"}, 0, lull},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &parameters{err: c.err}
				s, err := New(Config{Client: p, Name: name})
				if err != nil {
					t.Fatal(err)
				}
				begin := time.Now()
				if _, err := s.Get(t.Context()); !errors.Is(err, ErrNone) || !errors.Is(err, c.err) {
					t.Errorf("%v, want ErrNone because of %v", err, c.err)
				}
				if waited := time.Since(begin); waited != c.waited {
					t.Errorf("waited for %v, want %v", waited, c.waited)
				}
				reads := p.reads
				time.Sleep(c.silent - 1)
				if _, err := s.Get(t.Context()); !errors.Is(err, ErrNone) || p.reads != reads {
					t.Errorf("soon after: %v, %d more reads", err, p.reads-reads)
				}
				p.err = nil
				p.set(fresh(nil, 1))
				time.Sleep(time.Nanosecond)
				if _, err := s.Get(t.Context()); err != nil {
					t.Errorf("when it may read again: %v", err)
				}
			})
		})
	}
}

// The invocation's own end comes first.
func TestFirstReadEndsWithItsInvocation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{Client: &parameters{err: throttled}, Name: name})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		begin := time.Now()
		if _, err := s.Get(ctx); !errors.Is(err, throttled) || time.Since(begin) != 4*time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}

// Who has keys uses them on, and hardly waits for others.
func TestKeysStayWhileOthersRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := new(parameters).set(fresh(nil, 1))
		s, err := New(Config{Client: p, Name: name})
		if err != nil {
			t.Fatal(err)
		}
		set, err := s.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p.err = throttled
		for _, wait := range []time.Duration{lifetime, lull, lull} {
			time.Sleep(wait)
			begin, reads := time.Now(), p.reads
			for range 3 {
				if again, err := s.Get(t.Context()); again != set || err != nil {
					t.Fatalf("while others read: %v, %v", again, err)
				}
			}
			if waited := time.Since(begin); waited != laterPatience || p.reads == reads {
				t.Errorf("waited for %v, with %d reads", waited, p.reads-reads)
			}
		}
	})
}

// Environments of one burst do not come again as one.
func TestReadsAreSpread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const environments = 100
		p := new(parameters).set(fresh(nil, 1))
		var all []*Source
		for range environments {
			s, err := New(Config{Client: p, Name: name})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Get(t.Context()); err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
		}
		time.Sleep(lifetime - spread)
		most := 0
		for second := time.Duration(0); second < spread; second += time.Second {
			before := p.reads
			for _, s := range all {
				if _, err := s.Get(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			most = max(most, p.reads-before)
			time.Sleep(time.Second)
		}
		for _, s := range all {
			if _, err := s.Get(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if p.reads != 2*environments {
			t.Errorf("%d reads of %d environments in 5 minutes", p.reads-environments, environments)
		}
		if most > environments/4 {
			t.Errorf("%d of %d environments read within one second", most, environments)
		}
	})
}
