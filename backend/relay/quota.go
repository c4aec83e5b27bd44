package relay

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

// obtainCounted is obtain, but connections that turn out to be dead do not count
// for the limit of tunnels: whoever lost one with his line, and comes back before
// the relay has noticed, would be told to stop a tunnel that runs nowhere.
func (h *handshake) obtainCounted(a *agent, c tunnel.Claim) (old *agent, v tunnel.Verdict, err error) {
	old, v, err = h.obtain(a, c)
	var refusal *wire.Error
	if errors.As(err, &refusal) && refusal.Code == wire.CodeTooManyTunnels && h.s.dropDead(a.quota) {
		return h.obtain(a, c)
	}
	return old, v, err
}

// dropDead asks all agents that count for quota for a sign of life, and takes
// their tunnels from those that give none. It reports whether there were any.
func (s *Server) dropDead(quota string) bool {
	ctx, cancel := context.WithTimeout(s.ctx, s.cfg.Limits.ProbeTimeout)
	defer cancel()
	var wg sync.WaitGroup
	var dead atomic.Bool
	for _, a := range s.registry.agents() {
		if a.quota != quota {
			continue
		}
		wg.Go(func() {
			if !a.await(ctx) || a.link.probe(ctx) == nil || s.ctx.Err() != nil {
				return
			}
			dead.Store(true)
			s.registry.release(a, time.Now())
			s.background(func() { a.link.close(closeGoingAway, "no sign of life") })
		})
	}
	wg.Wait()
	return dead.Load()
}
