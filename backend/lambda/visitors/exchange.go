package visitors

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"culvert/backend/lambda/event"
	"culvert/backend/lambda/post"
	"culvert/backend/lambda/store"
	"culvert/backend/lambda/ticket"
	"culvert/backend/tunnel"
	"culvert/backend/visitor"
	"culvert/backend/wire"
)

// exchange is one visitor's request on its way to the agent, and the answer back.
type exchange struct {
	v         *Visitors
	req       *event.Request
	route     route
	streaming bool
	began     time.Time
	head      time.Time // deadline of the answer, or of its head if it is streamed
	last      time.Time // deadline of all of it

	ctx    context.Context // of what runs beside the waiting
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	turn   turn
	slot   func(context.Context) error // gives it back, nil if none is held
	header http.Header                 // of the request, as the agent gets it
	ticket ticket.Ticket
	id     string
	parts  []any // the messages of the request, by number
	spare  int   // how many messages the agent may still ask for again
	begins int   // how often the head was posted again

	sent *store.Tunnel // who the request was posted to

	moving  chan struct{}                // full while somebody looks where the tunnel has gone
	current atomic.Pointer[store.Tunnel] // who gets what is sent next

	in   inbox
	plan *schedule
	wait waiting
}

// refusal is why a visitor gets an error.
type refusal struct {
	status  int
	message string
	header  http.Header
}

func refuse(status int, message string) *refusal { return &refusal{status: status, message: message} }

// run takes a request all the way. end must follow, for a stream when it is over.
func (x *exchange) run(ctx context.Context) outcome {
	x.ctx, x.cancel = context.WithCancel(ctx)
	x.turn = noTurn{}
	x.deadlines(ctx)
	if own, no := x.start(); no != nil {
		return x.refused(no)
	} else if own != nil {
		return outcome{whole: own}
	}
	x.turn.Sustain() // now that the agent is at work, there is time for it
	if err := x.await(x.head, x.in.begun); err != nil {
		return x.refused(x.unanswered(err))
	}
	return x.answer()
}

// start does all that comes before waiting, or answers without it.
func (x *exchange) start() (*event.Answer, *refusal) {
	ctx, cancel := context.WithDeadline(x.ctx, x.head)
	defer cancel()
	if own, no := x.prepare(ctx); own != nil || no != nil {
		return own, no
	}
	if no := x.takeSlot(ctx); no != nil {
		return nil, no
	}
	x.turn = x.v.begin()
	return nil, x.send(ctx)
}

// end gives up what is still under way.
func (x *exchange) end() {
	x.cancel()
	x.tasks.Wait()
	x.turn.End()
	x.releaseSlot()
}

func (x *exchange) refused(no *refusal) outcome {
	return outcome{whole: event.Refuse(x.req, no.status, no.header, no.message)}
}

// deadlines says until when there must be an answer.
func (x *exchange) deadlines(ctx context.Context) {
	x.head = x.began.Add(x.v.cfg.MaxWait)
	x.last = x.head
	end := x.req.Deadline
	if d, ok := ctx.Deadline(); ok && (end.IsZero() || d.Before(end)) {
		end = d
	}
	if end.IsZero() {
		return
	}
	end = time.Now().Add(time.Until(end) - reserve) // as the timers see it
	if x.streaming {
		x.last = end
	}
	if end.Before(x.head) {
		x.head = end
	}
	if !x.streaming {
		x.last = x.head
	}
}

// prepare finds the tunnel and checks what can be checked before anything is sent.
func (x *exchange) prepare(ctx context.Context) (*event.Answer, *refusal) {
	switch {
	case tunnel.ValidID(x.route.id) != nil:
		return nil, refuse(http.StatusNotFound, msgNoTunnel)
	case !x.head.After(time.Now()):
		return nil, refuse(http.StatusGatewayTimeout, msgTooLate)
	}
	t, err := x.v.lookups.find(ctx, x.route.id)
	switch {
	case errors.Is(err, store.ErrUnknown):
		return nil, refuse(http.StatusNotFound, msgNoTunnel)
	case err != nil:
		x.v.cfg.Log.Error("look-up failed", "error", err)
		return nil, refuse(http.StatusServiceUnavailable, msgNoLookup)
	case !t.Live:
		return nil, refuse(http.StatusBadGateway, msgNoAgent)
	}
	x.current.Store(t)
	request := &http.Request{Method: x.req.Method, Header: x.req.Header}
	switch {
	case x.route.bare && visitor.PrefersHTML(request) && x.req.Upgrade == "":
		return redirectToSlash(x.route), nil
	case visitor.OffersUpgrade(x.req.Upgrade, "websocket"):
		return nil, refuse(http.StatusNotImplemented, msgNoUpgrade)
	}
	return nil, x.allowed(ctx)
}

// allowed counts the request, where tunnels may serve only so many.
func (x *exchange) allowed(ctx context.Context) *refusal {
	if x.v.cfg.Limiter == nil {
		return nil
	}
	ok, wait, err := x.v.cfg.Limiter.Allow(ctx, x.route.id, len(x.req.Body))
	switch {
	case err != nil:
		// The stage's own throttle still holds; the count is not worth a request.
		x.v.cfg.Log.Warn("requests of a tunnel not counted", "error", err)
	case !ok:
		no := refuse(http.StatusTooManyRequests, msgThrottled)
		no.header = http.Header{"Retry-After": {seconds(wait)}}
		return no
	}
	return nil
}

// spent counts what the visitor has got.
func (x *exchange) spent(bytes int) {
	if x.v.cfg.Limiter != nil {
		x.v.cfg.Limiter.Spend(x.route.id, bytes)
	}
}

// unanswered says why there is no answer, after waiting for it.
func (x *exchange) unanswered(err error) *refusal {
	switch {
	case errors.Is(err, errLost):
		return refuse(http.StatusBadGateway, msgAgentCut)
	case errors.Is(err, context.Canceled):
		x.giveUp()
		return refuse(http.StatusServiceUnavailable, msgStopped)
	}
	x.giveUp()
	if x.v.short {
		return refuse(http.StatusServiceUnavailable, msgShortWait)
	}
	return refuse(http.StatusGatewayTimeout, msgTooLate)
}

// giveUp tells the agent that nobody waits any more. It uses what is reserved of the
// invocation.
func (x *exchange) giveUp() {
	t := x.at()
	if !can(t, wire.CapCancel) || x.sent == nil || otherAgent(t, x.sent) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.ctx), reserve/2)
	defer cancel()
	if err := x.post(ctx, t, &wire.Cancel{RequestID: x.id}); err != nil && !errors.Is(err, post.ErrGone) {
		x.v.cfg.Log.Debug("cancel not sent", "error", err)
	}
}
