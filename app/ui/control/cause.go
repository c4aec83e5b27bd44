package control

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"strings"
	"syscall"

	"culvert/app/link"
	"culvert/app/ui/words"
	"culvert/backend/mux"
	"culvert/backend/wire"
)

// cause is why a tunnel is not online, for somebody at a window, in the language that
// is spoken there. What happens often has words of its own; the rest is told as it came,
// but that errors which speak of the command line's flags mean what the settings have
// for it. to is the backend, nil for the built-in relay; token says that one was shown.
func cause(err error, to *url.URL, token bool) string {
	if err == nil {
		return ""
	}
	host := words.T("the built-in relay")
	if to != nil {
		host = to.Host
	}
	said := refusal(err, token)
	for _, explain := range []func(error, string) string{proxied, unfound, uncertain, unanswered} {
		said = cmp.Or(said, explain(err, host))
	}
	return cmp.Or(said, inSettings.Replace(err.Error()))
}

// tokenRefused reports whether the backend is not content with the token.
func tokenRefused(err error) bool {
	var refused *wire.Error
	return errors.As(err, &refused) && refused.Code == wire.CodeUnauthorized
}

// refusal is what the backend itself has against the tunnel.
func refusal(err error, token bool) string {
	var refused *wire.Error
	if !errors.As(err, &refused) {
		return ""
	}
	switch {
	case refused.Code == wire.CodeThrottled:
		return words.T("the backend has too much to do: Culvert tries again by itself")
	case refused.Code != wire.CodeUnauthorized:
		return ""
	case !token && !link.WantsToken(refused):
		return "" // as it came: a token would not help
	case !token:
		return words.T("the backend wants a token: put one into the settings of the backend")
	// There is one code for all of these; what it says of tokens is in package auth.
	case strings.Contains(refused.Message, "expired"):
		return words.T("the token has expired: put a new one into the settings of the backend")
	case strings.Contains(refused.Message, "revoked"):
		return words.T("the token was revoked: put a new one into the settings of the backend")
	}
	return words.T("the backend does not accept the token: put a valid one into the settings of the backend") +
		" (" + inSettings.Replace(refused.Message) + ")"
}

// proxied is a way through a proxy that ends there.
func proxied(err error, _ string) string {
	if via := (*link.ProxyError)(nil); errors.As(err, &via) {
		return words.T("the proxy %s does not pass the connection on: %s", via.Proxy, via.Error())
	}
	return ""
}

// unfound is a host to which no way leads.
func unfound(err error, host string) string {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return words.T("there is no host called %s: check the address in the settings of the backend, and the network connection", dns.Name)
	case errors.As(err, &dns):
		return words.T("the name %s cannot be looked up: check the network connection", dns.Name)
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return words.T("no way leads to %s: check the network connection", host)
	case errors.Is(err, syscall.ECONNREFUSED):
		return words.T("connection refused by %s: is the backend running there?", host)
	}
	return ""
}

// uncertain is a host that cannot show that it is the right one.
func uncertain(err error, host string) string {
	var (
		unknown   x509.UnknownAuthorityError
		wrongName x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &unknown):
		return words.T("the certificate of %s is signed by an unknown authority: if that is yours, name its certificate in the settings of the backend", host)
	case errors.As(err, &wrongName):
		return words.T("the certificate of %s is for another name: check the address in the settings of the backend", host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return words.T("the certificate of %s is not valid today: it has expired, or this computer's clock is wrong", host)
	case errors.As(err, &record):
		return words.T("there is no TLS at %s: check the address in the settings of the backend", host)
	}
	return ""
}

// unanswered is a host that answers no more, or never did.
func unanswered(err error, host string) string {
	var slow net.Error
	if errors.Is(err, link.ErrSilent) || errors.Is(err, mux.ErrDead) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &slow) && slow.Timeout() {
		return words.T("no sign of life from %s: it does not answer, or the network carries nothing", host)
	}
	return ""
}

// The longer ones come first: a replacer takes the first that fits.
var inSettings = strings.NewReplacer(
	"give it a valid token with --token or --token-file", "put a valid token into the settings of the backend",
	"name a file that holds one with --token-file", "put one into the settings of the backend",
	"check --token and --backend", "check the token and the address in the settings of the backend",
	"name the right address with --backend", "correct the address in the settings of the backend",
	"name its certificate with --ca-file", "name its certificate in the settings of the backend",
	"check --backend", "check the address in the settings of the backend",
	"use --backend", "choose one in the settings",
	"use --token", "write the token into a field of its own, in the settings of the backend",
	"in --backend", "in the settings of the backend",
)
