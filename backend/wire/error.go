package wire

import (
	"errors"
	"fmt"
	"net/http"
)

// ResetCode says why a stream was given up.
type ResetCode uint8

// Reset codes, as they stand in a form 2 RESET frame.
const (
	// ResetCancel: nobody waits for the rest; the visitor, or the agent, has gone.
	ResetCancel ResetCode = 1
	// ResetInternal: the answer is no answer (502).
	ResetInternal ResetCode = 2
	// ResetUnavailable: the local service is down (503).
	ResetUnavailable ResetCode = 3
	// ResetTimeout: no response head within the timeout (504).
	ResetTimeout ResetCode = 4
	// ResetTooLarge: the body is too large for this backend (413).
	ResetTooLarge ResetCode = 5
	// ResetInvalid: the request is malformed (400).
	ResetInvalid ResetCode = 6
	// ResetBusy: the agent has no room for another stream (503).
	ResetBusy ResetCode = 7
	// ResetProtocol: the peer broke the protocol on this stream (502).
	ResetProtocol ResetCode = 8
)

// Status is the HTTP status that a visitor gets for a reset before the head.
func (c ResetCode) Status() int {
	switch c {
	case ResetUnavailable, ResetBusy:
		return http.StatusServiceUnavailable
	case ResetTimeout:
		return http.StatusGatewayTimeout
	case ResetTooLarge:
		return http.StatusRequestEntityTooLarge
	case ResetInvalid:
		return http.StatusBadRequest
	default:
		return http.StatusBadGateway
	}
}

// ResetError is what reading or writing a stream that the peer gave up returns.
type ResetError struct {
	Code    ResetCode
	Message string // for people; may be empty
}

func (e *ResetError) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("stream reset (code %d)", e.Code)
	}
	return "stream reset: " + e.Message
}

// ErrorCode is the machine-readable code of an error message.
type ErrorCode string

// The four codes of the original protocol: the only ones a peer that has declared
// nothing may be sent.
const (
	CodeInvalidRequest   ErrorCode = "invalid_request"
	CodeTimeout          ErrorCode = "timeout"
	CodeLocalUnavailable ErrorCode = "local_service_unavailable"
	CodeInternal         ErrorCode = "internal_error"
)

// Codes for peers that have declared protocol 2.
const (
	// CodeUnauthorized: no token, a bad one, or one that has expired. Permanent.
	CodeUnauthorized ErrorCode = "unauthorized"
	// CodeForbidden: known, but not allowed to do this. Permanent.
	CodeForbidden ErrorCode = "forbidden"
	// CodeNameTaken: the tunnel ID belongs to another owner, or is in use by
	// another process of the same owner. Permanent.
	CodeNameTaken ErrorCode = "name_taken"
	// CodeReplaced: another process has shown this tunnel's resume secret and
	// taken over. Permanent.
	CodeReplaced ErrorCode = "replaced"
	// CodeTooManyTunnels: this owner has as many tunnels as allowed. Permanent.
	CodeTooManyTunnels ErrorCode = "too_many_tunnels"
	// CodeThrottled: too many handshakes; try again later.
	CodeThrottled ErrorCode = "throttled"
	// CodeGoingAway: the backend stops or restarts; connect again at once.
	CodeGoingAway ErrorCode = "going_away"
)

// Original maps the code to one of the four that every peer understands.
func (c ErrorCode) Original() ErrorCode {
	switch c {
	case CodeInvalidRequest, CodeTimeout, CodeLocalUnavailable, CodeInternal:
		return c
	case CodeUnauthorized, CodeForbidden, CodeNameTaken, CodeReplaced, CodeTooManyTunnels:
		return CodeInvalidRequest
	}
	return CodeInternal
}

// Reset is the reset code for an error message that answers a request.
func (c ErrorCode) Reset() ResetCode {
	switch c {
	case CodeInvalidRequest:
		return ResetInvalid
	case CodeTimeout:
		return ResetTimeout
	case CodeLocalUnavailable:
		return ResetUnavailable
	}
	return ResetInternal
}

// ErrorCode is the code of the error message that says the same in form 1: one
// of the four that every peer understands.
func (c ResetCode) ErrorCode() ErrorCode {
	switch c {
	case ResetUnavailable, ResetBusy:
		return CodeLocalUnavailable
	case ResetTimeout:
		return CodeTimeout
	case ResetInvalid:
		return CodeInvalidRequest
	}
	return CodeInternal
}

// Permanent reports whether trying again with the same arguments is pointless.
func (c ErrorCode) Permanent() bool {
	switch c {
	case CodeUnauthorized, CodeForbidden, CodeNameTaken, CodeReplaced, CodeTooManyTunnels, CodeInvalidRequest:
		return true
	}
	return false
}

// Error is a refusal by the peer: of a connection, a claim or a request.
type Error struct {
	Code    ErrorCode
	Message string // for people: what happened and what to do next
}

func (e *Error) Error() string { return e.Message }

// Errors of the decoders. All of them wrap ErrProtocol.
var (
	// ErrProtocol is wrapped by every error about what the peer sent.
	ErrProtocol = errors.New("protocol error")
	// ErrTooLarge is about a length over its bound.
	ErrTooLarge = fmt.Errorf("%w: over the size limit", ErrProtocol)
)

// MessageError is about a malformed message that names a request: only that
// request has failed, and the connection goes on.
type MessageError struct {
	Type      MessageType
	RequestID string
	Err       error // wraps ErrProtocol
}

func (e *MessageError) Error() string {
	return fmt.Sprintf("%s for request %s: %v", e.Type, e.RequestID, e.Err)
}

func (e *MessageError) Unwrap() error { return e.Err }

// protocolError makes an error about what the peer sent.
func protocolError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrProtocol, fmt.Sprintf(format, args...))
}

// tooLarge makes an error about a length over its bound.
func tooLarge(what string, limit int) error {
	return fmt.Errorf("%w: %s is over %d", ErrTooLarge, what, limit)
}
