package agents

import (
	"bytes"
	"encoding/json"
	"errors"

	"culvert/backend/lambda/event"
	"culvert/backend/wire"
)

// envelope is as much of a message as is needed to pass it on. The rest is read by
// who waits for it, by the same rules of encoding/json: both see the same fields.
type envelope struct {
	Type      wire.MessageType `json:"type"`
	RequestID string           `json:"request_id"`
	Session   string           `json:"session"`
	Resent    bool             `json:"resent"`
	Seq       int              `json:"seq"`
}

var (
	errTooLong  = errors.New("it is over API Gateway's limit")
	errNoObject = errors.New("it is no JSON object with fields of the right types")
)

// readEnvelope reads a message, once. typed says whether it has a type, and so is the
// tunnel's; the error, whether the rest can be read, and quotes nothing of it. A type
// that is no text is none: whoever sends it is told that it is wrong.
func readEnvelope(text []byte) (e *envelope, typed bool, err error) {
	// encoding/json takes null for an object, and bounds the nesting itself.
	if t := bytes.TrimLeft(text, " \t\r\n"); len(t) == 0 || t[0] != '{' {
		return nil, false, errNoObject
	}
	long := len(text) > wire.MaxGatewayMessage
	if len(text) > event.CutOver {
		if rest, _, ok := event.Cut(text, "body"); ok {
			text = rest
		}
	}
	var m struct {
		envelope
		Type json.RawMessage `json:"type"`
	}
	err = json.Unmarshal(text, &m)
	var wrong *json.UnmarshalTypeError
	if err != nil && !errors.As(err, &wrong) {
		return nil, false, errNoObject
	}
	typed = json.Unmarshal(m.Type, &m.envelope.Type) == nil && m.envelope.Type != ""
	switch {
	case long:
		return nil, typed, errTooLong
	case err != nil || !typed:
		return nil, typed, errNoObject
	}
	return &m.envelope, true, nil
}

// typed says whether a message has a type.
func typed(text []byte) bool {
	_, typed, _ := readEnvelope(text)
	return typed
}
