package model

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"culvert/app/exchange"
	"culvert/app/plain"
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
	Path     string // raw path and query, without secrets
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

// The bounds of a row's texts, in bytes: together 2 KB, as there are many rows. The
// whole of them stands in the exchange.
const (
	maxPath   = 1 << 10
	maxReason = 256 // of Err, and of Detail
	maxWord   = 128 // of Method, Visitor, and Name
)

// bound keeps the beginnings of long texts, which belong to nothing larger: they are
// copies, together in one piece, as there are many rows.
func (r *Request) bound() {
	texts := [...]struct {
		text *string
		most int
	}{{&r.Path, maxPath}, {&r.Method, maxWord}, {&r.Visitor, maxWord}, {&r.Name, maxWord}, {&r.Err, maxReason}, {&r.Detail, maxReason}}
	size := 0
	for _, t := range texts {
		*t.text = start(*t.text, t.most)
		size += len(*t.text)
	}
	var b strings.Builder
	b.Grow(size)
	for _, t := range texts {
		b.WriteString(*t.text)
	}
	all := b.String()
	for _, t := range texts {
		*t.text, all = all[:len(*t.text)], all[len(*t.text):]
	}
}

// start is so many bytes of a text, the last of which are an ellipsis if that is not all
// of it.
func start(text string, most int) string {
	if len(text) <= most {
		return text
	}
	const more = "…"
	n := most - len(more)
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + more
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
		if !plain.ContainsFold(r.Path, w) && !plain.ContainsFold(r.Method, w) && !strings.HasPrefix(strconv.Itoa(r.Status), w) &&
			!plain.ContainsFold(r.Visitor, w) && !plain.ContainsFold(r.Err, w) && !plain.ContainsFold(r.Detail, w) && !plain.ContainsFold(r.Name, w) {
			return false
		}
	}
	return true
}
