package relay

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

// maxOffline bounds the tunnels that are remembered without an agent.
const maxOffline = 10_000

// registry knows who holds which tunnel.
type registry struct {
	maxLive int
	changed func() // a record that is to be kept has changed; must not block

	mu      sync.RWMutex
	entries map[string]*entry
	live    int
	quota   map[string]int // live tunnels by quota key
}

// entry is one tunnel. It is live as long as agent is not nil.
type entry struct {
	record tunnel.Record
	agent  *agent
	quota  string
	since  time.Time // of its being live, or not
	// ours says that this process has given the tunnel to an agent: then it, and
	// not another process with the same state folder, keeps the record.
	ours bool
}

func newRegistry(maxLive int, kept []tunnel.Record, changed func()) *registry {
	g := &registry{
		maxLive: maxLive, changed: changed,
		entries: make(map[string]*entry, len(kept)), quota: make(map[string]int),
	}
	for _, record := range kept {
		g.entries[record.ID] = &entry{record: record, since: record.Seen}
	}
	return g
}

// claim decides who has the tunnel of c. If a gets it, a is its holder from now
// on, and old is whoever was before. dead is a holder that has turned out to be
// dead.
func (g *registry) claim(c tunnel.Claim, a *agent, maxTunnels int, dead *agent, now time.Time) (old *agent, v tunnel.Verdict, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.entries[c.ID]
	var cur *tunnel.Record
	wasLive := e != nil && e.agent != nil
	if e != nil {
		record := e.record
		record.Live = wasLive && e.agent != dead
		cur = &record
	}
	next, v, err := tunnel.Decide(cur, c, now)
	switch {
	case err != nil:
		return nil, 0, err
	case v == tunnel.Unproven:
		return e.agent, v, nil
	case !wasLive && g.quota[a.quota] >= maxTunnels:
		return nil, 0, &wire.Error{Code: wire.CodeTooManyTunnels,
			Message: fmt.Sprintf("you have %d tunnels online here, which is the limit: stop one first", g.quota[a.quota])}
	case !wasLive && g.live >= g.maxLive:
		return nil, 0, &wire.Error{Code: wire.CodeThrottled, Message: "this relay has no room for another tunnel now: try again later"}
	}
	if e == nil {
		g.makeRoom(now)
		e = &entry{}
		g.entries[c.ID] = e
	}
	if wasLive {
		old = e.agent
		g.count(e.quota, -1)
	}
	if !wasLive || v != tunnel.Renewed {
		e.since = now
	}
	e.record, e.agent, e.quota, e.ours = next, a, a.quota, true
	a.tunnel, a.epoch, a.replaces = c.ID, next.Epoch, old
	g.count(e.quota, 1)
	if next.Owner != "" {
		g.changed()
	}
	return old, v, nil
}

func (g *registry) count(quota string, n int) {
	g.live += n
	g.quota[quota] += n
	if g.quota[quota] == 0 {
		delete(g.quota, quota)
	}
}

// release ends a's hold, if it still has one. An agent that was never established
// gives the tunnel back to the one that it was to replace.
func (g *registry) release(a *agent, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.entries[a.tunnel]
	if e == nil || e.agent != a {
		return
	}
	g.count(e.quota, -1)
	if old := a.replaces; old != nil && !old.ended() {
		e.agent, e.quota = old, old.quota
		g.count(e.quota, 1)
		return
	}
	e.agent, e.since = nil, now
	e.record.Live, e.record.Seen = false, now
	if e.record.Owner != "" {
		g.changed()
	}
}

// settle notes that a has been told that it holds its tunnel.
func (g *registry) settle(a *agent) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a.replaces = nil // which would keep all its forerunners in memory
	close(a.ready)
}

// tunnelState is what visitors may know of a tunnel.
type tunnelState struct {
	agent *agent // nil: it has none now
	since time.Time
}

// find looks a tunnel up; ok is false if it is unknown, or its agent left long ago.
func (g *registry) find(id string, now time.Time) (st tunnelState, ok bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	e := g.entries[id]
	if e == nil || e.agent == nil && now.Sub(e.record.Seen) >= tunnel.Linger {
		return tunnelState{}, false
	}
	return tunnelState{agent: e.agent, since: e.since}, true
}

// agents lists those connected now.
func (g *registry) agents() []*agent {
	g.mu.RLock()
	defer g.mu.RUnlock()
	list := make([]*agent, 0, g.live)
	for _, e := range g.entries {
		if e.agent != nil {
			list = append(list, e.agent)
		}
	}
	return list
}

// kept are the records that are to outlive the process, and whether one is live.
func (g *registry) kept(now time.Time) (records []tunnel.Record, anyLive bool) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	for _, e := range g.entries {
		if !e.ours || e.record.Owner == "" || e.agent == nil && e.record.Expired(now) {
			continue
		}
		record := e.record
		if record.Live = e.agent != nil; record.Live {
			record.Seen, anyLive = now, true
		}
		records = append(records, record)
	}
	return records, anyLive
}

// makeRoom forgets expired tunnels, and when too many are offline the least worth
// keeping. It takes away a tenth at once, so as not to run at every claim.
func (g *registry) makeRoom(now time.Time) {
	if len(g.entries)-g.live < maxOffline {
		return
	}
	var offline []tunnel.Record
	for id, e := range g.entries {
		switch {
		case e.agent != nil:
		case e.record.Expired(now):
			delete(g.entries, id)
		default:
			offline = append(offline, e.record)
		}
	}
	sortByWorth(offline)
	for _, record := range offline[min(len(offline), maxOffline*9/10):] {
		delete(g.entries, record.ID)
	}
}

// sortByWorth puts first what is most worth keeping: live tunnels, then names that
// were asked for, then the others; the latest first.
func sortByWorth(records []tunnel.Record) {
	rank := func(r tunnel.Record) int {
		switch {
		case r.Live:
			return 0
		case r.Named:
			return 1
		}
		return 2
	}
	slices.SortFunc(records, func(a, b tunnel.Record) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), b.Seen.Compare(a.Seen), cmp.Compare(a.ID, b.ID))
	})
}
