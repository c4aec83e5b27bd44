package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"culvert/backend/lambda/store"
	"culvert/backend/tunnel"
)

func TestLookup(t *testing.T) {
	t.Parallel()
	s, c, db := open(t)
	mustClaim(t, s, claim("one"), holder("c1", c))
	for _, id := range []string{"none", "", "owner#user:ann", "Shop", "quota#shop#1"} {
		if got, err := s.Lookup(t.Context(), id, true); !errors.Is(err, store.ErrUnknown) {
			t.Errorf("%q: %+v, %v", id, got, err)
		}
	}
	c.Advance(store.MaxConnectionAge)
	if got := mustLookup(t, s, "shop"); !got.Live {
		t.Error("gone after 2 h, though clocks differ")
	}
	// The end of its connection was never told.
	c.Advance(5 * time.Minute)
	if got := mustLookup(t, s, "shop"); got.Live {
		t.Error("live though no connection can be")
	}
	c.Advance(tunnel.Linger - 5*time.Minute)
	if got, err := s.Lookup(t.Context(), "shop", false); !errors.Is(err, store.ErrUnknown) {
		t.Errorf("15 min after its end: %+v, %v", got, err)
	}
	// A tunnel just opened must be found: the item itself, consistently, and no index.
	db.gets = nil
	if _, err := s.Lookup(t.Context(), "shop", true); !errors.Is(err, store.ErrUnknown) {
		t.Error(err)
	}
	if in := db.gets[0]; in.ConsistentRead == nil || !*in.ConsistentRead || len(db.queries) > 0 {
		t.Errorf("looked up by %+v, %d queries", in, len(db.queries))
	}
}

func TestClaimReadsConsistently(t *testing.T) {
	t.Parallel()
	s, c, db := open(t)
	mustClaim(t, s, claim("one"), holder("c1", c))
	mustClaim(t, s, resumed("two", 1), holder("c2", c))
	for _, in := range db.gets {
		if in.ConsistentRead == nil || !*in.ConsistentRead {
			t.Errorf("read by %+v", in)
		}
	}
}

func TestTimeToLive(t *testing.T) {
	t.Parallel()
	s, c, db := open(t)
	start := c.Now()
	ttl := func(table, id string) time.Time {
		t.Helper()
		out, err := db.Client.Scan(t.Context(), &dynamodb.ScanInput{TableName: &table})
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range out.Items {
			var row struct {
				id  string
				ttl int64
			}
			row.id, row.ttl = stringOf(item["id"]), numberOf(item["ttl"])
			if row.id == id {
				return time.Unix(row.ttl, 0)
			}
		}
		t.Fatalf("%s has no %s", table, id)
		return time.Time{}
	}
	between := func(what string, got, least, most time.Time) {
		t.Helper()
		if got.Before(least) || got.After(most) {
			t.Errorf("%s: %v after the start; want %v to %v", what, got.Sub(start), least.Sub(start), most.Sub(start))
		}
	}
	ended := start.Add(store.MaxConnectionAge)
	mustClaim(t, s, claim("one"), holder("c1", c))
	between("a name", ttl(db.names.Tunnels, "shop"), ended.Add(tunnel.KeepNamed), ended.Add(tunnel.KeepNamed+time.Hour))
	fresh := tunnel.Claim{ID: "fresh-one", Owner: "user:ann", Fresh: true}
	mustClaim(t, s, fresh, holder("c2", c))
	between("a made-up ID", ttl(db.names.Tunnels, "fresh-one"), ended.Add(tunnel.KeepRandom), ended.Add(tunnel.KeepRandom+time.Hour))
	nobodys := tunnel.Claim{ID: "nobody-s", Fresh: true}
	mustClaim(t, s, nobodys, holder("c3", c))
	between("nobody's", ttl(db.names.Tunnels, "nobody-s"), ended.Add(tunnel.Linger), ended.Add(tunnel.Linger+time.Hour))
	between("the owner's count", ttl(db.names.Tunnels, "owner#user:ann"), ended, ended.Add(time.Hour))
	if err := s.PutConnection(t.Context(), store.Connection{ID: "c1", ConnectedAt: start}); err != nil {
		t.Fatal(err)
	}
	between("a connection", ttl(db.names.Connections, "c1"), ended.Add(10*time.Minute), ended.Add(10*time.Minute))
	if _, err := s.PutAnswer(t.Context(), "a", 0, []byte("{}"), start.Add(30*time.Second)); err != nil {
		t.Fatal(err)
	}
	between("an answer", ttl(db.names.Answers, "a"), start.Add(30*time.Second), start.Add(5*time.Minute))
	if _, err := s.PutAnswer(t.Context(), "b", 0, []byte("{}"), start.Add(24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	between("an answer that is wanted for ever", ttl(db.names.Answers, "b"), start.Add(20*time.Minute), start.Add(25*time.Minute))
}

// A token's end is its tunnel's, whether anybody tells it or not, and whether the agent
// would go on. A new token makes it last.
func TestTunnelsEndByTheirToken(t *testing.T) {
	t.Parallel()
	s, c, _ := open(t)
	h := holder("c1", c)
	h.Ends = c.Now().Add(10 * time.Minute)
	mustClaim(t, s, claim("one"), h)
	c.Advance(10 * time.Minute)
	if got := mustLookup(t, s, "shop"); !got.Live || !got.Ends.Equal(h.Ends) {
		t.Errorf("ended before its time: %+v", got)
	}
	c.Advance(time.Second)
	got := mustLookup(t, s, "shop")
	if got.Live || !got.Seen.Equal(h.Ends) {
		t.Errorf("it goes on: %+v", got)
	}
	if held := heldBy(t, s); len(held) > 0 {
		t.Errorf("counted: %v", held)
	}

	h.Ends = c.Now().Add(time.Hour)
	other := h
	other.Connection = "c9"
	if err := s.Prolong(t.Context(), "shop", other); err != nil {
		t.Error(err)
	}
	if got := mustLookup(t, s, "shop"); got.Live {
		t.Error("another connection has prolonged it")
	}
	if err := s.Prolong(t.Context(), "shop", h); err != nil {
		t.Fatal(err)
	}
	if got := mustLookup(t, s, "shop"); !got.Live || got.Connection != "c1" {
		t.Errorf("it does not go on: %+v", got)
	}
	if held := heldBy(t, s); !slices.Equal(held, []string{"c1"}) {
		t.Errorf("counted: %v", held)
	}

	// A token may last longer than any connection, and its successor for ever.
	h.Ends = c.Now().AddDate(1, 0, 0)
	if err := s.Prolong(t.Context(), "shop", h); err != nil {
		t.Fatal(err)
	}
	c.Advance(store.MaxConnectionAge)
	if got := mustLookup(t, s, "shop"); got.Live {
		t.Error("it outlives its connection")
	}
	mustClaim(t, s, claim("two"), holder("c2", c))
	if got := mustLookup(t, s, "shop"); !got.Live || !got.Ends.IsZero() {
		t.Errorf("the successor has %+v", got)
	}
}
