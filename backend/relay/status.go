package relay

import (
	"net/http"
	"strings"
	"time"

	"culvert/backend/visitor"
)

// serveOwn answers on the relay's own paths.
func (s *Server) serveOwn(w http.ResponseWriter, r *http.Request, path string) {
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
	if id, ok := strings.CutPrefix(path, statusPath); ok && visitor.Known(id) {
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
