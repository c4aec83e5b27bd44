package relay

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"culvert/backend/auth"
	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

var userAnn = auth.Identity{Subject: "ann"}

// bySubject takes every token for the name of its user, but for some.
func bySubject(_ context.Context, token string) (auth.Identity, error) {
	switch token {
	case "":
		return auth.Identity{}, auth.ErrNoToken
	case "bad":
		return auth.Identity{}, auth.ErrInvalidToken
	case "unsure":
		return auth.Identity{}, fmt.Errorf("wrapped: %w", auth.ErrNoKeys)
	case "root":
		return auth.Identity{Subject: "root", Notify: true}, nil
	}
	return auth.Identity{Subject: token, ID: "jti-" + token}, nil
}

func deferring(c *Config) { c.Authenticate, c.ConnectAuth = bySubject, AuthDeferred }

func TestDeferredConnectionsCanOnlyAuthorize(t *testing.T) {
	t.Parallel()
	r := startRelay(t, deferring)
	for _, protocols := range [][]string{nil, {wire.Subprotocol}} {
		a := &asker{r.mustDialAgent(nil, protocols...), t}
		for _, text := range []string{
			`{"action":"ping"}`, `{"action":"echo","data":1}`, `{"action":"connections"}`, `{"action":"none"}`, `{}`, `hello`, `{"action":7}`,
			`{"action":"authorize ","data":"ann"}`, `{"action":"AUTHORIZE","data":"ann"}`,
		} {
			if got := a.ask(text); errorCode(got) != "unauthorized" {
				t.Errorf("%s: %v", text, got)
			}
		}
		if got := a.ask(`{"action":"ping"}`); !strings.Contains(errorMessage(got), authorizeExample) {
			t.Errorf("who has shown no token is told %v", got)
		}
		if got := a.ask(`{"action":"authorize","data":{"owner":"x","proof":"y"}}`); errorCode(got) != "unauthorized" || errorMessage(got) != auth.ErrNoToken.Error() {
			t.Errorf("an owner key instead of a token: %v", got)
		}
		for _, text := range []string{`{"action":"authorize"}`, `{"action":"authorize","data":5}`, `{"action":"authorize","data":""}`, `{"action":"authorize","data":{"token":7}}`} {
			if got := a.ask(text); errorCode(got) != "invalid_request" {
				t.Errorf("%s: %v", text, got)
			}
		}
		if got := a.ask(`{"action":"authorize","data":{"token":"unsure"}}`); errorCode(got) != "internal_error" {
			t.Errorf("keys that cannot be had: %v", got)
		}
		if got := a.ask(`{"action":"authorize","id":"1","data":{"token":"ann"}}`); fmt.Sprintf("%v %v", got["id"], got["result"]) != "1 map[user:ann]" {
			t.Errorf("got %v", got)
		}
		if got := a.ask(`{"action":"authorize","data":"ann"}`); got["status"] != "success" {
			t.Errorf("the same again: %v", got)
		}
		if got := a.ask(`{"action":"authorize","data":"bob"}`); errorCode(got) != "forbidden" {
			t.Errorf("as somebody else: %v", got)
		}
		if got := a.ask(`{"action":"ping"}`); got["status"] != "success" {
			t.Errorf("got %v", got)
		}
		if got := a.ask(`{"type":"ready","protocol":2,"capabilities":["actions"]}`); got["type"] != "connection_established" {
			t.Errorf("got %v", got)
		}
		if got := a.ask(`{"action":"connections"}`)["result"].(object); got["user"] != "ann" {
			t.Errorf("got %v", got)
		}
		a.Close()
	}
	eventually(t, "no seat is left", func() bool {
		r.connections.mu.Lock()
		defer r.connections.mu.Unlock()
		return r.connections.strangers.taken+r.connections.clients.taken+len(r.connections.byOwner) == 0
	})
	// Ready comes too early: the answer is the tunnel's.
	for declared, code := range map[string]string{`,"protocol":2`: "unauthorized", "": "invalid_request"} {
		a := &asker{r.mustDialAgent(nil), t}
		if got := a.ask(`{"type":"ready"` + declared + `}`); got["type"] != "error" || got["code"] != code || got["message"] != auth.ErrNoToken.Error() {
			t.Errorf("got %v", got)
		}
		if code := readClose(t, a.Conn); code != closePolicy {
			t.Errorf("closed with %d", code)
		}
	}
	// A wrong token is refused at once.
	if _, res, _ := r.dialAgent(http.Header{"Authorization": {"Bearer bad"}}); res.StatusCode != 401 {
		t.Errorf("a wrong token: %d", res.StatusCode)
	}
	// A right one lets in at once.
	a := &asker{r.mustDialAgent(http.Header{"Authorization": {"Bearer ann"}}), t}
	if got := a.ask(`{"action":"ping"}`); got["status"] != "success" {
		t.Errorf("got %v", got)
	}
}

// Guessing ends with the third failure, also of who is in already.
func TestAuthorizeCannotBeGuessed(t *testing.T) {
	t.Parallel()
	r := startRelay(t, deferring)
	for _, header := range []http.Header{nil, {"Authorization": {"Bearer ann"}}} {
		a := &asker{r.mustDialAgent(header), t}
		for range maxFailures {
			if got := a.ask(`{"action":"authorize","data":"bad"}`); errorCode(got) != "unauthorized" {
				t.Errorf("got %v", got)
			}
		}
		if code := readClose(t, a.Conn); code != closePolicy {
			t.Errorf("closed with %d", code)
		}
	}
}

// Guesses that are sent without waiting are not more.
func TestAuthorizeIsNotGuessedFaster(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tried atomic.Int32
		b := startBubble(t, func(c *Config) {
			c.ConnectAuth = AuthDeferred
			c.Authenticate = func(context.Context, string) (auth.Identity, error) {
				tried.Add(1)
				time.Sleep(time.Second)
				return auth.Identity{}, auth.ErrInvalidToken
			}
		})
		c := b.dial(nil)
		go func() {
			for range 40 {
				c.WriteJSON(object{"action": "authorize", "data": "guess"})
			}
		}()
		_, code, _ := c.untilClosed()
		if n := tried.Load(); n != maxFailures || code != closePolicy {
			t.Errorf("%d guesses, closed with %d", n, code)
		}
	})
}

// Who does not say who he is does not stay, and there is no room for many.
func TestStrangersDoNotStay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := startBubble(t, func(c *Config) { deferring(c); c.Limits.ClientsPerUser = 3 })
		start := time.Now()
		busy, silent := b.dial(nil), b.dial(nil, wire.Subprotocol)
		var asking sync.WaitGroup
		defer asking.Wait()
		asking.Go(func() {
			for busy.WriteJSON(object{"action": "ping"}) == nil {
				time.Sleep(10 * time.Second)
			}
		})
		closed := make(chan string, 2)
		for _, c := range []*bubbleConn{busy, silent} {
			go func() {
				got, code, _ := c.untilClosed()
				closed <- fmt.Sprintf("%v %d %v", errorCode(got[len(got)-1]), code, time.Since(start) < 63*time.Second)
			}()
		}
		b.dial(nil)
		synctest.Wait()
		if !b.connections.full("from:127.0.0.1/32") {
			t.Error("there is room for more strangers than may be")
		}
		for range 2 {
			if got := <-closed; got != "unauthorized 1008 true" {
				t.Errorf("got %s", got)
			}
		}
		if took := time.Since(start); took < time.Minute {
			t.Errorf("after %v", took)
		}
	})
	r := startRelay(t, func(c *Config) { deferring(c); c.Limits.ClientsPerUser = 1 })
	r.mustDialAgent(nil)
	_, res, err := r.dialAgent(nil)
	if err == nil || res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Errorf("a stranger too many: %v %v", res, err)
	}
	r.mustDialAgent(http.Header{"Authorization": {"Bearer ann"}}) // others do not suffer
}

func TestAuthorizeByOwnerKey(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	ann := newOwner(t)
	key := func(a *asker, owner tunnel.OwnerKey, host string) string {
		return `{"action":"authorize","data":{"owner":"` + owner.Public() + `","proof":"` + r.prove(a.Conn, owner, host) + `"}}`
	}
	a := &asker{r.mustDialAgent(nil), t}
	if got := a.ask(key(a, ann, "elsewhere.test")); errorCode(got) != "unauthorized" {
		t.Errorf("a proof for another host: %v", got)
	}
	if got := a.ask(key(a, ann, r.addr)); fmt.Sprint(got["result"]) != "map[user:key:"+ann.Public()+"]" {
		t.Errorf("got %v", got)
	}
	if got := a.ask(key(a, newOwner(t), r.addr)); errorCode(got) != "forbidden" {
		t.Errorf("another key: %v", got)
	}
	// Ready by another key is refused, by the same one it is fine.
	writeObject(t, a.Conn, object{"type": "ready", "protocol": 2, "owner": ann.Public(), "proof": r.prove(a.Conn, ann, r.addr)})
	if got := readObject(t, a.Conn); got["type"] != "connection_established" {
		t.Errorf("got %v", got)
	}
	b := &asker{r.mustDialAgent(nil), t}
	b.ask(key(b, ann, r.addr))
	bob := newOwner(t)
	writeObject(t, b.Conn, object{"type": "ready", "protocol": 2, "owner": bob.Public(), "proof": r.prove(b.Conn, bob, r.addr)})
	if got := readObject(t, b.Conn); got["code"] != "forbidden" {
		t.Errorf("ready by another key: %v", got)
	}
	// A secret that names nobody lets in, as that of the relay in the application.
	secret := startRelay(t, func(c *Config) { c.Authenticate = admitToken("secret", auth.Identity{}) })
	c := &asker{secret.mustDialAgent(http.Header{"Authorization": {"Bearer secret"}}), t}
	if got := c.ask(`{"action":"authorize","data":{"owner":"` + ann.Public() + `","proof":"` + secret.prove(c.Conn, ann, secret.addr) + `"}}`); got["status"] != "success" {
		t.Errorf("got %v", got)
	}
	// Where tokens name the user, a key does not.
	tokens := startRelay(t, func(c *Config) { c.Authenticate = bySubject })
	d := &asker{tokens.mustDialAgent(http.Header{"Authorization": {"Bearer ann"}}), t}
	if got := d.ask(`{"action":"authorize","data":{"owner":"` + ann.Public() + `","proof":"` + tokens.prove(d.Conn, ann, tokens.addr) + `"}}`); errorCode(got) != "unauthorized" {
		t.Errorf("got %v", got)
	}
}

// A revoked token does not get in, and whoever is in by it is sent away.
func TestRevocation(t *testing.T) {
	t.Parallel()
	var revoked atomic.Value
	revoked.Store("nobody")
	r := startRelay(t, func(c *Config) {
		deferring(c)
		c.Limits.CheckInterval = 10 * time.Millisecond
		c.Revoked = func(i auth.Identity) bool { return i.Subject == revoked.Load() }
	})
	token := http.Header{"Authorization": {"Bearer ann"}}
	one := &asker{r.mustDialAgent(token), t}
	one.ask(`{"type":"ready","protocol":2}`)
	two := &asker{r.mustDialAgent(token, wire.Subprotocol), t}
	two.ask(`{"type":"ready","protocol":2}`)
	original := &asker{r.mustDialAgent(token), t}
	original.ask(`{"type":"ready"}`)
	client := &asker{r.mustDialAgent(token), t}
	client.ask(`{"action":"ping"}`)
	other := &asker{r.mustDialAgent(http.Header{"Authorization": {"Bearer bob"}}), t}
	other.ask(`{"action":"ping"}`)
	revoked.Store("ann")
	for name, c := range map[string]struct {
		*asker
		code string
	}{"form 1": {one, "unauthorized"}, "form 2": {two, "unauthorized"}, "original": {original, "invalid_request"}} {
		if got := readObject(t, c.Conn); got["type"] != "error" || got["code"] != c.code || !strings.Contains(got["message"].(string), "revoked") {
			t.Errorf("%s: %v", name, got)
		}
		if code := readClose(t, c.Conn); code != closePolicy {
			t.Errorf("%s: closed with %d", name, code)
		}
	}
	if got := readObject(t, client.Conn); errorCode(got) != "unauthorized" {
		t.Errorf("client: %v", got)
	}
	if code := readClose(t, client.Conn); code != closePolicy {
		t.Errorf("client: closed with %d", code)
	}
	if got := other.ask(`{"action":"ping"}`); got["status"] != "success" {
		t.Errorf("another user: %v", got)
	}
	_, res, _ := r.dialAgent(token)
	if text, _ := io.ReadAll(res.Body); res.StatusCode != 401 || !strings.Contains(string(text), "revoked") {
		t.Errorf("connecting: %d %s", res.StatusCode, text)
	}
	late := &asker{r.mustDialAgent(nil), t}
	if got := late.ask(`{"action":"authorize","data":"ann"}`); errorCode(got) != "unauthorized" {
		t.Errorf("authorize: %v", got)
	}
}

// A connection ends with its token, and an agent is told when that will be.
func TestTokensExpireWhileConnected(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		age, want time.Duration
		newer     bool
		protocols []string
	}{
		{name: "form 1", want: time.Minute + expiryLeeway},
		{name: "form 2", want: time.Minute + expiryLeeway, protocols: []string{wire.Subprotocol}},
		{name: "a greater age", age: time.Hour, want: time.Minute + expiryLeeway},
		{name: "a newer token", want: time.Minute + expiryLeeway, newer: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			b := startBubble(t, func(cfg *Config) {
				cfg.MaxAgentAge = c.age
				cfg.Authenticate = func(_ context.Context, token string) (auth.Identity, error) {
					i := auth.Identity{Subject: "ann", Expires: start.Add(time.Minute)}
					if token == "newer" {
						i.Expires = start.Add(time.Hour)
					}
					return i, nil
				}
			})
			ws := b.dial(http.Header{"Authorization": {"Bearer older"}}, c.protocols...)
			ws.say(declaredReady)
			if got := ws.hear()["max_age_ms"]; got != float64(c.want.Milliseconds()) {
				t.Errorf("%s: told %v ms, want %v", c.name, got, c.want)
			}
			want := c.want
			if c.newer {
				want = time.Hour + expiryLeeway
				ws.say(object{"action": "authorize", "data": "newer"})
				if got := ws.hear()["result"].(object); got["expires"] != start.Add(time.Hour).UTC().Format(time.RFC3339) {
					t.Errorf("%s: %v", c.name, got)
				}
			}
			got, code, _ := ws.untilClosed()
			if took := time.Since(start); took < want || took > want+3*time.Second || code != closePolicy || len(got) != 1 || got[0]["code"] != "unauthorized" {
				t.Errorf("%s: after %v: %v, closed with %d", c.name, took, got, code)
			}
		})
	}
}

func TestAgeLimit(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct{ max, left, want time.Duration }{
		{0, 0, 0}, {time.Hour, 0, time.Hour}, {0, time.Minute, time.Minute + expiryLeeway}, {time.Second, time.Minute, time.Second},
		{0, -time.Hour, time.Millisecond}, {0, 100 * maxAnnouncedAge, maxAnnouncedAge},
	} {
		s := &Server{cfg: Config{MaxAgentAge: c.max}}
		identity := auth.Identity{}
		if c.left != 0 {
			identity.Expires = now.Add(c.left)
		}
		if got := s.ageLimit(identity, now); got != c.want {
			t.Errorf("%v of %v: %v, want %v", c.left, c.max, got, c.want)
		}
	}
}

// Keys that cannot be had are nobody's fault: the agent is to try again.
func TestKeysThatCannotBeHad(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) { c.Authenticate = bySubject })
	_, res, err := r.dialAgent(http.Header{"Authorization": {"Bearer unsure"}})
	if err == nil || res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || res.Header.Get("WWW-Authenticate") != "" {
		t.Fatalf("%v %v", res, err)
	}
	if text, _ := io.ReadAll(res.Body); !strings.Contains(string(text), "internal_error") || !strings.Contains(string(text), "again") {
		t.Errorf("%s", text)
	}
}
