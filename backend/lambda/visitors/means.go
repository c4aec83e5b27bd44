package visitors

import (
	"sync"
	"time"
)

const (
	maxMeans = 1024
	// weight is that of the newest answer in a tunnel's mean.
	weight = 0.3
)

// means are how long tunnels lately took to answer, in this environment.
type means struct {
	mu sync.Mutex
	of map[string]time.Duration
}

func newMeans() *means { return &means{of: make(map[string]time.Duration)} }

// get gives a tunnel's mean, 0 if it is unknown.
func (m *means) get(id string) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of[id]
}

// note takes how long an answer took (exponentially weighted).
func (m *means) note(id string, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.of[id]
	if !ok {
		if len(m.of) >= maxMeans {
			clear(m.of)
		}
		m.of[id] = took
		return
	}
	m.of[id] = old + time.Duration(weight*float64(took-old))
}
