package relay

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"culvert/backend/tunnel"
)

// serveOwn answers on the relay's own paths.
func (s *Server) serveOwn(w http.ResponseWriter, r *http.Request, path string) {
	if path == notifyUserPath || path == notifyConnectionPath {
		s.serveNotify(w, r, path)
		return
	}
	answer, missing := s.own(path)
	if missing == "" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		writeJSON(w, http.StatusOK, answer)
		return
	}
	if r.ContentLength != 0 && r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close") // the body has not been read
	}
	if missing != "" {
		writeJSONError(w, http.StatusNotFound, "not_found", missing)
		return
	}
	w.Header().Set("Allow", "GET, HEAD")
	writeJSONError(w, http.StatusMethodNotAllowed, "method_not_allowed", "only GET is understood here")
}

// own is what stands at a path, or why there is nothing.
func (s *Server) own(path string) (answer map[string]any, missing string) {
	if path == ownPath+"healthz" {
		status := "ok"
		if s.isClosing() {
			status = "stopping"
		}
		return map[string]any{"status": status, "version": s.cfg.Version}, ""
	}
	id, ok := strings.CutPrefix(path, statusPath)
	if !ok || tunnel.ValidID(id) != nil {
		return nil, "there is nothing here"
	}
	st, ok := s.registry.find(id, time.Now())
	if !ok {
		return nil, "there is no tunnel of this name here"
	}
	status := "offline"
	if st.agent != nil {
		status = "online"
	}
	return map[string]any{"tunnel_id": id, "status": status, "since": st.since.UTC().Format(time.RFC3339)}, ""
}

// writeJSONError answers in the one shape that errors of the relay's own paths and refusals have.
func writeJSONError(w http.ResponseWriter, status int, code, message string) {
	type object = map[string]any
	writeJSON(w, status, object{"status": "error", "error": object{"code": code, "message": message}})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"status":"error"}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(append(text, '\n'))
}
