// Package history keeps exchanges on disk, so that what came in yesterday can
// still be looked up: redacted unless the person decides otherwise, bounded by size
// and age, searchable, and gone for good when it is cleared.
//
// It is one SQLite database that several processes may share. Writing is done by
// one goroutine behind a bounded queue: a caller of Add never waits for the disk, and
// what the disk cannot take is dropped and counted.
//
//	Add ──► queue ──► writer ──► history.db ◄── Search, Get, Stats
//	         │          │
//	      dropped     limits, Clear, repair
package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"culvert/app/exchange"
	"culvert/app/redact"
)

// Defaults of Limits and Config.
const (
	DefaultMaxBytes = 200 << 20
	DefaultMaxAge   = 7 * 24 * time.Hour
	DefaultMaxBody  = 256 << 10
)

// minBytes is the least that Limits.MaxBytes may be: an empty database and its
// latest exchanges.
const minBytes = 1 << 20

// Limits are what a person decides; they can change while the history is in use.
type Limits struct {
	// MaxBytes bounds the database file, and MaxAge what stays in it; the oldest
	// leave. 0 stands for the defaults. A log of a few MB may lie beside the file, and
	// one broken database that is no larger and no older.
	MaxBytes int64
	MaxAge   time.Duration
	// Secrets keeps secrets in what is stored from now on. Without it they are taken
	// out before anything reaches the disk.
	Secrets bool
}

func (l Limits) validate() (Limits, error) {
	if l.MaxBytes == 0 {
		l.MaxBytes = DefaultMaxBytes
	}
	if l.MaxAge == 0 {
		l.MaxAge = DefaultMaxAge
	}
	if l.MaxBytes < minBytes {
		return l, fmt.Errorf("the history's size is limited to %d bytes: give it %d at least", l.MaxBytes, minBytes)
	}
	if l.MaxAge < 0 {
		return l, fmt.Errorf("the history's age is limited to %v: it must be longer than nothing, such as 168h", l.MaxAge)
	}
	return l, nil
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
	// again; a *BrokenError tells that they can be, in a new file. It is called by the
	// writing goroutine and must not wait for the History.
	OnTrouble func(error)
	Logger    *slog.Logger
	// Paused opens a history that takes nothing until SetRecording(true). What was
	// kept before can be looked at and cleared, and leaves when it is too old.
	Paused bool

	redact func(*exchange.Exchange) *exchange.Exchange // redact.Exchange but in tests
}

// grace is how long the writer may take to end what it is at when time is up.
const grace = 250 * time.Millisecond

// ErrNotFound means that there is no such exchange (any more).
var ErrNotFound = errors.New("this exchange is no longer in the history")

// errClosed is what every method gives after Close.
var errClosed = errors.New("the history is closed")

// History is open until Close. Its methods may be called by any goroutine.
type History struct {
	cfg     Config
	log     *slog.Logger
	limits  atomic.Pointer[Limits]
	queue   *queue
	dropped atomic.Int64
	paused  atomic.Bool

	mu sync.RWMutex // held for reading while db is used, for writing while it is replaced
	db *database    // nil while it cannot be opened

	commands chan command
	suspect  chan struct{} // has room for one: a reader has seen that the file is broken
	relimit  chan struct{} // has room for one: the limits are others
	quit     chan struct{} // closed when Close begins
	done     chan struct{} // closed when the writer has ended
	closing  sync.Once
	ctx      context.Context // ends when Close has waited long enough
	abort    context.CancelFunc
}

// Open opens the history, or begins one. A *BrokenError comes together with a
// history that can be used; after any other error there is none.
func Open(ctx context.Context, cfg Config) (*History, error) {
	if cfg.Path == "" {
		return nil, errors.New("the history has no path")
	}
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("finding the history: %w", err)
	}
	cfg.Path = path
	limits, err := cfg.Limits.validate()
	if err != nil {
		return nil, err
	}
	if cfg.MaxBody <= 0 {
		cfg.MaxBody = DefaultMaxBody
	}
	if cfg.OnTrouble == nil {
		cfg.OnTrouble = func(error) {}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.redact == nil {
		cfg.redact = redact.Exchange
	}
	db, err := openOrReplace(ctx, path, shallow)
	broken := (*BrokenError)(nil)
	if err != nil && !errors.As(err, &broken) {
		return nil, explain(path, err)
	}
	h := &History{
		cfg: cfg, log: cfg.Logger, queue: newQueue(), db: db,
		commands: make(chan command), suspect: make(chan struct{}, 1), relimit: make(chan struct{}, 1),
		quit: make(chan struct{}), done: make(chan struct{}),
	}
	h.limits.Store(&limits)
	h.paused.Store(cfg.Paused)
	h.ctx, h.abort = context.WithCancel(context.Background())
	go h.write()
	if broken != nil {
		h.log.Warn("the history was broken and put aside", "kept", broken.Kept, "error", broken.Cause)
		return h, broken
	}
	return h, nil
}

// Add hands over an exchange, and never waits. One that is added again, with the
// same ID and Start, replaces itself: a stream may be added while it goes on. The
// history gives an ID to one without.
func (h *History) Add(x *exchange.Exchange) {
	if !h.paused.Load() && !h.queue.add(x) {
		h.dropped.Add(1)
	}
}

// SetRecording decides whether Add takes anything. What was added before is stored in
// any case.
func (h *History) SetRecording(on bool) { h.paused.Store(!on) }

// Dropped counts the exchanges that were not stored: the disk was too slow for them
// or did not take them.
func (h *History) Dropped() int64 { return h.dropped.Load() }

// SetLimits changes the limits. They hold for what is stored already, too, except
// that secrets stay as they are there: taken out, or not.
func (h *History) SetLimits(l Limits) error {
	l, err := l.validate()
	if err != nil {
		return err
	}
	h.limits.Store(&l)
	mark(h.relimit)
	return nil
}

// Flush waits until what was added before is on disk, or dropped.
func (h *History) Flush(ctx context.Context) error {
	return h.do(ctx, func(_ context.Context, w *writer) error {
		w.storeAll()
		return nil
	})
}

// Close writes what is queued and closes the files. If ctx ends before, what is
// left in the queue is dropped and the context's error returned; the files may be
// closed a little later then.
func (h *History) Close(ctx context.Context) error {
	h.closing.Do(func() {
		h.queue.close()
		close(h.quit)
	})
	select {
	case <-h.done:
		return nil
	case <-ctx.Done():
	}
	h.abort() // waiting and statements that are under way end soon
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-h.done:
	case <-timer.C: // the writer still closes the files when it can
	}
	return context.Cause(ctx)
}
