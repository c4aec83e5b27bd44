// Package wire is the language that agents and backends speak over a WebSocket.
//
// It has two forms. Form 1 is JSON text messages, what API Gateway can carry:
// one message holds one whole request or answer. Form 2 adds binary frames,
// negotiated by the WebSocket subprotocol [Subprotocol]: every request is a
// stream with flow control of its own. Both begin with the same JSON handshake
// (ready, connection_established), and in form 2 JSON text messages stay the
// control channel beside the frames.
//
// The package only encodes and decodes. It opens no connection and starts no
// goroutine; every length is bounded before anything is allocated. SPEC.md, in
// this folder, is the specification for other implementations.
package wire

import (
	"context"
	"io"
	"net/http"
)

// Subprotocol is the WebSocket subprotocol that selects form 2.
const Subprotocol = "culvert.v2"

// ChallengeHeader is the field of the handshake's answer whose value an agent signs
// with its owner key. API Gateway passes no such field on.
const ChallengeHeader = "Culvert-Challenge"

// ProtocolVersion is what ready and connection_established declare.
const ProtocolVersion = 2

// RequestHead is everything about a visitor's request except its body.
type RequestHead struct {
	Method string
	// Target is the request-target for the local service: path and query as the
	// visitor sent them, byte for byte, without Prefix. It starts with "/", or is "*".
	Target string
	// Host is the Host header field that the visitor sent.
	Host string
	// Prefix is the part of the path that named the tunnel ("/shop"), or "" where
	// the host name did.
	Prefix string
	// RemoteAddr is the visitor's IP address, without a port.
	RemoteAddr string
	// ContentLength is the length of the body in bytes, 0 for none, -1 if unknown.
	ContentLength int64
	// Upgrade is the protocol of an Upgrade request ("websocket"), or "".
	Upgrade string
	// Header holds end-to-end fields and the X-Forwarded ones that the backend
	// set; never Host, hop-by-hop fields, Content-Length or Transfer-Encoding.
	Header http.Header
}

// ResponseHead is everything about an answer except its body.
type ResponseHead struct {
	// Status is 100 to 999. 1xx other than 101 is informational: another head follows.
	Status int
	// ContentLength is the value of the Content-Length field, or -1 if there was none.
	ContentLength int64
	// Header holds end-to-end fields; never hop-by-hop ones, Content-Length or
	// Transfer-Encoding. For status 101, Upgrade is kept.
	Header http.Header
}

// Exchange is the agent's side of one visitor's request, carried by either form.
// Read, and the writing methods together, may be used by one goroutine each.
type Exchange interface {
	// ID names the request in logs; unique within this process.
	ID() string
	Request() *RequestHead
	// Read reads the request body up to io.EOF; after WriteHead with status 101,
	// it reads what the visitor sends. A visitor who left gives a *ResetError.
	io.Reader
	// RequestTrailer is the trailer of the request; valid after Read returned io.EOF.
	RequestTrailer() http.Header
	// WriteHead sends a head; end says that no body follows it.
	WriteHead(h *ResponseHead, end bool) error
	// Write sends a part of the body, and waits while the visitor is slow.
	io.Writer
	// WriteLast sends the last part of the body.
	WriteLast(p []byte) (int, error)
	// CloseWrite ends the body, with a trailer or nil.
	CloseWrite(trailer http.Header) error
	// Reset gives the exchange up. Before the head it makes an error answer with
	// the code's status, after it it cuts the visitor's connection. Later calls do nothing.
	Reset(code ResetCode, message string)
	// Context ends when the exchange is over or nobody waits for it any more.
	Context() context.Context
}
