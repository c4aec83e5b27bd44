package capture

import (
	"net/http"
	"time"
)

// Exchange is the record of one visitor's request and its answer. It does not
// change after it was handed out, and must not be changed: its headers are the
// ones that travelled.
type Exchange struct {
	ID       string // as in the program's log; unique within this process
	Start    time.Time
	Duration time.Duration // from the request's head to the end of both bodies
	// Waited is the part of Duration until the answer's head had come; 0 if none has.
	Waited     time.Duration
	RemoteAddr string // the visitor's IP address

	Method string
	Path   string // raw path and query, as the local service was asked for them
	Host   string // the Host field that the visitor sent
	Prefix string // the part of the public path that named the tunnel, or ""
	// Upgrade is the protocol that the visitor asked to change to, or "".
	Upgrade string

	// Status is what the visitor got: the local service's status, the one of the
	// error answer in its place, or 0 if the visitor left before there was any.
	Status int
	// BytesIn and BytesOut count bytes of the bodies, whatever is kept of them;
	// after an upgrade, the bytes that either side sent.
	BytesIn, BytesOut int64

	RequestHeader, ResponseHeader http.Header
	// The bodies are there until OnExchange returns, and longer after Keep.
	RequestBody, ResponseBody *Body

	// Stream has the messages of an exchange that lasted; nil for most, and without
	// Config.OnStream.
	Stream *Stream
	// Origin is who served it, as whoever recorded it said; or nil.
	Origin *Origin
	// ReplayOf names the exchange that this one repeats, as whoever repeated it did; or "".
	ReplayOf string

	// Err is what ended the exchange early, nil if nothing did.
	Err error
}

// Origin is where the answers to exchanges come from.
type Origin struct {
	Tunnel string // what people call the tunnel
	Target string // what it led to
}

// Truncated reports whether only the start of a body was kept.
func (e *Exchange) Truncated() bool { return e.RequestBody.Truncated || e.ResponseBody.Truncated }

// Dropped reports whether a body was not kept for want of memory.
func (e *Exchange) Dropped() bool { return e.RequestBody.Dropped || e.ResponseBody.Dropped }

// Keep keeps the bodies after OnExchange, for as long as the Exchange is kept. It
// is to be called in there; later, they may be gone.
func (e *Exchange) Keep() {
	e.RequestBody.keep()
	e.ResponseBody.keep()
}
