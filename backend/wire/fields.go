package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
)

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

	// Of declared peers.
	Session   json.RawMessage `json:"session"`
	More      json.RawMessage `json:"more"`
	Encoding  json.RawMessage `json:"encoding"`
	BodySize  json.RawMessage `json:"body_size"`
	BodyURL   json.RawMessage `json:"body_url"`
	Upload    json.RawMessage `json:"upload"`
	TimeoutMS json.RawMessage `json:"timeout_ms"`
	Stream    json.RawMessage `json:"stream"`
	Credit    json.RawMessage `json:"credit"`
	Uploaded  json.RawMessage `json:"uploaded"`
	Resent    json.RawMessage `json:"resent"`
	Seq       json.RawMessage `json:"seq"`
	Last      json.RawMessage `json:"last"`
	Seqs      json.RawMessage `json:"seqs"`
	From      json.RawMessage `json:"from"`
	Upto      json.RawMessage `json:"upto"`

	// Of actions and notices.
	Action json.RawMessage `json:"action"`
	ID     json.RawMessage `json:"id"`
	Data   json.RawMessage `json:"data"`
	Status json.RawMessage `json:"status"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
	Time   json.RawMessage `json:"time"`

	declared bool // what declared peers add is read, too
	err      error
}

// fail keeps err unless it is nil or not the first.
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
	if f.declared {
		f.requestExtension(m)
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
	if f.declared {
		f.responseExtension(m)
	}
	// An answer cannot be an informational one.
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
	if f.declared {
		m.Session, m.Resent = f.session(), f.bool("resent", f.Resent)
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
