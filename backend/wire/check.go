package wire

import (
	"strings"

	"golang.org/x/net/http/httpguts"
)

// checkMethod wants a token (RFC 9110 section 9.1).
func checkMethod(method string) error {
	if !httpguts.ValidHeaderFieldName(method) {
		return protocolError("method %.40q is not a token", method)
	}
	return nil
}

// checkTarget wants a request-target in origin form or asterisk form (RFC 9112
// section 3.2). Bytes over 0x7e pass: servers see them, and escaping is theirs.
func checkTarget(target string) error {
	if target != "*" && !strings.HasPrefix(target, "/") {
		return protocolError("target %.80q does not start with a slash", target)
	}
	for i := range len(target) {
		if target[i] <= ' ' || target[i] == 0x7f {
			return protocolError("target %.80q has a space or a control character", target)
		}
	}
	return nil
}

// checkField wants a header field that cannot be taken for two, or for the end of
// the header (RFC 9110 section 5.5): no CR, LF or NUL.
func checkField(name string, values ...string) error {
	if !httpguts.ValidHeaderFieldName(name) {
		return protocolError("header name %.80q is not a token", name)
	}
	for _, v := range values {
		if !httpguts.ValidHeaderFieldValue(v) {
			return protocolError("header %s has a control character in its value", name)
		}
	}
	return nil
}

// checkText wants a string that may stand in a header value.
func checkText(what, s string) error {
	if !httpguts.ValidHeaderFieldValue(s) {
		return protocolError("%s has a control character", what)
	}
	return nil
}

// EscapeTarget percent-encodes spaces, control characters and bytes outside
// ASCII, and nothing else: what is left of a target that somebody has decoded
// can then stand in a request line again. A valid target of ASCII stays as it is.
func EscapeTarget(target string) string {
	unsafe := 0
	for i := range len(target) {
		if mustEscape(target[i]) {
			unsafe++
		}
	}
	if unsafe == 0 {
		return target
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(target) + 2*unsafe)
	for i := range len(target) {
		if c := target[i]; mustEscape(c) {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func mustEscape(c byte) bool { return c <= ' ' || c >= 0x7f }
