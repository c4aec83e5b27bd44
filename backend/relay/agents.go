package relay

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/gorilla/websocket"

	"culvert/backend/auth"
	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

// Close codes (RFC 6455, section 7.4.1, and the IANA registry).
const (
	closeNormal       = websocket.CloseNormalClosure
	closeGoingAway    = websocket.CloseGoingAway
	closePolicy       = websocket.ClosePolicyViolation
	closeTryLater     = websocket.CloseTryAgainLater
	closeLinger       = time.Second // for the peer to read the last message
	maxHandshakeNoise = 16          // messages before ready
	maxInstance       = 128
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
	replaces *agent

	link  link          // for others once ready is closed
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
	if !s.throttle.allow(from, time.Now()) {
		refuse(w, http.StatusTooManyRequests, &wire.Error{Code: wire.CodeThrottled, Message: "too many connections in a short time: wait a little"})
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
	upgrader := websocket.Upgrader{
		HandshakeTimeout: s.cfg.Limits.HandshakeTimeout,
		ReadBufferSize:   32 << 10, WriteBufferSize: 32 << 10,
		Subprotocols: []string{wire.Subprotocol},
		CheckOrigin:  func(*http.Request) bool { return true }, // admit has
	}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // the upgrader has answered
	}
	defer ws.Close()
	h := &handshake{s: s, ws: ws, identity: identity, from: from, hosts: s.ownHosts(r, peer)}
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
	log.Info("agent connected", "from", from, "epoch", a.epoch, "form2", h.form2(), "agent", h.ready.Agent)
	err = s.hold(a)
	log.Info("agent disconnected", "cause", err)
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

// handshake is the part of an agent's connection before it has its tunnel.
type handshake struct {
	s        *Server
	ws       *websocket.Conn
	identity auth.Identity
	from     netip.Addr
	hosts    []string
	ready    wire.Ready
}

func (h *handshake) form2() bool { return h.ws.Subprotocol() == wire.Subprotocol }

// declared reports whether the peer knows more than the original protocol.
func (h *handshake) declared() bool { return h.form2() || h.ready.Declared() }

// run waits for ready and gives the agent a tunnel. Then the agent's link can be
// used, and is to be run.
func (h *handshake) run() (*agent, error) {
	h.ws.SetReadLimit(wire.MaxControlMessage)
	h.ws.SetReadDeadline(time.Now().Add(h.s.cfg.Limits.HandshakeTimeout))
	if err := h.awaitReady(); err != nil {
		return nil, err
	}
	claim, err := h.claim()
	if err != nil {
		return nil, err
	}
	a := &agent{id: rand.Text(), quota: claim.Owner, ready: make(chan struct{}), gone: make(chan struct{})}
	if h.identity.Subject != "" {
		a.quota = "user:" + h.identity.Subject
	} else if a.quota == "" {
		a.quota = "from:" + throttleKey(h.from).String()
	}
	old, verdict, err := h.obtain(a, claim)
	if err != nil {
		return nil, err
	}
	if err := h.establish(a, claim.Owner); err != nil {
		close(a.gone)
		h.s.registry.release(a, time.Now())
		return nil, err
	}
	// The link has deadlines of its own.
	h.ws.SetReadDeadline(time.Time{})
	h.ws.SetWriteDeadline(time.Time{})
	if h.form2() {
		a.link = newLink2(h.s, h.ws)
	} else {
		a.link = newLink1(h.s, h.ws, h.ready.Declared())
	}
	close(a.ready)
	if old != nil {
		h.s.background(func() { h.s.dismiss(old, verdict) })
	}
	return a, nil
}

func (h *handshake) awaitReady() error {
	for range maxHandshakeNoise {
		kind, text, err := h.ws.ReadMessage()
		if err != nil {
			return err
		}
		if kind != websocket.TextMessage {
			return &wire.Error{Code: wire.CodeInvalidRequest, Message: "the first message must be ready, as text"}
		}
		message, err := wire.Decode(text, wire.MaxControlMessage)
		if err != nil {
			return &wire.Error{Code: wire.CodeInvalidRequest, Message: "the first message must be ready: " + err.Error()}
		}
		if ready, ok := message.(*wire.Ready); ok {
			h.ready = *ready
			return nil
		}
	}
	return &wire.Error{Code: wire.CodeInvalidRequest, Message: "the first message must be ready"}
}

// claim turns ready into a claim, once it is clear who the agent is.
func (h *handshake) claim() (tunnel.Claim, error) {
	if !h.declared() {
		return tunnel.Claim{}, nil
	}
	r := &h.ready
	c := tunnel.Claim{ID: r.TunnelID, Instance: r.Instance, Epoch: r.Epoch}
	if len(r.Instance) > maxInstance {
		return c, &wire.Error{Code: wire.CodeInvalidRequest, Message: "the session's name (instance) is too long"}
	}
	switch {
	case h.identity.Subject != "":
		c.Owner = "user:" + h.identity.Subject
	case r.Owner != "":
		if err := tunnel.VerifyOwner(r.Owner, r.Proof, h.hosts...); err != nil {
			return c, &wire.Error{Code: wire.CodeUnauthorized,
				Message: fmt.Sprintf("%v: connect to the relay by its public address %s", err, h.s.cfg.PublicURL)}
		}
		c.Owner = "key:" + r.Owner
	}
	if c.ID == "" {
		return c, nil
	}
	if err := tunnel.ValidID(c.ID); err != nil {
		return c, &wire.Error{Code: wire.CodeInvalidRequest, Message: err.Error()}
	}
	if !h.identity.Allows(c.ID) {
		return c, &wire.Error{Code: wire.CodeForbidden, Message: fmt.Sprintf("your token does not allow the tunnel name %q", c.ID)}
	}
	c.Resumed = r.Resume != "" && h.s.resumer.Verify(c.ID, c.Owner, r.Resume)
	return c, nil
}

// obtain gets the tunnel of the claim for a, or one that is free if the claim
// names none.
func (h *handshake) obtain(a *agent, c tunnel.Claim) (old *agent, v tunnel.Verdict, err error) {
	if c.ID != "" {
		return h.obtainNamed(a, c)
	}
	if len(h.identity.Tunnels) > 0 {
		return h.obtainListed(a, c)
	}
	c.Fresh = true
	for {
		c.ID = tunnel.NewID()
		if _, known := h.s.registry.find(c.ID, time.Now()); !known {
			return h.s.registry.claim(c, a, h.maxTunnels(), nil, time.Now())
		}
	}
}

// maxProbed bounds the tunnels of one token whose holders are asked whether they live.
const maxProbed = 3

// obtainListed gets any of the tunnels that the token names: one that is free, or
// one whose holder is dead.
func (h *handshake) obtainListed(a *agent, c tunnel.Claim) (old *agent, v tunnel.Verdict, err error) {
	if h.identity.Subject != "" {
		c.Owner = "user:" + h.identity.Subject // also of an agent that has declared nothing
	}
	var held []string
	for _, c.ID = range h.identity.Tunnels {
		old, v, err = h.s.registry.claim(c, a, h.maxTunnels(), nil, time.Now())
		if err == nil && v == tunnel.Granted {
			return old, v, nil
		}
		if err == nil {
			held = append(held, c.ID)
		}
	}
	for _, c.ID = range held[:min(len(held), maxProbed)] {
		if old, v, err = h.obtainNamed(a, c); err == nil {
			return old, v, nil
		}
	}
	if len(held) == 0 && err != nil {
		return nil, 0, err
	}
	return nil, 0, &wire.Error{Code: wire.CodeNameTaken, Message: "all tunnels that your token allows are in use: stop one first"}
}

func (h *handshake) obtainNamed(a *agent, c tunnel.Claim) (old *agent, v tunnel.Verdict, err error) {
	var dead *agent
	for {
		old, v, err = h.s.registry.claim(c, a, h.maxTunnels(), dead, time.Now())
		if err != nil || v != tunnel.Unproven {
			return old, v, err
		}
		ctx, cancel := context.WithTimeout(h.s.ctx, h.s.cfg.Limits.ProbeTimeout)
		alive := !old.await(ctx) || old.link.probe(ctx) == nil
		cancel()
		if alive && !old.ended() {
			return nil, 0, tunnel.NameInUse(c.ID)
		}
		dead = old
	}
}

func (h *handshake) maxTunnels() int {
	if h.identity.Max > 0 {
		return h.identity.Max
	}
	return h.s.cfg.Limits.TunnelsPerOwner
}

// establish tells the agent what it has got.
func (h *handshake) establish(a *agent, owner string) error {
	e := &wire.Established{ConnectionID: a.id, TunnelID: a.tunnel}
	e.PublicURL, e.PathBasedURL, e.SubdomainURL = h.s.cfg.publicURLs(a.tunnel)
	if h.declared() {
		e.Protocol = wire.ProtocolVersion
		e.Capabilities = []wire.Capability{wire.CapResume}
		e.Resume = h.s.resumer.Secret(a.tunnel, owner)
		e.Epoch = a.epoch
		e.MaxAgeMS = h.s.cfg.MaxAgentAge.Milliseconds()
		e.Backend = "culvert-relay " + h.s.cfg.Version
	}
	text, err := wire.Encode(e)
	if err != nil {
		return err
	}
	return h.write(text)
}

func (h *handshake) write(text []byte) error {
	h.ws.SetWriteDeadline(time.Now().Add(h.s.cfg.Limits.HandshakeTimeout))
	return h.ws.WriteMessage(websocket.TextMessage, text)
}

// refuse tells the agent why it gets no tunnel.
func (h *handshake) refuse(e *wire.Error) {
	message := &wire.ErrorMessage{Code: e.Code, Message: e.Message}
	if !h.declared() {
		message.Code = e.Code.Original()
	}
	text, err := wire.Encode(message)
	if err != nil || h.write(text) != nil {
		return
	}
	code := closePolicy
	if !e.Code.Permanent() {
		code = closeTryLater
	}
	closeWebSocket(h.ws, code, "refused")
}

// closeWebSocket says goodbye and waits a moment for the peer to do so too: a
// connection closed with unread data is reset, and the peer may never see what was
// sent last. Nobody else may read from ws.
func closeWebSocket(ws *websocket.Conn, code int, reason string) {
	deadline := time.Now().Add(closeLinger)
	if ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), deadline) == nil {
		ws.SetReadDeadline(deadline)
		for range maxHandshakeNoise {
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
