package processor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"culvert/backend/action"
	"culvert/backend/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The actions of package action are done, and get all that is known of who asks.
func TestProcessor(t *testing.T) {
	t.Parallel()
	p := New(Config{})
	for _, tt := range []struct {
		call action.Call
		want string
		code wire.ErrorCode
	}{
		{action.Call{Action: "reverse", Data: json.RawMessage(`"abc"`)}, `"cba"`, ""},
		{action.Call{Action: "echo"}, `null`, ""},
		{action.Call{Action: "echo", Data: json.RawMessage(`"` + strings.Repeat("<", wire.MaxAction-2) + `"`)}, `"` + strings.Repeat("<", wire.MaxAction-2) + `"`, ""},
		{action.Call{Action: "uppercase", Data: json.RawMessage(`5`)}, "", wire.CodeInvalidRequest},
		{action.Call{Action: "nothing"}, "", wire.CodeNotImplemented},
	} {
		reply, err := p.Do(t.Context(), tt.call)
		if err != nil { // nothing for the log: the fault is that of who asked
			t.Errorf("%s: %v", tt.call.Action, err)
		}
		if tt.code != "" && (reply.Error == nil || reply.Error.Code != tt.code || reply.Result != nil) || string(reply.Result) != tt.want {
			t.Errorf("%s: %.100s, %v", tt.call.Action, reply.Result, reply.Error)
		}
	}
}

func TestProcessorsFailures(t *testing.T) {
	t.Parallel()
	internal := &wire.ActionError{Code: wire.CodeInternal, Message: "the action failed"}
	for name, c := range map[string]struct {
		result json.RawMessage
		err    error
		code   wire.ErrorCode
		logged string
	}{
		"told":       {nil, internal, wire.CodeInternal, ""},
		"with cause": {nil, fmt.Errorf("%w: %w", internal, errors.New("no disk")), wire.CodeInternal, "no disk"},
		"not told":   {nil, errors.New("password=hunter2"), wire.CodeInternal, "hunter2"},
		"too large":  {json.RawMessage(`"` + strings.Repeat("x", wire.MaxAction) + `"`), nil, wire.CodeTooLarge, ""},
	} {
		p := New(Config{Do: func(context.Context, *action.Call) (json.RawMessage, error) { return c.result, c.err }})
		reply, err := p.Do(t.Context(), action.Call{Action: "mine"})
		if reply.Error == nil || reply.Error.Code != c.code || reply.Result != nil || strings.Contains(reply.Error.Message, "hunter2") {
			t.Errorf("%s: %+v", name, reply)
		}
		if (err != nil) != (c.logged != "") || err != nil && !strings.Contains(err.Error(), c.logged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p := New(Config{Do: func(context.Context, *action.Call) (json.RawMessage, error) { return nil, nil }})
	if reply, err := p.Do(t.Context(), action.Call{Action: "mine"}); err != nil || string(reply.Result) != "null" {
		t.Errorf("nothing: %+v, %v", reply, err)
	}
}

// An action has the function's time, less what its answer needs to get out.
func TestTimeLimit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ function, want time.Duration }{
		"the function's": {5 * time.Second, 5*time.Second - margin}, "nobody's": {0, maxTime},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if c.function > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.function)
					defer cancel()
				}
				var at time.Time
				p := New(Config{Do: func(ctx context.Context, call *action.Call) (json.RawMessage, error) {
					at = call.Time
					<-ctx.Done()
					return nil, fmt.Errorf("%w: %w", errTimeout, ctx.Err())
				}})
				start := time.Now()
				reply, err := p.Do(ctx, action.Call{Action: "slow"})
				if reply.Error == nil || reply.Error.Code != wire.CodeTimeout || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != c.want {
					t.Errorf("%+v, %v after %v", reply, err, time.Since(start))
				}
				if !at.Equal(start) { // a call by hand says no time
					t.Errorf("the action's time is %v", at)
				}
			})
		})
	}
}
