// Package stream reads what passes on exchanges that last: the messages of a
// WebSocket and server-sent events. It is told of the bytes as they pass, in
// pieces of any size, and tells of each message when its end has come.
//
// It only watches: what it cannot understand it gives up on, and says so, but the
// bytes pass all the same. Both sides may be hostile, and so every message, name
// and buffer has a bound.
package stream

import (
	"time"

	"culvert/app/exchange"
)

// MaxData is how much of a message's payload is kept.
const MaxData = 64 << 10

// Decoder is a WebSocket or Events. Each direction is one goroutine's, and the two
// may be told of at the same time; emit is called within Write, and what it is
// given is its own. Close frees what is held, after the last Write.
type Decoder interface {
	// Charge has what is held between two calls of Write taken from a budget, from
	// before the first Write on. What the budget does not have is not kept: of such
	// messages comes the size. Both functions are called from where Write and Close
	// are, release also before emit, with which the data changes hands.
	Charge(reserve func(n int64) bool, release func(n int64))
	Write(from exchange.Direction, p []byte, now time.Time, emit func(exchange.StreamMessage))
	// Broken says that a direction could not be understood, so that there will be no
	// more of its messages.
	Broken() bool
	Close()
}
