package awslocal_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"

	"culvert/backend/action"
	"culvert/backend/awslocal"
	"culvert/backend/awslocal/awslocaltest"
	"culvert/backend/awslocal/meter"
	"culvert/backend/awslocal/runtime"
	"culvert/backend/wire"
)

// client is somebody who knows nothing of tunnels.
type client struct{ *websocket.Conn }

func join(t *testing.T, l *awslocal.Local, header http.Header) client {
	t.Helper()
	conn, answer, err := websocket.DefaultDialer.DialContext(t.Context(), l.AgentsURL(), header)
	if err != nil {
		t.Fatalf("%v %v", err, answer)
	}
	t.Cleanup(func() { conn.Close() })
	return client{conn}
}

func (c client) send(t *testing.T, text string) {
	t.Helper()
	if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func (c client) read(t *testing.T) string {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(time.Minute))
	_, text, err := c.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (c client) ask(t *testing.T, text string) wire.ActionAnswer {
	t.Helper()
	c.send(t, text)
	var a wire.ActionAnswer
	if got := c.read(t); json.Unmarshal([]byte(got), &a) != nil || a.Status == "" {
		t.Fatalf("%s is answered by %s", text, got)
	}
	return a
}

// Actions with a route are answered by what the function returns, all others by
// @connections, and the client sees no difference.
func TestActions(t *testing.T) {
	t.Parallel()
	returned := make(chan string, 100)
	l := awslocaltest.Start(t, awslocal.Config{Lines: lines(t), Wrap: watch(awslocal.Agents, returned)})
	c := join(t, l, nil)
	<-returned // from $connect
	// ask also says how often the function has called @connections, once it has returned.
	ask := func(text string) (wire.ActionAnswer, int64) {
		t.Helper()
		before := l.Meter().Usage()
		a := c.ask(t, text)
		<-returned
		return a, l.Meter().Usage().Sub(before).Managed
	}
	routed := map[string]string{ // the action's data and what its result must have in it
		"echo":        `{"a":[1,"<é>"]} {"a":[1,"<é>"]}`,
		"uppercase":   `"abc" "ABC"`,
		"reverse":     `"abc" "cba"`,
		"timestamp":   `null "unix_ms":`,
		"ping":        `"Ann" {"message":"pong","name":"Ann"}`,
		"connections": `null "this":true`,
	}
	for _, name := range action.Names() {
		if routed[name] == "" {
			t.Errorf("the action %s is not tried", name)
		}
	}
	for name, test := range routed {
		data, want, _ := strings.Cut(test, " ")
		a, posts := ask(fmt.Sprintf(`{"action":%q,"id":"7","data":%s}`, name, data))
		if a.Status != wire.StatusSuccess || a.Action != name || a.ID != "7" || !strings.Contains(string(a.Result), want) {
			t.Errorf("%s: %+v, %s", name, a, a.Result)
		}
		if posts != 0 {
			t.Errorf("%s: %d calls to @connections", name, posts)
		}
	}
	for _, test := range []struct{ text, code, action string }{
		{`{"action":"launch","id":"8"}`, "not_implemented", "launch"},
		{`{"action":""}`, "invalid_request", ""},
		{`{"data":1}`, "invalid_request", ""},
		{`hello`, "invalid_request", ""},
		{`[1]`, "invalid_request", ""},
	} {
		a, posts := ask(test.text)
		if a.Status != wire.StatusError || a.Error == nil || string(a.Error.Code) != test.code || a.Action != test.action {
			t.Errorf("%s: %+v, %+v", test.text, a, a.Error)
		}
		if posts != 1 {
			t.Errorf("%s: %d calls to @connections", test.text, posts)
		}
	}
	// Errors of actions with routes come by the routes, too.
	if a, posts := ask(`{"action":"reverse","data":1}`); a.Error == nil || a.Error.Code != "invalid_request" || posts != 0 {
		t.Errorf("data of the wrong kind: %+v, %d calls to @connections", a, posts)
	}
	invoked := meter.Call{Role: "agents", Action: "lambda:InvokeFunction", Resource: l.Function(awslocal.Processor).ARN()}
	for _, call := range l.Meter().Calls() {
		if call == invoked {
			return
		}
	}
	t.Errorf("nobody has invoked the Processor: %v", l.Meter().Calls())
}

// A client becomes an agent, and asks for actions beside its tunnel's work.
func TestActionsOfAnAgent(t *testing.T) {
	t.Parallel()
	l := awslocaltest.Start(t, awslocal.Config{})
	c := join(t, l, nil)
	if a := c.ask(t, `{"action":"ping"}`); a.Status != wire.StatusSuccess {
		t.Errorf("%+v", a)
	}
	c.send(t, `{"type":"ready","protocol":2,"capabilities":["actions","notices"]}`)
	if got := c.read(t); !strings.Contains(got, "connection_established") || !strings.Contains(got, `"actions"`) {
		t.Errorf("ready is answered by %s", got)
	}
	if a := c.ask(t, `{"action":"echo","data":"still here"}`); string(a.Result) != `"still here"` {
		t.Errorf("%+v", a)
	}
}

// A Processor that dies, at its start or in the middle of an action, is told by the one
// shape of errors, and nothing of it.
func TestProcessorCrashes(t *testing.T) {
	t.Parallel()
	calls := new(atomic.Int32)
	dead := filepath.Join(t.TempDir(), "bootstrap")
	script := "#!/bin/sh\nif [ \"$CULVERT_ROLE\" = processor ]; then kill -9 $$; fi\nexec '" + awslocaltest.Bootstrap(t) + "'\n"
	if err := os.WriteFile(dead, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]awslocal.Config{
		"at its start": {Bootstrap: dead},
		"while it works": {Bootstrap: awslocaltest.Bootstrap(t), InProcess: map[awslocal.Role]runtime.Factory{
			awslocal.Processor: func(context.Context, map[string]string) (runtime.Handler, error) {
				return runtime.Bytes(func(_ context.Context, call []byte) ([]byte, error) {
					if calls.Add(1) == 2 {
						return nil, errors.New("the secret is 1234")
					}
					panic("the secret is 1234")
				}), nil
			},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := awslocaltest.Start(t, cfg)
			c := join(t, l, nil)
			for _, ask := range []string{`{"action":"echo","id":"1"}`, `{"action":"mine","id":"1"}`} { // by route, by post
				a := c.ask(t, ask)
				if a.Error == nil || a.Error.Code != wire.CodeInternal || a.ID != "1" || strings.Contains(a.Error.Message, "secret") {
					t.Errorf("%s: %+v, %+v", ask, a, a.Error)
				}
			}
			if a := c.ask(t, `{"action":"ping"}`); a.Status != wire.StatusSuccess {
				t.Errorf("the connection does nothing else any more: %+v", a)
			}
		})
	}
}

// keySet is a JWKS file, and a way to sign for its key.
func keySet(t *testing.T) (file string, sign func(claims jwt.MapClaims) string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "jwks.json")
	text := fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k1","alg":"EdDSA","use":"sig","x":%q}]}`, base64.RawURLEncoding.EncodeToString(public))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, func(claims jwt.MapClaims) string {
		token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims)
		token.Header["kid"] = "k1"
		signed, err := token.SignedString(private)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
}

// With the keys of an identity provider its tokens count, as far as they are for this
// audience, of this issuer; deferred, they may come by the action authorize.
func TestTokensOfOthersDeferred(t *testing.T) {
	t.Parallel()
	file, sign := keySet(t)
	l := awslocaltest.Start(t, awslocal.Config{JWKS: file, Audience: "tunnels", Issuer: "https://idp.example/", ConnectAuth: awslocal.AuthDeferred, Lines: lines(t)})
	claims := func(audience string) jwt.MapClaims {
		return jwt.MapClaims{"sub": "ann", "aud": audience, "iss": "https://idp.example/", "exp": time.Now().Add(time.Hour).Unix()}
	}
	_, answer, err := websocket.DefaultDialer.DialContext(t.Context(), l.AgentsURL(), http.Header{"Authorization": {"Bearer " + sign(claims("others"))}})
	if err == nil || answer == nil || answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("a token for others: %v, %v", answer, err)
	}
	c := join(t, l, nil)
	for _, name := range []string{"echo", "ping", "connections", "launch"} {
		if a := c.ask(t, fmt.Sprintf(`{"action":%q}`, name)); a.Error == nil || a.Error.Code != wire.CodeUnauthorized {
			t.Errorf("%s before it is authorized: %+v", name, a)
		}
	}
	if a := c.ask(t, fmt.Sprintf(`{"action":"authorize","data":{"token":%q}}`, sign(claims("others")))); a.Error == nil || a.Error.Code != wire.CodeUnauthorized {
		t.Errorf("authorized by a token for others: %+v", a)
	}
	if a := c.ask(t, fmt.Sprintf(`{"action":"authorize","data":{"token":%q}}`, sign(claims("tunnels")))); a.Status != wire.StatusSuccess || !strings.Contains(string(a.Result), `"user":"ann"`) {
		t.Errorf("authorize: %+v %s %+v", a, a.Result, a.Error)
	}
	if a := c.ask(t, `{"action":"echo","data":1}`); string(a.Result) != "1" {
		t.Errorf("echo: %+v", a)
	}
	join(t, l, http.Header{"Authorization": {"Bearer " + sign(claims("tunnels"))}})
	a := c.ask(t, `{"action":"connections"}`)
	if n := strings.Count(string(a.Result), `"connection_id"`); n != 2 {
		t.Errorf("%d connections: %s", n, a.Result)
	}
}
