package forwarder

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"culvert/app/folder"
	"culvert/backend/wire"
)

var (
	errHeadTooLarge = errors.New("the head of the answer is too large")
	errMalformed    = errors.New("malformed answer")
	// errVisitorGone: nobody waits for the answer any more.
	errVisitorGone = &failure{ResetError: wire.ResetError{Code: wire.ResetCancel, Message: "the visitor has left"}}
)

// wsaRefused is ECONNREFUSED of Windows, which package syscall does not map.
const wsaRefused = syscall.Errno(10061)

// failure ends an exchange. Its ResetError is what the backend is told, and its
// message what the visitor reads; the cause is for the log.
type failure struct {
	wire.ResetError
	cause error
}

func (e *failure) Error() string {
	if e.cause == nil {
		return e.Message
	}
	return fmt.Sprintf("%s (%v)", e.Message, e.cause)
}

func (e *failure) Unwrap() []error { return []error{&e.ResetError, e.cause} }

func fail(code wire.ResetCode, cause error, format string, args ...any) *failure {
	return &failure{wire.ResetError{Code: code, Message: fmt.Sprintf(format, args...)}, cause}
}

// visitorFailure is about an error of the exchange itself: mostly, the visitor has
// left. A backend that cannot carry the answer says so in a ResetError.
func visitorFailure(err error) *failure {
	var reset *wire.ResetError
	switch {
	case errors.As(err, &reset):
		return &failure{*reset, err}
	case errors.Is(err, wire.ErrTooLarge):
		return fail(wire.ResetInternal, err, "the answer is too large for this tunnel: %v", err)
	}
	return errVisitorGone
}

// overFailure is about an exchange whose context has ended before its answer. If
// that was for its time, nobody has left: there is a visitor to be told. Who set
// the time may have said it better, as the context's cause.
func (f *Forwarder) overFailure(ctx context.Context) *failure {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errVisitorGone
	}
	var reset *wire.ResetError
	if cause := context.Cause(ctx); errors.As(cause, &reset) {
		return &failure{*reset, ctx.Err()}
	}
	return fail(wire.ResetTimeout, ctx.Err(), "%s did not answer in time", f.where)
}

// dialFailure is about an error of dialer.dial.
func (f *Forwarder) dialFailure(ctx context.Context, err error) *failure {
	where := f.where
	var (
		vanished  *folder.UnavailableError
		handshake errHandshake
		untrusted *tls.CertificateVerificationError
		unknownCA x509.UnknownAuthorityError
		plain     tls.RecordHeaderError
		dns       *net.DNSError
		timeout   net.Error
	)
	switch {
	case ctx.Err() != nil:
		return f.overFailure(ctx)
	case errors.As(err, &vanished):
		return fail(wire.ResetUnavailable, vanished.Err, "%v", vanished)
	case errors.As(err, &handshake):
		switch {
		case errors.As(err, &unknownCA):
			return fail(wire.ResetInternal, err, "the certificate of %s is not from an authority that is trusted here: name its root with --ca-file", f.cfg.Target)
		case errors.As(err, &untrusted):
			return fail(wire.ResetInternal, err, "the certificate of %s does not hold: %v", f.cfg.Target, untrusted.Err)
		case errors.As(err, &plain):
			return fail(wire.ResetInternal, err, "what answers on %s does not speak TLS: use http://%s as the target", where, where)
		}
		return fail(wire.ResetInternal, err, "the TLS handshake with %s has failed: %v", f.cfg.Target, handshake.error)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, wsaRefused):
		return fail(wire.ResetUnavailable, err, "nothing is listening on %s: start the service, or open the tunnel to its port", where)
	case errors.As(err, &dns):
		return fail(wire.ResetUnavailable, err, "the host name of %s is not known here: check its spelling", where)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fail(wire.ResetUnavailable, err, "%s takes no connections: none within %v", where, dialTimeout)
	}
	return fail(wire.ResetUnavailable, err, "%s cannot be reached: %v", where, rootCause(err))
}

// answerFailure is about an error between the request and the end of the answer's
// head.
func (f *Forwarder) answerFailure(err error) *failure {
	where := f.where
	switch {
	case errors.Is(err, errHeadTooLarge):
		return fail(wire.ResetInternal, err, "the head of the answer from %s is larger than %d KB", where, maxHead>>10)
	case errors.Is(err, errMalformed):
		return fail(wire.ResetInternal, err, "what answers on %s does not speak HTTP/1.1: %v", where, err)
	}
	return fail(wire.ResetInternal, err, "%s closed the connection without an answer", where)
}

func (f *Forwarder) timeoutFailure() *failure {
	return fail(wire.ResetTimeout, os.ErrDeadlineExceeded, "%s did not answer within %v", f.where, f.cfg.Timeout)
}

// rootCause takes "dial tcp [::1]:3000: connect: " off an error for people.
func rootCause(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}
