package agents

import (
	"sync"
	"time"
)

const (
	// presenceKept is how long API Gateway is not asked again for a connection. A list is
	// asked for in 30 bytes, and asks for a hundred connections: whoever does so all the
	// time would else use up what the account may ask for in this region, at the cost of
	// all visitors.
	presenceKept = 30 * time.Second
	// maxPresences bounds the connections that are remembered.
	maxPresences = 10_000
)

// presences remembers for moments which connections are there.
type presences struct {
	mu    sync.Mutex
	known map[string]presence
}

// presence is what API Gateway said of a connection.
type presence struct {
	active time.Time // when it was last so
	until  time.Time
}

func (p *presences) get(connection string, now time.Time) (active time.Time, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one, ok := p.known[connection]
	// A clock that was set back must not make it last.
	if !ok || !now.Before(one.until) || one.until.Sub(now) > presenceKept {
		return time.Time{}, false
	}
	return one.active, true
}

func (p *presences) put(connection string, active, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil || len(p.known) >= maxPresences {
		p.known = make(map[string]presence)
	}
	p.known[connection] = presence{active: active, until: now.Add(presenceKept)}
}
