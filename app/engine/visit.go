package engine

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/http/httpproxy"

	"culvert/app/version"
)

// visit looks whether the public URL leads here, by way of it.
func (t *Tunnel) visit(ctx context.Context) (time.Duration, error) {
	base := t.Status().Established.PublicURL
	u, err := url.Parse(strings.TrimRight(base, "/") + "/")
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return 0, errors.New("the tunnel has no public URL")
	}
	return t.visitURL(ctx, u)
}

func (t *Tunnel) visitURL(ctx context.Context, u *url.URL) (time.Duration, error) {
	spec := &t.wired.Load().spec
	most := visitReach(ctx, spec)
	if err := checkReach(u, most); err != nil {
		return 0, err
	}
	var sent, first time.Time
	trace := &httptrace.ClientTrace{
		WroteRequest:         func(httptrace.WroteRequestInfo) { sent = time.Now() },
		GotFirstResponseByte: func() { first = time.Now() },
	}
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodGet, u.String(), nil)
	if err != nil {
		return 0, err
	}
	question, done := t.questions.ask()
	defer done()
	request.Header = http.Header{
		probeHeader: {question}, "Accept": {"*/*"}, "Cache-Control": {"no-cache"}, "User-Agent": {version.Agent()},
	}
	transport := visitTransport(u, most, spec.RootCAs)
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(request) // which follows no redirects
	if inside := (*insideError)(nil); errors.As(err, &inside) {
		return 0, inside
	}
	if err != nil {
		return 0, fmt.Errorf("%s%w", unanswered(u, err), silent{err})
	}
	answer.Body.Close()
	if answer.StatusCode == http.StatusNoContent && t.questions.answers(question, answer.Header.Get(probeHeader)) {
		return first.Sub(sent), nil
	}
	return 0, errors.New(misled(u, answer))
}

// silent adds nothing to a message, and errNoAnswer to what an error is.
type silent struct{ cause error }

func (silent) Error() string     { return "" }
func (s silent) Unwrap() []error { return []error{errNoAnswer, s.cause} }

// isSilent reports whether nobody has answered.
func isSilent(err error) bool { return errors.Is(err, errNoAnswer) }

// visitTransport goes the way that a visitor on this machine would go, unless that leads
// further inside than it may.
func visitTransport(u *url.URL, most reach, roots *x509.CertPool) *http.Transport {
	var proxy *url.URL
	var err error
	if !isLocalName(u.Hostname()) {
		proxy, err = httpproxy.FromEnvironment().ProxyFunc()(u) // as links do
	}
	return &http.Transport{
		Proxy: func(*http.Request) (*url.URL, error) { return proxy, err },
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			// Browsers know that these names are this machine (RFC 6761, 6.3); resolvers
			// may not.
			var dialer net.Dialer
			if proxy == nil {
				dialer.Control = reachControl(most)
			}
			if host, port, err := net.SplitHostPort(address); err == nil && isLocalName(host) {
				address = net.JoinHostPort("localhost", port)
			}
			return dialer.DialContext(ctx, network, address)
		},
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

func isLocalName(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// unanswered says why nobody has answered.
func unanswered(u *url.URL, err error) string {
	var (
		dns  *net.DNSError
		cert *tls.CertificateVerificationError
		wait net.Error
		op   *net.OpError
	)
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("the name %s is not known on the internet: check the DNS record of your backend", u.Hostname())
	case errors.As(err, &dns):
		return fmt.Sprintf("the name %s cannot be looked up at the moment: is this computer online?", u.Hostname())
	case errors.As(err, &cert):
		return fmt.Sprintf("visitors get a warning, because the certificate of %s does not hold: %v", u.Hostname(), cert.Err)
	case errors.As(err, &wait) && wait.Timeout():
		return fmt.Sprintf("no answer from %s within %v", u.Host, probeTimeout)
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return fmt.Sprintf("the proxy that HTTPS_PROXY names cannot be reached: %v", root(err))
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("nothing answers at %s: is the backend running?", u.Host)
	}
	return fmt.Sprintf("%s cannot be reached: %v", u.Host, root(err))
}

// root is what the system has said.
func root(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}

// misled says what an answer means that is not the tunnel's.
func misled(u *url.URL, answer *http.Response) string {
	code := answer.StatusCode
	switch {
	case code >= 300 && code < 400:
		where := ""
		if to, err := answer.Location(); err == nil && to.Host != "" && !strings.EqualFold(to.Host, u.Host) {
			where = " to " + to.Hostname()
		}
		return fmt.Sprintf("%s sends visitors elsewhere%s (%d): is a login or a proxy in front of it?", u.Host, where, code)
	case code == http.StatusUnauthorized || code == http.StatusForbidden || code == http.StatusProxyAuthRequired:
		return fmt.Sprintf("%s turns visitors away (%d): something in front of the tunnel wants a login", u.Host, code)
	case code == http.StatusNotFound:
		return fmt.Sprintf("the backend does not know this tunnel (%d): stop and start it", code)
	case code == http.StatusTooManyRequests:
		return fmt.Sprintf("the backend takes no more requests at the moment (%d)", code)
	case code == http.StatusBadGateway:
		return fmt.Sprintf("the backend has lost the tunnel (%d): it ought to reconnect soon", code)
	case code == http.StatusServiceUnavailable || code == http.StatusGatewayTimeout:
		return fmt.Sprintf("the request did not get through the backend (%d)", code)
	}
	return fmt.Sprintf("something else answers at %s (%d)", u.Host, code)
}

// checkService looks whether the local service takes connections, or whether the folder
// is there.
func (t *Tunnel) checkService(ctx context.Context) (time.Duration, error) {
	w := t.use()
	defer w.leave()
	start := time.Now()
	if err := w.forward.Check(ctx); err != nil {
		plain, _, _ := explain(err)
		return 0, errors.New(plain)
	}
	if w.spec.Target.IsFolder() {
		return 0, nil
	}
	return time.Since(start), nil
}

// Lights say which leg is bad, as far as anybody has looked.
func (t *Tunnel) Lights() Lights { return t.prober.state() }

// Probe looks at both legs now, for the person who asks.
func (t *Tunnel) Probe() { t.prober.ask(asked{service: true, url: true, person: true}) }

// tellLights is called by the prober.
func (t *Tunnel) tellLights() {
	t.events.Lock()
	defer t.events.Unlock()
	t.emitEdited()
	t.engine.emit(Probed{t, t.prober.state()})
}

// SetWatched says whether somebody is looking at the lights: only then are they kept
// fresh while nothing happens.
func (e *Engine) SetWatched(watched bool) {
	e.watched.Store(watched)
	for _, t := range e.Tunnels() {
		t.prober.watch(watched)
	}
}

// probeAfterChanges looks at everything whenever the machine has woken up or is in
// another network.
func (e *Engine) probeAfterChanges() {
	events, cancel := e.watcher.Subscribe()
	defer cancel()
	for {
		select {
		case <-e.ctx.Done():
			return
		case <-events:
			for _, t := range e.Tunnels() {
				t.prober.doubt()
			}
		}
	}
}
