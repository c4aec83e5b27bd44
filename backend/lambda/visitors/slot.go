package visitors

import (
	"context"
	"net/http"
)

// takeSlot has the request be one of the few of its tunnel that may stream at once. A
// stream holds one of the backend's executions for minutes, and there are few: one
// tunnel's visitors must not hold all of them.
func (x *exchange) takeSlot(ctx context.Context) *refusal {
	if x.v.cfg.Slots == nil || !x.streaming {
		return nil
	}
	release, ok, err := x.v.cfg.Slots.Take(ctx, x.route.id, x.last.Add(reserve))
	switch {
	case err != nil:
		// The function's own concurrency still holds.
		x.v.cfg.Log.Warn("streams of a tunnel not counted", "error", err)
	case !ok:
		no := refuse(http.StatusTooManyRequests, msgStreams)
		no.header = http.Header{"Retry-After": {"5"}}
		return no
	default:
		x.slot = release
	}
	return nil
}

// releaseSlot gives it back, within what is reserved of the invocation. If that fails,
// it comes back by itself, when the stream can last no longer.
func (x *exchange) releaseSlot() {
	if x.slot == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.ctx), reserve/2)
	defer cancel()
	if err := x.slot(ctx); err != nil {
		x.v.cfg.Log.Warn("a tunnel's stream is over, and counted until its time is up", "error", err)
	}
	x.slot = nil
}
