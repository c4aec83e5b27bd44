package relay

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxThrottled bounds the table of addresses; an address without an entry starts
// with a full burst.
const maxThrottled = 4096

// throttle limits agents' handshakes, or notices: for each address, and of those who
// were admitted all together. Strangers must not use up what the others share.
type throttle struct {
	each  rate.Limit
	burst int

	all *rate.Limiter

	mu    sync.Mutex
	table map[netip.Prefix]*rate.Limiter
}

// burstSeconds is how many seconds' worth of handshakes may come at once: a
// machine's tunnels all return together when the relay restarts.
const burstSeconds = 5

func newThrottle(all, each float64) *throttle {
	return &throttle{
		each: rate.Limit(each), burst: max(1, int(each*burstSeconds)),
		all:   rate.NewLimiter(rate.Limit(all), max(1, int(all*burstSeconds))),
		table: make(map[netip.Prefix]*rate.Limiter),
	}
}

// allow reports whether somebody at addr may try a handshake.
func (t *throttle) allow(addr netip.Addr, now time.Time) bool {
	key := throttleKey(addr)
	t.mu.Lock()
	defer t.mu.Unlock()
	limiter := t.table[key]
	if limiter == nil {
		if len(t.table) >= maxThrottled {
			t.forget(now)
		}
		limiter = rate.NewLimiter(t.each, t.burst)
		t.table[key] = limiter
	}
	return limiter.AllowN(now, 1)
}

// allowAdmitted reports whether the handshake of an agent that was admitted may go
// on.
func (t *throttle) allowAdmitted(now time.Time) bool { return t.all.AllowN(now, 1) }

// forget makes room: entries that say nothing go, and, if that is not enough, a
// quarter of all, so that it need not be done again soon.
func (t *throttle) forget(now time.Time) {
	for key, limiter := range t.table {
		if limiter.TokensAt(now) >= float64(t.burst) {
			delete(t.table, key)
		}
	}
	for key := range t.table {
		if len(t.table) <= maxThrottled*3/4 {
			break
		}
		delete(t.table, key)
	}
}

// crowd counts the requests under way of each visitor at one agent.
type crowd struct {
	mu    sync.Mutex
	count map[netip.Prefix]int
}

// enter reports whether a visitor with fewer than limit requests has come; leave
// must follow then.
func (c *crowd) enter(visitor netip.Prefix, limit int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count[visitor] >= limit {
		return false
	}
	if c.count == nil {
		c.count = make(map[netip.Prefix]int)
	}
	c.count[visitor]++
	return true
}

func (c *crowd) leave(visitor netip.Prefix) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count[visitor]--; c.count[visitor] == 0 {
		delete(c.count, visitor)
	}
}

// throttleKey is what counts as one address: in IPv6 a /64, since a single
// machine has all of it.
func throttleKey(addr netip.Addr) netip.Prefix {
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	prefix, _ := addr.Prefix(bits)
	return prefix
}

// body says whose body it is that takes memory.
type body int

const (
	requestBody body = iota
	answerBody
	bodies // how many kinds there are
)

// budget bounds the memory of form 1 bodies, of all tunnels together. Those of
// requests must leave a quarter of it to answers: visitors who send slowly must not
// keep back what local services have answered already.
type budget struct {
	limit     int64
	perTunnel int64 // of each kind

	mu   sync.Mutex
	used [bodies]int64
}

// newBudget makes a budget in which each tunnel may have a quarter of the memory,
// but at least one body of the greatest size.
func newBudget(limit, largest int64) *budget {
	return &budget{limit: limit, perTunnel: max(limit/4, largest)}
}

// share is what one tunnel may take of a budget, so that its visitors use up
// nobody else's.
type share struct {
	of   *budget
	used [bodies]int64 // of.mu guards it
}

func (b *budget) share() *share { return &share{of: b} }

// take takes n bytes if that many may be had.
func (s *share) take(kind body, n int64) bool {
	b := s.of
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case s.used[kind]+n > b.perTunnel,
		b.used[requestBody]+b.used[answerBody]+n > b.limit,
		kind == requestBody && b.used[kind]+n > b.limit-b.limit/4:
		return false
	}
	s.used[kind] += n
	b.used[kind] += n
	return true
}

// give gives back what was taken.
func (s *share) give(kind body, n int64) {
	b := s.of
	b.mu.Lock()
	defer b.mu.Unlock()
	s.used[kind] -= n
	b.used[kind] -= n
}
