package host

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"

	"culvert/backend/lambda/agents"
	"culvert/backend/lambda/event"
)

// message serves an event of a WebSocket API.
func (h *Host) message(ctx context.Context, in *invocation, m *event.Message) []byte {
	in.add(slog.String("event", m.EventType), slog.String("connection", m.ConnectionID))
	if m.EventType == event.Text {
		in.quiet() // the visitor's side has a line of each request already
	}
	if h.cfg.WaitersAPIID != "" && m.APIID == h.cfg.WaitersAPIID {
		return h.waiter(in, m)
	}
	out := h.handle(ctx, in, m)
	if out.Status >= 500 {
		h.metrics.Count(metricStatus5xx, 1)
	}
	in.end(out.Status)
	return event.EncodeMessageAnswer(out.Status, string(out.Body))
}

// handle calls the agents' side, and survives it.
func (h *Host) handle(ctx context.Context, in *invocation, m *event.Message) (out agents.Outcome) {
	defer func() {
		if v := recover(); v != nil {
			in.crashed(v)
			out = agents.Outcome{Status: http.StatusInternalServerError}
		}
	}()
	out, err := h.agents.Handle(ctx, m)
	if err != nil {
		in.fail("failed", err)
	}
	if out.Status < 200 || out.Status > 599 {
		out.Status = http.StatusInternalServerError
	}
	return out
}

// waiter serves an event of the waiters' API, where that one cannot answer by itself:
// a waiting environment asks for the ID of its own connection. The body reaches it by
// the route's RouteResponse. The gateway has checked who it is (AWS_IAM).
func (h *Host) waiter(in *invocation, m *event.Message) []byte {
	in.quiet()
	status, body := http.StatusOK, ""
	if m.EventType == event.Text {
		var asked struct {
			Action string `json:"action"`
		}
		if json.Unmarshal(m.Body, &asked) == nil && asked.Action == "whoami" {
			text, _ := json.Marshal(map[string]string{"connectionId": m.ConnectionID}) // strings alone
			body = string(text)
		} else {
			status = http.StatusBadRequest
		}
	}
	in.end(status)
	return event.EncodeMessageAnswer(status, body)
}
