package agents

import (
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"
)

// A client that knows nothing but actions, over real sockets: each of them gets one
// answer, whether its route has a RouteResponse or not.
func TestClientOverSockets(t *testing.T) {
	t.Parallel()
	w := newSocketWorld(t, deferred)
	dial := func() *agent {
		t.Helper()
		ws, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+w.host+"/live", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ws.Close() })
		return &agent{t: t, ws: ws}
	}
	say := func(a *agent, text string) object {
		t.Helper()
		if err := a.ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
		return a.next()
	}
	token := w.keys.token(t, jwt.MapClaims{"sub": "ann"})
	a := dial()
	wantActionError(t, say(a, `{"action":"ping"}`), "ping", "unauthorized")
	wantActionError(t, say(a, `{"action":"echo","data":1}`), "echo", "unauthorized")
	wantUser(t, say(a, byToken(token)), "ann")
	for _, text := range []string{`{"action":"ping","data":"Ann"}`, `{"action":"echo","data":1}`, `{"action":"connections"}`} {
		if got := say(a, text); got["status"] != "success" {
			t.Errorf("%s: %v", text, got)
		}
	}
	wantActionError(t, say(a, `hello`), "", "invalid_request")
	wantActionError(t, say(a, `{"action":"dance"}`), "dance", "not_implemented")

	// It becomes an agent.
	a.send(object{"type": "ready", "protocol": 2, "capabilities": offered, "tunnel_id": "shop"})
	if got := a.next(); got["tunnel_id"] != "shop" {
		t.Errorf("ready: %v", got)
	}
	// Whoever guesses learns so three times, and that is all.
	guesser := dial()
	for range maxFailures {
		wantActionError(t, say(guesser, byToken("nonsense")), "authorize", "unauthorized")
	}
	if got := guesser.next(); got != nil {
		t.Errorf("then %v, want the end", got)
	}
	// Its $disconnect takes a connection off the list.
	second := dial()
	wantUser(t, say(second, byToken(token)), "ann")
	count := func() int {
		result, _ := say(second, `{"action":"connections"}`)["result"].(object)
		list, _ := result["connections"].([]any)
		return len(list)
	}
	if n := count(); n != 2 {
		t.Errorf("%d connections", n)
	}
	a.ws.Close()
	eventually(t, "the end of the first", func() bool { return count() == 1 })
	_ = second.ws.WriteControl(websocket.CloseMessage, nil, time.Now().Add(time.Second))
}
