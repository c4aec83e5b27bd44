package action

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"culvert/backend/wire"
)

func TestActions(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]string{"echo", "reverse", "timestamp", "uppercase"}, Names()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 5e6, time.UTC)
	for _, tt := range []struct {
		action, data, want string
		code               wire.ErrorCode
	}{
		{"echo", `{"a":[1,null]}`, `{"a":[1,null]}`, ""},
		{"echo", `"hi"`, `"hi"`, ""},
		{"echo", "", `null`, ""},
		{"echo", `"<a href='?b&c'>"`, `"<a href='?b&c'>"`, ""},
		{"uppercase", `"straße, ещё"`, `"STRAßE, ЕЩЁ"`, ""}, // as Go has it: a letter for a letter
		{"uppercase", `{"text":"a"}`, `"A"`, ""},
		{"uppercase", `5`, "", wire.CodeInvalidRequest},
		{"uppercase", ``, "", wire.CodeInvalidRequest},
		{"uppercase", `{"text":null}`, "", wire.CodeInvalidRequest},
		{"uppercase", `""`, `""`, ""},
		{"reverse", `"añ日"`, `"日ña"`, ""},
		{"reverse", `[]`, "", wire.CodeInvalidRequest},
		{"timestamp", `1`, `{"time":"2026-03-01T12:00:00.005Z","unix_ms":1772366400005}`, ""},
		{"nothing", `1`, "", wire.CodeNotImplemented},
		{"", ``, "", wire.CodeNotImplemented},
	} {
		call := &Call{Action: tt.action, Time: at}
		if tt.data != "" {
			call.Data = json.RawMessage(tt.data)
		}
		got, err := Do(t.Context(), call)
		if tt.code == "" {
			if err != nil || string(got) != tt.want {
				t.Errorf("%s %s: %s, %v; want %s", tt.action, tt.data, got, err, tt.want)
			}
			continue
		}
		var told *wire.ActionError
		if !errors.As(err, &told) || told.Code != tt.code || told.Message == "" {
			t.Errorf("%s %s: %s, %v; want the code %s", tt.action, tt.data, got, err, tt.code)
		}
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	secret := errors.New("password=hunter2")
	for name, tt := range map[string]struct {
		cause error
		code  wire.ErrorCode
	}{
		"told":     {Invalid("say more"), wire.CodeInvalidRequest},
		"too late": {context.DeadlineExceeded, wire.CodeTimeout},
		"other":    {secret, wire.CodeInternal},
	} {
		err := failed(tt.cause)
		var told *wire.ActionError
		if !errors.As(err, &told) || told.Code != tt.code || strings.Contains(told.Message, "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := failed(secret); !errors.Is(err, secret) {
		t.Errorf("the cause is lost in %v", err)
	}
}

// Who asks for what there is not learns of all that there is, wherever it is done.
func TestUnknown(t *testing.T) {
	t.Parallel()
	_, err := Do(t.Context(), &Call{Action: "make-coffee"})
	var told *wire.ActionError
	if !errors.As(err, &told) {
		t.Fatal(err)
	}
	want := `not implemented: there is no action "make-coffee" here; there are authorize, connections, echo, ping, reverse, timestamp, uppercase`
	if told.Message != want {
		t.Errorf("told %q, want %q", told.Message, want)
	}
}

func TestAddRefuses(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"echo", "authorize", "connections", "ping", "", "Echo", "a b", "$connect", strings.Repeat("a", wire.MaxActionName+1)} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q was added", name)
				}
			}()
			add(name, nil)
		}()
	}
}
