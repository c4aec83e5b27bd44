// Package pathform makes a local service's answers fit the URL that visitors use.
//
// The service believes that it lives at its own origin and at the root of it. A
// visitor may see it below a prefix ("https://tunnel.example.com/shop/…") and in
// any case at another origin. A [View] maps the header fields that send the visitor
// somewhere or say where a cookie belongs: Location, Content-Location, Refresh,
// and Path and Domain of Set-Cookie. It edits the part that has to change and
// leaves every other byte alone; values that it does not understand stay as they
// are. Bodies are not looked at.
//
// Two questions have no answer that is always right:
//
//   - A path that already begins with the prefix is left alone, because services
//     that know their public URL exist. One that has pages below a path of the
//     same name as its tunnel should use the host form.
//   - A cookie for the domain of the local service ("Domain=localhost") would be
//     refused by the visitor's browser. The attribute is removed, which makes it a
//     cookie of the public host alone.
package pathform

import (
	"net/http"
	"slices"
	"strings"
)

// View is where a visitor sees the service, beside where the service sees itself.
type View struct {
	// Prefix is the path in front of the service's own: "/shop", or "" in host form.
	Prefix string
	// Scheme and Host are the public origin: "https" and "tunnel.example.com:8443".
	// Without a Scheme, "//host/…" stands for it; without a Host, the path alone.
	Scheme, Host string
	// Local are the authorities by which the service may call itself, such as
	// "localhost:3000". The scheme does not matter: behind X-Forwarded-Proto,
	// services write https://localhost:3000.
	Local []string
}

// MapHeader maps the fields of an answer in place.
func (v *View) MapHeader(h http.Header) {
	mapField(h, "Location", v.URL)
	mapField(h, "Content-Location", v.URL)
	mapField(h, "Refresh", v.Refresh)
	mapField(h, "Set-Cookie", v.Cookie)
}

// Concerns reports whether a header has any of the fields that a View maps.
func Concerns(h http.Header) bool {
	return len(h["Location"]) > 0 || len(h["Set-Cookie"]) > 0 || len(h["Content-Location"]) > 0 || len(h["Refresh"]) > 0
}

// mapField maps all values of a field. The slice is replaced, not written to.
func mapField(h http.Header, name string, mapped func(string) string) {
	values := h[name]
	for i, value := range values {
		m := mapped(value)
		if m == value {
			continue
		}
		changed := slices.Clone(values)
		changed[i] = m
		for j := i + 1; j < len(values); j++ {
			changed[j] = mapped(values[j])
		}
		h[name] = changed
		return
	}
}

// URL maps a URI reference (RFC 3986, 4.1). References relative to the page, and
// those to other origins, stay as they are.
func (v *View) URL(ref string) string {
	scheme, rest, ok := cutScheme(ref)
	if !ok || strings.HasPrefix(rest, "///") {
		return ref
	}
	if !strings.HasPrefix(rest, "//") {
		if scheme == "" && strings.HasPrefix(rest, "/") {
			return v.path(rest)
		}
		return ref
	}
	authority, path := cutAuthority(rest[2:])
	switch {
	case v.isPublic(scheme, authority):
		return ref[:len(ref)-len(path)] + v.path(path)
	case v.isLocal(scheme, authority) && (v.Host != "" || v.Prefix != ""):
		return v.origin() + v.path(path)
	}
	return ref
}

// path puts the prefix in front of an absolute path with query and fragment. The
// path may be empty, as in "https://host?query".
func (v *View) path(path string) string {
	if v.Prefix == "" || v.prefixed(path) {
		return path
	}
	if !strings.HasPrefix(path, "/") {
		return v.Prefix + "/" + path
	}
	return v.Prefix + path
}

func (v *View) prefixed(path string) bool {
	rest, ok := strings.CutPrefix(path, v.Prefix)
	return ok && (rest == "" || strings.IndexByte("/?#", rest[0]) >= 0)
}

func (v *View) origin() string {
	switch {
	case v.Host == "":
		return ""
	case v.Scheme == "":
		return "//" + v.Host
	}
	return v.Scheme + "://" + v.Host
}

func (v *View) isPublic(scheme, authority string) bool {
	return v.Host != "" && SameAuthority(scheme, authority, v.Host)
}

func (v *View) isLocal(scheme, authority string) bool {
	return slices.ContainsFunc(v.Local, func(local string) bool {
		return SameAuthority(scheme, authority, local)
	})
}

// cutScheme takes "http:" or "https:" off a reference. It is not ok if there is
// another scheme.
func cutScheme(ref string) (scheme, rest string, ok bool) {
	i := strings.IndexAny(ref, ":/?#")
	if i < 0 || ref[i] != ':' {
		return "", ref, true
	}
	scheme = strings.ToLower(ref[:i])
	return scheme, ref[i+1:], scheme == "http" || scheme == "https"
}

// cutAuthority splits after the authority. A backslash ends it for browsers
// (WHATWG URL, authority state), so for us it belongs to no authority.
func cutAuthority(s string) (authority, path string) {
	if i := strings.IndexAny(s, `/?#\`); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// SameAuthority compares host and port of URLs of a (lower-case) scheme. Case does not matter, and a scheme's own
// port may be left out; a user name makes it another authority.
func SameAuthority(scheme, a, b string) bool {
	return strings.EqualFold(stripDefaultPort(scheme, a), stripDefaultPort(scheme, b))
}

func stripDefaultPort(scheme, authority string) string {
	switch scheme {
	case "http":
		return strings.TrimSuffix(authority, ":80")
	case "https":
		return strings.TrimSuffix(authority, ":443")
	}
	return authority
}
