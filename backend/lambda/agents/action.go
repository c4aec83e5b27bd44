package agents

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"culvert/backend/action"
	"culvert/backend/auth"
	"culvert/backend/lambda/event"
	"culvert/backend/lambda/post"
	"culvert/backend/lambda/store"
	"culvert/backend/wire"
)

// Processor does the actions that the host does not do itself. What an error wraps as
// *wire.ActionError is told to who asked; the rest of it is for the log.
type Processor interface {
	Do(ctx context.Context, c action.Call) (action.Reply, error)
}

// OwnActions are the names of what the host does itself, sorted. It never reaches the
// Processor.
func OwnActions() []string { return []string{actionAuthorize, actionConnections, actionPing} }

const (
	actionAuthorize   = "authorize"
	actionPing        = "ping"
	actionConnections = "connections"
)

const (
	// processWithin bounds the Processor: there must be time left to tell what came
	// of it, within the function's own 20 s.
	processWithin = 15 * time.Second
	// maxPingName bounds the name in a ping, in bytes.
	maxPingName = 256
	// routeDefault is the route of what has no route of its own, nor a RouteResponse.
	routeDefault = "$default"
)

// asking is a client's message that asks for an action.
type asking struct {
	m    *event.Message
	conn *store.Connection
	wire.Action
}

// reply is what a request is answered with. The error is for the log.
type reply struct {
	result json.RawMessage
	told   *wire.ActionError // instead of a result
	end    bool              // the connection ends after it
	err    error
}

func refusal(code wire.ErrorCode, text string) reply {
	return reply{told: &wire.ActionError{Code: code, Message: text}}
}

// failure is a reply to who cannot do anything about it.
func failure(err error) reply {
	r := refusal(wire.CodeInternal, "the backend could not do it: try again, and see its log if that is in vain")
	r.err = err
	return r
}

// act serves a message that has no type of the tunnel's. Whoever sent it may know
// nothing of the protocol but actions, so that it gets an answer in any case, and all
// errors in the one shape of actions.
func (a *Agents) act(ctx context.Context, m *event.Message) (Outcome, error) {
	r := &asking{m: m}
	var err error
	r.conn, err = a.cfg.Store.Connection(ctx, m.ConnectionID)
	if errors.Is(err, store.ErrUnknown) {
		return over(a.unknown(ctx, m))
	}
	asked, bad := readAction(m.Body)
	if c := r.conn; c != nil && asked == nil && c.Tunnel != "" && !slices.Contains(c.Capabilities, wire.CapActions) {
		a.refuse(m, "message that cannot be read", bad)
		return over(nil) // an agent that knows nothing of actions has not asked for one
	}
	var answer *wire.ActionAnswer
	if asked != nil {
		r.Action = *asked
	} else {
		r.Action, answer = wire.Action{Action: bad.Action, ID: bad.ID}, bad.Answer()
	}
	if err != nil {
		return a.respond(ctx, r, failure(err), nil)
	}
	if no := a.barred(r.conn); no != nil && (asked == nil || asked.Action != actionAuthorize || a.late(r.conn)) {
		a.refuse(m, "action", no)
		out := refusal(no.Code, no.Message)
		out.end = a.late(r.conn)
		return a.respond(ctx, r, out, nil)
	}
	switch {
	case answer != nil:
		return a.respond(ctx, r, reply{}, answer)
	case len(m.Body) > wire.MaxAction:
		return a.respond(ctx, r, refusal(wire.CodeTooLarge, fmt.Sprintf("a message about an action has at most %d bytes", wire.MaxAction)), nil)
	}
	return a.respond(ctx, r, a.perform(ctx, r), nil)
}

// readAction reads an action; one that is too large as well, so that who asked learns
// which one it was.
func readAction(text []byte) (*wire.Action, *wire.BadAction) {
	if len(text) > wire.MaxAction {
		if m, err := wire.Decode(text, wire.MaxGatewayMessage); err == nil {
			if asked, ok := m.(*wire.Action); ok {
				return asked, nil
			}
		}
	}
	asked, err := wire.DecodeAction(text)
	var bad *wire.BadAction
	if err != nil && !errors.As(err, &bad) {
		bad = &wire.BadAction{Err: err}
	}
	return asked, bad
}

// perform does an action.
func (a *Agents) perform(ctx context.Context, r *asking) reply {
	switch r.Action.Action {
	case actionAuthorize:
		return a.authorize(ctx, r)
	case actionPing:
		return greet(r.Data)
	case actionConnections:
		return a.connections(ctx, r)
	}
	return a.process(ctx, r)
}

// process has the Processor do an action.
func (a *Agents) process(ctx context.Context, r *asking) reply {
	if a.cfg.Processor == nil {
		return reply{told: action.Unknown(r.Action.Action, OwnActions())}
	}
	ctx, cancel := context.WithTimeout(ctx, processWithin)
	defer cancel()
	out, err := a.cfg.Processor.Do(ctx, action.Call{
		Action: r.Action.Action, Data: r.Data, User: auth.UserID(r.conn.User()), Connection: r.m.ConnectionID, Time: a.now(),
	})
	told := out.Error
	switch {
	case err == nil && told == nil:
		return reply{result: out.Result}
	case err == nil && told.Code == "":
		return failure(fmt.Errorf("action %s: the Processor tells an error without a code", printable(r.Action.Action)))
	case err == nil:
		return reply{told: told}
	}
	err = fmt.Errorf("action %s: %w", printable(r.Action.Action), err)
	if errors.As(err, &told) {
		return reply{told: told, err: err}
	}
	return failure(err)
}

// greet answers a ping, with the name that came with it.
func greet(data json.RawMessage) reply {
	var name string
	if len(data) > 0 && json.Unmarshal(data, &name) != nil {
		var object struct {
			Name string `json:"name"`
		}
		if json.Unmarshal(data, &object) != nil {
			return refusal(wire.CodeInvalidRequest, `ping takes a name, or nothing: write "data":"Ann"`)
		}
		name = object.Name
	}
	if len(name) > maxPingName {
		return refusal(wire.CodeInvalidRequest, fmt.Sprintf("a name has at most %d bytes", maxPingName))
	}
	return result(struct {
		Message string `json:"message"`
		Name    string `json:"name,omitempty"`
	}{"pong", name})
}

// result is a reply that brings what becomes JSON.
func result(v any) reply {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return failure(err)
	}
	return reply{result: bytes.TrimSpace(b.Bytes())}
}

// respond answers a request: by what the function returns, on a route that has a
// RouteResponse, or else by a post. A nil answer is made of the reply.
func (a *Agents) respond(ctx context.Context, r *asking, out reply, answer *wire.ActionAnswer) (Outcome, error) {
	if answer == nil && out.told != nil {
		answer = wire.FailedAction(&r.Action, out.told)
	} else if answer == nil {
		answer = wire.DoneAction(&r.Action, out.result)
	}
	text, err := wire.Encode(answer)
	if err != nil { // a result that is no JSON
		broken := failure(fmt.Errorf("action %s: %w", printable(r.Action.Action), err))
		out.err = errors.Join(out.err, broken.err)
		if text, err = wire.Encode(wire.FailedAction(&r.Action, broken.told)); err != nil {
			return over(errors.Join(out.err, err))
		}
	}
	var opts []post.Option
	if r.conn != nil {
		opts = append(opts, post.Young(r.conn.ConnectedAt))
	}
	switch {
	case out.end:
		// What is returned arrives after the function has ended, which would be too late.
		err = a.sayAndClose(ctx, r.m.ConnectionID, text, opts...)
	case r.m.Route != routeDefault:
		return Outcome{Status: http.StatusOK, Body: text}, out.err
	default:
		if err = a.postTo(ctx, r.m.ConnectionID, text, opts...); errors.Is(err, post.ErrGone) {
			err = nil
		}
	}
	if err != nil {
		return over(errors.Join(out.err, err))
	}
	return Outcome{Status: http.StatusOK}, out.err
}

// unknown ends a connection that nobody knows: its $connect is lost, or it was found
// gone by mistake.
func (a *Agents) unknown(ctx context.Context, m *event.Message) error {
	a.refuse(m, "agent", errors.New("its $connect is not known"))
	return a.cfg.Poster.Delete(ctx, m.ConnectionID)
}
