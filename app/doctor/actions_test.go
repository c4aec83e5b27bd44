package doctor

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"culvert/app/target"
	"culvert/backend/tunnel"

	"github.com/gorilla/websocket"
)

// answering is a backend in form 1 that greets, or does not, and answers actions by
// what answers says of their names; ID stands for the action's ID and DATA for its data.
type answering struct {
	greets  bool
	answers map[string]string
}

func (a *answering) start(t *testing.T) *url.URL {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		for {
			_, text, err := ws.ReadMessage()
			if err != nil {
				return
			}
			var m struct {
				Type, Action, ID string
				Data             json.RawMessage
			}
			_ = json.Unmarshal(text, &m)
			answer := a.answers[m.Action]
			switch {
			case m.Type == "ready" && a.greets && a.answers == nil: // as before there were actions
				answer = `{"type":"connection_established","connection_id":"c","tunnel_id":"t1","public_url":"http://x.test/t","protocol":2,"capabilities":["resume"]}`
			case m.Type == "ready" && a.greets:
				answer = `{"type":"connection_established","connection_id":"c","tunnel_id":"t1","public_url":"http://x.test/t","protocol":2,"capabilities":["resume","actions"]}`
			case m.Type == "ready":
				answer = `{"type":"error","code":"too_many_tunnels","message":"you have three"}`
			case answer == "":
				continue
			}
			answer = strings.NewReplacer("ID", m.ID, "DATA", string(m.Data)).Replace(answer)
			_ = ws.WriteMessage(websocket.TextMessage, []byte(answer))
		}
	}))
	t.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

const (
	echoes  = `{"action":"echo","id":"ID","status":"success","result":DATA}`
	knows   = `{"action":"authorize","id":"ID","status":"success","result":{"user":"key:x"}}`
	unknown = `{"action":"x","id":"ID","status":"error","error":{"code":"not_implemented","message":"not implemented"}}`
)

// tells is the answer of a backend whose clock is so far ahead.
func tells(ahead time.Duration) string {
	return fmt.Sprintf(`{"action":"timestamp","id":"ID","status":"success","result":{"time":"x","unix_ms":%d}}`, time.Now().Add(ahead).UnixMilli())
}

// exactness replaces how closely two clocks are said to agree, which is not the same at
// every run, by what the answer named the time to: a Date header's is a second at least.
func exactness(t *testing.T, detail string) string {
	t.Helper()
	what, within, ok := strings.Cut(detail, ", within ")
	if !ok {
		return detail
	}
	d, err := time.ParseDuration(within)
	switch {
	case err != nil:
		t.Errorf("%q: %v", detail, err)
	case d < time.Second:
		return what + ", to the millisecond"
	}
	return what + ", to the second"
}

func TestActionsMeasure(t *testing.T) {
	t.Parallel()
	owner, err := tunnel.NewOwnerKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		backend      answering
		clock, round string // state and detail begin so
	}{
		"both":                {answering{true, map[string]string{"echo": echoes, "timestamp": tells(0)}}, "ok this computer and the backend agree on the time, to the millisecond", "ok N ms by echo"},
		"clock ahead":         {answering{true, map[string]string{"echo": echoes, "timestamp": tells(-time.Hour)}}, "warn this computer's clock is 60 minutes ahead", "ok N ms by echo"},
		"clock behind":        {answering{true, map[string]string{"echo": echoes, "timestamp": tells(10*time.Minute + 50*time.Second)}}, "warn this computer's clock is 10 minutes behind", "ok N ms by echo"},
		"no Processor":        {answering{true, map[string]string{"echo": unknown, "timestamp": unknown}}, "ok this computer and the backend agree on the time, to the second", "ok N ms"},
		"no time that is one": {answering{true, map[string]string{"echo": echoes, "timestamp": `{"action":"timestamp","id":"ID","status":"success","result":{"unix_ms":-5}}`}}, "ok this computer and the backend agree on the time, to the second", "ok N ms by echo"},
		"an echo that is none": {answering{true, map[string]string{"echo": `{"action":"echo","id":"ID","status":"success","result":"no"}`, "timestamp": tells(0)}}, "ok ",
			"failed the backend's echo is not what was sent"},
		"no tunnel to be had": {answering{false, map[string]string{"authorize": knows, "echo": echoes, "timestamp": tells(-time.Hour)}}, "warn this computer's clock is 60 minutes ahead", "ok N ms by echo"},
		"no tunnel to be had, no actions": {answering{false, map[string]string{"authorize": unknown}}, "ok this computer and the backend agree on the time, to the second",
			"skipped there is no connection"},
		"no tunnel to be had, no Processor": {answering{false, map[string]string{"authorize": knows, "echo": unknown, "timestamp": unknown}}, "ok this computer and the backend agree on the time, to the second",
			"skipped this backend answers no such question"},
		"no tunnel to be had, silence": {answering{false, map[string]string{"authorize": knows}}, "ok this computer and the backend agree on the time, to the second", "skipped there is no connection"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := examine(Backend{URL: tt.backend.start(t), Owner: owner})
			if strings.Contains(name, "silence") {
				e.limits.round = 100 * time.Millisecond
			}
			checks := e.run(t.Context(), nil)
			for id, want := range map[ID]string{Clock: tt.clock, RoundTrip: tt.round} {
				for _, c := range checks {
					if c.ID != id {
						continue
					}
					got := states[c.State] + " " + exactness(t, c.Detail)
					if first, rest, ok := strings.Cut(c.Detail, " ms"); ok && id == RoundTrip {
						got = states[c.State] + " N ms" + rest
						if first == "0" {
							t.Errorf("it took no time: %+v", c)
						}
					}
					if !strings.HasPrefix(got, want) || id == RoundTrip && strings.HasSuffix(want, " ms") && got != want {
						t.Errorf("%s: %s, want %s", id, got, want)
					}
					if c.State >= Warn && c.State <= Failed && c.Advice == "" {
						t.Errorf("%s: no advice", id)
					}
				}
			}
		})
	}
}

// TestTokenOfOthers: a backend that answers no actions, and opens a WebSocket for whoever
// comes, has not looked at the token; one that knows authorize says so itself.
func TestTokenOfOthers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		authorize, want string
	}{
		"none taken": {`{"action":"authorize","id":"ID","status":"error","error":{"code":"invalid_request","message":"none"}}`, "skipped this backend takes none"},
		"unknown":    {unknown, "skipped this backend takes none"},
		"taken":      {knows, "ok accepted"},
		"silence":    {"", "ok accepted"},
	} {
		e := examine(Backend{URL: (&answering{true, map[string]string{"authorize": tt.authorize}}).start(t), Token: "s3cret"})
		e.limits.round = time.Second
		if c := e.handshake(t.Context()); c.State != OK {
			t.Fatalf("%s: %+v", name, c)
		}
		if name == "silence" {
			e.limits.round = time.Millisecond
		}
		c := e.token(t.Context())
		e.met.end()
		if got := states[c.State] + " " + c.Detail; !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// TestClocks: half of the way there and back is not the clock's fault.
func TestClocks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		ahead, took time.Duration
		want        string
	}{
		{0, 0, "within 10ms"},
		{200 * time.Millisecond, 400 * time.Millisecond, "within 200ms"},
		{40 * time.Second, 30 * time.Second, "within 40s"},
		{40 * time.Second, 4 * time.Second, "38 seconds ahead"},
		{-20 * time.Second, 30 * time.Second, "35 seconds behind"},
		{-96 * time.Hour, 0, "4 days behind"},
	} {
		if c := clocks(tt.ahead, tt.took, time.Millisecond); !strings.Contains(c.Detail, tt.want) {
			t.Errorf("%v after %v: %+v, want %s", tt.ahead, tt.took, c, tt.want)
		}
	}
}

func TestLocalService(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	for name, tt := range map[string]struct {
		target string
		want   State
		says   string
	}{
		"a service":      {web.URL, OK, "takes connections"},
		"nobody":         {nobody(t), Failed, "nothing is listening"},
		"no such name":   {"nowhere.invalid:80", Failed, "nowhere.invalid"},
		"with TLS, here": {secure.URL, OK, "takes connections"},
		"a folder":       {t.TempDir(), OK, "can be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to, err := target.Parse(tt.target)
			if err != nil {
				t.Fatal(err)
			}
			// Without a backend that is all there is to check.
			checks := Run(t.Context(), Backend{Target: to}, nil)
			for i, c := range checks {
				if c.ID == LocalService {
					if c.State != tt.want || !strings.Contains(c.Detail, tt.says) || (c.Advice == "") != (tt.want == OK) || strings.Contains(c.Detail, "--") {
						t.Errorf("%+v", c)
					}
				} else if c.State != Skipped || !strings.Contains(c.Detail, "no backend is configured") || i > 0 && c.Detail == checks[0].Detail {
					t.Errorf("%+v", c)
				}
			}
		})
	}
}

func TestOlderBackend(t *testing.T) {
	t.Parallel()
	for want, backend := range map[string]answering{
		"warn": {greets: true},
		"ok":   {greets: true, answers: map[string]string{"echo": echoes, "timestamp": tells(0)}},
	} {
		checks := examine(Backend{URL: backend.start(t)}).run(t.Context(), nil)
		last := checks[len(checks)-1]
		if last.ID != Version || states[last.State] != want || want == "warn" && (!strings.Contains(last.Detail, "no actions") || last.Advice == "") {
			t.Errorf("%+v, want %s", last, want)
		}
	}
}
