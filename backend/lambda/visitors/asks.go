package visitors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"culvert/backend/lambda/post"
	"culvert/backend/lambda/store"
	"culvert/backend/wire"
)

// A message that API Gateway has accepted for an agent may get lost. The agent asks for
// the parts of a request that it lacks; one that has got none of them learns of the
// request when it is asked for the answer, and asks for all of it. It drops what it has
// already had, so that posting a request again is safe, but only to the same process: a
// process that took the tunnel over cannot know what the one before has served.

const (
	// mostBegins bounds how often the head of a request is posted again.
	mostBegins = 2
	// beginAfter is how far apart that is: what asks sooner is one ask that came twice.
	beginAfter = 400 * time.Millisecond
	// beginLeast is the rest of the wait in which it is no use any more.
	beginLeast = time.Second
)

// errTaken: the tunnel is in the hands of a process that never got the request.
var errTaken = fmt.Errorf("another process has taken over the tunnel: %w", post.ErrGone)

// serveWanted sends again what the agent lacks of the request, within bounds.
func (x *exchange) serveWanted() {
	wanted := x.in.wanted
	x.in.wanted = nil
	for _, r := range wanted {
		now := time.Now()
		if !x.in.nothing() || x.head.Sub(now) < beginLeast {
			return // it has the request, or no time for it
		}
		begin := r.Wants(0)
		if begin && !x.beginAgain(now) {
			continue
		}
		x.sendParts(0, func(seq int) bool {
			if !r.Wants(seq) || x.spare == 0 {
				return false
			}
			x.spare--
			return true
		})
		if begin {
			x.plan = newSchedule(now, x.plan.mode, x.plan.resends, x.plan.streaming, x.v.means.get(x.route.id), x.head.Sub(now))
		} else {
			x.plan.progress(now, x.plan.mode, x.in.hole())
		}
	}
}

// beginAgain makes the head ready to be posted again, if that is allowed now.
func (x *exchange) beginAgain(now time.Time) bool {
	if x.begins >= mostBegins || x.spare == 0 || now.Sub(x.wait.sent) < beginAfter {
		return false
	}
	x.begins++
	x.wait.sent = now
	if m, ok := x.parts[0].(*wire.HTTPRequest); ok {
		again := *m
		again.TimeoutMS = max(x.last.Sub(now).Milliseconds(), 1)
		x.parts[0] = &again
	}
	x.v.cfg.Log.Info("request posted again, as it has not reached its agent", "tunnel", x.route.id, "times", x.begins)
	return true
}

// hand posts a message of the request itself: to the connection that the request was
// posted to, or to another one of the same process.
func (x *exchange) hand(ctx context.Context, message any) error {
	var err error
	for range 2 {
		t := x.at()
		if !sameAgent(t, x.sent) {
			return errTaken
		}
		if err = x.postPatiently(ctx, t, message); !errors.Is(err, post.ErrGone) || !x.follow(ctx, t) {
			return err
		}
	}
	return err
}

// sameAgent reports whether it is certain that one process is behind both.
func sameAgent(a, b *store.Tunnel) bool {
	return a.Connection == b.Connection || a.Instance != "" && a.Instance == b.Instance && a.Owner == b.Owner
}

// otherAgent reports whether it is certain that two processes are.
func otherAgent(a, b *store.Tunnel) bool {
	return a.Instance != "" && b.Instance != "" && !sameAgent(a, b)
}

// catchUp looks whether the agent has another connection by now, as the one that it is
// known by may be dead without anybody's knowing.
func (x *exchange) catchUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	if !x.look(ctx) {
		return
	}
	defer x.looked()
	t, err := x.v.lookups.again(ctx, x.route.id)
	if err == nil && t.Live && sameAgent(t, x.sent) {
		x.current.Store(t)
	}
}
