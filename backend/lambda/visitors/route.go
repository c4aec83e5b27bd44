package visitors

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"culvert/backend/lambda/event"
	"culvert/backend/lambda/store"
	"culvert/backend/tunnel"
	"culvert/backend/visitor"
)

// The paths that are the backend's own.
const (
	ownPath    = "/_culvert/"
	statusPath = "/_status/"
)

// route says which tunnel a request is for, and what its local service is asked.
type route struct {
	id     string
	prefix string // "/"+id in the path form
	target string
	bare   bool // path form without a slash after the ID
}

// route finds a request's tunnel, or answers it itself.
func (v *Visitors) route(ctx context.Context, r *event.Request) (route, *event.Answer) {
	if err := visitor.CheckTarget(r.Method, r.Target); err != nil {
		return route{}, event.Refuse(r, http.StatusBadRequest, nil, "Bad request: "+err.Error()+".")
	}
	if v.hostForm != "" {
		if id, ok := visitor.HostID(r.Host, v.hostForm); ok {
			return route{id: id, target: r.Target}, nil
		}
	}
	path, _, _ := strings.Cut(r.Target, "?")
	switch {
	case path == "*":
		return route{}, event.Refuse(r, http.StatusBadRequest, nil, "Bad request: a request for * needs a tunnel's host name.")
	case strings.HasPrefix(path, ownPath), strings.HasPrefix(path, statusPath):
		return route{}, v.serveOwn(ctx, r, path)
	}
	id, rest, bare := visitor.SplitPath(r.Target)
	return route{id: id, prefix: "/" + id, target: rest, bare: bare}, nil
}

// serveOwn answers on the backend's own paths.
func (v *Visitors) serveOwn(ctx context.Context, r *event.Request, path string) *event.Answer {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		a := jsonError(http.StatusMethodNotAllowed, "method_not_allowed", "only GET is understood here")
		a.Header.Set("Allow", "GET, HEAD")
		return a
	}
	if path == ownPath+"healthz" {
		return jsonAnswer(http.StatusOK, map[string]any{"status": "ok", "version": v.cfg.Version})
	}
	if id, ok := strings.CutPrefix(path, statusPath); ok && tunnel.ValidID(id) == nil {
		return v.status(ctx, id)
	}
	return jsonError(http.StatusNotFound, "not_found", "there is nothing here")
}

// status says whether a tunnel has an agent.
func (v *Visitors) status(ctx context.Context, id string) *event.Answer {
	t, err := v.lookups.find(ctx, id)
	switch {
	case errors.Is(err, store.ErrUnknown):
		return jsonError(http.StatusNotFound, "not_found", "there is no tunnel of this name here")
	case err != nil:
		v.cfg.Log.Error("look-up failed", "error", err)
		a := jsonError(http.StatusServiceUnavailable, "unavailable", "tunnels cannot be looked up at the moment: try again")
		a.Header.Set("Retry-After", "5")
		return a
	}
	status := "offline"
	if t.Live {
		status = "online"
	}
	return jsonAnswer(http.StatusOK, map[string]any{
		"tunnel_id": id, "status": status, "since": t.Since.UTC().Format(time.RFC3339),
	})
}

// jsonError has the one shape that errors outside of tunnels have.
func jsonError(status int, code, message string) *event.Answer {
	type object = map[string]any
	return jsonAnswer(status, object{"status": "error", "error": object{"code": code, "message": message}})
}

func jsonAnswer(status int, content map[string]any) *event.Answer {
	text, err := json.Marshal(content)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"status":"error"}`)
	}
	return &event.Answer{
		Status: status,
		Header: http.Header{
			"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"},
		},
		Body: append(text, '\n'),
	}
}

// redirectToSlash gives a browser the URL at which a page's relative links work.
// The host has taken the path of the public URL's base off, so that what is given
// is relative to the last segment, which is the ID.
func redirectToSlash(rt route) *event.Answer {
	return &event.Answer{
		Status: http.StatusPermanentRedirect,
		Header: http.Header{
			"Location":      {"." + rt.prefix + "/" + strings.TrimPrefix(rt.target, "/")},
			"Cache-Control": {"no-store"},
		},
	}
}
