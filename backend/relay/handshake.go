package relay

import (
	"context"
	"errors"
	"slices"
	"time"

	"culvert/backend/auth"
	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

// maxProbed bounds the tunnels of one token whose holders are asked whether they live.
const maxProbed = 3

// handshake is what makes a connection an agent's: from ready to its tunnel.
type handshake struct {
	s        *Server
	c        *connection
	identity auth.Identity
	ready    *wire.Ready
}

// becomeAgent acts on ready; err is what is wrong with it. The reader waits for it:
// nothing that comes meanwhile could be about anything else.
func (c *connection) becomeAgent(ready *wire.Ready, err error) {
	if ready == nil {
		ready = &wire.Ready{}
	}
	st := c.s.connections.standingOf(c)
	h := &handshake{s: c.s, c: c, identity: st.identity, ready: ready}
	switch {
	case err != nil:
		err = &wire.Error{Code: wire.CodeInvalidRequest, Message: err.Error()}
	case !st.authorised:
		err = &wire.Error{Code: wire.CodeUnauthorized, Message: auth.ErrNoToken.Error()}
	default:
		err = h.run()
	}
	var refusal *wire.Error
	switch {
	case err == nil:
	case errors.As(err, &refusal):
		c.s.log.Info("agent refused", "from", c.from, "code", refusal.Code, "cause", refusal.Message)
		h.refuse(refusal)
	default:
		c.s.log.Debug("agent left during the handshake", "from", c.from, "cause", err)
		c.link.close(closeGoingAway, "")
	}
}

// declared reports whether the peer knows more than the original protocol.
func (h *handshake) declared() bool { return h.c.form2 || h.ready.Declared() }

// run gives the agent a tunnel.
func (h *handshake) run() error {
	claim, err := h.claim()
	if err != nil {
		return err
	}
	a := &agent{
		conn: h.c, link: h.c.link, declared: h.declared(), quota: claim.Owner,
		ready: make(chan struct{}), gone: make(chan struct{}),
	}
	if owner := h.identity.Owner(); owner != "" {
		a.quota = owner
	} else if a.quota == "" {
		a.quota = h.c.address()
	}
	old, verdict, err := h.obtainCounted(a, claim)
	if err != nil {
		return err
	}
	h.s.connections.hush(h.c, h.ready)
	h.c.link.carry(h.ready.Declared())
	err = h.establish(a, claim.Owner)
	if err == nil && !h.s.connections.serveAsAgent(h.c, a, h.ready) {
		err = errLinkOver
	}
	if err != nil {
		close(a.gone)
		h.s.registry.release(a, time.Now())
		return err
	}
	h.c.retired = h.s.ageOut(a)
	h.s.registry.settle(a)
	if old != nil {
		h.s.background(func() { h.s.dismiss(old, verdict) })
	}
	h.s.log.Info("agent connected", "tunnel", a.tunnel, "connection", h.c.id, "from", h.c.from,
		"epoch", a.epoch, "form2", h.c.form2, "agent", cutName(h.ready.Agent))
	return nil
}

// claim turns ready into a claim, once it is clear who the agent is.
func (h *handshake) claim() (tunnel.Claim, error) {
	if !h.declared() {
		return tunnel.Claim{}, nil
	}
	claim, err := h.identity.Claim(h.ready, h.c.checks())
	if err == nil && claim.Owner != "" && !h.s.connections.own(h.c, claim.Owner) {
		err = &wire.Error{Code: wire.CodeForbidden, Message: "this connection is another user's already: connect anew"}
	}
	return claim, err
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
	e := &wire.Established{ConnectionID: h.c.id, TunnelID: a.tunnel}
	e.PublicURL, e.PathBasedURL, e.SubdomainURL = h.s.cfg.publicURLs(a.tunnel)
	if h.declared() {
		e.Protocol = wire.ProtocolVersion
		e.Capabilities = h.agreed()
		e.Resume = h.s.resumer.Secret(a.tunnel, owner)
		e.Epoch = a.epoch
		e.MaxAgeMS = h.s.ageLimit(h.identity, time.Now()).Milliseconds()
		e.Backend = "culvert-relay " + h.s.cfg.Version
	}
	text, err := wire.Encode(e)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(h.c.ctx, h.s.cfg.Limits.HandshakeTimeout)
	defer cancel()
	return h.c.link.send(ctx, text)
}

// agreed are the capabilities of this connection.
func (h *handshake) agreed() []wire.Capability {
	list := []wire.Capability{wire.CapResume}
	for _, capability := range []wire.Capability{wire.CapActions, wire.CapNotices} {
		if slices.Contains(h.ready.Capabilities, capability) {
			list = append(list, capability)
		}
	}
	return list
}

// refuse tells the agent why it gets no tunnel.
func (h *handshake) refuse(e *wire.Error) {
	if !h.s.connections.depart(h.c) {
		return
	}
	message := &wire.ErrorMessage{Code: e.Code, Message: e.Message}
	if !h.declared() {
		message.Code = e.Code.Original()
	}
	h.c.post(message)
	code := closePolicy
	if !e.Code.Permanent() {
		code = closeTryLater
	}
	h.c.link.close(code, "refused")
}
