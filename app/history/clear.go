package history

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// clearTime is how long Clear tries while other processes read.
const clearTime = 10 * time.Second

// errTraces is what is wrong when everything was removed from sight, but the old
// bytes may still be read from the files.
var errTraces = errors.New("another program is using the history, so that traces of it are still in its files: close that program and clear again")

// Clear removes everything, also broken databases kept aside, from the files and not
// only from sight. What was added before it is gone, what is added later is kept.
func (h *History) Clear(ctx context.Context) error {
	var removed atomic.Bool // from sight
	err := h.do(ctx, func(ctx context.Context, w *writer) error {
		ctx, cancel := context.WithTimeout(ctx, clearTime)
		defer cancel()
		w.queue.empty()
		err := w.ready()
		if err == nil {
			err = w.db.clear(ctx, &removed)
		}
		if isBroken(err) && w.repair(err) {
			err = w.db.clear(ctx, &removed)
		}
		if err != nil && !errors.Is(err, errTraces) {
			err = fmt.Errorf("clearing the history: %w", explain(w.cfg.Path, err))
		}
		return errors.Join(err, removeKept(w.cfg.Path, func(keptFile) bool { return true }))
	})
	if err != nil && ctx.Err() != nil && removed.Load() {
		return errTraces // the writer may still be at it
	}
	return err
}

// clear empties the tables and writes the file anew. Overwriting each row before
// that would only make it take longer, and need as much room again in the log.
func (db *database) clear(ctx context.Context, removed *atomic.Bool) (err error) {
	if _, err := db.conn.ExecContext(ctx, `PRAGMA secure_delete = OFF; PRAGMA foreign_keys = OFF`); err != nil {
		return err
	}
	defer func() {
		_, back := db.conn.ExecContext(context.WithoutCancel(ctx), `PRAGMA secure_delete = ON; PRAGMA foreign_keys = ON`)
		err = errors.Join(err, back)
	}()
	err = db.transaction(ctx, func() error {
		_, err := db.conn.ExecContext(ctx, `DELETE FROM messages; DELETE FROM contents; DELETE FROM exchanges`)
		return err
	})
	if err != nil {
		return err
	}
	removed.Store(true)
	return db.scrub(ctx)
}

// scrub writes the file anew without the free parts of its pages, and empties the log.
func (db *database) scrub(ctx context.Context) error {
	for {
		_, err := db.conn.ExecContext(ctx, `VACUUM`)
		var left int
		if err == nil {
			// Copies the log into the file and cuts it to nothing, once nobody reads from it.
			err = db.conn.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&left, new(int), new(int))
		}
		if err == nil && left == 0 {
			return nil
		}
		if err != nil && !isBusy(err) && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return errTraces
		case <-time.After(20 * time.Millisecond):
		}
	}
}
