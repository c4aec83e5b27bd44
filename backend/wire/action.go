package wire

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Capabilities of both forms, on every backend.
const (
	// CapActions: the backend answers actions, and the agent may ask for them.
	CapActions Capability = "actions"
	// CapNotices: the agent takes notices for its user.
	CapNotices Capability = "notices"
)

// TypeNotice is the type of Notice (CapNotices).
const TypeNotice MessageType = "notice"

// Statuses of an ActionAnswer.
const (
	StatusSuccess = "success"
	StatusError   = "error"
)

// Further codes, of actions' errors.
const (
	// CodeNotImplemented: there is no such action here.
	CodeNotImplemented ErrorCode = "not_implemented"
	// CodeTooLarge: the data or the result is over the limit.
	CodeTooLarge ErrorCode = "too_large"
)

// Bounds of actions and notices.
const (
	// MaxAction bounds a message about an action, either way, in bytes. A client of
	// API Gateway that does not split messages into frames is held to 32 KB by it.
	MaxAction = 64 << 10
	// MaxActionData bounds the data of an action and its result in bytes of JSON. It
	// leaves room for what is around them, which is more in an answer: an echo has to
	// come back.
	MaxActionData = 63 << 10
	// MaxActionName bounds an action's name, and MaxActionID the word that a client
	// tells answers apart by, in bytes.
	MaxActionName = 64
	MaxActionID   = 128
	// MaxNotice bounds a notice's data in bytes of JSON, and MaxNoticeID its ID.
	MaxNotice   = 48 << 10
	MaxNoticeID = 128
)

// Action asks the backend to do something. It has no type: it is what people write
// who know nothing of tunnels.
type Action struct {
	Action string `json:"action"`
	// ID, if any, comes back in the answer, to tell answers apart: API Gateway keeps
	// no order.
	ID   string          `json:"id,omitempty"`
	Data json.RawMessage `json:"data,omitempty"` // nil if missing or null
}

// ActionAnswer is what came of an Action: a result or an error.
type ActionAnswer struct {
	Action string          `json:"action"`
	ID     string          `json:"id,omitempty"`
	Status string          `json:"status"` // StatusSuccess or StatusError
	Result json.RawMessage `json:"result,omitempty"`
	Error  *ActionError    `json:"error,omitempty"`
}

// ActionError is the one shape of errors to clients, in an ActionAnswer.
type ActionError struct {
	Code    ErrorCode `json:"code"`
	Message string    `json:"message"` // for people: what happened and what to do next
}

func (e *ActionError) Error() string { return e.Message }

// Notice is a message that somebody has sent to the agent's user.
type Notice struct {
	// ID is the same in all copies, to all connections of the user.
	ID   string          `json:"id"`
	Data json.RawMessage `json:"data"` // any JSON, as it was sent
	Time int64           `json:"time"` // when it was sent, in ms since 1970; 0: unknown
}

// BadAction is a message that asks for an action and is malformed, or is none of the
// protocol's at all. Action and ID are what could be read of them, to be repeated in
// the answer.
type BadAction struct {
	Action, ID string
	Code       ErrorCode // of the answer; "" is CodeInvalidRequest
	Err        error     // wraps ErrProtocol
	Advice     string    // for people: what to do; "" if Err says enough
}

func (e *BadAction) Error() string { return e.Err.Error() }

func (e *BadAction) Unwrap() error { return e.Err }

// words are Err for people who know nothing of the protocol.
func (e *BadAction) words() string {
	switch {
	case e.Advice != "":
		return e.Advice
	case errors.Is(e.Err, ErrTooLarge):
		return fmt.Sprintf("the message is too large: one about an action may have %d bytes", MaxAction)
	}
	cause := strings.TrimPrefix(e.Err.Error(), ErrProtocol.Error()+": ")
	return fmt.Sprintf(`this is not understood: %s; write, for example, {"action":"ping"}`, cause)
}

// Answer is the answer to it.
func (e *BadAction) Answer() *ActionAnswer {
	return FailedAction(&Action{Action: e.Action, ID: e.ID}, &ActionError{Code: cmp.Or(e.Code, CodeInvalidRequest), Message: e.words()})
}

// FailedAction is the answer that tells an error.
func FailedAction(a *Action, err *ActionError) *ActionAnswer {
	return &ActionAnswer{Action: a.Action, ID: a.ID, Status: StatusError, Error: err}
}

// DoneAction is the answer that brings a result, which must be JSON; nil is null.
func DoneAction(a *Action, result json.RawMessage) *ActionAnswer {
	if result == nil {
		result = json.RawMessage("null")
	}
	return &ActionAnswer{Action: a.Action, ID: a.ID, Status: StatusSuccess, Result: result}
}

// DecodeAction reads a message of somebody who may know nothing of the protocol but
// actions, of at most MaxAction bytes. The error is a *BadAction, whose Answer is to
// be sent. Members that an action does not have are ignored.
func DecodeAction(text []byte) (*Action, error) {
	m, err := Decode(text, MaxGatewayMessage)
	switch m := m.(type) {
	case *Action:
		if len(text) > MaxAction {
			return nil, &BadAction{Action: m.Action, ID: m.ID, Code: CodeTooLarge, Err: tooLarge("a message's size in bytes", MaxAction)}
		}
		return m, nil
	case nil:
		if bad, ok := err.(*BadAction); ok {
			return nil, bad
		}
		return nil, &BadAction{Err: err}
	}
	return nil, &BadAction{Err: protocolError("it asks for nothing")}
}

// names are what an answer to an action repeats of it, as far as that can be.
func (f *fields) names() (action, id string) {
	if action = f.string("action", f.Action); len(action) > MaxActionName {
		action = ""
	}
	if id = f.string("id", f.ID); len(id) > MaxActionID {
		id = ""
	}
	return action, id
}

// action reads a message without a type that has an action.
func (f *fields) action() (any, error) {
	name, id := f.string("action", f.Action), f.string("id", f.ID)
	bad := func(err error, advice string) *BadAction {
		action, id := f.names()
		return &BadAction{Action: action, ID: id, Err: err, Advice: advice}
	}
	switch {
	case f.err != nil:
		return nil, bad(f.err, "")
	case name == "":
		return nil, bad(protocolError("action is empty"), "")
	case len(name) > MaxActionName:
		return nil, bad(tooLarge("action's length in bytes", MaxActionName), fmt.Sprintf("the name of an action has at most %d bytes: there is none with such a long one", MaxActionName))
	case len(id) > MaxActionID:
		return nil, bad(tooLarge("id's length in bytes", MaxActionID), fmt.Sprintf("an id has at most %d bytes: choose a shorter one", MaxActionID))
	case len(f.Status) == 0:
		m := &Action{Action: name, ID: id, Data: notNull(f.Data)}
		if len(m.Data) > MaxActionData {
			e := bad(tooLarge("data's size in bytes", MaxActionData), fmt.Sprintf("the data of an action have at most %d bytes: send less", MaxActionData))
			e.Code = CodeTooLarge
			return nil, e
		}
		return m, nil
	}
	return f.actionAnswer(name, id)
}

func (f *fields) actionAnswer(name, id string) (any, error) {
	m := &ActionAnswer{Action: name, ID: id, Status: f.string("status", f.Status), Result: notNull(f.Result)}
	if len(f.Error) > 0 && m.Status == StatusError {
		if json.Unmarshal(f.Error, &m.Error) != nil {
			f.fail(protocolError("error is not an object with code and message"))
		}
	}
	switch {
	case f.err != nil:
		return nil, f.err
	case m.Status == StatusError && m.Error != nil && m.Error.Code != "", m.Status == StatusSuccess:
		return m, nil
	}
	return nil, protocolError("the answer to an action has the status %.40q, or no error", m.Status)
}

// notice reads a Notice.
func (f *fields) notice() (any, error) {
	m := &Notice{ID: f.string("id", f.ID), Data: compact(f.Data), Time: f.integer("time", f.Time)}
	switch {
	case f.err != nil:
		return nil, f.err
	case m.ID == "" || len(m.ID) > MaxNoticeID:
		return nil, protocolError("notice without an id of 1 to %d bytes", MaxNoticeID)
	case len(m.Data) == 0:
		return nil, protocolError("notice without data")
	case len(m.Data) > MaxNotice:
		return nil, tooLarge("a notice's size in bytes", MaxNotice)
	}
	return m, nil
}

// notNull gives nil for JSON's null, and everything else without blanks.
func notNull(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	return compact(raw)
}

// compact takes the blanks out of what is JSON.
func compact(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}

// encodeAnswer tells who asked when the result does not fit.
func encodeAnswer(m *ActionAnswer) ([]byte, error) {
	text, err := encodeJSON(512+len(m.Result), m)
	if err != nil {
		return nil, err
	}
	if len(text) > MaxAction {
		return encodeJSON(512, FailedAction(&Action{Action: m.Action, ID: m.ID}, &ActionError{
			Code: CodeTooLarge, Message: fmt.Sprintf("the result is over %d bytes: ask for less", MaxActionData),
		}))
	}
	return text, nil
}
