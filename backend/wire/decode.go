package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	// maxDepth bounds the nesting of a message; the deepest of ours has 3 levels.
	maxDepth = 32
	// maxRequestID bounds request_id in bytes. The original backend's have 40.
	maxRequestID = 256
	// maxHeaders bounds the JSON text of headers. It leaves room for a head of
	// MaxHead bytes in which every byte but a few is escaped.
	maxHeaders = 2 * MaxHead
	// maxUnknownText is how much of an unknown message is kept for the log.
	maxUnknownText = 256
)

// Decode reads one JSON message of at most limit bytes and gives a pointer to
// one of the message types, *Unknown included. Missing required fields, wrong
// types, bad base64 and out-of-range numbers are errors that wrap ErrProtocol;
// when the message named a request, the error is a *MessageError.
//
// It is lenient where peers differ without harm: unknown fields are ignored, a
// missing or null body is empty, a header's values may be one string, and a URI
// is escaped (see [EscapeTarget]), so that it always is a valid target.
//
// Decode is for peers that have declared nothing but resume: the types and fields
// of other capabilities are unknown to it.
func Decode(text []byte, limit int) (any, error) { return decode(text, limit, false) }

// DecodeDeclared is Decode for peers that have declared capabilities of API
// Gateway (see [CapSession] and those after it).
func DecodeDeclared(text []byte, limit int) (any, error) { return decode(text, limit, true) }

func decode(text []byte, limit int, declared bool) (any, error) {
	if len(text) > limit {
		return nil, tooLarge("a message's size in bytes", limit)
	}
	// RFC 6455 section 8.1: text that is not UTF-8 fails the connection.
	if !utf8.Valid(text) {
		return nil, protocolError("message is not UTF-8")
	}
	if err := checkDepth(text); err != nil {
		return nil, deepAction(text, err)
	}
	if t := bytes.TrimLeft(text, " \t\r\n"); len(t) == 0 || t[0] != '{' {
		return nil, protocolError("message is not a JSON object")
	}
	f := fields{declared: declared}
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, protocolError("%v", err)
	}
	typ := MessageType(f.string("type", f.Type))
	if f.err != nil {
		return nil, f.err
	}
	switch typ {
	case "":
		if len(f.Action) > 0 {
			return f.action()
		}
	case TypeNotice:
		return f.notice()
	case TypePing:
		m := &Ping{Session: f.session()}
		if f.err != nil {
			return nil, f.err
		}
		return m, nil
	case TypePong:
		return &Pong{}, nil
	case TypeReady:
		return decodeControl(text, &Ready{})
	case TypeEstablished:
		return f.established(text)
	case TypeHTTPRequest, TypeHTTPResponse, TypeError:
		return f.aboutRequest(typ, text)
	case TypeChunk, TypeResend, TypeCredit, TypeCancel:
		if declared {
			return f.aboutRequest(typ, text)
		}
	}
	return unknown(typ, text), nil
}

// checkDepth bounds the nesting before the JSON package sees the text.
func checkDepth(text []byte) error {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			if depth++; depth > maxDepth {
				return tooLarge("a message's nesting", maxDepth)
			}
		case '}', ']':
			depth--
		case '"':
			if i = endOfString(text, i); i == len(text) {
				return protocolError("message ends within a string")
			}
		}
	}
	return nil
}

// deepAction makes a *BadAction of an error about an action's nesting, so that who asked
// learns which one it was.
func deepAction(text []byte, err error) error {
	if !errors.Is(err, ErrTooLarge) || len(text) > MaxGatewayMessage {
		return err
	}
	var f fields
	if json.Unmarshal(outline(text), &f) != nil || f.string("type", f.Type) != "" || len(f.Action) == 0 {
		return err
	}
	name, id := f.names()
	return &BadAction{Action: name, ID: id, Code: CodeTooLarge, Err: err,
		Advice: fmt.Sprintf("the data are nested too deep: %d levels are allowed", maxDepth-1)}
}

// outline is an object without what stands deeper than its members: these are 0. It is
// JSON if the text is.
func outline(text []byte) []byte {
	flat := make([]byte, 0, len(text))
	depth := 0
	for i := 0; i < len(text); i++ {
		from := i
		switch text[i] {
		case '{', '[':
			if depth++; depth == 2 {
				flat = append(flat, '0')
			}
		case '}', ']':
			if depth--; depth == 1 {
				continue
			}
		case '"':
			i = endOfString(text, i)
		}
		if depth <= 1 {
			flat = append(flat, text[from:min(i+1, len(text))]...)
		}
	}
	return flat
}

// endOfString is where the string that begins at i ends: at its closing quote, or at
// the text's end if there is none.
func endOfString(text []byte, i int) int {
	for i++; i < len(text); i++ {
		n := bytes.IndexByte(text[i:], '"')
		if n < 0 {
			return len(text)
		}
		i += n
		slashes := 0
		for text[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 { // the quote is not escaped
			return i
		}
	}
	return len(text)
}

// decodeControl reads the messages of the handshake: small, with plain fields.
func decodeControl[T any](text []byte, m *T) (*T, error) {
	if len(text) > MaxControlMessage {
		return nil, tooLarge("a control message's size in bytes", MaxControlMessage)
	}
	if err := json.Unmarshal(text, m); err != nil {
		return nil, protocolError("%v", err)
	}
	return m, nil
}

func (f *fields) established(text []byte) (any, error) {
	m, err := decodeControl(text, &Established{})
	if err != nil {
		return nil, err
	}
	if m.TunnelID == "" || m.PublicURL == "" {
		return nil, protocolError("connection_established without tunnel_id or public_url")
	}
	if len(m.Session) > MaxSession {
		return nil, tooLarge("session's length in bytes", MaxSession)
	}
	return m, nil
}

func (f *fields) aboutRequest(typ MessageType, text []byte) (any, error) {
	id := f.string("request_id", f.RequestID)
	if len(id) > maxRequestID {
		return nil, tooLarge("request_id's length in bytes", maxRequestID)
	}
	if f.err != nil {
		return nil, f.err
	}
	var m any
	switch typ {
	case TypeHTTPRequest:
		m = f.request(id)
	case TypeHTTPResponse:
		m = f.response(id)
	case TypeChunk:
		m = f.chunk(id)
	case TypeResend:
		m = f.resend(id, len(text))
	case TypeCredit:
		m = &Credit{RequestID: id, Upto: f.bounded("upto", f.Upto, 0, MaxSeq)}
	case TypeCancel:
		m = &Cancel{RequestID: id}
	default:
		m = f.errorMessage(id, len(text))
	}
	if id == "" && typ != TypeError {
		return nil, protocolError("%s without request_id", typ)
	}
	if f.err == nil {
		return m, nil
	}
	if id == "" {
		return nil, f.err
	}
	return nil, &MessageError{Type: typ, RequestID: id, Err: f.err}
}

func unknown(typ MessageType, text []byte) *Unknown {
	cut := text[:min(len(text), maxUnknownText)]
	if len(typ) > maxUnknownText {
		typ = typ[:maxUnknownText]
	}
	return &Unknown{
		Type: MessageType(strings.ToValidUTF8(string(typ), "")),
		Text: strings.ToValidUTF8(string(cut), ""),
	}
}
