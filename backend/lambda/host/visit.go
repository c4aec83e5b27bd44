package host

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"culvert/backend/lambda/event"
	"culvert/backend/tunnel"
	"culvert/backend/visitor"
)

// What visitors read when the backend itself is at fault.
const (
	msgCrashed  = "The backend of this tunnel failed. Its operator finds the reason in the function's log."
	msgTooLarge = "The answer of the service behind this tunnel is too large: this backend passes at most 6 MB in all, " +
		"which is about 4.5 MB of binary data. Its operator can turn on streaming, which passes more."
	msgNoAnswer = "The service behind this tunnel sent an answer that makes no sense."
)

// arrive prepares a visitor's request: what the event alone cannot know. A function
// cannot be told its own URL by the template that makes both: base may be nil.
func (h *Host) arrive(ctx context.Context, in *invocation, r *event.Request, base *url.URL) {
	r.Proto = h.cfg.PublicURL.Scheme // http on a developer's machine
	if base != nil {
		r.Proto = base.Scheme
		r.StripPrefix(base.Path)
	}
	r.Deadline = time.Now().Add(h.cfg.MaxWait)
	if deadline, ok := ctx.Deadline(); ok {
		r.Deadline = deadline
	}
	h.metrics.Count(metricRequests, 1)
	h.metrics.Count(metricBytesIn, float64(len(r.Body)))
	in.add(slog.String("event", r.Kind.String()), slog.String("method", clip(r.Method)))
	if id := h.tunnelOf(r); id != "" {
		in.add(slog.String("tunnel", id))
	}
}

// tunnelOf is the tunnel a request names, for the log. The path has no place there:
// services put secrets in theirs.
func (h *Host) tunnelOf(r *event.Request) string {
	if h.cfg.SubdomainURL != nil {
		if id, ok := visitor.HostID(r.Host, h.cfg.SubdomainURL.Hostname()); ok {
			if tunnel.ValidID(id) != nil {
				return ""
			}
			return id
		}
	}
	id, _, _ := visitor.SplitPath(r.Target)
	if tunnel.ValidID(id) != nil {
		return ""
	}
	return id
}

// visit answers a visitor as a whole.
func (h *Host) visit(ctx context.Context, in *invocation, r *event.Request) []byte {
	h.arrive(ctx, in, r, h.cfg.PublicURL)
	a := h.answer(ctx, in, r)
	a.Head = r.Method == http.MethodHead
	text, err := a.Encode(r.Kind)
	if err != nil {
		in.fail("answer refused", err)
		message := msgNoAnswer
		if errors.Is(err, event.ErrTooLarge) {
			message = msgTooLarge
		}
		a = event.Refuse(r, http.StatusBadGateway, nil, message)
		text, _ = a.Encode(r.Kind) // our own page is small, and its status good
	}
	h.count(a.Status, len(a.Body))
	in.end(a.Status)
	return text
}

// answer calls the visitors' side, and survives it.
func (h *Host) answer(ctx context.Context, in *invocation, r *event.Request) (a *event.Answer) {
	defer func() {
		if v := recover(); v != nil {
			in.crashed(v)
			a = event.Refuse(r, http.StatusBadGateway, nil, msgCrashed)
		}
	}()
	if a = h.visitors.Serve(ctx, r); a == nil {
		in.fail("answer refused", errors.New("there is none"))
		a = event.Refuse(r, http.StatusBadGateway, nil, msgCrashed)
	}
	return a
}

func (h *Host) count(status, bytes int) {
	switch {
	case status >= 500:
		h.metrics.Count(metricStatus5xx, 1)
	case status >= 400:
		h.metrics.Count(metricStatus4xx, 1)
	}
	h.metrics.Count(metricBytesOut, float64(bytes))
}
