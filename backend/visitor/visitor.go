// Package visitor is about those who open a tunnel's public URL: which tunnel a
// request is for, which of its fields may pass, what the local service learns of
// where it came from, and what the visitor reads when something is wrong.
//
// It holds no connection and no state; every backend uses it alike. Serving visitors is
// for each backend to do by itself: package relay does, and on AWS Lambda package
// backend/lambda/visitors.
package visitor

import (
	"errors"
	"net/http"
	"strings"
)

// ErrMalformed is wrapped by errors about requests that deserve a 400.
var ErrMalformed = errors.New("malformed request")

type malformed string

func (m malformed) Error() string { return string(m) }
func (m malformed) Unwrap() error { return ErrMalformed }

// CheckTarget refuses request targets that a tunnel does not carry: the absolute
// form and CONNECT, which are for proxies (a local service that takes this one
// for a proxy would fetch what the visitor names), and characters that no target
// has (RFC 9112, section 3.2). The error wraps ErrMalformed.
func CheckTarget(method, target string) error {
	switch {
	case method == http.MethodConnect:
		return malformed("CONNECT is for proxies, and this is none")
	case target == "*" && method == http.MethodOptions:
		return nil
	case target == "" || target[0] != '/':
		return malformed("the request target must be a path that begins with /")
	}
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c == 0x7f || c == '#' {
			return malformed("the request target contains a character that must be percent-encoded")
		}
	}
	return nil
}

// SplitPath splits a request target of the path form into the tunnel's ID and the
// target for its local service, byte for byte. bare says that nothing followed
// the ID: then the target for the local service is "/", with the query.
func SplitPath(target string) (id, rest string, bare bool) {
	target = strings.TrimPrefix(target, "/")
	end := strings.IndexAny(target, "/?")
	if end < 0 {
		return target, "/", true
	}
	id, rest = target[:end], target[end:]
	if rest[0] == '?' {
		return id, "/" + rest, true
	}
	return id, rest, false
}

// HostID gives the tunnel's ID from a Host field of the subdomain form, where base
// is the backend's own host name in lower case. ok says that the host is below
// base; it is then never the path form, even if id is no valid ID.
func HostID(host, base string) (id string, ok bool) {
	host = strings.TrimSuffix(strings.ToLower(HostName(host)), ".")
	return strings.CutSuffix(host, "."+base)
}

// HostName is a Host field without its port.
func HostName(host string) string {
	if strings.HasPrefix(host, "[") {
		end := strings.IndexByte(host, ']')
		if end < 0 {
			return host
		}
		return host[1:end]
	}
	if colon := strings.LastIndexByte(host, ':'); colon >= 0 && strings.IndexByte(host, ':') == colon {
		return host[:colon]
	}
	return host
}
