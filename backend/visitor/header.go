package visitor

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// RemoveHopByHop removes the fields from h that are about one connection only,
// with those that Connection names.
func RemoveHopByHop(h http.Header) {
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = textproto.TrimString(name); name != "" {
				h.Del(name)
			}
		}
	}
	for name := range h {
		if isHopByHop(name) {
			delete(h, name)
		}
	}
}

// UpgradeOf gives the protocols, mostly one, that a request offers to change to, or
// "". HTTP/2 over cleartext is none: a visitor's HTTP/2 frames would reach the local
// service past everything that reads requests.
func UpgradeOf(h http.Header) string {
	if !hasToken(h["Connection"], "upgrade") {
		return ""
	}
	protocols := textproto.TrimString(strings.Join(h["Upgrade"], ", "))
	if protocols == "" || isH2C(protocols) {
		return ""
	}
	return protocols
}

// OffersUpgrade reports whether the protocols that a server has changed to were
// offered to it. It picks from the list, and may say that it has picked several, in
// layers (RFC 9110, section 7.8).
func OffersUpgrade(offered, chosen string) bool {
	if textproto.TrimString(chosen) == "" {
		return false
	}
	for protocol := range strings.SplitSeq(chosen, ",") {
		if !hasToken([]string{offered}, textproto.TrimString(protocol)) {
			return false
		}
	}
	return true
}

func isH2C(protocols string) bool {
	for p := range strings.SplitSeq(protocols, ",") {
		name, _, _ := strings.Cut(textproto.TrimString(p), "/")
		if strings.EqualFold(name, "h2c") || strings.EqualFold(name, "h2") {
			return true
		}
	}
	return false
}

func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for t := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(textproto.TrimString(t), token) {
				return true
			}
		}
	}
	return false
}

// CopyAnswer copies the fields of an agent's answer that are for the visitor to
// dst. Those that frame the answer are the server's own business. Names in src are
// canonical, as package wire has them.
func CopyAnswer(dst, src http.Header) {
	var named []string
	for _, line := range src["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			named = append(named, http.CanonicalHeaderKey(textproto.TrimString(name)))
		}
	}
	for name, values := range src {
		if !isHopByHop(name) && name != "Content-Length" && !slices.Contains(named, name) {
			dst[name] = values
		}
	}
}

// CopyTrailer copies an agent's trailer to dst under http.TrailerPrefix. Fields
// that frame, route or authenticate a message mean nothing there (RFC 9110,
// section 6.5.1).
func CopyTrailer(dst, src http.Header) {
	for name, values := range src {
		if httpguts.ValidTrailerHeader(name) && !isHopByHop(name) {
			dst[http.TrailerPrefix+name] = values
		}
	}
}

// isHopByHop says whether a field is about one connection, not about the message
// (RFC 9110, section 7.6.1; the proxy ones are for the next proxy alone).
func isHopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}
