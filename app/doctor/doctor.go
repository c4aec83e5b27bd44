// Package doctor finds out whether a backend can be used, and if not, why: a list
// of checks, from the name in the DNS up to a message there and back, and to the local
// service.
package doctor

import (
	"cmp"
	"crypto/x509"
	"net/url"
	"time"

	"culvert/app/target"
	"culvert/backend/tunnel"
)

// Backend is what is to be checked.
type Backend struct {
	// URL is nil if there is no backend but the relay that is built in.
	URL     *url.URL
	Token   string // "" for none. Never reported.
	RootCAs *x509.CertPool
	Owner   tunnel.OwnerKey
	// Agent is this program's name and version, for the backend's log.
	Agent string
	// Target is a local service to be looked at, too; the zero value is none.
	Target target.Target
}

// ID names a check.
type ID string

// The checks, in their order.
const (
	DNS          ID = "dns"
	Proxy        ID = "proxy" // whether WebSockets pass this network's proxy
	TLS          ID = "tls"
	Handshake    ID = "handshake"
	Clock        ID = "clock"
	Token        ID = "token"
	RoundTrip    ID = "round-trip"
	LocalService ID = "local-service"
	Version      ID = "version"
)

// IDs are all checks, in their order.
func IDs() []ID {
	return []ID{DNS, Proxy, TLS, Handshake, Clock, Token, RoundTrip, LocalService, Version}
}

// Title is what the check is called in English.
func (id ID) Title() string {
	switch id {
	case DNS:
		return "Name"
	case Proxy:
		return "Proxy"
	case TLS:
		return "Encryption"
	case Handshake:
		return "Handshake"
	case Clock:
		return "Clock"
	case Token:
		return "Token"
	case RoundTrip:
		return "Round trip"
	case LocalService:
		return "Local service"
	case Version:
		return "Version"
	}
	return string(id)
}

// State is how far a check has come.
type State int

// A check runs, and ends in one of the other states.
const (
	Running State = iota
	OK
	Warn    // it works, but not as it should
	Failed  // a tunnel cannot work
	Skipped // it makes no sense here, or an earlier one failed
)

// Check is one line of the list.
type Check struct {
	ID    ID
	State State
	// Detail is what was found, Advice what to do about it; may be "".
	Detail, Advice string
	// Typed is the advice for who typed a command: it names flags, where Advice speaks
	// of what a window has fields for. "" if it is the same; see Typing.
	Typed string
	Took  time.Duration
	// Refused: it failed because the backend does not want us, or our token.
	Refused bool
}

// Typing is what to do about it, for somebody at a command line.
func (c Check) Typing() string { return cmp.Or(c.Typed, c.Advice) }
