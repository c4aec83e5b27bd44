package control

import (
	"mime"
	"net/http"
	"strings"

	"culvert/app/exchange"
	"culvert/app/history"
	"culvert/app/redact"
	"culvert/app/ui/model"
)

// row is what the table shows of an exchange.
func row(tunnel string, x *exchange.Exchange) *model.Request {
	return &model.Request{
		Tunnel: tunnel, Name: x.Tunnel, Exchange: x.ID, ReplayOf: x.ReplayOf, Time: x.Start, Method: x.Method, Path: path(x.Path),
		Status: x.Status, Duration: x.Duration, Size: x.Response.Size, Visitor: x.RemoteAddr,
		Err: x.Err, Detail: x.Detail, NoTarget: x.NoTarget,
		Stream:   streamKind(x.Status, x.Response.Header.Get("Content-Type")),
		Messages: len(x.Messages) + x.Skipped,
	}
}

// foundRow is the same of a row of the history.
func foundRow(tunnel string, s *history.Summary) *model.Request {
	return &model.Request{
		Tunnel: tunnel, Name: s.Tunnel, Exchange: s.ID, ReplayOf: s.ReplayOf, Time: s.Start, Method: s.Method, Path: path(s.Path),
		Status: s.Status, Duration: s.Duration, Size: s.ResponseSize, Visitor: s.RemoteAddr,
		Err: s.Err, Detail: s.Detail, NoTarget: s.NoTarget,
		Stream: streamKind(s.Status, s.ContentType), Messages: s.Messages,
	}
}

// maxMasked is how much of a path is searched for secrets, in bytes: a row has room for
// less of it, so that a secret which is cut here does not show.
const maxMasked = 8 << 10

// path is a raw path with its query as rows show it: over somebody's shoulder, on
// pictures, in notifications. The exchange has the secrets.
func path(raw string) string {
	shown, _ := redact.MaskURL(raw[:min(len(raw), maxMasked)])
	return shown
}

func streamKind(status int, contentType string) model.StreamKind {
	if status == http.StatusSwitchingProtocols {
		return model.WebSocketStream
	}
	const events = "text/event-stream"
	if before, _, _ := strings.Cut(contentType, ";"); !strings.EqualFold(strings.TrimSpace(before), events) {
		return model.NoStream // as most
	}
	if kind, _, err := mime.ParseMediaType(contentType); err == nil && kind == events {
		return model.EventStream
	}
	return model.NoStream
}
