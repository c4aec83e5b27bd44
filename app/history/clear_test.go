package history

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"culvert/app/exchange"
)

// After Clear, what was there cannot be found in the bytes of the files.
func TestClearLeavesNoTraces(t *testing.T) {
	t.Parallel()
	h := begun(t, Config{Limits: Limits{Secrets: true}})
	folder := filepath.Dir(h.cfg.Path)
	markers := []string{"zebra-body", "zebra-path", "zebra-header", "zebra-message", "zebra-visitor"}
	add := func(n int) {
		for i := range n {
			x := heavy(i, 20<<10)
			x.Path, x.RemoteAddr = "/"+markers[1], markers[4]
			x.Request.Body = []byte(markers[0])
			x.Request.Header.Set("X-Thing", markers[2])
			x.Messages = []exchange.StreamMessage{{Time: begin, Data: []byte(markers[3])}}
			h.Add(x)
		}
	}
	add(300)
	flush(t, h)
	if found := run(t, "grep", append([]string{folder}, markers...)...); len(found) < len(markers) {
		t.Fatalf("before, only %v is there: the test shows nothing", found)
	}
	add(5) // are waiting to be written
	if err := h.Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found := run(t, "grep", append([]string{folder}, markers...)...); len(found) > 0 {
		t.Errorf("after clearing there is still %v", found)
	}
	s, err := h.Stats(t.Context())
	if err != nil || s.Exchanges != 0 || s.Bytes > 200<<10 || !s.Oldest.IsZero() {
		t.Errorf("after clearing there are %+v, %v; want nothing in a small file", s, err)
	}
	// It goes on, with what overwrites what it removes.
	h.Add(sample(1))
	flush(t, h)
	if p, err := h.Search(t.Context(), Query{}); err != nil || len(p.Rows) != 1 {
		t.Errorf("afterwards there are %d exchanges, %v; want the new one", len(p.Rows), err)
	}
	err = h.do(t.Context(), func(ctx context.Context, w *writer) error {
		var secure, keys int
		err := errors.Join(w.db.conn.QueryRowContext(ctx, `PRAGMA secure_delete`).Scan(&secure),
			w.db.conn.QueryRowContext(ctx, `PRAGMA foreign_keys`).Scan(&keys))
		if secure != 1 || keys != 1 {
			t.Errorf("after clearing, secure_delete is %d and foreign_keys %d; want 1 and 1", secure, keys)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// Somebody who reads all the time keeps the log from being cut; that is said.
func TestClearSaysWhenTracesAreLeft(t *testing.T) {
	t.Parallel()
	h := begun(t, Config{})
	for n := range 100 {
		h.Add(sample(n))
	}
	flush(t, h)
	other, err := connect(h.cfg.Path, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	tx, err := other.Begin()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM exchanges`).Scan(&n); err != nil || n != 100 {
		t.Fatal(n, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error)
	go func() { done <- h.Clear(ctx) }()
	wait(t, func() bool {
		s, err := h.Stats(t.Context())
		return err == nil && s.Exchanges == 0
	})
	cancel(context.Canceled)
	if err := <-done; !errors.Is(err, errTraces) {
		t.Errorf("clearing beside a reader gives %v, want %v", err, errTraces)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := h.Clear(t.Context()); err != nil {
		t.Errorf("clearing again gives %v", err)
	}
}
