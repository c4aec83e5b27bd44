package link

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"culvert/backend/wire"
)

// Bounds of what a backend may name a tunnel, in bytes.
const (
	maxTunnelID  = 128
	maxPublicURL = 2048
)

// checkGreeting makes sure that what people are going to see, copy, paste into a
// shell and open is a name and an address on the web, whatever the backend says.
// An unfit address that is not the main one is dropped.
func checkGreeting(est *wire.Established) error {
	if len(est.TunnelID) > maxTunnelID || strings.ContainsFunc(est.TunnelID, unfit("-._~")) {
		return fmt.Errorf("%w: tunnel_id is no name of a tunnel", wire.ErrProtocol)
	}
	if !webAddress(est.PublicURL) {
		return fmt.Errorf("%w: public_url is no http or https URL", wire.ErrProtocol)
	}
	for _, optional := range []*string{&est.SubdomainURL, &est.PathBasedURL, &est.StreamURL} {
		if !webAddress(*optional) {
			*optional = ""
		}
	}
	return nil
}

// webAddress: an absolute http or https URL of a host and a path, in a spelling
// that means nothing to a shell or a terminal.
func webAddress(text string) bool {
	if len(text) > maxPublicURL || strings.ContainsFunc(text, unfit("-._~:/%[]")) {
		return false
	}
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && validPort(u)
}

// unfit finds what is neither an ASCII letter or digit nor among others.
func unfit(others string) func(rune) bool {
	return func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(others, r)
	}
}

// urls are the tunnel's public addresses, by which a form 1 request shows
// whether its path had the tunnel's prefix: the message itself does not say.
type urls struct {
	subdomain string // host[:port], lower case; "" if there is none
	path      string
	prefix    string // of the path form: "/shop", or "/stage/shop"
	stream    string // host[:port] of the URL for streams; "" if there is none
	streamed  string // prefix below it
	scheme    string // of all of them
}

func parseURLs(est *wire.Established) urls {
	var u urls
	u.scheme, _, _ = strings.Cut(est.PublicURL, "://")
	if sub, err := url.Parse(est.SubdomainURL); err == nil {
		u.subdomain = canonicalHost(sub.Host)
	}
	byPath := est.PathBasedURL
	if byPath == "" && est.PublicURL != est.SubdomainURL {
		byPath = est.PublicURL
	}
	if p, err := url.Parse(byPath); err == nil {
		u.path = canonicalHost(p.Host)
		u.prefix = strings.TrimRight(p.EscapedPath(), "/")
	}
	if s, err := url.Parse(est.StreamURL); err == nil {
		u.stream = canonicalHost(s.Host)
		u.streamed = strings.TrimRight(s.EscapedPath(), "/")
	}
	return u
}

// prefixOf finds the prefix that the backend took off the path of a request. A
// proxy before the backend may have changed Host, so that X-Forwarded-Host
// decides; a host that is neither form's is taken for the path form's if that is
// the only one.
func (u urls) prefixOf(h http.Header, host string) string {
	forwarded, _, _ := strings.Cut(h.Get("X-Forwarded-Host"), ",")
	for _, name := range []string{strings.TrimSpace(forwarded), host} {
		switch name = canonicalHost(name); {
		case name == "":
		case name == u.subdomain:
			return ""
		case name == u.path:
			return u.prefix
		case name == u.stream:
			return u.streamed
		}
	}
	if u.subdomain == "" {
		return u.prefix
	}
	return ""
}

// canonicalHost makes two spellings of one host[:port] equal. The ports 80 and
// 443 go, as the Host field has them only where they are not the default.
func canonicalHost(host string) string {
	host = strings.ToLower(host)
	host = strings.TrimSuffix(host, ":80")
	return strings.TrimSuffix(host, ":443")
}
