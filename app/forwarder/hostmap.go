package forwarder

import (
	"net/http"
	"strings"

	"golang.org/x/net/http/httpguts"

	"culvert/backend/pathform"
	"culvert/backend/wire"
)

// hostFor is the Host field for the service.
func (f *Forwarder) hostFor(h *wire.RequestHead) string {
	if f.cfg.HostHeader == HostPublic && h.Host != "" && httpguts.ValidHostHeader(h.Host) {
		return h.Host
	}
	return f.host
}

// publicOrigin is where the visitor sees the service. The scheme is "" if the
// backend did not say.
func publicOrigin(h *wire.RequestHead) (scheme, host string) {
	scheme = strings.ToLower(firstOf(h.Header, "X-Forwarded-Proto"))
	if scheme != "http" && scheme != "https" {
		scheme = ""
	}
	if host = firstOf(h.Header, "X-Forwarded-Host"); host == "" {
		host = h.Host
	}
	return scheme, host
}

// firstOf is the first element of a list field.
func firstOf(h http.Header, name string) string {
	first, _, _ := strings.Cut(h.Get(name), ",")
	return strings.TrimSpace(first)
}

// mapOrigin makes a page's own origin the one that the service believes in: it
// would refuse what seems to come from another. In the path form all tunnels of a
// backend have one origin, so that a page which shows itself as another tunnel's
// stays a stranger. One that hides where it is cannot be told from the service's
// own: WebSockets never say, and many services have their pages say nothing.
func (f *Forwarder) mapOrigin(h *wire.RequestHead, value string) string {
	if f.cfg.HostHeader == HostPublic {
		return value
	}
	if rest, ok := cutPublicOrigin(h, value); ok && rest == "" && !f.othersPage(h) {
		return f.origin
	}
	return value
}

// othersPage: the request comes from a page of another tunnel at the same origin. A
// Referer that is the origin alone is a policy, not a page.
func (f *Forwarder) othersPage(h *wire.RequestHead) bool {
	path, ok := cutPublicOrigin(h, h.Header.Get("Referer"))
	if !ok || path == "" || path == "/" {
		return false
	}
	_, own := cutPrefix(path, h.Prefix)
	return !own
}

// cutPrefix takes a tunnel's prefix off a path.
func cutPrefix(path, prefix string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(path, prefix)
	return rest, ok && (prefix == "" || rest == "" || rest[0] == '/' || rest[0] == '?')
}

// mapReferer does the same for the page itself, without the path's prefix. Pages
// of other tunnels at the same origin are another's.
func (f *Forwarder) mapReferer(h *wire.RequestHead, value string) string {
	if f.cfg.HostHeader == HostPublic {
		return value
	}
	path, ok := cutPublicOrigin(h, value)
	if !ok {
		return value
	}
	if path, ok = cutPrefix(path, h.Prefix); !ok {
		return value
	}
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return f.origin + path
}

// cutPublicOrigin takes the visitor's own origin off a URL.
func cutPublicOrigin(h *wire.RequestHead, value string) (rest string, ok bool) {
	publicScheme, publicHost := publicOrigin(h)
	scheme, rest, ok := strings.Cut(value, "://")
	if !ok || publicScheme != "" && !strings.EqualFold(scheme, publicScheme) {
		return "", false
	}
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority = rest[:i]
	}
	return rest[len(authority):], publicHost != "" && pathform.SameAuthority(strings.ToLower(scheme), authority, publicHost)
}

// mapAnswer makes the URLs in an answer's head the visitor's.
func (f *Forwarder) mapAnswer(h *wire.RequestHead, answer http.Header) {
	if !pathform.Concerns(answer) {
		return
	}
	view := pathform.View{Prefix: h.Prefix, Local: f.authorities}
	view.Scheme, view.Host = publicOrigin(h)
	view.MapHeader(answer)
}
