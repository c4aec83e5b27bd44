package model

import (
	"reflect"
	"slices"
	"sync"
	"time"

	"culvert/app/discover"
	"culvert/app/plain"
)

// maxNotices bounds the messages that wait to be read, and maxNotice the length of each,
// in runes: they may quote what came from elsewhere.
const (
	maxNotices = 4
	maxNotice  = 500
)

// Store is the meeting point of engine and window. Writers take a short lock and
// leave a mark; nobody waits for the other side.
type Store struct {
	now func() time.Time

	mu       sync.Mutex
	tunnels  []Tunnel
	stats    map[string]*stats // by the tunnels' keys
	backend  Backend
	notices  []string
	received []Received
	services []discover.Service
	scanned  bool
	total    Total
	log      log

	changed chan struct{}
}

// Total is what has passed since the program was started.
type Total struct {
	Requests int
	Bytes    int64 // of bodies, in both directions
}

// NewStore returns an empty Store.
func NewStore() *Store { return newStore(time.Now) }

func newStore(now func() time.Time) *Store {
	return &Store{now: now, stats: map[string]*stats{}, log: newLog(), changed: make(chan struct{}, 1)}
}

// Changed receives after tunnels, backend, services or notices have changed. Requests
// do not signal: the window looks for them at its own frame rate.
func (s *Store) Changed() <-chan struct{} { return s.changed }

func (s *Store) mark() {
	select {
	case s.changed <- struct{}{}:
	default: // one mark is enough for any number of changes
	}
}

// PutTunnel adds a tunnel or replaces the one with its key. What the Store counts
// about it goes on.
func (s *Store) PutTunnel(t Tunnel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.index(t.Key); i >= 0 {
		old := &s.tunnels[i]
		t.Requests, t.Warning = old.Requests, old.Warning
		if t.State == Stopped {
			t.Warning = "" // who starts it again may have mended the service
		}
		if reflect.DeepEqual(*old, t) {
			return
		}
		*old = t
	} else {
		s.add(t)
	}
	s.mark()
}

// AddTunnel adds a tunnel, unless its key is known already.
func (s *Store) AddTunnel(t Tunnel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index(t.Key) < 0 {
		s.add(t)
		s.mark()
	}
}

func (s *Store) add(t Tunnel) {
	s.tunnels = append(s.tunnels, t)
	s.stats[t.Key] = &stats{}
}

// ChangeTunnel changes one tunnel while nobody else does. It does nothing if the key is
// not known.
func (s *Store) ChangeTunnel(key string, change func(*Tunnel)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.index(key)
	if i < 0 {
		return
	}
	t := s.tunnels[i]
	change(&t)
	if !reflect.DeepEqual(s.tunnels[i], t) {
		s.tunnels[i] = t
		s.mark()
	}
}

// ArrangeTunnels puts the tunnels in the order of the keys; those that are not named
// come last.
func (s *Store) ArrangeTunnels(keys []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	place := make(map[string]int, len(keys))
	for i, key := range keys {
		place[key] = i + 1
	}
	slices.SortStableFunc(s.tunnels, func(a, b Tunnel) int {
		x, y := place[a.Key], place[b.Key]
		switch {
		case x == 0 || y == 0:
			return y - x // exactly one of them is named, or none
		default:
			return x - y
		}
	})
	s.mark()
}

// RemoveTunnel forgets a tunnel and its requests: nothing could say any more
// whose they were.
func (s *Store) RemoveTunnel(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.index(key); i >= 0 {
		s.tunnels = slices.Delete(s.tunnels, i, i+1)
		delete(s.stats, key)
		s.log.drop(key)
		s.mark()
	}
}

func (s *Store) index(key string) int {
	return slices.IndexFunc(s.tunnels, func(t Tunnel) bool { return t.Key == key })
}

// Tunnels returns a copy, in the order in which they stand in the window.
func (s *Store) Tunnels() []Tunnel {
	s.mu.Lock()
	defer s.mu.Unlock()
	tunnels, now := slices.Clone(s.tunnels), s.now()
	for i := range tunnels {
		if st := s.stats[tunnels[i].Key]; st != nil {
			tunnels[i].Rate = st.rate(now)
			tunnels[i].P50, tunnels[i].P95 = st.percentiles()
		}
	}
	return tunnels
}

// SetBackend says where new tunnels lead.
func (s *Store) SetBackend(b Backend) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.backend != b {
		s.backend = b
		s.mark()
	}
}

// Backend returns where new tunnels lead.
func (s *Store) Backend() Backend {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.backend
}

// SetServices says what listens on this computer. The Store keeps the slice.
func (s *Store) SetServices(found []discover.Service) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.services, s.scanned = found, true
	s.mark()
}

// Services returns what listens on this computer, and whether that is known yet. The
// slice must not be changed.
func (s *Store) Services() (found []discover.Service, scanned bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.services, s.scanned
}

// AddNotice leaves a message that stays in the window until it is dismissed. A
// message that is already there is not repeated.
func (s *Store) AddNotice(text string) {
	text = plain.Cut(text, maxNotice)
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.notices, text) {
		return
	}
	s.notices = append(s.notices, text)
	if len(s.notices) > maxNotices {
		s.notices = slices.Delete(s.notices, 0, 1)
	}
	s.mark()
}

// Notice returns the latest message and how many there are.
func (s *Store) Notice() (text string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.notices) == 0 {
		return "", 0
	}
	return s.notices[len(s.notices)-1], len(s.notices)
}

// DismissNotice removes that message.
func (s *Store) DismissNotice(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notices = slices.DeleteFunc(s.notices, func(n string) bool { return n == text })
	s.mark()
}

// Total returns what has passed since the program was started.
func (s *Store) Total() Total {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}
