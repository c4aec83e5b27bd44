package relay

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"culvert/backend/visitor"
	"culvert/backend/wire"
)

// admit notes in p whether the request, which may become a connection, is authorised,
// and who it is by its token. The error says why it may not: errUnsure, or a
// *wire.Error.
func (s *Server) admit(r *http.Request, peer netip.Addr, p *permit) (err error) {
	if s.cfg.Authenticate != nil {
		token := bearerToken(r)
		if token == "" && s.cfg.ConnectAuth == AuthDeferred {
			if s.connections.full(addressOf(p.from)) {
				return &wire.Error{Code: wire.CodeThrottled, Message: "too many connections without a token: try again later, or connect with one"}
			}
			return nil
		}
		p.identity, err = s.identify(r.Context(), token)
		p.authorised = err == nil
		return err
	}
	switch {
	case len(r.Header["Origin"]) > 0:
		// A browser: any web page can open a WebSocket to this machine's relay.
		return &wire.Error{Code: wire.CodeForbidden,
			Message: "web pages are let in only with a token, and this relay takes none: start it with a token secret (--jwt-secret-file)"}
	case s.cfg.Open || trustedLoopback(r, peer, s.cfg.PublicURL):
		p.authorised = true
		return nil
	}
	return &wire.Error{Code: wire.CodeUnauthorized,
		Message: "this relay accepts agents only from its own machine: start it with a token secret (--jwt-secret-file), or with --open"}
}

// trustedLoopback reports whether the request comes from a program on this
// machine that wants this machine's relay. The address alone does not say so:
// everybody behind a proxy or a tunnel on this machine has it, and so has a web
// page whose host name was made to point here.
func trustedLoopback(r *http.Request, peer netip.Addr, public *url.URL) bool {
	if !peer.IsLoopback() || !loopbackHost(r.Host) || !loopbackHost(public.Host) || len(r.Header["Origin"]) > 0 {
		return false
	}
	for name := range r.Header {
		if visitor.ClaimsOrigin(name) || passedOn(name) {
			return false
		}
	}
	return true
}

// passedOn recognises further fields of requests that came through a proxy or a CDN.
// No program that asks for its own machine's relay has a reason to send one.
func passedOn(name string) bool {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	switch name {
	case "via", "cdn-loop", "client-ip", "x-azure-clientip", "x-envoy-external-address", "x-original-host":
		return true
	}
	for _, end := range []string{"-client-ip", "-connecting-ip", "-connecting-ipv6", "-real-ip", "forwarded-for"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

func loopbackHost(hostport string) bool {
	host := strings.TrimSuffix(strings.ToLower(visitor.HostName(hostport)), ".")
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// bearerToken is the agent's token. Browsers and some WebSocket libraries cannot
// set fields in the handshake: they put it into the URL.
func bearerToken(r *http.Request) string {
	if token := headerToken(r); token != "" {
		return token
	}
	return r.URL.Query().Get("token")
}

func headerToken(r *http.Request) string {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	return ""
}

// ownHosts are the hosts for which an agent's owner proof is believed. Where
// anybody may connect, the Host field is not among them unless it is sure to be
// this relay's: another relay could pass on a proof that was meant for itself.
func (s *Server) ownHosts(r *http.Request, peer netip.Addr) []string {
	hosts := []string{s.cfg.PublicURL.Host, s.cfg.PublicURL.Hostname()}
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	switch {
	case s.cfg.Authenticate != nil, peer.IsLoopback() && loopbackHost(r.Host), local != nil && sameIP(r.Host, local):
		hosts = append(hosts, r.Host)
	}
	return hosts
}

func sameIP(hostport string, local net.Addr) bool {
	host, err := netip.ParseAddr(visitor.HostName(hostport))
	own, ok := visitor.ParseIP(local.String())
	return err == nil && ok && host.Unmap() == own
}
