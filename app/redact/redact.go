// Package redact knows what is secret in an exchange: credentials in headers,
// cookies, queries, forms, JSON and other text. It makes copies without them, for
// the history and for what people pass on, and masks them on the screen.
//
// It errs on the side of taking out too much. What it cannot know is a secret under
// an innocent name that looks like any other text.
package redact

import (
	"net/http"

	"culvert/app/exchange"
)

// Placeholder stands where a secret was taken out of a copy, Dots where one is
// hidden on the screen. Neither tells how long it was.
const (
	Placeholder = "REDACTED"
	Dots        = "••••••••"
)

// Header says whether a header of that name carries a secret.
func Header(name string) bool { return false }

// Name says whether a field of that name, in a query, a form or JSON, carries a
// secret.
func Name(key string) bool { return false }

// Headers is a copy without secrets. It is the given one if there are none.
func Headers(h http.Header) http.Header { return h }

// URL is a URL, or a path with its query, without secrets.
func URL(raw string) string { return raw }

// Query is a raw query without secrets.
func Query(raw string) string { return raw }

// Text is any text without what looks like a credential anywhere.
func Text(s string) string { return s }

// Body is what a message with this header carries, without secrets. The body stays
// as it travelled if there are none, and otherwise it comes without its content
// codings, and coded is false.
func Body(header http.Header, body []byte) (redacted []byte, changed bool) { return body, false }

// Exchange is a copy without secrets. It is the given one if there are none, and
// Redacted otherwise. A compressed body with secrets comes decoded, and so longer.
func Exchange(x *exchange.Exchange) *exchange.Exchange { return x }

// Mask hides a value on the screen.
func Mask(value string) string { return Dots }

// MaskHeader is a header's value as it is shown: scheme and names of cookies stay,
// secrets are dots, and masked says that there are some.
func MaskHeader(name, value string) (shown string, masked bool) { return value, false }

// MaskURL is a URL, or a path with its query, as it is shown.
func MaskURL(raw string) (shown string, masked bool) { return raw, false }
