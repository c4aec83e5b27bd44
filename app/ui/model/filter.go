package model

import (
	"strings"
	"time"
)

// Filter is what a person wants to see of the log. The zero value is all of it.
type Filter struct {
	Tunnel string // key of the tunnel, "" for all
	Text   string // words, each of which must occur
	Method string // in upper case, "" for all
	// Class is the hundreds of the status, 0 for all; what was never answered counts as 5.
	Class int
	// Least leaves out what took less time.
	Least time.Duration
}

// Narrows reports whether the filter leaves anything out but other tunnels' requests.
func (f Filter) Narrows() bool {
	return strings.TrimSpace(f.Text) != "" || f.Method != "" || f.Class != 0 || f.Least > 0
}

// sieve is a Filter made ready for thousands of rows.
type sieve struct {
	Filter
	words []string
}

func newSieve(f Filter) sieve { return sieve{f, strings.Fields(strings.ToLower(f.Text))} }

func (s *sieve) passes(r *Request) bool {
	return (s.Tunnel == "" || r.Tunnel == s.Tunnel) && (s.Method == "" || r.Method == s.Method) &&
		(s.Class == 0 || s.Class == r.Class()) && (s.Least == 0 || r.lasted() >= s.Least) && r.Matches(s.words)
}
