package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"culvert/backend/action"
	"culvert/backend/auth"
	"culvert/backend/wire"
)

// Actions that the relay serves itself. All others are package action's.
const (
	actionAuthorize   = "authorize"
	actionPing        = "ping"
	actionConnections = "connections"
)

// actionNames are all that may be asked for, sorted.
func actionNames() []string {
	names := append(action.Names(), action.Reserved()...)
	slices.Sort(names)
	return names
}

// Bounds of what one connection may ask for.
const (
	actionsPerSecond = 10
	actionBurst      = 50
	actionsAtOnce    = 8
	// actionBytes bounds the data of actions that wait or are under way.
	actionBytes = 512 << 10
	// maxIgnored is how many questions in a row may be throttled before the
	// connection is closed.
	maxIgnored = 100
	maxPingee  = 256 // bytes of a name in ping
	maxListed  = 100 // connections in an answer
)

// errAsksNothing is about JSON objects that are no messages of the protocol.
var errAsksNothing = fmt.Errorf("%w: it has neither type nor action", wire.ErrProtocol)

// calls are a connection's actions under way in package action.
type calls struct {
	slots chan struct{} // one for each that runs

	mu      sync.Mutex
	pending int
	bytes   int
}

// begin makes room for a call with so many bytes of data. end must follow if it
// returns true.
func (c *calls) begin(bytes int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending >= actionBurst || c.bytes+bytes > actionBytes {
		return false
	}
	c.pending++
	c.bytes += bytes
	return true
}

func (c *calls) end(bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending--
	c.bytes -= bytes
}

// ask answers an action, or sees to it that it is answered.
func (c *connection) ask(a *wire.Action, size int) {
	st, ok := c.heed(a)
	switch {
	case !ok:
	case size > wire.MaxAction:
		c.fail(a, &wire.ActionError{Code: wire.CodeTooLarge, Message: fmt.Sprintf("the message is too large: one about an action may have %d bytes", wire.MaxAction)})
	case a.Action == actionAuthorize && !st.authorised:
		// What comes next counts on it, and nothing else can be done before.
		c.authorize(c.ctx, a)
	case a.Action == actionAuthorize:
		c.start(a, c.authorize)
	case a.Action == actionPing:
		c.conclude(a)(ping(a.Data))
	case a.Action == actionConnections:
		c.conclude(a)(json.Marshal(c.siblings(st)))
	case !slices.Contains(c.s.actions, a.Action):
		c.fail(a, action.Unknown(a.Action, c.s.actions))
	default:
		asked := time.Now()
		c.start(a, func(ctx context.Context, a *wire.Action) { c.process(ctx, a, asked) })
	}
}

// object answers what is no action, and nothing else either. An agent that cannot
// have meant an action is left alone.
func (c *connection) object(st standing, bad *wire.BadAction) {
	if st.stage == tunnelled && !st.actions && bad.Code != wire.CodeTooLarge { // which only an action is
		c.s.log.Debug("agent's message ignored", "connection", c.id, "cause", bad)
		return
	}
	answer := bad.Answer()
	if _, ok := c.heed(&wire.Action{Action: answer.Action, ID: answer.ID}); ok {
		c.post(answer)
	}
}

// heed reports whether a question is to be answered. If not, that is answered already.
func (c *connection) heed(a *wire.Action) (standing, bool) {
	if c.asking == nil {
		c.asking = rate.NewLimiter(actionsPerSecond, actionBurst)
		c.calls.slots = make(chan struct{}, actionsAtOnce)
	}
	if !c.asking.Allow() {
		c.throttle(a)
		if c.ignored++; c.ignored >= maxIgnored {
			c.dismiss(&wire.Error{Code: wire.CodeThrottled, Message: "too many questions, for too long"}, closePolicy)
		}
		return standing{}, false
	}
	c.ignored = 0
	st := c.s.connections.standingOf(c)
	if !st.authorised && a.Action != actionAuthorize {
		c.fail(a, &wire.ActionError{Code: wire.CodeUnauthorized,
			Message: "this relay wants a token: send " + authorizeExample + ", or connect with the field Authorization: Bearer TOKEN"})
		return st, false
	}
	if st.authorised && !c.becomeClient() {
		return st, c.answerStanding(a, st)
	}
	return st, true
}

// answerStanding answers what is asked for by one client too many, and sends it away.
// It may still ask once which ones there are: somebody has to find out what to close.
// For that it may say first who it is, which takes no seat, and is over when the
// handshake's time is. It reports whether the question is still to be answered.
func (c *connection) answerStanding(a *wire.Action, st standing) bool {
	switch a.Action {
	case actionAuthorize:
		return true
	case actionConnections:
		c.conclude(a)(json.Marshal(c.siblings(st)))
	default:
		c.fail(a, &wire.ActionError{Code: wire.CodeThrottled, Message: msgTooManyClients})
	}
	c.dismiss(&wire.Error{Code: wire.CodeThrottled, Message: msgTooManyClients}, closeTryLater)
	return false
}

const msgTooManyClients = "too many clients are connected, of yours or in all: close some (`culvert connections` lists yours), or try again later"

// becomeClient makes an authorised connection a client unless it is more already.
func (c *connection) becomeClient() bool {
	became, ok := c.s.connections.serveAsClient(c)
	if became {
		c.s.log.Info("client connected", "connection", c.id, "from", c.from)
	}
	return ok
}

func (c *connection) fail(a *wire.Action, e *wire.ActionError) { c.post(wire.FailedAction(a, e)) }

func (c *connection) throttle(a *wire.Action) {
	c.fail(a, &wire.ActionError{Code: wire.CodeThrottled,
		Message: fmt.Sprintf("too many actions at once: %d a second are fine", actionsPerSecond)})
}

// conclude gives a function that answers with a result or an error.
func (c *connection) conclude(a *wire.Action) func(json.RawMessage, error) {
	return func(result json.RawMessage, err error) {
		told := (*wire.ActionError)(nil)
		switch {
		case err == nil:
			c.post(wire.DoneAction(a, result))
			return
		case !errors.As(err, &told):
			told = &wire.ActionError{Code: wire.CodeInternal, Message: "the action failed: see the relay's log"}
		}
		if err != error(told) { // there is a cause beside it
			c.s.log.Warn("action failed", "action", cutName(a.Action), "connection", c.id, "cause", err)
		}
		c.fail(a, told)
	}
}

// start runs f beside the reader, within bounds.
func (c *connection) start(a *wire.Action, f func(ctx context.Context, a *wire.Action)) {
	if !c.calls.begin(len(a.Data)) {
		c.throttle(a)
		return
	}
	c.work.Go(func() {
		defer c.calls.end(len(a.Data))
		ctx, cancel := context.WithTimeout(c.ctx, c.s.cfg.Limits.ActionTimeout)
		defer cancel()
		f(ctx, a)
	})
}

// outcome is what came of an action.
type outcome struct {
	result json.RawMessage
	err    error
}

// process has package action do it. An action that does not mind its context is
// answered in time all the same, but counts as one that runs until it returns.
func (c *connection) process(ctx context.Context, a *wire.Action, asked time.Time) {
	call := &action.Call{
		Action: a.Action, Data: a.Data, Connection: c.id, Time: asked,
		User: auth.UserID(c.s.connections.standingOf(c).owner),
	}
	done := make(chan outcome, 1)
	select {
	case c.calls.slots <- struct{}{}:
		c.work.Go(func() {
			defer func() { <-c.calls.slots }()
			result, err := c.s.do(ctx, call)
			done <- outcome{result, err}
		})
	case <-ctx.Done():
	}
	select {
	case o := <-done:
		c.conclude(a)(o.result, o.err)
	case <-ctx.Done():
		c.fail(a, &wire.ActionError{Code: wire.CodeTimeout, Message: "the action took too long"})
	}
}

// ping greets whoever gives a name.
func ping(data json.RawMessage) (json.RawMessage, error) {
	var name string
	if json.Unmarshal(data, &name) != nil && data != nil {
		var named struct {
			Name string `json:"name"`
		}
		if json.Unmarshal(data, &named) != nil {
			return nil, action.Invalid(`the action ping takes a name or nothing: write "data":"Ann"`)
		}
		name = named.Name
	}
	if len(name) > maxPingee {
		return nil, action.Invalid("a name may have %d bytes", maxPingee)
	}
	return json.Marshal(struct {
		Message string `json:"message"`
		Name    string `json:"name,omitempty"`
	}{"pong", name})
}

// listed is a connection as its user sees it.
type listed struct {
	ConnectionID string `json:"connection_id"`
	TunnelID     string `json:"tunnel_id,omitempty"`
	Agent        string `json:"agent,omitempty"`
	From         string `json:"from"`
	ConnectedAt  string `json:"connected_at"`
	LastSeen     string `json:"last_seen,omitempty"`
	This         bool   `json:"this"`
}

type siblings struct {
	User        string   `json:"user"`
	Connections []listed `json:"connections"`
	More        bool     `json:"more,omitempty"`
}

// siblings are the connections of c's user.
func (c *connection) siblings(st standing) siblings {
	list := siblings{User: auth.UserID(st.owner)}
	all := c.s.connections.of(st.owner)
	if st.owner == "" {
		all = []seen{{c, st}}
	}
	if len(all) > maxListed {
		all, list.More = all[:maxListed], true
	}
	rfc := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	for _, o := range all {
		entry := listed{
			ConnectionID: o.id, Agent: o.name, From: o.from.String(), This: o.connection == c,
			ConnectedAt: rfc(o.opened), LastSeen: rfc(o.link.lastSeen()),
		}
		if o.agent != nil {
			entry.TunnelID = o.agent.tunnel
		}
		list.Connections = append(list.Connections, entry)
	}
	return list
}
