package agents

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"culvert/backend/auth"
	"culvert/backend/lambda/event"
	"culvert/backend/lambda/keys"
	"culvert/backend/lambda/post"
	"culvert/backend/lambda/store"
	"culvert/backend/lambda/timer"
	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

const (
	// sessionLife is how long a session token counts: the longest life of a
	// connection, and an hour for answers that go by its successor.
	sessionLife = 3 * time.Hour
	// tellTries is how often an agent is told that it has its tunnel. Hearing it
	// twice does no harm.
	tellTries = 3
	// cleanup bounds what must be done though there is no time left.
	cleanup = 3 * time.Second
)

// handshake is an agent's way from ready to its tunnel.
type handshake struct {
	a     *Agents
	m     *event.Message
	conn  *store.Connection
	keys  *keys.Set
	hello wire.Ready
}

// ready gives an agent a tunnel.
func (a *Agents) ready(ctx context.Context, m *event.Message) error {
	conn, err := a.cfg.Store.Connection(ctx, m.ConnectionID)
	if errors.Is(err, store.ErrUnknown) {
		return a.unknown(ctx, m)
	}
	if err != nil {
		return err
	}
	h := &handshake{a: a, m: m, conn: conn}
	if h.keys, err = a.cfg.Keys.Get(ctx); err == nil {
		err = h.run(ctx)
	} else {
		err = errors.Join(err, h.refuse(ctx, &wire.Error{Code: wire.CodeThrottled, Message: "the backend has no keys: its log says what to do"}))
	}
	var refusal *wire.Error
	if errors.As(err, &refusal) {
		return h.refuse(ctx, refusal)
	}
	return err
}

func (h *handshake) run(ctx context.Context) error {
	message, err := wire.Decode(h.m.Body, wire.MaxControlMessage)
	hello, ok := message.(*wire.Ready)
	if err != nil || !ok {
		return &wire.Error{Code: wire.CodeInvalidRequest, Message: "the first message must be ready, and it cannot be read"}
	}
	h.hello = *hello
	if no := h.a.barred(h.conn); no != nil {
		return no
	}
	// Its token may have been revoked since it was shown, and nothing else asks again.
	if h.conn.Identity.Subject != "" {
		switch revoked, err := h.a.cfg.Store.Revoked(ctx, h.conn.Identity); {
		case err != nil:
			return err
		case revoked:
			return &wire.Error{Code: wire.CodeUnauthorized, Message: auth.ErrRevoked.Error()}
		}
	}
	if h.conn.Tunnel != "" {
		return h.again(ctx)
	}
	claim, err := h.claim()
	if err != nil {
		return err
	}
	holder := store.Holder{
		Connection: h.m.ConnectionID, ConnectedAt: h.conn.ConnectedAt,
		Declared: h.hello.Declared(), Capabilities: h.capabilities(), Quota: h.quota(claim.Owner), Ends: h.conn.Ends(),
	}
	got, dead, err := h.obtainCounted(ctx, claim, holder)
	if err != nil {
		return err
	}
	if mine, err := h.attach(ctx, got, claim.Owner); err != nil || !mine {
		return err
	}
	if err := h.list(ctx, got); err != nil {
		return h.giveUp(ctx, got, err)
	}
	if err := h.establish(ctx, &got.Tunnel); err != nil {
		return h.giveUp(ctx, got, err)
	}
	t := &got.Tunnel
	h.a.log.Info("agent has its tunnel", "connection", t.Connection, "tunnel", t.ID, "owner", t.Owner, "epoch", t.Epoch,
		"verdict", got.Verdict.String(), "declared", t.Declared, "agent", printable(h.hello.Agent), "from", h.m.SourceIP)
	h.dismiss(ctx, got, dead)
	return nil
}

// claim is what the agent wants, once it is clear who it is.
func (h *handshake) claim() (tunnel.Claim, error) {
	if !h.hello.Declared() {
		return tunnel.Claim{}, nil
	}
	checks := h.a.ownerChecks(h.m, h.conn)
	checks.Resume = h.keys.Resume
	claim, err := h.conn.Identity.Claim(&h.hello, checks)
	if err != nil || h.conn.Owner == "" || claim.Owner == h.conn.Owner {
		return claim, err
	}
	// It has shown an owner key before.
	if claim.Owner != "" {
		return claim, &wire.Error{Code: wire.CodeForbidden, Message: "this connection has shown another owner key before: open one of its own"}
	}
	claim.Owner = h.conn.Owner
	claim.Resumed = claim.ID != "" && h.hello.Resume != "" && h.keys.Resume.Verify(claim.ID, claim.Owner, h.hello.Resume)
	return claim, nil
}

// ownerChecks is what the proof of an owner key is checked by.
func (a *Agents) ownerChecks(m *event.Message, conn *store.Connection) auth.Checks {
	return auth.Checks{Hosts: a.hosts(m, conn), Advice: "connect to the WebSocket address that the deployment printed"}
}

// hosts are the names for which an owner's proof counts. API Gateway says which of
// its domains was dialled. What the agent itself says is believed only on this machine,
// or another backend could pass on a proof that was meant for itself.
func (a *Agents) hosts(m *event.Message, conn *store.Connection) []string {
	hosts := slices.Clone(a.cfg.Hosts)
	if m.Domain != "" {
		hosts = append(hosts, m.Domain)
	}
	if loopback(conn.Host) {
		hosts = append(hosts, conn.Host)
	}
	return hosts
}

func loopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// capabilities are those that both sides have. Without session tokens an answer
// counts on its own connection only, and what needs more than one message is not used.
func (h *handshake) capabilities() []wire.Capability {
	if !h.hello.Declared() {
		return nil
	}
	offered := func(c wire.Capability) bool { return slices.Contains(h.hello.Capabilities, c) }
	both := []wire.Capability{wire.CapResume}
	for _, c := range []wire.Capability{wire.CapActions, wire.CapNotices} {
		if offered(c) {
			both = append(both, c)
		}
	}
	if !offered(wire.CapSession) {
		return both
	}
	both = append(both, wire.CapSession)
	for _, c := range []wire.Capability{wire.CapChunks, wire.CapGzip, wire.CapCancel} {
		if offered(c) {
			both = append(both, c)
		}
	}
	if h.a.cfg.Blob && offered(wire.CapBlob) {
		both = append(both, wire.CapBlob)
	}
	if h.a.urls.stream != "" && offered(wire.CapStream) {
		both = append(both, wire.CapStream)
	}
	return both
}

// quota is what the agent's tunnels are counted by: its user, else its owner key, else
// where it comes from.
func (h *handshake) quota(owner string) string {
	if user := h.conn.Identity.Owner(); user != "" {
		return user
	}
	if owner != "" {
		return owner
	}
	addr, err := netip.ParseAddr(h.m.SourceIP)
	if err != nil {
		return "from:unknown"
	}
	addr = addr.Unmap()
	bits := 32
	if addr.Is6() {
		bits = 64 // what one subscriber has
	}
	prefix, _ := addr.Prefix(bits)
	return "from:" + prefix.String()
}

// attach notes the tunnel beside the connection, for its end. If the same message was
// delivered twice, at the same time, and the other one was faster, this one stands back.
func (h *handshake) attach(ctx context.Context, got *store.Claimed, owner string) (mine bool, err error) {
	id := got.Tunnel.ID
	agent := store.Agent{Name: printable(h.hello.Agent)}
	if h.conn.Identity.Subject == "" {
		agent.Owner = owner
	}
	if err = h.a.cfg.Store.Attach(ctx, id, got.Tunnel.Holder, agent); err == nil {
		return true, nil
	}
	if !errors.Is(err, store.ErrConflict) {
		return false, h.giveUp(ctx, got, err)
	}
	now, err := h.a.cfg.Store.Connection(ctx, h.m.ConnectionID)
	switch {
	case err == nil && now.Tunnel == id:
		return true, nil
	case err == nil && now.Tunnel != "":
		// What is counted is the connection, and the other one's tunnel is its own.
		_, err = h.a.cfg.Store.Release(ctx, id, h.m.ConnectionID)
		return false, err
	case err == nil: // somebody else has shown an owner key by it
		err = store.ErrConflict
	}
	return false, h.giveUp(ctx, got, err)
}

// list notes the agent among its user's connections, before it is told that it has its
// tunnel: then it may ask for them.
func (h *handshake) list(ctx context.Context, got *store.Claimed) error {
	user := h.userOf(&got.Tunnel)
	if user == "" {
		return nil
	}
	return h.a.cfg.Store.PutUserConnection(ctx, user, store.UserConnection{
		Connection: h.m.ConnectionID, ConnectedAt: h.conn.ConnectedAt, From: h.conn.From,
		Tunnel: got.Tunnel.ID, Agent: printable(h.hello.Agent), Notices: got.Tunnel.Can(wire.CapNotices),
	})
}

// userOf is whose connection it is, "" if nobody knows.
func (h *handshake) userOf(t *store.Tunnel) string {
	if user := h.conn.User(); user != "" {
		return user
	}
	return t.Owner
}

// giveUp returns the tunnel of an agent that cannot be told of it.
func (h *handshake) giveUp(ctx context.Context, got *store.Claimed, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
	defer cancel()
	err := h.a.cfg.Store.GiveBack(ctx, got)
	if errors.Is(cause, post.ErrGone) {
		h.a.log.Info("agent left during the handshake", "connection", h.m.ConnectionID, "tunnel", got.Tunnel.ID, "cause", cause)
		// Its end may have come before it was noted among its user's.
		if user := h.userOf(&got.Tunnel); user != "" {
			err = errors.Join(err, h.a.cfg.Store.ForgetUserConnection(ctx, user, h.m.ConnectionID))
		}
		return err
	}
	return errors.Join(fmt.Errorf("tell agent of tunnel %s: %w", got.Tunnel.ID, cause), err)
}

// again answers a ready that came twice: as before, if the tunnel is still the agent's.
func (h *handshake) again(ctx context.Context) error {
	t, err := h.a.cfg.Store.Lookup(ctx, h.conn.Tunnel, true)
	if err != nil && !errors.Is(err, store.ErrUnknown) {
		return err
	}
	if err != nil || !t.Live || t.Connection != h.m.ConnectionID {
		return &wire.Error{Code: wire.CodeGoingAway, Message: "this connection has lost its tunnel: connect again"}
	}
	if err := h.establish(ctx, t); err != nil && !errors.Is(err, post.ErrGone) {
		return fmt.Errorf("tell agent of tunnel %s: %w", t.ID, err)
	}
	return nil
}

// establish tells the agent what it has got.
func (h *handshake) establish(ctx context.Context, t *store.Tunnel) error {
	e := &wire.Established{ConnectionID: t.Connection, TunnelID: t.ID}
	h.a.urls.fill(e, t.ID)
	if t.Declared {
		now := h.a.now()
		e.Protocol = wire.ProtocolVersion
		e.Capabilities = t.Capabilities
		e.Resume = h.keys.Resume.Secret(t.ID, t.Owner)
		e.Epoch = t.Epoch
		// Whoever connects again after that is refused if the token has expired.
		end, session := t.ConnectedAt.Add(store.MaxConnectionAge), now.Add(sessionLife)
		if last := h.conn.Ends(); !last.IsZero() {
			end, session = earlier(end, last), earlier(session, last)
		}
		// At least a second, or the field would say that there is no end.
		e.MaxAgeMS = max(end.Sub(now), time.Second).Milliseconds()
		e.Backend = "culvert-lambda " + h.a.cfg.Version
		if t.Can(wire.CapSession) {
			e.Session = h.keys.Tickets.Session(t.ID, session)
		}
		if t.Can(wire.CapStream) {
			e.StreamURL = h.a.urls.streamURL(t.ID)
		}
	}
	text, err := wire.Encode(e)
	if err != nil {
		return err
	}
	for try := range tellTries {
		if try > 0 {
			if e := timer.Wait(ctx, h.a.patience.tell); e != nil {
				return errors.Join(err, e)
			}
		}
		err = h.a.postTo(ctx, t.Connection, text, post.Young(t.ConnectedAt))
		if err == nil || errors.Is(err, post.ErrGone) || errors.Is(err, post.ErrForbidden) {
			break
		}
	}
	return err
}

// refuse tells the agent why it gets no tunnel, and closes the connection of one that
// may not understand. Ours close it themselves.
func (h *handshake) refuse(ctx context.Context, e *wire.Error) error {
	h.a.count(countRefused)
	h.a.log.Info("agent refused", "connection", h.m.ConnectionID, "from", h.m.SourceIP, "code", e.Code, "cause", e.Message)
	code := e.Code
	if !h.hello.Declared() {
		code = code.Original()
	}
	return h.a.tellAndClose(ctx, h.m.ConnectionID, &wire.ErrorMessage{Code: code, Message: e.Message}, post.Young(h.conn.ConnectedAt))
}

// dismiss sends away who held the tunnel before. What runs on a connection that was
// replaced as planned may finish: its agent closes it.
func (h *handshake) dismiss(ctx context.Context, got *store.Claimed, dead string) {
	var err error
	switch old := got.Previous; {
	case dead != "":
		err = h.a.cfg.Poster.Delete(ctx, dead)
	case old == nil || got.Verdict == tunnel.Renewed:
	case old.Declared:
		err = h.a.tellAndClose(ctx, old.Connection, &wire.ErrorMessage{Code: wire.CodeReplaced,
			Message: "another process has taken over this tunnel: stop one of the two"})
	default:
		err = h.a.cfg.Poster.Delete(ctx, old.Connection)
	}
	if err != nil {
		// The tunnel is the new holder's all the same.
		h.a.log.Warn("the former holder of a tunnel could not be told", "tunnel", got.Tunnel.ID, "error", err)
	}
}

// tellAndClose says goodbye. That a message was accepted does not mean that it is
// sent before the connection is cut, hence the pause.
func (a *Agents) tellAndClose(ctx context.Context, connection string, message *wire.ErrorMessage, opts ...post.Option) error {
	text, err := wire.Encode(message)
	if err != nil {
		return err
	}
	return a.sayAndClose(ctx, connection, text, opts...)
}

func (a *Agents) sayAndClose(ctx context.Context, connection string, text []byte, opts ...post.Option) error {
	err := a.postTo(ctx, connection, text, opts...)
	if errors.Is(err, post.ErrGone) {
		return nil
	}
	if err == nil {
		err = timer.Wait(ctx, a.patience.farewell)
	}
	return errors.Join(err, a.cfg.Poster.Delete(ctx, connection))
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
