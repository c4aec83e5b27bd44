package model

import (
	"strconv"
	"strings"
	"time"

	"culvert/app/exchange"
	"culvert/app/ui/words"
)

// Request is one row of the log: an exchange, without headers and bodies. It is
// immutable once it is in the Store; what goes on after that, such as a stream, comes
// as another Request with the same ID.
type Request struct {
	ID     uint64 // given by the Store or the View, counts up
	Tunnel string // key of the tunnel, "" if that is not there any more
	Name   string // and its name
	// Exchange is the ID by which the history knows the exchange, and ReplayOf that of
	// the one which it repeats, "" if it repeats none.
	Exchange, ReplayOf string

	Time     time.Time
	Method   string
	Path     string // raw path and query
	Status   int    // 0: no answer reached the visitor
	Duration time.Duration
	Size     int64 // bytes of the answer's body
	Visitor  string
	Err      string // why it failed, for people
	Detail   string // the same in the system's words, "" if there is no more to say
	NoTarget bool   // it failed because the local service could not be reached

	// Stream says what an exchange that lasts consists of, and Messages how much of it
	// there was: frames, or events. Open: it is still going on, and Live grows.
	Stream   StreamKind
	Messages int
	Open     bool
	Live     Live // nil unless Open
}

// StreamKind is what kind of stream an exchange became.
type StreamKind int

// The kinds of streams.
const (
	NoStream        StreamKind = iota
	WebSocketStream            // frames, or the bytes of another protocol after an upgrade
	EventStream                // server-sent events
)

// Live is an exchange that lasts, as it grows. Its methods return at once and may be
// called by any goroutine.
type Live interface {
	// Count is how many messages there were so far.
	Count() int
	// Messages are those that were kept, from the number on, and how many were not kept
	// between it and the first of them.
	Messages(from int) (messages []exchange.StreamMessage, skipped int)
	// Done reports whether it has ended.
	Done() bool
}

// Count is how many messages a stream has had so far.
func (r *Request) Count() int {
	if r.Live != nil {
		return r.Live.Count()
	}
	return r.Messages
}

// Class is the hundreds of the status; what was never answered counts as 5.
func (r *Request) Class() int {
	if r.Status == 0 && !r.Open {
		return 5
	}
	return r.Status / 100
}

// endless is longer than any exchange.
const endless = time.Duration(1<<63 - 1)

// lasted is how long the request took, for filters: no limit keeps out what has not
// ended.
func (r *Request) lasted() time.Duration {
	if r.Open {
		return endless
	}
	return r.Duration
}

// Kind sorts answers for colour and sign, so that neither stands alone.
type Kind int

// The kinds of answers.
const (
	Success Kind = iota
	Upgrade
	ClientError
	ServerError
)

// Kind returns the kind of the answer.
func (r *Request) Kind() Kind {
	switch {
	case r.Status == 0 && r.Open:
		return Upgrade
	case r.Status == 0 || r.Status >= 500:
		return ServerError
	case r.Status >= 400:
		return ClientError
	case r.Status < 200, r.Stream != NoStream:
		return Upgrade
	default:
		return Success
	}
}

// StatusText is the status with its sign.
func (r *Request) StatusText() string {
	sign := [...]string{Success: "✓", Upgrade: "⇄", ClientError: "!", ServerError: "✕"}[r.Kind()]
	if r.Kind() == Upgrade && r.Stream == EventStream {
		sign = "⋯"
	}
	if r.Status == 0 {
		return words.T("cut") + " " + sign
	}
	return strconv.Itoa(r.Status) + " " + sign
}

// Matches reports whether every word occurs in the row's visible texts, upper and
// lower case alike.
func (r *Request) Matches(words []string) bool {
	for _, w := range words {
		if !containsFold(r.Path, w) && !containsFold(r.Method, w) && !strings.HasPrefix(strconv.Itoa(r.Status), w) &&
			!containsFold(r.Visitor, w) && !containsFold(r.Err, w) && !containsFold(r.Detail, w) && !containsFold(r.Name, w) {
			return false
		}
	}
	return true
}

// containsFold is strings.Contains for a lower-case needle, blind to ASCII case
// and without allocating: it runs over thousands of rows while a person types.
func containsFold(s, lower string) bool {
	for i := 0; i+len(lower) <= len(s); i++ {
		j := 0
		for j < len(lower) && lowerASCII(s[i+j]) == lower[j] {
			j++
		}
		if j == len(lower) {
			return true
		}
	}
	return false
}

func lowerASCII(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
