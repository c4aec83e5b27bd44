package relay

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"culvert/backend/auth"
	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

// claimer is an agent that has declared protocol 2 in form 1, with its messages
// still unread after the first.
type claimer struct {
	*websocket.Conn
	hello object
}

func (c *claimer) code() any { return c.hello["code"] }

// claim connects and sends ready with these fields.
func (r *testRelay) claim(owner tunnel.OwnerKey, fields object) *claimer {
	r.t.Helper()
	ws := r.mustDialAgent(nil)
	ready := object{"type": "ready", "protocol": 2, "capabilities": []string{"resume"}}
	if !owner.IsZero() {
		ready["owner"], ready["proof"] = owner.Public(), r.prove(ws, owner, r.addr)
	}
	for k, v := range fields {
		if of, ok := v.(func(*websocket.Conn) string); ok {
			v = of(ws)
		}
		ready[k] = v
	}
	writeObject(r.t, ws, ready)
	return &claimer{ws, readObject(r.t, ws)}
}

// serve answers pings, and requests with the given text, until the connection ends;
// then the channel gives the messages that came, and the close code.
func (c *claimer) serve(t *testing.T, text string) <-chan []any {
	done := make(chan []any, 1)
	c.SetReadDeadline(time.Time{})
	go func() {
		var got []any
		for {
			var o object
			err := c.ReadJSON(&o)
			if closed, ok := err.(*websocket.CloseError); ok {
				got = append(got, closed.Code)
			}
			if err != nil {
				done <- got
				return
			}
			if o["type"] == "http_request" {
				c.WriteJSON(respond(o, 200, nil, text))
			} else {
				got = append(got, o["code"])
			}
		}
	}()
	t.Cleanup(func() { c.Close() })
	return done
}

func TestReadyIsChecked(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	owner := newOwner(t)
	other := newOwner(t)
	for _, c := range []struct {
		name  string
		ready object
		code  string
	}{
		{"capitals", object{"tunnel_id": "Shop"}, "invalid_request"},
		{"too long", object{"tunnel_id": strings.Repeat("a", 64)}, "invalid_request"},
		{"a path", object{"tunnel_id": "../x"}, "invalid_request"},
		{"epoch", object{"tunnel_id": "shop", "epoch": -1}, "invalid_request"},
		{"instance", object{"instance": strings.Repeat("a", auth.MaxInstance+1)}, "invalid_request"},
		{"another key's proof", object{"proof": func(ws *websocket.Conn) string { return r.prove(ws, other, r.addr) }}, "unauthorized"},
		{"an earlier connection's proof", object{"proof": r.prove(r.mustDialAgent(nil), owner, r.addr)}, "unauthorized"},
		{"a proof without the challenge", object{"proof": owner.Sign(r.addr, "")}, "unauthorized"},
		{"no proof", object{"proof": ""}, "unauthorized"},
		{"wrong type", object{"tunnel_id": 7}, "invalid_request"},
	} {
		if got := r.claim(owner, c.ready); got.code() != c.code || got.hello["type"] != "error" || got.hello["message"] == "" {
			t.Errorf("%s: %v, want %s", c.name, got.hello, c.code)
		}
	}
	if got := r.claim(tunnel.OwnerKey{}, object{"tunnel_id": "shop"}); got.code() != "unauthorized" {
		t.Errorf("a name for nobody: %v", got.hello)
	}
	if got := r.claim(tunnel.OwnerKey{}, nil); got.hello["type"] != "connection_established" {
		t.Errorf("no name for nobody: %v", got.hello)
	}
}

func TestNamesBelongToTheirOwners(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	ann, bob := newOwner(t), newOwner(t)
	first := r.claim(ann, object{"tunnel_id": "shop", "instance": "one"})
	if first.hello["tunnel_id"] != "shop" || first.hello["epoch"] != 1.0 || first.hello["resume"] == "" {
		t.Fatalf("got %v", first.hello)
	}
	over := first.serve(t, "first")
	if got := r.claim(bob, object{"tunnel_id": "shop"}); got.code() != "name_taken" {
		t.Errorf("another owner: %v", got.hello)
	}
	if got := r.claim(bob, object{"tunnel_id": "shop", "resume": first.hello["resume"], "epoch": 9}); got.code() != "name_taken" {
		t.Errorf("another owner with the secret: %v", got.hello)
	}
	if got := r.claim(ann, object{"tunnel_id": "shop", "instance": "two"}); got.code() != "name_taken" {
		t.Errorf("a second process of the same owner: %v", got.hello)
	}
	if res, body := r.get("/shop/"); body != "first" {
		t.Errorf("the first process lost its tunnel: %d %q", res.StatusCode, body)
	}
	first.Close()
	<-over
	eventually(t, "offline", func() bool { return r.status("shop") == "offline" })
	if res, _ := r.get("/shop/"); res.StatusCode != 502 {
		t.Errorf("status %d after the agent left, want 502", res.StatusCode)
	}
	if got := r.claim(bob, object{"tunnel_id": "shop"}); got.code() != "name_taken" {
		t.Errorf("another owner while the first is away: %v", got.hello)
	}
	if got := r.claim(ann, object{"tunnel_id": "shop", "instance": "two"}); got.hello["tunnel_id"] != "shop" || got.hello["epoch"] != 2.0 {
		t.Errorf("the owner comes back without the secret: %v", got.hello)
	}
}

// A process that shows the resume secret takes over; the old one learns that it
// was replaced, and cannot come back.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	ann := newOwner(t)
	one := r.claim(ann, object{"tunnel_id": "shop", "instance": "one"})
	oneOver := one.serve(t, "one")
	two := r.claim(ann, object{"tunnel_id": "shop", "instance": "two", "resume": one.hello["resume"], "epoch": one.hello["epoch"]})
	if two.hello["tunnel_id"] != "shop" || two.hello["epoch"] != 2.0 || two.hello["public_url"] != one.hello["public_url"] {
		t.Fatalf("got %v", two.hello)
	}
	two.serve(t, "two")
	if got := fmt.Sprint(<-oneOver); got != "[replaced 1008]" {
		t.Errorf("the old process got %s, want replaced", got)
	}
	if _, body := r.get("/shop/"); body != "two" {
		t.Errorf("visitors get %q", body)
	}
	if got := r.claim(ann, object{"tunnel_id": "shop", "instance": "one", "resume": one.hello["resume"], "epoch": one.hello["epoch"]}); got.code() != "replaced" {
		t.Errorf("the old process comes back: %v", got.hello)
	}
	if _, body := r.get("/shop/"); body != "two" {
		t.Errorf("visitors get %q after the old one tried", body)
	}
	if status := r.status("shop"); status != "online" {
		t.Errorf("status %s: the old connection's end counted", status)
	}
}

// The same session replaces its own connection as planned: what runs on the old
// one is finished there.
func TestPlannedReplacement(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	ann := newOwner(t)
	old := r.claim(ann, object{"tunnel_id": "shop", "instance": "one"})
	answered := make(chan string, 1)
	go func() {
		_, body := r.get("/shop/slow")
		answered <- body
	}()
	request := readObject(t, old.Conn)
	renewed := r.claim(ann, object{"tunnel_id": "shop", "instance": "one", "resume": old.hello["resume"], "epoch": old.hello["epoch"]})
	if renewed.hello["epoch"] != 2.0 {
		t.Fatalf("got %v", renewed.hello)
	}
	renewed.serve(t, "new")
	if _, body := r.get("/shop/"); body != "new" {
		t.Errorf("a new request got %q", body)
	}
	writeObject(t, old.Conn, respond(request, 200, nil, "from the old one"))
	if body := <-answered; body != "from the old one" {
		t.Errorf("the request under way got %q", body)
	}
	if got := fmt.Sprint(<-old.serve(t, "")); got != "[1000]" {
		t.Errorf("the old connection ends with %s, want a normal end without replaced", got)
	}
	if _, body := r.get("/shop/"); body != "new" {
		t.Errorf("a later request got %q", body)
	}
}

// A holder that gives no sign of life does not keep its owner out.
func TestHalfDeadHolderIsDisplaced(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) { c.Limits.ProbeTimeout = 100 * time.Millisecond })
	ann := newOwner(t)
	dead := r.claim(ann, object{"tunnel_id": "shop", "instance": "one"}) // nobody reads: no pong
	alive := r.claim(ann, object{"tunnel_id": "shop", "instance": "two"})
	if alive.hello["tunnel_id"] != "shop" {
		t.Fatalf("got %v", alive.hello)
	}
	alive.serve(t, "two")
	if _, body := r.get("/shop/"); body != "two" {
		t.Errorf("visitors get %q", body)
	}
	if code := readClose(t, dead.Conn); code != websocket.CloseGoingAway {
		t.Errorf("the dead one's connection ends with %d", code)
	}
}

func TestTokensNameOwnersAndTunnels(t *testing.T) {
	t.Parallel()
	identities := map[string]auth.Identity{
		"ann": {Subject: "ann"}, "bob": {Subject: "bob", Tunnels: []string{"blog", "shop-b"}}, "few": {Subject: "few", Max: 1},
	}
	r := startRelay(t, func(c *Config) {
		c.Authenticate = func(_ context.Context, token string) (auth.Identity, error) {
			if id, ok := identities[token]; ok {
				return id, nil
			}
			return auth.Identity{}, auth.ErrInvalidToken
		}
	})
	claim := func(token, name string) *claimer {
		t.Helper()
		ws := r.mustDialAgent(http.Header{"Authorization": {"Bearer " + token}})
		writeObject(t, ws, object{"type": "ready", "protocol": 2, "tunnel_id": name})
		c := &claimer{ws, readObject(t, ws)}
		c.serve(t, name) // and answers pings
		return c
	}
	if got := claim("ann", "shop"); got.hello["tunnel_id"] != "shop" {
		t.Errorf("a name: %v", got.hello)
	}
	if got := claim("ann", ""); got.hello["type"] != "connection_established" {
		t.Errorf("no name: %v", got.hello)
	}
	if got := claim("bob", "shop"); got.code() != "forbidden" {
		t.Errorf("a name that the token does not allow: %v", got.hello)
	}
	if got := claim("bob", ""); got.hello["tunnel_id"] != "blog" {
		t.Errorf("the first allowed name: %v", got.hello)
	}
	if got := claim("bob", ""); got.hello["tunnel_id"] != "shop-b" {
		t.Errorf("the second allowed name: %v", got.hello)
	}
	if got := claim("bob", ""); got.code() != "name_taken" {
		t.Errorf("all allowed names in use: %v", got.hello)
	}
	// An original agent with such a token gets a tunnel of the list, too, if its
	// holder is dead.
	dead := startRelay(t, func(c *Config) {
		c.Authenticate, c.Limits.ProbeTimeout = admitToken("one", auth.Identity{Subject: "one", Tunnels: []string{"only"}}), 100*time.Millisecond
	})
	for range 2 {
		ws := dead.mustDialAgent(http.Header{"Authorization": {"Bearer one"}}) // nobody reads: no pong
		writeObject(t, ws, object{"type": "ready"})
		if got := readObject(t, ws); got["tunnel_id"] != "only" {
			t.Errorf("an original agent: %v", got)
		}
	}
	first := claim("few", "")
	if first.hello["type"] != "connection_established" {
		t.Errorf("one tunnel of one: %v", first.hello)
	}
	if got := claim("few", ""); got.code() != "too_many_tunnels" {
		t.Errorf("a second tunnel of one: %v", got.hello)
	}
	first.Close()
	eventually(t, "offline", func() bool { return r.status(first.hello["tunnel_id"].(string)) == "offline" })
	if got := claim("few", ""); got.hello["type"] != "connection_established" {
		t.Errorf("one tunnel again: %v", got.hello)
	}
}

func TestTunnelsPerOwner(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) { c.Limits.TunnelsPerOwner = 2 })
	ann, bob := newOwner(t), newOwner(t)
	a := r.claim(ann, object{"tunnel_id": "aaa", "instance": "x"})
	for _, holder := range []*claimer{a, r.claim(ann, nil)} {
		holder.serve(t, "") // pings, too: only the living count
	}
	if got := r.claim(ann, nil); got.code() != "too_many_tunnels" {
		t.Errorf("a third one: %v", got.hello)
	}
	if got := r.claim(ann, object{"tunnel_id": "aaa", "instance": "y", "resume": a.hello["resume"], "epoch": 1}); got.hello["tunnel_id"] != "aaa" {
		t.Errorf("taking over one's own is no third one: %v", got.hello)
	}
	if got := r.claim(bob, nil); got.hello["type"] != "connection_established" {
		t.Errorf("another owner: %v", got.hello)
	}
	// Original agents are counted by address, and hear of it in a code that they know.
	for range 2 {
		r.startAgent1(nil, func(*agent1, object) object { return nil })
	}
	ws := r.mustDialAgent(nil)
	writeObject(t, ws, object{"type": "ready"})
	if got := readObject(t, ws); got["type"] != "error" || got["code"] != "invalid_request" {
		t.Errorf("a third original agent: %v", got)
	}
}

func TestHandshakesAreThrottled(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) { c.Limits.HandshakesPerSecondFromIP = 0.2 }) // one at once, the next 5 s later
	r.mustDialAgent(nil)
	_, res, err := r.dialAgent(nil)
	if err == nil || res == nil || res.StatusCode != 429 || res.Header.Get("Retry-After") == "" {
		t.Fatalf("%v, %v", res, err)
	}
	if body, _ := io.ReadAll(res.Body); !strings.Contains(string(body), `"throttled"`) {
		t.Errorf("body %s", body)
	}
	if res, _ := r.get("/_culvert/healthz"); res.StatusCode != 200 {
		t.Errorf("visitors are throttled, too: %d", res.StatusCode)
	}
}

// Strangers use up what their own address may, and nothing of what agents share.
func TestStrangersDoNotThrottleAgents(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) {
		c.Limits.HandshakesPerSecond = 0.2 // one at once, the next 5 s later
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		c.Authenticate = func(_ context.Context, token string) (auth.Identity, error) {
			if token != "good" {
				return auth.Identity{}, auth.ErrInvalidToken
			}
			return auth.Identity{Subject: "ann"}, nil
		}
	})
	dial := func(from, token string) int {
		ws, res, err := r.dialAgent(http.Header{"X-Forwarded-For": {from}, "Authorization": {"Bearer " + token}})
		if err == nil {
			ws.Close()
		}
		return res.StatusCode
	}
	for i := range 5 {
		if got := dial(fmt.Sprintf("192.0.2.%d", i), "bad"); got != http.StatusUnauthorized {
			t.Errorf("stranger %d got %d", i, got)
		}
	}
	if got := dial("198.51.100.1", "good"); got != http.StatusSwitchingProtocols {
		t.Errorf("after strangers, an agent got %d", got)
	}
	if got := dial("198.51.100.2", "good"); got != http.StatusTooManyRequests {
		t.Errorf("past the limit for all, an agent got %d", got)
	}
}

func TestLogOfAnAgentsNameIsBounded(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	r.startAgent1(object{"agent": "culvert/1 " + strings.Repeat("é", 5000)}, nil)
	eventually(t, "the agent is logged", func() bool { return strings.Contains(r.log.String(), "agent connected") })
	if log := r.log.String(); len(log) > 2000 || !strings.Contains(log, "culvert/1") {
		t.Errorf("%d bytes of log: %.300s", len(log), log)
	}
}

func TestGreatestAge(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) { c.MaxAgentAge = 300 * time.Millisecond })
	a := r.claim(newOwner(t), nil)
	if a.hello["max_age_ms"] != 300.0 {
		t.Errorf("announced: %v", a.hello["max_age_ms"])
	}
	if got := fmt.Sprint(<-a.serve(t, "")); got != "[going_away 1000]" {
		t.Errorf("got %s", got)
	}
}

// The deadlines of the handshake end with it.
func TestHandshakeDeadlineEnds(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) { c.Limits.HandshakeTimeout = 500 * time.Millisecond })
	one := r.startAgent1(nil, func(a *agent1, q object) object { return respond(q, 200, nil, "one") })
	two := r.startAgent2(wire.Ready{}, serveName("two"))
	time.Sleep(time.Second) // is what is tested
	for id, want := range map[string]string{one.tunnel: "one", two.TunnelID: "two"} {
		if res, body := r.get("/" + id + "/"); body != want {
			t.Errorf("after the handshake's time: %d %q, want %q", res.StatusCode, body, want)
		}
	}
}
