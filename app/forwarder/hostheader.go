package forwarder

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// HostHeader is what the local service sees as Host, and as Origin and Referer of
// the visitor's pages: "local", "public", or a name of its own.
type HostHeader string

const (
	// HostLocal sends the target's host and port, as a browser on this machine
	// would. Development servers refuse other names.
	HostLocal HostHeader = "local"
	// HostPublic sends what the visitor sent.
	HostPublic HostHeader = "public"
)

// ParseHostHeader reads "local", "public", or a name with an optional port.
func ParseHostHeader(s string) (HostHeader, error) {
	s = strings.ToLower(s)
	if h := HostHeader(s); h == HostLocal || h == HostPublic {
		return h, nil
	}
	name, port, hasPort := cutPort(s)
	if hasPort {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", fmt.Errorf("host header %q: the port is not a number from 1 to 65535", s)
		}
	}
	if !validHostName(name) {
		return "", fmt.Errorf(`host header %q is neither "local" nor "public" nor a host name such as app.example.test`, s)
	}
	return HostHeader(s), nil
}

// validHostName accepts names and IP addresses, IPv6 in brackets.
func validHostName(name string) bool {
	if literal, ok := strings.CutPrefix(name, "["); ok {
		literal, ok = strings.CutSuffix(literal, "]")
		addr, err := netip.ParseAddr(literal)
		return ok && err == nil && addr.Is6() && addr.Zone() == ""
	}
	return name != "" && len(name) <= 253 && !strings.ContainsFunc(name, func(r rune) bool {
		return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || strings.ContainsRune("-._", r))
	})
}

// cutPort splits the port off an authority; brackets stay.
func cutPort(authority string) (host, port string, ok bool) {
	i := strings.LastIndexByte(authority, ':')
	if i < 0 || i < strings.LastIndexByte(authority, ']') {
		return authority, "", false
	}
	return authority[:i], authority[i+1:], true
}
