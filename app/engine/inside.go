package engine

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
)

// reach is from how far away an address can be reached, and so what the program may be
// sent to: a backend names the public URL, and might name a router's page.
type reach int

const (
	anywhere     reach = iota
	thisNetwork        // private (RFC 1918, 4193, 6598)
	thisLink           // link-local, with the keys of machines in clouds
	thisComputer       // loopback
)

var (
	sharedSpace = netip.MustParsePrefix("100.64.0.0/10")
	thisHost    = netip.MustParsePrefix("0.0.0.0/8")
	nat64       = netip.MustParsePrefix("64:ff9b::/96") // an IPv4 address is at its end
)

func reachOf(addr netip.Addr) reach {
	addr = addr.Unmap().WithZone("")
	if nat64.Contains(addr) {
		b := addr.As16()
		addr = netip.AddrFrom4([4]byte(b[12:]))
	}
	switch {
	case addr.IsLoopback(), addr.IsUnspecified(), thisHost.Contains(addr):
		return thisComputer
	case addr.IsPrivate(), sharedSpace.Contains(addr):
		return thisNetwork
	case !addr.IsGlobalUnicast():
		return thisLink
	}
	return anywhere
}

// visitReach is where the public URL of a tunnel may lead: on the internet anywhere, and
// no further inside than its backend is.
func visitReach(ctx context.Context, spec *Spec) reach {
	if spec.BuiltIn() {
		return thisComputer // the URL is of our own making
	}
	host := spec.Backend.Hostname()
	if isLocalName(host) {
		return thisComputer
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return reachOf(addr)
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(addrs) == 0 {
		return anywhere // a proxy may know the name
	}
	least := thisComputer
	for _, addr := range addrs {
		least = min(least, reachOf(addr))
	}
	return least
}

// insideError says that a public URL leads where visitors cannot go, and this program
// shall not.
type insideError struct{ where string }

func (e *insideError) Error() string {
	return fmt.Sprintf("the backend names an address inside your network (%s) as the public URL: visitors from elsewhere cannot get there, and for safety it was not looked at", e.where)
}

// checkReach looks at what an URL says of itself, which is all that can be seen of it
// where a proxy does the rest.
func checkReach(u *url.URL, most reach) error {
	host := strings.TrimSuffix(u.Hostname(), ".")
	addr, err := netip.ParseAddr(host)
	if err == nil && reachOf(addr) > most || isLocalName(host) && most < thisComputer {
		return &insideError{host}
	}
	return nil
}

// reachControl looks at the address that a name has turned out to have, before anything
// is sent there.
func reachControl(most reach) func(network, address string, _ syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if reachOf(at.Addr()) > most {
			return &insideError{at.Addr().String()}
		}
		return nil
	}
}
