// Package processor does the actions of package action in a function of its own, the
// Processor, which nothing but the agents' function invokes: it has no right to any
// table, key or connection, so that an action of a user's own can do no harm to the
// tunnels. Processor is that function, and Invoker calls it.
//
// Any function may stand in for it, in any language: it gets an action.Call as JSON,
// and returns an action.Reply.
package processor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"culvert/backend/action"
	"culvert/backend/wire"
)

// margin is what an action leaves of the function's time for its answer to get out.
const margin = 500 * time.Millisecond

// maxTime bounds an action where nobody else does.
const maxTime = 15 * time.Second

// Config is what a Processor works with.
type Config struct {
	// Do does an action; action.Do by default.
	Do func(context.Context, *action.Call) (json.RawMessage, error)
	// Now is the time; time.Now by default.
	Now func() time.Time
}

// Processor does actions. It is safe for use by many goroutines.
type Processor struct{ cfg Config }

// New makes a Processor.
func New(cfg Config) *Processor {
	if cfg.Do == nil {
		cfg.Do = action.Do
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Processor{cfg}
}

// Do does an action. The reply is always one that can be told; an error beside it is
// for the log: it says why an action failed that should not have. An action that does
// not heed its context is ended by Lambda, with the whole function.
func (p *Processor) Do(ctx context.Context, c action.Call) (action.Reply, error) {
	now := p.cfg.Now()
	if c.Time.IsZero() { // somebody has written it by hand
		c.Time = now
	}
	limit := maxTime
	if deadline, ok := ctx.Deadline(); ok {
		limit = deadline.Sub(now) - margin
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	result, err := p.cfg.Do(ctx, &c)
	switch told := (*wire.ActionError)(nil); {
	case errors.As(err, &told):
		reply := action.Reply{Error: told}
		if err == error(told) {
			return reply, nil // the fault is that of who asked
		}
		return reply, fmt.Errorf("action %s: %w", c.Action, err)
	case err != nil:
		return failure(wire.CodeInternal, "the action failed: see the backend's log"), fmt.Errorf("action %s: %w", c.Action, err)
	case len(result) > wire.MaxAction:
		return failure(wire.CodeTooLarge, fmt.Sprintf("the result is over %d bytes", wire.MaxAction)), nil
	case len(result) == 0:
		result = json.RawMessage("null")
	}
	return action.Reply{Result: result}, nil
}

func failure(code wire.ErrorCode, message string) action.Reply {
	return action.Reply{Error: &wire.ActionError{Code: code, Message: message}}
}
