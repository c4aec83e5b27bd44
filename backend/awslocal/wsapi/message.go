package wsapi

import (
	"context"
	"time"

	"culvert/backend/awslocal/chaos"
	"culvert/backend/awslocal/clock"
)

// receive takes a message from a client. It does not wait for its delivery: the
// next one may overtake it.
func (a *API) receive(p *peer, text []byte) {
	used := Usage{Kind: MessageIn, Connection: p.id, Bytes: len(text), Units: units(len(text))}
	key, route, found := a.routeOf(text)
	used.Route = key
	problem, told := "", ""
	switch {
	case a.cfg.Chaos.Strike(chaos.MessageLost):
		problem = "lost"
	case a.cfg.Chaos.Strike(chaos.MessageThrottled):
		problem, told = "throttled", messageInternal
	case !a.throttle(route):
		problem, told = "throttled", messageThrottled
	case !found:
		problem, told = "no route", messageForbidden
	default:
		copies := 1
		if a.cfg.Chaos.Strike(chaos.MessageDuplicated) {
			copies = 2
		}
		if !a.deliver(p, key, route, text, copies) {
			problem, told = "too many messages are under way", messageThrottled
		}
	}
	used.Problem = problem
	a.observe(used)
	if problem != "" {
		a.log.Warn("message not delivered", "api", a.cfg.ID, "route", key, "connection", p.id, "bytes", len(text), "problem", problem)
	}
	if told != "" {
		p.send(injected(told, p.id, newID())) // a client that takes nothing is not told
	}
}

// deliver starts to deliver a message, copies times; false: too many are under way.
func (a *API) deliver(p *peer, key string, route Route, text []byte, copies int) bool {
	e := p.messageEvent(key, string(text))
	for i := range copies {
		select {
		case a.inFlight <- struct{}{}:
		default:
			return i > 0
		}
		var held time.Duration
		if i > 0 {
			held = a.cfg.Chaos.Delay(chaos.MessageDuplicated)
		} else if a.cfg.Chaos.Strike(chaos.MessageHeld) {
			held = a.cfg.Chaos.Delay(chaos.MessageHeld)
		}
		started := a.background(func() {
			defer func() { <-a.inFlight }()
			if sleep(a.ctx, held) {
				a.handle(p, key, route, e)
			}
		})
		if !started {
			<-a.inFlight
		}
	}
	return true
}

// handle runs a message's integration and tells the client what the API tells it.
func (a *API) handle(p *peer, key string, route Route, e *event) {
	result, failed := a.integrate(key, route, e)
	switch {
	case a.ctx.Err() != nil:
	case failed != nil:
		p.send(injected(failed.frame, p.id, e.RequestContext.RequestID))
	case !route.RouteResponse || result.Body == "":
	case len(result.Body) > a.cfg.Limits.Message:
		p.send(injected(messageInternal, p.id, e.RequestContext.RequestID))
	default:
		p.send([]byte(result.Body))
	}
}

// disconnected runs $disconnect, which is best effort: late, twice or never.
func (a *API) disconnected(p *peer, e ending) {
	route, found := a.cfg.Routes[routeDisconnect]
	if !found || a.cfg.Chaos.Strike(chaos.DisconnectLost) {
		return
	}
	if a.cfg.Chaos.Strike(chaos.DisconnectLate) && !sleep(a.ctx, a.cfg.Chaos.Delay(chaos.DisconnectLate)) {
		return
	}
	event := p.disconnectEvent(e.code, e.reason)
	a.integrate(routeDisconnect, route, event)
	if a.cfg.Chaos.Strike(chaos.DisconnectRepeated) && sleep(a.ctx, a.cfg.Chaos.Delay(chaos.DisconnectRepeated)) {
		a.integrate(routeDisconnect, route, event)
	}
}

// sleep waits by the wall clock; false: the API was closed.
func sleep(ctx context.Context, d time.Duration) bool {
	return clock.Sleep(ctx, clock.Real(), d) == nil
}
