package model

import (
	"encoding/json"
	"slices"
	"time"
)

// Received is a notice that somebody has sent to this user through a backend: a value,
// and what it points to is not changed any more.
type Received struct {
	ID     string
	Tunnel string    // name of the tunnel through which it came, "" if that is gone
	At     time.Time // when it was sent
	// Title, which may be "", and Text are for people: Title is one line, Text may have
	// more.
	Title, Text string
	Data        json.RawMessage // as it was sent; nil if it is not kept any more
	Read        bool
}

// Unread counts the notices that nobody has looked at.
func Unread(list []Received) int {
	n := 0
	for i := range list {
		if !list[i].Read {
			n++
		}
	}
	return n
}

// NoticeWay is how a notice can be sent to this user: what an empty list teaches.
type NoticeWay struct {
	// URL takes notices, "" where no tunnel is open to a relay that does.
	URL string
	// Queue: a tunnel is open to AWS, where they are put into a queue.
	Queue bool
	User  string // the user's ID, "" if it is not known
	Token bool   // the sender needs one
	// TokenFile holds one, and CAFile what the relay's certificate is checked with; ""
	// if there is no such file.
	TokenFile, CAFile string
}

// SetReceived says which notices there are, newest first. The Store keeps the slice.
func (s *Store) SetReceived(list []Received) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received = list
	s.mark()
}

// Received returns the notices, newest first. The slice must not be changed.
func (s *Store) Received() []Received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clip(s.received)
}
