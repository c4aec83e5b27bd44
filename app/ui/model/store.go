package model

import (
	"slices"
	"sort"
	"sync"
)

// Capacity is how many requests the log keeps; older ones leave first.
const Capacity = 5000

// maxNotices bounds the messages that wait to be read.
const maxNotices = 4

// Store is the meeting point of engine and window. Writers take a short lock and
// leave a mark; nobody waits for the other side.
type Store struct {
	mu      sync.Mutex
	tunnels []Tunnel
	backend Backend
	notices []string

	ring  []*Request // grows to Capacity, then wraps
	head  int        // index of the oldest row once it has wrapped
	next  uint64     // ID of the next request
	epoch int        // counts removals, so that views know to start again

	changed chan struct{}
}

// NewStore returns an empty Store.
func NewStore() *Store {
	return &Store{next: 1, changed: make(chan struct{}, 1)}
}

// Changed receives after tunnels, backend or notices have changed. Requests do not
// signal: the window looks for them at its own frame rate.
func (s *Store) Changed() <-chan struct{} { return s.changed }

func (s *Store) mark() {
	select {
	case s.changed <- struct{}{}:
	default: // one mark is enough for any number of changes
	}
}

// PutTunnel adds a tunnel or replaces the one with its key.
func (s *Store) PutTunnel(t Tunnel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.index(t.Key); i >= 0 {
		t.Requests, t.Warning = s.tunnels[i].Requests, s.tunnels[i].Warning
		if t.State == Stopped {
			t.Warning = "" // who starts it again may have mended the service
		}
		if s.tunnels[i] == t {
			return
		}
		s.tunnels[i] = t
	} else {
		s.tunnels = append(s.tunnels, t)
	}
	s.mark()
}

// AddTunnel adds a tunnel, unless its key is known already.
func (s *Store) AddTunnel(t Tunnel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index(t.Key) < 0 {
		s.tunnels = append(s.tunnels, t)
		s.mark()
	}
}

// RemoveTunnel forgets a tunnel and its requests: nothing could say any more
// whose they were.
func (s *Store) RemoveTunnel(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.index(key); i >= 0 {
		s.tunnels = slices.Delete(s.tunnels, i, i+1)
		s.drop(key)
		s.mark()
	}
}

func (s *Store) index(key string) int {
	return slices.IndexFunc(s.tunnels, func(t Tunnel) bool { return t.Key == key })
}

// Tunnels returns a copy, in the order in which they were opened.
func (s *Store) Tunnels() []Tunnel {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tunnels)
}

// SetBackend says where the tunnels lead.
func (s *Store) SetBackend(b Backend) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.backend != b {
		s.backend = b
		s.mark()
	}
}

// Backend returns where the tunnels lead.
func (s *Store) Backend() Backend {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.backend
}

// AddNotice leaves a message that stays in the window until it is dismissed. A
// message that is already there is not repeated.
func (s *Store) AddNotice(text string) {
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

// AddRequest appends to the log. The Store keeps r and gives it its ID.
func (s *Store) AddRequest(r *Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.ID = s.next
	s.next++
	if len(s.ring) < Capacity {
		s.ring = append(s.ring, r)
	} else {
		s.ring[s.head] = r
		s.head = (s.head + 1) % Capacity
	}
	if i := s.index(r.Tunnel); i >= 0 {
		t := &s.tunnels[i]
		t.Requests++
		if r.NoTarget {
			t.Warning = r.Err
		} else if r.Status != 0 { // a visitor who left says nothing about the service
			t.Warning = ""
		}
	}
}

// Since appends the rows younger than the ID to rows, oldest first. The epoch
// changes whenever rows were removed out of their turn.
func (s *Store) Since(id uint64, rows []*Request) (_ []*Request, last uint64, epoch int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// IDs rise along the ring, so the first younger row is found by bisection.
	n := len(s.ring)
	from := sort.Search(n, func(i int) bool { return s.ring[(s.head+i)%n].ID > id })
	for i := from; i < n; i++ {
		rows = append(rows, s.ring[(s.head+i)%n])
	}
	return rows, s.next - 1, s.epoch
}

// ClearRequests empties the log: of one tunnel, or with "" of all.
func (s *Store) ClearRequests(tunnel string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(tunnel)
	s.mark()
}

func (s *Store) drop(tunnel string) {
	kept := make([]*Request, 0, len(s.ring))
	for i := range s.ring {
		if r := s.ring[(s.head+i)%len(s.ring)]; tunnel != "" && r.Tunnel != tunnel {
			kept = append(kept, r)
		}
	}
	s.ring, s.head = kept, 0
	s.epoch++
}
