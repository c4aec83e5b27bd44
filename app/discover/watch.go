package discover

import "time"

// WatchConfig says how a Watcher looks. Only OnChange is required.
type WatchConfig struct {
	Interval time.Duration // between two scans; 3 s by default
	// OnChange gets the list whenever it differs from the one before; the first one
	// always. It is called by the watcher's goroutine.
	OnChange func([]Service)
	// OnError gets what keeps the list from being made, once for each trouble.
	OnError func(error)
}

// Watcher scans again and again while somebody watches.
type Watcher struct{}

// NewWatcher makes a watcher that does nothing before SetWatched(true).
func NewWatcher(cfg WatchConfig) *Watcher { return &Watcher{} }

// SetWatched says whether anybody sees the list. When that begins, there is a scan at once.
func (w *Watcher) SetWatched(watched bool) {}

// Refresh scans now, if anybody watches.
func (w *Watcher) Refresh() {}

// Close ends the watcher and waits until it is done.
func (w *Watcher) Close() {}
