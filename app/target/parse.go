package target

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
)

// ErrInvalid is what every error of Parse is.
var ErrInvalid = errors.New("invalid target")

// examples ends errors about input that is no target at all.
const examples = `write a port such as 3000, a host and port such as localhost:3000, a URL such as http://localhost:3000, or a folder such as ~/site`

// maxLength bounds what is parsed and repeated in errors: a DNS name has at most
// 253 characters (RFC 1035, 2.3.4), a scheme, a zone and a port little more.
const maxLength = 512

// Parse reads a target as a person writes it; space around it does not matter.
// Its errors are ErrInvalid and say what to write instead.
func Parse(s string) (Target, error) {
	written := strings.TrimLeftFunc(s, unicode.IsSpace)
	s = strings.TrimSpace(s)
	if isPath(s) {
		if t, err := parseFolder(written); err == nil {
			return t, nil // a name may end in a space
		}
		return parseFolder(s)
	}
	if s == "" {
		return Target{}, invalid("the target is empty: %s", examples)
	}
	if len(s) > maxLength {
		return Target{}, invalid("the target is longer than %d characters: %s", maxLength, examples)
	}
	if isNumber(strings.TrimLeft(s, "+-")) {
		port, err := parsePort(s)
		return Target{Scheme: "http", Host: "localhost", Port: port}, err
	}
	scheme, rest, isURL := strings.Cut(s, "://")
	if !isURL {
		if authority, _, ok := cutAny(s, "/?#"); ok && strings.Contains(authority, ":") && !strings.Contains(authority, "@") {
			return parseURL("http", s) // only the scheme is missing
		}
		return parseHostPort("http", s, true)
	}
	switch scheme = strings.ToLower(scheme); scheme {
	case "http", "https":
	case "file":
		return Target{}, invalid("a folder is written without file://: write its path, such as ~/site")
	case "ws", "wss":
		return Target{}, invalid("%q has the scheme %s: write %s://, WebSockets pass through it", s,
			scheme, strings.Replace(scheme, "ws", "http", 1))
	default:
		return Target{}, invalid("%q has the scheme %q: only http and https services can be reached", s, scheme)
	}
	return parseURL(scheme, rest)
}

func parseURL(scheme, rest string) (Target, error) {
	authority, tail, _ := cutAny(rest, "/?#")
	if strings.Contains(authority, "@") {
		// Not repeated in the error: it may hold a password.
		return Target{}, invalid("a user name in the URL is not sent on: leave out what is before the @")
	}
	t, err := parseHostPort(scheme, authority, false)
	if err != nil {
		return Target{}, err
	}
	switch {
	case strings.Contains(tail, "#"):
		return Target{}, invalid("a fragment (#…) means nothing here: write %s", t)
	case strings.Contains(tail, "?"):
		return Target{}, invalid("a query (?…) cannot be part of a target: write %s", t)
	case tail != "" && tail != "/":
		return Target{}, invalid("a path cannot be part of a target: write %s, and add %s to the public URL", t, tail)
	}
	return t, nil
}

// cutAny cuts s before the first of chars.
func cutAny(s, chars string) (before, from string, ok bool) {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return s[:i], s[i:], true
	}
	return s, "", false
}

// parseHostPort reads "host:port", ":port" and, unless the port is needed,
// "host". An IPv6 address needs its brackets, as in a URL (RFC 3986, 3.2.2).
func parseHostPort(scheme, s string, needPort bool) (Target, error) {
	host, port, hasPort := s, "", false
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return Target{}, invalid("%q lacks the closing ]", s)
		}
		host, port = s[1:end], s[end+1:]
		if port != "" {
			if port, hasPort = strings.CutPrefix(port, ":"); !hasPort {
				return Target{}, invalid("%q: only a colon and a port may follow the ]", s)
			}
		}
	} else if strings.Count(s, ":") > 1 {
		if addr, err := netip.ParseAddr(s); err == nil {
			return Target{}, invalid("%q lacks brackets and a port: write [%s]:3000", s, addr)
		}
		return Target{}, invalid("%q is no host and port: %s", s, examples)
	} else {
		host, port, hasPort = strings.Cut(s, ":")
	}

	t := Target{Scheme: scheme, Host: host, Port: 80}
	if scheme == "https" {
		t.Port = 443
	}
	var err error
	if hasPort {
		if t.Port, err = parsePort(port); err != nil {
			return Target{}, err
		}
	}
	if t.Host, err = parseHost(host, strings.HasPrefix(s, "["), hasPort && needPort); err != nil {
		return Target{}, err
	}
	if needPort && !hasPort {
		if strings.ContainsAny(s, "/?#@") {
			return Target{}, invalid("%q is no URL: write http://%s", s, s)
		}
		return Target{}, invalid("%q has no port: write %s:3000, with the port of your service", s, s)
	}
	return t, nil
}

func parseHost(host string, brackets, mayBeEmpty bool) (string, error) {
	if host == "" && !brackets && mayBeEmpty {
		return "localhost", nil // ":3000", as Go programs print it
	}
	if brackets {
		// A URL writes the % before a zone as %25 (RFC 6874), a command line does not.
		host = strings.Replace(host, "%25", "%", 1)
		addr, err := netip.ParseAddr(host)
		if err != nil || !addr.Is6() || !validZone(addr.Zone()) {
			return "", invalid("%q is no IPv6 address", host)
		}
		return normalAddr(addr), nil
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return normalAddr(addr), nil
	}
	host = strings.ToLower(host)
	if err := checkName(host); err != nil {
		return "", err
	}
	return host, nil
}

// validZone accepts the names of network interfaces that need no escaping in a URL
// (RFC 6874: unreserved characters). What is printed of a target can be read again.
func validZone(zone string) bool {
	return !strings.ContainsFunc(zone, func(r rune) bool {
		alnum := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !alnum && !strings.ContainsRune("-._~", r)
	})
}

func normalAddr(addr netip.Addr) string {
	if addr.IsUnspecified() {
		return "localhost"
	}
	return addr.String()
}

// checkName accepts what resolvers do: letters, digits, hyphens, dots, and
// underscores, which container networks have.
func checkName(host string) error {
	if host == "" {
		return invalid("the target has no host: %s", examples)
	}
	if len(host) > 253 {
		return invalid("the host name is longer than 253 characters")
	}
	for _, r := range host {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '-', r == '.', r == '_':
		case r > 127:
			return invalid("the host %q is not ASCII: write its xn-- form", host)
		case strings.ContainsRune("/?#@", r):
			return invalid("%q is no host and port: for a URL, write http:// in front", host)
		default:
			return invalid("the host %q has the character %q in it: %s", host, r, examples)
		}
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(host, "."), ".") {
		if label == "" || len(label) > 63 {
			return invalid("%q is no host name: %s", host, examples)
		}
	}
	if last := host[strings.LastIndexByte(strings.TrimSuffix(host, "."), '.')+1:]; isNumber(strings.TrimSuffix(last, ".")) {
		// As browsers see it: a name that ends in a number is an IPv4 address.
		return invalid("%q is no IPv4 address", host)
	}
	return nil
}

func parsePort(s string) (int, error) {
	if s == "" {
		return 0, invalid("the target has no port after the colon: write a number from 1 to 65535")
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if !isNumber(s) || err != nil || n == 0 {
		return 0, invalid("%q is no port: write a number from 1 to 65535", s)
	}
	return int(n), nil
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// parseError is an error whose text stands on its own.
type parseError string

func (e parseError) Error() string        { return string(e) }
func (e parseError) Is(target error) bool { return target == ErrInvalid }

func invalid(format string, args ...any) error {
	return parseError(fmt.Sprintf(format, args...))
}
