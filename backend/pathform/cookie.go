package pathform

import (
	"strings"
)

// Cookie maps the attributes Path and Domain of a Set-Cookie field (RFC 6265, 5.2).
//
// A path gets the prefix. Without a Path, browsers derive one from the URL, which
// has the prefix already. Cookies named "__Host-…" keep theirs: browsers take them
// only with Path=/.
//
// A domain is removed if it is one that the service's own host may set and the
// public host may not; the cookie then belongs to the public host.
func (v *View) Cookie(value string) string {
	pair, attributes, ok := strings.Cut(value, ";")
	if !ok {
		return value
	}
	keepPath := v.Prefix == "" || isHostCookie(pair)
	out := make([]byte, 0, len(value)+len(v.Prefix))
	out = append(out, pair...)
	for attribute := range strings.SplitSeq(attributes, ";") {
		name, text, _ := strings.Cut(attribute, "=")
		text = strings.Trim(text, " \t")
		switch name = strings.Trim(name, " \t"); {
		case strings.EqualFold(name, "domain") && v.isLocalDomain(text):
			continue
		case strings.EqualFold(name, "path") && !keepPath && strings.HasPrefix(text, "/"):
			// The value cannot occur before the first "=": names are trimmed "path".
			i := strings.IndexByte(attribute, '/')
			out = append(append(out, ';'), attribute[:i]...)
			out = append(append(out, v.path(text)...), attribute[i+len(text):]...)
		default:
			out = append(append(out, ';'), attribute...)
		}
	}
	return string(out)
}

func isHostCookie(pair string) bool {
	const prefix = "__Host-"
	name := strings.TrimLeft(pair, " \t")
	return len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
}

// isLocalDomain reports whether browsers would take a cookie for this domain from
// one of the service's own hosts, but not from the public host.
func (v *View) isLocalDomain(domain string) bool {
	domain = strings.TrimPrefix(domain, ".")
	if domain == "" || inDomain(v.Host, domain) {
		return false
	}
	for _, local := range v.Local {
		if inDomain(local, domain) {
			return true
		}
	}
	return false
}

// inDomain is the domain match of RFC 6265, 5.1.3, for an authority.
func inDomain(authority, domain string) bool {
	host := authority
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host = host[:i]
	}
	host = strings.Trim(host, "[]")
	if len(host) < len(domain) || !strings.EqualFold(host[len(host)-len(domain):], domain) {
		return false
	}
	return len(host) == len(domain) || host[len(host)-len(domain)-1] == '.'
}
