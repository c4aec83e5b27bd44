package agents

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"culvert/backend/lambda/event"
	"culvert/backend/lambda/keys"
	"culvert/backend/lambda/post"
	"culvert/backend/lambda/store"
	"culvert/backend/lambda/ticket"
	"culvert/backend/wire"
)

// request is the ticket of a request to a tunnel that somebody waits for.
func request(tunnel, waiter string) ticket.Ticket {
	return ticket.Ticket{Tunnel: tunnel, Waiter: waiter, Nonce: ticket.NewNonce(), Expires: time.Now().Add(30 * time.Second).Truncate(time.Second)}
}

// issue makes the request's ID. A bound one is for the connection to.
func (w *world) issue(t ticket.Ticket, to string) string {
	return w.keys.tickets(w.t).Issue(t, to)
}

func text(t *testing.T, m object) string {
	t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func response(id string, session any) object {
	m := object{"type": "http_response", "request_id": id, "status_code": 200, "headers": object{}, "body": "aGk=", "processing_time_ms": 3}
	if session != nil {
		m["session"] = session
	}
	return m
}

// stored are the messages stored for the ticket, by part.
func (w *world) stored(t ticket.Ticket) map[int]string {
	w.t.Helper()
	got, err := w.store.GetAnswers(w.t.Context(), t.Key(), store.From(0), true)
	if err != nil {
		w.t.Fatal(err)
	}
	parts := map[int]string{}
	for _, a := range got {
		parts[a.Part] = string(a.Message)
	}
	return parts
}

// Where answers of agents that are who they say they are go.
func TestAnswersOnTheirWay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		declared bool
		waiter   string
		message  object // beside request_id and session
		fail     error  // of pushing
		noPush   bool   // there is no API of waiters
		pushed   bool
		part     int // where it is stored; -1: nowhere
	}{
		{name: "pushed", declared: true, waiter: "w1", pushed: true, part: -1},
		{name: "nobody to push to", declared: true, part: 0},
		{name: "no waiters at all", declared: true, waiter: "w1", noPush: true, part: 0},
		{name: "the waiter has gone", declared: true, waiter: "w1", fail: post.ErrGone, part: 0},
		{name: "the waiter is busy", declared: true, waiter: "w1", fail: post.ErrBusy, part: 0},
		{name: "posting is forbidden", declared: true, waiter: "w1", fail: fmt.Errorf("%w: x", post.ErrForbidden), part: 0},
		{name: "no reply within a second", declared: true, waiter: "w1", fail: fmt.Errorf("%w: x", post.ErrUnavailable), part: 0},
		{name: "resent", declared: true, waiter: "w1", message: object{"resent": true}, part: 0},
		{name: "a chunk", declared: true, waiter: "w1", message: object{"type": "chunk", "seq": 3}, pushed: true, part: -1},
		{name: "a chunk, stored", declared: true, message: object{"type": "chunk", "seq": 3, "last": true}, part: 3},
		{name: "a chunk, resent", declared: true, waiter: "w1", message: object{"type": "chunk", "seq": 7, "resent": true}, part: 7},
		{name: "an error", declared: true, waiter: "w1", message: object{"type": "error", "code": "timeout", "message": "m"}, pushed: true, part: -1},
		{name: "an error, stored", declared: true, message: object{"type": "error", "code": "timeout", "message": "m"}, part: store.PartError},
		{name: "what the agent lacks", declared: true, waiter: "w1", message: object{"type": "resend", "seqs": []int{2}}, pushed: true, part: -1},
		{name: "undeclared: pushed and stored", waiter: "w1", pushed: true, part: 0},
		{name: "undeclared: stored", part: 0},
		{name: "undeclared: an error", waiter: "w1", message: object{"type": "error", "code": "internal_error", "message": "m"}, pushed: true, part: store.PartError},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(cfg *Config) {
				if c.noPush {
					cfg.Waiters = nil
				}
			})
			w.waiters.err = c.fail
			var session any
			id := "shop"
			if c.declared {
				session = w.declared("c1", "ann", object{"tunnel_id": id})["session"]
			} else {
				w.connect("c1", "ann")
				w.sendText("c1", `{"type":"ready"}`)
				id = w.gateway.received("c1")[0]["tunnel_id"].(string)
			}
			req := request(id, c.waiter)
			req.Bound = !c.declared
			m := response(w.issue(req, "c1"), session)
			for k, v := range c.message {
				m[k] = v
			}
			sent := text(t, m) + " " // verbatim means every byte
			if status := w.sendText("c1", sent); status != 200 {
				t.Errorf("status %d", status)
			}
			want := map[string][]string{}
			if c.pushed {
				want[c.waiter] = []string{sent}
			}
			if diff := cmp.Diff(want, w.waiters.all()); diff != "" {
				t.Errorf("pushed (-want +got):\n%s", diff)
			}
			rows := map[int]string{}
			if c.part >= 0 {
				// But the session token is not kept.
				rows[c.part] = sent
				if token, _ := session.(string); token != "" {
					rows[c.part] = strings.Replace(sent, `"session":"`+token+`"`, `"session":""`, 1)
				}
				if _, err := wire.DecodeDeclared([]byte(rows[c.part]), wire.MaxGatewayMessage); err != nil && c.message["type"] != "chunk" {
					t.Errorf("what is stored cannot be read: %v", err)
				}
			}
			if diff := cmp.Diff(rows, w.stored(req)); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
			if n := w.counted(countRefused); n > 0 {
				t.Errorf("%d refused", n)
			}
			if got := w.counted(countPushed) + w.counted(countStored); got != len(want)+len(rows) {
				t.Errorf("%d counted", got)
			}
			w.unlogged(session, m["request_id"])
		})
	}
}

// What an agent asks for again is stored under numbers of its own, and not without end.
func TestRequestsOfTheAgentAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	now := time.Now().Truncate(time.Second)
	w.agents.now = func() time.Time { return now }
	session := w.keys.tickets(t).Session("shop", now.Add(time.Hour))
	w.connect("c1", "ann")
	req := request("shop", "")
	req.Expires = now.Add(30 * time.Second)
	id := w.issue(req, "")
	for n := range 20 {
		w.send("c1", object{"type": "resend", "request_id": id, "session": session, "seqs": []int{n}})
		if n%10 == 9 {
			now = now.Add(askSlot)
		}
	}
	got, err := w.store.GetAnswers(t.Context(), req.Key(), store.From(store.PartRequest), true)
	if err != nil || len(got) != 2 || len(w.stored(req)) != 2 {
		t.Fatalf("%d stored, %v", len(got), err)
	}
	// They are read in the order of their numbers, and the ones up to the last read
	// are not looked at again.
	for n, want := range []string{`"seqs":[0]`, `"seqs":[10]`} {
		if !strings.Contains(string(got[n].Message), want) {
			t.Errorf("number %d is %s, want the one with %s", n, got[n].Message, want)
		}
	}
}

// What no reader would take is not stored either: it costs by the KB.
func TestMessagesThatNobodyWouldTake(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	session := w.keys.tickets(t).Session("shop", time.Now().Add(time.Hour))
	w.connect("c1", "ann")
	whole, stream := request("shop", ""), request("shop", "")
	stream.Stream = true
	var assembly wire.Assembly
	for _, c := range []struct {
		name string
		to   ticket.Ticket
		m    object
		ok   bool
	}{
		{"the highest part of a whole answer", whole, object{"type": "chunk", "seq": store.MaxWholeChunk}, true},
		{"one above", whole, object{"type": "chunk", "seq": store.MaxWholeChunk + 1}, false},
		{"the same of a stream", stream, object{"type": "chunk", "seq": store.MaxWholeChunk + 1}, true},
		{"the highest of a stream", stream, object{"type": "chunk", "seq": store.MaxChunk}, true},
		{"above that", stream, object{"type": "chunk", "seq": store.MaxChunk + 1}, false},
		{"an error", whole, object{"type": "error", "code": "timeout", "message": strings.Repeat("m", 4<<10)}, true},
		{"a long error", whole, object{"type": "error", "code": "timeout", "message": strings.Repeat("m", maxError)}, false},
		{"the longest resend", whole, object{"type": "resend", "seqs": slices.Repeat([]int{store.MaxWholeChunk}, wire.MaxWanted)}, true},
		{"a padded resend", whole, object{"type": "resend", "seqs": []int{1}, "x": strings.Repeat("x", maxResend)}, false},
	} {
		before, refused := len(w.stored(c.to)), w.counted(countRefused)
		c.m["request_id"], c.m["session"] = w.issue(c.to, ""), session
		w.send("c1", c.m)
		if got := len(w.stored(c.to)) > before; got != c.ok || w.counted(countRefused) > refused == c.ok {
			t.Errorf("%s: stored %v, want %v", c.name, got, c.ok)
		}
		if seq, ok := c.m["seq"].(int); ok && !c.to.Stream && (assembly.Add(seq, nil, false) == nil) != c.ok {
			t.Errorf("%s: the reader thinks otherwise", c.name)
		}
	}
}

// Everything that somebody could try who has a connection of his own, and has seen
// whatever his agents were sent: refused, counted, logged without secrets, and nobody
// gets to see it.
func TestForgery(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	mine := w.declared("mallory", "mallory", object{"tunnel_id": "evil"})["session"]
	theirs := w.declared("victim", "ann", object{"tunnel_id": "shop"})["session"]
	ring := w.keys.tickets(t)

	plain := request("shop", "waiter")
	bound := request("shop", "waiter")
	bound.Bound = true
	old := request("shop", "waiter")
	old.Expires = time.Now().Add(-time.Second)
	own := request("evil", "waiter")
	flip := func(id string, at int) string {
		b, err := base64.RawURLEncoding.DecodeString(id)
		if err != nil {
			t.Fatal(err)
		}
		b[at] ^= 1
		return base64.RawURLEncoding.EncodeToString(b)
	}
	other, err := ticket.New(secretOf('x'))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		from string
		m    object
	}{
		{"another tunnel's request", "mallory", response(ring.Issue(plain, ""), mine)},
		{"another tunnel's request, no token", "mallory", response(ring.Issue(plain, ""), nil)},
		{"another tunnel's request, as an error", "mallory", object{"type": "error", "request_id": ring.Issue(plain, ""), "code": "timeout", "message": "m", "session": mine}},
		{"another tunnel's chunks", "mallory", object{"type": "resend", "request_id": ring.Issue(plain, ""), "seqs": []int{0, 1}, "session": mine}},
		{"a chunk into another's answer", "mallory", object{"type": "chunk", "request_id": ring.Issue(plain, ""), "seq": 1, "body": "aGk=", "session": mine}},
		{"another connection's request", "mallory", response(ring.Issue(bound, "victim"), mine)},
		{"another connection's request, with its tunnel's token", "mallory", response(ring.Issue(bound, "victim"), theirs)},
		{"an old request", "victim", response(ring.Issue(old, ""), theirs)},
		{"a forged waiter", "mallory", response(flip(ring.Issue(own, ""), 20), mine)},
		{"a forged tunnel", "victim", response(flip(ring.Issue(own, ""), 30), theirs)},
		{"a forged expiry", "victim", response(flip(ring.Issue(old, ""), 2), theirs)},
		{"bound made unbound", "mallory", response(flip(ring.Issue(bound, "victim"), 1), theirs)},
		{"another's key", "mallory", response(other.Issue(own, ""), mine)},
		{"a session token as a request", "mallory", response(fmt.Sprint(theirs), mine)},
		{"a request as a session token", "mallory", response(ring.Issue(own, ""), ring.Issue(own, ""))},
		{"an old session token", "mallory", response(ring.Issue(own, ""), ring.Session("evil", time.Now().Add(-time.Second)))},
		{"another's session token", "mallory", response(ring.Issue(own, ""), other.Session("evil", time.Now().Add(time.Hour)))},
		{"the original backend's ID", "mallory", response("req_1700000000_abcdef", mine)},
		{"no ID", "mallory", response("", mine)},
		{"a part without a number", "mallory", object{"type": "chunk", "request_id": ring.Issue(own, ""), "session": mine}},
		{"a part over the bound", "mallory", object{"type": "chunk", "request_id": ring.Issue(own, ""), "session": mine, "seq": store.PartError}},
		{"a chunk of one that declared nothing", "victim", object{"type": "chunk", "request_id": ring.Issue(bound, "victim"), "seq": 1}},
		{"a resend of one that declared nothing", "victim", object{"type": "resend", "request_id": ring.Issue(bound, "victim"), "seqs": []int{1}}},
		{"a forged ping", "mallory", object{"type": "ping", "session": other.Session("evil", time.Now().Add(time.Hour))}},
	} {
		before := w.counted(countRefused)
		w.send(c.from, c.m)
		if n := w.counted(countRefused) - before; n != 1 {
			t.Errorf("%s: %d refusals counted", c.name, n)
		}
		if got := w.waiters.all(); len(got) > 0 {
			t.Fatalf("%s: pushed %v", c.name, got)
		}
		for _, req := range []ticket.Ticket{plain, bound, old, own} {
			if got := w.stored(req); len(got) > 0 {
				t.Fatalf("%s: stored %v", c.name, got)
			}
		}
		w.unlogged(c.m["session"])
		if id, _ := c.m["request_id"].(string); len(id) > 30 {
			w.unlogged(id)
		}
	}
	if n := strings.Count(w.log.String(), "level=WARN"); n < 24 {
		t.Errorf("%d warnings in the log", n)
	}
	if got := w.gateway.received("victim"); len(got) != 1 || w.gateway.wasDeleted("victim") {
		t.Errorf("the victim was told %v", got[1:])
	}
	// And who may, can: the first answer counts, also against its own agent.
	w.waiters.err = post.ErrGone
	w.send("victim", response(ring.Issue(plain, ""), theirs))
	w.send("victim", object{"type": "http_response", "request_id": ring.Issue(plain, ""), "status_code": 500, "session": theirs})
	if got := w.stored(plain); len(got) != 1 || !strings.Contains(got[0], `"status_code":200`) {
		t.Errorf("stored %v", got)
	}
}

// The answer may come by the connection that has replaced the request's one.
func TestAnswerOfTheSuccessor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	first := w.declared("c1", "ann", nil)
	w.declared("c2", "ann", again(first, "i-c1"))
	w.disconnect("c1")
	req := request(first["tunnel_id"].(string), "w1")
	w.send("c2", response(w.issue(req, ""), first["session"]))
	if got := w.waiters.all(); len(got["w1"]) != 1 {
		t.Errorf("pushed %v", got)
	}
}

// The visitors' side has read the keys after a rotation, this one before it.
func TestAnswerDuringARotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	session := w.declared("c1", "ann", object{"tunnel_id": "shop"})["session"]
	before := w.issue(request("shop", "w1"), "")
	w.keys.rotate('b')
	w.send("c1", response(w.issue(request("shop", "w1"), ""), session))
	w.send("c1", response(before, session))
	w.send("c1", object{"type": "ping", "session": w.keys.tickets(t).Session("shop", time.Now().Add(time.Hour))})
	if got := w.waiters.all(); len(got["w1"]) != 2 || w.counted(countRefused) > 0 {
		t.Errorf("pushed %d, refused %d", len(got["w1"]), w.counted(countRefused))
	}
	w.keys.err = keys.ErrNone
	if status := w.sendText("c1", text(t, response(before, session))); status != 500 {
		t.Errorf("without keys: %d", status)
	}
}

// Late answers make no rows: nothing is left that could be mistaken for a request.
func TestLateAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	session := w.declared("c1", "ann", object{"tunnel_id": "shop"})["session"]
	req := request("shop", "")
	id := w.issue(req, "")
	real := w.agents.now
	w.agents.now = func() time.Time { return req.Expires }
	w.send("c1", response(id, session))
	if got := w.stored(req); len(got) > 0 || w.counted(countRefused) != 1 {
		t.Errorf("stored %v, refused %d", got, w.counted(countRefused))
	}
	w.agents.now = real
	w.send("c1", response(id, session))
	if got := w.stored(req); len(got) != 1 {
		t.Errorf("in time: stored %v", got)
	}
}

func TestAnswerThatCannotBeStored(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Store = newStandIn() })
	session := w.keys.tickets(t).Session("shop", time.Now().Add(time.Hour))
	w.waiters.err = errors.New("no")
	if status := w.sendText("c1", text(t, response(w.issue(request("shop", "w1"), ""), session))); status != 500 {
		t.Errorf("status %d", status)
	}
}

func TestPing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	pongs := func(id string) (n int) {
		for _, m := range w.gateway.received(id) {
			if m["type"] == "pong" {
				n++
				if len(m) != 1 {
					t.Errorf("%v", m)
				}
			}
		}
		return n
	}
	session := w.declared("c1", "ann", nil)["session"]
	w.send("c1", object{"type": "ping", "session": session})
	if pongs("c1") != 1 {
		t.Error("no pong")
	}
	w.send("c1", object{"type": "ping"}) // it could show its token, and does not
	if pongs("c1") != 1 {
		t.Error("a pong without a token")
	}
	w.declared("before", "ann", object{"capabilities": []string{"resume"}})
	w.send("before", object{"type": "ping"})
	if pongs("before") != 1 {
		t.Error("no pong for an agent that has no session tokens")
	}
	w.connect("new", "ann")
	w.send("new", object{"type": "ping"})
	w.connect("undeclared", "ann")
	w.sendText("undeclared", `{"type":"ready"}`)
	w.send("undeclared", object{"type": "ping"})
	if pongs("new")+pongs("undeclared") > 0 {
		t.Error("a pong for one that has declared nothing")
	}
	w.send("unknown", object{"type": "ping"})
	// A pong that nobody asked for brings no connection to life.
	w.send("unknown", object{"type": "pong"})
	if _, err := w.store.Connection(t.Context(), "unknown"); !errors.Is(err, store.ErrUnknown) {
		t.Errorf("the connection of a stray pong: %v", err)
	}
	// It left at that moment.
	w.gateway.close("c1")
	w.send("c1", object{"type": "ping", "session": session})
}

// noise is what nobody sends who knows the protocol. Without a type, it is answered to
// who may have wanted an action.
var noise = []string{
	``, ` `, `null`, `[]`, `5`, `"ready"`, `{`, `{"type":"ready"}x`, `{}`, `{"type":""}`, `{"type":null}`,
	`{"message":"Forbidden","connectionId":"x","requestId":"y"}`, `{"action":5}`, `{"action":""}`, `{"Action":{}}`,
	strings.Repeat("[", 100_000), `{"a":"` + strings.Repeat("x", 130<<10) + `"}`,
}

// What else may come in leads to nothing, and from agents that know no actions, nothing
// else does either.
func TestNoise(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.connect("c1", "ann")
	w.sendText("c1", `{"type":"ready"}`)
	first := w.gateway.received("c1")
	for _, text := range append([]string{
		`{"type":5}`, `{"type":"http_response","request_id":{}}`,
		`{"type":"chunk","request_id":"a","seq":1.5}`, `{"type":"READY"}`, `{"type":"ping","action":"echo"}`,
		`{"type":"error","code":"internal_error","message":"the line\nis bad"}`, `{"type":"connection_established"}`, `{"type":"http_request"}`,
		`{"type":"` + strings.Repeat("x", 1000) + `"}`, `{"type":"notice","id":"1","data":1}`,
	}, noise...) {
		if status := w.sendText("c1", text); status != 200 {
			t.Errorf("%.40q: status %d", text, status)
		}
	}
	if got := w.gateway.received("c1"); len(got) > len(first) || len(w.waiters.all()) > 0 {
		t.Errorf("told %v", got)
	}
	w.sendText("c1", `{"type":"error","session":"a-session-token","code":"internal_error","message":"the local service is down"}`)
	if !strings.Contains(w.log.String(), "the local service is down") {
		t.Error("what the agent reports is not in the log")
	}
	w.unlogged("a-session-token")
	if strings.Contains(w.log.String(), strings.Repeat("x", 200)) {
		t.Error("long texts are in the log")
	}
}

// Both sides must see the same request ID, session and number in a message: one
// checks them, the other acts by them.
func FuzzEnvelope(f *testing.F) {
	for _, seed := range []string{
		`{"type":"http_response","request_id":"a","status_code":200,"headers":{},"body":"","session":"s","resent":true}`,
		`{"type":"http_response","request_id":"a","REQUEST_ID":"b","request_id":"c","status_code":200}`,
		`{"type":"chunk","request_id":"a","seq":3,"last":true,"body":"aGk=","session":"s"}`,
		`{"type":"resend","request_id":"a","seqs":[1,2],"from":3,"session":"s"}`,
		`{"type":"error","request_id":"a","code":"timeout","message":"m"}`,
		`{"type":"ping","session":"s"}`, `{"type":"ready"}`, `{"Type":"ready","type":"ping"}`, `[]`, ``,
	} {
		f.Add([]byte(seed))
		// A long one is read in another way.
		f.Add([]byte(strings.Replace(seed, `"body":"`, `"body":"`+strings.Repeat("QUJD", event.CutOver/4), 1)))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		e, _, err := readEnvelope(text)
		m, werr := wire.DecodeDeclared(text, wire.MaxGatewayMessage)
		if err != nil || werr != nil {
			return
		}
		switch m := m.(type) {
		case *wire.HTTPResponse:
			same(t, text, e, wire.TypeHTTPResponse, m.RequestID, m.Session, m.Resent, e.Seq)
		case *wire.Chunk:
			same(t, text, e, wire.TypeChunk, m.RequestID, m.Session, m.Resent, m.Seq)
		case *wire.Resend:
			same(t, text, e, wire.TypeResend, m.RequestID, m.Session, e.Resent, e.Seq)
		case *wire.ErrorMessage:
			same(t, text, e, wire.TypeError, m.RequestID, m.Session, m.Resent, e.Seq)
		case *wire.Ping:
			same(t, text, e, wire.TypePing, e.RequestID, m.Session, e.Resent, e.Seq)
		case *wire.Ready:
			same(t, text, e, wire.TypeReady, e.RequestID, e.Session, e.Resent, e.Seq)
		}
	})
}

func same(t *testing.T, text []byte, e *envelope, kind wire.MessageType, id, session string, resent bool, seq int) {
	t.Helper()
	want := envelope{Type: kind, RequestID: id, Session: session, Resent: resent, Seq: seq}
	if diff := cmp.Diff(want, *e); diff != "" {
		t.Errorf("%q is seen differently (-wire +envelope):\n%s", text, diff)
	}
}
