package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
)

// Encode gives the JSON text of *Ready, *Established, *HTTPRequest,
// *HTTPResponse, *ErrorMessage, *Ping, *Pong, *Chunk, *Resend, *Credit, *Cancel, *Notice,
// *Action or *ActionAnswer; it panics on any other type. An answer to an action that is
// over MaxAction becomes an error that says so. What has the zero value and is not in the table of
// the original protocol is left out.
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
		v = struct {
			Type MessageType `json:"type"`
			*Ping
		}{TypePing, m}
	case *Pong:
		return []byte(`{"type":"pong"}`), nil
	case *Chunk:
		c := *m
		c.Body = presentBody(m.Body)
		size += base64.StdEncoding.EncodedLen(len(c.Body))
		v = struct {
			Type MessageType `json:"type"`
			*Chunk
		}{TypeChunk, &c}
	case *Resend:
		v = struct {
			Type MessageType `json:"type"`
			*Resend
		}{TypeResend, m}
	case *Credit:
		v = struct {
			Type MessageType `json:"type"`
			*Credit
		}{TypeCredit, m}
	case *Cancel:
		v = struct {
			Type MessageType `json:"type"`
			*Cancel
		}{TypeCancel, m}
	case *Notice:
		v = struct {
			Type MessageType `json:"type"`
			*Notice
		}{TypeNotice, m}
	case *Action:
		v = m
	case *ActionAnswer:
		return encodeAnswer(m)
	default:
		panic(fmt.Sprintf("wire: Encode of %T", message))
	}
	return encodeJSON(size, v)
}

// encodeJSON writes JSON without escaping HTML. size is a guess.
func encodeJSON(size int, v any) ([]byte, error) {
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
