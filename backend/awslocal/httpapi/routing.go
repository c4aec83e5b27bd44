package httpapi

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

type routed int

const (
	found routed = iota
	noHost
	noStage
)

// route says whether the request's host and path lead to the stage.
func (a *API) route(r *http.Request) routed {
	host := hostname(r.Host)
	prefix := a.cfg.Stage
	if a.cfg.Stage == "$default" {
		prefix = ""
	}
	domain, own := a.domain(host)
	switch {
	case own:
		prefix = domain.MappingKey
	case len(a.cfg.Domains) > 0 && !local(host) && host != a.endpoint():
		return noHost
	}
	if prefix == "" {
		return found
	}
	path, _, _ := strings.Cut(rawTarget(r), "?")
	if first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/"); first != prefix {
		return noStage
	}
	return found
}

// endpoint is the host name that AWS gives the API.
func (a *API) endpoint() string {
	return a.cfg.ID + ".execute-api." + a.cfg.Region + ".amazonaws.com"
}

func (a *API) domain(host string) (Domain, bool) {
	for _, d := range a.cfg.Domains {
		if d.matches(host) {
			return d, true
		}
	}
	return Domain{}, false
}

// matches: a wildcard stands for one label or several, never for none.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-custom-domain-names.html
func (d Domain) matches(host string) bool {
	if below, ok := strings.CutPrefix(d.Name, "*"); ok {
		return len(host) > len(below) && strings.HasSuffix(host, strings.ToLower(below))
	}
	return host == strings.ToLower(d.Name)
}

func (d Domain) check() error {
	name := strings.TrimPrefix(d.Name, "*.")
	if name == "" || strings.ContainsAny(name, "*:/ ") || strings.Contains(d.MappingKey, "/") {
		return fmt.Errorf("custom domain %q with mapping %q: a host name, perhaps with *. before it, and one path segment", d.Name, d.MappingKey)
	}
	return nil
}

func hostname(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		hostport = host
	}
	return strings.ToLower(strings.Trim(hostport, "[]"))
}

func local(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() || host == "localhost"
}

// sourceARN is what the API shows a function's permission: stage, method and path of
// the route, or its key.
func (a *API) sourceARN(method string) string {
	route := a.cfg.RouteKey
	if _, path, ok := strings.Cut(route, " "); ok {
		route = method + path
	}
	return a.ARN() + "/" + a.cfg.Stage + "/" + route
}

// matchARN matches as ArnLike does: * and ? within each of the six parts.
func matchARN(pattern, arn string) bool {
	p, s := strings.SplitN(pattern, ":", 6), strings.SplitN(arn, ":", 6)
	if len(p) != len(s) {
		return false
	}
	for i := range p {
		if !glob(p[i], s[i]) {
			return false
		}
	}
	return true
}

// glob goes back to the latest * only: enough, as every other one matched the least
// that it could.
func glob(pattern, s string) bool {
	p, i, star, mark := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
