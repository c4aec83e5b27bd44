// Package target reads the TARGET that a person names: the local service that a
// tunnel leads to, or the folder that it serves.
//
// It is written as a port ("3000"), host and port ("localhost:3000", "[::1]:3000",
// ":3000") or an http or https URL. A URL may not have a path: a tunnel carries
// every path of a service byte for byte, and joining one in front would change
// what the service sees. Host 0.0.0.0, which servers print when they listen on
// every address, and [::] mean localhost.
//
// What can only be a path names a folder, whose files this program serves itself:
// "/srv/site", "./dist", "..", "~/site", "C:\site". A bare name is a host's.
package target

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Target is a local service, or a folder. The zero value is none; Parse makes valid ones.
type Target struct {
	Scheme string // "http" or "https"
	Host   string // lower-case name or IP address, without brackets
	Port   int    // 1 to 65535
	// Folder is the absolute path of a folder to serve. Scheme is "http" then, and
	// Host and Port are empty: there is nothing to dial.
	Folder string
}

// String is the target's origin as a browser writes it: "http://localhost:3000",
// without the port where it is the scheme's own; of a folder, it is the path. Parse
// reads it back.
func (t Target) String() string {
	switch {
	case t == (Target{}):
		return ""
	case t.IsFolder():
		return t.Folder
	}
	return t.Scheme + "://" + bracket(t.Host) + t.portSuffix()
}

// URL is the target's origin, with an empty path.
func (t Target) URL() *url.URL {
	if t.IsFolder() {
		return &url.URL{Scheme: t.Scheme, Host: t.HostHeader()}
	}
	return &url.URL{Scheme: t.Scheme, Host: bracket(t.Host) + t.portSuffix()}
}

// HostHeader is the Host field that a browser would send: "localhost:3000",
// without the port where it is the scheme's own, and without an IPv6 zone
// (RFC 6874, 4). A folder is at localhost.
func (t Target) HostHeader() string {
	if t.IsFolder() {
		return "localhost"
	}
	host, _, _ := strings.Cut(t.Host, "%")
	return bracket(host) + t.portSuffix()
}

// Address is what to dial: host and port; "" of a folder.
func (t Target) Address() string {
	if t.IsFolder() {
		return ""
	}
	return net.JoinHostPort(t.Host, strconv.Itoa(t.Port))
}

// IsLocalhost reports whether the host is a name for this machine whose address
// family is open: "localhost", or a name below it (RFC 6761, 6.3).
func (t Target) IsLocalhost() bool {
	name := strings.TrimSuffix(t.Host, ".")
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// IsLoopback reports whether the service can only be on this machine.
func (t Target) IsLoopback() bool {
	if t.IsFolder() || t.IsLocalhost() {
		return true
	}
	addr, err := netip.ParseAddr(t.Host)
	return err == nil && addr.Unmap().IsLoopback()
}

// MarshalText is String, for config files and flags.
func (t Target) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText is Parse, for config files and flags.
func (t *Target) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*t = parsed
	return nil
}

func (t Target) portSuffix() string {
	if t.Scheme == "http" && t.Port == 80 || t.Scheme == "https" && t.Port == 443 {
		return ""
	}
	return ":" + strconv.Itoa(t.Port)
}

func bracket(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}
