package control

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"culvert/app/config"
	"culvert/app/exchange"
	"culvert/app/history"
	"culvert/app/ui/model"
)

// Who asks for the history right after the start waits for it, and is not told that
// there is none.
func TestHistoryIsWaitedFor(t *testing.T) {
	dir, err := config.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var p past
	p.init(dir, history.Limits{MaxBytes: 1 << 20}, true, model.NewStore(), slog.New(slog.DiscardHandler))
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := p.opened(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("before it is open: %v, want to wait", err)
	}
	found := make(chan error)
	go func() {
		_, err := p.opened(t.Context())
		found <- err
	}()
	p.open(t.Context())
	if err := <-found; err != nil {
		t.Errorf("who waited for it was told: %v", err)
	}
	if err := p.close(t.Context()); err != nil {
		t.Error(err)
	}

	var off past
	off.init(dir, history.Limits{}, false, model.NewStore(), slog.New(slog.DiscardHandler))
	if _, err := off.opened(t.Context()); !errors.Is(err, errNoHistory) {
		t.Errorf("switched off: %v, want %v", err, errNoHistory)
	}
}

// What a person decides while the history is being opened holds for the first exchange
// that it gets.
func TestDecisionsWhileItOpens(t *testing.T) {
	t.Parallel()
	small, kept := history.Limits{MaxBytes: 1 << 20, Secrets: true}, history.Limits{MaxBytes: 2 << 20}
	for name, tt := range map[string]struct {
		wanted bool
		limits history.Limits
	}{
		"switched off":      {false, small},
		"secrets taken out": {true, kept},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, err := config.Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			var p past
			p.init(dir, small, true, model.NewStore(), slog.New(slog.DiscardHandler))
			changed := make(chan error, 1)
			p.begins = func(ctx context.Context, cfg history.Config) (*history.History, error) {
				h, err := history.Open(ctx, cfg)
				go func() { changed <- p.change(context.Background(), as(tt.wanted, tt.limits)) }()
				eventually(t, "decided", func() bool {
					p.mu.Lock()
					defer p.mu.Unlock()
					return p.wanted == tt.wanted && p.limits == tt.limits
				})
				return h, err
			}
			secret := exchange.Exchange{ID: "1", Start: time.Now(), Method: "GET", Path: "/", Status: 200,
				Request: exchange.Message{Header: http.Header{"Authorization": {"Bearer hunter2hunter2"}}}}
			p.add(&secret)
			p.open(t.Context())
			if err := <-changed; err != nil {
				t.Fatal(err)
			}
			next := secret
			next.ID = "2"
			p.add(&next)
			h, err := p.opened(t.Context())
			switch {
			case !tt.wanted && !errors.Is(err, errNoHistory):
				t.Errorf("switched off it is %v (%v)", h, err)
			case tt.wanted && err != nil:
				t.Fatal(err)
			}
			if err := p.close(t.Context()); err != nil {
				t.Error(err)
			}
			later, err := history.Open(t.Context(), history.Config{Path: p.path})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = later.Close(context.Background()) }()
			found, err := later.Search(t.Context(), history.Query{})
			if want := map[bool]int{true: 2}[tt.wanted]; err != nil || len(found.Rows) != want {
				t.Errorf("%d are kept, want %d (%v)", len(found.Rows), want, err)
			}
			for _, row := range found.Rows {
				if x, err := later.Get(t.Context(), row.ID); err != nil || !x.Redacted {
					t.Errorf("%s is kept with its secrets (%v)", row.ID, err)
				}
			}
		})
	}
}

// Who quits waits for no one who opens the history, and neither does who switches it off
// and on meanwhile.
func TestClosingEndsTheOpening(t *testing.T) {
	t.Parallel()
	dir, err := config.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var p past
	p.init(dir, history.Limits{MaxBytes: 1 << 20}, true, model.NewStore(), slog.New(slog.DiscardHandler))
	begun, ended := make(chan struct{}), make(chan struct{})
	p.begins = func(ctx context.Context, _ history.Config) (*history.History, error) {
		close(begun)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	go func() {
		defer close(ended)
		p.open(context.Background())
	}()
	<-begun
	if err := p.change(t.Context(), as(false, p.limits)); err != nil {
		t.Errorf("switching it off says %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_ = p.change(gone, as(true, p.limits))
	if err := p.close(t.Context()); err != nil {
		t.Errorf("closing says %v", err)
	}
	<-ended
	p.open(t.Context())
	if p.h != nil {
		t.Error("after the end it was opened once more")
	}
}

// as is a decision.
func as(wanted bool, l history.Limits) func() (bool, history.Limits) {
	return func() (bool, history.Limits) { return wanted, l }
}

// Of two changes at once, the one that stands in the file is in force.
func TestHistoryFollowsTheFile(t *testing.T) {
	t.Parallel()
	h := moveIn(t, t.TempDir(), Config{})
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			if err := h.Edit(t.Context(), func(c *config.Config) { c.History.Enabled, c.History.MaxMB = i%2 == 0, 100+i }); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	want := h.Config().History
	h.past.mu.Lock()
	defer h.past.mu.Unlock()
	if h.past.wanted != want.Enabled || (h.past.h != nil) != want.Enabled || h.past.limits != limits(want) {
		t.Errorf("the file says %+v; wanted %v, open %v, limits %+v", want, h.past.wanted, h.past.h != nil, h.past.limits)
	}
}
