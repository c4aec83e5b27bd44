package relay

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

// Close codes (RFC 6455, section 7.4.1, and the IANA registry).
const (
	closeNormal    = websocket.CloseNormalClosure
	closeGoingAway = websocket.CloseGoingAway
	closePolicy    = websocket.ClosePolicyViolation
	closeTryLater  = websocket.CloseTryAgainLater
	closeLinger    = time.Second // for the peer to read the last message
)

// link is an agent's connection in one of the two forms.
type link interface {
	// run serves the connection until it is over.
	run(ctx context.Context) error
	// exchange carries a visitor's request. It returns false if it can no longer
	// carry any, and nothing was sent to the agent or the visitor.
	exchange(v *visit) bool
	// probe waits for a sign of life.
	probe(ctx context.Context) error
	// tell sends the agent an error about the connection, if it can understand it.
	tell(e *wire.Error)
	// drain takes no new exchanges and waits for those under way.
	drain(ctx context.Context)
	close(code int, reason string)
}

// agent is one connected agent, and the tunnel that it holds or held.
type agent struct {
	id    string // of the connection
	quota string // what its tunnels are counted by

	// Set by the registry when it gets its tunnel.
	tunnel   string
	epoch    int64
	replaces *agent // until it is settled: who gets the tunnel back if it is not

	link  link          // for others once ready is closed
	crowd crowd         // its visitors
	ready chan struct{} // closed when it was told that it has its tunnel
	gone  chan struct{} // closed when the connection is over
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (a *agent) established() bool { return isClosed(a.ready) }
func (a *agent) ended() bool       { return isClosed(a.gone) }

// await waits until requests may be sent.
func (a *agent) await(ctx context.Context) bool {
	select {
	case <-a.ready:
		return true
	default:
	}
	select {
	case <-a.ready:
		return true
	case <-a.gone:
	case <-ctx.Done():
	}
	return false
}

// serveAgent makes an agent's connection of the request and serves it to its end.
func (s *Server) serveAgent(w http.ResponseWriter, r *http.Request, peer, from netip.Addr) {
	if s.isClosing() {
		refuse(w, http.StatusServiceUnavailable, &wire.Error{Code: wire.CodeGoingAway, Message: "the relay stops or restarts: try again"})
		return
	}
	throttled := &wire.Error{Code: wire.CodeThrottled, Message: "too many connections in a short time: wait a little"}
	if !s.throttle.allow(from, time.Now()) {
		refuse(w, http.StatusTooManyRequests, throttled)
		return
	}
	identity, err := s.admit(r, peer)
	var refusal *wire.Error
	switch {
	case errors.As(err, &refusal) && refusal.Code == wire.CodeUnauthorized:
		w.Header().Set("WWW-Authenticate", "Bearer")
		s.log.Info("agent refused", "from", from, "cause", refusal.Message)
		refuse(w, http.StatusUnauthorized, refusal)
		return
	case err != nil:
		s.log.Info("agent refused", "from", from, "cause", err)
		refuse(w, http.StatusForbidden, &wire.Error{Code: wire.CodeForbidden, Message: err.Error()})
		return
	}
	if !s.throttle.allowAdmitted(time.Now()) {
		refuse(w, http.StatusTooManyRequests, throttled)
		return
	}
	upgrader := websocket.Upgrader{
		HandshakeTimeout: s.cfg.Limits.HandshakeTimeout,
		ReadBufferSize:   32 << 10, WriteBufferSize: 32 << 10,
		Subprotocols: []string{wire.Subprotocol},
		CheckOrigin:  func(*http.Request) bool { return true }, // admit has
	}
	challenge := rand.Text()
	ws, err := upgrader.Upgrade(w, r, http.Header{wire.ChallengeHeader: {challenge}})
	if err != nil {
		return // the upgrader has answered
	}
	defer ws.Close()
	h := &handshake{s: s, ws: ws, identity: identity, from: from, hosts: s.ownHosts(r, peer), challenge: challenge}
	stop := context.AfterFunc(s.ctx, func() { ws.Close() })
	a, err := h.run()
	stop()
	if errors.As(err, &refusal) {
		s.log.Info("agent refused", "from", from, "code", refusal.Code, "cause", refusal.Message)
		h.refuse(refusal)
		return
	}
	if err != nil {
		s.log.Debug("agent left during the handshake", "from", from, "cause", err)
		return
	}
	log := s.log.With("tunnel", a.tunnel, "connection", a.id)
	log.Info("agent connected", "from", from, "epoch", a.epoch, "form2", h.form2(), "agent", cutName(h.ready.Agent))
	err = s.hold(a)
	log.Info("agent disconnected", "cause", err)
}

// cutName bounds what an agent may put into the log as its name.
func cutName(name string) string {
	const most = 100
	if len(name) <= most {
		return name
	}
	return strings.ToValidUTF8(name[:most], "") + "…"
}

// hold runs an established agent's connection.
func (s *Server) hold(a *agent) error {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	if age := s.cfg.MaxAgentAge; age > 0 {
		timer := time.AfterFunc(age, func() {
			s.background(func() {
				a.link.tell(&wire.Error{Code: wire.CodeGoingAway, Message: "this connection has reached its greatest age"})
				s.retire(a, "too old")
			})
		})
		defer timer.Stop()
	}
	err := a.link.run(ctx)
	close(a.gone)
	s.registry.release(a, time.Now())
	return err
}

// retire closes a connection once its exchanges are over.
func (s *Server) retire(a *agent, reason string) {
	ctx, cancel := context.WithTimeout(s.ctx, s.cfg.Limits.DrainTimeout)
	defer cancel()
	a.link.drain(ctx)
	a.link.close(closeNormal, reason)
}

// closeWebSocket says goodbye and waits a moment for the peer to do so too: a
// connection closed with unread data is reset, and the peer may never see what was
// sent last. Nobody else may read from ws.
func closeWebSocket(ws *websocket.Conn, code int, reason string) {
	deadline := time.Now().Add(closeLinger)
	if ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), deadline) == nil {
		ws.SetReadDeadline(deadline)
		for range maxNoise {
			if _, _, err := ws.NextReader(); err != nil {
				break
			}
		}
	}
	ws.Close()
}

// dismiss sends the former holder of a tunnel away.
func (s *Server) dismiss(old *agent, v tunnel.Verdict) {
	if !old.await(s.ctx) {
		return // it has gone by itself
	}
	switch v {
	case tunnel.Renewed:
		s.retire(old, "replaced as planned")
	case tunnel.TakenOver:
		old.link.tell(&wire.Error{Code: wire.CodeReplaced, Message: "another process has taken over this tunnel: stop one of the two"})
		old.link.close(closePolicy, string(wire.CodeReplaced))
	default:
		old.link.close(closeGoingAway, "no sign of life")
	}
}

// refuse answers a handshake that does not become a WebSocket.
func refuse(w http.ResponseWriter, status int, e *wire.Error) {
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(agentRetryAfter))
	}
	writeJSONError(w, status, string(e.Code), e.Message)
}

const agentRetryAfter = 1 // seconds
