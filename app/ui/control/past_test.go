package control

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"culvert/app/config"
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
