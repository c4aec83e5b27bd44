package link

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"culvert/backend/wire"
)

const (
	// actionTimeout is how long an action's answer is waited for: API Gateway gives a
	// function 29 s. https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
	actionTimeout = 30 * time.Second
	// maxActions bounds the actions that wait on one connection.
	maxActions = 32
)

// errEnded: the connection is over.
var errEnded = errors.New("the connection has ended")

var errManyActions = fmt.Errorf("%d actions wait for answers already", maxActions)

// Ask asks the backend for an action and gives its result, JSON or nil for null. data
// becomes JSON; nil is none. It works while Run does.
//
// A refusal is a *wire.ActionError. If the backend knows no actions, the error wraps
// errors.ErrUnsupported. An answer may get lost, and after any other error it is not
// known whether the backend did what it was asked: Ask waits for 30 s at most, and
// never asks twice.
func (l *Link) Ask(ctx context.Context, action string, data any) (json.RawMessage, error) {
	if l.est.Protocol < wire.ProtocolVersion || !slices.Contains(l.est.Capabilities, wire.CapActions) {
		return nil, &dialError{"this backend answers no actions: update it", errors.ErrUnsupported}
	}
	return l.asked.ask(ctx, action, data, l.carrier.sendText, l.done)
}

// actions are those that wait for answers on one connection, which come in any order,
// or never. The zero value is ready.
type actions struct {
	mu      sync.Mutex
	waiting map[string]chan outcome // by ID; each has room for one
}

// outcome is an answer, or why there is none.
type outcome struct {
	answer *wire.ActionAnswer
	err    error
}

// ask sends an action and waits for its answer, or for the end of the connection.
func (a *actions) ask(ctx context.Context, action string, data any, send func(text []byte) error, ended <-chan struct{}) (json.RawMessage, error) {
	m := &wire.Action{Action: action, ID: rand.Text()}
	if data != nil {
		var err error
		if m.Data, err = json.Marshal(data); err != nil {
			return nil, fmt.Errorf("the data of the action %s: %w", action, err)
		}
	}
	text, err := wire.Encode(m)
	if err != nil {
		return nil, err
	}
	if len(text) > wire.MaxAction {
		return nil, &wire.ActionError{Code: wire.CodeTooLarge, Message: fmt.Sprintf("the data of the action %s is over %d KB", action, wire.MaxAction>>10)}
	}
	limited, cancel := context.WithTimeout(ctx, actionTimeout)
	defer cancel()
	came, err := a.expect(m.ID)
	if err != nil {
		return nil, err
	}
	defer a.forget(m.ID)
	if err := send(text); err != nil {
		return nil, err
	}
	select {
	case o := <-came:
		return o.result()
	case <-ended:
	case <-limited.Done():
	}
	select {
	case o := <-came: // at the same time
		return o.result()
	default:
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case limited.Err() != nil:
		return nil, &dialError{fmt.Sprintf("the backend did not answer within %v; whether it did what it was asked (%s) is not known", actionTimeout, action), limited.Err()}
	}
	return nil, &dialError{fmt.Sprintf("the connection ended before the backend answered; whether it did what it was asked (%s) is not known", action), errEnded}
}

func (o outcome) result() (json.RawMessage, error) {
	switch {
	case o.err != nil:
		return nil, o.err
	case o.answer.Error != nil:
		return nil, &wire.ActionError{Code: wire.ErrorCode(printable(string(o.answer.Error.Code))), Message: printable(o.answer.Error.Message)}
	}
	return o.answer.Result, nil
}

func (a *actions) expect(id string) (<-chan outcome, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) >= maxActions {
		return nil, errManyActions
	}
	if a.waiting == nil {
		a.waiting = make(map[string]chan outcome)
	}
	came := make(chan outcome, 1)
	a.waiting[id] = came
	return came, nil
}

func (a *actions) forget(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.waiting, id)
}

// take hands an answer to whoever waits for it, and reports whether somebody did: it
// may come late, or twice.
func (a *actions) take(m *wire.ActionAnswer) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	came, ok := a.waiting[m.ID]
	if ok {
		delete(a.waiting, m.ID)
		came <- outcome{answer: m}
	}
	return ok
}

// failOnly fails the one action that waits, if there is no other that might be meant.
func (a *actions) failOnly(err error) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) != 1 {
		return false
	}
	for id, came := range a.waiting {
		delete(a.waiting, id)
		came <- outcome{err: err}
	}
	return true
}

// onAnswer takes the answer to an action.
func (l *Link) onAnswer(m *wire.ActionAnswer) {
	if !l.asked.take(m) {
		l.log.Debug("answer to an action that nobody waits for ignored", "action", printable(m.Action))
	}
}

// onNotice passes a notice on.
func (c *Config) onNotice(m *wire.Notice) {
	if c.OnNotice == nil {
		c.logger().Debug("notice ignored: it was not asked for")
		return
	}
	c.OnNotice(m)
}
