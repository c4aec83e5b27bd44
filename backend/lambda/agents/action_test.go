package agents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"culvert/backend/action"
	"culvert/backend/lambda/event"
	"culvert/backend/lambda/store"
	"culvert/backend/wire"
)

// processor does the actions of package action, unless a test has others.
type processor struct {
	mu    sync.Mutex
	calls []action.Call
	do    func(action.Call) (action.Reply, error)
}

func (p *processor) Do(ctx context.Context, c action.Call) (action.Reply, error) {
	p.mu.Lock()
	p.calls = append(p.calls, c)
	do := p.do
	p.mu.Unlock()
	if do != nil {
		return do(c)
	}
	result, err := action.Do(ctx, &c)
	var told *wire.ActionError
	if errors.As(err, &told) {
		return action.Reply{Error: told}, nil
	}
	return action.Reply{Result: result}, err
}

func (p *processor) all() []action.Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

// ask sends a message that has no route of its own, and gives the one answer to it.
func (w *world) ask(id, text string) object {
	w.t.Helper()
	before := len(w.gateway.received(id))
	w.sendText(id, text)
	got := w.gateway.received(id)
	if len(got) != before+1 {
		w.t.Fatalf("%.60q: %d answers", text, len(got)-before)
	}
	return got[before]
}

// askRouted sends a message by a route that has a RouteResponse, and gives what is
// returned.
func (w *world) askRouted(id, text string) object {
	w.t.Helper()
	before := len(w.gateway.received(id))
	out, _ := w.agents.Handle(w.t.Context(), &event.Message{
		ConnectionID: id, EventType: event.Text, Route: "ping", Domain: "ws.example.com", SourceIP: "203.0.113.7", ConnectedAt: time.Now(), Body: []byte(text),
	})
	var m object
	if err := json.Unmarshal(out.Body, &m); err != nil || out.Status != 200 {
		w.t.Fatalf("%.60q: status %d, %q: %v", text, out.Status, out.Body, err)
	}
	if n := len(w.gateway.received(id)); n != before {
		w.t.Errorf("%.60q: what is returned is posted as well", text)
	}
	return m
}

func wantActionError(t *testing.T, m object, action, code string) {
	t.Helper()
	e, _ := m["error"].(object)
	if m["action"] != action || m["status"] != "error" || e["code"] != code || e["message"] == "" || len(e) != 2 || m["type"] != nil || m["result"] != nil {
		t.Errorf("got %v, want the error %s of %q", m, code, action)
	}
}

// Every action, by both ways that an answer can go.
func TestActions(t *testing.T) {
	t.Parallel()
	p := &processor{}
	w := newWorld(t, func(c *Config) { c.Processor = p })
	w.connect("c1", "ann")
	for _, c := range []struct {
		text, action string
		want         any // the result, or the error's code
		code         string
	}{
		{`{"action":"ping"}`, "ping", object{"message": "pong"}, ""},
		{`{"action":"ping","data":null}`, "ping", object{"message": "pong"}, ""},
		{`{"action":"ping","data":""}`, "ping", object{"message": "pong"}, ""},
		{`{"action":"ping","data":{}}`, "ping", object{"message": "pong"}, ""},
		{`{"action":"ping","data":"Ann"}`, "ping", object{"message": "pong", "name": "Ann"}, ""},
		{`{"action":"ping","data":{"name":"<b>\"Ann\"\n"}}`, "ping", object{"message": "pong", "name": "<b>\"Ann\"\n"}, ""},
		{`{"action":"ping","data":"` + strings.Repeat("n", 256) + `"}`, "ping", object{"message": "pong", "name": strings.Repeat("n", 256)}, ""},
		{`{"action":"ping","data":"` + strings.Repeat("n", 257) + `"}`, "ping", nil, "invalid_request"},
		{`{"action":"ping","data":5}`, "ping", nil, "invalid_request"},
		{`{"action":"ping","data":{"name":5}}`, "ping", nil, "invalid_request"},
		{`{"action":"echo","data":{"a":[1,null,"x"]}}`, "echo", object{"a": []any{1.0, nil, "x"}}, ""},
		{`{"action":"echo"}`, "echo", nil, ""},
		{`{"action":"uppercase","data":"straße"}`, "uppercase", "STRASSE", ""},
		{`{"action":"reverse","data":{"text":"añ"}}`, "reverse", "ña", ""},
		{`{"action":"uppercase","data":5}`, "uppercase", nil, "invalid_request"},
		{`{"action":"dance"}`, "dance", nil, "not_implemented"},
		{`{"action":"Ping"}`, "Ping", nil, "not_implemented"},
		{` {"seq":"x","session":{},"action":"echo","data":1}`, "echo", 1.0, ""},
	} {
		want := object{"action": c.action, "status": "success", "result": c.want}
		if c.action == "uppercase" && c.code == "" {
			want["result"] = strings.ToUpper("straße")
		}
		for way, ask := range map[string]func(string, string) object{"posted": w.ask, "returned": w.askRouted} {
			for _, id := range []string{"", "7"} {
				text := c.text
				if id != "" {
					text = strings.Replace(text, `"action"`, `"id":"7","action"`, 1)
				}
				got := ask("c1", text)
				if got["id"] != nil && got["id"] != id || id != "" && got["id"] == nil {
					t.Errorf("%s: the ID %v comes back as %v", text, id, got["id"])
				}
				if c.code != "" {
					wantActionError(t, got, c.action, c.code)
					continue
				}
				delete(got, "id")
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s %s (-want +got):\n%s", text, way, diff)
				}
			}
		}
	}
	for _, call := range p.all() {
		if call.Action == actionPing {
			t.Error("the Processor is asked to ping")
		}
	}
}

// What is no action at all is told so.
func TestNoiseOfClients(t *testing.T) {
	t.Parallel()
	p := &processor{}
	w := newWorld(t, func(c *Config) { c.Processor = p })
	w.connect("c1", "ann")
	for _, text := range noise {
		wantActionError(t, w.ask("c1", text), "", "invalid_request")
		wantActionError(t, w.askRouted("c1", text), "", "invalid_request")
	}
	wantActionError(t, w.ask("c1", `{"action":"echo","id":5}`), "echo", "invalid_request")
	// A type that is no text is a mistake of who wants an answer; a text may be of the future.
	for _, text := range []string{`{"type":5}`, `{"type":{},"action":"echo"}`, `{"type":[],"id":"7"}`, `{"type":true}`} {
		wantActionError(t, w.ask("c1", text), "", "invalid_request")
		wantActionError(t, w.askRouted("c1", text), "", "invalid_request")
	}
	before := len(w.gateway.received("c1"))
	if w.sendText("c1", `{"type":"of the future","action":"echo"}`); len(w.gateway.received("c1")) > before {
		t.Error("a message of a type is answered as an action")
	}
	large := `{"action":"echo","id":"7","data":"` + strings.Repeat("x", 64<<10) + `"}`
	got := w.ask("c1", large)
	if wantActionError(t, got, "echo", "too_large"); got["id"] != "7" {
		t.Errorf("got %v", got)
	}
	if len(p.all()) > 0 {
		t.Errorf("the Processor is asked %v", p.all())
	}
}

// The Processor learns who asks, and when.
func TestProcessorsCall(t *testing.T) {
	t.Parallel()
	p := &processor{}
	w := newWorld(t, func(c *Config) { c.Processor = p })
	w.declared("c1", "ann", object{"tunnel_id": "shop"})
	before := time.Now()
	w.ask("c1", `{"action":"timestamp","data":{"zone":"x"}}`)
	call := p.all()[0]
	if call.Time.Before(before) || call.Time.After(time.Now()) {
		t.Errorf("at %v", call.Time)
	}
	call.Time = time.Time{}
	if diff := cmp.Diff(action.Call{Action: "timestamp", Data: json.RawMessage(`{"zone":"x"}`), User: "ann", Connection: "c1"}, call); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.agents.cfg.Auth = AuthNone
	w.connect("c2", "")
	w.ask("c2", `{"action":"echo"}`)
	if call := p.all()[1]; call.User != "" || call.Connection != "c2" {
		t.Errorf("of nobody: %+v", call)
	}
}

func TestProcessorThatFails(t *testing.T) {
	t.Parallel()
	p := &processor{}
	w := newWorld(t, func(c *Config) { c.Processor = p })
	w.connect("c1", "ann")
	cause := errors.New("arn:aws:lambda:secret: no such function")
	for name, c := range map[string]struct {
		reply  action.Reply
		err    error
		code   string
		logged bool
	}{
		"cannot be had":     {err: cause, code: "internal_error", logged: true},
		"says what to tell": {err: fmt.Errorf("%w: %w", &wire.ActionError{Code: wire.CodeTimeout, Message: "it took too long"}, cause), code: "timeout", logged: true},
		"an error":          {reply: action.Reply{Error: &wire.ActionError{Code: "of_its_own", Message: "m"}}, code: "of_its_own"},
		"no code":           {reply: action.Reply{Error: &wire.ActionError{Message: "m"}}, code: "internal_error", logged: true},
		"no JSON":           {reply: action.Reply{Result: json.RawMessage(`{`)}, code: "internal_error", logged: true},
		"too much":          {reply: action.Reply{Result: json.RawMessage(`"` + strings.Repeat("x", 64<<10) + `"`)}, code: "too_large"},
	} {
		p.do = func(action.Call) (action.Reply, error) { return c.reply, c.err }
		for route, returned := range map[string]bool{"$default": false, "echo": true} {
			m := &event.Message{ConnectionID: "c1", EventType: event.Text, Route: route, Body: []byte(`{"action":"echo","id":"a"}`)}
			out, err := w.agents.Handle(t.Context(), m)
			if (err != nil) != c.logged || c.err != nil && !errors.Is(err, cause) {
				t.Errorf("%s: the error for the log is %v", name, err)
			}
			if out.Status != 200 { // an answer like any other, by whatever way
				t.Errorf("%s by %s: status %d", name, route, out.Status)
			}
			var answer object
			if returned {
				if err := json.Unmarshal(out.Body, &answer); err != nil {
					t.Errorf("%s: %q: %v", name, out.Body, err)
				}
			} else {
				got := w.gateway.received("c1")
				answer = got[len(got)-1]
			}
			if wantActionError(t, answer, "echo", c.code); answer["id"] != "a" || strings.Contains(fmt.Sprint(answer), "arn:") {
				t.Errorf("%s: told %v", name, answer)
			}
		}
	}
}

// What the host does itself is what it says it does, and is never the Processor's; what
// nobody does is told with all that there is.
func TestOwnActions(t *testing.T) {
	t.Parallel()
	p := &processor{}
	w := newWorld(t, func(c *Config) { c.Processor = p })
	w.connect("c1", "ann")
	for _, name := range OwnActions() {
		got := w.ask("c1", `{"action":"`+name+`"}`)
		if e, _ := got["error"].(object); e["code"] == "not_implemented" {
			t.Errorf("%s: %v", name, got)
		}
	}
	if len(p.all()) > 0 {
		t.Errorf("the Processor is asked %v", p.all())
	}
	if diff := cmp.Diff(action.Reserved(), OwnActions()); diff != "" {
		t.Errorf("own actions may be had elsewhere (-reserved +own):\n%s", diff)
	}
	got := w.ask("c1", `{"action":"dance"}`)
	wantActionError(t, got, "dance", "not_implemented")
	for _, name := range append(OwnActions(), action.Names()...) {
		if !strings.Contains(fmt.Sprint(got), name) {
			t.Errorf("%s is not in %v", name, got)
		}
	}
}

// Without a Processor, the host's own actions are all there is.
func TestWithoutProcessor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.connect("c1", "ann")
	got := w.ask("c1", `{"action":"echo","data":1}`)
	wantActionError(t, got, "echo", "not_implemented")
	if text := fmt.Sprint(got); !strings.Contains(text, "authorize, connections, ping") {
		t.Errorf("%v does not say what there is", text)
	}
	if got := w.ask("c1", `{"action":"ping"}`); got["status"] != "success" {
		t.Errorf("got %v", got)
	}
}

// An agent asks like anybody else; what it may ask and hear is agreed with it.
func TestCapabilitiesOfActions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	has := func(established object, c string) bool {
		return strings.Contains(fmt.Sprint(established["capabilities"]), c)
	}
	all := w.declared("c1", "ann", object{"capabilities": []string{"actions", "notices", "resume"}})
	if !has(all, "actions") || !has(all, "notices") {
		t.Errorf("agreed: %v", all["capabilities"])
	}
	if got := w.ask("c1", `{"action":"ping","data":"Ann"}`); got["status"] != "success" {
		t.Errorf("got %v", got)
	}
	if older := w.declared("c2", "ann", nil); has(older, "actions") || has(older, "notices") {
		t.Errorf("agreed with one that does not know them: %v", older["capabilities"])
	}
	w.connect("c3", "ann")
	w.sendText("c3", `{"type":"ready"}`)
	for id, want := range map[string]bool{"c1": true, "c2": false, "c3": false} {
		c, err := w.store.Connection(t.Context(), id)
		if err != nil || c.TakesNotices() != want {
			t.Errorf("%s takes notices: %v, %v", id, c.TakesNotices(), err)
		}
	}
	for _, c := range w.users("user:ann") {
		if c.Notices != (c.Connection == "c1") {
			t.Errorf("among the user's: %+v", c)
		}
	}
}

func (w *world) users(owner string) []store.UserConnection {
	w.t.Helper()
	list, err := w.store.UserConnections(w.t.Context(), owner)
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// A connection whose $connect nobody knows is ended, and its next one is known.
func TestActionOfNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.gateway.open("c1")
	w.sendText("c1", `{"action":"ping"}`)
	if got := w.gateway.received("c1"); len(got) > 0 || !w.gateway.wasDeleted("c1") {
		t.Errorf("told %v", got)
	}
}

// Nobody is left without an answer because a table cannot be read.
func TestActionsWithoutStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Store = newStandIn() })
	w.gateway.open("c1")
	wantActionError(t, w.ask("c1", `{"action":"ping"}`), "ping", "internal_error")
	wantActionError(t, w.askRouted("c1", `{"action":"ping"}`), "ping", "internal_error")
	if status := w.sendText("c1", `{"action":"ping"}`); status != 200 {
		t.Errorf("status %d, though it was told", status)
	}
	w.gateway.failNext("c1", errors.New("403"))
	if status := w.sendText("c1", `{"action":"ping"}`); status != 500 {
		t.Errorf("status %d, of which the alarm is made, where it could not be told", status)
	}
	// It left meanwhile, which is no error.
	w = newWorld(t, nil)
	w.connect("c1", "ann")
	w.gateway.close("c1")
	w.sendText("c1", `{"action":"ping"}`)
}
