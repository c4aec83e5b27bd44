package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"culvert/backend/action"
	"culvert/backend/auth"
	"culvert/backend/wire"
)

const (
	// maxFailures is how often authorize may fail on one connection.
	maxFailures = 3
	// expiryLeeway forgives clocks that differ, as package auth does.
	expiryLeeway = 30 * time.Second
	// maxAnnouncedAge bounds what agents are told of a token's remaining time.
	maxAnnouncedAge = 365 * 24 * time.Hour
)

// errUnsure: it is not the token's fault.
var errUnsure = errors.New("whether the token is valid cannot be told at the moment: try again in a while")

// identify says who bears the token. It gives errUnsure, or a *wire.Error.
func (s *Server) identify(ctx context.Context, token string) (auth.Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Limits.HandshakeTimeout)
	defer cancel()
	identity, err := s.cfg.Authenticate(ctx, token)
	switch {
	case errors.Is(err, auth.ErrNoKeys), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		s.log.Warn("a token could not be checked", "cause", err)
		return auth.Identity{}, errUnsure
	case err == nil && s.revoked(identity):
		err = auth.ErrRevoked
	}
	if err != nil {
		return auth.Identity{}, &wire.Error{Code: wire.CodeUnauthorized, Message: err.Error()}
	}
	return identity, nil
}

// revoked reports whether the token was taken back. An identity without a user is no
// token's.
func (s *Server) revoked(i auth.Identity) bool {
	return s.cfg.Revoked != nil && i.Subject != "" && s.cfg.Revoked(i)
}

// expired reports whether the token's time is over.
func expired(i auth.Identity, now time.Time) bool {
	return !i.Expires.IsZero() && now.After(i.Expires.Add(expiryLeeway))
}

// ageLimit is how long an agent's connection may live from now on; 0 is for ever. It
// ends with the token, so that the agent shows a token that is still valid before.
func (s *Server) ageLimit(i auth.Identity, now time.Time) time.Duration {
	age := s.cfg.MaxAgentAge
	if i.Expires.IsZero() {
		return age
	}
	left := min(max(i.Expires.Add(expiryLeeway).Sub(now), time.Millisecond), maxAnnouncedAge)
	if age > 0 {
		left = min(left, age)
	}
	return left
}

// checks is what an owner key's proof on this connection is checked by.
func (c *connection) checks() auth.Checks {
	return auth.Checks{
		Challenge: c.challenge, Hosts: c.hosts, Resume: c.s.resumer,
		Advice: fmt.Sprintf("connect to the relay by its public address %s", c.s.cfg.PublicURL),
	}
}

// authorizeExample is how to write it.
const authorizeExample = `{"action":"authorize","data":{"token":"TOKEN"}}`

// credentials are the data of authorize: a token, or an owner key and its proof.
type credentials struct {
	Token string `json:"token"`
	Owner string `json:"owner"`
	Proof string `json:"proof"`
}

func errNoCredentials() error {
	return action.Invalid("the action authorize needs a token: send %s", authorizeExample)
}

func parseCredentials(data json.RawMessage) (credentials, error) {
	var cr credentials
	if json.Unmarshal(data, &cr.Token) != nil {
		if json.Unmarshal(data, &cr) != nil {
			return credentials{}, errNoCredentials()
		}
	}
	if cr.Token == "" && cr.Owner == "" {
		return credentials{}, errNoCredentials()
	}
	return cr, nil
}

// authorize answers the action of this name.
func (c *connection) authorize(ctx context.Context, a *wire.Action) {
	result, err := c.admitLater(ctx, a.Data)
	c.conclude(a)(result, err)
	told, ok := err.(*wire.ActionError)
	if ok && told.Code == wire.CodeUnauthorized && c.s.connections.failed(c) >= maxFailures {
		c.s.log.Info("connection closed: it cannot say who it is", "connection", c.id, "from", c.from)
		c.dismiss(&wire.Error{Code: wire.CodeForbidden, Message: "authorize has failed too often"}, closePolicy)
	}
}

// admitLater lets in who shows now what others have shown when they connected.
func (c *connection) admitLater(ctx context.Context, data json.RawMessage) (json.RawMessage, error) {
	cr, err := parseCredentials(data)
	if err != nil {
		return nil, err
	}
	identity, owner, err := c.credited(ctx, cr)
	refusal := (*wire.Error)(nil)
	switch {
	case errors.Is(err, errUnsure):
		return nil, &wire.ActionError{Code: wire.CodeInternal, Message: err.Error()}
	case errors.As(err, &refusal):
		return nil, &wire.ActionError{Code: refusal.Code, Message: refusal.Message}
	case err != nil:
		return nil, err
	}
	if !c.s.connections.own(c, owner) {
		return nil, &wire.ActionError{Code: wire.CodeForbidden, Message: "this connection is another user's already: connect anew"}
	}
	if cr.Token != "" {
		if c.s.connections.authorise(c, identity) {
			c.link.limit(maxClientMessage) // this is the reader, which waited
		}
	}
	result := struct {
		User    string `json:"user"`
		Expires string `json:"expires,omitempty"`
	}{User: auth.UserID(owner)}
	if e := identity.Expires; !e.IsZero() {
		result.Expires = e.UTC().Format(time.RFC3339)
	}
	return json.Marshal(result)
}

// credited says whose the credentials are.
func (c *connection) credited(ctx context.Context, cr credentials) (auth.Identity, string, error) {
	st := c.s.connections.standingOf(c)
	if cr.Token == "" {
		switch {
		case !st.authorised: // an agent, or its program: others have no owner key
			return auth.Identity{}, "", &wire.Error{Code: wire.CodeUnauthorized, Message: auth.ErrNoToken.Error()}
		case st.identity.Subject != "":
			return auth.Identity{}, "", &wire.Error{Code: wire.CodeUnauthorized, Message: "you are known by your token already: show no owner key beside it"}
		}
		owner, err := auth.VerifyKey(cr.Owner, cr.Proof, c.checks())
		return st.identity, owner, err
	}
	if c.s.cfg.Authenticate == nil {
		return auth.Identity{}, "", action.Invalid("this relay takes no tokens: everything is allowed without one")
	}
	identity, err := c.s.identify(ctx, cr.Token)
	if err == nil && !st.authorised && !c.s.throttle.allowAdmitted(time.Now()) {
		err = &wire.Error{Code: wire.CodeThrottled, Message: "too many connections in a short time: wait a little"}
	}
	return identity, identity.Owner(), err
}
