package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"culvert/backend/lambda/store"
	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

// Names stay their owner's for months, so nobody may have any number of them, one after
// the other.
func TestNamesAreCounted(t *testing.T) {
	t.Parallel()
	s, c, _ := open(t)
	const most, limit = 3, 100
	want := func(name, owner string, code wire.ErrorCode) {
		t.Helper()
		h := holder("c-"+owner+name, c)
		h.Quota = owner
		_, err := s.Claim(t.Context(), tunnel.Claim{ID: name, Owner: owner}, h, most, "")
		if got := refusal(err); got != code || err != nil && code == "" {
			t.Fatalf("%s of %s: %v, want %q", name, owner, err, code)
		}
		if err == nil {
			left(t, s, name, h)
		}
	}
	name := func(n int) string { return fmt.Sprintf("name-%03d", n) }
	for n := range limit {
		want(name(n), "user:ann", "")
	}
	h := holder("more", c)
	_, err := s.Claim(t.Context(), tunnel.Claim{ID: "one-more", Owner: "user:ann"}, h, most, "")
	if refusal(err) != wire.CodeTooManyTunnels || !strings.Contains(err.Error(), "100") || !strings.Contains(err.Error(), name(0)) {
		t.Fatalf("one more: %v", err)
	}
	if _, err := s.Lookup(t.Context(), "one-more", true); err == nil {
		t.Error("refused, and there")
	}
	if held, err := s.HeldBy(t.Context(), "user:ann"); err != nil || len(held) > 0 {
		t.Errorf("refused, and counted as live: %v, %v", held, err)
	}
	// The names that are kept can be used, others have theirs, and IDs that are made up
	// are no names.
	want(name(7), "user:ann", "")
	want("bobs", "user:bob", "")
	fresh := tunnel.Claim{ID: tunnel.NewID(), Owner: "user:ann", Fresh: true}
	if got := mustClaim(t, s, fresh, holder("fresh", c)); got.Tunnel.Named {
		t.Error("a made-up ID is a name")
	}
	// When the others are free again there is room, but for the one used since.
	c.Advance(tunnel.KeepNamed - time.Hour)
	want(name(7), "user:ann", "")
	want("too-early", "user:ann", wire.CodeTooManyTunnels)
	c.Advance(time.Hour)
	want("one-more", "user:ann", "")
	want(name(0), "user:bob", "")
}

func left(t *testing.T, s *store.Store, id string, h store.Holder) {
	t.Helper()
	if _, err := s.MarkGone(t.Context(), id, h.Connection); err != nil {
		t.Fatal(err)
	}
}
