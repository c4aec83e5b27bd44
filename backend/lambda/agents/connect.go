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
	identity, pending, err := a.identify(ctx, m, set)
	switch {
	case err == nil:
	case errors.Is(err, errPage):
		a.refuse(m, "agent", err)
		return http.StatusForbidden, nil
	case errors.Is(err, auth.ErrInvalidToken):
		a.refuse(m, "agent", err)
		return http.StatusUnauthorized, nil
	default:
		a.count(countRefused)
		return http.StatusServiceUnavailable, fmt.Errorf("agent refused: %w", err)
	}
	connectedAt := m.ConnectedAt
	if connectedAt.IsZero() {
		connectedAt = a.now()
	}
	err = a.cfg.Store.PutConnection(ctx, store.Connection{
		ID: m.ConnectionID, Identity: identity, ConnectedAt: connectedAt, Pending: pending,
		Host: strings.ToLower(printable(m.Header.Get("Host"))), From: m.SourceIP,
	})
	if err != nil {
		return http.StatusServiceUnavailable, err
	}
	if user := identity.Owner(); user != "" {
		err = a.cfg.Store.PutUserConnection(ctx, user, store.UserConnection{Connection: m.ConnectionID, ConnectedAt: connectedAt, From: m.SourceIP})
		if err != nil {
			return http.StatusServiceUnavailable, err
		}
	}
	a.log.Info("agent connects", "connection", m.ConnectionID, "from", m.SourceIP, "user", identity.Subject, "pending", pending)
	return http.StatusOK, nil
}

var errPage = errors.New("web pages may be agents only with a token, and this backend takes none")

// identify says who the agent is by its token; pending if it may say so later.
func (a *Agents) identify(ctx context.Context, m *event.Message, set *keys.Set) (who auth.Identity, pending bool, err error) {
	if a.cfg.Auth == AuthNone {
		if len(m.Header["Origin"]) > 0 {
			err = errPage
		}
		return auth.Identity{}, false, err
	}
	token := bearerToken(m)
	if token == "" && a.cfg.ConnectAuth == ConnectDeferred {
		return auth.Identity{}, true, nil
	}
	who, err = a.verify(ctx, set, token)
	return who, false, err
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

// disconnect ends the hold of a connection on its tunnel, and takes it off its user's
// list. It may come late, when another connection has the tunnel, twice, or never: then
// the first visitor finds out, or the next to claim the name, and who lists the user's
// connections, or sends a notice to them.
func (a *Agents) disconnect(ctx context.Context, m *event.Message) error {
	c, err := a.cfg.Store.Connection(ctx, m.ConnectionID)
	if errors.Is(err, store.ErrUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	held := false
	if c.Tunnel != "" {
		if held, err = a.cfg.Store.Release(ctx, c.Tunnel, m.ConnectionID); err != nil {
			return err
		}
		if err := a.cfg.Store.Uncount(ctx, c.Quota, m.ConnectionID); err != nil {
			return err
		}
	}
	a.log.Info("agent left", "connection", m.ConnectionID, "tunnel", c.Tunnel, "held", held, "close_code", m.DisconnectCode)
	if user := c.User(); user != "" {
		return a.cfg.Store.ForgetUserConnection(ctx, user, m.ConnectionID)
	}
	return nil
}
