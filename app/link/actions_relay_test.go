package link

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"culvert/backend/relay"
	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

// TestActionsOfARelay asks the relay that there is, as an agent in both forms and as a
// client, and gets a notice on each of the connections.
func TestActionsOfARelay(t *testing.T) {
	t.Parallel()
	_, at := startRelay(t, relay.Config{})
	owner, err := tunnel.NewOwnerKey()
	if err != nil {
		t.Fatal(err)
	}
	notices := make(chan string, 8)
	config := func(who string) *Config {
		return &Config{Backend: at, Owner: owner, Handler: echo, OnNotice: func(n *wire.Notice) { notices <- who + " " + n.ID + " " + string(n.Data) }}
	}
	askers := map[string]func(t *testing.T, action string, data any) (json.RawMessage, error){}
	for name, to := range map[string]*url.URL{"form 2": at, "form 1": {Scheme: "ws", Host: at.Host}} {
		cfg := config(name)
		cfg.Backend = to
		l, err := cfg.Dial(t.Context(), Hello{Instance: name})
		if err != nil {
			t.Fatal(err)
		}
		if l.form2() != (name == "form 2") {
			t.Errorf("%s is another form", name)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = l.Run(t.Context())
		}()
		t.Cleanup(func() { <-ended }) // with the test's context
		askers[name] = func(t *testing.T, action string, data any) (json.RawMessage, error) {
			return l.Ask(t.Context(), action, data)
		}
	}
	client, err := config("client").DialClient(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	askers["client"] = func(t *testing.T, action string, data any) (json.RawMessage, error) {
		return client.Ask(t.Context(), action, data)
	}

	for name, ask := range askers {
		for action, want := range map[string]string{"echo": `{"a":[1,"ä"]}`, "reverse": `"ba"`, "ping": `{"message":"pong","name":"ab"}`} {
			var data any = "ab"
			if action == "echo" {
				data = map[string]any{"a": []any{1, "ä"}}
			}
			if got, err := ask(t, action, data); err != nil || string(got) != want {
				t.Errorf("%s, %s: %s, %v", name, action, got, err)
			}
		}
		var told struct {
			UnixMS int64 `json:"unix_ms"`
		}
		if got, err := ask(t, "timestamp", nil); err != nil || json.Unmarshal(got, &told) != nil || time.Since(time.UnixMilli(told.UnixMS)).Abs() > patience {
			t.Errorf("%s, timestamp: %s, %v", name, got, err)
		}
		var failed *wire.ActionError
		if _, err := ask(t, "dance", nil); !errors.As(err, &failed) || failed.Code != wire.CodeNotImplemented {
			t.Errorf("%s, dance: %v", name, err)
		}
		// All three are of one owner, who was known by ready or by authorize.
		var list struct {
			User        string
			Connections []struct{ This bool }
		}
		got, err := ask(t, "connections", nil)
		if err != nil || json.Unmarshal(got, &list) != nil || list.User != "key:"+owner.Public() || len(list.Connections) != 3 {
			t.Errorf("%s, connections: %s, %v", name, got, err)
		}
	}

	body := `{"userId":"key:` + owner.Public() + `","id":"n1","data":{"text":"hello"}}`
	resp, err := http.Post(at.String()+"/_culvert/notify/user", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("status %s", resp.Status)
	}
	got := map[string]bool{}
	for range askers {
		select {
		case n := <-notices:
			got[n] = true
		case <-time.After(patience):
			t.Fatalf("notices %v", got)
		}
	}
	for name := range askers {
		if !got[name+` n1 {"text":"hello"}`] {
			t.Errorf("%s got nothing: %v", name, got)
		}
	}
}
