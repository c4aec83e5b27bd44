package relay

import (
	"context"
	"crypto/rand"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
	"golang.org/x/time/rate"

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

// Bounds of one message, in bytes, of those who are no agents.
const (
	maxClientMessage   = wire.MaxGatewayMessage // beyond wire.MaxAction it is still answered
	maxStrangerMessage = 16 << 10               // room for a token
)

// link is a connection in one of the two forms.
type link interface {
	// run serves the connection until it is over.
	run(ctx context.Context) error
	// post sends a message without waiting; it fails if too many wait already.
	post(text []byte) error
	// send sends a message after what was posted, and before everything that is sent
	// once it has returned.
	send(ctx context.Context, text []byte) error
	// limit bounds the messages that are read. Only the reader may call it, or
	// whoever has not called run yet.
	limit(bytes int64)
	// carry prepares the link for requests. Only the reader may call it.
	carry(declared bool)
	// exchange carries a visitor's request. It returns false if it can no longer
	// carry any, and nothing was sent to the agent or the visitor.
	exchange(v *visit) bool
	// probe waits for a sign of life, and lastSeen is when the last one came.
	probe(ctx context.Context) error
	lastSeen() time.Time
	// drain takes no new exchanges and waits for those under way.
	drain(ctx context.Context)
	// close begins the end. It does not wait, and what was posted is still sent.
	close(code int, reason string)
}

// taker gets what a link does not deal with itself: a message, or why it is none,
// and its size in bytes. The reader waits for it.
type taker func(message any, err error, size int)

// connection is a WebSocket on the agents' address, from the upgrade to the end. As a
// client it asks for actions; an agent, which has said ready, may do so, too.
type connection struct {
	s      *Server
	id     string
	from   netip.Addr
	opened time.Time
	form2  bool
	link   link
	// challenge is new for each connection, and part of what an owner has to sign,
	// beside one of the hosts.
	challenge string
	hosts     []string

	ctx    context.Context // ends with the connection
	cancel context.CancelFunc
	work   sync.WaitGroup // what the reader has started

	asked atomic.Int64 // when the last message came, since opened
	calls calls        // actions under way

	// Only the reader uses these.
	asking  *rate.Limiter // nil until it asks for something
	ignored int           // questions in a row that were throttled
	retired *time.Timer   // at the greatest age

	standing standing // s.connections.mu guards it
}

func (s *Server) newConnection(ws *websocket.Conn, p *permit) *connection {
	c := &connection{
		s: s, id: rand.Text(), from: p.from, opened: time.Now(), hosts: p.hosts, challenge: p.challenge,
		form2: ws.Subprotocol() == wire.Subprotocol,
	}
	c.standing = standing{authorised: p.authorised, identity: p.identity, owner: p.identity.Owner(), notices: true}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	if c.form2 {
		c.link = newLink2(s, ws, c.take)
	} else {
		c.link = newLink1(s, ws, c.take)
	}
	c.link.limit(maxClientMessage)
	if !p.authorised {
		c.link.limit(maxStrangerMessage)
	}
	return c
}

// address is what counts as the peer's address.
func (c *connection) address() string { return addressOf(c.from) }

func addressOf(from netip.Addr) string { return "from:" + throttleKey(from).String() }

// serve runs the connection to its end.
func (c *connection) serve() {
	err := c.link.run(c.ctx)
	c.cancel()
	st := c.s.connections.standingOf(c)
	if st.stage == tunnelled {
		close(st.agent.gone)
		c.s.registry.release(st.agent, time.Now())
	}
	if c.retired != nil {
		c.retired.Stop()
	}
	c.work.Wait()
	c.s.connections.remove(c)
	switch st.stage {
	case tunnelled:
		c.s.log.Info("agent disconnected", "tunnel", st.agent.tunnel, "connection", c.id, "cause", err)
	case client:
		c.s.log.Info("client disconnected", "connection", c.id, "cause", err)
	default:
		c.s.log.Debug("connection ended before it was used", "from", c.from, "cause", err)
	}
}

// take acts on a message that is not about a request.
func (c *connection) take(message any, err error, size int) {
	c.asked.Store(int64(time.Since(c.opened)))
	st := c.s.connections.standingOf(c)
	if st.leaving {
		return
	}
	bad, _ := err.(*wire.BadAction)
	switch m := message.(type) {
	case *wire.Ready: // nil if it is malformed
		if st.stage != tunnelled {
			c.becomeAgent(m, err)
		}
	case *wire.Action:
		c.ask(m, size)
	case *wire.Unknown:
		if m.Type == "" {
			c.object(st, &wire.BadAction{Err: errAsksNothing})
		}
	case nil:
		if bad == nil {
			bad = &wire.BadAction{Err: err}
		}
		c.object(st, bad)
	}
}

// post sends a message that is small. A peer that takes none is sent away.
func (c *connection) post(message any) {
	text, err := wire.Encode(message)
	if err == nil {
		err = c.link.post(text)
	}
	if errors.Is(err, errSlow) && c.s.connections.depart(c) {
		c.s.log.Info("connection closed: it does not take what it is sent", "connection", c.id, "from", c.from, "cause", err)
		c.link.close(closePolicy, "the answers are not read")
	}
}

// tell sends an error about the connection to whom it may be sent to: an original
// agent knows few codes, and none that would do it good unless it must stop; a
// client knows answers.
func (c *connection) tell(st standing, e *wire.Error) {
	switch {
	case st.stage != tunnelled:
		if e.Code == wire.CodeUnauthorized {
			c.post(wire.FailedAction(&wire.Action{Action: actionAuthorize}, &wire.ActionError{Code: e.Code, Message: e.Message}))
		}
	case st.agent.declared:
		c.post(&wire.ErrorMessage{Code: e.Code, Message: e.Message})
	case e.Code.Permanent():
		c.post(&wire.ErrorMessage{Code: e.Code.Original(), Message: e.Message})
	}
}

// dismiss tells the peer why, and closes the connection.
func (c *connection) dismiss(e *wire.Error, code int) {
	if c.s.connections.depart(c) {
		c.tell(c.s.connections.standingOf(c), e)
		c.link.close(code, e.Message)
	}
}

// cutReason bounds what a close frame says (RFC 6455, section 5.5).
func cutReason(reason string) string {
	const room = 123
	if len(reason) <= room {
		return reason
	}
	cut := room
	for cut > 0 && !utf8.RuneStart(reason[cut]) {
		cut--
	}
	return reason[:cut]
}
