package relay

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"culvert/backend/auth"
	"culvert/backend/wire"
)

// The paths by which notices are sent, and what they are called in answers.
const (
	notifyPath           = ownPath + "notify/"
	notifyUserPath       = notifyPath + "user"
	notifyConnectionPath = notifyPath + "connection"

	actionNotifyUser       = "notify_user"
	actionNotifyConnection = "notify_connection"
)

const (
	// maxNotifyBody bounds the body of a request: a notice, and room for what is
	// around it and between it.
	maxNotifyBody = 64 << 10
	maxUserID     = 512 // bytes
)

// notification is the body of a request, as it is that of a queue's message on AWS.
type notification struct {
	UserID       string          `json:"userId"`
	ConnectionID string          `json:"connectionId"`
	ID           string          `json:"id"`
	Data         json.RawMessage `json:"data"`
}

// notifyError is why no notice was sent.
type notifyError struct {
	status int
	wire.ActionError
}

func noNotice(status int, code wire.ErrorCode, format string, args ...any) *notifyError {
	return &notifyError{status, wire.ActionError{Code: code, Message: fmt.Sprintf(format, args...)}}
}

// serveNotify sends a notice to a user's connections, or to one connection. Nothing
// of it is ever logged.
func (s *Server) serveNotify(w http.ResponseWriter, r *http.Request, path string) {
	a := &wire.Action{Action: actionNotifyUser}
	if path == notifyConnectionPath {
		a.Action = actionNotifyConnection
	}
	id, delivered, err := s.notify(w, r, a.Action)
	if err == nil {
		writeJSON(w, http.StatusOK, struct {
			ID        string `json:"id"`
			Delivered int    `json:"delivered"`
		}{id, delivered})
		return
	}
	switch err.status {
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	retryLater(w, err.status)
	if r.ContentLength != 0 && r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close") // the body may not have been read
	}
	writeJSON(w, err.status, wire.FailedAction(a, &err.ActionError))
}

func (s *Server) notify(w http.ResponseWriter, r *http.Request, kind string) (id string, delivered int, e *notifyError) {
	peer, from := s.addresses(r)
	throttled := noNotice(http.StatusTooManyRequests, wire.CodeThrottled, "too many notices in a short time: wait a little")
	if r.Method != http.MethodPost {
		return "", 0, noNotice(http.StatusMethodNotAllowed, wire.CodeInvalidRequest, "only POST is understood here")
	}
	if !s.notices.allow(from, time.Now()) {
		return "", 0, throttled
	}
	sender, e := s.sender(r, peer)
	if e != nil {
		return "", 0, e
	}
	if !s.notices.allowAdmitted(time.Now()) {
		return "", 0, throttled
	}
	n, e := s.readNotification(w, r, kind)
	if e != nil {
		return "", 0, e
	}
	text, err := wire.Encode(&wire.Notice{ID: n.ID, Data: n.Data, Time: time.Now().UnixMilli()})
	if err == nil {
		_, err = wire.Decode(text, wire.MaxControlMessage) // as its receivers will
	}
	switch {
	case errors.Is(err, wire.ErrTooLarge):
		return "", 0, noNotice(http.StatusRequestEntityTooLarge, wire.CodeTooLarge, "%v", err)
	case err != nil:
		return "", 0, noNotice(http.StatusBadRequest, wire.CodeInvalidRequest, "%v", err)
	}
	receivers, e := s.receivers(kind, n, sender)
	if e != nil {
		return "", 0, e
	}
	for _, c := range receivers {
		if s.connections.notify(c.connection, text) {
			delivered++
		}
	}
	s.log.Debug("notice sent", "connections", len(receivers), "delivered", delivered)
	return n.ID, delivered, nil
}

// sender is who may send notices, and to whom.
type sender struct {
	owner string
	all   bool // to everybody
}

func (s *Server) sender(r *http.Request, peer netip.Addr) (sender, *notifyError) {
	if s.cfg.Authenticate == nil {
		if !trustedLoopback(r, peer, s.cfg.PublicURL) {
			return sender{}, noNotice(http.StatusForbidden, wire.CodeForbidden,
				"without tokens this relay takes notices only from programs on its own machine: start it with a token secret (--jwt-secret-file)")
		}
		return sender{all: true}, nil
	}
	token := headerToken(r)
	if token == "" {
		return sender{}, noNotice(http.StatusUnauthorized, wire.CodeUnauthorized,
			"this backend wants a token: send it in the header Authorization: Bearer TOKEN (one in the URL does not count here: URLs stand in logs)")
	}
	identity, err := s.identify(r.Context(), token)
	refusal := (*wire.Error)(nil)
	switch {
	case errors.Is(err, errUnsure):
		return sender{}, noNotice(http.StatusServiceUnavailable, wire.CodeInternal, "%v", err)
	case errors.As(err, &refusal):
		return sender{}, noNotice(http.StatusUnauthorized, wire.CodeUnauthorized, "%s", refusal.Message)
	case err != nil:
		return sender{}, noNotice(http.StatusUnauthorized, wire.CodeUnauthorized, "%v", err)
	}
	return sender{owner: identity.Owner(), all: identity.Notify}, nil
}

// readNotification reads the body within bounds of size and time.
func (s *Server) readNotification(w http.ResponseWriter, r *http.Request, kind string) (*notification, *notifyError) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, noNotice(http.StatusUnsupportedMediaType, wire.CodeInvalidRequest, "send JSON, and say so by Content-Type: application/json")
	}
	if coding := strings.TrimSpace(r.Header.Get("Content-Encoding")); coding != "" && !strings.EqualFold(coding, "identity") {
		w.Header().Set("Accept-Encoding", "identity") // RFC 9110, section 15.5.16
		return nil, noNotice(http.StatusUnsupportedMediaType, wire.CodeInvalidRequest, "send the JSON as it is, without Content-Encoding")
	}
	rc := http.NewResponseController(w)
	rc.SetReadDeadline(time.Now().Add(s.cfg.Limits.HeaderTimeout))
	text, err := io.ReadAll(io.LimitReader(r.Body, maxNotifyBody+1))
	rc.SetReadDeadline(time.Time{})
	switch {
	case len(text) > maxNotifyBody:
		return nil, noNotice(http.StatusRequestEntityTooLarge, wire.CodeTooLarge, "a notice may have %d bytes of data", wire.MaxNotice)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, noNotice(http.StatusRequestTimeout, wire.CodeTimeout, "the request's body came too slowly")
	case err != nil:
		return nil, noNotice(http.StatusBadRequest, wire.CodeInvalidRequest, "the request's body ended early")
	}
	n, err := parseNotification(text, kind)
	if err != nil {
		return nil, noNotice(http.StatusBadRequest, wire.CodeInvalidRequest, "%v", err)
	}
	return n, nil
}

// parseNotification reads what may come from anywhere. Its errors tell nothing of
// the data.
func parseNotification(text []byte, kind string) (*notification, error) {
	var n notification
	if json.Unmarshal(text, &n) != nil {
		return nil, errors.New(`the body is not the JSON that is wanted here, such as {"userId":"ann","data":"hello"}`)
	}
	to, name := n.UserID, "userId"
	if kind == actionNotifyConnection {
		to, name = n.ConnectionID, "connectionId"
	}
	switch {
	case to == "" || len(to) > maxUserID:
		return nil, fmt.Errorf("%s is missing, or too long", name)
	case n.UserID != "" && n.ConnectionID != "":
		return nil, errors.New("a notice is for a user or for a connection: leave one of userId and connectionId out")
	case len(n.Data) == 0:
		return nil, errors.New("data is missing: it may be any JSON")
	case len(n.ID) > wire.MaxNoticeID:
		return nil, fmt.Errorf("id may have %d bytes", wire.MaxNoticeID)
	case n.ID == "":
		n.ID = rand.Text()
	}
	return &n, nil
}

// receivers are the connections that the notice is for, if the sender may send it.
func (s *Server) receivers(kind string, n *notification, by sender) ([]seen, *notifyError) {
	forbidden := noNotice(http.StatusForbidden, wire.CodeForbidden,
		`your token allows notices to your own connections only: for others it needs the claim "notify":true`)
	if kind == actionNotifyUser {
		owner := auth.OwnerOf(n.UserID)
		if !by.all && by.owner != owner {
			return nil, forbidden
		}
		return s.connections.of(owner), nil
	}
	c, st := s.connections.find(n.ConnectionID)
	switch {
	case c != nil && !by.all && (by.owner == "" || by.owner != st.owner):
		return nil, forbidden
	case c == nil || !st.authorised:
		return nil, noNotice(http.StatusNotFound, "not_found", "there is no connection of this ID here, or not any more")
	}
	return []seen{{c, st}}, nil
}
