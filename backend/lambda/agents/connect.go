package agents

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"culvert/backend/auth"
	"culvert/backend/lambda/event"
	"culvert/backend/lambda/keys"
	"culvert/backend/lambda/store"
)

// connect says whether a connection may open. The WebSocket exists only once this
// has returned: to post to it here would fail. A subprotocol that the agent offers is
// not chosen, and so means the form that everybody speaks (RFC 6455, section 4.2.2).
func (a *Agents) connect(ctx context.Context, m *event.Message) (status int, err error) {
	// Without keys no agent could be told from another, nor its answers from forged ones.
	set, err := a.cfg.Keys.Get(ctx)
	if err != nil {
		a.count(countRefused)
		return http.StatusServiceUnavailable, fmt.Errorf("agent refused: %w", err)
	}
	identity, err := a.identify(ctx, m, set)
	switch {
	case errors.Is(err, errPage):
		a.refuse(m, "agent", err)
		return http.StatusForbidden, nil
	case err != nil:
		a.refuse(m, "agent", err)
		return http.StatusUnauthorized, nil
	}
	connectedAt := m.ConnectedAt
	if connectedAt.IsZero() {
		connectedAt = a.now()
	}
	err = a.cfg.Store.PutConnection(ctx, store.Connection{
		ID: m.ConnectionID, Identity: identity, ConnectedAt: connectedAt,
		Host: strings.ToLower(printable(m.Header.Get("Host"))), From: m.SourceIP,
	})
	if err != nil {
		return http.StatusServiceUnavailable, err
	}
	a.log.Info("agent connects", "connection", m.ConnectionID, "from", m.SourceIP, "user", identity.Subject)
	return http.StatusOK, nil
}

var errPage = errors.New("web pages may be agents only with a token, and this backend takes none")

// identify says who the agent is by its token.
func (a *Agents) identify(ctx context.Context, m *event.Message, set *keys.Set) (auth.Identity, error) {
	if a.cfg.Auth == AuthNone {
		if len(m.Header["Origin"]) > 0 {
			return auth.Identity{}, errPage
		}
		return auth.Identity{}, nil
	}
	token := bearerToken(m)
	identity, err := set.Tokens.Verify(ctx, token)
	if err == nil || token == "" || errors.Is(err, auth.ErrExpired) {
		return identity, err
	}
	// It may be signed with a secret that is newer than those known here.
	set, changed, e := a.cfg.Keys.Reread(ctx, set)
	if e != nil || !changed {
		return identity, err
	}
	return set.Tokens.Verify(ctx, token)
}

// bearerToken is the agent's token. Browsers and some WebSocket libraries cannot set
// fields in the handshake: they put it into the URL. An authorizer of API Gateway
// could ask for the one or the other, not for either.
func bearerToken(m *event.Message) string {
	scheme, token, ok := strings.Cut(m.Header.Get("Authorization"), " ")
	if ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	return m.Query.Get("token")
}

// disconnect ends the hold of a connection on its tunnel. It may come late, when
// another connection has the tunnel, twice, or never: then the first visitor finds
// out, or the next to claim the name.
func (a *Agents) disconnect(ctx context.Context, m *event.Message) error {
	c, err := a.cfg.Store.Connection(ctx, m.ConnectionID)
	if errors.Is(err, store.ErrUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	if c.Tunnel == "" {
		a.log.Info("agent left without a tunnel", "connection", m.ConnectionID)
		return nil
	}
	was, err := a.cfg.Store.Release(ctx, c.Tunnel, m.ConnectionID)
	a.log.Info("agent left", "connection", m.ConnectionID, "tunnel", c.Tunnel, "held", was, "close_code", m.DisconnectCode)
	return errors.Join(err, a.cfg.Store.Uncount(ctx, c.Quota, m.ConnectionID))
}
