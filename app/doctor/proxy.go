package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"

	"culvert/app/link"
	"culvert/backend/wire"
)

// viaProxy opens a WebSocket by way of this network's proxy. What is not the proxy's
// doing is left to the checks after it.
func (e *examination) viaProxy(ctx context.Context) Check {
	if e.via == nil {
		return Check{State: Skipped, Detail: "no proxy is named in the environment for this backend"}
	}
	cfg := e.config()
	err := cfg.TryUpgrade(ctx)
	var (
		refused *link.ProxyError
		refusal *wire.Error
		unknown x509.UnknownAuthorityError
		page    *link.NoUpgradeError
	)
	at := e.via.Host
	failed := func(detail, advice string) Check { return Check{State: Failed, Detail: detail, Advice: advice} }
	switch {
	case err == nil, errors.As(err, &refusal):
		return Check{State: OK, Detail: "WebSockets pass through " + at}
	case errors.As(err, &refused):
		return e.proxyRefuses(refused)
	case errors.As(err, &unknown):
		c := failed(fmt.Sprintf("behind the proxy %s, %s shows a certificate by %s, which this computer does not know",
			at, e.URL.Hostname(), issuer(unknown.Cert)),
			fmt.Sprintf(readsAlong, "in the profile"))
		c.Typed = fmt.Sprintf(readsAlong, "with --ca-file, or as ca_file in the profile")
		return c
	case errors.As(err, &page) && e.stripped(ctx, page):
		return failed(fmt.Sprintf("the proxy %s takes the request for a WebSocket out of what passes (the backend saw a plain one, and answered %d)", at, page.Status),
			"Have WebSockets to "+e.URL.Hostname()+" allowed in the proxy, or use an address with TLS (https:// or wss://), which a proxy cannot read.")
	}
	return Check{State: OK, Detail: at + " connects to the backend; what comes of that, the next checks say"}
}

const readsAlong = "If the proxy reads along, as in some companies, name the file with its root certificate %s, or have the backend excepted from that. If the backend's certificate is of your own making, name its file."

// proxyRefuses is about a proxy that makes no connection.
func (e *examination) proxyRefuses(refused *link.ProxyError) Check {
	c := Check{State: Failed, Detail: "no connection through the proxy " + refused.Proxy,
		Advice: "Check HTTPS_PROXY and HTTP_PROXY, and that the proxy runs."}
	switch status := refused.Status; {
	case status == http.StatusProxyAuthRequired:
		c.Detail = fmt.Sprintf("the proxy %s wants a user and a password", refused.Proxy)
		c.Advice = "Put them into HTTPS_PROXY, as http://USER:PASSWORD@HOST:PORT."
	case status >= http.StatusInternalServerError:
		c.Detail = fmt.Sprintf("the proxy %s does not get through to %s (%d %s)", refused.Proxy, e.URL.Host, status, http.StatusText(status))
		c.Advice = "Check the backend's address and that it runs. If others reach it, ask whoever runs the proxy."
	case status != 0:
		c.Detail = fmt.Sprintf("the proxy %s refuses to connect (CONNECT) to %s: %d %s", refused.Proxy, e.URL.Host, status, http.StatusText(status))
		c.Advice = "Ask whoever runs the proxy to allow CONNECT to this host and port, or put the host into NO_PROXY if there is a way without the proxy."
	}
	return c
}

// stripped: what answered a WebSocket handshake in plain HTTP is a tunnel backend, which
// would have known better.
func (e *examination) stripped(ctx context.Context, page *link.NoUpgradeError) bool {
	if page.Status == http.StatusUpgradeRequired {
		return true
	}
	return !e.gateway() && e.look(ctx).relay
}

// issuer is who signed a certificate, as it says itself.
func issuer(cert *x509.Certificate) string {
	if cert == nil {
		return "an authority"
	}
	name := cert.Issuer.CommonName
	if name == "" && len(cert.Issuer.Organization) > 0 {
		name = cert.Issuer.Organization[0]
	}
	if name = tidy(name); name == "" {
		return "an authority without a name"
	}
	return fmt.Sprintf("%q", name)
}
