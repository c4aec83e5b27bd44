// Package event reads what Lambda hands to a function, and writes what it wants
// back: events of an HTTP API in both payload formats, of a Function URL, of a
// WebSocket API, of CloudFormation, of SQS queues and of our own functions become
// neutral values, and neutral answers become the JSON (or the stream) that the sender
// of the event understands.
//
// Which kind an event is, its shape says: requestContext.http first, then
// connectionId and its like, then httpMethod. A routeKey alone says nothing, since
// the events of HTTP APIs (payload 2.0) and of WebSocket APIs both carry "$default".
//
// Nothing here does input or output.
//
// What an event has lost, no reader can bring back:
//
//   - An HTTP API hands over the path percent-decoded, in both formats, and cut at a
//     decoded "?". What cannot stand in a request target is escaped again, "%" too,
//     so that a service decodes what the visitor encoded; but %2F has become "/", and
//     %41 has become "A". Function URLs and REST APIs keep the path as it was.
//   - Payload 1.0 has no raw query string: it is written anew from the decoded
//     parameters. Values of one name stand together, at the place of its first one;
//     "a" has become "a=", and which characters were escaped is unknown.
//   - Payload 2.0 and Function URLs join the values of a repeated header with ",".
//   - Bytes of header values that are not UTF-8 have become U+FFFD.
package event

import (
	"errors"
	"fmt"

	"culvert/backend/action"
)

// Kind is what an event is, and so what its answer looks like.
type Kind uint8

// The kinds of events.
const (
	// Unknown is anything else.
	Unknown Kind = iota
	// HTTPv1 is a request through an HTTP API with payload format 1.0, or a REST API.
	HTTPv1
	// HTTPv2 is a request through an HTTP API with payload format 2.0.
	HTTPv2
	// FunctionURL is a request through a Lambda Function URL.
	FunctionURL
	// WebSocket is a connection, a message or a disconnection of a WebSocket API.
	WebSocket
	// CustomResource is CloudFormation's request about a custom resource.
	CustomResource
	// Queue is a batch of messages of an SQS queue.
	Queue
	// Action is a call of another function of ours: an action that a client asks for.
	Action
)

// String names the kind for logs.
func (k Kind) String() string {
	switch k {
	case HTTPv1:
		return "http 1.0"
	case HTTPv2:
		return "http 2.0"
	case FunctionURL:
		return "function url"
	case WebSocket:
		return "websocket"
	case CustomResource:
		return "custom resource"
	case Queue:
		return "queue"
	case Action:
		return "action"
	}
	return "unknown"
}

// HTTP reports whether events of this kind are visitors' requests.
func (k Kind) HTTP() bool { return k == HTTPv1 || k == HTTPv2 || k == FunctionURL }

// Errors of the readers. Whatever they return wraps one of them.
var (
	// ErrUnsupported is about events that are none of the known kinds.
	ErrUnsupported = errors.New("the function does not serve events of this shape")
	// ErrMalformed is about events of a known kind that lack something, or have it wrong.
	ErrMalformed = errors.New("malformed event")
	// ErrNoConnection is about events of a WebSocket API without connectionId.
	ErrNoConnection = fmt.Errorf("%w: an event of a WebSocket API without connectionId", ErrMalformed)
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
}

// Event is one event, read. The pointer that belongs to Kind is set.
type Event struct {
	Kind     Kind
	Request  *Request     // HTTPv1, HTTPv2, FunctionURL
	Message  *Message     // WebSocket
	Resource *Resource    // CustomResource
	Batch    *Batch       // Queue
	Call     *action.Call // Action
}

// Parse reads an event of any kind. An error comes with an Event that has the Kind, if that much is clear, and
// nothing else.
func Parse(raw []byte) (*Event, error) {
	e, err := open(raw)
	if err != nil {
		return &Event{}, err
	}
	kind, err := e.kind()
	read := &Event{Kind: kind}
	switch kind {
	case HTTPv1, HTTPv2, FunctionURL:
		read.Request, err = e.request(kind)
	case WebSocket:
		read.Message, err = e.message()
	case CustomResource:
		read.Resource, err = e.resource()
	case Queue:
		read.Batch, err = e.batch()
	case Action:
		read.Call, err = e.call()
	}
	if err != nil {
		return &Event{Kind: kind}, err
	}
	return read, nil
}

// KindOf says what an event is. The error, if any, wraps ErrUnsupported or
// ErrMalformed, and the kind is then Unknown.
func KindOf(raw []byte) (Kind, error) {
	e, err := open(raw)
	if err != nil {
		return Unknown, err
	}
	return e.kind()
}

// ParseHTTP reads a visitor's request.
func ParseHTTP(raw []byte) (*Request, error) {
	e, err := Parse(raw)
	switch {
	case err != nil:
		return nil, err
	case e.Request == nil:
		return nil, fmt.Errorf("%w: %s where a visitor's request belongs", ErrUnsupported, e.Kind)
	}
	return e.Request, nil
}

// ParseMessage reads an event of a WebSocket API.
func ParseMessage(raw []byte) (*Message, error) {
	e, err := Parse(raw)
	switch {
	case err != nil:
		return nil, err
	case e.Message == nil:
		return nil, fmt.Errorf("%w: %s where a WebSocket's event belongs", ErrUnsupported, e.Kind)
	}
	return e.Message, nil
}
