package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"

	"culvert/backend/visitor"
)

// field is one member of a JSON object of strings, or of arrays of strings.
type field struct {
	name   string
	values []string
}

// fields is such an object in the order of its text, which a map would lose.
type fields []field

// UnmarshalJSON reads a string, an array of strings or null for each name.
func (f *fields) UnmarshalJSON(text []byte) error {
	*f = nil
	if bytes.Equal(text, []byte("null")) {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.New("headers and query string parameters must be objects")
	}
	*f = fields{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var value oneOrMore
		if err := d.Decode(&value); err != nil {
			return err
		}
		*f = append(*f, field{name.(string), value})
	}
	return nil
}

type oneOrMore []string

func (v *oneOrMore) UnmarshalJSON(text []byte) error {
	switch text[0] {
	case '"':
		*v = make([]string, 1)
		return json.Unmarshal(text, &(*v)[0])
	case '[', 'n':
		return json.Unmarshal(text, (*[]string)(v))
	}
	return errors.New("a header or query string parameter is no string")
}

// header gives canonical names. Some events have each header twice, of which the
// form with all values counts; spellings that differ in case are one name.
func (e *envelope) header() (http.Header, error) {
	h := make(http.Header, len(e.Headers)+len(e.MultiHeaders))
	for _, f := range e.MultiHeaders {
		if err := add(h, f); err != nil {
			return nil, err
		}
	}
	single := make(http.Header)
	for _, f := range e.Headers {
		if err := add(single, f); err != nil {
			return nil, err
		}
	}
	for name, values := range single {
		if len(h[name]) == 0 {
			h[name] = values
		}
	}
	if len(e.Cookies) > 0 {
		cookies := strings.Join(e.Cookies, "; ")
		if !httpguts.ValidHeaderFieldValue(cookies) {
			return nil, malformed("a cookie with a control character")
		}
		h["Cookie"] = []string{cookies}
	}
	return h, nil
}

func add(h http.Header, f field) error {
	if !httpguts.ValidHeaderFieldName(f.name) {
		return malformed("%.80q is no name of a header", f.name)
	}
	name := http.CanonicalHeaderKey(f.name)
	for _, value := range f.values {
		value = strings.Trim(value, " \t")
		if !httpguts.ValidHeaderFieldValue(value) {
			return malformed("the header %.80s has a control character in its value", name)
		}
		h[name] = append(h[name], value)
	}
	return nil
}

// requestHeader is header for a visitor's request: without what was about the
// visitor's own connection, the length, which the body tells, and the host. What the
// connection was to become is upgrade.
func (e *envelope) requestHeader() (h http.Header, host, upgrade string, err error) {
	h, err = e.header()
	if err != nil {
		return nil, "", "", err
	}
	host = h.Get("Host")
	if host == "" {
		host = e.RequestContext.Domain
	}
	upgrade = upgradeOf(h)
	visitor.RemoveHopByHop(h)
	delete(h, "Host")
	delete(h, "Content-Length")
	return h, host, upgrade, nil
}

// upgradeOf gives the protocols that the visitor offers to change to, or "". Gateways
// end the visitor's connection and may take off what is about it, Connection and
// Upgrade; the other fields of a WebSocket's handshake they pass on, and browsers let
// no page set them for anything else (RFC 6455, section 4.1).
func upgradeOf(h http.Header) string {
	if offered := visitor.UpgradeOf(h); offered != "" {
		return offered
	}
	if h.Get("Sec-Websocket-Key") != "" && h.Get("Sec-Websocket-Version") != "" {
		return "websocket"
	}
	return ""
}
