package model

import (
	"strconv"
	"strings"
	"time"
)

// Request is one finished exchange. It is immutable once it is in the Store.
type Request struct {
	ID       uint64 // given by the Store, counts up
	Tunnel   string // key of the tunnel
	Name     string // and its name
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
	case r.Status == 0 || r.Status >= 500:
		return ServerError
	case r.Status >= 400:
		return ClientError
	case r.Status < 200:
		return Upgrade
	default:
		return Success
	}
}

// StatusText is the status with its sign.
func (r *Request) StatusText() string {
	sign := [...]string{Success: "✓", Upgrade: "⇄", ClientError: "!", ServerError: "✕"}[r.Kind()]
	if r.Status == 0 {
		return "cut " + sign
	}
	return strconv.Itoa(r.Status) + " " + sign
}

// Matches reports whether the row passes a filter: every word of it occurs in
// the row's visible texts, upper and lower case alike.
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
