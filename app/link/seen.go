package link

import (
	"crypto/sha256"
	"sync"
	"time"
)

// A backend may deliver a form 1 request twice, on one connection or on the two
// that live during a replacement; serving it twice would break the promise that
// no request reaches the local service more than once.
const (
	seenMax = 1 << 15
	seenFor = 2 * time.Minute
)

// seenIDs remembers the last request IDs. The zero value is ready.
type seenIDs struct {
	mu   sync.Mutex
	at   map[seenID]time.Time // when it came
	ring []seenID             // once it is full, the oldest is at next
	next int
	lost time.Time // when the latest of those had come that were forgotten for lack of room
}

// seenID is a request ID in little room.
type seenID [16]byte

func newSeenID(id string) seenID {
	sum := sha256.Sum256([]byte(id))
	return seenID(sum[:16])
}

// first reports whether id has never been seen, and remembers it. This is for the
// IDs of a backend with the capability session, which are used once and never again.
func (s *seenIDs) first(id string) bool { return s.note(id, 0) }

// firstLately is first for IDs that may come to be used anew.
func (s *seenIDs) firstLately(id string) bool { return s.note(id, seenFor) }

// note remembers id and reports whether that was news; again after so long, unless
// that is 0.
func (s *seenIDs) note(id string, again time.Duration) bool {
	k := newSeenID(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at == nil {
		s.at = make(map[seenID]time.Time)
	}
	now := time.Now()
	if at, ok := s.at[k]; ok {
		if again == 0 || now.Sub(at) < again {
			return false
		}
		s.at[k] = now // its place in the ring stays: forgotten early, never kept too long
		return true
	}
	if len(s.ring) < seenMax {
		s.ring = append(s.ring, k)
	} else {
		oldest := s.ring[s.next]
		if at := s.at[oldest]; at.After(s.lost) {
			s.lost = at
		}
		delete(s.at, oldest)
		s.ring[s.next] = k
		s.next = (s.next + 1) % seenMax
	}
	s.at[k] = now
	return true
}

// has reports whether id has been seen.
func (s *seenIDs) has(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.at[newSeenID(id)]
	return ok
}

// never reports whether it is certain that id has not come within the last minutes. It
// is not certain of any if so many came meanwhile that some of them were forgotten.
func (s *seenIDs) never(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.at[newSeenID(id)]
	return !ok && time.Since(s.lost) >= seenFor
}
