package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"culvert/backend/wire"
)

// sighting is what one plain request to the backend shows.
type sighting struct {
	secured *tls.ConnectionState // nil if it came to no TLS
	date    time.Time            // of the answer; zero without one
	at      time.Time            // when the answer came, on this machine's clock
	took    time.Duration
	relay   bool // it says that it is one of ours
	err     error
}

// look asks the backend for its health, once; a WebSocket API says that it wants a
// WebSocket, which will do.
func (e *examination) look(ctx context.Context) *sighting {
	if e.seen == nil {
		e.seen = e.lookNow(ctx)
	}
	return e.seen
}

func (e *examination) lookNow(ctx context.Context) *sighting {
	ctx, cancel := context.WithTimeout(ctx, e.limits.look)
	defer cancel()
	s := &sighting{}
	// A handshake may end when the request has been given up.
	secured := make(chan tls.ConnectionState, 2)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		TLSHandshakeDone: func(state tls.ConnectionState, err error) {
			if err == nil {
				secured <- state
			}
		},
	})
	defer func() {
		if e.via != nil && e.via.Scheme == "https" && len(secured) > 0 {
			<-secured // the proxy's own
		}
		if len(secured) > 0 {
			state := <-secured
			s.secured = &state
		}
	}()
	transport := &http.Transport{
		Proxy:             func(r *http.Request) (*url.URL, error) { return e.proxy(r.URL) },
		TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: e.RootCAs},
		DisableKeepAlives: true,
	}
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	at := &url.URL{Scheme: "http", Host: e.URL.Host, Path: "/_culvert/healthz"}
	if e.secure() {
		at.Scheme = "https"
	}
	if e.gateway() {
		at.Path, at.RawPath = e.URL.Path, e.URL.RawPath // its query is nobody's business here
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		s.err = err
		return s
	}
	if e.Agent != "" {
		req.Header.Set("User-Agent", e.Agent)
	}
	begun := time.Now()
	resp, err := client.Do(req)
	s.at, s.took, s.err = e.now(), time.Since(begun), err
	if err != nil {
		return s
	}
	var health struct{ Status, Version string }
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	_ = resp.Body.Close()
	s.relay = resp.StatusCode == http.StatusOK && json.Unmarshal(text, &health) == nil && health.Status != "" && health.Version != ""
	s.date, _ = http.ParseTime(resp.Header.Get("Date"))
	return s
}

// gateway: the backend is behind API Gateway, or must be treated so.
func (e *examination) gateway() bool { return e.URL.Scheme == "ws" || e.URL.Scheme == "wss" }

// expiresSoon is how long before its end a certificate is worth a word: those of
// Let's Encrypt are renewed a month before.
const expiresSoon = 10 * 24 * time.Hour

// tls connects, and looks at the certificate.
func (e *examination) tls(ctx context.Context) Check {
	if !e.secure() {
		if local(e.URL.Hostname()) {
			return Check{State: Skipped, Detail: "plain " + e.URL.Scheme + "://, which does not leave this computer"}
		}
		return Check{State: Warn, Detail: "there is none: whoever is on the way can read the token and all requests",
			Advice: "Use https:// or wss://, if the backend offers it."}
	}
	s := e.look(ctx)
	if s.secured == nil {
		return e.insecure(s.err)
	}
	cert := s.secured.PeerCertificates[0] // there is one, as it was verified
	c := Check{State: OK, Detail: fmt.Sprintf("%s, certificate valid until %s", tls.VersionName(s.secured.Version), cert.NotAfter.Local().Format(time.DateOnly))}
	if left := cert.NotAfter.Sub(e.now()); left < expiresSoon {
		c.State, c.Advice = Warn, "The certificate is about to expire: see why the backend does not renew it."
	}
	return c
}

const notYours = " If not, somebody may be listening in between: do not go on."

// insecure says why it came to no encrypted connection.
func (e *examination) insecure(err error) Check {
	var (
		unknown   x509.UnknownAuthorityError
		wrongName x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		alert     tls.AlertError
	)
	failed := func(detail, advice string) Check { return Check{State: Failed, Detail: detail, Advice: advice} }
	host := e.URL.Host
	switch {
	case errors.As(err, &unknown):
		c := failed("the certificate is signed by an authority that this computer does not know",
			"If it is your own, name the file with its certificate in the profile."+notYours)
		c.Typed = "If it is your own, name the file with its certificate with --ca-file, or as ca_file in the profile." + notYours
		return c
	case errors.As(err, &wrongName):
		return failed("the certificate is for another name than "+e.URL.Hostname(), "Check the address, or give the backend a certificate for this name.")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return failed("the certificate is not valid today", "Check this computer's clock. If it is right, the backend's certificate must be renewed.")
	case errors.As(err, &invalid):
		return failed("the certificate is not valid: "+tidy(invalid.Error()), "Give the backend a certificate that is.")
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return failed(host+" does not speak TLS", "Try "+map[string]string{"https": "http://", "wss": "ws://"}[e.URL.Scheme]+" if it is meant to be so, or check the port.")
	case errors.As(err, &alert):
		return failed(host+" refused to speak TLS: "+alert.Error(), "Check the address. Culvert needs TLS 1.2 or later.")
	}
	return e.unreachable(err)
}

// unreachable says why it came to no connection, or to no answer.
func (e *examination) unreachable(err error) Check {
	failed := func(detail, advice string) Check { return Check{State: Failed, Detail: detail, Advice: advice} }
	host := e.URL.Host
	var timeout net.Error
	switch {
	case e.via != nil:
		return failed("no connection through the proxy "+e.via.Host, "Check HTTPS_PROXY, that the proxy runs, and what it allows.")
	case errors.Is(err, syscall.ECONNREFUSED):
		return failed(host+" refused the connection", "Check that the backend runs there, and the port.")
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return failed("there is no way to "+host, "Check the network connection.")
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return failed(host+" does not answer", "Check that the backend runs there, and that no firewall is in between.")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return failed(host+" closed the connection", "Check the address: is it a tunnel backend?")
	}
	return failed("no connection to "+host, "Check the address and the network connection.")
}

// clockTolerance is how far clocks may differ: backends forgive 30 s in tokens.
const clockTolerance = 30 * time.Second

// clock compares this machine's clock with the backend's.
func (e *examination) clock(ctx context.Context) Check {
	if e.URL.Hostname() == "" {
		return Check{State: Skipped, Detail: "there is nobody to ask"}
	}
	if whom := e.asked(ctx); whom != nil {
		if c, ok := e.clockByAction(ctx, whom); ok {
			return c
		}
	}
	if e.seen == nil && e.met == nil {
		return Check{State: Skipped, Detail: "the backend could not be asked"}
	}
	s := e.look(ctx)
	switch {
	case s.err != nil:
		return Check{State: Skipped, Detail: "the backend could not be asked"}
	case s.date.IsZero():
		return Check{State: Skipped, Detail: "the backend does not say what time it is"}
	}
	// The answer names whole seconds.
	return clocks(s.at.Sub(s.date.Add(time.Second/2)), s.took, time.Second)
}

// clockByAction asks for the time, to the millisecond; ok is false if it is not told.
func (e *examination) clockByAction(ctx context.Context, whom asker) (c Check, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, e.limits.round)
	defer cancel()
	begun := time.Now()
	result, err := whom.Ask(ctx, "timestamp", nil)
	at, took := e.now(), time.Since(begun)
	if err != nil {
		if refused := (*wire.ActionError)(nil); !errors.As(err, &refused) {
			e.met.dismiss() // an older backend does not know clients without a tunnel
		}
		return c, false
	}
	var told struct {
		UnixMS *int64 `json:"unix_ms"`
	}
	if json.Unmarshal(result, &told) != nil || told.UnixMS == nil || *told.UnixMS <= 0 || *told.UnixMS >= endOfTime*1000 {
		return c, false
	}
	return clocks(at.Sub(time.UnixMilli(*told.UnixMS)), took, time.Millisecond), true
}

// clocks says what to think of a clock that was ahead of the backend's by so much when
// the answer came. The backend wrote it at some moment of the time that it took; step is
// how exactly.
func clocks(ahead, took, step time.Duration) Check {
	off := ahead - took/2
	switch {
	case off > clockTolerance:
		return Check{State: Warn, Detail: fmt.Sprintf("this computer's clock is %v ahead of the backend's", rounded(off)), Advice: clockAdvice}
	case off < -clockTolerance:
		return Check{State: Warn, Detail: fmt.Sprintf("this computer's clock is %v behind the backend's", rounded(-off)), Advice: clockAdvice}
	}
	within := (off.Abs() + took/2 + step).Round(10 * time.Millisecond)
	return Check{State: OK, Detail: fmt.Sprintf("this computer and the backend agree on the time, within %v", max(within, 10*time.Millisecond))}
}

const clockAdvice = "Set the clock automatically, or tokens and certificates may be refused that are valid."

// rounded is a duration in words: the largest two units.
func rounded(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d.Hours())/24)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	}
	return fmt.Sprintf("%d seconds", int(d.Seconds()))
}

// local: the host is this machine.
func local(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && ip.Unmap().IsLoopback()
}
