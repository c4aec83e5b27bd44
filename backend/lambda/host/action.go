package host

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"

	"culvert/backend/action"
	"culvert/backend/wire"
)

// do has an action done.
func (h *Host) do(ctx context.Context, in *invocation, c *action.Call) []byte {
	in.add(slog.String("event", "action"), slog.String("action", c.Action))
	if c.Connection != "" {
		in.add(slog.String("connection", c.Connection))
	}
	h.metrics.Count(metricActions, 1)
	reply := h.process(ctx, in, c)
	status := statusOf(reply.Error)
	if status >= 500 {
		h.metrics.Count(metricActionsFailed, 1)
	}
	in.end(status)
	return encodeReply(reply)
}

// process calls the Processor, and survives it.
func (h *Host) process(ctx context.Context, in *invocation, c *action.Call) (r action.Reply) {
	defer func() {
		if v := recover(); v != nil {
			in.crashed(v)
			r = action.Reply{Error: &wire.ActionError{Code: wire.CodeInternal, Message: "the action failed: see the backend's log"}}
		}
	}()
	r, err := h.processor.Do(ctx, *c)
	if err != nil {
		in.fail("failed", err)
	}
	return r
}

// statusOf is the status of HTTP that is nearest to what came of an action, for the log.
func statusOf(e *wire.ActionError) int {
	if e == nil {
		return http.StatusOK
	}
	switch e.Code {
	case wire.CodeInternal:
		return http.StatusInternalServerError
	case wire.CodeNotImplemented:
		return http.StatusNotFound
	case wire.CodeTimeout:
		return http.StatusGatewayTimeout
	case wire.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusBadRequest
}

// encodeReply writes a reply as its receiver reads it. Escaped for HTML, results could
// be six times as long.
func encodeReply(r action.Reply) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil { // its result is no JSON
		return []byte(fmt.Sprintf(`{"error":{"code":%q,"message":"the action gave a result that is no JSON"}}`, wire.CodeInternal))
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
