package relay

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"culvert/backend/wire"
)

// notify sends a notice with a token, or none.
func (r *testRelay) notify(token, kind, body string, header ...string) (*http.Response, object) {
	r.t.Helper()
	if token != "" {
		header = append(header, "Authorization", "Bearer "+token)
	}
	res, text := r.do("POST", notifyPath+kind, strings.NewReader(body), append(header, "Content-Type", "application/json")...)
	var o object
	if err := json.Unmarshal([]byte(text), &o); err != nil || res.Header.Get("Content-Type") != "application/json" {
		r.t.Fatalf("%d: %q is no JSON", res.StatusCode, text)
	}
	return res, o
}

// receiver is a connection that takes notices.
func (r *testRelay) receiver(token, ready string, protocols ...string) (*asker, object) {
	r.t.Helper()
	a := &asker{r.mustDialAgent(http.Header{"Authorization": {"Bearer " + token}}, protocols...), r.t}
	return a, a.ask(ready)
}

const readyForNotices = `{"type":"ready","protocol":2,"capabilities":["notices"]}`

// A notice to a user reaches all of his connections that take notices, and nobody else's.
func TestNoticesReachTheirUser(t *testing.T) {
	t.Parallel()
	r := startRelay(t, deferring)
	one, _ := r.receiver("ann", readyForNotices)
	two, _ := r.receiver("ann", readyForNotices, wire.Subprotocol)
	client, list := r.receiver("ann", `{"action":"connections"}`)
	bob, _ := r.receiver("bob", readyForNotices)
	spoof, _ := r.receiver("user:ann", readyForNotices)
	deaf := map[string]*asker{}
	deaf["an original agent"], _ = r.receiver("ann", `{"type":"ready"}`)
	deaf["an agent that did not ask for them"], _ = r.receiver("ann", `{"type":"ready","protocol":2,"capabilities":["actions"]}`)
	deaf["another user"], deaf["a user by the owner's name"] = bob, spoof
	deaf["a stranger"] = &asker{r.mustDialAgent(nil), t}

	res, got := r.notify("root", "user", `{"userId":"ann", "data": {"title":"<hi>", "n":[1, 2]}, "id":"n1", "other":1}`)
	if res.StatusCode != 200 || fmt.Sprint(got) != "map[delivered:3 id:n1]" {
		t.Fatalf("%d %v", res.StatusCode, got)
	}
	for name, a := range map[string]*asker{"form 1": one, "form 2": two, "client": client} {
		n := readObject(t, a.Conn)
		at, _ := n["time"].(float64)
		if n["type"] != "notice" || n["id"] != "n1" || fmt.Sprint(n["data"]) != "map[n:[1 2] title:<hi>]" || time.Since(time.UnixMilli(int64(at))).Abs() > time.Minute {
			t.Errorf("%s got %v", name, n)
		}
	}
	// To one connection, by his own token; the ID is made where none is given.
	id := list["result"].(object)["connections"].([]any)[2].(object)["connection_id"].(string)
	res, got = r.notify("ann", "connection", `{"connectionId":"`+id+`","data":null}`)
	if res.StatusCode != 200 || got["delivered"] != 1.0 {
		t.Fatalf("%d %v", res.StatusCode, got)
	}
	if n := readObject(t, client.Conn); n["id"] != got["id"] || n["id"] == "" || n["data"] != nil {
		t.Errorf("got %v", n)
	}
	for name, a := range deaf {
		if got := a.ask(`{"type":"ping"}`); got["type"] != "pong" {
			t.Errorf("%s got %v", name, got)
		}
	}
	if _, got := r.notify("root", "user", `{"userId":"user:ann","data":1}`); got["delivered"] != 1.0 {
		t.Errorf("a user called user:ann: %v", got)
	}
	if got := readObject(t, spoof.Conn); got["type"] != "notice" {
		t.Errorf("got %v", got)
	}
	if res, got := r.notify("root", "user", `{"userId":"nobody","data":1}`); res.StatusCode != 200 || got["delivered"] != 0.0 {
		t.Errorf("nobody: %d %v", res.StatusCode, got)
	}
	one.Close()
	client.Close()
	eventually(t, "two are gone", func() bool {
		_, got := r.notify("root", "user", `{"userId":"ann","data":1}`)
		return got["delivered"] == 1.0
	})
	if log := r.log.String(); strings.Contains(log, "title") || strings.Contains(log, "<hi>") {
		t.Errorf("a notice stands in the log:\n%s", log)
	}
}

// Owner keys are users, too.
func TestNoticesReachOwnerKeys(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	owner := newOwner(t)
	a := r.claim(owner, object{"capabilities": []string{"notices"}})
	if res, got := r.notify("", "user", `{"userId":"key:`+owner.Public()+`","data":"hello"}`); res.StatusCode != 200 || got["delivered"] != 1.0 {
		t.Fatalf("%d %v", res.StatusCode, got)
	}
	if got := readObject(t, a.Conn); got["data"] != "hello" {
		t.Errorf("got %v", got)
	}
	// A key without its prefix is a user's name.
	if _, got := r.notify("", "user", `{"userId":"`+owner.Public()+`","data":"hello"}`); got["delivered"] != 0.0 {
		t.Errorf("got %v", got)
	}
}

func TestNoticesAreRefused(t *testing.T) {
	t.Parallel()
	tokens := startRelay(t, func(c *Config) {
		deferring(c)
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} // for addresses of many
	})
	loopback := startRelay(t, nil)
	open := startRelay(t, func(c *Config) { c.Open = true })
	_, hello := tokens.receiver("ann", readyForNotices)
	ann := `{"connectionId":"` + hello["connection_id"].(string) + `","data":1}`
	stranger := &asker{tokens.mustDialAgent(nil), t}
	eventually(t, "the stranger is there", func() bool { return len(tokens.connections.all()) == 2 })
	strange := ""
	for _, c := range tokens.connections.all() {
		if c.id != hello["connection_id"] {
			strange = c.id
		}
	}
	defer stranger.Close()
	const good = `{"userId":"ann","data":1}`
	for _, c := range []struct {
		name              string
		relay             *testRelay
		token, kind, body string
		header            []string
		status            int
		code              string
	}{
		{"no token", tokens, "", "user", good, nil, 401, "unauthorized"},
		{"a wrong token", tokens, "bad", "user", good, nil, 401, "unauthorized"},
		{"keys that cannot be had", tokens, "unsure", "user", good, nil, 503, "internal_error"},
		{"another's user", tokens, "bob", "user", good, nil, 403, "forbidden"},
		{"another's connection", tokens, "bob", "connection", ann, nil, 403, "forbidden"},
		{"by a name that looks like the owner's", tokens, "user:ann", "user", good, nil, 403, "forbidden"},
		{"the same, to the connection", tokens, "user:ann", "connection", ann, nil, 403, "forbidden"},
		{"an owner key's", tokens, "ann", "user", `{"userId":"key:ann","data":1}`, nil, 403, "forbidden"},
		{"unknown connection", tokens, "root", "connection", `{"connectionId":"none","data":1}`, nil, 404, "not_found"},
		{"unknown connection of nobody", tokens, "bob", "connection", `{"connectionId":"none","data":1}`, nil, 404, "not_found"},
		{"a stranger's connection", tokens, "root", "connection", `{"connectionId":"` + strange + `","data":1}`, nil, 404, "not_found"},
		{"a form", tokens, "root", "user", good, []string{"Content-Type", "text/plain"}, 415, "invalid_request"},
		{"compressed", tokens, "root", "user", good, []string{"Content-Encoding", "gzip"}, 415, "invalid_request"},
		{"no JSON", tokens, "root", "user", "hello", nil, 400, "invalid_request"},
		{"empty", tokens, "root", "user", "", nil, 400, "invalid_request"},
		{"two", tokens, "root", "user", good + good, nil, 400, "invalid_request"},
		{"no user", tokens, "root", "user", `{"data":1}`, nil, 400, "invalid_request"},
		{"user of another type", tokens, "root", "user", `{"userId":7,"data":1}`, nil, 400, "invalid_request"},
		{"both", tokens, "root", "user", `{"userId":"ann","connectionId":"x","data":1}`, nil, 400, "invalid_request"},
		{"a connection as a user", tokens, "root", "user", `{"connectionId":"x","data":1}`, nil, 400, "invalid_request"},
		{"a user as a connection", tokens, "root", "connection", good, nil, 400, "invalid_request"},
		{"no data", tokens, "root", "user", `{"userId":"ann"}`, nil, 400, "invalid_request"},
		{"a long ID", tokens, "root", "user", `{"userId":"ann","data":1,"id":"` + strings.Repeat("x", 129) + `"}`, nil, 400, "invalid_request"},
		{"a long user", tokens, "root", "user", `{"userId":"` + strings.Repeat("x", 600) + `","data":1}`, nil, 400, "invalid_request"},
		{"no UTF-8", tokens, "root", "user", "{\"userId\":\"ann\",\"data\":\"\xff\"}", nil, 400, "invalid_request"},
		{"nested", tokens, "root", "user", `{"userId":"ann","data":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, nil, 413, "too_large"},
		{"too large for a notice", tokens, "root", "user", `{"userId":"ann","data":"` + strings.Repeat("x", wire.MaxNotice) + `"}`, nil, 413, "too_large"},
		{"too large for anything", tokens, "root", "user", `{"userId":"ann","data":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 413, "too_large"},
		{"loopback, a page", loopback, "", "user", good, []string{"Origin", "http://127.0.0.1"}, 403, "forbidden"},
		{"loopback, forwarded", loopback, "", "user", good, []string{"X-Forwarded-For", "1.2.3.4"}, 403, "forbidden"},
		{"open, forwarded", open, "", "user", good, []string{"X-Forwarded-For", "1.2.3.4"}, 403, "forbidden"},
		{"open, a page", open, "", "user", good, []string{"Origin", "http://127.0.0.1"}, 403, "forbidden"},
	} {
		res, got := c.relay.notify(c.token, c.kind, c.body, c.header...)
		if res.StatusCode != c.status || errorCode(got) != c.code || got["status"] != "error" || got["action"] != "notify_"+c.kind {
			t.Errorf("%s: %d %v, want %d %s", c.name, res.StatusCode, got, c.status, c.code)
		}
		if (c.status == 401) != (res.Header.Get("WWW-Authenticate") != "") || (c.status == 503) != (res.Header.Get("Retry-After") != "") {
			t.Errorf("%s: %v", c.name, res.Header)
		}
	}
	for _, method := range []string{"GET", "PUT", "OPTIONS", "HEAD"} {
		res, _ := tokens.do(method, notifyUserPath, nil)
		if res.StatusCode != 405 || res.Header.Get("Allow") != "POST" {
			t.Errorf("%s: %d %v", method, res.StatusCode, res.Header)
		}
	}
	// A token in the URL is not taken: URLs stand in logs. Who has no flags is told of none.
	for _, path := range []string{notifyUserPath + "?token=root", notifyUserPath} {
		res, text := tokens.do("POST", path, strings.NewReader(good), "Content-Type", "application/json")
		if res.StatusCode != 401 || !strings.Contains(text, "Authorization: Bearer TOKEN") || strings.Contains(text, "--token-file") || strings.Contains(text, "root") {
			t.Errorf("%s: %d %s", path, res.StatusCode, text)
		}
	}
	// A path that is misspelt does not exist, whatever the method.
	for _, path := range []string{"/_culvert/notify/", "/_culvert/notify/usr", "/_culvert/notify/user/", "/_culvert/status/none"} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			if res, text := tokens.do(method, path, nil); res.StatusCode != 404 || res.Header.Get("Allow") != "" || !strings.Contains(text, "not_found") {
				t.Errorf("%s %s: %d %s", method, path, res.StatusCode, text)
			}
		}
	}
	if res, _ := tokens.do("POST", "/_culvert/healthz", nil); res.StatusCode != 405 || res.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST where GET is understood: %d %v", res.StatusCode, res.Header)
	}
	if res, got := tokens.notify("ann", "user", good, "Content-Type", "application/json; charset=utf-8", "Content-Encoding", "identity"); res.StatusCode != 200 || got["delivered"] != 1.0 {
		t.Errorf("%d %v", res.StatusCode, got)
	}
	for _, log := range []string{tokens.log.String(), open.log.String()} {
		if strings.Contains(log, "xxxx") {
			t.Error("a notice stands in the log")
		}
	}
}

func TestNoticesAreThrottled(t *testing.T) {
	t.Parallel()
	each := startRelay(t, func(c *Config) { c.Authenticate, c.Limits.NoticesPerSecondFromIP = bySubject, 0.2 })
	all := startRelay(t, func(c *Config) { c.Authenticate, c.Limits.NoticesPerSecond = bySubject, 0.2 })
	const body = `{"userId":"ann","data":1}`
	if res, _ := each.notify("bad", "user", body); res.StatusCode != 401 {
		t.Errorf("%d", res.StatusCode)
	}
	if res, got := each.notify("ann", "user", body); res.StatusCode != 429 || errorCode(got) != "throttled" || res.Header.Get("Retry-After") == "" {
		t.Errorf("of one address: %d %v", res.StatusCode, got)
	}
	// Strangers do not use up what the others share.
	for _, c := range []struct {
		token string
		want  int
	}{{"bad", 401}, {"bad", 401}, {"ann", 200}, {"ann", 429}} {
		if res, _ := all.notify(c.token, "user", body); res.StatusCode != c.want {
			t.Errorf("%s: %d, want %d", c.token, res.StatusCode, c.want)
		}
	}
}

// A body that does not come is not waited for.
func TestSlowNoticesAreCut(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) { c.Limits.HeaderTimeout = 300 * time.Millisecond })
	c := r.raw()
	c.send("POST " + notifyUserPath + " HTTP/1.1\r\nHost: " + r.addr + "\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	res, body, err := c.answer("POST")
	if err != nil || res.StatusCode != 408 || !strings.Contains(body, `"notify_user"`) {
		t.Errorf("%v %v %s", err, res, body)
	}
	if _, err := c.r.ReadByte(); err != io.EOF && !os.IsTimeout(err) {
		t.Errorf("the connection goes on: %v", err)
	}
}

// Who takes no notices holds up nobody, is not counted, and is cut.
func TestSlowReceiversHoldUpNobody(t *testing.T) {
	t.Parallel()
	for _, protocols := range [][]string{nil, {wire.Subprotocol}} {
		synctest.Test(t, func(t *testing.T) {
			b := startBubble(t, nil)
			quick, slow := b.dial(nil, protocols...), b.dial(nil, protocols...)
			for _, c := range []*bubbleConn{quick, slow} {
				c.say(object{"action": "ping"})
				c.hear()
			}
			messages := quick.listen()
			all := b.connections.all()
			text, err := wire.Encode(&wire.Notice{ID: "1", Data: json.RawMessage(`"` + strings.Repeat("x", 40<<10) + `"`)})
			if err != nil {
				t.Fatal(err)
			}
			start, delivered := time.Now(), 0
			const n = 100
			for range n {
				for _, c := range all {
					if c.link.post(text) == nil {
						delivered++
					}
				}
				synctest.Wait() // without any time that passes
			}
			if len(messages) != n || time.Since(start) != 0 {
				t.Errorf("%d of %d came after %v", len(messages), n, time.Since(start))
			}
			if most := n + maxOutboxBytes/len(text) + 2; delivered > most || delivered < n+10 {
				t.Errorf("%d accepted, want at most %d", delivered, most)
			}
			took := b.wait(time.Minute, func() bool { return b.open() == 1 })
			if took > 30*time.Second {
				t.Errorf("the slow one was cut after %v", took)
			}
			slow.raw.Close()
		})
	}
}

// A notice never comes between ready and its answer.
func TestNoticesWaitForTheHandshake(t *testing.T) {
	t.Parallel()
	r := startRelay(t, func(c *Config) { c.Authenticate = bySubject })
	done := make(chan bool)
	stop := make(chan bool)
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				for _, o := range r.connections.of("user:ann") {
					r.connections.notify(o.connection, []byte(`{"type":"notice","id":"1","data":1,"time":1}`))
				}
			}
		}
	}()
	for range 20 {
		ws := r.mustDialAgent(http.Header{"Authorization": {"Bearer ann"}})
		writeObject(t, ws, object{"type": "ready", "protocol": 2, "capabilities": []string{"actions"}})
		for established := false; !established; {
			established = readObject(t, ws)["type"] == "connection_established"
		}
		// No notice follows for this agent, which did not ask for them.
		if err := ws.WriteMessage(websocket.TextMessage, []byte(`{"action":"ping"}`)); err != nil {
			t.Fatal(err)
		}
		if got := readObject(t, ws); got["action"] != "ping" {
			t.Errorf("got %v", got)
		}
		ws.Close()
	}
	close(stop)
	<-done
}

// Nothing is lost between ready and its answer.
func TestNoticesAreHeldDuringTheHandshake(t *testing.T) {
	t.Parallel()
	r := startRelay(t, nil)
	for range 20 {
		owner := newOwner(t)
		a := r.claim(owner, object{"capabilities": []string{"notices"}})
		if _, got := r.notify("", "user", `{"userId":"key:`+owner.Public()+`","data":"hello"}`); got["delivered"] != 1.0 {
			t.Fatalf("an agent that has just been greeted: %v", got)
		}
		if got := readObject(t, a.Conn); got["data"] != "hello" {
			t.Errorf("got %v", got)
		}
		a.Close()
	}
	c, s := newConnectionForTest(t)
	s.hush(c, &wire.Ready{Protocol: wire.ProtocolVersion, Capabilities: []wire.Capability{wire.CapNotices}})
	for n := range maxHeld + 1 {
		if got := s.notify(c, []byte("x")); got != (n < maxHeld) {
			t.Errorf("notice %d: %v", n, got)
		}
	}
	s.hush(c, &wire.Ready{Protocol: wire.ProtocolVersion})
	if s.notify(c, []byte("x")) {
		t.Error("one that takes none was sent one")
	}
}

// newConnectionForTest is a connection that is let in and has no link: it must not be used.
func newConnectionForTest(t *testing.T) (*connection, *connections) {
	t.Helper()
	return &connection{standing: standing{authorised: true, notices: true}}, &connections{}
}

func FuzzNotification(f *testing.F) {
	for _, text := range []string{
		`{"userId":"ann","data":"hello"}`, `{"connectionId":"c","data":{"a":[1]},"id":"x"}`, `{"userId":"ann","data":null}`,
		`{"userId":"\u0000","data":1}`, `{"userId":"ann","data":"\xff"}`, `{"data":1}`, `[]`, `{"userId":"a","data": [ [ ] ]}`,
	} {
		f.Add([]byte(text), true)
		f.Add([]byte(text), false)
	}
	f.Fuzz(func(t *testing.T, text []byte, user bool) {
		kind := actionNotifyConnection
		if user {
			kind = actionNotifyUser
		}
		n, err := parseNotification(text, kind)
		if err != nil {
			if n != nil || len(err.Error()) > 200 {
				t.Errorf("%v, %v", n, err)
			}
			return
		}
		if user == (n.UserID == "") || n.ID == "" || len(n.ID) > wire.MaxNoticeID || len(n.Data) == 0 {
			t.Errorf("%q gave %+v", text, n)
		}
		encoded, err := wire.Encode(&wire.Notice{ID: n.ID, Data: n.Data})
		if err != nil {
			return
		}
		if m, err := wire.Decode(encoded, wire.MaxControlMessage); err == nil {
			got, ok := m.(*wire.Notice)
			var want, data any
			if !ok || json.Unmarshal(n.Data, &want) != nil || json.Unmarshal(got.Data, &data) != nil || fmt.Sprint(want) != fmt.Sprint(data) {
				t.Errorf("%q became %s", text, encoded)
			}
		}
	})
}
