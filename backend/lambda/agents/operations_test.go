package agents

import (
	"strings"
	"testing"
	"time"

	"culvert/backend/lambda/event"
	"culvert/backend/lambda/ticket"
)

// What an event costs: each call is paid for, or waited for.
func TestOperations(t *testing.T) {
	t.Parallel()
	for _, auth := range []Auth{AuthJWT, AuthNone} {
		f := &faults{}
		w := newWorld(t, func(c *Config) { c.Auth, c.Processor = auth, &processor{} })
		counted, err := New(w.agents.cfg.faulty(f))
		if err != nil {
			t.Fatal(err)
		}
		counted.patience = w.agents.patience
		w.agents = counted
		check := func(what, jwt, none string) {
			t.Helper()
			want := jwt
			if auth == AuthNone {
				want = none
			}
			if got := strings.Join(f.calls, " "); got != want {
				t.Errorf("%s, %s: %s; want %s", what, auth, got, want)
			}
			f.calls = nil
		}
		user := "ann"
		if auth == AuthNone {
			user = ""
		}
		w.connect("c1", user)
		check("connect", "Keys Revoked PutConnection PutUserConnection", "Keys PutConnection")
		w.ask("c1", `{"action":"ping"}`)
		check("ping", "Connection Post", "Connection Post")
		w.askRouted("c1", `{"action":"ping"}`)
		check("ping by its route", "Connection", "Connection")
		w.ask("c1", `{"action":"echo"}`)
		check("echo", "Connection Process Post", "Connection Process Post")
		w.ask("c1", `{"action":"connections"}`)
		check("connections", "Connection UserConnections Post", "Connection Post")
		if auth == AuthJWT {
			w.ask("c1", byToken(w.keys.token(t, map[string]any{"sub": "ann"})))
			check("authorize again", "Connection Keys Revoked PutUserConnection Post", "")
		}
		est := w.ready("c1", nil)
		check("ready", "Connection Keys Revoked Claim Attach PutUserConnection Post", "Connection Keys Claim Attach Post")
		w.send("c1", object{"type": "ping", "session": est["session"]})
		check("heartbeat", "Keys Lookup Post", "Keys Lookup Post")
		id := w.keys.tickets(t).Issue(ticket.Ticket{Tunnel: est["tunnel_id"].(string), Waiter: "w", Expires: time.Now().Add(time.Minute)}, "")
		w.send("c1", object{"type": "http_response", "request_id": id, "session": est["session"], "status_code": 200, "headers": object{}, "body": ""})
		check("answer", "Keys Push", "Keys Push")
		w.handle(&event.Message{ConnectionID: "c1", EventType: event.Disconnect, Route: "$disconnect"})
		check("disconnect", "Connection Release Uncount ForgetUserConnection", "Connection Release Uncount")
	}
}
