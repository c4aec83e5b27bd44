package event

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"culvert/backend/visitor"
)

// Answer is what a visitor gets.
type Answer struct {
	Status int
	// Header has canonical names. What frames the body, or is about one connection,
	// does not reach the visitor.
	Header http.Header
	Body   []byte
	// Head says that the request was a HEAD: the answer has no body, and
	// Content-Length stands for that of a GET.
	Head bool
}

// MaxPayload is how large an answer may be that a function returns, in bytes of its
// encoded form (the 6 MB of Lambda's quotas).
const MaxPayload = 6 << 20

// Errors of Encode.
var (
	// ErrTooLarge is about answers over MaxPayload.
	ErrTooLarge = errors.New("the answer is larger than a Lambda function may return")
	// ErrNoAnswer is about answers with which a gateway could do nothing.
	ErrNoAnswer = errors.New("the answer is none")
)

// output is an answer as all kinds of HTTP events want it: 1.0 knows no cookies,
// and 2.0 no multiValueHeaders.
type output struct {
	// StatusCode is never left out: with payload 2.0, the gateway would take the
	// whole object for the body of a 200.
	StatusCode   int                 `json:"statusCode"`
	Headers      map[string]string   `json:"headers,omitempty"`
	MultiHeaders map[string][]string `json:"multiValueHeaders,omitempty"`
	Cookies      []string            `json:"cookies,omitempty"`
	Base64       bool                `json:"isBase64Encoded"`
	// The body follows, and is written without package json, which would copy it
	// thrice: functions have little memory.
}

// Encode gives the JSON that a function returns for events of the kind k, which is
// one of HTTP. The errors wrap ErrTooLarge or ErrNoAnswer; answer with Refuse then.
func (a *Answer) Encode(k Kind) ([]byte, error) {
	if !k.HTTP() {
		return nil, fmt.Errorf("%w: there is nobody to answer to a %s", ErrNoAnswer, k)
	}
	header, err := a.header(a.Head)
	if err != nil {
		return nil, err
	}
	out := output{StatusCode: a.Status}
	var body []byte
	if a.hasBody() {
		body = a.Body
	}
	size, binary := base64.StdEncoding.EncodedLen(len(body)), mustEncode(body, header)
	if !binary {
		escaped := escapedSize(body)
		if binary = size < escaped; !binary {
			size = escaped
		}
	}
	out.Base64 = binary && len(body) > 0
	if k == HTTPv1 {
		out.MultiHeaders = header
	} else {
		out.Headers, out.Cookies = joined(header)
	}
	text, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	const before, after = `,"body":"`, `"}`
	text = text[:len(text)-len("}")]
	if size += len(text) + len(before) + len(after); size > MaxPayload {
		return nil, fmt.Errorf("%w: %d bytes in its encoded form, of at most %d", ErrTooLarge, size, MaxPayload)
	}
	text = append(append(make([]byte, 0, size), text...), before...)
	if out.Base64 {
		text = base64.StdEncoding.AppendEncode(text, body)
	} else {
		text = appendEscapedText(text, body)
	}
	return append(text, after...), nil
}

// header is what of the answer's header a gateway gets. The length goes along only
// with HEAD: everywhere else the gateway counts.
func (a *Answer) header(withLength bool) (http.Header, error) {
	// 1xx cannot pass a gateway: it would take a 101 for the end of the exchange.
	if a.Status < 200 || a.Status > 599 {
		return nil, fmt.Errorf("%w: it has the status %d", ErrNoAnswer, a.Status)
	}
	h := make(http.Header, len(a.Header))
	visitor.CopyAnswer(h, a.Header) // hop-by-hop and Content-Length stay behind
	if length := a.Header["Content-Length"]; withLength && len(length) == 1 && bodyAllowed(a.Status) {
		h["Content-Length"] = length
	}
	return h, nil
}

func (a *Answer) hasBody() bool {
	return len(a.Body) > 0 && !a.Head && bodyAllowed(a.Status)
}

// bodyAllowed says whether a status has a body (RFC 9110, section 6.4.1).
func bodyAllowed(status int) bool {
	return status != http.StatusNoContent && status != http.StatusResetContent && status != http.StatusNotModified
}

// mustEncode says whether a body has to be base64: what is no text cannot be in JSON,
// and what has an encoding is no text even where it looks like it.
func mustEncode(body []byte, h http.Header) bool {
	for _, line := range h["Content-Encoding"] {
		if line = strings.TrimSpace(line); line != "" && !strings.EqualFold(line, "identity") {
			return true
		}
	}
	return !utf8.Valid(body)
}

// joined makes one value of several, and takes the cookies out, which cannot be
// joined (RFC 6265, section 3).
func joined(h http.Header) (single map[string]string, cookies []string) {
	single = make(map[string]string, len(h))
	for name, values := range h {
		switch {
		case name == "Set-Cookie":
			cookies = values
		case len(values) == 0:
		case isSingle(name):
			single[name] = values[0]
		default:
			single[name] = strings.Join(values, ", ")
		}
	}
	return single, cookies
}

// isSingle names those fields that are no lists, and that services send twice all
// the same: "/a, /b" would be a third place.
func isSingle(name string) bool {
	switch name {
	case "Content-Length", "Content-Location", "Content-Type", "Date", "Etag", "Expires",
		"Last-Modified", "Location", "Retry-After", "Server":
		return true
	}
	return false
}
