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

// throttle limits agents' handshakes, for each address and all together.
type throttle struct {
	each  rate.Limit
	burst int

	mu    sync.Mutex
	all   *rate.Limiter
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

// allow reports whether a handshake from addr may go on.
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
	// The address comes first: one that is over its own limit must not use up
	// what the others share.
	return limiter.AllowN(now, 1) && t.all.AllowN(now, 1)
}

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

// budget bounds the memory of form 1 bodies, of all tunnels together.
type budget struct {
	mu   sync.Mutex
	left int64
}

// take takes n bytes if that many are left.
func (b *budget) take(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > b.left {
		return false
	}
	b.left -= n
	return true
}

func (b *budget) give(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += n
}
