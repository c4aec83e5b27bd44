// Package exchange is one visitor's request and its answer as a person looks at
// them: plain data that the window shows, the history keeps on disk, and files
// such as HAR carry. It comes from package capture, from the history, or from a
// file, and has no behaviour of its own.
package exchange

import (
	"net/http"
	"time"
)

// Exchange is one request and its answer. Once it is shared it is not changed:
// whoever wants it otherwise, redacted for example, makes a copy.
type Exchange struct {
	// ID is unique within one history: a UUID. "" while it has none.
	ID string
	// Tunnel is the tunnel's name for people, and Target where it led.
	Tunnel, Target string
	// URL is the public URL that was asked for, with path and query as they came; ""
	// where the tunnel had none.
	URL string

	Start    time.Time
	Duration time.Duration // to the end of both bodies; so far, while Open
	// Waited is the part of Duration until the answer's head had come from the local
	// service; 0 if that is unknown.
	Waited time.Duration
	Open   bool // it is still going on

	RemoteAddr string // the visitor's IP address
	Method     string
	Path       string // raw path and query
	Host       string // the Host field that the visitor sent
	Upgrade    string // the protocol that was asked for, or ""

	// Status is what the visitor got; 0 if he left before there was any.
	Status            int
	Request, Response Message

	// Messages are WebSocket frames or server-sent events, oldest first. Skipped
	// counts those that were not kept.
	Messages []StreamMessage
	Skipped  int

	// Err is why it failed, for people, and Detail the same in the system's words.
	Err, Detail string
	// NoTarget: it failed because the local service could not be reached.
	NoTarget bool
	// ReplayOf is the ID of the exchange that this one repeats, or "".
	ReplayOf string
	// Redacted: secrets were taken out of it before it was kept, so that it cannot be
	// replayed as it was.
	Redacted bool
}

// Message is one direction of an exchange.
type Message struct {
	Header http.Header
	// Body is what was kept of the body, as it travelled: Content-Encoding still
	// applies. Size is the length of all that passed.
	Body []byte
	Size int64
	// Truncated: Body is only the start. Dropped: nothing was kept, for want of memory
	// or by choice.
	Truncated, Dropped bool
}

// Direction says who sent a StreamMessage.
type Direction int

// The two directions.
const (
	FromVisitor Direction = iota
	FromService
)

// MessageKind is what a StreamMessage is.
type MessageKind int

// The kinds of messages: those of WebSocket (RFC 6455, 5.2), and server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html).
const (
	Text MessageKind = iota
	Binary
	Ping
	Pong
	Close
	Event
)

// StreamMessage is one whole WebSocket message, or one server-sent event.
type StreamMessage struct {
	Time time.Time
	From Direction
	Kind MessageKind
	// Name is an event's type, and LastID its id.
	Name, LastID string
	// Data is what was kept of the payload, without compression. Size is the length of
	// all of it.
	Data      []byte
	Size      int64
	Truncated bool
}
