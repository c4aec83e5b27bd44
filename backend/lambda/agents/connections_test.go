package agents

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"culvert/backend/lambda/event"
	"culvert/backend/lambda/post"
	"culvert/backend/lambda/store"
)

// list asks for the caller's connections, and gives the result.
func (w *world) list(id string) (result object, ids []string) {
	w.t.Helper()
	got := w.ask(id, `{"action":"connections"}`)
	result, _ = got["result"].(object)
	if got["status"] != "success" {
		w.t.Fatalf("got %v", got)
	}
	for _, c := range result["connections"].([]any) {
		ids = append(ids, c.(object)["connection_id"].(string))
	}
	return result, ids
}

// at makes a connection that has been open since some time.
func (w *world) at(id, user string, since time.Duration) {
	w.t.Helper()
	m := &event.Message{ConnectionID: id, EventType: event.Connect, ConnectedAt: time.Now().Add(-since), Query: query(w.keys.token(w.t, jwt.MapClaims{"sub": user}))}
	if status := w.handle(m); status != 200 {
		w.t.Fatalf("connect: %d", status)
	}
	w.gateway.open(id)
}

func TestConnectionsOfAUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	start := time.Now().Add(-time.Hour)
	for n, id := range []string{"zz", "c1", "c2"} {
		if err := w.store.PutUserConnection(t.Context(), "user:ann", store.UserConnection{
			Connection: id, ConnectedAt: start.Add(time.Duration(n) * time.Minute), From: "203.0.113.9"}); err != nil {
			t.Fatal(err)
		}
		w.gateway.open(id)
	}
	w.connect("mine", "ann")
	w.ready("mine", object{"tunnel_id": "shop", "agent": "culvert/1.2 (linux)"})
	w.connect("bobs", "bob")
	result, ids := w.list("mine")
	if diff := cmp.Diff([]string{"zz", "c1", "c2", "mine"}, ids); diff != "" || result["user"] != "ann" || result["more"] != nil {
		t.Errorf("%v (-want +got):\n%s", result, diff)
	}
	last := result["connections"].([]any)[3].(object)
	for _, name := range []string{"connected_at", "last_seen"} {
		at, err := time.Parse(time.RFC3339, fmt.Sprint(last[name]))
		if err != nil || time.Since(at) > time.Minute {
			t.Errorf("%s: %v", name, last[name])
		}
		delete(last, name)
	}
	if diff := cmp.Diff(object{"connection_id": "mine", "tunnel_id": "shop", "agent": "culvert/1.2 (linux)", "from": "203.0.113.7", "this": true}, last); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	first := result["connections"].([]any)[0].(object)
	delete(first, "last_seen")
	want := object{"connection_id": "zz", "from": "203.0.113.9", "connected_at": start.UTC().Format(time.RFC3339), "this": false}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// The end of one takes it off; by whatever way it is asked for.
	w.disconnect("mine")
	w.connect("next", "ann")
	got := w.askRouted("next", `{"action":"connections","data":{"anything":1}}`)["result"].(object)
	if n := len(got["connections"].([]any)); n != 4 {
		t.Errorf("%d connections", n)
	}
}

// Those that are gone without notice are removed from everywhere, unless they may only
// be too young to be known, or who should know is in trouble.
func TestStaleConnections(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.at("stale", "ann", time.Hour)
	w.ready("stale", object{"tunnel_id": "shop"})
	w.gateway.close("stale")
	w.connect("young", "ann")
	w.gateway.close("young")
	w.connect("mine", "ann")

	trouble := errors.New("500")
	w.agents.cfg.Poster = infos{w.gateway, func(id string) error {
		if id == "young" {
			return trouble
		}
		return nil
	}}
	if _, ids := w.list("mine"); !slices.Equal(ids, []string{"young", "mine"}) {
		t.Errorf("listed: %v", ids)
	}
	if _, err := w.store.Connection(t.Context(), "stale"); err != nil || len(w.users("user:ann")) != 3 {
		t.Errorf("removed, though the gateway was in trouble: %v", err)
	}
	w.agents.cfg.Poster = w.gateway
	if _, ids := w.list("mine"); !slices.Equal(ids, []string{"young", "mine"}) {
		t.Errorf("listed: %v", ids)
	}
	if _, err := w.store.Connection(t.Context(), "stale"); !errors.Is(err, store.ErrUnknown) {
		t.Errorf("stale is still known: %v", err)
	}
	var left []string
	for _, c := range w.users("user:ann") {
		left = append(left, c.Connection)
	}
	if slices.Sort(left); !slices.Equal(left, []string{"mine", "young"}) {
		t.Errorf("left: %v", left)
	}
	w.holds("shop", "")
	// Its late end changes nothing, and the name is another's meanwhile.
	w.ready("mine", object{"tunnel_id": "shop"})
	w.disconnect("stale")
	w.holds("shop", "mine")
	if len(w.users("user:ann")) != 2 {
		t.Error("a late end has removed another connection")
	}
}

// Who is on the list, and known nowhere else, is taken off it once it has gone; unless it
// is about to open.
func TestConnectionsThatAreOnlyListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for id, since := range map[string]time.Duration{"orphan": 32 * time.Second, "opening": 20 * time.Second} {
		if err := w.store.PutUserConnection(t.Context(), "user:ann", store.UserConnection{Connection: id, ConnectedAt: time.Now().Add(-since)}); err != nil {
			t.Fatal(err)
		}
	}
	w.connect("mine", "ann")
	if _, ids := w.list("mine"); !slices.Equal(ids, []string{"opening", "mine"}) {
		t.Errorf("listed: %v", ids)
	}
	if left := w.users("user:ann"); len(left) != 2 || left[0].Connection != "opening" {
		t.Errorf("left: %+v", left)
	}
}

// An agent that goes while it gets its tunnel is not listed any more.
func TestListOfOneThatLeftDuringTheHandshake(t *testing.T) {
	t.Parallel()
	for _, auth := range []Auth{AuthJWT, AuthNone} {
		w := newWorld(t, func(c *Config) { c.Auth = auth })
		user, hello := "ann", object{"type": "ready", "protocol": 2}
		owner := "user:ann"
		if auth == AuthNone {
			key := ownerKey(t)
			user, owner = "", "key:"+key.Public()
			hello["owner"], hello["proof"] = key.Public(), key.Sign("ws.example.com", "")
		}
		w.connect("c1", user)
		w.gateway.close("c1")
		w.send("c1", hello)
		if left := w.users(owner); len(left) > 0 {
			t.Errorf("%s: left: %+v", auth, left)
		}
	}
}

// infos fails to say something about some connections.
type infos struct {
	*gateway
	err func(string) error
}

func (i infos) Info(ctx context.Context, id string) (post.Info, error) {
	if err := i.err(id); err != nil {
		return post.Info{}, err
	}
	return i.gateway.Info(ctx, id)
}

// Whoever is nobody sees one connection, and does not learn of others.
func TestConnectionsOfNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Auth = AuthNone })
	w.connect("c1", "")
	w.connect("c2", "")
	w.ready("c2", object{"agent": "culvert"})
	for _, id := range []string{"c1", "c2"} {
		if result, ids := w.list(id); !slices.Equal(ids, []string{id}) || result["user"] != "" {
			t.Errorf("%s sees %v", id, result)
		}
	}
	result, _ := w.list("c2")
	if one := result["connections"].([]any)[0].(object); one["tunnel_id"] == nil || one["agent"] != "culvert" || one["this"] != true {
		t.Errorf("got %v", one)
	}
}

// crowd counts who is asked for at once.
type crowd struct {
	*gateway
	mu       sync.Mutex
	now, max int
	asked    []string
	full     chan struct{} // closed when as many are asked for as may be
}

func (c *crowd) Info(ctx context.Context, id string) (post.Info, error) {
	c.mu.Lock()
	c.asked = append(c.asked, id)
	c.now++
	if c.max = max(c.max, c.now); c.now == maxAsked {
		select {
		case <-c.full:
		default:
			close(c.full)
		}
	}
	c.mu.Unlock()
	<-c.full
	c.mu.Lock()
	c.now--
	c.mu.Unlock()
	return post.Info{LastActiveAt: time.Now()}, nil
}

// What is remembered of connections is bounded, in number and time.
func TestPresences(t *testing.T) {
	t.Parallel()
	var p presences
	now := time.Now()
	for n := range 2*maxPresences + 1 {
		p.put(fmt.Sprint("c", n), now, now)
	}
	last := fmt.Sprint("c", 2*maxPresences)
	if _, ok := p.get("c0", now); ok || len(p.known) > maxPresences {
		t.Errorf("%d are remembered", len(p.known))
	}
	for after, want := range map[time.Duration]bool{0: true, presenceKept - 1: true, presenceKept: false, -time.Second: false} {
		if seen, ok := p.get(last, now.Add(after)); ok != want || ok && !seen.Equal(now) {
			t.Errorf("%s later: %v, %v", after, seen, ok)
		}
	}
}

// A long list is cut, says so, and has the caller in it.
func TestManyConnections(t *testing.T) {
	t.Parallel()
	c := &crowd{full: make(chan struct{})}
	w := newWorld(t, nil)
	c.gateway = w.gateway
	w.agents.cfg.Poster = c
	for n := range maxListed {
		if err := w.store.PutUserConnection(t.Context(), "user:ann", store.UserConnection{
			Connection: fmt.Sprint("c", n), ConnectedAt: time.Now().Add(-time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	w.connect("mine", "ann")
	result, ids := w.list("mine")
	if len(ids) != maxListed || result["more"] != true || ids[maxListed-1] != "mine" {
		t.Errorf("%d, more %v, the last is %s", len(ids), result["more"], ids[len(ids)-1])
	}
	// Asking again, and again, costs nothing for some time.
	for range 3 {
		again, _ := w.list("mine")
		if diff := cmp.Diff(result["connections"].([]any)[:maxListed-1], again["connections"].([]any)[:maxListed-1]); diff != "" {
			t.Errorf("asked again (-before +after):\n%s", diff)
		}
	}
	if c.max != maxAsked || len(c.asked) != maxListed-1 || slices.Contains(c.asked, "mine") {
		t.Errorf("%d asked for at once, %d in all", c.max, len(c.asked))
	}
}

// Who does not answer in time does not keep the caller waiting.
func TestConnectionsOfASlowGateway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.at("c1", "ann", time.Hour)
	w.connect("mine", "ann")
	w.agents.cfg.Poster = slow{w.gateway}
	w.agents.patience.list = 10 * time.Millisecond
	result, ids := w.list("mine")
	one := result["connections"].([]any)[0].(object)
	if !slices.Equal(ids, []string{"c1", "mine"}) || one["last_seen"] != nil {
		t.Errorf("got %v", result)
	}
}

type slow struct{ *gateway }

func (slow) Info(ctx context.Context, _ string) (post.Info, error) {
	<-ctx.Done()
	return post.Info{}, ctx.Err()
}
