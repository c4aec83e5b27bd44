package host

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
)

// pieces gives copies of an event without one of its members, at any depth, or with
// another value in its place.
func pieces(v any) map[string]any {
	all := make(map[string]any)
	switch v := v.(type) {
	case []any:
		for i, member := range v {
			for what, inner := range pieces(member) {
				changed := append([]any(nil), v...)
				changed[i] = inner
				all[fmt.Sprint(i, ": ", what)] = changed
			}
		}
	case map[string]any:
		for name, member := range v {
			without := maps.Clone(v)
			delete(without, name)
			all["no "+name] = without
			for _, other := range []any{nil, true, 7.5, "", "x\r\n", []any{}, []any{1}, map[string]any{}, map[string]any{"a": 1}} {
				changed := maps.Clone(v)
				changed[name] = other
				all[fmt.Sprintf("%s = %q", name, fmt.Sprint(other))] = changed
			}
			for what, inner := range pieces(member) {
				changed := maps.Clone(v)
				changed[name] = inner
				all[name+": "+what] = changed
			}
		}
	}
	return all
}

// Whatever is missing from an event, or is of another type: it is served once, or it is
// refused and nobody is called; there is one answer, and what somebody said is not in
// the log.
func TestCutEvents(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		role  Role
		event string
		least int // pieces that are refused
	}{
		{RoleProcessor, call, 10},
		{RoleNotices, queue, 10},
		{RoleNotices, `{"Records":[{"eventSource":"aws:sqs","eventSourceARN":"arn","messageId":"m1","body":"hush","attributes":{"SentTimestamp":"5","ApproximateReceiveCount":"1"}},` +
			`{"eventSource":"aws:sqs","eventSourceARN":"arn","messageId":"m2","body":"hush"}]}`, 20},
	} {
		var whole any
		if err := json.Unmarshal([]byte(c.event), &whole); err != nil {
			t.Fatal(err)
		}
		h := hostOf(t, c.role, nil)
		refused := 0
		for what, piece := range pieces(whole) {
			text, err := json.Marshal(piece)
			if err != nil {
				t.Fatal(err)
			}
			before := h.staff.calls()
			h.out.Reset()
			status := h.invokeOther(t, string(text))
			calls := h.staff.calls() - before
			if status == 400 {
				refused++
			}
			if want := map[bool]int{true: 1, false: 0}[status == 200]; calls != want {
				t.Errorf("%s with %s: status %d after %d calls", c.role, what, status, calls)
			}
			if lines := h.out.lines(t); len(lines) != 1 || (lines[0]["level"] == "ERROR") != (status == 400) {
				t.Errorf("%s with %s: status %d, and in the log:\n%s", c.role, what, status, h.out)
			}
			if strings.Contains(h.out.String(), "hush") {
				t.Errorf("%s with %s: data in the log:\n%s", c.role, what, h.out)
			}
		}
		if refused < c.least {
			t.Errorf("%s: only %d events were refused", c.role, refused)
		}
	}
}
