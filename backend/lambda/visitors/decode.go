package visitors

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"

	"culvert/backend/lambda/event"
	"culvert/backend/wire"
)

// decode reads a message of an agent. The usual answer, all in one message, is read
// without its body, which is looked at once; everything else, and whatever is not right,
// as package wire has it.
func (in *inbox) decode(text []byte) (any, error) {
	decode := wire.Decode
	if in.declared {
		decode = wire.DecodeDeclared
	}
	if len(text) > event.CutOver && len(text) <= wire.MaxGatewayMessage {
		if rest, body, ok := cutBody(text); ok {
			message, err := decode(rest, wire.MaxGatewayMessage)
			if m, ok := message.(*wire.HTTPResponse); ok && err == nil && !m.Uploaded {
				m.Body = body
				return m, nil
			}
		}
	}
	return decode(text, wire.MaxGatewayMessage)
}

// cutBody takes the body out of a message, if it is in the form that agents give it.
func cutBody(text []byte) (rest, body []byte, ok bool) {
	rest, value, ok := event.Cut(text, "body")
	if !ok || len(value) == 0 || bytes.IndexByte(value, '\\') >= 0 || !utf8.Valid(value) {
		return nil, nil, false
	}
	body = make([]byte, base64.StdEncoding.DecodedLen(len(value)))
	n, err := base64.StdEncoding.Decode(body, value)
	return rest, body[:n], err == nil
}
