package event

import (
	"strings"
)

// target puts a request target together again.
func target(path, query string, decoded bool) string {
	var b strings.Builder
	b.Grow(len(path) + len(query) + 16)
	if !strings.HasPrefix(path, "/") {
		b.WriteByte('/')
	}
	if decoded {
		appendEscaped(&b, path, mustEscapeDecoded)
	} else {
		appendEscaped(&b, path, mustEscapeInPath)
	}
	if query != "" {
		b.WriteByte('?')
		appendEscaped(&b, query, mustEscape)
	}
	return b.String()
}

// mustEscape is what cannot stand in a request target (RFC 3986, section 2).
func mustEscape(c byte) bool { return c <= ' ' || c >= 0x7f || c == '#' }

// mustEscapeInPath is what would end a path as well.
func mustEscapeInPath(c byte) bool { return mustEscape(c) || c == '?' }

// mustEscapeDecoded is what cannot have been itself in a path before it was decoded:
// its "%" was "%25".
func mustEscapeDecoded(c byte) bool { return mustEscapeInPath(c) || c == '%' }

// mustEscapeParameter is what would end a name or value of a query string, or would
// be read as something else. The rest is left as most clients send it.
func mustEscapeParameter(c byte) bool {
	return mustEscape(c) || strings.IndexByte(`%&+;="<>\^{|}`+"`", c) >= 0
}

func appendEscaped(b *strings.Builder, s string, must func(byte) bool) {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		if c := s[i]; must(c) {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		} else {
			b.WriteByte(c)
		}
	}
}

// rebuiltQuery writes a query string from decoded parameters.
func (e *envelope) rebuiltQuery() string {
	parameters := e.MultiQuery
	if len(parameters) == 0 {
		parameters = e.Query
	}
	var b strings.Builder
	for _, p := range parameters {
		for _, value := range p.values {
			if b.Len() > 0 {
				b.WriteByte('&')
			}
			appendEscaped(&b, p.name, mustEscapeParameter)
			b.WriteByte('=')
			appendEscaped(&b, value, mustEscapeParameter)
		}
	}
	return b.String()
}

// stripStage takes the name of a stage off the path. It stands there if the stage is
// a named one and the request came to the API's own host name; a domain of the
// user's own maps to the stage without it.
func stripStage(path, stage, domain string) (rest, prefix string) {
	if stage == "" || stage == "$default" || !strings.Contains(domain, ".execute-api.") {
		return path, ""
	}
	return stripPrefix(path, "/"+stage)
}

func stripPrefix(path, prefix string) (rest, stripped string) {
	rest, ok := strings.CutPrefix(path, prefix)
	switch {
	case !ok || rest != "" && rest[0] != '/' && rest[0] != '?':
		return path, ""
	case rest == "" || rest[0] == '?':
		return "/" + rest, prefix
	}
	return rest, prefix
}

// StripPrefix takes a prefix such as "/tunnels" off the target, if it stands there:
// the key under which the API is mapped to a domain of the user's own. Some events
// have it in the path and some have not, and none says so. Hence no tunnel should
// have the name of the key.
func (r *Request) StripPrefix(prefix string) {
	prefix = strings.TrimRight(prefix, "/")
	if prefix == "" || prefix == r.Prefix { // a stage that is off already
		return
	}
	var stripped string
	r.Target, stripped = stripPrefix(r.Target, prefix)
	r.Prefix += stripped
}
