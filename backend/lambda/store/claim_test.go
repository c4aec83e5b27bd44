package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"culvert/backend/lambda/store"
	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

func holder(connection string, c *clock) store.Holder {
	return store.Holder{Connection: connection, ConnectedAt: c.Now(), Declared: true,
		Capabilities: []wire.Capability{wire.CapResume, wire.CapSession}, Quota: "user:ann"}
}

func claim(instance string) tunnel.Claim {
	return tunnel.Claim{ID: "shop", Owner: "user:ann", Instance: instance}
}

func resumed(instance string, epoch int64) tunnel.Claim {
	c := claim(instance)
	c.Resumed, c.Epoch = true, epoch
	return c
}

func mustClaim(t *testing.T, s *store.Store, c tunnel.Claim, h store.Holder) *store.Claimed {
	t.Helper()
	got, err := s.Claim(t.Context(), c, h, 0, "")
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func mustLookup(t *testing.T, s *store.Store, id string) *store.Tunnel {
	t.Helper()
	got, err := s.Lookup(t.Context(), id, true)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func refusal(err error) wire.ErrorCode {
	var e *wire.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func TestClaimIsKept(t *testing.T) {
	t.Parallel()
	s, c, _ := open(t)
	h := holder("c1", c)
	got := mustClaim(t, s, claim("one"), h)
	want := store.Tunnel{
		Record: tunnel.Record{ID: "shop", Owner: "user:ann", Epoch: 1, Instance: "one", Named: true, Live: true, Seen: c.Now()},
		Holder: h, Since: c.Now(),
	}
	if diff := cmp.Diff(&store.Claimed{Tunnel: want, Verdict: tunnel.Granted}, got); diff != "" {
		t.Errorf("claimed (-want +got):\n%s", diff)
	}
	want.Quota = "user:ann"
	if diff := cmp.Diff(&want, mustLookup(t, s, "shop"), cmp.Comparer(time.Time.Equal)); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if got := mustLookup(t, s, "shop"); !got.Can(wire.CapSession) || got.Can(wire.CapBlob) {
		t.Errorf("capabilities %v", got.Capabilities)
	}
}

// The ways a claim can end are package tunnel's; here it matters that the stored
// record is what they are decided by, and who has the tunnel afterwards.
func TestClaims(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		before  func(t *testing.T, s *store.Store, c *clock)
		claim   tunnel.Claim
		dead    string
		verdict tunnel.Verdict
		code    wire.ErrorCode
		epoch   int64
		holds   string // the connection afterwards
		old     string // Previous
	}{
		{name: "offline, same owner", claim: claim("two"), verdict: tunnel.Granted, epoch: 2, holds: "new",
			before: func(t *testing.T, s *store.Store, _ *clock) { mustRelease(t, s, "old") }},
		{name: "offline, another owner", claim: tunnel.Claim{ID: "shop", Owner: "user:bob"}, code: wire.CodeNameTaken, holds: "old",
			before: func(t *testing.T, s *store.Store, _ *clock) { mustRelease(t, s, "old") }},
		{name: "live, another owner", claim: tunnel.Claim{ID: "shop", Owner: "user:bob"}, code: wire.CodeNameTaken, holds: "old"},
		{name: "live, nobody", claim: tunnel.Claim{ID: "shop"}, code: wire.CodeNameTaken, holds: "old"},
		{name: "live, no secret", claim: claim("two"), verdict: tunnel.Unproven, holds: "old", old: "old"},
		{name: "live, no secret, the holder is dead", claim: claim("two"), dead: "old", verdict: tunnel.Granted, epoch: 2, holds: "new"},
		{name: "live, no secret, another one is dead", claim: claim("two"), dead: "older", verdict: tunnel.Unproven, holds: "old", old: "old"},
		{name: "live, same session", claim: resumed("one", 1), verdict: tunnel.Renewed, epoch: 2, holds: "new", old: "old"},
		{name: "live, another session", claim: resumed("two", 1), verdict: tunnel.TakenOver, epoch: 2, holds: "new", old: "old"},
		{name: "live, one that lost it", claim: resumed("two", 0), code: wire.CodeReplaced, holds: "old"},
		{name: "its $disconnect was lost, and 2 h are over", claim: claim("two"), verdict: tunnel.Granted, epoch: 2, holds: "new",
			before: func(_ *testing.T, _ *store.Store, c *clock) { c.Advance(store.MaxConnectionAge + 3*time.Minute) }},
		{name: "free again after 90 days", claim: tunnel.Claim{ID: "shop", Owner: "user:bob"}, verdict: tunnel.Granted, epoch: 1, holds: "new",
			before: func(_ *testing.T, _ *store.Store, c *clock) { c.Advance(store.MaxConnectionAge + tunnel.KeepNamed) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, c, _ := open(t)
			mustClaim(t, s, claim("one"), holder("old", c))
			if tt.before != nil {
				tt.before(t, s, c)
			}
			got, err := s.Claim(t.Context(), tt.claim, holder("new", c), 0, tt.dead)
			if tt.code != "" {
				if refusal(err) != tt.code {
					t.Errorf("got %+v, %v; want a refusal with %s", got, err, tt.code)
				}
			} else if err != nil || got.Verdict != tt.verdict {
				t.Fatalf("got %+v, %v; want %v", got, err, tt.verdict)
			} else if old := got.Previous; (old == nil) != (tt.old == "") || old != nil && old.Connection != tt.old {
				t.Errorf("held before by %+v, want %q", old, tt.old)
			} else if tt.verdict != tunnel.Unproven && got.Tunnel.Epoch != tt.epoch {
				t.Errorf("epoch %d, want %d", got.Tunnel.Epoch, tt.epoch)
			}
			if now := mustLookup(t, s, "shop"); now.Connection != tt.holds {
				t.Errorf("held by %q, want %q", now.Connection, tt.holds)
			}
		})
	}
}

func mustRelease(t *testing.T, s *store.Store, connection string) {
	t.Helper()
	if was, err := s.Release(t.Context(), "shop", connection); err != nil || !was {
		t.Fatalf("release: %v, %v", was, err)
	}
}

// Of many who want the same free name at once, one gets it.
func TestClaimsAtOnce(t *testing.T) {
	t.Parallel()
	s, c, _ := open(t)
	const n = 12
	verdicts := make(chan tunnel.Verdict, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			got, err := s.Claim(t.Context(), claim(fmt.Sprint(i)), holder(fmt.Sprint("c", i), c), 0, "")
			if err != nil {
				t.Error(err)
				return
			}
			verdicts <- got.Verdict
		})
	}
	wg.Wait()
	close(verdicts)
	granted := 0
	for v := range verdicts {
		if v == tunnel.Granted {
			granted++
		} else if v != tunnel.Unproven {
			t.Errorf("verdict %v", v)
		}
	}
	if granted != 1 {
		t.Errorf("%d of %d got the name", granted, n)
	}
}

// Of many who take a tunnel over at once, the one with the highest epoch has it, and
// no two have the same.
func TestTakeoversAtOnce(t *testing.T) {
	t.Parallel()
	s, c, _ := open(t)
	first := mustClaim(t, s, claim("one"), holder("c", c))
	const n = 6
	var mu sync.Mutex
	epochs := map[int64]string{}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			h := holder(fmt.Sprint("c", i), c)
			// An epoch from the future, so that none of them counts as a loser.
			got, err := s.Claim(t.Context(), resumed(fmt.Sprint(i), first.Tunnel.Epoch+100*int64(i+1)), h, 0, "")
			if refusal(err) == wire.CodeReplaced {
				return
			}
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if other := epochs[got.Tunnel.Epoch]; other != "" {
				t.Errorf("%s and %s both have epoch %d", other, h.Connection, got.Tunnel.Epoch)
			}
			epochs[got.Tunnel.Epoch] = h.Connection
		})
	}
	wg.Wait()
	var highest int64
	for epoch := range epochs {
		highest = max(highest, epoch)
	}
	if now := mustLookup(t, s, "shop"); now.Epoch != highest || now.Connection != epochs[highest] {
		t.Errorf("%s with epoch %d has it; want %s with %d", now.Connection, now.Epoch, epochs[highest], highest)
	}
}

// Somebody is faster between reading and writing: it is decided again.
func TestClaimDecidesAgain(t *testing.T) {
	t.Parallel()
	s, c, db := open(t)
	db.beforePut = func() {
		if got, err := s.Claim(context.Background(), tunnel.Claim{ID: "shop", Owner: "user:bob"}, holder("bob", c), 0, ""); err != nil || got.Verdict != tunnel.Granted {
			t.Errorf("bob: %+v, %v", got, err)
		}
	}
	if got, err := s.Claim(t.Context(), claim("one"), holder("ann", c), 0, ""); refusal(err) != wire.CodeNameTaken {
		t.Errorf("ann: %+v, %v", got, err)
	}
	if held, err := s.HeldBy(t.Context(), "user:ann"); err != nil || len(held) > 1 || len(held) == 1 && held[0].Connection != "bob" {
		t.Errorf("counted for ann: %v, %v", held, err)
	}
}

// The same with a tunnel that exists: whoever read it before the other's takeover has
// lost it, and must not write over the winner.
func TestTakeoverDecidesAgain(t *testing.T) {
	t.Parallel()
	s, c, db := open(t)
	mustClaim(t, s, claim("one"), holder("c1", c))
	db.beforePut = func() {
		if got, err := s.Claim(context.Background(), resumed("two", 1), holder("c2", c), 0, ""); err != nil || got.Verdict != tunnel.TakenOver {
			t.Errorf("the faster one: %+v, %v", got, err)
		}
	}
	if got, err := s.Claim(t.Context(), resumed("three", 1), holder("c3", c), 0, ""); refusal(err) != wire.CodeReplaced {
		t.Errorf("the slower one: %+v, %v", got, err)
	}
	if now := mustLookup(t, s, "shop"); now.Connection != "c2" {
		t.Errorf("held by %s", now.Connection)
	}
}

// The SDK writes again when it has lost the answer; then the condition fails, though
// the tunnel is ours.
func TestClaimWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	s, c, db := open(t)
	for _, tt := range []struct {
		claim   tunnel.Claim
		dead    string
		verdict tunnel.Verdict
		old     string
	}{
		{claim("one"), "", tunnel.Granted, ""},
		{resumed("one", 1), "", tunnel.Renewed, "c0"},
		{resumed("two", 2), "", tunnel.TakenOver, "c1"},
		{resumed("three", 3), "c2", tunnel.Granted, ""},
	} {
		db.losePut = true
		h := holder(fmt.Sprint("c", tt.claim.Epoch), c)
		got, err := s.Claim(t.Context(), tt.claim, h, 0, tt.dead)
		if err != nil {
			t.Fatal(err)
		}
		if got.Verdict != tt.verdict || got.Tunnel.Connection != h.Connection || got.Tunnel.Epoch != tt.claim.Epoch+1 {
			t.Errorf("%v of epoch %d for %s; want %v of %d", got.Verdict, got.Tunnel.Epoch, got.Tunnel.Connection, tt.verdict, tt.claim.Epoch+1)
		}
		if old := got.Previous; (old == nil) != (tt.old == "") || old != nil && old.Connection != tt.old {
			t.Errorf("held before by %+v, want %q", old, tt.old)
		}
	}
}

func TestClaimGivesUp(t *testing.T) {
	t.Parallel()
	s, c, db := open(t)
	db.refuse = true
	if _, err := s.Claim(t.Context(), claim("one"), holder("c", c), 0, ""); !errors.Is(err, store.ErrConflict) {
		t.Errorf("%v, want ErrConflict", err)
	}
	if n := len(db.puts); n > 12 {
		t.Errorf("written %d times", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Claim(ctx, claim("one"), holder("c", c), 0, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of its context: %v", err)
	}
}

func TestFreshIDThatExists(t *testing.T) {
	t.Parallel()
	s, c, _ := open(t)
	mustClaim(t, s, claim("one"), holder("c1", c))
	mustRelease(t, s, "c1")
	fresh := claim("two")
	fresh.Fresh = true
	if got, err := s.Claim(t.Context(), fresh, holder("c2", c), 0, ""); !errors.Is(err, store.ErrConflict) {
		t.Errorf("got %+v, %v; want ErrConflict", got, err)
	}
	fresh.ID = tunnel.NewID()
	if got := mustClaim(t, s, fresh, holder("c2", c)); got.Tunnel.Named || got.Verdict != tunnel.Granted {
		t.Errorf("got %+v", got)
	}
}

// A displaced connection's $disconnect comes after its successor has connected.
func TestLateReleaseChangesNothing(t *testing.T) {
	t.Parallel()
	s, c, _ := open(t)
	mustClaim(t, s, claim("one"), holder("c1", c))
	got := mustClaim(t, s, resumed("one", 1), holder("c2", c))
	for _, end := range []func(context.Context, string, string) (bool, error){s.Release, s.MarkGone} {
		if was, err := end(t.Context(), "shop", "c1"); err != nil || was {
			t.Errorf("the old connection ended the new one's hold: %v, %v", was, err)
		}
		if was, err := end(t.Context(), "none", "c1"); err != nil || was {
			t.Errorf("an unknown tunnel: %v, %v", was, err)
		}
	}
	if diff := cmp.Diff(&got.Tunnel, mustLookup(t, s, "shop"), cmp.Comparer(time.Time.Equal)); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	if _, err := s.Lookup(t.Context(), "none", true); !errors.Is(err, store.ErrUnknown) {
		t.Errorf("ending an unknown tunnel made one: %v", err)
	}
	c.Advance(time.Minute)
	mustRelease(t, s, "c2")
	if was, err := s.Release(t.Context(), "shop", "c2"); err != nil || was {
		t.Errorf("released twice: %v, %v", was, err)
	}
	if now := mustLookup(t, s, "shop"); now.Live || !now.Seen.Equal(c.Now()) || !now.Since.Equal(c.Now()) {
		t.Errorf("after the end: %+v", now)
	}
}

// A visitor finds that the agent has gone, whose $disconnect was lost.
func TestMarkGone(t *testing.T) {
	t.Parallel()
	s, c, _ := open(t)
	mustClaim(t, s, claim("one"), holder("c1", c))
	if was, err := s.MarkGone(t.Context(), "shop", "c1"); err != nil || !was {
		t.Errorf("%v, %v", was, err)
	}
	if now := mustLookup(t, s, "shop"); now.Live {
		t.Error("still live")
	}
	if held := heldBy(t, s); len(held) > 0 {
		t.Errorf("still counted: %v", held)
	}
	if was, err := s.MarkGone(t.Context(), "shop", "c1"); err != nil || was {
		t.Errorf("twice: %v, %v", was, err)
	}
}

func TestGiveBack(t *testing.T) {
	t.Parallel()
	s, c, _ := open(t)
	first := mustClaim(t, s, claim("one"), holder("c1", c))
	second := mustClaim(t, s, resumed("two", 1), holder("c2", c))
	if err := s.GiveBack(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	now := mustLookup(t, s, "shop")
	if !now.Live || now.Connection != "c1" || now.Instance != "one" || now.Epoch != second.Tunnel.Epoch {
		t.Errorf("given back as %+v", now)
	}
	if held := heldBy(t, s); !slices.Equal(held, []string{"c1"}) {
		t.Errorf("counted: %v", held)
	}
	// Somebody else has it meanwhile.
	third := mustClaim(t, s, resumed("three", 2), holder("c3", c))
	if err := s.GiveBack(t.Context(), second); err != nil {
		t.Error(err)
	}
	first.Tunnel.Epoch = 1
	if err := s.GiveBack(t.Context(), first); err != nil {
		t.Error(err)
	}
	if now := mustLookup(t, s, "shop"); !now.Live || now.Connection != third.Tunnel.Connection {
		t.Errorf("held by %+v", now)
	}
	third.Previous = nil
	if err := s.GiveBack(t.Context(), third); err != nil {
		t.Error(err)
	}
	if now := mustLookup(t, s, "shop"); now.Live {
		t.Error("given back to nobody, but live")
	}
}

func heldBy(t *testing.T, s *store.Store) []string {
	t.Helper()
	held, err := s.HeldBy(t.Context(), "user:ann")
	if err != nil {
		t.Fatal(err)
	}
	var connections []string
	for _, h := range held {
		connections = append(connections, h.Connection)
	}
	slices.Sort(connections)
	return connections
}

func TestQuota(t *testing.T) {
	t.Parallel()
	s, c, _ := open(t)
	open := func(id, connection string) error {
		cl := tunnel.Claim{ID: id, Owner: "user:ann", Instance: connection}
		_, err := s.Claim(t.Context(), cl, holder(connection, c), 2, "")
		return err
	}
	for _, name := range []string{"one", "two"} {
		if err := open(name, name); err != nil {
			t.Fatal(err)
		}
	}
	if err := open("three", "three"); refusal(err) != wire.CodeTooManyTunnels {
		t.Fatalf("a third: %v", err)
	}
	if _, err := s.Lookup(t.Context(), "three", true); !errors.Is(err, store.ErrUnknown) {
		t.Errorf("refused, but there: %v", err)
	}
	// A takeover is no further tunnel.
	cl := tunnel.Claim{ID: "two", Owner: "user:ann", Instance: "x", Epoch: 1, Resumed: true}
	if got, err := s.Claim(t.Context(), cl, holder("two again", c), 2, ""); err != nil || got.Verdict != tunnel.TakenOver {
		t.Fatalf("a takeover at the limit: %+v, %v", got, err)
	}
	if held := heldBy(t, s); !slices.Equal(held, []string{"one", "two again"}) {
		t.Errorf("counted: %v", held)
	}
	// The loser's late end does not make room.
	if err := s.Uncount(t.Context(), "user:ann", "two"); err != nil {
		t.Error(err)
	}
	if err := open("three", "three"); refusal(err) != wire.CodeTooManyTunnels {
		t.Errorf("a third after the loser's end: %v", err)
	}
	for range 2 {
		if err := s.Uncount(t.Context(), "user:ann", "one"); err != nil {
			t.Error(err)
		}
	}
	if err := open("three", "three"); err != nil {
		t.Errorf("a third when there is room: %v", err)
	}
	// Ends that nobody told count no longer than connections can live.
	c.Advance(store.MaxConnectionAge + 5*time.Minute)
	if held := heldBy(t, s); len(held) != 0 {
		t.Errorf("counted after 2 h: %v", held)
	}
	for _, name := range []string{"four", "five"} {
		if err := open(name, name); err != nil {
			t.Errorf("after 2 h: %v", err)
		}
	}
	if err := s.Uncount(t.Context(), "user:nobody", "c"); err != nil {
		t.Errorf("an owner without tunnels: %v", err)
	}
}

// Hundreds of ends that nobody told: one write cannot take them all out.
func TestManyOldEntries(t *testing.T) {
	t.Parallel()
	s, c, db := open(t)
	mustClaim(t, s, claim("one"), holder("c1", c))
	held := map[string]types.AttributeValue{}
	for n := range 400 {
		held[fmt.Sprintf("L0SM9cOFvHcCI%d=", n)] = &types.AttributeValueMemberS{Value: fmt.Sprintf("%d some-tunnel-%d", c.Now().UnixMilli(), n)}
	}
	_, err := db.Client.UpdateItem(t.Context(), &dynamodb.UpdateItemInput{
		TableName: &db.names.Tunnels, Key: map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "owner#user:ann"}},
		UpdateExpression:          aws.String("SET held = :held"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":held": &types.AttributeValueMemberM{Value: held}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		cl := tunnel.Claim{ID: fmt.Sprint("shop-", n), Owner: "user:ann"}
		if _, err := s.Claim(t.Context(), cl, holder(fmt.Sprint("new", n), c), 3, ""); err != nil {
			t.Fatal(err)
		}
	}
	if got := heldBy(t, s); !slices.Equal(got, []string{"new0", "new1", "new2"}) {
		t.Errorf("counted: %v", got)
	}
}

func TestQuotaAtOnce(t *testing.T) {
	t.Parallel()
	s, c, _ := open(t)
	const n, limit = 8, 3
	var wg sync.WaitGroup
	refused := make(chan error, n)
	for i := range n {
		wg.Go(func() {
			cl := tunnel.Claim{ID: fmt.Sprint("shop-", i), Owner: "user:ann"}
			if _, err := s.Claim(t.Context(), cl, holder(fmt.Sprint("c", i), c), limit, ""); err != nil {
				refused <- err
			}
		})
	}
	wg.Wait()
	close(refused)
	got := n
	for err := range refused {
		got--
		if refusal(err) != wire.CodeTooManyTunnels && !errors.Is(err, store.ErrConflict) {
			t.Error(err)
		}
	}
	if held := heldBy(t, s); got > limit || len(held) != got {
		t.Errorf("%d got a tunnel, %d are counted; at most %d may", got, len(held), limit)
	}
}
