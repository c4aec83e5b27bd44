package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
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

// Encode gives the JSON text of *Ready, *Established, *HTTPRequest,
// *HTTPResponse, *ErrorMessage, *Ping or *Pong; it panics on any other type.
// Header is never null in it, integers are never floats, and HTML is not escaped.
// JSON has no bytes: those of a header value that are not UTF-8 become U+FFFD.
func Encode(message any) ([]byte, error) {
	// A message is its type and the fields beside it, hence the embedding.
	var v any
	size := 256
	switch m := message.(type) {
	case *Ready:
		v = struct {
			Type MessageType `json:"type"`
			*Ready
		}{TypeReady, m}
	case *Established:
		v = struct {
			Type MessageType `json:"type"`
			*Established
		}{TypeEstablished, m}
	case *HTTPRequest:
		c := *m
		c.Header, c.Body = presentHeader(m.Header), presentBody(m.Body)
		size += 2048 + base64.StdEncoding.EncodedLen(len(c.Body))
		v = struct {
			Type MessageType `json:"type"`
			*HTTPRequest
		}{TypeHTTPRequest, &c}
	case *HTTPResponse:
		c := *m
		c.Header, c.Body = presentHeader(m.Header), presentBody(m.Body)
		size += 2048 + base64.StdEncoding.EncodedLen(len(c.Body))
		v = struct {
			Type MessageType `json:"type"`
			*HTTPResponse
		}{TypeHTTPResponse, &c}
	case *ErrorMessage:
		v = struct {
			Type MessageType `json:"type"`
			*ErrorMessage
		}{TypeError, m}
	case *Ping:
		return []byte(`{"type":"ping"}`), nil
	case *Pong:
		return []byte(`{"type":"pong"}`), nil
	default:
		panic(fmt.Sprintf("wire: Encode of %T", message))
	}
	var b bytes.Buffer
	b.Grow(size)
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode message: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// presentHeader gives a header that has no null in JSON: a field without values
// is no field.
func presentHeader(h http.Header) http.Header {
	if h == nil {
		return http.Header{}
	}
	for _, values := range h {
		if len(values) == 0 {
			h = maps.Clone(h)
			maps.DeleteFunc(h, func(_ string, values []string) bool { return len(values) == 0 })
			return h
		}
	}
	return h
}

func presentBody(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Decode reads one JSON message of at most limit bytes and gives a pointer to
// one of the message types, *Unknown included. Missing required fields, wrong
// types, bad base64 and out-of-range numbers are errors that wrap ErrProtocol;
// when the message named a request, the error is a *MessageError.
//
// It is lenient where peers differ without harm: unknown fields are ignored, a
// missing or null body is empty, a header's values may be one string, and a URI
// is escaped (see [EscapeTarget]), so that it always is a valid target.
func Decode(text []byte, limit int) (any, error) {
	if len(text) > limit {
		return nil, tooLarge("a message's size in bytes", limit)
	}
	// RFC 6455 section 8.1: text that is not UTF-8 fails the connection.
	if !utf8.Valid(text) {
		return nil, protocolError("message is not UTF-8")
	}
	if err := checkDepth(text); err != nil {
		return nil, err
	}
	if t := bytes.TrimLeft(text, " \t\r\n"); len(t) == 0 || t[0] != '{' {
		return nil, protocolError("message is not a JSON object")
	}
	var f fields
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, protocolError("%v", err)
	}
	typ := MessageType(f.string("type", f.Type))
	if f.err != nil {
		return nil, f.err
	}
	switch typ {
	case TypePing:
		return &Ping{}, nil
	case TypePong:
		return &Pong{}, nil
	case TypeReady:
		return decodeControl(text, &Ready{})
	case TypeEstablished:
		return f.established(text)
	case TypeHTTPRequest, TypeHTTPResponse, TypeError:
		return f.aboutRequest(typ, text)
	default:
		return unknown(typ, text), nil
	}
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
			// To the closing quote: one that an even number of backslashes precedes.
			for i++; i < len(text); i++ {
				n := bytes.IndexByte(text[i:], '"')
				if n < 0 {
					return protocolError("message ends within a string")
				}
				i += n
				slashes := 0
				for text[i-1-slashes] == '\\' {
					slashes++
				}
				if slashes%2 == 0 {
					break
				}
			}
		}
	}
	return nil
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

// fields are the fields of messages about requests, still in JSON, so that one
// of the wrong type fails its request and nothing else. The first error sticks.
type fields struct {
	Type             json.RawMessage `json:"type"`
	RequestID        json.RawMessage `json:"request_id"`
	Method           json.RawMessage `json:"method"`
	URI              json.RawMessage `json:"uri"`
	Headers          json.RawMessage `json:"headers"`
	Body             json.RawMessage `json:"body"`
	Timestamp        json.RawMessage `json:"timestamp"`
	StatusCode       json.RawMessage `json:"status_code"`
	ProcessingTimeMS json.RawMessage `json:"processing_time_ms"`
	Code             json.RawMessage `json:"code"`
	Message          json.RawMessage `json:"message"`

	err error
}

func (f *fields) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

func (f *fields) request(id string) *HTTPRequest {
	m := &HTTPRequest{
		RequestID: id,
		Method:    f.string("method", f.Method),
		URI:       f.uri(),
		Header:    f.header(),
		Body:      f.body(),
		Timestamp: f.integer("timestamp", f.Timestamp),
	}
	if f.err == nil {
		f.fail(checkMethod(m.Method))
	}
	if f.err == nil {
		f.fail(checkTarget(m.URI))
	}
	return m
}

func (f *fields) response(id string) *HTTPResponse {
	status := f.integer("status_code", f.StatusCode)
	m := &HTTPResponse{
		RequestID:        id,
		Header:           f.header(),
		Body:             f.body(),
		ProcessingTimeMS: f.integer("processing_time_ms", f.ProcessingTimeMS),
	}
	// A whole answer cannot be an informational one.
	if status < 200 || status > 999 {
		f.fail(protocolError("status_code %d is not within 200 to 999", status))
		return m
	}
	m.StatusCode = int(status)
	return m
}

func (f *fields) errorMessage(id string, size int) *ErrorMessage {
	if size > MaxControlMessage {
		f.fail(tooLarge("a control message's size in bytes", MaxControlMessage))
		return nil
	}
	m := &ErrorMessage{
		RequestID: id,
		Code:      ErrorCode(f.string("code", f.Code)),
		Message:   f.string("message", f.Message),
	}
	if m.Code == "" {
		f.fail(protocolError("error without code"))
	}
	return m
}

// string gives "" for a missing or null field.
func (f *fields) string(name string, raw json.RawMessage) string {
	var s string
	if len(raw) == 0 {
		return ""
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		f.fail(protocolError("%s is not a string", name))
	}
	return s
}

// integer gives 0 for a missing or null field.
func (f *fields) integer(name string, raw json.RawMessage) int64 {
	var n int64
	if len(raw) == 0 {
		return 0
	}
	if err := json.Unmarshal(raw, &n); err != nil || n < 0 {
		f.fail(protocolError("%s is not a whole number within its range", name))
		return 0
	}
	return n
}

// uri copes with what the original backend sends: the path decoded, and nothing
// at all where only the tunnel's prefix was asked for.
func (f *fields) uri() string {
	uri := f.string("uri", f.URI)
	if uri == "" || uri[0] == '?' {
		if len(f.URI) == 0 {
			f.fail(protocolError("http_request without uri"))
		}
		uri = "/" + uri
	}
	return EscapeTarget(uri)
}

func (f *fields) body() []byte {
	raw := f.Body
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	if raw[0] != '"' {
		f.fail(protocolError("body is not a string"))
		return nil
	}
	text := raw[1 : len(raw)-1]
	if bytes.IndexByte(text, '\\') >= 0 { // "\/" for "/": allowed, rare
		text = []byte(f.string("body", raw))
	}
	if len(text) == 0 {
		return nil
	}
	body := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(body, text)
	if err != nil {
		f.fail(protocolError("body is not base64: %v", err))
		return nil
	}
	return body[:n]
}

// header gives a header with canonical names, never nil.
func (f *fields) header() http.Header {
	if len(f.Headers) > maxHeaders {
		f.fail(tooLarge("the headers' size in bytes", maxHeaders))
		return http.Header{}
	}
	var raw map[string]values
	if len(f.Headers) > 0 {
		if err := json.Unmarshal(f.Headers, &raw); err != nil {
			f.fail(protocolError("headers: %v", err))
			return http.Header{}
		}
	}
	h := make(http.Header, len(raw))
	count := 0
	// Sorted, so that names which differ in case alone always merge in one order.
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		values := raw[name]
		if count += len(values); count > MaxFields {
			f.fail(tooLarge("the number of header fields", MaxFields))
			break
		}
		if err := checkField(name, values...); err != nil {
			f.fail(err)
			break
		}
		if len(values) > 0 {
			key := textproto.CanonicalMIMEHeaderKey(name)
			h[key] = append(h[key], values...)
		}
	}
	return h
}

// values are a header's: a list of strings, or one string.
type values []string

func (v *values) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		*v = make(values, 1)
		return json.Unmarshal(text, &(*v)[0])
	}
	return json.Unmarshal(text, (*[]string)(v))
}
