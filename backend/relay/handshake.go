package relay

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/netip"
	"time"

	"github.com/gorilla/websocket"

	"culvert/backend/auth"
	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

const (
	maxNoise = 16 // messages before ready, or after a refusal
	// maxProbed bounds the tunnels of one token whose holders are asked whether they live.
	maxProbed = 3
)

// handshake is the part of an agent's connection before it has its tunnel.
type handshake struct {
	s        *Server
	ws       *websocket.Conn
	identity auth.Identity
	from     netip.Addr
	hosts    []string
	// challenge is new for each connection, and part of what an owner has to sign.
	challenge string
	ready     wire.Ready
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
	if owner := h.identity.Owner(); owner != "" {
		a.quota = owner
	} else if a.quota == "" {
		a.quota = "from:" + throttleKey(h.from).String()
	}
	old, verdict, err := h.obtainCounted(a, claim)
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
	h.s.registry.settle(a)
	if old != nil {
		h.s.background(func() { h.s.dismiss(old, verdict) })
	}
	return a, nil
}

func (h *handshake) awaitReady() error {
	for range maxNoise {
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
	return h.identity.Claim(&h.ready, auth.Checks{
		Challenge: h.challenge, Hosts: h.hosts, Resume: h.s.resumer,
		Advice: fmt.Sprintf("connect to the relay by its public address %s", h.s.cfg.PublicURL),
	})
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

// obtainListed gets any of the tunnels that the token names: one that is free, or
// one whose holder is dead.
func (h *handshake) obtainListed(a *agent, c tunnel.Claim) (old *agent, v tunnel.Verdict, err error) {
	if owner := h.identity.Owner(); owner != "" {
		c.Owner = owner // also of an agent that has declared nothing
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
