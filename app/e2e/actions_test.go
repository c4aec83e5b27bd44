package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TestActions asks a relay for actions as somebody does who has wscat and a token.
func TestActions(t *testing.T) {
	t.Parallel()
	secret := writeSecret(t, testSecret)
	required := startRelay(t, "--jwt-secret-file", secret)
	deferred := startRelay(t, "--jwt-secret-file", secret, "--connect-auth", "deferred")
	open := startRelay(t)
	t.Run("open", func(t *testing.T) { t.Parallel(); testActions(t, open.webSocket()) })
	t.Run("required", func(t *testing.T) { t.Parallel(); testConnectAuth(t, required.webSocket()) })
	t.Run("deferred", func(t *testing.T) { t.Parallel(); testDeferredAuth(t, deferred.webSocket()) })
	t.Run("connections", func(t *testing.T) { t.Parallel(); testConnections(t, required.url(), required.webSocket()) })
	t.Run("notices", func(t *testing.T) { t.Parallel(); testRelayNotices(t, required) })
}

func (r *relay) webSocket() string { return "ws" + strings.TrimPrefix(r.url(), "http") }

// tokenOf is a token of the tests' secret.
func tokenOf(t testing.TB, claims jwt.MapClaims) string {
	t.Helper()
	if claims["exp"] == nil {
		claims["exp"] = time.Now().Add(time.Hour).Unix()
	}
	return mint(t, jwt.SigningMethodHS256, []byte(testSecret), claims)
}

// testActions asks for every action there is, and for what is none.
func testActions(t *testing.T, url string) {
	w := connect(t, url)
	for _, tt := range []struct{ id, message, want string }{
		{"1", `{"action":"echo","id":"1","data":{"a":[1,2.50,null],"ü":"<&>"}}`, `{"a":[1,2.50,null],"ü":"<&>"}`},
		{"2", `{"action":"uppercase","id":"2","data":"grün"}`, `"GRÜN"`},
		{"3", `{"action":"reverse","id":"3","data":{"text":"añ日"}}`, `"日ña"`},
		{"4", `{"action":"ping","id":"4","data":"Ann"}`, `{"message":"pong","name":"Ann"}`},
		{"5", `{"action":"ping","id":"5","data":{"name":"Bob"}}`, `{"message":"pong","name":"Bob"}`},
		{"6", `{"action":"ping","id":"6"}`, `{"message":"pong"}`},
		{"7", `{"action":"echo","id":"7"}`, `null`},
	} {
		if got := result(t, w.ask(t, tt.id, tt.message)); !sameJSON(t, got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.message, got, tt.want)
		}
	}
	var stamp struct {
		Time time.Time
		Unix int64 `json:"unix_ms"`
	}
	before := time.Now()
	got := result(t, w.ask(t, "8", `{"action":"timestamp","id":"8"}`))
	if err := json.Unmarshal([]byte(got), &stamp); err != nil || stamp.Time.UnixMilli() != stamp.Unix {
		t.Errorf("timestamp: %s, %v", got, err)
	} else if off := stamp.Time.Sub(before); off < -time.Second || off > patience {
		t.Errorf("timestamp: %s is off by %v", got, off)
	}
	for id, tt := range map[string]struct{ message, code string }{
		"n1": {`{"action":"shout","id":"n1"}`, "not_implemented"},
		"n2": {`{"action":"$connect","id":"n2"}`, "not_implemented"},
		"n3": {`{"action":"uppercase","id":"n3","data":5}`, "invalid_request"},
		"n4": {`{"action":"` + strings.Repeat("x", 200) + `","id":"n4"}`, "invalid_request"},
	} {
		if code := errorCode(t, w.ask(t, id, tt.message)); code != tt.code {
			t.Errorf("%.60s: %s, want %s", tt.message, code, tt.code)
		}
	}
	// What has no id, or is nothing at all, is answered in the same shape.
	for _, message := range []string{"hello", "[1]", `{"data":1}`, `{"action":7}`} {
		w.send(t, message)
		answer := w.await(t, "the answer to "+message, func(e event) bool { return e.str("id") == "" })
		if code := errorCode(t, answer); code != "invalid_request" {
			t.Errorf("%s: %s", message, code)
		}
	}
	if got := result(t, w.ask(t, "end", `{"action":"echo","id":"end","data":1}`)); got != "1" {
		t.Errorf("after all of that: %s", got)
	}
}

func sameJSON(t testing.TB, a, b string) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal([]byte(a), &x); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(b), &y); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(x) == fmt.Sprint(y)
}

// testConnectAuth: a token is wanted at connect, by header or by parameter.
func testConnectAuth(t *testing.T, url string) {
	good := tokenOf(t, jwt.MapClaims{"sub": "ann"})
	for name, args := range map[string][]string{
		"header":    {url, "-H", "Authorization: Bearer " + good},
		"parameter": {url + "/?token=" + good},
	} {
		t.Run(name, func(t *testing.T) {
			w := connect(t, args[0], args[1:]...)
			if got := result(t, w.ask(t, "1", `{"action":"echo","id":"1","data":"in"}`)); got != `"in"` {
				t.Error(got)
			}
		})
	}
	for name, args := range map[string][]string{
		"none":         {url},
		"garbage":      {url + "/?token=garbage"},
		"expired":      {url + "/?token=" + tokenOf(t, jwt.MapClaims{"sub": "ann", "exp": time.Now().Add(-time.Hour).Unix()})},
		"wrong secret": {url, "-H", "Authorization: Bearer " + mint(t, jwt.SigningMethodHS256, []byte(strings.Repeat("x", 40)), jwt.MapClaims{"sub": "ann"})},
	} {
		t.Run(name, func(t *testing.T) {
			if said := refused(t, args[0], args[1:]...); !strings.Contains(said, "401") {
				t.Errorf("wscat said %q, want 401", said)
			}
		})
	}
}

// testDeferredAuth: until authorize has succeeded nothing else can be done.
func testDeferredAuth(t *testing.T, url string) {
	w := connect(t, url)
	for i, message := range []string{
		`{"action":"echo","id":"%s","data":1}`, `{"action":"ping","id":"%s"}`, `{"action":"connections","id":"%s"}`, `{"action":"shout","id":"%s"}`,
	} {
		id := fmt.Sprint("u", i)
		if code := errorCode(t, w.ask(t, id, fmt.Sprintf(message, id))); code != "unauthorized" {
			t.Errorf("%s: %s, want unauthorized", message, code)
		}
	}
	if code := errorCode(t, w.ask(t, "a1", `{"action":"authorize","id":"a1","data":{"token":"garbage"}}`)); code != "unauthorized" {
		t.Errorf("garbage: %s", code)
	}
	answer := result(t, w.ask(t, "a2", fmt.Sprintf(`{"action":"authorize","id":"a2","data":{"token":%q}}`, tokenOf(t, jwt.MapClaims{"sub": "ann"}))))
	if !strings.Contains(answer, `"user":"ann"`) {
		t.Errorf("authorize: %s", answer)
	}
	if got := result(t, w.ask(t, "e", `{"action":"echo","id":"e","data":"in"}`)); got != `"in"` {
		t.Error(got)
	}
	if code := errorCode(t, w.ask(t, "a3", fmt.Sprintf(`{"action":"authorize","id":"a3","data":%q}`, tokenOf(t, jwt.MapClaims{"sub": "bob"})))); code != "forbidden" {
		t.Errorf("another user's token: %s", code)
	}
	// A wrong token at connect is not forgiven.
	if said := refused(t, url+"/?token=garbage"); !strings.Contains(said, "401") {
		t.Errorf("wscat said %q, want 401", said)
	}
	// An agent that says ready first is sent away.
	agent := connect(t, url)
	agent.send(t, `{"type":"ready","protocol":2}`)
	refusal := agent.await(t, "a refusal", func(e event) bool { return e.str("type") == "error" })
	if refusal.str("code") != "unauthorized" {
		t.Errorf("ready before authorize: %v", refusal)
	}
	agent.exit(t)
}

// testConnections: a user sees the own connections and nobody else's.
func testConnections(t *testing.T, backend, url string) {
	ann := tokenOf(t, jwt.MapClaims{"sub": "carol"})
	tunnel := startAgent(t, agentSpec{target: serve(t, http.NotFoundHandler()).URL, backend: backend, env: []string{"CULVERT_TOKEN=" + ann}})
	stranger := connect(t, url, "-H", "Authorization: Bearer "+tokenOf(t, jwt.MapClaims{"sub": "dave"}))
	w := connect(t, url, "-H", "Authorization: Bearer "+ann)
	type list struct {
		User        string
		Connections []struct {
			ConnectionID string `json:"connection_id"`
			TunnelID     string `json:"tunnel_id"`
			This         bool
		}
	}
	ask := func(w *wscat, id string) (l list) {
		text := result(t, w.ask(t, id, fmt.Sprintf(`{"action":"connections","id":%q}`, id)))
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return l
	}
	got := ask(w, "c1")
	if got.User != "carol" || len(got.Connections) != 2 {
		t.Fatalf("%+v, want the two connections of carol", got)
	}
	for _, c := range got.Connections {
		if isTunnel := c.TunnelID == tunnel.id(); c.This == isTunnel || c.ConnectionID == "" {
			t.Errorf("%+v: which of them is the agent %s?", c, tunnel.id())
		}
	}
	if other := ask(stranger, "c2"); other.User != "dave" || len(other.Connections) != 1 {
		t.Errorf("dave sees %+v", other)
	}
	// The command says the same.
	command := startProcess(t, "culvert", []string{"CULVERT_TOKEN=" + ann}, "connections", "--backend", backend, "--json", "--config", t.TempDir())
	if code := command.exit(t); code != 0 {
		t.Errorf("culvert connections: exit code %d", code)
	}
	if !strings.Contains(command.output(), tunnel.id()) {
		t.Errorf("culvert connections does not name the tunnel %s:\n%s", tunnel.id(), command.output())
	}
	// One that has gone is listed no more.
	tunnel.end()
	eventually(t, func() error {
		if l := ask(w, fmt.Sprint("g", time.Now().UnixNano())); len(l.Connections) != 1 {
			return fmt.Errorf("%+v", l)
		}
		return nil
	})
}

// notify posts a notice to a relay.
func notify(t testing.TB, r *relay, what, token, body string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, r.url()+"/_culvert/notify/"+what, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := newClient(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// testRelayNotices: a notice reaches all of a user's connections, wscat's and the
// agent's, and nobody else's.
func testRelayNotices(t *testing.T, r *relay) {
	erin := tokenOf(t, jwt.MapClaims{"sub": "erin"})
	agent := startAgent(t, agentSpec{target: serve(t, http.NotFoundHandler()).URL, backend: r.url(), env: []string{"CULVERT_TOKEN=" + erin}})
	w := connect(t, r.webSocket()+"/?token="+erin)
	stranger := connect(t, r.webSocket()+"/?token="+tokenOf(t, jwt.MapClaims{"sub": "frank"}))
	status, text := notify(t, r, "user", erin, `{"userId":"erin","data":{"title":"Build","message":"is green"}}`)
	if status != http.StatusOK || !strings.Contains(text, `"delivered":2`) {
		t.Fatalf("%d %s", status, text)
	}
	got := w.await(t, "the notice", func(e event) bool { return e.str("type") == "notice" })
	data, _ := got["data"].(map[string]any)
	if got.str("id") == "" || data["message"] != "is green" {
		t.Errorf("%v", got)
	}
	shown := agent.awaitEvent(t, "notice")
	if !strings.Contains(shown.str("message"), "is green") || shown.str("id") != got.str("id") {
		t.Errorf("culvert http prints %v", shown)
	}
	for name, tt := range map[string]struct {
		what, token, body string
		status            int
	}{
		"no token":           {"user", "", `{"userId":"erin","data":1}`, http.StatusUnauthorized},
		"somebody else's":    {"user", tokenOf(t, jwt.MapClaims{"sub": "frank"}), `{"userId":"erin","data":1}`, http.StatusForbidden},
		"may notify all":     {"user", tokenOf(t, jwt.MapClaims{"sub": "robot", "notify": true}), `{"userId":"frank","data":"hi"}`, http.StatusOK},
		"nobody there":       {"user", erin, `{"userId":"erin","data":"again"}`, http.StatusOK},
		"unknown connection": {"connection", erin, `{"connectionId":"nobody","data":1}`, http.StatusNotFound},
		"no JSON":            {"user", erin, `hello`, http.StatusBadRequest},
		"no user":            {"user", erin, `{"data":1}`, http.StatusBadRequest},
		"no data":            {"user", erin, `{"userId":"erin"}`, http.StatusBadRequest},
		"too large":          {"user", erin, `{"userId":"erin","data":"` + strings.Repeat("x", 100_000) + `"}`, http.StatusRequestEntityTooLarge},
	} {
		status, text := notify(t, r, tt.what, tt.token, tt.body)
		if status != tt.status {
			t.Errorf("%s: %d %s, want %d", name, status, text, tt.status)
		}
		if status >= 400 && !strings.Contains(text, `"error":{"code":"`) {
			t.Errorf("%s: %s is not the documented shape", name, text)
		}
	}
	// To that one connection.
	status, text = notify(t, r, "connection", erin, fmt.Sprintf(`{"connectionId":%q,"data":"for one"}`, thisConnection(t, w)))
	if status != http.StatusOK || !strings.Contains(text, `"delivered":1`) {
		t.Errorf("to a connection: %d %s", status, text)
	}
	w.await(t, "the notice for one", func(e event) bool { return e["data"] == "for one" })
	// The stranger has got what was meant for frank, and nothing else.
	stranger.await(t, "the robot's notice", func(e event) bool { return e.str("type") == "notice" })
	if got := result(t, stranger.ask(t, "s", `{"action":"echo","id":"s","data":1}`)); got != "1" {
		t.Error(got)
	}
	for _, line := range stranger.lines() {
		if strings.Contains(line, `"notice"`) && !strings.Contains(line, `"hi"`) {
			t.Errorf("frank got %s", line)
		}
	}
}
