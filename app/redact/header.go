package redact

import (
	"net/http"
	"strings"
)

func (p painter) headers(h http.Header) (http.Header, bool) {
	var out http.Header
	for name, values := range h {
		for i, value := range values {
			shown, changed := p.header(name, value)
			if !changed {
				continue
			}
			if out == nil {
				out = h.Clone()
			}
			out[name][i] = shown
		}
	}
	if out == nil {
		return h, false
	}
	return out, true
}

func (p painter) header(name, value string) (string, bool) {
	var out string
	switch strings.ToLower(name) {
	case "cookie":
		out = p.cookies(value, false)
	case "set-cookie":
		out = p.cookies(value, true)
	case "authorization", "proxy-authorization":
		out = p.credential(value)
	case "location", "content-location", "referer", "refresh", "origin":
		return p.url(value)
	case "sec-websocket-protocol":
		out = p.protocols(value)
	default:
		if !Header(name) {
			return p.text(value)
		}
		if out = p.mark; value == "" {
			out = ""
		}
	}
	return out, out != value
}

// schemes are the first words of credentials that may be shown
// (https://www.iana.org/assignments/http-authschemes/).
var schemes = map[string]bool{
	"basic": true, "bearer": true, "digest": true, "dpop": true, "gnap": true, "hawk": true, "hoba": true, "hmac": true, "mutual": true,
	"negotiate": true, "ntlm": true, "oauth": true, "privatetoken": true, "scram-sha-1": true, "scram-sha-256": true, "vapid": true,
	"aws4-hmac-sha256": true, "token": true, "apikey": true, "signature": true, "sharedkey": true,
}

func (p painter) credential(value string) string {
	scheme, rest, found := strings.Cut(value, " ")
	if value == "" || found && strings.TrimSpace(rest) == "" && schemes[strings.ToLower(scheme)] {
		return value
	}
	if found && schemes[strings.ToLower(scheme)] {
		return scheme + " " + p.mark
	}
	return p.mark
}

// cookies keeps the names, and of a Set-Cookie the attributes.
func (p painter) cookies(value string, set bool) string {
	parts := strings.Split(value, ";")
	for i, part := range parts {
		name, content, found := strings.Cut(part, "=")
		switch {
		case set && i > 0 && (!found || cookieAttributes[strings.ToLower(strings.TrimSpace(name))]):
		case !found:
			if strings.TrimSpace(part) != "" {
				parts[i] = leadingSpace(part) + p.mark
			}
		case strings.TrimSpace(content) != "":
			parts[i] = name + "=" + p.mark
		}
	}
	return strings.Join(parts, ";")
}

// cookieAttributes are those with a value (RFC 6265, 4.1 and what came after it).
var cookieAttributes = map[string]bool{
	"expires": true, "max-age": true, "domain": true, "path": true, "samesite": true, "priority": true, "version": true, "comment": true,
}

func leadingSpace(s string) string { return s[:len(s)-len(strings.TrimLeft(s, " "))] }

// protocols masks tokens in Sec-WebSocket-Protocol, where browsers can put them:
// JavaScript cannot set another header.
func (p painter) protocols(value string) string {
	parts := strings.Split(value, ",")
	for i, part := range parts {
		if len(strings.TrimSpace(part)) >= 20 && strings.ContainsAny(part, "0123456789") {
			parts[i] = leadingSpace(part) + p.mark
		}
	}
	return strings.Join(parts, ",")
}
