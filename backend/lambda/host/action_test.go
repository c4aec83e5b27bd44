package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"culvert/backend/action"
	"culvert/backend/lambda/event"
	"culvert/backend/wire"
)

func TestActions(t *testing.T) {
	t.Parallel()
	told := func(code wire.ErrorCode) action.Reply {
		return action.Reply{Error: &wire.ActionError{Code: code, Message: "no"}}
	}
	for name, c := range map[string]struct {
		reply  func(action.Call) (action.Reply, error)
		answer string
		status float64
		logs   string // cause
		failed bool
	}{
		"done": {nil, `{"result":"hush"}`, 200, "", false},
		"not escaped": {func(action.Call) (action.Reply, error) {
			return action.Reply{Result: json.RawMessage(`"<b>"`)}, nil
		}, `{"result":"<b>"}`, 200, "", false},
		"unknown":    {func(action.Call) (action.Reply, error) { return told(wire.CodeNotImplemented), nil }, `{"error":{"code":"not_implemented","message":"no"}}`, 404, "", false},
		"wrong data": {func(action.Call) (action.Reply, error) { return told(wire.CodeInvalidRequest), nil }, `{"error":{"code":"invalid_request","message":"no"}}`, 400, "", false},
		"too large":  {func(action.Call) (action.Reply, error) { return told(wire.CodeTooLarge), nil }, `{"error":{"code":"too_large","message":"no"}}`, 413, "", false},
		"failed":     {func(action.Call) (action.Reply, error) { return told(wire.CodeInternal), errors.New("no disk") }, `{"error":{"code":"internal_error","message":"no"}}`, 500, "no disk", true},
		"too late":   {func(action.Call) (action.Reply, error) { return told(wire.CodeTimeout), errors.New("slow disk") }, `{"error":{"code":"timeout","message":"no"}}`, 504, "slow disk", true},
		"panic":      {func(action.Call) (action.Reply, error) { panic("out of luck") }, `{"error":{"code":"internal_error","message":"the action failed: see the backend's log"}}`, 500, "out of luck", true},
		"no JSON":    {func(action.Call) (action.Reply, error) { return action.Reply{Result: json.RawMessage(`{`)}, nil }, `{"error":{"code":"internal_error","message":"the action gave a result that is no JSON"}}`, 200, "", false},
	} {
		h := hostOf(t, RoleProcessor, nil)
		h.staff.reply = c.reply
		out, err := h.Invoke(t.Context(), []byte(call))
		if err != nil || string(out) != c.answer {
			t.Errorf("%s: %s, %v; want %s", name, out, err, c.answer)
		}
		if got := h.staff.asked[0]; got.User != "ann" || got.Connection != "R1k=" || got.Time.Year() != 2026 || string(got.Data) != `"hush"` {
			t.Errorf("%s: call %+v", name, got)
		}
		line := h.out.line(t)
		if line["status"] != c.status || line["action"] != "echo" || (line["level"] == "ERROR") != (c.logs != "") || c.logs != "" && !strings.Contains(fmt.Sprint(line["cause"]), c.logs) {
			t.Errorf("%s: %v", name, line)
		}
		if got := metricsOf(t, line, "Culvert", "processor"); got["Actions"] != 1.0 || (got["ActionsFailed"] == 1.0) != c.failed {
			t.Errorf("%s: metrics %v", name, got)
		}
		if strings.Contains(h.out.String(), "hush") {
			t.Errorf("%s: data in the log:\n%s", name, h.out)
		}
	}
}

// The queue gets the names of what failed, and nothing that would have it delete a
// batch which nobody has served.
func TestBatches(t *testing.T) {
	t.Parallel()
	h := hostOf(t, RoleNotices, nil)
	out, err := h.Invoke(t.Context(), []byte(queue))
	if err != nil || string(out) != `{"batchItemFailures":[]}` {
		t.Errorf("%s, %v", out, err)
	}
	if line := h.out.line(t); line["level"] != "INFO" || line["status"] != 200.0 || line["messages"] != 1.0 || line["event"] != "queue" {
		t.Errorf("%v", line)
	}
	h.out.Reset()
	h.staff.failed = func(b *event.Batch) []string { return []string{b.Items[0].ID} }
	out, err = h.Invoke(t.Context(), []byte(queue))
	if err != nil || string(out) != `{"batchItemFailures":[{"itemIdentifier":"m1"}]}` {
		t.Errorf("one failed: %s, %v", out, err)
	}
	if line := h.out.line(t); line["failed"] != 1.0 {
		t.Errorf("%v", line)
	}
	h.out.Reset()
	h.staff.failed = func(*event.Batch) []string { panic("out of luck") }
	if out, err = h.Invoke(t.Context(), []byte(queue)); err == nil || out != nil {
		t.Errorf("panic: %s, %v", out, err)
	}
	if line := h.out.line(t); line["level"] != "ERROR" || line["stack"] == nil {
		t.Errorf("%v", line)
	}
	if out, err = h.Invoke(t.Context(), []byte(queueOfNone)); err == nil || out != nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("refused: %s, %v", out, err)
	}
}
