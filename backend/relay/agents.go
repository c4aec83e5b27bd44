package relay

import (
	"context"
	"strings"
	"time"

	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

// agent is one connected agent, and the tunnel that it holds or held.
type agent struct {
	conn     *connection
	link     link
	declared bool   // it has declared protocol 2
	quota    string // what its tunnels are counted by

	// Set by the registry when it gets its tunnel.
	tunnel   string
	epoch    int64
	replaces *agent // until it is settled: who gets the tunnel back if it is not

	crowd crowd         // its visitors
	ready chan struct{} // closed when it was told that it has its tunnel
	gone  chan struct{} // closed when the connection is over
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (a *agent) ended() bool { return isClosed(a.gone) }

// await waits until requests may be sent.
func (a *agent) await(ctx context.Context) bool {
	select {
	case <-a.ready:
		return true
	default:
	}
	select {
	case <-a.ready:
		return true
	case <-a.gone:
	case <-ctx.Done():
	}
	return false
}

// tell sends the agent an error about its connection, if it can understand it.
func (a *agent) tell(e *wire.Error) { a.conn.tell(a.conn.s.connections.standingOf(a.conn), e) }

// cutName bounds what a peer may put into the log as a name.
func cutName(name string) string {
	const most = 100
	if len(name) <= most {
		return name
	}
	return strings.ToValidUTF8(name[:most], "") + "…"
}

// retire closes a connection once its exchanges are over.
func (s *Server) retire(a *agent, reason string) {
	ctx, cancel := context.WithTimeout(s.ctx, s.cfg.Limits.DrainTimeout)
	defer cancel()
	a.link.drain(ctx)
	a.link.close(closeNormal, reason)
}

// ageOut retires an agent at its greatest age.
func (s *Server) ageOut(a *agent) *time.Timer {
	if s.cfg.MaxAgentAge <= 0 {
		return nil
	}
	return time.AfterFunc(s.cfg.MaxAgentAge, func() {
		s.background(func() {
			a.tell(&wire.Error{Code: wire.CodeGoingAway, Message: "this connection has reached its greatest age"})
			s.retire(a, "too old")
		})
	})
}

// dismiss sends the former holder of a tunnel away.
func (s *Server) dismiss(old *agent, v tunnel.Verdict) {
	if !old.await(s.ctx) {
		return // it has gone by itself
	}
	switch v {
	case tunnel.Renewed:
		s.retire(old, "replaced as planned")
	case tunnel.TakenOver:
		old.tell(&wire.Error{Code: wire.CodeReplaced, Message: "another process has taken over this tunnel: stop one of the two"})
		old.link.close(closePolicy, string(wire.CodeReplaced))
	default:
		old.link.close(closeGoingAway, "no sign of life")
	}
}
