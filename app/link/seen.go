package link

import (
	"sync"
	"time"
)

// A backend may deliver a form 1 request twice, on one connection or on the two
// that live during a replacement; serving it twice would break the promise that
// no request reaches the local service more than once.
const (
	seenMax = 4096
	seenFor = 2 * time.Minute
)

// seenIDs remembers the last request IDs. The zero value is ready.
type seenIDs struct {
	mu   sync.Mutex
	ids  map[string]time.Time
	ring [seenMax]string // oldest at next, once full
	next int
}

// first reports whether id has not been seen lately, and remembers it.
func (s *seenIDs) first(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids == nil {
		s.ids = make(map[string]time.Time)
	}
	now := time.Now()
	if at, ok := s.ids[id]; ok {
		if now.Sub(at) < seenFor {
			return false
		}
		s.ids[id] = now // its place in the ring stays: forgotten early, never kept too long
		return true
	}
	delete(s.ids, s.ring[s.next])
	s.ring[s.next] = id
	s.next = (s.next + 1) % seenMax
	s.ids[id] = now
	return true
}

// has reports whether id has been seen lately.
func (s *seenIDs) has(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.ids[id]
	return ok && time.Since(at) < seenFor
}
