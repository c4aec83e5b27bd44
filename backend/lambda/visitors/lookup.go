package visitors

import (
	"context"
	"errors"
	"sync"
	"time"

	"culvert/backend/lambda/store"
)

// How long an environment believes what it has looked up.
const (
	// keepLive is what agents count on: their old connection still serves for as long
	// after a planned replacement.
	keepLive = 10 * time.Second
	// keepUnknown makes guessing tunnel names cheap for whoever pays for the reads.
	keepUnknown = 5 * time.Second
	// keepOffline is short, since somebody waits for the agent to come back.
	keepOffline = time.Second
	// maxLookups bounds what is remembered.
	maxLookups = 2048
)

// lookups remembers who holds which tunnel, for moments.
type lookups struct {
	tunnels Tunnels

	mu    sync.Mutex
	known map[string]lookup
}

type lookup struct {
	tunnel *store.Tunnel // nil: there is none
	until  time.Time     // by the wall clock: the environment may be frozen meanwhile
}

func newLookups(t Tunnels) *lookups {
	return &lookups{tunnels: t, known: make(map[string]lookup)}
}

func wallClock() time.Time { return time.Now().Round(0) }

// find gives a tunnel; the error is store.ErrUnknown if there is none. A read that
// is not consistent is half as dear, and may miss a tunnel that has just been opened
// or come back: only then a consistent one follows.
func (l *lookups) find(ctx context.Context, id string) (*store.Tunnel, error) {
	if found, ok := l.remembered(id); ok {
		if found.tunnel == nil {
			return nil, store.ErrUnknown
		}
		return found.tunnel, nil
	}
	t, err := l.tunnels.Lookup(ctx, id, false)
	if err == nil && t.Live {
		l.remember(id, t)
		return t, nil
	}
	if err != nil && !errors.Is(err, store.ErrUnknown) {
		return nil, err
	}
	return l.again(ctx, id)
}

// again looks the tunnel up as it is at this moment.
func (l *lookups) again(ctx context.Context, id string) (*store.Tunnel, error) {
	t, err := l.tunnels.Lookup(ctx, id, true)
	switch {
	case errors.Is(err, store.ErrUnknown):
		l.remember(id, nil)
	case err == nil:
		l.remember(id, t)
	}
	return t, err
}

func (l *lookups) remembered(id string) (lookup, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	found, ok := l.known[id]
	now := wallClock()
	// A clock that was set back must not make an entry last.
	if !ok || !now.Before(found.until) || found.until.Sub(now) > keepLive {
		return lookup{}, false
	}
	return found, true
}

func (l *lookups) remember(id string, t *store.Tunnel) {
	keep := keepUnknown
	switch {
	case t == nil:
	case t.Live:
		keep = keepLive
	default:
		keep = keepOffline
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := wallClock()
	until := now.Add(keep)
	if t != nil && t.Live && !t.Ends.IsZero() && t.Ends.Before(until) {
		until = t.Ends
	}
	if len(l.known) >= maxLookups {
		for other, found := range l.known {
			if !now.Before(found.until) {
				delete(l.known, other)
			}
		}
		if len(l.known) >= maxLookups {
			clear(l.known) // somebody guesses names: the next look-ups cost a read each
		}
	}
	l.known[id] = lookup{tunnel: t, until: until}
}

// forget makes the next request look the tunnel up again.
func (l *lookups) forget(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.known, id)
}
