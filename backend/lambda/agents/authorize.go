package agents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"culvert/backend/auth"
	"culvert/backend/lambda/keys"
	"culvert/backend/lambda/store"
	"culvert/backend/wire"
)

// maxFailures is how often a connection may be authorized in vain before it is closed.
const maxFailures = 3

// evidence is what a client shows: a token, or the proof that it has an owner key.
type evidence struct {
	Token string `json:"token"`
	Owner string `json:"owner"`
	Proof string `json:"proof"`
}

func readEvidence(data json.RawMessage) (c evidence, ok bool) {
	if json.Unmarshal(data, &c.Token) != nil && json.Unmarshal(data, &c) != nil {
		return evidence{}, false
	}
	return c, c.Token != "" || c.Owner != ""
}

// authorize has a connection show, or show again, who is at its other end.
func (a *Agents) authorize(ctx context.Context, r *asking) reply {
	shown, ok := readEvidence(r.Data)
	switch {
	case !ok:
		return refusal(wire.CodeInvalidRequest, `there is nothing to authorize by: write "data":{"token":"…"}`)
	case r.conn.Failed >= maxFailures: // it is being closed
		return a.unauthorized(r, maxFailures, "this was tried too often: connect again")
	case a.cfg.Auth == AuthNone && shown.Token != "":
		return refusal(wire.CodeInvalidRequest, "this backend takes no tokens: leave authorize out, or show an owner key")
	}
	who, owner, err := a.believe(ctx, r, shown)
	var no *wire.Error
	switch {
	case err == nil:
	case errors.As(err, &no):
		return a.failed(ctx, r, no.Message)
	case errors.Is(err, auth.ErrInvalidToken):
		return a.failed(ctx, r, err.Error())
	default:
		out := refusal(wire.CodeInternal, "the backend cannot check this at the moment: try again later")
		out.err = fmt.Errorf("authorize: %w", err)
		return out
	}
	user := owner
	if user == "" {
		user = who.Owner()
	}
	if before := r.conn.User(); before != "" && before != user {
		return refusal(wire.CodeForbidden, "this connection is another user's: open one of your own")
	}
	if err := a.admitAs(ctx, r, who, owner); errors.Is(err, store.ErrConflict) {
		return refusal(wire.CodeForbidden, "somebody else has authorized this connection at the same time: connect again")
	} else if err != nil {
		return failure(err)
	}
	a.log.Info("connection authorized", "connection", r.m.ConnectionID, "from", r.m.SourceIP, "user", user)
	out := struct {
		User    string `json:"user"`
		Expires string `json:"expires,omitempty"`
	}{User: auth.UserID(user)}
	if !who.Expires.IsZero() {
		out.Expires = who.Expires.UTC().Format(time.RFC3339)
	}
	return result(out)
}

// believe checks what a client shows: it gives the bearer of a token, or an owner.
func (a *Agents) believe(ctx context.Context, r *asking, shown evidence) (who auth.Identity, owner string, err error) {
	if a.cfg.Auth == AuthNone {
		owner, err = auth.VerifyKey(shown.Owner, shown.Proof, a.ownerChecks(r.m, r.conn))
		return auth.Identity{}, owner, err
	}
	set, err := a.cfg.Keys.Get(ctx)
	if err != nil {
		return auth.Identity{}, "", err
	}
	who, err = a.verify(ctx, set, shown.Token)
	return who, "", err
}

// admitAs notes who is there, unless that is known already. That the connection is the
// user's is noted in any case: it may have been the second step that failed before.
func (a *Agents) admitAs(ctx context.Context, r *asking, who auth.Identity, owner string) error {
	c := r.conn
	same := who.Subject == c.Identity.Subject && owner == c.Owner && slices.Equal(who.Tunnels, c.Identity.Tunnels) &&
		who.Max == c.Identity.Max && who.Expires.Equal(c.Identity.Expires) && who.ID == c.Identity.ID && who.IssuedAt.Equal(c.Identity.IssuedAt)
	if !same || c.Pending {
		if err := a.cfg.Store.Authorize(ctx, c.ID, who, owner); err != nil {
			return err
		}
	}
	if owner == "" {
		owner = who.Owner()
	}
	err := a.cfg.Store.PutUserConnection(ctx, owner, store.UserConnection{Connection: c.ID, ConnectedAt: c.ConnectedAt, From: c.From})
	if err != nil || c.Tunnel == "" || who.Subject == "" {
		return err
	}
	now := store.Connection{Identity: who}
	return a.cfg.Store.Prolong(ctx, c.Tunnel, store.Holder{Connection: c.ID, ConnectedAt: c.ConnectedAt, Quota: c.Quota, Ends: now.Ends()})
}

// failed counts what was shown in vain.
func (a *Agents) failed(ctx context.Context, r *asking, why string) reply {
	times, err := a.cfg.Store.AuthorizeFailed(ctx, r.m.ConnectionID)
	if err != nil {
		out := a.unauthorized(r, 0, why)
		out.err = err
		return out
	}
	return a.unauthorized(r, times, why)
}

func (a *Agents) unauthorized(r *asking, times int, why string) reply {
	a.refuse(r.m, "authorize", fmt.Errorf("try %d: %s", times, why))
	out := refusal(wire.CodeUnauthorized, why)
	out.end = times >= maxFailures
	return out
}

// verify says who bears a token, if it counts.
func (a *Agents) verify(ctx context.Context, set *keys.Set, token string) (auth.Identity, error) {
	who, err := set.Tokens.Verify(ctx, token)
	if errors.Is(err, auth.ErrInvalidToken) && token != "" && !errors.Is(err, auth.ErrExpired) {
		// It may be signed with a secret that is newer than those known here.
		newer, changed, e := a.cfg.Keys.Reread(ctx, set)
		if e != nil {
			return auth.Identity{}, e
		}
		if changed {
			who, err = newer.Tokens.Verify(ctx, token)
		}
	}
	if err != nil {
		return auth.Identity{}, err
	}
	revoked, err := a.cfg.Store.Revoked(ctx, who)
	switch {
	case err != nil:
		return auth.Identity{}, err
	case revoked:
		return auth.Identity{}, auth.ErrRevoked
	}
	return who, nil
}
