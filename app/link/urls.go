package link

import (
	"net/http"
	"net/url"
	"strings"

	"culvert/backend/wire"
)

// urls are the tunnel's public addresses, by which a form 1 request shows
// whether its path had the tunnel's prefix: the message itself does not say.
type urls struct {
	subdomain string // host[:port], lower case; "" if there is none
	path      string
	prefix    string // of the path form: "/shop", or "/stage/shop"
}

func parseURLs(est *wire.Established) urls {
	var u urls
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
