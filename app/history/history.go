// Package history keeps exchanges on disk, so that what came in yesterday can
// still be looked up: redacted unless the person decides otherwise, bounded by size
// and age, searchable, and gone for good when it is cleared.
//
// It is one SQLite database that several processes may share. Writing is done by
// one goroutine behind a bounded queue: a caller of Add never waits for the disk, and
// what the disk cannot take is dropped and counted.
package history

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"culvert/app/exchange"
)

// Defaults of Limits and Config.
const (
	DefaultMaxBytes = 200 << 20
	DefaultMaxAge   = 7 * 24 * time.Hour
	DefaultMaxBody  = 256 << 10
)

// Limits are what a person decides; they can change while the history is in use.
type Limits struct {
	// MaxBytes bounds the database file, and MaxAge what stays in it; the oldest
	// leave. 0 stands for the defaults.
	MaxBytes int64
	MaxAge   time.Duration
	// Secrets keeps secrets in what is stored from now on. Without it they are taken
	// out before anything reaches the disk.
	Secrets bool
}

// Config says where and how a history is kept. Only Path is required.
type Config struct {
	// Path is the database file. Its folder is made if need be; other files, whose
	// names begin with the same, lie beside it.
	Path   string
	Limits Limits
	// MaxBody bounds what is stored of each body, and of all messages of a stream
	// together; 0 stands for DefaultMaxBody.
	MaxBody int
	// OnTrouble is told when exchanges cannot be stored, and with nil when they can be
	// again. It is called by the writing goroutine and must not wait for the History.
	OnTrouble func(error)
	Logger    *slog.Logger
}

// ErrNotFound means that there is no such exchange (any more).
var ErrNotFound = errors.New("this exchange is no longer in the history")

// BrokenError says that a database made no sense and was put aside. The history that
// comes with the error is empty and usable.
type BrokenError struct {
	Kept  string // where the file is now
	Cause error
}

// History is open until Close. Its methods may be called by any goroutine.
type History struct{}

// Open opens the history, or begins one. A *BrokenError comes together with a
// history that can be used; after any other error there is none.
func Open(ctx context.Context, cfg Config) (*History, error) { return &History{}, nil }

// Add hands over a finished exchange, and never waits. One that is added again, with
// the same ID, replaces itself. The history gives an ID to one without.
func (h *History) Add(x *exchange.Exchange) {}

// Dropped counts the exchanges that were not stored: the disk was too slow for them
// or did not take them.
func (h *History) Dropped() int64 { return 0 }

// SetLimits changes the limits. They hold for what is stored already, too, except
// that secrets which were not stored do not come back, and others stay.
func (h *History) SetLimits(l Limits) error { return nil }

// Query says which exchanges are wanted. The zero value wants all.
type Query struct {
	// Text is words, all of which occur somewhere in the exchange: in its row, its
	// headers, its bodies, its messages. Upper and lower case (of ASCII) are alike.
	Text string
	// RowsOnly looks for Text only in what a row of the log shows.
	RowsOnly bool
	Tunnel   string // its name for people
	Method   string
	// StatusClass is 1 to 5, as the first digit of the status. Class 5 has those
	// that got no answer at all, too.
	StatusClass int
	MinDuration time.Duration
	// Before asks for what is older than a row: its Seq, or the Next of a Page.
	Before int64
	Limit  int // 1 to 1,000; 0 stands for 200
}

// Page is a part of what was found, newest first.
type Page struct {
	Rows []Summary
	// Next continues the search, as Query.Before, with what is older; 0 means that
	// there is nothing older. New exchanges do not disturb it.
	Next int64
}

// Summary is a row of the log.
type Summary struct {
	Seq int64  // rises with every exchange stored
	ID  string // for Get

	Tunnel, Target string
	Start          time.Time
	Duration       time.Duration
	Waited         time.Duration
	RemoteAddr     string
	Method         string
	Path           string // raw path and query
	Host           string
	Upgrade        string
	Status         int
	ContentType    string // of the answer
	RequestSize    int64  // bytes of the bodies as they passed
	ResponseSize   int64
	Messages       int // of a stream, those not kept included
	Err, Detail    string
	NoTarget       bool
	ReplayOf       string
	Redacted       bool
}

// Search finds exchanges, newest first. If ctx ends meanwhile, the page has what was
// found so far and continues from there; it is valid beside the context's error.
func (h *History) Search(ctx context.Context, q Query) (Page, error) { return Page{}, nil }

// Get gives a whole exchange, or ErrNotFound.
func (h *History) Get(ctx context.Context, id string) (*exchange.Exchange, error) {
	return nil, ErrNotFound
}

// Clear removes everything, also broken databases kept aside, from the files and not
// only from sight. What was added before it is gone, what is added later is kept.
func (h *History) Clear(ctx context.Context) error { return nil }

// Flush waits until what was added before is on disk, or dropped.
func (h *History) Flush(ctx context.Context) error { return nil }

// Stats is what there is.
type Stats struct {
	Exchanges int64
	Bytes     int64     // that the files take on disk
	Oldest    time.Time // zero if there is none
	Dropped   int64     // since Open
}

// Stats counts.
func (h *History) Stats(ctx context.Context) (Stats, error) { return Stats{}, nil }

// Close writes what is queued and closes the files. If ctx ends before, what is
// left in the queue is dropped.
func (h *History) Close(ctx context.Context) error { return nil }

// Error names the file, so that the person finds it.
func (e *BrokenError) Error() string { return "the history could not be read" }

// Unwrap gives the cause.
func (e *BrokenError) Unwrap() error { return e.Cause }
