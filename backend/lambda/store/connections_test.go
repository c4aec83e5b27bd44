package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"culvert/backend/auth"
	"culvert/backend/lambda/store"
	"culvert/backend/wire"
)

func TestConnections(t *testing.T) {
	t.Parallel()
	s, c, db := open(t)
	ctx := t.Context()
	want := store.Connection{
		ID: "L0SM9cOFvHcCIhw=", Identity: auth.Identity{Subject: "ann", Tunnels: []string{"shop", "blog"}, Max: 3, ID: "t1", IssuedAt: c.Now().Add(-time.Minute)},
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
	if err := s.Attach(ctx, "shop", h, store.Agent{Name: "culvert 1"}); err != nil {
		t.Fatal(err)
	}
	want.Tunnel, want.Declared, want.Capabilities, want.Quota, want.Agent = "shop", true, h.Capabilities, h.Quota, "culvert 1"
	check("with a tunnel")
	if err := s.Attach(ctx, "blog", h, store.Agent{}); !errors.Is(err, store.ErrConflict) {
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
	if err := s.Attach(ctx, "shop", h, store.Agent{Name: "culvert 1"}); !errors.Is(err, store.ErrConflict) {
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

// What a connection is judged by: its token's end, and how long ago it came.
func TestTimesOfConnections(t *testing.T) {
	t.Parallel()
	now := time.Now()
	at := func(s int) time.Time { return now.Add(time.Duration(s) * time.Second) }
	for name, c := range map[string]struct {
		conn           store.Connection
		expired, young bool
	}{
		"no token, or one for ever": {store.Connection{ConnectedAt: at(-3600)}, false, false},
		"within its time":           {store.Connection{ConnectedAt: at(-31), Identity: auth.Identity{Expires: at(1)}}, false, false},
		"within the leeway":         {store.Connection{ConnectedAt: at(-31), Identity: auth.Identity{Expires: at(-30)}}, false, false},
		"beyond it":                 {store.Connection{ConnectedAt: at(-31), Identity: auth.Identity{Expires: at(-31)}}, true, false},
		"while $connect may run":    {store.Connection{ConnectedAt: at(-29)}, false, true},
		"by another clock":          {store.Connection{ConnectedAt: at(10)}, false, true},
	} {
		u := store.UserConnection{ConnectedAt: c.conn.ConnectedAt}
		if c.conn.Expired(now) != c.expired || c.conn.Young(now) != c.young || u.Young(now) != c.young {
			t.Errorf("%s: expired %v, young %v, as a user's %v", name, c.conn.Expired(now), c.conn.Young(now), u.Young(now))
		}
	}
}
