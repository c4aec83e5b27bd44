package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"culvert/backend/auth"
	"culvert/backend/lambda/store"
	"culvert/backend/tunnel"
	"culvert/backend/wire"
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

// DynamoDB may delete an item from the time in ttl on: not before it is of no use.
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

func TestConnections(t *testing.T) {
	t.Parallel()
	s, c, db := open(t)
	ctx := t.Context()
	want := store.Connection{
		ID: "L0SM9cOFvHcCIhw=", Identity: auth.Identity{Subject: "ann", Tunnels: []string{"shop", "blog"}, Max: 3},
		Host: "ws.example.com", From: "203.0.113.7", ConnectedAt: c.Now(),
	}
	if err := s.PutConnection(ctx, want); err != nil {
		t.Fatal(err)
	}
	check := func(what string) {
		t.Helper()
		got, err := s.Connection(ctx, want.ID)
		if diff := cmp.Diff(&want, got, cmp.Comparer(time.Time.Equal)); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", what, err, diff)
		}
	}
	check("new")
	h := store.Holder{Connection: want.ID, Declared: true, Capabilities: []wire.Capability{wire.CapResume}, Quota: "user:ann"}
	if err := s.Attach(ctx, "shop", h); err != nil {
		t.Fatal(err)
	}
	want.Tunnel, want.Declared, want.Capabilities, want.Quota = "shop", true, h.Capabilities, h.Quota
	check("with a tunnel")
	if err := s.Attach(ctx, "blog", h); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a second tunnel: %v", err)
	}
	c.Advance(time.Second)
	if err := s.Ponged(ctx, want.ID); err != nil {
		t.Fatal(err)
	}
	want.Ponged = c.Now()
	check("after a pong")

	// What came too late brings nothing back to life.
	h.Connection = "gone"
	if err := s.Attach(ctx, "shop", h); !errors.Is(err, store.ErrConflict) {
		t.Errorf("attach to a connection that is not there: %v", err)
	}
	if err := s.Ponged(ctx, "gone"); err != nil {
		t.Errorf("pong of a connection that is not there: %v", err)
	}
	if n := db.items(t, db.names.Connections); n != 1 {
		t.Errorf("%d connections", n)
	}
	if _, err := s.Connection(ctx, "gone"); !errors.Is(err, store.ErrUnknown) {
		t.Errorf("a connection that is not there: %v", err)
	}
	// DynamoDB takes days to delete.
	c.Advance(store.MaxConnectionAge + 11*time.Minute)
	if got, err := s.Connection(ctx, want.ID); !errors.Is(err, store.ErrUnknown) {
		t.Errorf("after 2 h: %+v, %v", got, err)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	s, c, db := open(t)
	ctx := t.Context()
	expires := c.Now().Add(30 * time.Second)
	put := func(key string, part int, message string, first bool) {
		t.Helper()
		got, err := s.PutAnswer(ctx, key, part, []byte(message), expires)
		if err != nil || got != first {
			t.Errorf("part %d: first %v, %v; want %v", part, got, err, first)
		}
	}
	put("k", 2, `{"two":2}`, true)
	put("k", store.PartRequest+7, "request", true)
	put("k", 0, "head \"quoted\" ü\n", true)
	put("k", store.PartError, "error", true)
	put("k", 0, "another head", false)
	put("other", 0, "other", true)
	all := []store.Answer{
		{Part: 0, Message: []byte("head \"quoted\" ü\n")}, {Part: 2, Message: []byte(`{"two":2}`)},
		{Part: store.PartError, Message: []byte("error")}, {Part: store.PartRequest + 7, Message: []byte("request")},
	}
	for from, want := range map[int][]store.Answer{0: all, 1: all[1:], 3: all[2:]} {
		got, err := s.GetAnswers(ctx, "k", from, from == 0)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("from %d: %v (-want +got):\n%s", from, err, diff)
		}
	}
	if got, err := s.GetAnswers(ctx, "none", 0, true); err != nil || len(got) > 0 {
		t.Errorf("no answer: %v, %v", got, err)
	}
	if _, err := s.PutAnswer(ctx, "big", 0, bytes.Repeat([]byte("a"), 351<<10), expires); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	// Late answers make no items; old ones are not read, though they are still there.
	rows := db.items(t, db.names.Answers)
	c.Advance(30 * time.Second)
	if _, err := s.PutAnswer(ctx, "late", 0, []byte("late"), expires); !errors.Is(err, store.ErrExpired) {
		t.Errorf("late: %v", err)
	}
	if n := db.items(t, db.names.Answers); n != rows {
		t.Errorf("%d items after a late answer, %d before", n, rows)
	}
	c.Advance(5 * time.Minute)
	if got, err := s.GetAnswers(ctx, "k", 0, true); err != nil || len(got) > 0 {
		t.Errorf("old answers: %v, %v", got, err)
	}
}

// A body of 6 MB in base64 is some 90 messages, and many pages of an answer.
func TestLongAnswer(t *testing.T) {
	t.Parallel()
	s, c, db := open(t)
	const parts, size = 70, 127 << 10
	message := bytes.Repeat([]byte("m"), size)
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8)
	for part := range parts {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if _, err := s.PutAnswer(t.Context(), "k", part, message, c.Now().Add(time.Minute)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := s.GetAnswers(t.Context(), "k", 0, true)
	if err != nil || len(got) != parts {
		t.Fatalf("%d parts, %v; want %d", len(got), err, parts)
	}
	for n, a := range got {
		if a.Part != n || len(a.Message) != size {
			t.Fatalf("part %d comes as %d, with %d bytes", n, a.Part, len(a.Message))
		}
	}
	if len(db.queries) < 2 {
		t.Error("it was one page, which proves nothing")
	}
}

func TestOneAnswerIsFirst(t *testing.T) {
	t.Parallel()
	s, c, _ := open(t)
	var firsts atomic.Int32
	var wg sync.WaitGroup
	var winner atomic.Value
	for i := range 8 {
		wg.Go(func() {
			message := fmt.Sprint("answer ", i)
			first, err := s.PutAnswer(t.Context(), "k", 0, []byte(message), c.Now().Add(time.Minute))
			if err != nil {
				t.Error(err)
			}
			if first {
				firsts.Add(1)
				winner.Store(message)
			}
		})
	}
	wg.Wait()
	got, err := s.GetAnswers(t.Context(), "k", 0, true)
	if err != nil || firsts.Load() != 1 || len(got) != 1 || string(got[0].Message) != winner.Load() {
		t.Errorf("%d were first; stored %+v, %v; want %q", firsts.Load(), got, err, winner.Load())
	}
}

func TestLease(t *testing.T) {
	t.Parallel()
	s, c, _ := open(t)
	end := c.Now().Truncate(time.Minute).Add(time.Minute)
	for n, want := range []int{4, 4, 2, 0, 0} {
		got, until, err := s.Lease(t.Context(), "shop", 10, 4)
		if err != nil || got != want || !until.Equal(end) {
			t.Errorf("lease %d: %d until %v, %v; want %d until %v", n, got, until, err, want, end)
		}
	}
	if got, _, err := s.Lease(t.Context(), "blog", 10, 4); err != nil || got != 4 {
		t.Errorf("another tunnel: %d, %v", got, err)
	}
	c.Advance(time.Minute)
	if got, _, err := s.Lease(t.Context(), "shop", 10, 4); err != nil || got != 4 {
		t.Errorf("the next minute: %d, %v", got, err)
	}
}

func TestLimiter(t *testing.T) {
	t.Parallel()
	s, c, db := open(t)
	const limit = 40
	environments := []*store.Limiter{s.NewLimiter(limit), s.NewLimiter(limit)}
	allowed := 0
	for n := range 2 * limit {
		ok, wait, err := environments[n%2].Allow(t.Context(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			allowed++
		} else if wait <= 0 || wait > time.Minute {
			t.Errorf("wait %v", wait)
		}
	}
	if allowed != limit {
		t.Errorf("%d of %d requests were allowed", allowed, limit)
	}
	// A tenth at a time, and one or two refusals that are remembered.
	if n := len(db.updates); n > 12 {
		t.Errorf("%d writes for %d requests", n, 2*limit)
	}
	c.Advance(time.Minute)
	if ok, _, err := environments[0].Allow(t.Context(), "shop"); !ok || err != nil {
		t.Errorf("the next minute: %v, %v", ok, err)
	}
	if ok, _, err := s.NewLimiter(0).Allow(t.Context(), "shop"); !ok || err != nil {
		t.Errorf("no limit: %v, %v", ok, err)
	}
	small := s.NewLimiter(1)
	if ok, _, err := small.Allow(t.Context(), "tiny"); !ok || err != nil {
		t.Errorf("the one request: %v, %v", ok, err)
	}
	if ok, _, err := small.Allow(t.Context(), "tiny"); ok || err != nil {
		t.Errorf("one more: %v, %v", ok, err)
	}
}
