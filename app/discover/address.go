package discover

import (
	"net/netip"
	"slices"
	"strings"
)

// metadata are the addresses at which machines in clouds get their keys.
var metadata = []netip.Addr{
	netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("169.254.170.2"), netip.MustParseAddr("169.254.170.23"),
	netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("fd00:ec2::23"), netip.MustParseAddr("100.100.100.200"),
	netip.MustParseAddr("168.63.129.16"),
}

// routerNames are what routers call themselves in their network.
var routerNames = []string{
	"_gateway", "gateway", "router", "fritz.box", "speedport.ip", "routerlogin.net", "tplinkwifi.net", "router.asus.com", "easy.box", "livebox.home",
}

// hazardOfAddress judges an address by what it is, and by the port if that says no better.
func hazardOfAddress(host string, port int) Hazard {
	host = strings.ToLower(host)
	addr, _ := netip.ParseAddr(host)
	addr = addr.Unmap().WithZone("")
	if slices.Contains(metadata, addr) || host == "metadata.google.internal" || host == "metadata" {
		return hazard(Credentials, "cloud metadata")
	}
	if h := HazardOfPort(port); h.Kind != NoHazard {
		return h
	}
	if isGateway(addr) || slices.Contains(routerNames, host) {
		return hazard(Internal, "a router")
	}
	return Hazard{}
}

// isGateway reports whether routers have such addresses: mostly the first of their
// network, or the last.
func isGateway(addr netip.Addr) bool {
	if !addr.Is4() || !addr.IsPrivate() {
		return false
	}
	last := addr.As4()[3]
	return last == 1 || last == 254
}
