package agents

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"culvert/backend/lambda/post"
	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

// An agent that has declared nothing gets exactly the table of the original protocol.
func TestUndeclared(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) {
		c.SubdomainURL, c.StreamURL, c.Blob = "https://t.example.com", "https://stream.example.com", true
	})
	w.connect("c1", "ann")
	if got := w.gateway.received("c1"); len(got) > 0 {
		t.Errorf("told before ready: %v", got)
	}
	w.sendText("c1", `{"type":"ready"}`)
	got := w.gateway.received("c1")
	if len(got) != 1 {
		t.Fatalf("told %v", got)
	}
	id, _ := got[0]["tunnel_id"].(string)
	if err := tunnel.ValidID(id); err != nil {
		t.Errorf("tunnel %q: %v", id, err)
	}
	want := object{"type": "connection_established", "connection_id": "c1", "tunnel_id": id,
		"public_url": "https://" + id + ".t.example.com", "subdomain_url": "https://" + id + ".t.example.com",
		"path_based_url": "https://tunnel.example.com/" + id}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Errorf("established (-want +got):\n%s", diff)
	}
	w.holds(id, "c1")
	if now := w.lookup(id); now.Declared || now.Capabilities != nil || now.Named || now.Owner != "" {
		t.Errorf("stored as %+v", now)
	}
	// It cannot ask for a name, and gets another ID each time.
	w.connect("c2", "ann")
	w.sendText("c2", `{"type":"ready","tunnel_id":"shop","resume":"x","owner":"y","proof":"z","unknown":{"a":[1]}}`)
	if other := w.gateway.received("c2")[0]["tunnel_id"]; other == id || other == "shop" {
		t.Errorf("the second connection gets %v", other)
	}
	w.sendText("c1", `{"type":"ping"}`)
	if got := w.gateway.received("c1"); len(got) != 1 {
		t.Errorf("told %v for a ping", got[1:])
	}
	w.disconnect("c1")
	w.holds(id, "")
}

func TestURLsWithoutWildcardDNS(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.PublicURL = "https://abc.execute-api.eu-west-1.amazonaws.com/base/" })
	est := w.declared("c1", "ann", object{"tunnel_id": "shop"})
	want := "https://abc.execute-api.eu-west-1.amazonaws.com/base/shop"
	if est["public_url"] != want || est["path_based_url"] != want || est["subdomain_url"] != nil {
		t.Errorf("handed out %v", est)
	}
}

func TestDeclared(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.StreamURL, c.Blob = "https://stream.example.com/", true })
	est := w.declared("c1", "ann", object{"tunnel_id": "shop"})
	if est["protocol"] != 2.0 || est["epoch"] != 1.0 || est["resume"] == "" || est["backend"] != "culvert-lambda 1.2.3" ||
		est["stream_url"] != "https://stream.example.com/shop" {
		t.Errorf("established: %v", est)
	}
	if age, _ := est["max_age_ms"].(float64); age < 7190e3 || age > 7200e3 {
		t.Errorf("max_age_ms %v, want 2 h", est["max_age_ms"])
	}
	session, _ := est["session"].(string)
	for after, ok := range map[time.Duration]bool{0: true, sessionLife - time.Minute: true, sessionLife + time.Second: false} {
		if id, err := w.keys.tickets(t).OpenSession(session, time.Now().Add(after)); (err == nil && id == "shop") != ok {
			t.Errorf("the session token after %v: %q, %v", after, id, err)
		}
	}
	w.unlogged(est["session"], est["resume"])
	if now := w.lookup("shop"); !now.Can(wire.CapSession) || now.Owner != "user:ann" || now.Instance != "i-c1" {
		t.Errorf("stored as %+v", now)
	}
	// The same message once more: the same answer.
	if again := w.ready("c1", object{"tunnel_id": "shop"}); again["tunnel_id"] != "shop" || again["epoch"] != est["epoch"] || again["resume"] != est["resume"] {
		t.Errorf("ready twice: %v", again)
	}
	w.holds("shop", "c1")
}

func TestCapabilities(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		offered []string
		change  func(*Config)
		want    []string
	}{
		"all, plain backend":  {offered, nil, []string{"resume", "session", "chunks", "gzip", "cancel"}},
		"all, with a bucket":  {offered, func(c *Config) { c.Blob = true }, []string{"resume", "session", "chunks", "gzip", "cancel", "blob"}},
		"all, with streaming": {offered, func(c *Config) { c.StreamURL = "https://s.example.com" }, []string{"resume", "session", "chunks", "gzip", "cancel", "stream"}},
		"an agent of before":  {[]string{"resume"}, func(c *Config) { c.Blob = true }, []string{"resume"}},
		"none":                {nil, nil, []string{"resume"}},
		"chunks alone":        {[]string{"chunks", "gzip"}, nil, []string{"resume"}},
		"of the future":       {[]string{"session", "telepathy"}, nil, []string{"resume", "session"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.change)
			est := w.declared("c1", "ann", object{"capabilities": c.offered})
			var got []string
			for _, one := range est["capabilities"].([]any) {
				got = append(got, one.(string))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if (est["session"] != nil) != slices.Contains(c.want, "session") || (est["stream_url"] != nil) != slices.Contains(c.want, "stream") {
				t.Errorf("established: %v", est)
			}
		})
	}
}

// again is what a session says that has had a tunnel.
func again(est object, instance string) object {
	return object{"tunnel_id": est["tunnel_id"], "resume": est["resume"], "epoch": est["epoch"], "instance": instance}
}

func TestResume(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	first := w.declared("c1", "ann", nil)
	id := first["tunnel_id"].(string)
	// Replaced as planned: the old connection may finish, and is told nothing.
	second := w.declared("c2", "ann", again(first, "i-c1"))
	if second["public_url"] != first["public_url"] || second["epoch"] != 2.0 {
		t.Errorf("resumed as %v", second)
	}
	w.holds(id, "c2")
	if got := w.gateway.received("c1"); len(got) != 1 || w.gateway.wasDeleted("c1") {
		t.Errorf("the old connection got %v", got[1:])
	}
	w.disconnect("c1")
	w.holds(id, "c2")
	// Another process takes over: the old one is told and cut off.
	third := w.declared("c3", "ann", again(second, "other"))
	w.holds(id, "c3")
	got := w.gateway.received("c2")
	wantError(t, got[len(got)-1], "replaced")
	if !w.gateway.wasDeleted("c2") {
		t.Error("the displaced connection was not closed")
	}
	// It comes back, not knowing yet: it has lost.
	wantError(t, w.declared("c4", "ann", again(second, "i-c1")), "replaced")
	w.holds(id, "c3")
	// After the end of all connections the URL is still its own.
	w.disconnect("c3")
	fourth := w.declared("c5", "ann", again(third, "other"))
	if fourth["public_url"] != first["public_url"] || fourth["epoch"] != 4.0 {
		t.Errorf("resumed as %v", fourth)
	}
	w.unlogged(first["resume"])
}

func TestNobodysTunnelIsResumedByItsSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Auth = AuthNone })
	first := w.declared("c1", "", nil)
	w.disconnect("c1")
	stolen := again(first, "x")
	delete(stolen, "resume")
	wantError(t, w.declared("c2", "", stolen), "name_taken")
	second := w.declared("c3", "", again(first, "i-c1"))
	if second["tunnel_id"] != first["tunnel_id"] {
		t.Errorf("resumed as %v", second)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.MaxTunnels = 2 })
	owned := w.declared("held", "bob", object{"tunnel_id": "shop"})
	for n, c := range []struct {
		name  string
		token jwt.MapClaims
		hello object
		code  string
	}{
		{"another owner's name", nil, object{"tunnel_id": "shop"}, "name_taken"},
		{"another owner's name and secret", nil, again(owned, "i-held"), "name_taken"},
		{"no name at all", nil, object{"tunnel_id": "Shop!"}, "invalid_request"},
		{"a name that the token does not allow", jwt.MapClaims{"tunnels": []string{"blog"}}, object{"tunnel_id": "other"}, "forbidden"},
		{"an epoch out of range", nil, object{"tunnel_id": "mine", "epoch": -1}, "invalid_request"},
		{"a long instance", nil, object{"instance": strings.Repeat("i", 200)}, "invalid_request"},
		{"fields of the wrong type", nil, object{"tunnel_id": 5}, "invalid_request"},
	} {
		id := fmt.Sprint("c", n)
		claims := c.token
		if claims == nil {
			claims = jwt.MapClaims{}
		}
		w.connect(id, "ann", claims)
		wantError(t, w.ready(id, c.hello), c.code)
		if !w.gateway.wasDeleted(id) {
			t.Errorf("%s: the connection stays open", c.name)
		}
	}
	w.holds("shop", "held")
	if held, err := w.store.HeldBy(t.Context(), "user:ann"); err != nil || len(held) > 0 {
		t.Errorf("refused, but counted: %v, %v", held, err)
	}
	// To one that has declared nothing, only the codes that it knows are sent.
	w.declared("u1", "eve", nil)
	w.declared("u2", "eve", nil)
	w.connect("u3", "eve")
	w.sendText("u3", `{"type":"ready"}`)
	wantError(t, w.gateway.received("u3")[0], "invalid_request")
	wantError(t, w.declared("u4", "eve", nil), "too_many_tunnels")
	w.connect("u5", "eve", jwt.MapClaims{"max": 3})
	if got := w.ready("u5", nil); got["type"] != "connection_established" {
		t.Errorf("with a token for three: %v", got)
	}
	w.unlogged(owned["resume"])
}

// A limit must not count connections whose end nobody has told.
func TestDeadTunnelsDoNotCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.MaxTunnels = 2 })
	w.declared("c1", "ann", object{"tunnel_id": "one"})
	w.declared("c2", "ann", object{"tunnel_id": "two"})
	wantError(t, w.declared("c3", "ann", object{"tunnel_id": "three"}), "too_many_tunnels")
	w.gateway.close("c1") // its $disconnect is lost
	if got := w.declared("c4", "ann", object{"tunnel_id": "three"}); got["tunnel_id"] != "three" {
		t.Errorf("got %v", got)
	}
	w.holds("one", "")
	w.holds("two", "c2")
}

// Another process of the same owner asks for a name without the secret: it gets the
// name only if the holder is dead.
func TestNameInUse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hello  object // the holder's; nil: it has declared nothing
		before func(*gateway)
		taken  bool
	}{
		"alive":                   {object{}, nil, true},
		"alive, of before":        {object{"capabilities": []string{"resume"}}, nil, true},
		"silent":                  {object{}, func(g *gateway) { g.silence("old") }, false},
		"gone":                    {object{}, func(g *gateway) { g.close("old") }, false},
		"gone, of before":         {nil, func(g *gateway) { g.close("old") }, false},
		"cannot be asked":         {nil, func(g *gateway) { g.silence("old") }, true},
		"the gateway is too busy": {object{}, func(g *gateway) { g.failNext("old", post.ErrBusy) }, true},
		"gone at the ping":        {object{}, func(g *gateway) { g.failNext("old", post.ErrGone) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			if c.hello != nil {
				hello := object{"tunnel_id": "shop"}
				maps.Copy(hello, c.hello)
				w.declared("old", "ann", hello)
			} else {
				w.connect("old", "ann", jwt.MapClaims{"tunnels": []string{"shop"}})
				w.sendText("old", `{"type":"ready"}`)
			}
			w.holds("shop", "old")
			if c.before != nil {
				c.before(w.gateway)
			}
			got := w.declared("new", "ann", object{"tunnel_id": "shop"})
			if c.taken {
				wantError(t, got, "name_taken")
				w.holds("shop", "old")
				if w.gateway.wasDeleted("old") {
					t.Error("the holder was cut off")
				}
				return
			}
			if got["type"] != "connection_established" || !w.gateway.wasDeleted("old") {
				t.Errorf("got %v; the old connection closed: %v", got, w.gateway.wasDeleted("old"))
			}
			w.holds("shop", "new")
			w.disconnect("old") // late
			w.holds("shop", "new")
		})
	}
}

// A token may say which tunnels there are: whoever asks for none gets a free one of
// them, also one that has declared nothing.
func TestListedTunnels(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	list := func() jwt.MapClaims { return jwt.MapClaims{"tunnels": []string{"blog", "shop"}} }
	w.connect("c1", "ann", list())
	w.sendText("c1", `{"type":"ready"}`)
	w.connect("c2", "ann", list())
	if got := w.ready("c2", nil); got["tunnel_id"] != "shop" {
		t.Errorf("the second: %v", got)
	}
	w.holds("blog", "c1")
	w.connect("c3", "ann", list())
	wantError(t, w.ready("c3", nil), "name_taken")
	w.gateway.close("c1")
	w.connect("c4", "ann", list())
	if got := w.ready("c4", nil); got["tunnel_id"] != "blog" {
		t.Errorf("when one has gone: %v", got)
	}
}

func TestOwnerKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Auth, c.Hosts = AuthNone, []string{"agents.example.com"} })
	key, err := tunnel.NewOwnerKey()
	if err != nil {
		t.Fatal(err)
	}
	proof := func(host string) object {
		return object{"tunnel_id": "shop", "owner": key.Public(), "proof": key.Sign(host, "")}
	}
	for n, host := range []string{"ws.example.com", "agents.example.com"} {
		id := fmt.Sprint("c", n)
		if got := w.declared(id, "", proof(host)); got["tunnel_id"] != "shop" {
			t.Errorf("%s: %v", host, got)
		}
		w.disconnect(id)
	}
	// A proof that was meant for another backend.
	wantError(t, w.declared("c3", "", proof("evil.example.com")), "unauthorized")
	wantError(t, w.declared("c4", "", object{"tunnel_id": "shop"}), "name_taken")
	wantError(t, w.declared("c5", "", object{"tunnel_id": "blog"}), "unauthorized")
}

func TestLoopbackHosts(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"127.0.0.1:8082": true, "localhost": true, "localhost:1": true, "[::1]:8082": true, "127.0.0.1": true,
		"": false, "localhost.evil.example.com": false, "10.0.0.1:1": false, "example.com": false,
	} {
		if got := loopback(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}

// The agent has gone before it could be told: nobody loses anything by that.
func TestAgentThatIsGoneBeforeItIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.connect("c1", "ann")
	w.gateway.close("c1")
	w.send("c1", object{"type": "ready", "protocol": 2, "tunnel_id": "shop"})
	w.holds("shop", "")
	first := w.declared("c2", "ann", object{"tunnel_id": "shop"})
	// One that takes over, and does not live to know it, gives it back.
	w.connect("c3", "ann")
	w.gateway.close("c3")
	hello := again(first, "other")
	hello["type"], hello["protocol"] = "ready", 2
	w.send("c3", hello)
	w.holds("shop", "c2")
	if got := w.gateway.received("c2"); len(got) != 1 {
		t.Errorf("the holder was told %v", got[1:])
	}
	if held, err := w.store.HeldBy(t.Context(), "user:ann"); err != nil || len(held) != 1 || held[0].Connection != "c2" {
		t.Errorf("counted: %v, %v", held, err)
	}
	w.disconnect("c3")
	w.holds("shop", "c2")
}

func TestTellingIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.connect("c1", "ann")
	w.gateway.failNext("c1", post.ErrBusy, post.ErrUnavailable)
	if got := w.ready("c1", object{"tunnel_id": "shop"}); got["tunnel_id"] != "shop" {
		t.Errorf("got %v", got)
	}
	w.connect("c2", "ann")
	w.gateway.failNext("c2", post.ErrBusy, post.ErrBusy, post.ErrBusy)
	if status := w.sendText("c2", `{"type":"ready","protocol":2,"tunnel_id":"blog"}`); status != 500 {
		t.Errorf("three failures: %d", status)
	}
	w.holds("blog", "")
}

// The same ready delivered several times at once.
func TestReadyAtOnce(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"undeclared": `{"type":"ready"}`, "named": `{"type":"ready","protocol":2,"tunnel_id":"shop","instance":"i"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.connect("c1", "ann")
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					if status := w.sendText("c1", text); status != 200 {
						t.Errorf("status %d", status)
					}
				})
			}
			wg.Wait()
			ids := map[any]bool{}
			for _, m := range w.gateway.received("c1") {
				if m["type"] != "connection_established" {
					t.Errorf("told %v", m)
				}
				ids[m["tunnel_id"]] = true
			}
			if len(ids) != 1 {
				t.Fatalf("the agent was told of %d tunnels", len(ids))
			}
			for id := range ids {
				w.holds(id.(string), "c1")
			}
			if held, err := w.store.HeldBy(t.Context(), "user:ann"); err != nil || len(held) != 1 {
				t.Errorf("counted: %v, %v", held, err)
			}
		})
	}
}

func TestReadyOfUnknownConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.gateway.open("c1") // but its $connect was never seen
	w.sendText("c1", `{"type":"ready"}`)
	if got := w.gateway.received("c1"); len(got) > 0 || !w.gateway.wasDeleted("c1") {
		t.Errorf("told %v; closed: %v", got, w.gateway.wasDeleted("c1"))
	}
}

func TestReadyAfterLosingTheTunnel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	first := w.declared("c1", "ann", object{"tunnel_id": "shop"})
	w.declared("c2", "ann", again(first, "i-c1"))
	wantError(t, w.ready("c1", object{"tunnel_id": "shop"}), "going_away")
	w.holds("shop", "c2")
}

func TestReadyWithoutKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.connect("c1", "ann")
	w.keys.err = fmt.Errorf("no keys: %w", errNoSession)
	if status := w.sendText("c1", `{"type":"ready","protocol":2}`); status != 500 {
		t.Errorf("status %d", status)
	}
	wantError(t, w.gateway.received("c1")[0], "internal_error")
}
