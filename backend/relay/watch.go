package relay

import (
	"context"
	"time"

	"culvert/backend/wire"
)

// watchConnections closes, every now and then, those whose time is over.
func (s *Server) watchConnections(ctx context.Context) {
	ticker := time.NewTicker(s.cfg.Limits.CheckInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			for _, c := range s.connections.all() {
				c.check(now)
			}
		}
	}
}

// check closes the connection if its time is over.
func (c *connection) check(now time.Time) {
	st := c.s.connections.standingOf(c)
	limits := &c.s.cfg.Limits
	age, silent := now.Sub(c.opened), now.Sub(c.opened)-time.Duration(c.asked.Load())
	unauthorized := func(message string) {
		c.s.log.Info("connection closed", "connection", c.id, "from", c.from, "cause", message)
		c.dismiss(&wire.Error{Code: wire.CodeUnauthorized, Message: message}, closePolicy)
	}
	switch {
	case st.leaving:
	case !st.authorised && age >= limits.AuthorizeTimeout:
		unauthorized("no token was shown in time")
	case expired(st.identity, now):
		unauthorized("the token has expired: get a new one")
	case c.s.revoked(st.identity):
		unauthorized("the token was revoked")
	case st.stage == arrived && st.authorised && age >= limits.HandshakeTimeout && !c.becomeClient():
		c.dismiss(&wire.Error{Code: wire.CodeThrottled, Message: msgTooManyClients}, closeTryLater)
	case st.stage == client && silent >= limits.ClientIdleTimeout:
		c.dismiss(&wire.Error{Code: wire.CodeGoingAway, Message: "nothing was asked for a long time"}, closeGoingAway)
	}
}
