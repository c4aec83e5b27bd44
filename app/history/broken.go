package history

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// BrokenError says that a database made no sense and was put aside. The history that
// comes with the error is empty and usable.
type BrokenError struct {
	Kept  string // where the file is now
	Cause error
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("the history could not be read (%v): it is kept as %s, and a new one has begun", e.Cause, e.Kept)
}

// Unwrap gives the cause.
func (e *BrokenError) Unwrap() error { return e.Cause }

var (
	errForeign = errors.New("it is a database of another program")
	errDamaged = errors.New("it is damaged")
	errSuspect = errors.New("reading it failed")
)

// code is SQLite's primary result code, or 0.
func code(err error) int {
	if e := (*sqlite.Error)(nil); errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// isBusy reports whether err may be over when another process is done.
func isBusy(err error) bool {
	switch code(err) {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return true
	}
	return false
}

// isBroken reports whether err is about the file's contents, which will not get better.
func isBroken(err error) bool {
	switch code(err) {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return true
	}
	return errors.Is(err, errForeign) || errors.Is(err, errDamaged)
}

// openOrReplace opens the database and, if it is broken, puts it aside and begins a
// new one; then the error is a *BrokenError. A lock keeps two processes from putting
// aside each other's new one.
func openOrReplace(ctx context.Context, path string, how check) (*database, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, path)
	if err != nil {
		return nil, err
	}
	defer unlock()
	db, err := open(ctx, path, how)
	if !isBroken(err) {
		return db, err
	}
	broken := &BrokenError{Cause: err}
	if broken.Kept, err = keepAside(path); err != nil {
		return nil, fmt.Errorf("the history could not be read (%w), and not be put aside: %w", broken.Cause, err)
	}
	if db, err = open(ctx, path, shallow); err != nil {
		return nil, err
	}
	return db, broken
}

// explain says what an error means for the person, and what to do.
func explain(path string, err error) error {
	if held := (*heldError)(nil); errors.As(err, &held) {
		return err
	}
	switch c := code(err); {
	case c == sqlite3.SQLITE_FULL || errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("the disk is full: make room for %s: %w", path, err)
	case c == sqlite3.SQLITE_READONLY, c == sqlite3.SQLITE_CANTOPEN, c == sqlite3.SQLITE_PERM,
		errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("the history cannot be written: check the permissions of %s and of its folder: %w", path, err)
	case isBusy(err):
		return fmt.Errorf("another program keeps %s locked: close it: %w", path, err)
	case errors.Is(err, errNewer):
		return fmt.Errorf("the history %s cannot be used: %w", path, err)
	}
	return fmt.Errorf("keeping the history in %s: %w", path, err)
}

// errUnavailable is what readers get while the file cannot be opened.
var errUnavailable = errors.New("it cannot be opened at the moment")

// explainReading is explain for those who look.
func explainReading(path string, err error) error {
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, errClosed):
		return err
	case isBroken(err):
		return fmt.Errorf("the history was found to be broken and is being looked after: try again: %w", err)
	}
	return fmt.Errorf("reading the history %s: %w", path, err)
}
