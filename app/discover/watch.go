package discover

import (
	"context"
	"slices"
	"sync"
	"time"
)

// WatchConfig says how a Watcher looks. Only OnChange is required.
type WatchConfig struct {
	Interval time.Duration // between two scans; 3 s by default
	// OnChange gets the list whenever it differs from the one before; the first one
	// always. It is called by the watcher's goroutine.
	OnChange func([]Service)
	// OnError gets what keeps the list from being made, once until it succeeds again.
	OnError func(error)
	// Scan lists the services; the machine's, by default.
	Scan func(context.Context) ([]Service, error)
}

const (
	defaultInterval = 3 * time.Second
	// scanTime bounds one scan: some systems ask other programs.
	scanTime = 10 * time.Second
)

// Watcher scans again and again while somebody watches.
type Watcher struct {
	cfg  WatchConfig
	stop context.CancelFunc
	done chan struct{}
	look chan struct{} // has room for one: somebody watches, or wants to see now

	mu      sync.Mutex
	watched bool
}

// NewWatcher makes a watcher that does nothing before SetWatched(true). It has a
// goroutine until Close.
func NewWatcher(cfg WatchConfig) *Watcher {
	if cfg.Interval <= 0 {
		cfg.Interval = defaultInterval
	}
	if cfg.OnError == nil {
		cfg.OnError = func(error) {}
	}
	if cfg.Scan == nil {
		var s scanner
		cfg.Scan = s.scan
	}
	ctx, stop := context.WithCancel(context.Background())
	w := &Watcher{cfg: cfg, stop: stop, done: make(chan struct{}), look: make(chan struct{}, 1)}
	go w.run(ctx)
	return w
}

// SetWatched says whether anybody sees the list. When that begins, there is a scan at once.
func (w *Watcher) SetWatched(watched bool) {
	w.mu.Lock()
	begins := watched && !w.watched
	w.watched = watched
	w.mu.Unlock()
	if begins {
		w.Refresh()
	}
}

// Refresh scans now, if anybody watches. It does not wait.
func (w *Watcher) Refresh() {
	select {
	case w.look <- struct{}{}:
	default:
	}
}

// Close ends the watcher and waits until it is done: OnChange is not called any more.
// It is not to be called from there.
func (w *Watcher) Close() {
	w.stop()
	<-w.done
}

func (w *Watcher) isWatched() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.watched
}

func (w *Watcher) run(ctx context.Context) {
	defer close(w.done)
	var last []Service
	first, failed := true, false
	for {
		var next <-chan time.Time
		if w.isWatched() {
			next = time.After(w.cfg.Interval)
		}
		select {
		case <-ctx.Done():
			return
		case <-w.look:
		case <-next:
		}
		if !w.isWatched() {
			continue
		}
		list, err := w.scan(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			if !failed {
				w.cfg.OnError(err)
			}
			failed = true
			continue
		}
		failed = false
		if first || !slices.Equal(last, list) {
			first, last = false, list
			w.cfg.OnChange(slices.Clone(list))
		}
	}
}

func (w *Watcher) scan(ctx context.Context) ([]Service, error) {
	ctx, cancel := context.WithTimeout(ctx, scanTime)
	defer cancel()
	return w.cfg.Scan(ctx)
}
