package relay

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/gorilla/websocket"

	"culvert/backend/auth"
	"culvert/backend/wire"
)

// permit is what was found out about a connection before it was let in.
type permit struct {
	authorised bool
	identity   auth.Identity // of the token; empty without one
	from       netip.Addr
	hosts      []string
	challenge  string
}

// serveConnect makes a connection of the request, and has it served to its end.
func (s *Server) serveConnect(w http.ResponseWriter, r *http.Request, peer, from netip.Addr) {
	if s.isClosing() {
		refuse(w, http.StatusServiceUnavailable, &wire.Error{Code: wire.CodeGoingAway, Message: "the relay stops or restarts: try again"})
		return
	}
	throttled := &wire.Error{Code: wire.CodeThrottled, Message: "too many connections in a short time: wait a little"}
	if !s.throttle.allow(from, time.Now()) {
		refuse(w, http.StatusTooManyRequests, throttled)
		return
	}
	p := &permit{from: from, hosts: s.ownHosts(r, peer), challenge: rand.Text()}
	err := s.admit(r, peer, p)
	if err != nil {
		status, refusal := refusalOf(err)
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		s.log.Info("connection refused", "from", from, "cause", refusal.Message)
		refuse(w, status, refusal)
		return
	}
	if p.authorised && !s.throttle.allowAdmitted(time.Now()) {
		refuse(w, http.StatusTooManyRequests, throttled)
		return
	}
	upgrader := websocket.Upgrader{
		HandshakeTimeout: s.cfg.Limits.HandshakeTimeout,
		Subprotocols:     []string{wire.Subprotocol},
		CheckOrigin:      func(*http.Request) bool { return true }, // admit has
	}
	if !slices.Contains(websocket.Subprotocols(r), wire.Subprotocol) {
		upgrader.ReadBufferSize, upgrader.WriteBufferSize = 32<<10, 32<<10 // whole bodies will pass
	}
	ws, err := upgrader.Upgrade(w, r, http.Header{wire.ChallengeHeader: {p.challenge}})
	if err != nil {
		return // the upgrader has answered
	}
	conn := ws.NetConn()
	// Not in this goroutine: the server's buffers and the request go when it ends. In form
	// 2 nobody holds ws from there on, either.
	c := s.newConnection(ws, p)
	if !s.background(func() {
		defer conn.Close()
		defer c.cancel()
		defer func() {
			// As the server does in its own goroutines: a message that finds a mistake here
			// must not end everybody's connections.
			if p := recover(); p != nil {
				s.log.Error("a mistake in the relay has ended a connection: please report it", "connection", c.id, "panic", p, "stack", string(debug.Stack()))
			}
		}()
		if !s.connections.add(c) {
			c.link.close(closeTryLater, "too many connections without a token: try again later")
		}
		c.serve()
	}) {
		c.cancel()
		conn.Close()
	}
}

// refusalOf is how an error of admit is answered.
func refusalOf(err error) (status int, e *wire.Error) {
	switch {
	case errors.Is(err, errUnsure):
		return http.StatusServiceUnavailable, &wire.Error{Code: wire.CodeInternal, Message: err.Error()}
	case errors.As(err, &e) && e.Code == wire.CodeUnauthorized:
		return http.StatusUnauthorized, e
	case errors.As(err, &e) && e.Code == wire.CodeThrottled:
		return http.StatusServiceUnavailable, e
	case errors.As(err, &e):
		return http.StatusForbidden, e
	}
	return http.StatusForbidden, &wire.Error{Code: wire.CodeForbidden, Message: err.Error()}
}

// refuse answers a handshake that does not become a WebSocket.
func refuse(w http.ResponseWriter, status int, e *wire.Error) {
	retryLater(w, status)
	writeJSONError(w, status, string(e.Code), e.Message)
}

const retryAfter = 1 // seconds

// retryLater says when, if the status means that it is only for now.
func retryLater(w http.ResponseWriter, status int) {
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
}
