package agents

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/golang-jwt/jwt/v5"

	"culvert/backend/auth"
	"culvert/backend/lambda/event"
	"culvert/backend/lambda/store"
	"culvert/backend/lambda/store/storetest"
	"culvert/backend/tunnel"
)

func deferred(c *Config) { c.ConnectAuth = ConnectDeferred }

// byToken is the action authorize.
func byToken(token string) string { return `{"action":"authorize","data":{"token":"` + token + `"}}` }

// keyProof is authorize by an owner key.
func keyProof(k tunnel.OwnerKey, host string) string {
	return fmt.Sprintf(`{"action":"authorize","data":{"owner":%q,"proof":%q}}`, k.Public(), k.Sign(host, ""))
}

func ownerKey(t *testing.T) tunnel.OwnerKey {
	t.Helper()
	k, err := tunnel.NewOwnerKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func wantUser(t *testing.T, m object, user string) object {
	t.Helper()
	got, _ := m["result"].(object)
	if m["action"] != "authorize" || m["status"] != "success" || got["user"] != user {
		t.Errorf("got %v, want the user %s", m, user)
	}
	return got
}

// A token at connect counts or is refused, deferred or not; that there is none is well
// where it may come later.
func TestConnectDeferred(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deferred)
	good := w.keys.token(t, jwt.MapClaims{"sub": "ann"})
	for n, c := range []struct {
		name    string
		header  http.Header
		token   string
		status  int
		pending bool
	}{
		{"a token", nil, good, 200, false},
		{"a wrong one", nil, "nonsense", 401, false},
		{"none", nil, "", 200, true},
		{"another scheme", http.Header{"Authorization": {"Basic YTpi"}}, "", 200, true},
		{"a page without one", http.Header{"Origin": {"https://example.com"}}, "", 200, true},
		{"an expired one", nil, w.keys.token(t, jwt.MapClaims{"sub": "ann", "exp": time.Now().Add(-time.Hour).Unix()}), 401, false},
	} {
		m := &event.Message{ConnectionID: fmt.Sprint("c", n), EventType: event.Connect, ConnectedAt: time.Now(), Header: c.header}
		if c.token != "" {
			m.Query = query(c.token)
		}
		if status := w.handle(m); status != c.status {
			t.Errorf("%s: %d, want %d", c.name, status, c.status)
		}
		if got, err := w.store.Connection(t.Context(), m.ConnectionID); err == nil && got.Pending != c.pending {
			t.Errorf("%s: pending %v", c.name, got.Pending)
		}
	}
	if got := w.users("user:ann"); len(got) != 1 || got[0].Connection != "c0" {
		t.Errorf("ann has %+v", got)
	}
}

// authorize, in all forms of its data and by both ways of the answer, and then a tunnel.
func TestAuthorizeByToken(t *testing.T) {
	t.Parallel()
	for _, mode := range []ConnectAuth{ConnectDeferred, ConnectRequired} {
		w := newWorld(t, func(c *Config) { c.ConnectAuth = mode })
		expires := time.Now().Add(time.Hour).Truncate(time.Second)
		token := w.keys.token(t, jwt.MapClaims{"sub": "ann", "tunnels": []string{"shop"}, "exp": expires.Unix()})
		user := ""
		if mode == ConnectRequired {
			user = "ann"
		}
		for n, c := range []struct {
			ask  func(string, string) object
			text string
		}{
			{w.ask, byToken(token)},
			{w.askRouted, byToken(token)},
			{w.ask, `{"action":"authorize","data":"` + token + `"}`},
		} {
			id := fmt.Sprint("c", n)
			w.connect(id, user)
			if got := wantUser(t, c.ask(id, c.text), "ann"); got["expires"] != expires.UTC().Format(time.RFC3339) {
				t.Errorf("it expires %v, want %v", got["expires"], expires)
			}
			// Twice does no harm.
			wantUser(t, c.ask(id, c.text), "ann")
			if got := w.ask(id, `{"action":"ping"}`); got["status"] != "success" {
				t.Errorf("a ping afterwards: %v", got)
			}
		}
		if got := w.users("user:ann"); len(got) != 3 || got[0].From != "203.0.113.7" {
			t.Errorf("ann has %+v", got)
		}
		est := w.ready("c0", object{"tunnel_id": "shop"})
		if est["type"] != "connection_established" || est["tunnel_id"] != "shop" {
			t.Errorf("ready: %v", est)
		}
		w.unlogged(token)
	}
}

func TestAuthorizeInVain(t *testing.T) {
	t.Parallel()
	for way, closing := range map[string]func(*world, string, string){
		"posted": func(w *world, id, text string) { w.sendText(id, text) },
		// What the function returns would come too late for a connection that ends.
		"returned": func(w *world, id, text string) {
			out, err := w.agents.Handle(w.t.Context(), &event.Message{ConnectionID: id, EventType: event.Text, Route: "authorize", Body: []byte(text)})
			if err != nil || len(out.Body) > 0 || out.Status != 200 {
				w.t.Errorf("%+v, %v", out, err)
			}
		},
	} {
		w := newWorld(t, deferred)
		good := w.keys.token(t, jwt.MapClaims{"sub": "ann"})
		expired := w.keys.token(t, jwt.MapClaims{"sub": "ann", "exp": time.Now().Add(-time.Hour).Unix()})
		w.connect("c1", "")
		for _, text := range []string{
			`{"action":"authorize"}`, `{"action":"authorize","data":5}`, `{"action":"authorize","data":{}}`, `{"action":"authorize","data":{"token":5}}`,
			`{"action":"authorize","data":""}`, `{"action":"authorize","data":["` + good + `"]}`,
		} {
			wantActionError(t, w.ask("c1", text), "authorize", "invalid_request") // nothing was tried
		}
		got := w.ask("c1", byToken("nonsense"))
		wantActionError(t, got, "authorize", "unauthorized")
		got = w.askRouted("c1", byToken(expired))
		if wantActionError(t, got, "authorize", "unauthorized"); !strings.Contains(fmt.Sprint(got), "has expired") {
			t.Errorf("%v does not say why", got)
		}
		if w.gateway.wasDeleted("c1") {
			t.Fatal("closed at the second try")
		}
		closing(w, "c1", byToken(good[:len(good)-3]))
		all := w.gateway.received("c1")
		wantActionError(t, all[len(all)-1], "authorize", "unauthorized")
		if !w.gateway.wasDeleted("c1") {
			t.Errorf("%s: not closed after three tries", way)
		}
		// What came at the same time finds it closed, the right token as well.
		w.gateway.open("c1")
		closing(w, "c1", byToken(good))
		wantActionError(t, w.gateway.received("c1")[0], "authorize", "unauthorized")
		if users := w.users("user:ann"); len(users) > 0 {
			t.Errorf("ann has %+v", users)
		}
		w.unlogged(good, expired, "nonsense")
	}
}

func TestAuthorizeAsAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deferred)
	bob := w.keys.token(t, jwt.MapClaims{"sub": "bob"})
	w.connect("c1", "ann")
	for range 4 { // and no more than that: the token is a good one
		wantActionError(t, w.ask("c1", byToken(bob)), "authorize", "forbidden")
	}
	if users := w.users("user:bob"); len(users) > 0 {
		t.Errorf("bob has %+v", users)
	}
	// Where tokens are wanted, an owner key shows nothing.
	w.connect("c2", "")
	wantActionError(t, w.ask("c2", keyProof(ownerKey(t), "ws.example.com")), "authorize", "unauthorized")
}

// Whoever wants no tokens takes owner keys.
func TestAuthorizeByKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Auth = AuthNone })
	mine, other := ownerKey(t), ownerKey(t)
	user := "key:" + mine.Public()
	w.connect("c1", "")
	wantActionError(t, w.ask("c1", keyProof(mine, "evil.example.com")), "authorize", "unauthorized")
	wantActionError(t, w.ask("c1", byToken("a.b.c")), "authorize", "invalid_request")
	if got := wantUser(t, w.ask("c1", keyProof(mine, "ws.example.com")), user); got["expires"] != nil {
		t.Errorf("a key expires %v", got["expires"])
	}
	wantActionError(t, w.ask("c1", keyProof(other, "ws.example.com")), "authorize", "forbidden")
	wantUser(t, w.askRouted("c1", keyProof(mine, "ws.example.com")), user)
	if got := w.users(user); len(got) != 1 || got[0].Connection != "c1" {
		t.Errorf("the user has %+v", got)
	}
	// The tunnel is the key's without showing it again, and nobody else's.
	proof := func(k tunnel.OwnerKey) object {
		return object{"owner": k.Public(), "proof": k.Sign("ws.example.com", ""), "tunnel_id": "shop"}
	}
	first := w.ready("c1", object{"tunnel_id": "shop"})
	if first["type"] != "connection_established" {
		t.Fatalf("got %v", first)
	}
	if got := w.lookup("shop"); got.Owner != user {
		t.Errorf("it is %s's", got.Owner)
	}
	w.connect("c2", "")
	wantUser(t, w.ask("c2", keyProof(mine, "ws.example.com")), user)
	wantError(t, w.ready("c2", proof(other)), "forbidden")
	w.connect("c3", "")
	wantUser(t, w.ask("c3", keyProof(mine, "ws.example.com")), user)
	if got := w.ready("c3", object{"tunnel_id": "shop", "resume": first["resume"], "epoch": first["epoch"]}); got["type"] != "connection_established" {
		t.Errorf("resumed by its owner: %v", got)
	}
	// By ready alone, its owner is as well known.
	w.connect("c4", "")
	p := proof(other)
	p["tunnel_id"] = "blog"
	w.ready("c4", p)
	if got := w.users("key:" + other.Public()); len(got) != 1 || got[0].Tunnel != "blog" || got[0].Agent != "" {
		t.Errorf("the other has %+v", got)
	}
	w.disconnect("c4")
	if got := w.users("key:" + other.Public()); len(got) > 0 {
		t.Errorf("the other still has %+v", got)
	}
	wantActionError(t, w.ask("c3", keyProof(other, "ws.example.com")), "authorize", "forbidden")
}

// revoke puts an item where an operator does.
func (w *world) revoke(item map[string]types.AttributeValue) {
	w.t.Helper()
	if _, err := w.db.PutItem(w.t.Context(), &dynamodb.PutItemInput{TableName: &w.names.Connections, Item: item}); err != nil {
		w.t.Fatal(err)
	}
}

func TestRevokedTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deferred)
	now := time.Now()
	w.revoke(map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "revoked#id#t1"}})
	w.revoke(map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "revoked#user#bob"},
		"before": &types.AttributeValueMemberN{Value: fmt.Sprint(now.UnixMilli())}})
	for n, c := range []struct {
		claims jwt.MapClaims
		want   bool
	}{
		{jwt.MapClaims{"sub": "ann", "jti": "t1"}, false},
		{jwt.MapClaims{"sub": "ann", "jti": "t2"}, true},
		{jwt.MapClaims{"sub": "ann"}, true},
		{jwt.MapClaims{"sub": "bob", "iat": now.Add(-time.Hour).Unix()}, false},
		{jwt.MapClaims{"sub": "bob"}, false},
		{jwt.MapClaims{"sub": "bob", "iat": now.Add(10 * time.Second).Unix()}, true}, // within the leeway
	} {
		token := w.keys.token(t, c.claims)
		id := fmt.Sprint("c", n)
		m := &event.Message{ConnectionID: id, EventType: event.Connect, ConnectedAt: now, Query: query(token)}
		want := http.StatusUnauthorized
		if c.want {
			want = http.StatusOK
		}
		if status := w.handle(m); status != want {
			t.Errorf("%v: %d, want %d", c.claims, status, want)
		}
		w.connect(id+"d", "")
		got := w.ask(id+"d", byToken(token))
		if c.want {
			wantUser(t, got, c.claims["sub"].(string))
			continue
		}
		if wantActionError(t, got, "authorize", "unauthorized"); !strings.Contains(fmt.Sprint(got), "was revoked") {
			t.Errorf("%v does not say why", got)
		}
	}
}

// Who has connected before its token was revoked gets no tunnel by it any more; nor by an
// older token than the one that it has authorized itself with.
func TestReadyAfterRevocation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deferred)
	now := time.Now()
	w.connect("named", "ann", jwt.MapClaims{"jti": "t1"})
	w.connect("again", "ann", jwt.MapClaims{"jti": "t1"})
	w.ready("again", object{"tunnel_id": "again"})
	w.connect("original", "ann", jwt.MapClaims{"jti": "t1"})
	w.connect("other", "ann", jwt.MapClaims{"jti": "t2"})
	w.connect("old", "bob", jwt.MapClaims{"iat": now.Add(-time.Hour).Unix()})
	w.connect("new", "")
	wantUser(t, w.ask("new", byToken(w.keys.token(t, jwt.MapClaims{"sub": "bob", "iat": now.Add(-time.Hour).Unix()}))), "bob")
	w.connect("newer", "bob", jwt.MapClaims{"iat": now.Add(-time.Hour).Unix()})
	w.revoke(map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "revoked#id#t1"}})
	w.revoke(map[string]types.AttributeValue{"id": &types.AttributeValueMemberS{Value: "revoked#user#bob"},
		"before": &types.AttributeValueMemberN{Value: fmt.Sprint(now.Add(-time.Minute).UnixMilli())}})
	wantUser(t, w.ask("newer", byToken(w.keys.token(t, jwt.MapClaims{"sub": "bob", "iat": now.Unix()}))), "bob")
	for _, id := range []string{"named", "again", "old", "new"} {
		got := w.ready(id, object{"tunnel_id": id})
		if wantError(t, got, "unauthorized"); !strings.Contains(fmt.Sprint(got), "was revoked") || !w.gateway.wasDeleted(id) {
			t.Errorf("%s: told %v, closed %v", id, got, w.gateway.wasDeleted(id))
		}
	}
	w.sendText("original", `{"type":"ready"}`)
	if got := w.gateway.received("original"); len(got) != 1 || got[0]["code"] != "invalid_request" || !w.gateway.wasDeleted("original") {
		t.Errorf("an original agent: %v", got)
	}
	for _, id := range []string{"other", "newer"} {
		if got := w.ready(id, object{"tunnel_id": id}); got["tunnel_id"] != id {
			t.Errorf("%s: told %v", id, got)
		}
	}
}

// A tunnel ends by its token's end, though a connection might live longer.
func TestExpiry(t *testing.T) {
	t.Parallel()
	now := time.Now()
	w := newWorld(t, func(c *Config) { c.Now = func() time.Time { return now } })
	expires := now.Add(10 * time.Minute).Truncate(time.Second)
	w.connect("c1", "ann", jwt.MapClaims{"exp": expires.Unix()})
	est := w.ready("c1", object{"tunnel_id": "shop"})
	want := expires.Add(30 * time.Second).Sub(now).Milliseconds()
	if age, _ := est["max_age_ms"].(float64); int64(age) != want {
		t.Errorf("it may live %v ms, want %d", age, want)
	}
	w.connect("c2", "ann", jwt.MapClaims{"exp": now.Add(24 * time.Hour).Unix()})
	if age, _ := w.ready("c2", nil)["max_age_ms"].(float64); age > 7.5e6 || age < 7e6 {
		t.Errorf("with a long token: %v ms", age)
	}
	w.connect("undeclared", "ann", jwt.MapClaims{"exp": expires.Unix()})
	w.sendText("undeclared", `{"type":"ready"}`)
	w.connect("client", "ann", jwt.MapClaims{"exp": expires.Unix()})
	w.connect("late", "ann", jwt.MapClaims{"exp": expires.Unix()})
	session := est["session"].(string)
	beat := object{"type": "ping", "session": session}

	now = expires.Add(29 * time.Second)
	w.send("c1", beat)
	w.send("undeclared", object{"type": "ping"})
	if w.gateway.wasDeleted("c1") || w.gateway.wasDeleted("undeclared") {
		t.Fatal("closed before its time")
	}
	now = expires.Add(32 * time.Second)
	w.send("c1", beat)
	all := w.gateway.received("c1")
	if wantError(t, all[len(all)-1], "going_away"); !w.gateway.wasDeleted("c1") || !strings.Contains(fmt.Sprint(all), "has expired") {
		t.Errorf("c1 goes on: %v", all)
	}
	w.holds("shop", "")
	w.send("undeclared", object{"type": "ping"})
	if !w.gateway.wasDeleted("undeclared") {
		t.Error("an original agent goes on")
	}
	if got := w.ready("late", nil); got["code"] != "unauthorized" || !strings.Contains(fmt.Sprint(got), "has expired") {
		t.Errorf("a tunnel for an expired token: %v", got)
	}
	// Who is no agent may go on with a new token.
	wantActionError(t, w.ask("client", `{"action":"ping"}`), "ping", "unauthorized")
	wantUser(t, w.ask("client", byToken(w.keys.token(t, jwt.MapClaims{"sub": "ann", "exp": time.Now().Add(time.Hour).Unix()}))), "ann")
	if got := w.ask("client", `{"action":"ping"}`); got["status"] != "success" {
		t.Errorf("with the new token: %v", got)
	}
}

// A tunnel ends with its token though its agent has no session that could end, and is
// never heard of; it goes on if the agent shows a new one.
func TestExpiryOfAgentsThatSayNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	expires := time.Now().Add(10 * time.Minute).Truncate(time.Second)
	agents := map[string]object{
		"original": {"type": "ready"}, "sessionless": {"type": "ready", "protocol": 2, "capabilities": []string{"actions"}},
		"renewed": {"type": "ready", "protocol": 2, "capabilities": []string{"actions"}},
	}
	tunnels := map[string]string{}
	for id, hello := range agents {
		w.connect(id, "ann", jwt.MapClaims{"exp": expires.Unix()})
		w.send(id, hello)
		tunnels[id], _ = w.gateway.received(id)[0]["tunnel_id"].(string)
		w.holds(tunnels[id], id)
	}
	wantUser(t, w.ask("renewed", byToken(w.keys.token(t, jwt.MapClaims{"sub": "ann", "exp": expires.Add(time.Hour).Unix()}))), "ann")
	for after, live := range map[time.Duration]bool{29 * time.Second: true, 31 * time.Second: false} {
		visitors, err := store.New(store.Config{Client: w.db, Names: w.names, Now: func() time.Time { return expires.Add(after) }})
		if err != nil {
			t.Fatal(err)
		}
		for id, tunnel := range tunnels {
			got, err := visitors.Lookup(t.Context(), tunnel, false)
			if err != nil || got.Live != (live || id == "renewed") {
				t.Errorf("%s, %s after its token's end: %+v, %v", id, after, got, err)
			}
		}
	}
}

// Tokens of an identity provider count by its key set, for this audience only; that the
// set cannot be had is nobody's fault, and not a failure to authorize.
func TestTokensOfOthers(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(object{"keys": []object{{"kty": "EC", "crv": "P-256", "kid": "k1", "alg": "ES256", "use": "sig",
		"x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:])}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	foreign := func(audience string) string {
		j := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"sub": "ann", "aud": audience, "exp": time.Now().Add(time.Hour).Unix()})
		j.Header["kid"] = "k1"
		text, err := j.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for _, c := range []struct {
		name, jwks, token string
		status            int
		code              string // of authorize
	}{
		{"by the set", file, foreign("culvert"), 200, ""},
		{"for somebody else", file, foreign("shop"), 401, "unauthorized"},
		{"the set cannot be had", "http://127.0.0.1:1/keys", foreign("culvert"), 503, "internal_error"},
		{"a secret counts without it", "http://127.0.0.1:1/keys", newRing(t, 'a').token(t, jwt.MapClaims{"sub": "ann", "aud": "culvert"}), 200, ""},
		{"by a secret, for somebody else", file, newRing(t, 'a').token(t, jwt.MapClaims{"sub": "ann"}), 401, "unauthorized"},
	} {
		v, err := auth.New(auth.Config{JWKS: c.jwks, Audience: "culvert", Transport: refusing{}, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, deferred)
		if w.keys.set.Tokens, err = v.WithSecrets(secretOf('a')); err != nil {
			t.Fatal(err)
		}
		w.keys.next = ""
		m := &event.Message{ConnectionID: "c", EventType: event.Connect, ConnectedAt: time.Now(), Query: query(c.token)}
		if status := w.handle(m); status != c.status {
			t.Errorf("%s: %d, want %d", c.name, status, c.status)
		}
		w.connect("d", "")
		for range 4 { // a fifth is no matter of guessing
			w.sendText("d", byToken(c.token))
		}
		all := w.gateway.received("d")
		if c.code == "" {
			wantUser(t, all[0], "ann")
		} else {
			wantActionError(t, all[0], "authorize", c.code)
		}
		if closed := w.gateway.wasDeleted("d"); closed != (c.code == "unauthorized") {
			t.Errorf("%s: closed %v", c.name, closed)
		}
		w.unlogged(c.token)
	}
}

// refusing is a network in which nobody answers.
type refusing struct{}

func (refusing) RoundTrip(*http.Request) (*http.Response, error) { return nil, os.ErrDeadlineExceeded }

// newStore is a store whose tables the test knows.
func newStore(t *testing.T) (*store.Store, *dynamodb.Client, store.Names) {
	t.Helper()
	client := storetest.Client(t)
	names := storetest.Tables(t, client)
	s, err := store.New(store.Config{Client: client, Names: names})
	if err != nil {
		t.Fatal(err)
	}
	return s, client, names
}
