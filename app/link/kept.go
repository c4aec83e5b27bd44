package link

import (
	"slices"
	"sync/atomic"
	"time"

	"culvert/backend/wire"
)

// API Gateway may lose an answer that it has accepted. A backend that has declared
// chunks asks for it again, or for the parts of it that did not come.
const (
	keepFor   = 30 * time.Second
	keepBytes = 8 << 20
	// keepCost is added to every answer's size, so that empty ones are bounded, too.
	keepCost = 1 << 10
)

// answer is what was said about one request: a head and chunks, an error, or both.
type answer struct {
	requestID string
	tunnel    string // its ID
	parts     []any  // *wire.HTTPResponse, *wire.Chunk and *wire.ErrorMessage
	at        time.Time
	size      int
	unsent    bool // there was no connection to send all of it on

	sent    atomic.Int64 // how many parts have left
	dropped atomic.Bool  // nobody waits for the rest
}

func newAnswer(requestID, tunnel string, parts []any) *answer {
	a := &answer{requestID: requestID, tunnel: tunnel, parts: parts, at: time.Now(), size: keepCost}
	for _, part := range parts {
		switch m := part.(type) {
		case *wire.HTTPResponse:
			a.size += len(m.Body)
			for name, values := range m.Header {
				for _, v := range values {
					a.size += len(name) + len(v)
				}
			}
		case *wire.Chunk:
			a.size += len(m.Body)
		case *wire.ErrorMessage:
			a.size += len(m.Message)
		}
	}
	return a
}

// wanted gives the parts of an answer that r asks for. An error is not numbered: it
// belongs to the head, and to the end.
func wanted(parts []any, r *wire.Resend) []any {
	var again []any
	for _, part := range parts {
		take := false
		switch m := part.(type) {
		case *wire.HTTPResponse:
			take = r.Wants(0)
		case *wire.Chunk:
			take = r.Wants(m.Seq)
		case *wire.ErrorMessage:
			take = r.From != nil || r.Wants(0)
		}
		if take {
			again = append(again, part)
		}
	}
	return again
}

// signed is a copy of an agent's message with the session token on it.
func signed(message any, token string, resent bool) any {
	switch m := message.(type) {
	case *wire.HTTPResponse:
		c := *m
		c.Session, c.Resent = token, resent
		return &c
	case *wire.Chunk:
		c := *m
		c.Session, c.Resent = token, resent
		return &c
	case *wire.ErrorMessage:
		c := *m
		c.Session, c.Resent = token, resent
		return &c
	case *wire.Resend:
		c := *m
		c.Session = token
		return &c
	}
	return message
}

// kept are the latest answers, oldest first. It is guarded by its board.
type kept struct {
	answers []*answer
	size    int
}

func (k *kept) put(a *answer) {
	k.answers = append(k.answers, a)
	k.size += a.size
	k.forget(a.at)
}

// forget drops what is too old, and the oldest of what is too much.
func (k *kept) forget(now time.Time) {
	n := 0
	for ; n < len(k.answers); n++ {
		if now.Sub(k.answers[n].at) < keepFor && k.size <= keepBytes {
			break
		}
		k.size -= k.answers[n].size
	}
	if k.answers = slices.Delete(k.answers, 0, n); len(k.answers) == 0 {
		k.answers = nil
	}
}

// find gives the latest answer to a request, or nil.
func (k *kept) find(requestID string) *answer {
	for _, a := range slices.Backward(k.answers) {
		if a.requestID == requestID {
			return a
		}
	}
	return nil
}

// since gives the answers that were made at t or later.
func (k *kept) since(t time.Time) []*answer {
	var recent []*answer
	for _, a := range k.answers {
		if !a.at.Before(t) {
			recent = append(recent, a)
		}
	}
	return recent
}
