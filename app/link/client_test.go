package link

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

// clientBackend answers clients that have no tunnel: to an action by what answers says
// of its name, in which ID stands for the action's, or by nothing.
type clientBackend struct {
	url     *url.URL
	answers map[string]string
	refuse  int // status instead of a WebSocket

	mu    sync.Mutex
	heads []http.Header
	texts []string
}

func newClientBackend(t *testing.T, b *clientBackend) *clientBackend {
	t.Helper()
	srv := httptest.NewServer(b)
	t.Cleanup(srv.Close)
	var err error
	if b.url, err = url.Parse(srv.URL); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *clientBackend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	b.heads = append(b.heads, r.Header)
	b.mu.Unlock()
	if b.refuse != 0 {
		w.WriteHeader(b.refuse)
		return
	}
	ws, err := (&websocket.Upgrader{}).Upgrade(w, r, http.Header{wire.ChallengeHeader: {"the challenge"}})
	if err != nil {
		return
	}
	defer ws.Close()
	for {
		_, text, err := ws.ReadMessage()
		if err != nil {
			return
		}
		b.mu.Lock()
		b.texts = append(b.texts, string(text))
		b.mu.Unlock()
		var m struct{ Action, ID string }
		_ = json.Unmarshal(text, &m)
		for answer := range strings.Lines(b.answers[m.Action]) {
			switch answer = strings.TrimSpace(answer); answer {
			case "BREAK":
				return
			case "RESTART":
				_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseGoingAway, ""), time.Now().Add(time.Second))
				return
			case "CLOSE":
				_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1008, "enough"), time.Now().Add(time.Second))
				return
			}
			_ = ws.WriteMessage(websocket.TextMessage, []byte(strings.ReplaceAll(answer, "ID", m.ID)))
		}
	}
}

func (b *clientBackend) client(t *testing.T, cfg *Config) (*Client, error) {
	t.Helper()
	if cfg.Backend = b.url; cfg.AnswerTimeout == 1 { // a WebSocket API
		cfg.Backend = &url.URL{Scheme: "ws", Host: b.url.Host, Path: "/live"}
	}
	c, err := cfg.DialClient(t.Context())
	if err == nil {
		t.Cleanup(c.Close)
	}
	return c, err
}

const authorized = `{"action":"authorize","id":"ID","status":"success","result":{"user":"ann"}}`

// TestClientIsKnown by its token, else by the owner key, with the proof of ready.
func TestClientIsKnown(t *testing.T) {
	t.Parallel()
	owner, err := tunnel.NewOwnerKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		cfg     *Config
		gateway bool
		shows   bool // the owner key
	}{
		"token":                {&Config{Token: "t0ken", Owner: owner}, false, false},
		"owner":                {&Config{Owner: owner}, false, true},
		"owner behind gateway": {&Config{Owner: owner}, true, true},
		"nobody":               {&Config{}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newClientBackend(t, &clientBackend{answers: map[string]string{
				"authorize": authorized, "echo": `{"action":"echo","id":"ID","status":"success","result":[1]}`,
			}})
			if tt.gateway {
				tt.cfg.AnswerTimeout = 1
			}
			c, err := b.client(t, tt.cfg)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := c.Ask(t.Context(), "echo", nil); err != nil || string(got) != "[1]" {
				t.Errorf("%s, %v", got, err)
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			if got := b.heads[0].Get("Authorization"); got != map[bool]string{true: "Bearer t0ken"}[tt.cfg.Token != ""] {
				t.Errorf("Authorization %q", got)
			}
			if got := b.heads[0].Get("Sec-WebSocket-Protocol"); got != "" {
				t.Errorf("a client offers %q", got)
			}
			if (len(b.texts) == 2) != tt.shows {
				t.Fatalf("texts %q", b.texts)
			}
			if !tt.shows {
				return
			}
			var m struct {
				Action string
				Data   struct{ Owner, Proof string }
			}
			if err := json.Unmarshal([]byte(b.texts[0]), &m); err != nil || m.Action != "authorize" {
				t.Fatalf("%s: %v", b.texts[0], err)
			}
			if err := tunnel.VerifyOwner(m.Data.Owner, m.Data.Proof, "the challenge", b.url.Host); err != nil || m.Data.Owner != owner.Public() {
				t.Errorf("the proof: %v", err)
			}
		})
	}
}

func TestClientIsRefused(t *testing.T) {
	t.Parallel()
	owner, err := tunnel.NewOwnerKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		backend *clientBackend
		code    wire.ErrorCode
		unknown bool
		says    string
	}{
		"at connect":         {&clientBackend{refuse: 401}, wire.CodeUnauthorized, false, "who you are"},
		"at authorize":       {&clientBackend{answers: map[string]string{"authorize": `{"action":"authorize","id":"ID","status":"error","error":{"code":"unauthorized","message":"a token is needed"}}`}}, wire.CodeUnauthorized, false, "a token is needed"},
		"an older backend":   {&clientBackend{answers: map[string]string{"authorize": `{"action":"authorize","id":"ID","status":"error","error":{"code":"not_implemented","message":"no"}}`}}, "", true, "no actions"},
		"no answer at all":   {&clientBackend{}, "", true, "answers no actions"},
		"an error message":   {&clientBackend{answers: map[string]string{"authorize": `{"type":"error","code":"unauthorized","message":"the token has expired"}` + "\nCLOSE"}}, wire.CodeUnauthorized, false, "has expired"},
		"closed":             {&clientBackend{answers: map[string]string{"authorize": "CLOSE"}}, "", false, "closed the connection: enough"},
		"gateway says no":    {&clientBackend{answers: map[string]string{"authorize": `{"message":"Forbidden","connectionId":"x","requestId":"y"}`}}, "", false, `the API answered "Forbidden"`},
		"a malformed answer": {&clientBackend{answers: map[string]string{"authorize": `{"action":"authorize","id":"ID","status":"perhaps"}`}}, "", true, "answers no actions"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newClientBackend(t, tt.backend)
			cfg := &Config{Owner: owner, HelloTimeout: patience}
			if tt.unknown && !strings.Contains(name, "older") {
				cfg.HelloTimeout = 50 * time.Millisecond
			}
			_, err := b.client(t, cfg)
			var refusal *wire.Error
			if errors.As(err, &refusal) != (tt.code != "") || refusal != nil && refusal.Code != tt.code {
				t.Errorf("error %v, want the code %q", err, tt.code)
			}
			if err == nil || !strings.Contains(err.Error(), tt.says) || errors.Is(err, errors.ErrUnsupported) != tt.unknown {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestClientsEnd(t *testing.T) {
	t.Parallel()
	b := newClientBackend(t, &clientBackend{answers: map[string]string{
		"bye": "CLOSE", "ready": `{"type":"http_request"}`,
	}})
	got := make(chan *wire.Notice, 1)
	cfg := &Config{OnNotice: func(n *wire.Notice) { got <- n }}
	c, err := b.client(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Ask(t.Context(), "bye", nil); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("error %v", err)
	}
	if _, err := c.Ask(t.Context(), "echo", nil); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("afterwards: %v", err)
	}
	c.Close() // once more is fine
	c.onMessage([]byte(`{"type":"notice","id":"1","data":1}`))
	if n := <-got; n.ID != "1" {
		t.Errorf("%+v", n)
	}

	stuck, cancel := context.WithCancel(t.Context())
	c, err = b.client(t, &Config{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := c.Ask(stuck, "echo", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, err := (&Config{Backend: &url.URL{Scheme: "ftp", Host: "x"}}).DialClient(t.Context()); err == nil {
		t.Error("a backend of another kind is dialled")
	}
}

// TestClientOfAnOlderBackend is told that it may be one if nothing has ever been answered,
// and no better reason is known.
func TestClientOfAnOlderBackend(t *testing.T) {
	t.Parallel()
	owner, err := tunnel.NewOwnerKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		authorize, echo string
		owner           tunnel.OwnerKey
		says            string
		older           bool
	}{
		"at authorize":    {authorize: "BREAK", owner: owner, says: "broke off: it may be", older: true},
		"at the question": {echo: "BREAK", says: "broke off: it may be", older: true},
		"with a reason":   {echo: "CLOSE", says: "enough: it may be", older: true},
		"answered before": {authorize: authorized, echo: "BREAK", owner: owner, says: "broke off"},
		"restarts":        {echo: "RESTART", says: "stops or restarts"},
		"refuses":         {echo: `{"type":"error","code":"unauthorized","message":"the token was revoked"}` + "\nBREAK", says: "revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newClientBackend(t, &clientBackend{answers: map[string]string{"authorize": tt.authorize, "echo": tt.echo}})
			c, err := b.client(t, &Config{Owner: tt.owner})
			if err == nil {
				_, err = c.Ask(t.Context(), "echo", nil)
			}
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.HasSuffix(err.Error(), "knows no actions: update it") != tt.older {
				t.Errorf("error %v", err)
			}
		})
	}
}

// FuzzClient: whatever a backend sends, one answer goes to the one question with its ID.
func FuzzClient(f *testing.F) {
	for _, seed := range []string{
		`{"action":"a","id":"1","status":"success","result":1}`, `{"action":"a","id":"1","status":"error","error":{"code":"x","message":"y"}}`,
		`{"type":"notice","id":"1","data":[],"time":-1}`, `{"message":"Forbidden"}`, `{"type":"error","code":"unauthorized"}`, `{"action":[]}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		notices := 0
		c := &Client{cfg: &Config{OnNotice: func(n *wire.Notice) {
			if notices++; len(n.Data) == 0 || len(n.Data) > wire.MaxNotice || !json.Valid(n.Data) {
				t.Errorf("notice %+v", n)
			}
		}}}
		one, err := c.asked.expect("1")
		if err != nil {
			t.Fatal(err)
		}
		c.onMessage([]byte(text))
		c.onMessage([]byte(text))
		if len(one) == 1 {
			o := <-one
			if result, err := o.result(); err == nil && len(result) > 0 && !json.Valid(result) {
				t.Errorf("result %q", result)
			}
			if o.answer != nil && o.answer.ID != "1" {
				t.Errorf("an answer to %q", o.answer.ID)
			}
		}
		if notices > 2 {
			t.Errorf("%d notices", notices)
		}
	})
}
