package agents

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"culvert/backend/lambda/post"
	"culvert/backend/lambda/store"
	"culvert/backend/lambda/timer"
	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

const (
	// freshTries is how many IDs are made up before it is no accident any more.
	freshTries = 3
	// maxProbed bounds the tunnels of one token whose holders are asked whether they live.
	maxProbed = 3
	// maxDropped is the same when an owner is at its limit.
	maxDropped = 64
	// claimTries bounds the claims of a name whose holders turn out to be dead.
	claimTries = 3

	// probePings: a holder is asked twice for a sign of life, since messages get lost.
	probePings = 2
)

// obtainCounted is obtain, but connections that turn out to be dead do not count for
// the limit of tunnels. dead is the former holder that turned out to be so, or "".
func (h *handshake) obtainCounted(ctx context.Context, c tunnel.Claim, holder store.Holder) (got *store.Claimed, dead string, err error) {
	got, dead, err = h.obtain(ctx, c, holder)
	var refusal *wire.Error
	if errors.As(err, &refusal) && refusal.Code == wire.CodeTooManyTunnels && h.dropDead(ctx, holder.Quota) {
		return h.obtain(ctx, c, holder)
	}
	return got, dead, err
}

// obtain gets the tunnel of the claim, or one that is free if the claim names none.
func (h *handshake) obtain(ctx context.Context, c tunnel.Claim, holder store.Holder) (got *store.Claimed, dead string, err error) {
	switch {
	case c.ID != "":
		return h.obtainNamed(ctx, c, holder)
	case len(h.conn.Identity.Tunnels) > 0:
		return h.obtainListed(ctx, c, holder)
	}
	c.Fresh = true
	for range freshTries {
		c.ID = tunnel.NewID()
		got, err = h.a.cfg.Store.Claim(ctx, c, holder, h.maxTunnels(), "")
		if !errors.Is(err, store.ErrConflict) {
			break
		}
	}
	return got, "", err
}

// obtainListed gets any of the tunnels that the token names: one that is free, or one
// whose holder is dead.
func (h *handshake) obtainListed(ctx context.Context, c tunnel.Claim, holder store.Holder) (got *store.Claimed, dead string, err error) {
	c.Owner = h.conn.Identity.Owner() // also of an agent that has declared nothing
	var held []string
	for _, c.ID = range h.conn.Identity.Tunnels {
		got, err = h.a.cfg.Store.Claim(ctx, c, holder, h.maxTunnels(), "")
		switch {
		case err == nil && got.Verdict == tunnel.Unproven:
			held = append(held, c.ID)
		case err == nil:
			return got, "", nil
		case !isRefusal(err):
			return nil, "", err
		}
	}
	for _, c.ID = range held[:min(len(held), maxProbed)] {
		got, dead, err := h.obtainNamed(ctx, c, holder)
		if err == nil || !isRefusal(err) {
			return got, dead, err
		}
	}
	if len(held) == 0 && err != nil {
		return nil, "", err
	}
	return nil, "", &wire.Error{Code: wire.CodeNameTaken, Message: "all tunnels that your token allows are in use: stop one first"}
}

func isRefusal(err error) bool {
	var refusal *wire.Error
	return errors.As(err, &refusal)
}

func (h *handshake) obtainNamed(ctx context.Context, c tunnel.Claim, holder store.Holder) (got *store.Claimed, dead string, err error) {
	for range claimTries {
		got, err = h.a.cfg.Store.Claim(ctx, c, holder, h.maxTunnels(), dead)
		if err != nil || got.Verdict != tunnel.Unproven {
			return got, dead, err
		}
		old := got.Previous
		if h.a.alive(ctx, old.Connection) {
			return nil, "", tunnel.NameInUse(c.ID)
		}
		dead = old.Connection
	}
	return nil, "", fmt.Errorf("claim tunnel %s: %w", c.ID, store.ErrConflict)
}

func (h *handshake) maxTunnels() int {
	if n := h.conn.Identity.Max; n > 0 {
		return n
	}
	return h.a.cfg.MaxTunnels
}

// dropDead takes the tunnels of quota away from connections that give no sign of
// life: their $disconnect was lost. It reports whether there were any.
func (h *handshake) dropDead(ctx context.Context, quota string) bool {
	held, err := h.a.cfg.Store.HeldBy(ctx, quota)
	if err != nil {
		h.a.log.Warn("an owner's tunnels cannot be listed", "error", err)
		return false
	}
	var wg sync.WaitGroup
	var dropped atomic.Bool
	for _, one := range held[:min(len(held), maxDropped)] {
		wg.Go(func() {
			if h.a.alive(ctx, one.Connection) {
				return
			}
			_, err := h.a.cfg.Store.Release(ctx, one.Tunnel, one.Connection)
			if err == nil {
				err = h.a.cfg.Store.Uncount(ctx, quota, one.Connection)
			}
			if err != nil {
				h.a.log.Warn("a dead connection's tunnel cannot be released", "tunnel", one.Tunnel, "error", err)
				return
			}
			dropped.Store(true)
			// It may only have been silent: then it notices, and does not wait in vain.
			if err := h.a.cfg.Poster.Delete(ctx, one.Connection); err != nil {
				h.a.log.Warn("a dead connection cannot be closed", "connection", one.Connection, "error", err)
			}
		})
	}
	wg.Wait()
	return dropped.Load()
}

// alive asks whether there is an agent at the other end. API Gateway knows whether the
// connection exists; behind a line that was cut it may do so for minutes more. So a
// declared agent is sent a ping, which it answers: the answer comes as an event of its
// own, and is seen in the store. Whoever cannot be asked counts as alive.
func (a *Agents) alive(ctx context.Context, connection string) bool {
	ctx, cancel := context.WithTimeout(ctx, probePings*a.patience.probe+postWithin)
	defer cancel()
	if _, err := a.cfg.Poster.Info(ctx, connection); err != nil {
		return !errors.Is(err, post.ErrGone)
	}
	before, err := a.cfg.Store.Connection(ctx, connection)
	if errors.Is(err, store.ErrUnknown) {
		return false // older than connections get
	}
	if err != nil || !before.Declared {
		return true
	}
	ping, err := wire.Encode(&wire.Ping{})
	if err != nil {
		return true
	}
	for range probePings {
		switch err := a.postTo(ctx, connection, ping); {
		case errors.Is(err, post.ErrGone):
			return false
		case err != nil:
			return true
		}
		for end := a.now().Add(a.patience.probe); a.now().Before(end); {
			if timer.Wait(ctx, a.patience.look) != nil {
				return true
			}
			now, err := a.cfg.Store.Connection(ctx, connection)
			if err != nil || now.Ponged.After(before.Ponged) {
				return err == nil || !errors.Is(err, store.ErrUnknown)
			}
		}
	}
	return false
}
