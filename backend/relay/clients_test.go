package relay

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"culvert/backend/action"
	"culvert/backend/wire"
)

// asker is a peer that sends text and reads what comes.
type asker struct {
	*websocket.Conn
	t testing.TB
}

func (a *asker) ask(text string) object {
	a.t.Helper()
	if err := a.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		a.t.Fatal(err)
	}
	return readObject(a.t, a.Conn)
}

func errorCode(o object) any {
	e, _ := o["error"].(object)
	return e["code"]
}

func errorMessage(o object) string {
	e, _ := o["error"].(object)
	text, _ := e["message"].(string)
	return text
}

// clients is how many there are.
func (s *Server) clients() int {
	s.connections.mu.Lock()
	defer s.connections.mu.Unlock()
	return s.connections.clients.taken
}

// Clients and agents, in both forms, get the same answers.
func TestActionsAreAnswered(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	cases := []struct{ ask, answer string }{
		{`{"action":"ping","data":"Ann"}`, `{"action":"ping","status":"success","result":{"message":"pong","name":"Ann"}}`},
		{`{"action":"ping","data":{"name":"Ann"},"id":"7"}`, `{"action":"ping","id":"7","status":"success","result":{"message":"pong","name":"Ann"}}`},
		{`{"action":"ping"}`, `{"action":"ping","status":"success","result":{"message":"pong"}}`},
		{`{"action":"ping","data":{}}`, `{"action":"ping","status":"success","result":{"message":"pong"}}`},
		{`{"action":"ping","data":"<b>\u0000"}`, `{"action":"ping","status":"success","result":{"message":"pong","name":"<b>\u0000"}}`},
		{`{"action":"ping","data":5}`, "invalid_request"},
		{`{"action":"ping","data":{"name":5}}`, "invalid_request"},
		{`{"action":"ping","data":"` + strings.Repeat("a", maxPingee+1) + `"}`, "invalid_request"},
		{`{"action":"echo","data":{"a":[1, 2]},"id":"x"}`, `{"action":"echo","id":"x","status":"success","result":{"a":[1,2]}}`},
		{`{"action":"uppercase","data":"žlutý"}`, `{"action":"uppercase","status":"success","result":"ŽLUTÝ"}`},
		{`{"action":"reverse","data":{"text":"abc"}}`, `{"action":"reverse","status":"success","result":"cba"}`},
		{`{"action":"uppercase"}`, "invalid_request"},
		{`{"action":"frobnicate"}`, "not_implemented"},
		{`{"action":"Ping"}`, "not_implemented"},
		{`{"action":""}`, "invalid_request"},
		{`{"action":7}`, "invalid_request"},
		{`{"action":"` + strings.Repeat("a", 70) + `"}`, "invalid_request"},
		{`{"hello":"there"}`, "invalid_request"},
		{`{}`, "invalid_request"},
		{`hello`, "invalid_request"},
		{`[1]`, "invalid_request"},
		{``, "invalid_request"},
		{"\xff", "invalid_request"},
		{`{"action":"echo","data":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, "too_large"},
		{`{"action":"authorize","data":"token"}`, "invalid_request"}, // this relay takes none
		{`{"action":"authorize"}`, "invalid_request"},
		{`{"action":"authorize","data":{"owner":"x","proof":"y"}}`, "unauthorized"},
	}
	for name, dial := range map[string]func() *websocket.Conn{
		"client in form 1": func() *websocket.Conn { return r.mustDialAgent(nil) },
		"client in form 2": func() *websocket.Conn { return r.mustDialAgent(nil, wire.Subprotocol) },
		"agent in form 1": func() *websocket.Conn {
			ws := r.mustDialAgent(nil)
			writeObject(t, ws, declaredReady)
			readObject(t, ws)
			return ws
		},
		"agent in form 2": func() *websocket.Conn {
			ws := r.mustDialAgent(nil, wire.Subprotocol)
			writeObject(t, ws, declaredReady)
			readObject(t, ws)
			return ws
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &asker{dial(), t}
			for _, c := range cases {
				got := a.ask(c.ask)
				text, _ := json.Marshal(got)
				if strings.HasPrefix(c.answer, "{") {
					var want object
					json.Unmarshal([]byte(c.answer), &want)
					if wanted, _ := json.Marshal(want); string(text) != string(wanted) {
						t.Errorf("%s: got %s, want %s", c.ask, text, wanted)
					}
				} else if got["status"] != "error" || errorCode(got) != c.answer || got["error"].(object)["message"] == "" {
					t.Errorf("%.80s: got %s, want %s", c.ask, text, c.answer)
				}
			}
			if got := a.ask(`{"action":"frobnicate"}`); !strings.Contains(fmt.Sprint(got), "authorize, connections, echo, ping, reverse, timestamp, uppercase") {
				t.Errorf("what there is: %v", got)
			}
			got := a.ask(`{"action":"timestamp"}`)
			at, err := time.Parse(time.RFC3339Nano, got["result"].(object)["time"].(string))
			if err != nil || time.Since(at).Abs() > time.Minute {
				t.Errorf("timestamp: %v", got)
			}
		})
	}
}

// What is no action, but the tunnel's, is not answered as one.
func TestTypedMessagesAreTheTunnels(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	a := &asker{r.mustDialAgent(nil), t}
	for _, o := range []object{
		{"type": "hello"}, {"type": "http_response", "request_id": "r1", "status_code": 200},
		{"type": "error", "code": "internal_error", "message": "forged line"}, {"type": "notice", "id": "1", "data": 1},
		{"action": "ping", "status": "success", "result": 1},
	} {
		writeObject(t, a.Conn, o)
	}
	if got := a.ask(`{"type":"ping"}`); got["type"] != "pong" {
		t.Errorf("got %v", got)
	}
	if got := a.ask(`{"action":"ping"}`); got["status"] != "success" {
		t.Errorf("got %v", got)
	}
	if log := r.log.String(); strings.Contains(log, "forged") {
		t.Errorf("a client writes into the log: %s", log)
	}
}

// An original agent gets nothing that it does not know, whatever it sends.
func TestOriginalAgentsAreLeftAlone(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	a := &asker{r.mustDialAgent(nil), t}
	a.ask(`{"type":"ready"}`)
	for _, text := range []string{"hello", "{}", `{"message":"x"}`, `{"action":""}`} {
		a.WriteMessage(websocket.TextMessage, []byte(text))
	}
	if got := a.ask(`{"type":"ping"}`); got["type"] != "pong" {
		t.Errorf("got %v", got)
	}
	// It may ask all the same.
	if got := a.ask(`{"action":"ping"}`); got["status"] != "success" {
		t.Errorf("got %v", got)
	}
}

func TestClientBecomesAgent(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	for _, protocols := range [][]string{nil, {wire.Subprotocol}} {
		a := &asker{r.mustDialAgent(nil, protocols...), t}
		if got := a.ask(`{"action":"connections"}`)["result"].(object)["connections"].([]any); len(got) != 1 || got[0].(object)["this"] != true {
			t.Errorf("a client nobody knows sees %v", got)
		}
		owner := newOwner(t)
		ready := object{"owner": owner.Public(), "proof": r.prove(a.Conn, owner, r.addr)}
		for k, v := range declaredReady {
			ready[k] = v
		}
		text, _ := json.Marshal(ready)
		hello := a.ask(string(text))
		if hello["type"] != "connection_established" || fmt.Sprint(hello["capabilities"]) != "[resume actions notices]" {
			t.Fatalf("got %v", hello)
		}
		list := a.ask(`{"action":"connections"}`)["result"].(object)
		if list["user"] != "key:"+owner.Public() {
			t.Errorf("got %v", list)
		}
		got := list["connections"].([]any)[0].(object)
		if got["connection_id"] != hello["connection_id"] || got["tunnel_id"] != hello["tunnel_id"] || got["agent"] != "test/1" || got["from"] != "127.0.0.1" || got["this"] != true {
			t.Errorf("got %v", got)
		}
		if seats := r.clients(); seats != 0 {
			t.Errorf("an agent takes a client's seat: %d", seats)
		}
		if protocols == nil {
			answered := make(chan string)
			go func() {
				_, body := r.get("/" + hello["tunnel_id"].(string) + "/")
				answered <- body
			}()
			writeObject(t, a.Conn, respond(readObject(t, a.Conn), 200, nil, "served"))
			if body := <-answered; body != "served" {
				t.Errorf("visitors get %q", body)
			}
		}
		a.Close()
		eventually(t, "all are gone", func() bool { return len(r.connections.all()) == 0 })
	}
}

// A second ready changes nothing; a malformed one is refused as an agent is.
func TestReadyTwice(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	a := &asker{r.mustDialAgent(nil), t}
	first := a.ask(`{"type":"ready","protocol":2,"capabilities":["actions"]}`)
	writeObject(t, a.Conn, object{"type": "ready", "tunnel_id": "other"})
	list := a.ask(`{"action":"connections"}`)["result"].(object)["connections"].([]any)
	if len(list) != 1 || list[0].(object)["tunnel_id"] != first["tunnel_id"] {
		t.Errorf("got %v", list)
	}
	bad := &asker{r.mustDialAgent(nil), t}
	if got := bad.ask(`{"type":"ready","protocol":"two"}`); got["type"] != "error" || got["code"] != "invalid_request" {
		t.Errorf("got %v", got)
	}
	if code := readClose(t, bad.Conn); code != closePolicy {
		t.Errorf("closed with %d", code)
	}
}

func TestClientsAreBounded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ all, each int }{"per address": {100, 2}, "in all": {2, 100}} {
		r := startRelay(t, func(cfg *Config) { cfg.Limits.Clients, cfg.Limits.ClientsPerUser = c.all, c.each })
		for range 5 {
			r.startAgent1(nil, nil) // agents do not count, nor do those about to be one
			r.mustDialAgent(nil)
		}
		var clients []*asker
		for range 2 {
			a := &asker{r.mustDialAgent(nil), t}
			if got := a.ask(`{"action":"ping"}`); got["status"] != "success" {
				t.Fatalf("%s: %v", name, got)
			}
			clients = append(clients, a)
		}
		third := &asker{r.mustDialAgent(nil), t}
		if got := third.ask(`{"action":"ping"}`); errorCode(got) != "throttled" {
			t.Errorf("%s: the third got %v", name, got)
		}
		if code := readClose(t, third.Conn); code != closeTryLater {
			t.Errorf("%s: closed with %d", name, code)
		}
		clients[0].Close()
		eventually(t, "a seat is free", func() bool {
			a := &asker{r.mustDialAgent(nil), t}
			return a.ask(`{"action":"ping"}`)["status"] == "success"
		})
	}
}

// One client too many learns which ones there are, and nothing else.
func TestTooManyClientsCanBeListed(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Config){
		"by token": func(c *Config) { c.Authenticate = bySubject }, "deferred": deferring, "by owner key": func(*Config) {},
	} {
		for _, protocols := range [][]string{nil, {wire.Subprotocol}} {
			t.Run(fmt.Sprint(name, protocols), func(t *testing.T) {
				t.Parallel()
				r := startRelay(t, func(c *Config) { change(c); c.Limits.ClientsPerUser = 2 })
				owner := newOwner(t)
				dial := func() *asker {
					var header http.Header
					if name == "by token" {
						header = http.Header{"Authorization": {"Bearer ann"}}
					}
					a := &asker{r.mustDialAgent(header, protocols...), t}
					credentials := `"ann"`
					if name == "by owner key" {
						credentials = `{"owner":"` + owner.Public() + `","proof":"` + r.prove(a.Conn, owner, r.addr) + `"}`
					}
					if got := a.ask(`{"action":"authorize","data":` + credentials + `}`); got["status"] != "success" {
						t.Fatalf("got %v", got)
					}
					return a
				}
				for range 2 {
					if got := dial().ask(`{"action":"ping"}`); got["status"] != "success" {
						t.Fatalf("got %v", got)
					}
				}
				third := dial()
				result, _ := third.ask(`{"action":"connections","id":"1"}`)["result"].(object)
				if list, _ := result["connections"].([]any); len(list) != 3 || list[2].(object)["this"] != true {
					t.Errorf("the third sees %v", result)
				}
				if code := readClose(t, third.Conn); code != closeTryLater {
					t.Errorf("closed with %d", code)
				}
				if n := r.clients(); n != 2 {
					t.Errorf("%d clients", n)
				}
				fourth := dial()
				if got := fourth.ask(`{"action":"ping"}`); errorCode(got) != "throttled" || !strings.Contains(errorMessage(got), "culvert connections") {
					t.Errorf("another question: %v", got)
				}
				if code := readClose(t, fourth.Conn); code != closeTryLater {
					t.Errorf("closed with %d", code)
				}
			})
		}
	}
}

// One that only says who it is does not stay.
func TestTooManyClientsDoNotStay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := startBubble(t, func(c *Config) { deferring(c); c.Limits.ClientsPerUser = 1 })
		var last *bubbleConn
		for range 2 {
			last = b.dial(nil)
			for range 2 { // for the second one it has to be a client
				last.say(object{"action": "authorize", "data": "ann"})
				if got := last.hear(); got["status"] != "success" {
					t.Errorf("got %v", got)
				}
			}
		}
		start := time.Now()
		if _, code, _ := last.untilClosed(); code != closeTryLater || time.Since(start) > time.Minute {
			t.Errorf("closed with %d after %v", code, time.Since(start))
		}
	})
}

func TestFloodsAreThrottled(t *testing.T) {
	t.Parallel()
	for _, protocols := range [][]string{nil, {wire.Subprotocol}} {
		for name, text := range map[string]string{"actions": `{"action":"echo","data":"x"}`, "nonsense": "x", "host actions": `{"action":"ping"}`} {
			synctest.Test(t, func(t *testing.T) {
				b := startBubble(t, nil)
				c := b.dial(nil, protocols...)
				messages := c.listen()
				send := func(n int) (good, throttled int) {
					for range n {
						if c.WriteMessage(websocket.TextMessage, []byte(text)) != nil {
							break
						}
					}
					synctest.Wait()
					for len(messages) > 0 {
						if o := <-messages; errorCode(o) == "throttled" {
							throttled++
						} else {
							good++
						}
					}
					return good, throttled
				}
				if good, throttled := send(60); good != 50 || throttled != 10 {
					t.Errorf("%s: %d answered, %d throttled of 60", name, good, throttled)
				}
				time.Sleep(time.Second)
				if good, throttled := send(30); good != 10 || throttled != 20 {
					t.Errorf("%s: a second later %d answered, %d throttled of 30", name, good, throttled)
				}
				send(200)
				time.Sleep(2 * time.Second)
				if b.open() != 0 {
					t.Errorf("%s: who goes on regardless stays", name)
				}
			})
		}
	}
}

// Eight actions of one connection run at once, the others wait for their turn, and
// all are answered in time. The reader never waits for them.
func TestSlowActions(t *testing.T) {
	t.Parallel()
	for _, obedient := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			b := startBubble(t, nil)
			var running, most atomic.Int32
			release := make(chan struct{})
			b.do = func(ctx context.Context, c *action.Call) (json.RawMessage, error) {
				most.Store(max(most.Load(), running.Add(1)))
				defer running.Add(-1)
				if obedient {
					<-ctx.Done()
					return nil, &wire.ActionError{Code: wire.CodeTimeout, Message: "told so"}
				}
				<-release
				return nil, nil
			}
			c := b.dial(nil)
			messages := c.listen()
			start := time.Now()
			for i := range 20 {
				c.say(object{"action": "echo", "id": fmt.Sprint(i)})
			}
			c.say(object{"action": "ping"})
			if o := <-messages; o["action"] != "ping" || time.Since(start) > 0 {
				t.Errorf("after %v: %v", time.Since(start), o)
			}
			synctest.Wait()
			if n := running.Load(); n != actionsAtOnce {
				t.Errorf("%d run at once", n)
			}
			for range 20 {
				if o := <-messages; errorCode(o) != "timeout" || time.Since(start) != 5*time.Second {
					t.Errorf("after %v: %v", time.Since(start), o)
				}
			}
			if n := most.Load(); n != actionsAtOnce {
				t.Errorf("%d ran at once", n)
			}
			close(release)
		})
	}
}

// What actions hold in memory is bounded.
func TestActionsMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := startBubble(t, nil)
		b.do = func(ctx context.Context, c *action.Call) (json.RawMessage, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		c := b.dial(nil)
		messages := c.listen()
		for range 40 {
			c.say(object{"action": "echo", "data": strings.Repeat("x", 60<<10)})
		}
		synctest.Wait()
		if n := len(messages); n != 40-actionBytes/(60<<10) {
			t.Errorf("%d were refused at once", n)
		}
	})
}

// A message is too large first, and then far too large.
func TestHugeActions(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	a := &asker{r.mustDialAgent(nil), t}
	if got := a.ask(`{"action":"echo","id":"1","data":"` + strings.Repeat("x", wire.MaxAction) + `"}`); errorCode(got) != "too_large" || got["id"] != "1" {
		t.Errorf("got %v", got)
	}
	if got := a.ask(`{"action":"echo","data":"` + strings.Repeat("x", wire.MaxActionData-2) + `"}`); got["status"] != "success" || len(got["result"].(string)) != wire.MaxActionData-2 {
		t.Errorf("got %.100v", got)
	}
	if got := a.ask(`{"action":"echo","id":"1","data":"` + strings.Repeat("x", wire.MaxActionData-1) + `"}`); errorCode(got) != "too_large" || got["id"] != "1" || strings.Contains(errorMessage(got), "result") {
		t.Errorf("got %.100v", got)
	}
	for _, text := range []string{"hello", "{}", `{"action":""}`} {
		if got := errorMessage(a.ask(text)); strings.Contains(got, "protocol") || !strings.Contains(got, `{"action":"ping"}`) {
			t.Errorf("%s is answered by %q", text, got)
		}
	}
	a.WriteMessage(websocket.TextMessage, make([]byte, 129<<10))
	if code := readClose(t, a.Conn); code != websocket.CloseMessageTooBig && code != 0 {
		t.Errorf("closed with %d", code)
	}
	// An agent's messages may be large, its actions may not.
	agent := &asker{r.mustDialAgent(nil), t}
	agent.ask(`{"type":"ready"}`)
	if got := agent.ask(`{"action":"echo","data":"` + strings.Repeat("x", 1<<20) + `"}`); errorCode(got) != "too_large" {
		t.Errorf("got %v", got)
	}
	for _, protocols := range [][]string{nil, {wire.Subprotocol}} {
		ws := r.mustDialAgent(nil, protocols...)
		ws.WriteMessage(websocket.BinaryMessage, []byte("x"))
		if code := readClose(t, ws); code != websocket.CloseUnsupportedData && code != websocket.CloseProtocolError {
			t.Errorf("after a binary message: closed with %d", code)
		}
	}
}

// A client that sends and does not read is cut, and soon.
func TestWhoDoesNotReadIsCut(t *testing.T) {
	t.Parallel()
	for _, protocols := range [][]string{nil, {wire.Subprotocol}} {
		synctest.Test(t, func(t *testing.T) {
			b := startBubble(t, nil)
			c := b.dial(nil, protocols...)
			var asking sync.WaitGroup
			defer asking.Wait()
			asking.Go(func() {
				text := []byte(`{"action":"echo","data":"` + strings.Repeat("x", 60<<10) + `"}`)
				for c.WriteMessage(websocket.TextMessage, text) == nil {
					time.Sleep(200 * time.Millisecond)
				}
			})
			synctest.Wait()
			if took := b.wait(time.Minute, func() bool { return b.open() == 0 }); took > 30*time.Second {
				t.Errorf("cut after %v", took)
			}
			c.raw.Close()
		})
	}
}

// A client may be silent for ten minutes. It is a client once the handshake's time is
// over, and control pings do not keep it.
func TestIdleClients(t *testing.T) {
	t.Parallel()
	for _, protocols := range [][]string{nil, {wire.Subprotocol}} {
		synctest.Test(t, func(t *testing.T) {
			b := startBubble(t, nil)
			silent, typing := b.dial(nil, protocols...), b.dial(nil, protocols...)
			answers := typing.listen()
			var typist sync.WaitGroup
			defer typist.Wait()
			typist.Go(func() {
				for range 8 {
					typing.say(object{"action": "ping"})
					<-answers
					time.Sleep(9 * time.Minute)
				}
			})
			start := time.Now()
			go func() {
				time.Sleep(15 * time.Second)
				if n := b.clients(); n != 2 {
					t.Errorf("%d clients, want both", n)
				}
			}()
			_, code, _ := silent.untilClosed()
			if took := time.Since(start); code != closeGoingAway || took < 10*time.Minute || took > 10*time.Minute+5*time.Second {
				t.Errorf("a silent client was closed with %d after %v", code, took)
			}
			time.Sleep(time.Hour)
			if b.open() != 1 {
				t.Error("one that types every nine minutes is gone after an hour")
			}
		})
	}
}

// Half-open connections are found within 30 s, whoever they are of.
func TestHalfOpenConnectionsAreFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hello    object
		deferred bool
	}{
		"original agent": {hello: object{"type": "ready"}}, "agent": {hello: declaredReady},
		"client": {hello: object{"action": "ping"}}, "silent": {}, "stranger": {deferred: true},
	} {
		for form, protocols := range [][]string{nil, {wire.Subprotocol}} {
			t.Run(fmt.Sprintf("%s in form %d", name, form+1), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					b := startBubble(t, func(cfg *Config) {
						if c.deferred {
							cfg.Authenticate, cfg.ConnectAuth = admitToken("x", userAnn), AuthDeferred
						}
					})
					// At every second between two pings the line may go.
					for _, alive := range []time.Duration{0, time.Second, 9 * time.Second, 11 * time.Second, 24 * time.Second, 38 * time.Second} {
						ws := b.dial(nil, protocols...)
						if c.hello != nil {
							ws.say(c.hello)
							ws.hear()
						}
						ws.SetReadDeadline(time.Now().Add(alive))
						ws.ReadMessage() // and answer pings
						ws.vanish()
						took := b.wait(time.Minute, func() bool { return b.open() == 0 })
						if took > 25*time.Second+200*time.Millisecond {
							t.Errorf("found after %v", took)
						}
						t.Logf("alive for %v, found %v later", alive, took.Round(time.Second))
						ws.raw.Close()
					}
				})
			})
		}
	}
}

// Clients are told that the relay stops.
func TestClientsAreClosedWhenTheRelayStops(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	var all []*websocket.Conn
	for _, protocols := range [][]string{nil, {wire.Subprotocol}} {
		a := &asker{r.mustDialAgent(nil, protocols...), t}
		a.ask(`{"action":"ping"}`)
		all = append(all, a.Conn)
	}
	codes := make(chan int, len(all))
	for _, ws := range all {
		go func() { codes <- readClose(t, ws) }()
	}
	r.stop()
	for range all {
		if code := <-codes; code != closeGoingAway {
			t.Errorf("closed with %d", code)
		}
	}
}

// The connections of a user, and of nobody else, are listed.
func TestConnectionsAreListed(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) {
		c.Authenticate = bySubject
		c.Limits.HandshakesPerSecondFromIP, c.Limits.ClientsPerUser = 1000, 200
	})
	dial := func(user string, protocols ...string) *asker {
		t.Helper()
		return &asker{r.mustDialAgent(http.Header{"Authorization": {"Bearer " + user}}, protocols...), t}
	}
	list := func(a *asker) (ids []string, result object) {
		result = a.ask(`{"action":"connections"}`)["result"].(object)
		for _, c := range result["connections"].([]any) {
			c := c.(object)
			for _, field := range []string{"connected_at", "last_seen"} {
				if at, err := time.Parse(time.RFC3339, c[field].(string)); err != nil || time.Since(at) > time.Minute {
					t.Errorf("%s is %v", field, c[field])
				}
			}
			ids = append(ids, fmt.Sprintf("%v/%v", c["agent"], c["this"]))
		}
		return ids, result
	}
	one := dial("ann")
	one.ask(`{"type":"ready","protocol":2,"capabilities":["actions"],"agent":"first"}`)
	two := dial("ann", wire.Subprotocol)
	two.ask(`{"type":"ready","protocol":2,"capabilities":["actions"],"agent":"second"}`)
	other := dial("bob")
	spoof := dial("user:ann")
	for a, want := range map[*asker]string{
		one: "[first/true second/false] ann", two: "[first/false second/true] ann", other: "[<nil>/true] bob", spoof: "[<nil>/true] user:ann",
	} {
		ids, result := list(a)
		if got := fmt.Sprint(ids, " ", result["user"]); got != want || result["more"] != nil {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for range maxListed {
		dial("ann")
	}
	if ids, result := list(one); len(ids) != maxListed || result["more"] != true || ids[0] != "first/true" {
		t.Errorf("%d of many, more %v", len(ids), result["more"])
	}
}

// A browser's page is a client only with a token.
func TestPagesNeedTokens(t *testing.T) {
	t.Parallel()
	page := http.Header{"Origin": {"https://page.test"}}
	for name, c := range map[string]struct {
		change func(*Config)
		status int
	}{
		"loopback": {func(*Config) {}, 403},
		"open":     {func(c *Config) { c.Open = true }, 403},
		"tokens":   {func(c *Config) { c.Authenticate = bySubject }, 401},
		"deferred": {func(c *Config) { c.Authenticate, c.ConnectAuth = bySubject, AuthDeferred }, 101},
	} {
		r := startRelay(t, c.change)
		ws, res, err := r.dialAgent(page)
		if res == nil || res.StatusCode != c.status {
			t.Errorf("%s: %v %v", name, res, err)
			continue
		}
		if err != nil {
			io.Copy(io.Discard, res.Body)
			if log := r.log.String(); c.status == 403 && (!strings.Contains(log, "connection refused") || !strings.Contains(log, "web pages") || !strings.Contains(log, "--jwt-secret-file")) {
				t.Errorf("%s: the log does not say what to do:\n%s", name, log)
			}
			continue
		}
		a := &asker{ws, t}
		owner := newOwner(t)
		r.challenges.Store(ws, res.Header.Get(wire.ChallengeHeader))
		key := `{"action":"authorize","data":{"owner":"` + owner.Public() + `","proof":"` + r.prove(ws, owner, r.addr) + `"}}`
		if got := a.ask(key); errorCode(got) != "unauthorized" {
			t.Errorf("by an owner key: %v", got)
		}
		if got := a.ask(`{"action":"ping"}`); errorCode(got) != "unauthorized" {
			t.Errorf("without authorize: %v", got)
		}
		a.ask(`{"action":"authorize","data":"ann"}`)
		if got := a.ask(`{"action":"ping"}`); got["status"] != "success" {
			t.Errorf("after authorize: %v", got)
		}
	}
}
