package agents

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"culvert/backend/action"
	"culvert/backend/lambda/event"
	"culvert/backend/lambda/store"
	"culvert/backend/lambda/ticket"
)

// everything is what all tables hold.
func (w *world) everything() map[string][]map[string]any {
	w.t.Helper()
	all := map[string][]map[string]any{}
	for _, table := range []string{w.names.Tunnels, w.names.Connections, w.names.Answers, w.names.Users} {
		out, err := w.db.Scan(w.t.Context(), &dynamodb.ScanInput{TableName: &table})
		if err != nil {
			w.t.Fatal(err)
		}
		for _, item := range out.Items {
			text, err := json.Marshal(item)
			if err != nil {
				w.t.Fatal(err)
			}
			var plain map[string]any
			if err := json.Unmarshal(text, &plain); err != nil {
				w.t.Fatal(err)
			}
			all[table] = append(all[table], plain)
		}
	}
	return all
}

// A connection that nobody has authorized may do nothing else, with whatever message,
// by whatever route, and with what it may have stolen from an agent.
func TestUnauthorized(t *testing.T) {
	t.Parallel()
	p := &processor{}
	w := newWorld(t, func(c *Config) { deferred(c); c.Processor = p })
	est := w.declared("agent", "ann", object{"tunnel_id": "shop"})
	session := est["session"].(string)
	id := w.keys.tickets(t).Issue(ticket.Ticket{Tunnel: "shop", Waiter: "waiter", Expires: time.Now().Add(time.Minute)}, "")
	about := func(kind string, more object) string {
		m := object{"type": kind, "request_id": id, "session": session}
		for k, v := range more {
			m[k] = v
		}
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	messages := []string{
		about("http_response", object{"status_code": 200, "headers": object{}, "body": ""}), about("chunk", object{"seq": 1, "body": ""}),
		about("resend", object{"wanted": []int{1}}), about("error", object{"code": "internal_error", "message": "m"}), about("cancel", nil),
		`{"type":"ping"}`, about("ping", nil), `{"type":"pong"}`, `{"type":"error","code":"internal_error","message":"m"}`, `{"type":"http_request"}`,
		`{"type":"connection_established"}`, `{"type":"notice","id":"1","data":1}`, `{"type":"credit"}`, `{"type":"of the future"}`, `{"type":5}`,
		`{"type":"chunk","seq":1.5}`,
	}
	for _, name := range append([]string{"ping", "connections", "of the future", "Authorize"}, action.Names()...) {
		messages = append(messages, `{"action":"`+name+`","id":"7","data":"x"}`)
	}
	messages = append(messages, noise...)
	w.connect("c1", "")
	before := w.everything()
	for _, text := range messages {
		got := w.ask("c1", text)
		e, want := got, "invalid_request" // it may be an original agent's, which knows no other code
		if got["type"] == nil {
			e, _ = got["error"].(object)
			want = "unauthorized"
		}
		if (got["type"] == "error") != typed([]byte(text)) || (got["status"] == "error") == typed([]byte(text)) ||
			e["code"] != want || !strings.Contains(fmt.Sprint(e["message"]), "not authorized") {
			t.Errorf("%.60q: told %v", text, got)
		}
		if typed([]byte(text)) {
			continue
		}
		if e, _ = w.askRouted("c1", text)["error"].(object); e["code"] != "unauthorized" {
			t.Errorf("%.60q: returned %v", text, e)
		}
	}
	// What asks for a tunnel does not get one, declared or not.
	for _, text := range []string{`{"type":"ready"}`, `{"type":"ready","protocol":2,"tunnel_id":"mine","capabilities":["resume","session"]}`} {
		w.connect("c2", "")
		got := w.ask("c2", text)
		if code := got["code"]; got["type"] != "error" || code != "unauthorized" && (strings.Contains(text, "protocol") || code != "invalid_request") || !w.gateway.wasDeleted("c2") {
			t.Errorf("%s: told %v", text, got)
		}
	}
	after := w.everything()
	// The second connection is all that is new, and it has nothing.
	kept := after[w.names.Connections][:0:0]
	for _, item := range after[w.names.Connections] {
		if id, _ := item["id"].(map[string]any); id["Value"] != "c2" {
			kept = append(kept, item)
		}
	}
	after[w.names.Connections] = kept
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("something was written (-before +after):\n%s", diff)
	}
	if len(p.all()) > 0 || len(w.waiters.all()) > 0 || w.gateway.wasDeleted("c1") {
		t.Errorf("the Processor: %v, who waits: %v", p.all(), w.waiters.all())
	}
	w.holds("shop", "agent")
	w.holds("mine", "")

	// Once it is authorized, all of it goes.
	wantUser(t, w.ask("c1", byToken(w.keys.token(t, jwt.MapClaims{"sub": "ann"}))), "ann")
	w.send("c1", object{"type": "http_response", "request_id": id, "session": session, "status_code": 200, "headers": object{}, "body": ""})
	if len(w.waiters.all()["waiter"]) != 1 {
		t.Error("an answer by an authorized connection does not arrive")
	}
	if got := w.ready("c1", object{"tunnel_id": "mine"}); got["type"] != "connection_established" {
		t.Errorf("ready: %v", got)
	}
}

// Whoever does not authorize within a minute is sent away by its next message.
func TestAuthorizedTooLate(t *testing.T) {
	t.Parallel()
	now := time.Now()
	w := newWorld(t, func(c *Config) { deferred(c); c.Now = func() time.Time { return now } })
	token := w.keys.token(t, jwt.MapClaims{"sub": "ann"})
	for _, text := range []string{byToken(token), `{"action":"ping"}`, `{"type":"ping"}`, `{"type":"ready","protocol":2}`, `{`} {
		w.connect("c1", "")
		now = time.Now().Add(55 * time.Second)
		if strings.Contains(text, "action") {
			w.connect("c0", "")
			w.ask("c0", text)
			if w.gateway.wasDeleted("c0") {
				t.Errorf("%s: closed before its time", text)
			}
		}
		now = time.Now().Add(62 * time.Second)
		got := w.ask("c1", text)
		e, want := got, "unauthorized"
		if got["type"] == nil {
			e, _ = got["error"].(object)
		} else if !strings.Contains(text, "protocol") {
			want = "invalid_request"
		}
		if e["code"] != want || !w.gateway.wasDeleted("c1") {
			t.Errorf("%s: told %v", text, got)
		}
		w.gateway.forgetDeleted()
		now = time.Now()
	}
	// One that has done so in time stays.
	w.connect("c2", "")
	w.ask("c2", byToken(token))
	now = time.Now().Add(time.Hour)
	if got := w.ask("c2", `{"action":"ping"}`); got["status"] != "success" {
		t.Errorf("later: %v", got)
	}
}

// reads counts the connections that are looked up.
type reads struct {
	Store
	n int
}

func (r *reads) Connection(ctx context.Context, id string) (*store.Connection, error) {
	r.n++
	return r.Store.Connection(ctx, id)
}

// What an agent sends is looked up once where that is needed, and not at all elsewhere.
func TestAdmissionIsRemembered(t *testing.T) {
	t.Parallel()
	for mode, want := range map[ConnectAuth]int{ConnectRequired: 0, ConnectDeferred: 1} {
		var count *reads
		w := newWorld(t, func(c *Config) {
			c.ConnectAuth = mode
			count = &reads{Store: c.Store}
			c.Store = count
		})
		session := w.declared("c1", "ann", object{"tunnel_id": "shop"})["session"]
		count.n = 0
		for range 5 {
			id := w.keys.tickets(t).Issue(ticket.Ticket{Tunnel: "shop", Expires: time.Now().Add(time.Minute)}, "")
			w.send("c1", object{"type": "http_response", "request_id": id, "session": session, "status_code": 200, "headers": object{}, "body": ""})
			w.send("c1", object{"type": "ping", "session": session})
		}
		if count.n != want {
			t.Errorf("%s: %d look-ups, want %d", mode, count.n, want)
		}
	}
	var s admitted
	for n := range 3 * maxAdmitted {
		s.add(string(rune('a' + n)))
	}
	if len(s.ids) > maxAdmitted || !s.has(string(rune('a'+3*maxAdmitted-1))) || s.has("a") {
		t.Errorf("%d are remembered", len(s.ids))
	}
}

// A message of a connection that nobody knows does nothing.
func TestUnknownWhereDeferred(t *testing.T) {
	t.Parallel()
	w := newWorld(t, deferred)
	w.gateway.open("c1")
	if status := w.sendText("c1", `{"type":"pong"}`); status != 200 || !w.gateway.wasDeleted("c1") {
		t.Errorf("status %d", status)
	}
	broken := newWorld(t, func(c *Config) { deferred(c); c.Store = newStandIn() })
	for _, text := range []string{`{"type":"pong"}`, `{"type":"ping"}`, `{"type":"http_response"}`} {
		m := &event.Message{ConnectionID: "c", EventType: event.Text, Route: "$default", Body: []byte(text)}
		if status := broken.handle(m); status != 500 {
			t.Errorf("%s: %d", text, status)
		}
	}
}
