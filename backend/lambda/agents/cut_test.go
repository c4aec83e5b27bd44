package agents

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"culvert/backend/lambda/event"
	"culvert/backend/lambda/ticket"
)

// scenario is an event that the gateway sends, and how things stand before it.
type scenario struct {
	name string
	// prepare makes the event; id is a connection's that nobody had before.
	prepare func(w *world, id string) object
}

// gatewayEvent is an event in the gateway's own form.
func gatewayEvent(kind, route, id string) object {
	return object{
		"requestContext": object{
			"connectionId": id, "eventType": kind, "routeKey": route, "connectedAt": time.Now().UnixMilli(),
			"domainName": "ws.example.com", "stage": "live", "apiId": "abc", "requestId": "r",
			"identity": object{"sourceIp": "203.0.113.7"},
		},
		"isBase64Encoded": false,
	}
}

func textEvent(route, id, body string) object {
	e := gatewayEvent(event.Text, route, id)
	e["requestContext"].(object)["messageId"] = "m"
	e["body"] = body
	return e
}

func connectEvent(id, token string) object {
	e := gatewayEvent(event.Connect, "$connect", id)
	e["headers"] = object{"Host": "ws.example.com", "Authorization": "Bearer " + token}
	e["multiValueHeaders"] = object{"Host": []any{"ws.example.com"}, "Authorization": []any{"Bearer " + token}}
	e["queryStringParameters"], e["multiValueQueryStringParameters"] = object{"a": "b"}, object{"a": []any{"b"}}
	return e
}

const aliveHolder = "ready for a name whose holder is alive"

// scenarios are of a world where authorizing is deferred, which is where most happens.
func scenarios() []scenario {
	ann := jwt.MapClaims{"sub": "ann"}
	client := func(text string) func(*world, string) object {
		return func(w *world, id string) object {
			w.connect(id, "ann")
			return textEvent("$default", id, text)
		}
	}
	agent := func(text string) func(*world, string) object {
		return func(w *world, id string) object {
			est := w.declared(id, "ann", object{"tunnel_id": id})
			requestID := w.keys.tickets(w.t).Issue(ticket.Ticket{Tunnel: id, Waiter: "w", Expires: time.Now().Add(time.Minute)}, "")
			return textEvent("$default", id, strings.NewReplacer("SESSION", est["session"].(string), "REQUEST", requestID).Replace(text))
		}
	}
	pending := func(body func(*world) string) func(*world, string) object {
		return func(w *world, id string) object {
			w.connect(id, "")
			return textEvent("$default", id, body(w))
		}
	}
	say := func(text string) func(*world) string { return func(*world) string { return text } }
	return []scenario{
		{"connect", func(w *world, id string) object { return connectEvent(id, w.keys.token(w.t, ann)) }},
		{"connect without a token", func(_ *world, id string) object { return gatewayEvent(event.Connect, "$connect", id) }},
		{"connect with a wrong token", func(_ *world, id string) object { return connectEvent(id, "nonsense") }},
		{"disconnect", func(w *world, id string) object {
			w.declared(id, "ann", object{"tunnel_id": id})
			w.gateway.close(id)
			e := gatewayEvent(event.Disconnect, "$disconnect", id)
			e["requestContext"].(object)["disconnectStatusCode"] = 1001
			return e
		}},
		{"ready", client(`{"type":"ready","protocol":2,"capabilities":["resume","session","actions","notices"],"instance":"i","agent":"culvert"}`)},
		{"ready of an original agent", client(`{"type":"ready"}`)},
		{"ready, unauthorized", pending(say(`{"type":"ready","protocol":2}`))},
		{"ready for a name that is taken", func(w *world, id string) object {
			w.declared(id+"b", "bob", object{"tunnel_id": id})
			w.connect(id, "ann")
			return textEvent("$default", id, `{"type":"ready","protocol":2,"tunnel_id":"`+id+`"}`)
		}},
		{"ready for a name whose holder is dead", func(w *world, id string) object {
			w.declared(id+"b", "ann", object{"tunnel_id": id})
			w.gateway.close(id + "b")
			w.connect(id, "ann")
			return textEvent("$default", id, `{"type":"ready","protocol":2,"tunnel_id":"`+id+`"}`)
		}},
		{aliveHolder, func(w *world, id string) object {
			w.declared(id+"b", "ann", object{"tunnel_id": id})
			w.connect(id, "ann")
			return textEvent("$default", id, `{"type":"ready","protocol":2,"tunnel_id":"`+id+`"}`)
		}},
		{"ready again", agent(`{"type":"ready","protocol":2,"instance":"i"}`)},
		{"a heartbeat", agent(`{"type":"ping","session":"SESSION"}`)},
		{"a heartbeat by an old session", agent(`{"type":"ping","session":"SESSIONx"}`)},
		{"a heartbeat of an agent that has lost its tunnel", func(w *world, id string) object {
			est := w.declared(id, "ann", object{"tunnel_id": id})
			if _, err := w.store.Release(w.t.Context(), id, id); err != nil {
				w.t.Fatal(err)
			}
			return textEvent("$default", id, `{"type":"ping","session":"`+est["session"].(string)+`"}`)
		}},
		{"a pong", agent(`{"type":"pong"}`)},
		{"an answer", agent(`{"type":"http_response","request_id":"REQUEST","session":"SESSION","status_code":200,"headers":{},"body":""}`)},
		{"a part of one", agent(`{"type":"chunk","request_id":"REQUEST","session":"SESSION","seq":1,"body":""}`)},
		{"a ping of who is unauthorized", pending(say(`{"type":"ping"}`))},
		{"action ping", client(`{"action":"ping","id":"1","data":{"name":"Ann"}}`)},
		{"action echo", client(`{"action":"echo","id":"1","data":{"a":1}}`)},
		{"action echo, routed", func(w *world, id string) object {
			w.connect(id, "ann")
			return textEvent("echo", id, `{"action":"echo"}`)
		}},
		{"no action", client(`{`)},
		{"an action of who is unauthorized", pending(say(`{"action":"echo"}`))},
		{"action connections", func(w *world, id string) object {
			for n := range 2 {
				w.at(fmt.Sprint(id, "s", n), id, time.Hour)
				w.gateway.close(fmt.Sprint(id, "s", n))
			}
			w.connect(id, id)
			return textEvent("$default", id, `{"action":"connections"}`)
		}},
		{"action authorize", pending(func(w *world) string { return byToken(w.keys.token(w.t, ann)) })},
		{"action authorize in vain", pending(say(byToken("nonsense")))},
		{"action authorize in vain again", func(w *world, id string) object {
			w.connect(id, "")
			for range 2 {
				w.ask(id, byToken("nonsense"))
			}
			return textEvent("$default", id, byToken("nonsense"))
		}},
		{"an action of a connection that nobody knows", func(w *world, id string) object {
			w.gateway.open(id)
			return textEvent("$default", id, `{"action":"ping"}`)
		}},
	}
}

// cleanUp is what may still happen after a call has failed, by that call: what was
// granted is taken back, and whoever waits for an answer is told, or let go.
var cleanUp = map[string][]string{
	"Keys":   {"Post", "Delete"}, // ready is refused
	"Attach": {"GiveBack"}, "PutUserConnection": {"GiveBack"},
	// A tunnel whose agent cannot be told is given back, and one that is refused is
	// closed, told or not. That it has its tunnel, an agent is told again.
	"Post": {"Post", "GiveBack", "Delete"},
	// Whoever cannot be asked counts as alive, and keeps the name; and has its tunnel.
	"Info": {"Post", "Delete"}, "Lookup": {"Post"},
	// What cannot be pushed is stored.
	"Push": {"PutAnswer"},
}

// mayFollow says what may follow a call that fails. Actions are answered whatever fails,
// and nothing else is done.
func (c *scenario) mayFollow(failed, call string) bool {
	switch {
	case strings.Contains(c.name, "action") && failed == "Post":
		return call == "Delete" // after three failures
	case strings.Contains(c.name, "action"):
		return call == "Post" || failed == "Info" && call == "Info" // several at once
	case c.name == aliveHolder && failed == "Connection":
		return call == "Post" || call == "Delete"
	}
	return slices.Contains(cleanUp[failed], call)
}

// Whatever fails, and at whatever step: the handler returns, and does nothing else than
// what cleanUp says.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, c := range scenarios() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, f, faulty := newFaultyWorld(t)
			for n := 1; ; n++ {
				m := parsed(t, c.prepare(w, fmt.Sprint("case-", n)))
				*f = faults{fail: n}
				out, err := faulty.Handle(t.Context(), m)
				failed, followed := f.after()
				if failed == "" {
					if n == 1 {
						t.Error("nothing is called")
					}
					if errors.Is(err, errFault) {
						t.Errorf("without a fault: %v", err)
					}
					return
				}
				for _, call := range followed {
					if !c.mayFollow(failed, call) {
						t.Errorf("after %s (call %d) has failed: %v", failed, n, followed)
						break
					}
				}
				if m.EventType == event.Connect && (out.Status < 400 || len(out.Body) > 0) {
					t.Errorf("after %s has failed: %+v", failed, out)
				}
				if out.Status == 0 {
					t.Errorf("after %s has failed: no status", failed)
				}
			}
		})
	}
}

// Events without a connection's ID lead to 400, and nothing else runs. Those without
// another field, or with a wrong one, never lead to a panic, and nothing follows what
// fails.
func TestCutEvents(t *testing.T) {
	t.Parallel()
	for _, c := range scenarios() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, f, faulty := newFaultyWorld(t)
			first := c.prepare(w, "case-0")
			n := 0
			for _, path := range paths(first, nil) {
				for what, value := range map[string]any{"cut": nil, "a number": 5, "empty": "", "a list": []any{}} {
					if _, err := changed(t, first, path, value); err != nil {
						continue // the host answers 400: nothing of this package runs
					}
					n++
					e := c.prepare(w, fmt.Sprint("case-", n))
					*f = faults{}
					m, err := changed(t, e, path, value)
					if err != nil {
						t.Fatal(err)
					}
					if path[len(path)-1] == "connectionId" {
						t.Errorf("%s %v: it is an event of %q", what, path, m.ConnectionID)
					}
					if out, err := faulty.Handle(t.Context(), m); out.Status == 0 || errors.Is(err, errFault) {
						t.Errorf("%s %v: %+v, %v", what, path, out, err)
					}
				}
			}
		})
	}
}

// The same for whoever reads events otherwise.
func TestNothingRunsWithoutConnection(t *testing.T) {
	t.Parallel()
	for _, c := range scenarios() {
		w, f, faulty := newFaultyWorld(t)
		e := c.prepare(w, "case-1")
		m := parsed(t, e)
		for _, m := range []*event.Message{
			{EventType: m.EventType, Route: m.Route, Header: m.Header, Query: m.Query, Body: m.Body, ConnectedAt: m.ConnectedAt},
			{EventType: m.EventType}, {},
		} {
			*f = faults{}
			out, err := faulty.Handle(t.Context(), m)
			if out.Status != 400 || len(out.Body) > 0 || !errors.Is(err, event.ErrNoConnection) || len(f.calls) > 0 {
				t.Errorf("%s: %+v, %v; called %v", c.name, out, err, f.calls)
			}
		}
		delete(e["requestContext"].(object), "connectionId")
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := event.ParseMessage(text); !errors.Is(err, event.ErrNoConnection) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// newFaultyWorld is a world, and a second Agents beside its own to which things happen.
func newFaultyWorld(t *testing.T) (*world, *faults, *Agents) {
	t.Helper()
	f := &faults{}
	w := newWorld(t, func(c *Config) { deferred(c); c.Processor, c.MaxTunnels = &processor{}, 10_000 })
	faulty, err := New(w.agents.cfg.faulty(f))
	if err != nil {
		t.Fatal(err)
	}
	faulty.patience = w.agents.patience
	return w, f, faulty
}

func parsed(t *testing.T, e object) *event.Message {
	t.Helper()
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	m, err := event.ParseMessage(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// paths are those of all members of an event.
func paths(e object, at []string) [][]string {
	var all [][]string
	for _, name := range slices.Sorted(maps.Keys(e)) {
		path := append(slices.Clone(at), name)
		all = append(all, path)
		if inner, ok := e[name].(object); ok {
			all = append(all, paths(inner, path)...)
		}
	}
	return all
}

// changed parses an event whose member at the path has the value, or is not there if
// value is nil.
func changed(t *testing.T, e object, path []string, value any) (*event.Message, error) {
	t.Helper()
	e = maps.Clone(e)
	for inner := e; len(path) > 0; path = path[1:] {
		switch name := path[0]; {
		case len(path) > 1:
			copied := maps.Clone(inner[name].(object))
			inner[name] = copied
			inner = copied
		case value == nil:
			delete(inner, name)
		default:
			inner[name] = value
		}
	}
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return event.ParseMessage(text)
}
