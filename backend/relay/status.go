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
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		if r.ContentLength != 0 && r.ProtoMajor == 1 {
			w.Header().Set("Connection", "close")
		}
		writeJSONError(w, http.StatusMethodNotAllowed, "method_not_allowed", "only GET is understood here")
		return
	}
	if path == ownPath+"healthz" {
		status := "ok"
		if s.isClosing() {
			status = "stopping"
		}
		writeJSON(w, http.StatusOK, map[string]any{"status": status, "version": s.cfg.Version})
		return
	}
	if id, ok := strings.CutPrefix(path, statusPath); ok && tunnel.ValidID(id) == nil {
		if st, ok := s.registry.find(id, time.Now()); ok {
			status := "offline"
			if st.agent != nil {
				status = "online"
			}
			writeJSON(w, http.StatusOK, map[string]any{
				"tunnel_id": id, "status": status, "since": st.since.UTC().Format(time.RFC3339),
			})
			return
		}
		writeJSONError(w, http.StatusNotFound, "not_found", "there is no tunnel of this name here")
		return
	}
	writeJSONError(w, http.StatusNotFound, "not_found", "there is nothing here")
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
