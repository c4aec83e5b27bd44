package visitors

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"culvert/backend/lambda/post"
	"culvert/backend/lambda/store"
	"culvert/backend/lambda/timer"
	"culvert/backend/wire"
)

const (
	// postWithin bounds one post, and parallel how many parts are posted at once.
	postWithin = 3 * time.Second
	parallel   = 4
)

// busyPauses are between the tries to post to somebody who takes no more right now.
func busyPauses() []time.Duration {
	return []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond}
}

// send posts the request. A connection that has gone got nothing: then the tunnel is
// looked up as it is now, and if it has another connection, the request goes there,
// once. After any other failure it may have arrived; then it is sent again only if the
// agent that it went to asks for it, lest it reach the local service twice.
func (x *exchange) send(ctx context.Context) *refusal {
	err := error(nil)
	for range 2 {
		if no := x.compose(ctx); no != nil {
			return no
		}
		t := x.at()
		x.sent = t
		if err = x.postPatiently(ctx, t, x.parts[0]); !errors.Is(err, post.ErrGone) {
			break
		}
		x.v.cfg.Metrics.Count("Gone", 1)
		if !x.follow(ctx, t) {
			return refuse(http.StatusBadGateway, msgNoAgent)
		}
	}
	if no := x.notSent(err); no != nil {
		return no
	}
	mode := stored
	if x.ticket.Waiter != "" {
		mode = pushed
	}
	x.wait.begin(x)
	x.plan = newSchedule(time.Now(), mode, x.resends(), x.in.window != nil, x.v.means.get(x.route.id), time.Until(x.head))
	x.sendParts(1, nil)
	return nil
}

// resends reports whether the agent keeps its answers, and sends them again.
func (x *exchange) resends() bool {
	t := x.at()
	return can(t, wire.CapChunks) || can(t, wire.CapStream)
}

// notSent says why the request cannot have reached the agent, nil if it may have.
func (x *exchange) notSent(err error) *refusal {
	var dial *net.OpError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, post.ErrGone):
		return refuse(http.StatusBadGateway, msgNoAgent)
	case errors.Is(err, post.ErrBusy):
		return refuse(http.StatusServiceUnavailable, msgBusy)
	case errors.Is(err, post.ErrTooLarge):
		return refuse(http.StatusRequestEntityTooLarge, "The request is too large for this tunnel.")
	}
	x.v.cfg.Log.Error("request not posted to its agent", "error", err)
	if errors.Is(err, post.ErrForbidden) || errors.As(err, &dial) && dial.Op == "dial" {
		return refuse(http.StatusServiceUnavailable, msgNoPost)
	}
	return nil // no reply: it may have arrived, and then its answer will
}

// sendParts posts the parts of the request from number first on that are wanted, or
// all of them, beside the waiting.
func (x *exchange) sendParts(first int, wanted func(int) bool) {
	var list []any
	for seq := first; seq < len(x.parts); seq++ {
		if wanted == nil || wanted(seq) {
			list = append(list, x.parts[seq])
		}
	}
	if len(list) == 0 {
		return
	}
	next := make(chan any, len(list))
	for _, m := range list {
		next <- m
	}
	close(next)
	for range min(parallel, len(list)) {
		x.tasks.Go(func() {
			for m := range next {
				if err := x.hand(x.ctx, m); err != nil {
					// The agent asks for what it lacks.
					x.v.cfg.Log.Warn("part of a request not posted", "error", err)
					return
				}
			}
		})
	}
}

// tell sends a message about the request to whoever holds the tunnel, also if that
// is another connection of the agent by now.
func (x *exchange) tell(ctx context.Context, message any) error {
	var err error
	for range 2 {
		t := x.at()
		if otherAgent(t, x.sent) {
			return errTaken
		}
		if err = x.postPatiently(ctx, t, message); !errors.Is(err, post.ErrGone) {
			return err
		}
		if !x.follow(ctx, t) {
			return err
		}
	}
	return err
}

// at is who holds the tunnel, as far as is known.
func (x *exchange) at() *store.Tunnel { return x.current.Load() }

// follow looks where the tunnel is, after the connection of gone has turned out to be
// over. It reports whether there is another one.
func (x *exchange) follow(ctx context.Context, gone *store.Tunnel) bool {
	if !x.look(ctx) {
		return false
	}
	defer x.looked()
	if x.at().Connection != gone.Connection {
		return true
	}
	t, err := x.v.lookups.again(ctx, x.route.id)
	switch {
	case errors.Is(err, store.ErrUnknown):
		return false
	case err != nil:
		x.v.cfg.Log.Error("look-up failed", "error", err)
		return false
	case !t.Live:
		return false
	case t.Connection != gone.Connection:
		x.current.Store(t)
		return true
	}
	if _, err := x.v.cfg.Tunnels.MarkGone(ctx, x.route.id, gone.Connection); err != nil {
		x.v.cfg.Log.Warn("tunnel not marked as left", "error", err)
	}
	x.v.lookups.forget(x.route.id)
	return false
}

// look begins to look where the tunnel is, one goroutine at a time.
func (x *exchange) look(ctx context.Context) bool {
	select {
	case x.moving <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (x *exchange) looked() { <-x.moving }

// postPatiently tries again while the connection, or the account, is busy.
func (x *exchange) postPatiently(ctx context.Context, t *store.Tunnel, message any) error {
	err := x.post(ctx, t, message)
	for _, pause := range busyPauses() {
		if !errors.Is(err, post.ErrBusy) || timer.Wait(ctx, pause) != nil {
			break
		}
		err = x.post(ctx, t, message)
	}
	return err
}

func (x *exchange) post(ctx context.Context, t *store.Tunnel, message any) error {
	text, err := wire.Encode(message)
	if err != nil {
		return err
	}
	return x.v.cfg.Poster.Post(ctx, t.Connection, text, post.Young(t.ConnectedAt), post.Within(postWithin))
}
