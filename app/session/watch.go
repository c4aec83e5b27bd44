package session

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// Event is something that happened to the machine and makes every connection doubtful.
type Event int

const (
	// Woke: the machine has slept, or its clock was set.
	Woke Event = iota + 1
	// NetworkChanged: it has another set of network addresses.
	NetworkChanged
)

// String is the end of the sentence "no sign of life from the backend …".
func (e Event) String() string {
	switch e {
	case Woke:
		return "after wake-up"
	case NetworkChanged:
		return "after the network changed"
	}
	return "after an unknown event"
}

// WatchConfig says how a Watcher looks around. The zero value is right outside tests.
type WatchConfig struct {
	// Interval between two looks; 3 s by default.
	Interval time.Duration
	// Clock gives the wall clock, and a monotonic one with any zero point.
	Clock func() (wall time.Time, mono time.Duration)
	// Addrs lists the addresses of the network interfaces.
	Addrs func() ([]net.Addr, error)
}

const (
	// watchJump is how far the wall clock may get away from the monotonic one
	// between two looks. The monotonic clock of Linux and macOS stands still
	// during sleep. A clock that was set looks the same, and costs one probe.
	watchJump = 5 * time.Second
	// watchLate is how much later than due a look may come: monotonic clocks
	// that go on during sleep show it only this way.
	watchLate = 10 * time.Second
)

// Watcher notices wake-ups and network changes, for any number of sessions. It
// polls, because no operating system tells reliably: macOS sends no network
// change after a short sleep.
type Watcher struct {
	cfg WatchConfig

	mu   sync.Mutex
	subs map[chan Event]struct{}
}

// NewWatcher makes a watcher that sees nothing before Run.
func NewWatcher(cfg WatchConfig) *Watcher {
	if cfg.Interval <= 0 {
		cfg.Interval = 3 * time.Second
	}
	if cfg.Clock == nil {
		start := time.Now()
		cfg.Clock = func() (time.Time, time.Duration) {
			now := time.Now()
			return now.Round(0), now.Sub(start) // Round strips the monotonic reading
		}
	}
	if cfg.Addrs == nil {
		cfg.Addrs = net.InterfaceAddrs
	}
	return &Watcher{cfg: cfg, subs: make(map[chan Event]struct{})}
}

// Subscribe gives a channel of events and the way to give it back. Events that
// come while one is still unread are dropped: one is reason enough to look.
func (w *Watcher) Subscribe() (events <-chan Event, cancel func()) {
	ch := make(chan Event, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.subs[ch] = struct{}{}
	return ch, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.subs, ch)
	}
}

// Run looks around until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	tick := time.NewTicker(w.cfg.Interval)
	defer tick.Stop()
	wall, mono := w.cfg.Clock()
	addrs := w.addrs("")
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		nowWall, nowMono := w.cfg.Clock()
		elapsed := nowMono - mono
		jump := nowWall.Sub(wall) - elapsed
		wall, mono = nowWall, nowMono
		if jump.Abs() > watchJump || elapsed > w.cfg.Interval+watchLate {
			w.publish(Woke)
		}
		now := w.addrs(addrs)
		if now != addrs {
			addrs = now
			w.publish(NetworkChanged)
		}
	}
}

func (w *Watcher) publish(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ch := range w.subs {
		select {
		case ch <- e:
		default:
		}
	}
}

// addrs is the set of addresses in one comparable string, or last if it cannot
// be read. Loopback and link-local ones are left out: no backend is reached
// through them, and those of containers come and go all day.
func (w *Watcher) addrs(last string) string {
	list, err := w.cfg.Addrs()
	if err != nil {
		return last
	}
	var set []string
	for _, a := range list {
		ipnet, ok := a.(*net.IPNet)
		if !ok || ipnet.IP.IsLoopback() || ipnet.IP.IsLinkLocalUnicast() {
			continue
		}
		set = append(set, ipnet.String())
	}
	slices.Sort(set)
	return strings.Join(slices.Compact(set), " ")
}
