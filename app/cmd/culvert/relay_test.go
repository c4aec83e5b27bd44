package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"
)

// TestRelayRevokes revokes a token while its bearer is connected, and sends a notice.
func TestRelayRevokes(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef0123456789abcdef"
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	mint := func(claims jwt.MapClaims) string {
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	ann := mint(jwt.MapClaims{"sub": "ann", "jti": "one", "aud": "culvert", "iss": "me"})
	list := file("revoked", "# nobody yet\n")
	_, relay := relayProcess(t, "--jwt-secret-file", file("secret", secret), "--audience", "culvert", "--issuer", "me",
		"--connect-auth", "deferred", "--revoked", list)

	// A stranger may connect, and can do nothing.
	ws, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(relay, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	ask := func(text string) string {
		if err := ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
		_, answer, err := ws.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		return string(answer)
	}
	for _, c := range []struct{ ask, want string }{
		{`{"action":"ping"}`, `"unauthorized"`},
		{`{"action":"authorize","data":"` + mint(jwt.MapClaims{"sub": "ann", "aud": "other", "iss": "me"}) + `"}`, `"unauthorized"`},
		{`{"action":"authorize","data":"` + ann + `"}`, `"user":"ann"`},
		{`{"action":"ping"}`, `"pong"`},
	} {
		if got := ask(c.ask); !strings.Contains(got, c.want) {
			t.Errorf("%.30s: %s, want %s", c.ask, got, c.want)
		}
	}
	req, err := http.NewRequest(http.MethodPost, relay+"/_culvert/notify/user", strings.NewReader(`{"userId":"ann","data":"hello"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+ann)
	req.Header.Set("Content-Type", "application/json")
	res, err := visits().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK || !strings.Contains(string(body), `"delivered":1`) {
		t.Errorf("notice: %d %s", res.StatusCode, body)
	}
	if _, notice, err := ws.ReadMessage(); err != nil || !strings.Contains(string(notice), `"data":"hello"`) {
		t.Errorf("notice: %s, %v", notice, err)
	}

	p := spawn(t, "http", service(t), "--json", "--backend", relay, "--token-file", file("token", ann), "--config", t.TempDir())
	p.url(t)
	file("revoked", "id one\n")
	if code := p.wait(t); code != exitRefused {
		t.Errorf("exit code %d, want %d", code, exitRefused)
	}
	if said := p.stderr.String(); !strings.Contains(said, "revoked") {
		t.Errorf("stderr %q", said)
	}
	if _, text, err := ws.ReadMessage(); err != nil || !strings.Contains(string(text), `"unauthorized"`) {
		t.Errorf("the client was told %s, %v", text, err)
	}
}

// TestRelayWithoutKeys cannot fetch the public keys: that is in the log, and agents are
// told to come again.
func TestRelayWithoutKeys(t *testing.T) {
	t.Parallel()
	relay, base := relayProcess(t, "--jwks", "http://127.0.0.1:1/jwks.json", "--audience", "culvert")
	relay.complains(t, "JWKS")
	_, res, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(base, "http"),
		http.Header{"Authorization": {"Bearer eyJhbGciOiJFZERTQSIsImtpZCI6IjEifQ.eyJzdWIiOiJhbm4ifQ.AAAA"}})
	if err == nil || res == nil || res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("%v, %v", res, err)
	}
}
