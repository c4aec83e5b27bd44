package visitor

import (
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are the addresses whose word about a visitor is believed.
type Proxies []netip.Prefix

// Trusts reports whether addr is one of them.
func (p Proxies) Trusts(addr netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// Hop is the connection on which a request arrived.
type Hop struct {
	Peer  netip.Addr // who sent it, unmapped
	Proto string     // http or https
	Host  string     // the Host field
}

// Forward sets X-Forwarded-For, -Proto and -Host in h, the header of a request
// that arrived over hop, and returns the visitor's address. What a client says of
// itself in such fields is dropped; what a trusted proxy says is kept, and its own
// address appended.
func (p Proxies) Forward(h http.Header, hop Hop) netip.Addr {
	if !p.Trusts(hop.Peer) {
		for name := range h {
			if ClaimsOrigin(name) {
				delete(h, name)
			}
		}
		values := &[...]string{hop.Peer.String(), hop.Proto, hop.Host} // one allocation for all
		h["X-Forwarded-For"] = values[0:1:1]
		h["X-Forwarded-Proto"] = values[1:2:2]
		if hop.Host != "" { // HTTP/1.0
			h["X-Forwarded-Host"] = values[2:3:3]
		}
		return hop.Peer
	}
	chain := strings.Join(h["X-Forwarded-For"], ", ")
	visitor := p.rightmostUntrusted(chain, hop.Peer)
	if chain != "" {
		chain += ", "
	}
	h["X-Forwarded-For"] = []string{chain + hop.Peer.String()}
	if len(h["X-Forwarded-Proto"]) == 0 {
		h["X-Forwarded-Proto"] = []string{hop.Proto}
	}
	if len(h["X-Forwarded-Host"]) == 0 && hop.Host != "" {
		h["X-Forwarded-Host"] = []string{hop.Host}
	}
	return visitor
}

// VisitorOf is the address that Forward returns, for a request that is not forwarded.
func (p Proxies) VisitorOf(h http.Header, peer netip.Addr) netip.Addr {
	if !p.Trusts(peer) {
		return peer
	}
	return p.rightmostUntrusted(strings.Join(h["X-Forwarded-For"], ", "), peer)
}

// rightmostUntrusted walks the chain backwards: each entry is the word of the hop
// to its right. What stands left of the first untrusted one may be forged.
func (p Proxies) rightmostUntrusted(chain string, peer netip.Addr) netip.Addr {
	for chain != "" && p.Trusts(peer) {
		cut := strings.LastIndexByte(chain, ',')
		addr, ok := ParseIP(strings.TrimSpace(chain[cut+1:]))
		if !ok {
			break
		}
		peer, chain = addr, chain[:max(cut, 0)]
	}
	return peer
}

// ClaimsOrigin recognises the fields that say where a request came from. An
// underscore counts as a hyphen: CGI and its heirs do not tell them apart.
func ClaimsOrigin(name string) bool {
	if len(name) < len("Forwarded") || name[0] != 'X' && name[0] != 'F' && name[0] != 'x' && name[0] != 'f' {
		return false
	}
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	return name == "forwarded" || name == "x-real-ip" || strings.HasPrefix(name, "x-forwarded-")
}

// ParseIP reads an address with or without a port, as http.Request.RemoteAddr and
// X-Forwarded-For have them. IPv4 in IPv6 becomes IPv4; zones are dropped.
func ParseIP(text string) (netip.Addr, bool) {
	withPort, err := netip.ParseAddrPort(text) // mostly it is this, and an error is costly
	addr := withPort.Addr()
	if err != nil {
		if addr, err = netip.ParseAddr(strings.Trim(text, "[]")); err != nil {
			return netip.Addr{}, false
		}
	}
	return addr.Unmap().WithZone(""), true
}
