package agents

import (
	"net/url"
	"strings"

	"culvert/backend/wire"
)

// urls are the bases of tunnels' public URLs, without a slash at the end.
type urls struct {
	public, stream    string
	scheme, subdomain string // of the form with a host for each tunnel; "" if there is none
}

func newURLs(c *Config) urls {
	u := urls{public: strings.TrimRight(c.PublicURL, "/"), stream: strings.TrimRight(c.StreamURL, "/")}
	if base, err := url.Parse(c.SubdomainURL); err == nil && base.Host != "" {
		u.scheme, u.subdomain = base.Scheme, base.Host
	}
	return u
}

// fill sets the URLs of the tunnel id. Where each tunnel has a host, that is the one
// handed out; without wildcard DNS, the path form is all it takes.
func (u *urls) fill(e *wire.Established, id string) {
	e.PathBasedURL = u.public + "/" + id
	e.PublicURL = e.PathBasedURL
	if u.subdomain != "" {
		e.SubdomainURL = u.scheme + "://" + id + "." + u.subdomain
		e.PublicURL = e.SubdomainURL
	}
}

// streamURL is the tunnel's URL for answers that are streamed.
func (u *urls) streamURL(id string) string { return u.stream + "/" + id }
