package visitor

import (
	"net/http"
	"net/textproto"
	"strings"
)

// hopByHop are the fields that are about one connection, not about the message
// (RFC 9110, section 7.6.1; the proxy ones are for the next proxy alone).
var hopByHop = [...]string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

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
	for _, name := range hopByHop {
		delete(h, name)
	}
}

// UpgradeOf gives the protocol that a request wants to change to, or "". HTTP/2
// over cleartext is none: a visitor's HTTP/2 frames would reach the local service
// past everything that reads requests.
func UpgradeOf(h http.Header) string {
	if !hasToken(h["Connection"], "upgrade") || len(h["Upgrade"]) != 1 {
		return ""
	}
	protocol := textproto.TrimString(h["Upgrade"][0])
	if protocol == "" || isH2C(protocol) {
		return ""
	}
	return protocol
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
