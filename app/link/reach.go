package link

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

// A backend names the URLs of its object store as it likes. It must not make the agent
// its way into the agent's machine, or into networks that the backend itself is not in.

var (
	errThisMachine = errors.New("the backend's object store has an address of this machine")
	errPrivate     = errors.New("the backend's object store has an address in a private network, in which the backend itself is not")
)

// notPublic are the address blocks that nobody on the internet has, beyond those that
// netip knows.
// https://www.iana.org/assignments/iana-ipv4-special-registry
// https://www.iana.org/assignments/iana-ipv6-special-registry
func notPublic() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
		netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
		netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001::/32"), // an IPv4 address within
		netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("fec0::/10"),
	}
}

// public: the address is one of the internet's.
func public(ip netip.Addr) bool {
	return ip.IsGlobalUnicast() && !ip.IsPrivate() && !slices.ContainsFunc(notPublic(), func(p netip.Prefix) bool { return p.Contains(ip) })
}

// mayReach says why an object store at the address ip is not the agent's to visit; own
// are the addresses of this machine. A backend that is in a private network itself may
// have its store there.
func mayReach(ip netip.Addr, own []netip.Addr, backend netip.Addr) error {
	ip = ip.Unmap().WithZone("")
	if netip.MustParsePrefix("64:ff9b::/96").Contains(ip) { // where DNS64 translates (RFC 6052)
		b := ip.As16()
		ip = netip.AddrFrom4([4]byte(b[12:]))
	}
	backend = backend.Unmap()
	switch {
	case slices.Contains(own, backend) && slices.Contains(own, ip):
		return nil // both are here
	case !ip.IsValid() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || ip.IsMulticast() || slices.Contains(own, ip):
		return errThisMachine
	case public(ip):
		return nil
	case ip.IsPrivate() && backend.IsPrivate():
		return nil
	}
	return errPrivate
}

// reach bounds where connections to the object store go.
func (c *Config) reach(_ context.Context, _, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return errThisMachine
	}
	return mayReach(at.Addr(), ownAddresses(), c.backendAt())
}

// reachByName is reach for what a proxy connects to, as far as the name shows it.
func (c *Config) reachByName(host string) error {
	host = strings.TrimSuffix(host, ".")
	if ip, err := netip.ParseAddr(host); err == nil {
		return mayReach(ip, ownAddresses(), c.backendAt())
	}
	if loopback(host) {
		return errThisMachine
	}
	return nil
}

// backendAt is the backend's own address, invalid if it is not known for certain: a name
// may mean another address at each look, and behind a proxy it is the proxy's to know.
func (c *Config) backendAt() netip.Addr {
	if ip, err := netip.ParseAddr(c.Backend.Hostname()); err == nil {
		return ip
	}
	if at := c.connected.Load(); at != nil {
		return *at
	}
	return netip.Addr{}
}

// ownAddresses are those of this machine's interfaces.
func ownAddresses() []netip.Addr {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var own []netip.Addr
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, p.Addr().Unmap().WithZone(""))
		}
	}
	return own
}
