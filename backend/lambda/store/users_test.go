package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"culvert/backend/auth"
	"culvert/backend/lambda/store"
	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

func TestUserConnections(t *testing.T) {
	t.Parallel()
	s, c, _ := open(t)
	ctx := t.Context()
	put := func(owner string, u store.UserConnection) {
		t.Helper()
		if err := s.PutUserConnection(ctx, owner, u); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what, owner string, want ...store.UserConnection) {
		t.Helper()
		got, err := s.UserConnections(ctx, owner)
		if diff := cmp.Diff(want, got, cmp.Comparer(time.Time.Equal)); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", what, err, diff)
		}
	}
	check("nobody", "user:ann")
	start := c.Now()
	older := store.UserConnection{Connection: "z", ConnectedAt: start, From: "203.0.113.7"}
	newer := store.UserConnection{Connection: "a", ConnectedAt: start.Add(time.Second), From: "2001:db8::1"}
	same := store.UserConnection{Connection: "b", ConnectedAt: start.Add(time.Second)}
	put("user:ann", newer)
	put("user:ann", same)
	put("user:ann", older)
	put("user:an", store.UserConnection{Connection: "c", ConnectedAt: start})
	put("key:ann", store.UserConnection{Connection: "z", ConnectedAt: start})
	older.Notices, newer.Notices, same.Notices = true, true, true // they have no tunnel
	check("oldest first", "user:ann", older, newer, same)

	// The tunnel is noted, and a repeated beginning does not undo it.
	older.Tunnel, older.Agent, older.Notices = "shop", "culvert 1", false
	put("user:ann", older)
	put("user:ann", store.UserConnection{Connection: "z", ConnectedAt: start})
	check("with a tunnel", "user:ann", older, newer, same)
	newer.Tunnel, newer.Notices = "blog", true
	put("user:ann", newer)
	check("that takes notices", "user:ann", older, newer, same)

	for range 2 { // as $disconnect may come twice
		if err := s.ForgetUserConnection(ctx, "user:ann", "z"); err != nil {
			t.Error(err)
		}
	}
	if err := s.ForgetUserConnection(ctx, "user:bob", "a"); err != nil {
		t.Error(err)
	}
	check("one has gone", "user:ann", newer, same)
	c.Advance(3 * time.Hour) // DynamoDB has not got round to them
	check("all are old", "user:ann")
}

// Nobody's connection gets lost because another one comes or goes at the same time.
func TestUserConnectionsAtOnce(t *testing.T) {
	t.Parallel()
	s, c, _ := open(t)
	const n = 24
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8)
	for i := range n {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			id := fmt.Sprint("c", i)
			err := s.PutUserConnection(t.Context(), "user:ann", store.UserConnection{Connection: id, ConnectedAt: c.Now()})
			if err == nil && i%2 == 1 {
				err = s.ForgetUserConnection(t.Context(), "user:ann", id)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err := s.UserConnections(t.Context(), "user:ann")
	if err != nil || len(got) != n/2 {
		t.Errorf("%d connections, %v", len(got), err)
	}
}

// A list is read in pages, and to a bound.
func TestManyUserConnections(t *testing.T) {
	t.Parallel()
	_, c, db := open(t)
	pages := &paged{spy: db}
	s, err := store.New(store.Config{Client: pages, Names: db.names, Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	const n = 25
	for i := range n {
		if err := s.PutUserConnection(t.Context(), "user:ann", store.UserConnection{Connection: fmt.Sprint("c", i), ConnectedAt: c.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.UserConnections(t.Context(), "user:ann")
	if err != nil || len(got) != n || pages.asked != 3 {
		t.Errorf("%d connections in %d pages, %v", len(got), pages.asked, err)
	}
	if in := pages.last; !*in.ConsistentRead || *in.Limit != 1000 {
		t.Errorf("asked for %d, consistent %v", *in.Limit, *in.ConsistentRead)
	}

	// Page by page there is no bound.
	var sizes []int
	all := map[string]bool{}
	err = s.EachUserConnections(t.Context(), "user:ann", func(page []store.UserConnection) error {
		sizes = append(sizes, len(page))
		for _, c := range page {
			all[c.Connection] = true
		}
		return nil
	})
	if diff := cmp.Diff([]int{10, 10, 5}, sizes); err != nil || diff != "" || len(all) != n {
		t.Errorf("%d connections, %v (-want +got):\n%s", len(all), err, diff)
	}
	enough := errors.New("enough")
	pages.asked = 0
	if err := s.EachUserConnections(t.Context(), "user:ann", func([]store.UserConnection) error { return enough }); !errors.Is(err, enough) || pages.asked != 1 {
		t.Errorf("%v after %d pages", err, pages.asked)
	}
	if err := s.EachUserConnections(t.Context(), "user:an", func([]store.UserConnection) error { return enough }); err != nil {
		t.Errorf("nobody's: %v", err)
	}
}

// paged makes pages of ten.
type paged struct {
	*spy
	asked int
	last  dynamodb.QueryInput
}

func (p *paged) Query(ctx context.Context, in *dynamodb.QueryInput, o ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	p.asked++
	p.last = *in
	small, ten := *in, int32(10)
	small.Limit = &ten
	return p.spy.Query(ctx, &small, o...)
}

// Forget leaves nothing of a connection, and everything of the others.
func TestForget(t *testing.T) {
	t.Parallel()
	s, c, db := open(t)
	ctx := t.Context()
	for id, user := range map[string]string{"c1": "ann", "c2": "ann"} {
		if err := s.PutConnection(ctx, store.Connection{ID: id, ConnectedAt: c.Now(), Identity: auth.Identity{Subject: user}}); err != nil {
			t.Fatal(err)
		}
		if err := s.PutUserConnection(ctx, "user:"+user, store.UserConnection{Connection: id, ConnectedAt: c.Now()}); err != nil {
			t.Fatal(err)
		}
		h := holder(id, c)
		mustClaim(t, s, tunnel.Claim{ID: "of-" + id, Owner: "user:ann"}, h)
		if err := s.Attach(ctx, "of-"+id, h, store.Agent{}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := s.Forget(ctx, "c1"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Forget(ctx, "never seen"); err != nil {
		t.Error(err)
	}
	if _, err := s.Connection(ctx, "c1"); !errors.Is(err, store.ErrUnknown) {
		t.Errorf("it is still known: %v", err)
	}
	got, err := s.UserConnections(ctx, "user:ann")
	if err != nil || len(got) != 1 || got[0].Connection != "c2" {
		t.Errorf("the user has %v, %v", got, err)
	}
	for id, live := range map[string]bool{"of-c1": false, "of-c2": true} {
		if now, err := s.Lookup(ctx, id, true); err != nil || now.Live != live {
			t.Errorf("%s: %+v, %v", id, now, err)
		}
	}
	if held, err := s.HeldBy(ctx, "user:ann"); err != nil || len(held) != 1 {
		t.Errorf("counted: %v, %v", held, err)
	}

	// A function that knows no tunnels removes what it knows.
	less, err := store.New(store.Config{Client: db, Now: c.Now, Names: store.Names{Connections: db.names.Connections, Users: db.names.Users}})
	if err != nil {
		t.Fatal(err)
	}
	if err := less.Forget(ctx, "c2"); err != nil {
		t.Fatal(err)
	}
	if got, err := s.UserConnections(ctx, "user:ann"); err != nil || len(got) > 0 {
		t.Errorf("the user has %v, %v", got, err)
	}
	if now, err := s.Lookup(ctx, "of-c2", true); err != nil || !now.Live {
		t.Errorf("its tunnel: %+v, %v", now, err)
	}
}

// One that has another owner key than the connection that is known stays out.
func TestAuthorize(t *testing.T) {
	t.Parallel()
	s, c, _ := open(t)
	ctx := t.Context()
	ann := auth.Identity{Subject: "ann", Tunnels: []string{"shop"}, Max: 2, Expires: c.Now().Add(time.Hour), ID: "t1", IssuedAt: c.Now()}
	if err := s.Authorize(ctx, "unknown", ann, ""); !errors.Is(err, store.ErrConflict) {
		t.Errorf("an unknown connection: %v", err)
	}
	if _, err := s.AuthorizeFailed(ctx, "unknown"); !errors.Is(err, store.ErrUnknown) {
		t.Errorf("an unknown connection fails: %v", err)
	}
	if err := s.PutConnection(ctx, store.Connection{ID: "c1", ConnectedAt: c.Now(), Pending: true}); err != nil {
		t.Fatal(err)
	}
	want := &store.Connection{ID: "c1", ConnectedAt: c.Now(), Pending: true}
	check := func(what string) {
		t.Helper()
		got, err := s.Connection(ctx, "c1")
		if diff := cmp.Diff(want, got, cmp.Comparer(time.Time.Equal)); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", what, err, diff)
		}
	}
	check("new")
	if want.TakesNotices() || want.User() != "" {
		t.Error("notices for who is not authorized")
	}
	for n := 1; n <= 2; n++ {
		if times, err := s.AuthorizeFailed(ctx, "c1"); err != nil || times != n {
			t.Errorf("failure %d is the %dth: %v", n, times, err)
		}
	}
	if err := s.Authorize(ctx, "c1", ann, ""); err != nil {
		t.Fatal(err)
	}
	want.Pending, want.Failed, want.Identity = false, 2, ann
	check("authorized")
	if err := s.Authorize(ctx, "c1", auth.Identity{Subject: "bob"}, ""); !errors.Is(err, store.ErrConflict) {
		t.Errorf("another user: %v", err)
	}
	again := auth.Identity{Subject: "ann"}
	if err := s.Authorize(ctx, "c1", again, ""); err != nil {
		t.Error(err)
	}
	want.Identity = again
	check("again, by a token that says less")

	if err := s.PutConnection(ctx, store.Connection{ID: "c2", ConnectedAt: c.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := s.Authorize(ctx, "c2", auth.Identity{}, "key:a"); err != nil {
		t.Error(err)
	}
	if err := s.Authorize(ctx, "c2", auth.Identity{}, "key:b"); !errors.Is(err, store.ErrConflict) {
		t.Errorf("another key: %v", err)
	}
	h := store.Holder{Connection: "c2", Capabilities: []wire.Capability{wire.CapNotices}, Declared: true}
	if err := s.Attach(ctx, "shop", h, store.Agent{Owner: "key:b"}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a tunnel for another key: %v", err)
	}
	if err := s.Attach(ctx, "shop", h, store.Agent{Owner: "key:a", Name: "culvert 1"}); err != nil {
		t.Error(err)
	}
	if got, err := s.Connection(ctx, "c2"); err != nil || got.User() != "key:a" || got.Agent != "culvert 1" || !got.TakesNotices() {
		t.Errorf("%+v, %v", got, err)
	}
}

// Of two users who authorize one connection at the same time, one gets it.
func TestAuthorizeAtOnce(t *testing.T) {
	t.Parallel()
	s, c, _ := open(t)
	if err := s.PutConnection(t.Context(), store.Connection{ID: "c1", ConnectedAt: c.Now(), Pending: true}); err != nil {
		t.Fatal(err)
	}
	users := []string{"ann", "bob", "eve", "joe"}
	errs := make([]error, len(users))
	var wg sync.WaitGroup
	for n, user := range users {
		wg.Go(func() { errs[n] = s.Authorize(t.Context(), "c1", auth.Identity{Subject: user}, "") })
	}
	wg.Wait()
	got, err := s.Connection(t.Context(), "c1")
	if err != nil {
		t.Fatal(err)
	}
	for n, user := range users {
		if (errs[n] == nil) != (got.Identity.Subject == user) || errs[n] != nil && !errors.Is(errs[n], store.ErrConflict) {
			t.Errorf("%s: %v; the connection is %s's", user, errs[n], got.Identity.Subject)
		}
	}
}

// A connection that is on a list, and nowhere else, is taken off it.
func TestForgetOfOneThatIsOnlyListed(t *testing.T) {
	t.Parallel()
	s, c, _ := open(t)
	ctx := t.Context()
	for _, id := range []string{"gone=", "other="} {
		if err := s.PutUserConnection(ctx, "user:ann", store.UserConnection{Connection: id, ConnectedAt: c.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	left := func(want int) {
		t.Helper()
		if got, err := s.UserConnections(ctx, "user:ann"); err != nil || len(got) != want || got[want-1].Connection != "other=" {
			t.Errorf("left: %+v, %v", got, err)
		}
	}
	if err := s.Forget(ctx, "gone="); err != nil {
		t.Error(err)
	}
	left(2) // nobody has said whose it is
	for range 2 {
		if err := s.ForgetOf(ctx, "user:ann", "gone="); err != nil {
			t.Error(err)
		}
	}
	left(1)
}
