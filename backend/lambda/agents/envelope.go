package agents

import (
	"bytes"
	"encoding/json"
	"errors"

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

// typed says whether a message has a type, and so is the tunnel's. It looks at nothing
// else of it. A type that is no text is none: whoever sends it is told that it is wrong.
func typed(text []byte) bool {
	var e struct {
		Type json.RawMessage `json:"type"`
	}
	t := bytes.TrimLeft(text, " \t\r\n")
	if len(t) == 0 || t[0] != '{' || json.Unmarshal(text, &e) != nil {
		return false
	}
	var kind string
	return json.Unmarshal(e.Type, &kind) == nil && kind != ""
}

// readEnvelope reads a message. Its errors quote nothing of it.
func readEnvelope(text []byte) (*envelope, error) {
	if len(text) > wire.MaxGatewayMessage {
		return nil, errTooLong
	}
	// encoding/json takes null for an object, and bounds the nesting itself.
	if t := bytes.TrimLeft(text, " \t\r\n"); len(t) == 0 || t[0] != '{' {
		return nil, errNoObject
	}
	var e envelope
	if json.Unmarshal(text, &e) != nil {
		return nil, errNoObject
	}
	return &e, nil
}
