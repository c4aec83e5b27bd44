package relay

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestThrottle(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	th := newThrottle(4, 1) // bursts of 20 and 5
	allowed := func(addr string, n int, at time.Time) (count int) {
		for range n {
			if th.allow(netip.MustParseAddr(addr), at) {
				count++
			}
		}
		return count
	}
	for _, c := range []struct {
		addr  string
		after time.Duration
		want  int
	}{
		{"1.1.1.1", 0, 5}, {"1.1.1.1", 0, 0}, {"1.1.1.2", 0, 5},
		{"2001:db8::1", 0, 5}, {"2001:db8::2", 0, 0}, // the same /64
		{"2001:db8:0:1::1", 0, 5},
		{"1.1.1.3", 0, 0}, // all together
		{"1.1.1.1", 2 * time.Second, 2},
		{"1.1.1.3", 2 * time.Second, 2}, // those refused counted, too
		{"1.1.1.4", 2 * time.Second, 4}, // all together again
	} {
		if got := allowed(c.addr, 10, now.Add(c.after)); got != c.want {
			t.Errorf("%s after %v: %d handshakes, want %d", c.addr, c.after, got, c.want)
		}
	}
}

func TestThrottleTableIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	th := newThrottle(1e9, 0.2)
	for i := range 3 * maxThrottled {
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		if !th.allow(addr, now) {
			t.Fatalf("address %d was refused its first handshake", i)
		}
		if len(th.table) > maxThrottled {
			t.Fatalf("%d entries", len(th.table))
		}
		if th.allow(addr, now) {
			t.Fatalf("address %d got a second one at once", i)
		}
	}
}

func TestBudget(t *testing.T) {
	t.Parallel()
	b := budget{left: 10}
	got := fmt.Sprint(b.take(6), b.take(5), b.take(4), b.take(1), b.take(0))
	b.give(6)
	if got += fmt.Sprint(" ", b.take(7), b.take(6)); got != "true false true false true false true" {
		t.Error(got)
	}
}
