package agents

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"culvert/backend/lambda/event"
	"culvert/backend/lambda/keys"
	"culvert/backend/lambda/post"
	"culvert/backend/lambda/store"
	"culvert/backend/lambda/ticket"
	"culvert/backend/wire"
)

// pushWithin bounds posting to one who waits: beyond it the store is quicker.
const pushWithin = time.Second

// askSlot spaces what an agent asks for again, which is every two seconds at most: two
// messages of one slot are one. No request lasts longer than askLife.
const (
	askSlot = time.Second
	askLife = 20 * time.Minute
)

// What is said beside bodies is short, and whoever reads it takes no more: a resend
// names wire.MaxWanted numbers at most. Storing costs by the KB.
const (
	maxResend = 4 << 10
	maxError  = 8 << 10
)

// Why a message about a request is refused.
var (
	errNoSession    = errors.New("it comes with no valid session token")
	errOtherTunnel  = errors.New("its session token is of another tunnel than the request")
	errUndeclared   = errors.New("the agent has not declared messages of this type")
	errPartNumber   = errors.New("its part has no number, or one out of range")
	errLong         = errors.New("it is longer than messages of this type are")
	errNoWaitBefore = errors.New("it is too late")
)

// answer passes on what an agent says about a request: to the connection that waits,
// or into the store. Nobody but the request's own agent gets that far.
func (a *Agents) answer(ctx context.Context, m *event.Message, e *envelope) error {
	t, err := a.ticketOf(ctx, m, e)
	if errors.Is(err, keys.ErrNone) {
		return err
	}
	part := 0
	if err == nil {
		part, err = a.partOf(t, e, len(m.Body))
	}
	if err != nil {
		a.refuse(m, string(e.Type), err)
		if errors.Is(err, errNoSession) && e.Session != "" {
			return a.startAnew(ctx, m, err)
		}
		return nil
	}
	pushed := false
	// What was asked for again may have been lost on the way to the waiter.
	if t.Waiter != "" && !e.Resent && a.cfg.Waiters != nil {
		err := a.cfg.Waiters.Post(ctx, t.Waiter, m.Body, post.Within(pushWithin))
		if pushed = err == nil; pushed {
			a.count(countPushed)
		} else {
			a.log.Warn("answer could not be pushed, and is stored", "tunnel", t.Tunnel, "cause", err)
		}
	}
	// That a push was accepted does not mean that it arrives. A declared agent can be
	// asked again, another one cannot.
	if pushed && !t.Bound {
		return nil
	}
	first, err := a.cfg.Store.PutAnswer(ctx, t.Key(), part, withoutSession(m.Body, e), t.Expires)
	switch {
	case errors.Is(err, store.ErrExpired):
		a.refuse(m, string(e.Type), errNoWaitBefore)
	case err != nil:
		return fmt.Errorf("answer of tunnel %s: %w", t.Tunnel, err)
	case first:
		a.count(countStored)
	}
	return nil
}

// withoutSession leaves the agent's token out of what is stored: it has been checked, and
// the table keeps old answers for days, until DynamoDB gets round to them. Nothing in a
// token is ever escaped in JSON.
func withoutSession(text []byte, e *envelope) []byte {
	if e.Session == "" {
		return text
	}
	return bytes.ReplaceAll(text, []byte(e.Session), nil)
}

// ticketOf checks that the request is this backend's, is still waited for, and was
// sent to this agent.
func (a *Agents) ticketOf(ctx context.Context, m *event.Message, e *envelope) (ticket.Ticket, error) {
	set, err := a.cfg.Keys.Get(ctx)
	if err != nil {
		return ticket.Ticket{}, err
	}
	t, err := a.check(set, m, e)
	if errors.Is(err, ticket.ErrForged) {
		set, changed, e2 := a.cfg.Keys.Reread(ctx, set)
		if e2 != nil {
			return ticket.Ticket{}, e2
		}
		if changed {
			return a.check(set, m, e)
		}
	}
	return t, err
}

func (a *Agents) check(set *keys.Set, m *event.Message, e *envelope) (ticket.Ticket, error) {
	now := a.now()
	t, err := set.Tickets.Open(e.RequestID, m.ConnectionID, now)
	if err != nil {
		return ticket.Ticket{}, err
	}
	if t.Bound {
		return t, nil // its connection is in the MAC
	}
	tunnel, err := set.Tickets.OpenSession(e.Session, now)
	switch {
	case err != nil:
		return ticket.Ticket{}, fmt.Errorf("%w: %w", errNoSession, err)
	case tunnel != t.Tunnel:
		return ticket.Ticket{}, errOtherTunnel
	}
	return t, nil
}

// partOf is the number under which the message, of so many bytes, is stored.
func (a *Agents) partOf(t ticket.Ticket, e *envelope, size int) (int, error) {
	switch {
	case e.Type == wire.TypeHTTPResponse:
		return store.PartHead, nil
	case e.Type == wire.TypeError && size > maxError, e.Type == wire.TypeResend && size > maxResend:
		return 0, errLong
	case e.Type == wire.TypeError:
		return store.PartError, nil
	case t.Bound:
		return 0, errUndeclared
	case e.Type == wire.TypeResend:
		// A later one has a higher number, and there are only so many.
		left := min(t.Expires.Sub(a.now()), askLife)
		return store.PartRequest + int((askLife-left)/askSlot), nil
	}
	most := store.MaxWholeChunk
	if t.Stream {
		most = store.MaxChunk
	}
	if e.Seq < 1 || e.Seq > most {
		return 0, errPartNumber
	}
	return e.Seq, nil
}
