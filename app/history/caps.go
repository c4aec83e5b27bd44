package history

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

const (
	// trimStep is how many exchanges leave in one transaction, and trimBytes about how
	// many bytes: as much is written to the log.
	trimStep  = 500
	trimBytes = 8 << 20
	// shrinkStep is how many pages the file loses in one.
	shrinkStep = 1000
	// slack is the part of the size that is made room for at once, so that not every
	// batch has to remove something.
	slack = 32
)

// pages are the parts of the file.
type pages struct{ all, free, size int64 }

func (p pages) used() int64 { return (p.all - p.free) * p.size }

func (db *database) pages(ctx context.Context) (p pages, err error) {
	err = db.conn.QueryRowContext(ctx, `SELECT page_count, freelist_count, page_size
		FROM pragma_page_count, pragma_freelist_count, pragma_page_size`).Scan(&p.all, &p.free, &p.size)
	return p, err
}

// trim takes one step towards the limits, and reports whether there are more to take.
// What is removed is overwritten: see secure_delete in pragmas.
func (db *database) trim(ctx context.Context, limits *Limits, now time.Time) (more bool, err error) {
	aged, err := db.remove(ctx, `SELECT seq, bytes, start AS place FROM exchanges WHERE start < ? ORDER BY start LIMIT ?`, trimBytes,
		now.Add(-limits.MaxAge).UnixMicro(), trimStep)
	if err != nil || aged > 0 {
		return aged > 0, err
	}
	p, err := db.pages(ctx)
	if err != nil {
		return false, err
	}
	if excess := p.used() - limits.MaxBytes; excess > 0 {
		gone, err := db.removeOldest(ctx, excess+limits.MaxBytes/slack)
		return gone > 0, err
	}
	if p.free > 0 && p.all*p.size > limits.MaxBytes || p.free > max(shrinkStep, p.all/2) {
		return p.free > shrinkStep, db.shrink(ctx, shrinkStep)
	}
	// The file follows when the log is copied over, for which a reader may have been in
	// the way.
	if info, err := os.Stat(db.path); err == nil && info.Size() > max(p.all*p.size, limits.MaxBytes) {
		return false, db.step(ctx, "wal_checkpoint(PASSIVE)")
	}
	return false, nil
}

// makeRoom removes the oldest exchanges until that many bytes more are within a limit,
// but never more than a part of what there is for one batch.
func (db *database) makeRoom(ctx context.Context, most, bytes int64) error {
	bytes = min(bytes, most/batchPart)
	for {
		p, err := db.pages(ctx)
		if err != nil {
			return err
		}
		excess := p.used() + bytes - most
		if excess <= 0 {
			return nil
		}
		gone, err := db.removeOldest(ctx, excess+most/slack)
		if err != nil || gone == 0 {
			return err
		}
	}
}

func (db *database) removeOldest(ctx context.Context, bytes int64) (n int64, err error) {
	return db.remove(ctx, `SELECT seq, bytes, seq AS place FROM exchanges ORDER BY seq LIMIT ?`, min(bytes, trimBytes), trimStep)
}

// remove deletes, of the exchanges that a query names, the first ones until about
// that many bytes are free.
func (db *database) remove(ctx context.Context, query string, bytes int64, args ...any) (n int64, err error) {
	err = db.transaction(ctx, func() error {
		result, err := db.conn.ExecContext(ctx, `DELETE FROM exchanges WHERE seq IN (
			SELECT seq FROM (SELECT seq, sum(bytes) OVER (ORDER BY place, seq) - bytes AS before FROM (`+query+`)) WHERE before < ?)`,
			append(args, bytes)...)
		if err != nil {
			return err
		}
		n, err = result.RowsAffected()
		return err
	})
	return n, err
}

// shrink gives up to n free pages at the end of the file back to the file system.
func (db *database) shrink(ctx context.Context, n int) error {
	return errors.Join(db.step(ctx, fmt.Sprintf("incremental_vacuum(%d)", n)), db.step(ctx, "wal_checkpoint(PASSIVE)"))
}

// step runs a pragma that does as much as is asked of it for its rows.
func (db *database) step(ctx context.Context, pragma string) error {
	rows, err := db.conn.QueryContext(ctx, "PRAGMA "+pragma)
	if err != nil {
		return err
	}
	for rows.Next() {
	}
	return errors.Join(rows.Err(), rows.Close())
}
