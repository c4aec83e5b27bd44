package agents

import (
	"context"
	"errors"
	"fmt"
	"time"

	"culvert/backend/lambda/event"
	"culvert/backend/lambda/post"
	"culvert/backend/lambda/store"
	"culvert/backend/lambda/ticket"
	"culvert/backend/wire"
)

// ping answers an agent's heartbeat, if it knows answers. Whether it does, its
// session token says, or else the store. An agent that has lost its tunnel and does not
// know it is sent away, to come again.
func (a *Agents) ping(ctx context.Context, m *event.Message, e *envelope) error {
	var tunnel string
	declared := true
	if e.Session != "" {
		var err error
		if tunnel, err = a.sessionOf(ctx, e); errors.Is(err, errNoSession) {
			a.refuse(m, string(e.Type), err)
			return a.startAnew(ctx, m, err)
		} else if err != nil {
			return err
		}
	} else {
		c, err := a.cfg.Store.Connection(ctx, m.ConnectionID)
		if errors.Is(err, store.ErrUnknown) {
			a.refuse(m, string(e.Type), err)
			return nil
		}
		if err != nil {
			return err
		}
		if h := (store.Holder{Capabilities: c.Capabilities}); h.Can(wire.CapSession) {
			return nil // it could show its token
		}
		if c.Expired(a.now()) {
			return a.sendAway(ctx, m.ConnectionID, c.Declared, a.barred(c))
		}
		tunnel, declared = c.Tunnel, c.Declared
	}
	if tunnel != "" && !a.holdsStill(ctx, tunnel, m.ConnectionID) {
		a.log.Info("agent has lost its tunnel, and is sent away", "connection", m.ConnectionID, "tunnel", tunnel)
		return a.sendAway(ctx, m.ConnectionID, declared, &wire.Error{Code: wire.CodeGoingAway, Message: "this connection has lost its tunnel: connect again"})
	}
	if !declared {
		return nil // the original backend says nothing, too
	}
	text, err := wire.Encode(&wire.Pong{})
	if err != nil {
		return err
	}
	if err := a.postTo(ctx, m.ConnectionID, text); err != nil && !errors.Is(err, post.ErrGone) {
		return fmt.Errorf("pong: %w", err)
	}
	return nil
}

// sessionOf is the tunnel that a session token is for. The error wraps errNoSession if
// it is for none.
func (a *Agents) sessionOf(ctx context.Context, e *envelope) (tunnel string, err error) {
	set, err := a.cfg.Keys.Get(ctx)
	if err != nil {
		return "", err
	}
	tunnel, err = set.Tickets.OpenSession(e.Session, a.now())
	if errors.Is(err, ticket.ErrForged) {
		newer, changed, e2 := a.cfg.Keys.Reread(ctx, set)
		if e2 != nil {
			return "", e2
		}
		if changed {
			tunnel, err = newer.Tickets.OpenSession(e.Session, a.now())
		}
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNoSession, err)
	}
	return tunnel, nil
}

// startAnew ends a connection whose session token is none any more: its key was accepted
// when the connection began, and has been rotated out, or its time is over. None of its
// answers would ever count. Its secret to resume by may be as old, so its tunnel must be
// free when it comes again: it then gets it by its owner, if its own token still counts.
func (a *Agents) startAnew(ctx context.Context, m *event.Message, cause error) error {
	c, err := a.cfg.Store.Connection(ctx, m.ConnectionID)
	if err != nil && !errors.Is(err, store.ErrUnknown) {
		return err
	}
	if err == nil && c.Tunnel != "" {
		if _, err := a.cfg.Store.Release(ctx, c.Tunnel, m.ConnectionID); err != nil {
			return err
		}
		if err := a.cfg.Store.Uncount(ctx, c.Quota, m.ConnectionID); err != nil {
			return err
		}
	}
	why := "the backend's keys were rotated: connect again"
	if errors.Is(cause, ticket.ErrExpired) {
		why = "the session of this connection has expired: connect again"
	}
	return a.tellAndClose(ctx, m.ConnectionID, &wire.ErrorMessage{Code: wire.CodeGoingAway, Message: why})
}

// handover is how long a connection may live on whose tunnel another one has: what
// runs on it may finish, if its agent has replaced it as planned.
const handover = time.Minute

// holdsStill reports whether the tunnel is still the connection's, or may be. A 410 that
// came by mistake, or a line that was dead for some seconds while somebody looked, has
// taken it away, and nobody could tell the agent.
func (a *Agents) holdsStill(ctx context.Context, tunnel, connection string) bool {
	for _, consistent := range []bool{false, true} { // the latter only if something is wrong
		t, err := a.cfg.Store.Lookup(ctx, tunnel, consistent)
		switch {
		case errors.Is(err, store.ErrUnknown):
		case err != nil:
			a.log.Warn("it is not known whether an agent still has its tunnel", "connection", connection, "tunnel", tunnel, "error", err)
			return true
		case t.Live && (t.Connection == connection || a.now().Sub(t.ConnectedAt) < handover):
			return true
		}
	}
	return false
}

// sendAway ends a connection that has lost its tunnel, or whose token has expired. An
// agent that has declared itself is told why: it comes again at once, and gets its
// tunnel, or learns why not.
func (a *Agents) sendAway(ctx context.Context, connection string, declared bool, why *wire.Error) error {
	if !declared {
		return a.cfg.Poster.Delete(ctx, connection)
	}
	return a.tellAndClose(ctx, connection, &wire.ErrorMessage{Code: why.Code, Message: why.Message})
}
