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
	th := newThrottle(100, 1) // bursts of 500 and 5
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
		{"1.1.1.1", 2 * time.Second, 2},
		{"1.1.1.3", 2 * time.Second, 5},
	} {
		if got := allowed(c.addr, 10, now.Add(c.after)); got != c.want {
			t.Errorf("%s after %v: %d handshakes, want %d", c.addr, c.after, got, c.want)
		}
	}
}

func TestCrowd(t *testing.T) {
	t.Parallel()
	var c crowd
	a, b := netip.MustParsePrefix("1.1.1.1/32"), netip.MustParsePrefix("2001:db8::/64")
	got := fmt.Sprint(c.enter(a, 2), c.enter(a, 2), c.enter(a, 2), c.enter(b, 2))
	c.leave(a)
	got += fmt.Sprint(" ", c.enter(a, 2), c.enter(a, 2))
	c.leave(a)
	c.leave(a)
	c.leave(b)
	if got += fmt.Sprint(" ", len(c.count)); got != "true true false true true false 0" {
		t.Error(got)
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
	b := newBudget(100, 10)
	one, two, three, four := b.share(), b.share(), b.share(), b.share()
	for i, c := range []struct {
		share *share
		kind  body
		n     int64
		want  bool
	}{
		{one, requestBody, 25, true},
		{one, requestBody, 1, false}, // a quarter for a tunnel
		{one, answerBody, 20, true},  // of each kind
		{two, requestBody, 25, true},
		{three, requestBody, 25, true},
		{four, requestBody, 1, false}, // three quarters for requests
		{four, answerBody, 6, false},  // all together
		{four, answerBody, 5, true},
		{one, requestBody, -25, true},
		{four, requestBody, 25, true},
		{one, requestBody, 1, false},
	} {
		if c.n < 0 {
			c.share.give(c.kind, -c.n)
		} else if got := c.share.take(c.kind, c.n); got != c.want {
			t.Errorf("step %d: %v", i+1, got)
		}
	}
	if one := newBudget(40, 30).share(); !one.take(requestBody, 30) {
		t.Error("no room for one body of the greatest size")
	}
}
