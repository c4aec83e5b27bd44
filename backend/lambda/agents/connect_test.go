package agents

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"culvert/backend/lambda/event"
	"culvert/backend/lambda/keys"
)

func TestConnect(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann := jwt.MapClaims{"sub": "ann"}
	good := w.keys.token(t, ann)
	expired := w.keys.token(t, jwt.MapClaims{"sub": "ann", "exp": time.Now().Add(-time.Hour).Unix()})
	for n, c := range []struct {
		name   string
		header http.Header
		query  url.Values
		status int
	}{
		{"header", http.Header{"Authorization": {"Bearer " + good}}, nil, 200},
		{"scheme in lower case", http.Header{"Authorization": {"bearer  " + good}}, nil, 200},
		{"query", nil, query(good), 200},
		{"the header counts first", http.Header{"Authorization": {"Bearer " + good}}, query("nonsense"), 200},
		{"another scheme, and the query", http.Header{"Authorization": {"Basic YTpi"}}, query(good), 200},
		{"with an Origin", http.Header{"Authorization": {"Bearer " + good}, "Origin": {"https://example.com"}}, nil, 200},
		{"offers a subprotocol", http.Header{"Authorization": {"Bearer " + good}, "Sec-Websocket-Protocol": {"culvert.v2, mqtt"}}, nil, 200},
		{"no token", nil, nil, 401},
		{"an empty one", nil, query(""), 401},
		{"a wrong one", nil, query("nonsense"), 401},
		{"an expired one", nil, query(expired), 401},
		{"a wrong header and a good query", http.Header{"Authorization": {"Bearer nonsense"}}, query(good), 401},
		{"a signature that was cut", nil, query(good[:len(good)-3]), 401},
	} {
		m := &event.Message{ConnectionID: fmt.Sprint("c", n), EventType: event.Connect, ConnectedAt: time.Now(), Header: c.header, Query: c.query}
		if status := w.handle(m); status != c.status {
			t.Errorf("%s: %d, want %d", c.name, status, c.status)
		}
		_, err := w.store.Connection(t.Context(), m.ConnectionID)
		if (err == nil) != (c.status == 200) {
			t.Errorf("%s: the connection in the store: %v", c.name, err)
		}
	}
	w.unlogged(good, expired, "nonsense")
	if n := w.counted(countRefused); n != 6 {
		t.Errorf("%d refusals counted", n)
	}
	// Nothing can be posted before this has returned, and what it returns reaches nobody.
	if n := w.counted(countPosts); n != 0 {
		t.Errorf("%d posts while connecting", n)
	}
}

func TestConnectWithATokenByANewSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.keys.rotate('b')
	w.connect("c1", "ann") // by the new secret, of which this process does not know
	// The old one still counts, and a third does not.
	for letter, want := range map[byte]int{'a': 200, 'c': 401} {
		text := newRing(t, letter).token(t, jwt.MapClaims{"sub": "bob"})
		m := &event.Message{ConnectionID: "c2", EventType: event.Connect, ConnectedAt: time.Now(), Query: query(text)}
		if status := w.handle(m); status != want {
			t.Errorf("by %c: %d, want %d", letter, status, want)
		}
	}
}

func TestConnectWithoutKeys(t *testing.T) {
	t.Parallel()
	for _, auth := range []Auth{AuthJWT, AuthNone} {
		w := newWorld(t, func(c *Config) { c.Auth = auth })
		w.keys.err = fmt.Errorf("%w: parameter /culvert/keys: it does not exist: deploy the stack again", keys.ErrNone)
		m := &event.Message{ConnectionID: "c", EventType: event.Connect, Query: query("t")}
		out, err := w.agents.Handle(t.Context(), m)
		if status := out.Status; status != 503 || !errors.Is(err, keys.ErrNone) || !strings.Contains(err.Error(), "deploy the stack") {
			t.Errorf("%s: %d, %v", auth, out.Status, err)
		}
	}
}

// Without tokens, which is for this machine alone, a web page must not get in.
func TestConnectWithoutTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Auth = AuthNone })
	for name, c := range map[string]struct {
		header http.Header
		status int
	}{
		"a program": {nil, 200}, "a page": {http.Header{"Origin": {"http://localhost:1"}}, 403}, "a page from a file": {http.Header{"Origin": {"null"}}, 403},
	} {
		m := &event.Message{ConnectionID: "c" + name, EventType: event.Connect, ConnectedAt: time.Now(), Header: c.header}
		if status := w.handle(m); status != c.status {
			t.Errorf("%s: %d, want %d", name, status, c.status)
		}
	}
}

func TestEventsThatAreNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, kind := range []string{event.Connect, event.Text, event.Disconnect} {
		m := &event.Message{EventType: kind, Body: []byte(`{"type":"ready"}`), Query: query(w.keys.token(t, jwt.MapClaims{"sub": "ann"}))}
		if out, err := w.agents.Handle(t.Context(), m); out.Status != 400 || !errors.Is(err, event.ErrNoConnection) {
			t.Errorf("%s without a connection: %d, %v", kind, out.Status, err)
		}
	}
	if out, err := w.agents.Handle(t.Context(), &event.Message{ConnectionID: "c", EventType: "OTHER"}); out.Status != 400 || err == nil {
		t.Errorf("an unknown type: %d, %v", out.Status, err)
	}
	if n := w.counted(countPosts); n > 0 {
		t.Errorf("%d posts", n)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	good := Config{Store: newStandIn(), Poster: &gateway{}, Keys: &ring{}, Auth: AuthJWT, PublicURL: "https://a.example.com", MaxTunnels: 1}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"no store":         func(c *Config) { c.Store = nil },
		"no poster":        func(c *Config) { c.Poster = nil },
		"no keys":          func(c *Config) { c.Keys = nil },
		"no auth":          func(c *Config) { c.Auth = "" },
		"unknown auth":     func(c *Config) { c.Auth = "basic" },
		"no URL":           func(c *Config) { c.PublicURL = "" },
		"a URL of agents":  func(c *Config) { c.PublicURL = "wss://a.example.com" },
		"a subdomain only": func(c *Config) { c.SubdomainURL = "tunnel.example.com" },
		"a stream path":    func(c *Config) { c.StreamURL = "/stream" },
		"no tunnels":       func(c *Config) { c.MaxTunnels = 0 },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestDisconnect(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.disconnect("never seen")
	w.connect("idle", "ann")
	w.disconnect("idle")

	est := w.declared("c1", "ann", object{"tunnel_id": "shop"})
	w.holds("shop", "c1")
	w.disconnect("c1")
	w.holds("shop", "")
	w.disconnect("c1") // repeated

	est = w.declared("c2", "ann", object{"tunnel_id": "shop", "resume": est["resume"], "epoch": est["epoch"], "instance": "i-c1"})
	w.declared("c3", "ann", object{"tunnel_id": "shop", "resume": est["resume"], "epoch": est["epoch"], "instance": "i-c1"})
	w.disconnect("c2") // late: c3 has it
	w.holds("shop", "c3")
	if held, err := w.store.HeldBy(t.Context(), "user:ann"); err != nil || len(held) != 1 || held[0].Connection != "c3" {
		t.Errorf("counted: %v, %v", held, err)
	}
	if got := w.lookup("shop"); got == nil || !got.Live {
		t.Error("the late end of c2 ended c3's tunnel")
	}
}

// Its $disconnect was lost; somebody else finds out.
func TestLostDisconnect(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.declared("c1", "ann", object{"tunnel_id": "shop"})
	w.gateway.close("c1")
	// Another process of the owner wants the name, and has no secret.
	if got := w.declared("c2", "ann", object{"tunnel_id": "shop"}); got["type"] != "connection_established" {
		t.Errorf("got %v", got)
	}
	w.holds("shop", "c2")
}

func TestErrorsOfTheStore(t *testing.T) {
	t.Parallel()
	broken := newStandIn()
	w := newWorld(t, func(c *Config) { c.Store = broken })
	m := &event.Message{ConnectionID: "c", EventType: event.Connect, ConnectedAt: time.Now(), Query: query(w.keys.token(t, jwt.MapClaims{"sub": "ann"}))}
	if status := w.handle(m); status != 503 {
		t.Errorf("connect: %d", status)
	}
	w.gateway.open("c")
	for _, text := range []string{`{"type":"ready"}`, `{"type":"ping"}`} {
		if status := w.sendText("c", text); status != 500 {
			t.Errorf("%s: %d", text, status)
		}
	}
	if status := w.handle(&event.Message{ConnectionID: "c", EventType: event.Disconnect}); status != 500 {
		t.Errorf("disconnect: %d", status)
	}
	if got := w.gateway.received("c"); len(got) > 0 {
		t.Errorf("told %v", got)
	}
	// Who cannot be asked counts as alive.
	if !w.agents.alive(t.Context(), "c") {
		t.Error("a holder is dead because the store is")
	}
}
