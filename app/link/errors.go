package link

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gorilla/websocket"

	"culvert/backend/mux"
	"culvert/backend/wire"
)

// dialError is why a backend could not be reached or was lost, in words for people, around
// the error that says so to programs. Its text never holds a URL's query, where
// a token may be.
type dialError struct {
	text string
	err  error
}

func (e *dialError) Error() string { return e.text }
func (e *dialError) Unwrap() error { return e.err }

// ProxyError is why the environment's proxy did not pass a connection on.
type ProxyError struct {
	Proxy string // host and port
	// Status is what it answered to CONNECT; 0 if it came to no answer.
	Status int
	Err    error
}

func (e *ProxyError) Error() string { return e.Err.Error() }
func (e *ProxyError) Unwrap() error { return e.Err }

// NoUpgradeError is a server that answered a WebSocket handshake with a page, or
// something else that neither is a WebSocket nor says why there is none.
type NoUpgradeError struct{ Status int }

func (e *NoUpgradeError) Error() string {
	return fmt.Sprintf("%v: status %d", websocket.ErrBadHandshake, e.Status)
}

func (e *NoUpgradeError) Unwrap() error { return websocket.ErrBadHandshake }

// laterError is a refusal for now.
type laterError struct {
	error
	after time.Duration
}

func (e *laterError) Unwrap() error { return e.error }

// RetryAfter is how long the backend wants to be left alone.
func (e *laterError) RetryAfter() time.Duration { return e.after }

const (
	defaultRetryAfter = 5 * time.Second
	maxRetryAfter     = 10 * time.Minute
)

// explain makes an error of dialling readable. to is the WebSocket URL.
func explain(err error, to *url.URL, limit time.Duration) error {
	host := hostPort(to)
	var (
		already   *dialError
		refusal   *wire.Error
		dns       *net.DNSError
		unknown   x509.UnknownAuthorityError
		wrongName x509.HostnameError
		invalid   x509.CertificateInvalidError
		record    tls.RecordHeaderError
		alert     tls.AlertError
		timeout   net.Error
	)
	say := func(format string, args ...any) error {
		return &dialError{fmt.Sprintf(format, args...), err}
	}
	switch {
	case errors.As(err, &already), errors.As(err, &refusal):
		return err
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &dns) && dns.IsNotFound:
		return say("cannot find %s: no such host: check --backend and the network connection", dns.Name)
	case errors.As(err, &dns):
		return say("cannot look up %s: %s: check the network connection", dns.Name, dns.Err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return say("%s refused the connection: is the backend running there?", host)
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return say("no way to %s: check the network connection", host)
	case errors.As(err, &unknown):
		return say("the certificate of %s is signed by an unknown authority: if that is yours, name its certificate with --ca-file", host)
	case errors.As(err, &wrongName):
		return say("the certificate of %s is for another name: %v", host, wrongName)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return say("the certificate of %s is not valid today: it has expired, or this machine's clock is wrong", host)
	case errors.As(err, &invalid):
		return say("the certificate of %s is not valid: %v", host, invalid)
	case errors.As(err, &record):
		return say("%s does not speak TLS: try %s:// instead", host, map[string]string{"wss": "http:// or ws", "ws": "http"}[to.Scheme])
	case errors.As(err, &alert):
		return say("%s refused the TLS handshake: %v", host, alert)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return say("%s did not answer within %v", host, limit)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return say("%s closed the connection during the handshake: is it a tunnel backend, and %s right for it?", host, to.Scheme)
	case strings.Contains(err.Error(), "malformed HTTP"): // net/http has no type for it
		return say("%s does not speak HTTP: check --backend (is it https?)", host)
	}
	return say("cannot connect to %s: %v", host, err)
}

// refusedUpgrade makes an error of an HTTP answer that is no WebSocket.
func refusedUpgrade(resp *http.Response, to *url.URL) error {
	err := whyNoUpgrade(resp, to)
	after, told := retryAfter(resp.Header)
	var refusal *wire.Error
	switch {
	case errors.As(err, &refusal) && refusal.Code == wire.CodeThrottled && !told:
		return &laterError{err, defaultRetryAfter}
	case refusal != nil && refusal.Code == wire.CodeThrottled, resp.StatusCode == http.StatusServiceUnavailable && told:
		return &laterError{err, after}
	}
	return err
}

func whyNoUpgrade(resp *http.Response, to *url.URL) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	host := hostPort(to)
	code, message := errorBody(body)
	if to.Scheme == "ws" && resp.StatusCode == http.StatusBadRequest && bytes.Contains(body, []byte("HTTPS")) {
		// What Go's and nginx's servers answer when they expected TLS.
		return &dialError{host + " wants a secure connection: write https:// instead of http:// (or wss:// instead of ws://) in --backend", websocket.ErrBadHandshake}
	}
	if code == "" {
		switch resp.StatusCode {
		case http.StatusUnauthorized:
			code, message = wire.CodeUnauthorized, host+" wants to know who you are: give it a valid token with --token or --token-file"
		case http.StatusForbidden:
			code, message = wire.CodeForbidden, host+" does not let you in: check --token and --backend"
		case http.StatusTooManyRequests:
			code, message = wire.CodeThrottled, host+" has too much to do: trying again later"
		}
	}
	if code != "" {
		if message == "" {
			message = fmt.Sprintf("%s refused the connection (%s)", host, code)
		}
		return &wire.Error{Code: code, Message: message}
	}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	status := strconv.Itoa(resp.StatusCode)
	var text string
	switch {
	case resp.StatusCode/100 == 3:
		text = fmt.Sprintf("%s answered with a redirect (%s)", host, status)
		if loc, err := resp.Location(); err == nil {
			text += fmt.Sprintf(" to %s://%s", loc.Scheme, loc.Host)
		}
		text += ": name the right address with --backend"
	case resp.StatusCode >= 500:
		text = fmt.Sprintf("%s answered %s %s", host, status, http.StatusText(resp.StatusCode))
	case media == "text/html":
		text = fmt.Sprintf("%s answered with a web page (%s text/html), not a tunnel backend: check --backend", host, status)
	default:
		if media != "" {
			status += " " + media
		}
		text = fmt.Sprintf("%s is no tunnel backend: it answered %s to a WebSocket handshake: check --backend", host, status)
	}
	return &dialError{text, &NoUpgradeError{resp.StatusCode}}
}

// errorBody reads {"status":"error","error":{"code":…,"message":…}}.
func errorBody(body []byte) (wire.ErrorCode, string) {
	var b struct {
		Status string `json:"status"`
		Error  struct {
			Code    wire.ErrorCode `json:"code"`
			Message string         `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(bytes.TrimSpace(body), &b) != nil || b.Status != "error" {
		return "", ""
	}
	return b.Error.Code, printable(b.Error.Message)
}

// retryAfter reads the header of this name, where it is a number of seconds.
func retryAfter(h http.Header) (after time.Duration, told bool) {
	s, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || s < 0 {
		return 0, false
	}
	return time.Duration(min(s, int(maxRetryAfter/time.Second))) * time.Second, true
}

// lostError says how an established connection ended.
func lostError(err error) error {
	var (
		already   *dialError
		closed    *websocket.CloseError
		muxClosed *mux.CloseError
	)
	if errors.As(err, &already) {
		return err
	}
	code, reason, byPeer := 0, "", false
	if errors.As(err, &closed) {
		code, reason, byPeer = closed.Code, closed.Text, true
	} else if errors.As(err, &muxClosed) {
		code, reason, byPeer = muxClosed.Code, muxClosed.Reason, true
	}
	if byPeer && code != websocket.CloseAbnormalClosure {
		text := "the backend closed the connection"
		switch {
		case reason != "":
			text += ": " + printable(reason)
		case code == websocket.CloseGoingAway:
			text += ": it stops or restarts"
		case code == websocket.CloseMessageTooBig:
			text += ": a message was too large for it"
		}
		return &dialError{text, err}
	}
	var timeout net.Error
	switch {
	case errors.Is(err, ErrSilent), errors.Is(err, mux.ErrDead), errors.As(err, &timeout) && timeout.Timeout():
		return &dialError{"no sign of life from the backend: the connection to it is taken for dead", fmt.Errorf("%w: %w", ErrSilent, err)}
	case byPeer, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return &dialError{"the connection to the backend broke off", err}
	case errors.Is(err, wire.ErrProtocol):
		return &dialError{fmt.Sprintf("the backend broke the protocol: %v", err), err}
	}
	return fmt.Errorf("the connection to the backend broke off: %w", err)
}

// printable makes text from a peer safe for a log or a terminal.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "…"
	}
	return s
}
