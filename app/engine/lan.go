package engine

import (
	"errors"
	"net"
	"net/netip"
)

var errNoLAN = errors.New("this computer has no address in a private network: connect it to one first")

// lanAddress is the address by which devices on the same network reach this
// machine: the private IPv4 address from which it would speak to the outside, or
// else the first one that any interface has.
func lanAddress() (netip.Addr, error) {
	// "Connecting" UDP only asks the routing table; nothing is sent. The address
	// is one for documentation (RFC 5737).
	if conn, err := net.Dial("udp4", "192.0.2.1:9"); err == nil {
		defer conn.Close()
		if addr, ok := private(conn.LocalAddr()); ok {
			return addr, nil
		}
	}
	list, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Addr{}, errors.Join(errNoLAN, err)
	}
	for _, a := range list {
		if addr, ok := private(a); ok {
			return addr, nil
		}
	}
	return netip.Addr{}, errNoLAN
}

// private picks out what RFC 1918 sets aside.
func private(a net.Addr) (netip.Addr, bool) {
	var ip net.IP
	switch a := a.(type) {
	case *net.UDPAddr:
		ip = a.IP
	case *net.IPNet:
		ip = a.IP
	}
	addr, ok := netip.AddrFromSlice(ip)
	addr = addr.Unmap()
	return addr, ok && addr.Is4() && addr.IsPrivate()
}
