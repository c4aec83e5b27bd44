package event

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"culvert/backend/action"
	"culvert/backend/wire"
)

func calling(change object) []byte {
	return event(object{
		"action": "echo", "data": object{"a": []any{1, nil}}, "user": "ann", "connectionId": "R1kmxc2VNjMCFIA=", "time": "2026-03-01T12:00:00.005Z",
	}, change)
}

// What one function writes, the other reads.
func TestCall(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 5e6, time.UTC)
	for name, want := range map[string]action.Call{
		"all":          {Action: "echo", Data: json.RawMessage(`{"a":[1,null]}`), User: "ann", Connection: "R1kmxc2VNjMCFIA=", Time: at},
		"of nobody":    {Action: "timestamp", Connection: "R1kmxc2VNjMCFIA=", Time: at},
		"the largest":  {Action: strings.Repeat("a", wire.MaxActionName), Data: json.RawMessage(`"` + strings.Repeat("x", wire.MaxAction-2) + `"`), Time: at},
		"of a browser": {Action: "echo", Data: json.RawMessage(`"<b>&"`), Time: at},
	} {
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		e, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if name == "of a browser" { // package json escapes
			want.Data = json.RawMessage(`"\u003cb\u003e\u0026"`)
		}
		if diff := cmp.Diff(&Event{Kind: Action, Call: &want}, e); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	// Written by hand, in the console.
	e, err := Parse([]byte(`{"action":"echo","data":null,"later":1}`))
	if err != nil || e.Call.Data != nil || !e.Call.Time.IsZero() {
		t.Errorf("by hand: %+v, %v", e, err)
	}
}

func TestMalformedCalls(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]object{
		"no name":          {"action": ""},
		"a name of null":   {"action": json.RawMessage("null")},
		"a number":         {"action": 5},
		"an object":        {"action": object{"a": 1}},
		"a long name":      {"action": strings.Repeat("a", wire.MaxActionName+1)},
		"much data":        {"data": strings.Repeat("x", wire.MaxAction-1)},
		"no user's name":   {"user": []any{"ann"}},
		"a long user":      {"user": strings.Repeat("u", maxUser+1)},
		"no connection ID": {"connectionId": "../x"},
		"a long one":       {"connectionId": strings.Repeat("c", maxConnectionID+1)},
		"no time":          {"time": "yesterday"},
		"a time of ms":     {"time": 1772366400005},
	} {
		e, err := Parse(calling(change))
		if !errors.Is(err, ErrMalformed) || e.Kind != Action || e.Call != nil {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}

// What a service sends is no call, whatever of it is missing, even with an action.
func TestEventsWithAnAction(t *testing.T) {
	t.Parallel()
	for name := range ours {
		var whole map[string]any
		if err := json.Unmarshal(published(t, name), &whole); err != nil {
			t.Fatal(err)
		}
		whole["action"], whole["data"] = "echo", "x"
		events := variants(whole)
		events["everything"] = whole
		for what, cut := range events {
			if what != "everything" && !strings.HasPrefix(what, "no ") && !strings.HasSuffix(what, `"<nil>"`) {
				continue // of what is there, the value does not matter
			}
			text, err := json.Marshal(cut)
			if err != nil {
				t.Fatal(err)
			}
			// Of a batch without records, the action is all that is left.
			bare := strings.HasSuffix(name, "sqs-event.json") && (what == "no Records" || what == `Records = "<nil>"`)
			if e, _ := Parse(text); (e.Kind == Action) != bare {
				t.Errorf("%s with %s passes for a call", name, what)
			}
		}
	}
	// Nor is the body of a message one.
	for _, text := range []string{`{"body":"{\"action\":\"echo\"}"}`, `{"requestContext":{},"action":"echo"}`, `{"Records":[],"action":"echo"}`, `{"headers":{},"action":"echo"}`} {
		if e, err := Parse([]byte(text)); e.Kind != Unknown || !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v, %v", text, e.Kind, err)
		}
	}
}

// Whatever is missing from a call or a batch, it stays one or is refused.
func TestCutCallsAndBatches(t *testing.T) {
	t.Parallel()
	for kind, text := range map[Kind][]byte{Action: calling(nil), Queue: queued(nil)} {
		var whole map[string]any
		if err := json.Unmarshal(text, &whole); err != nil {
			t.Fatal(err)
		}
		if records, ok := whole["Records"].([]any); ok {
			for what, cut := range variants(records[0]) {
				checkCut(t, kind, what, object{"Records": []any{cut}})
			}
			continue
		}
		for what, cut := range variants(whole) {
			checkCut(t, kind, what, cut)
		}
	}
}

func checkCut(t *testing.T, kind Kind, what string, cut any) {
	t.Helper()
	text, err := json.Marshal(cut)
	if err != nil {
		t.Fatal(err)
	}
	e, err := Parse(text)
	checkInvariants(t, what, e, err)
	if e.Kind != kind && e.Kind != Unknown {
		t.Errorf("%v with %s became %v", kind, what, e.Kind)
	}
}
