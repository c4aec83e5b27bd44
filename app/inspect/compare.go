package inspect

import (
	"context"

	"culvert/app/exchange"
)

// Op is what became of a line.
type Op int

// The ops. Gap stands for lines that are the same and not shown.
const (
	Same Op = iota
	Removed
	Added
	Gap
)

// DiffLine is one line of a comparison.
type DiffLine struct {
	Op   Op
	Text string // "" for Gap
	Skip int    // lines that a Gap stands for
}

// Part is what two exchanges are compared in.
type Part int

// The parts.
const (
	RequestLine Part = iota
	RequestHeader
	RequestBody
	StatusLine
	ResponseHeader
	ResponseBody
)

// Section is one part.
type Section struct {
	Part    Part
	Lines   []DiffLine
	Changed bool
	// Coarse: the bodies differ too much, or are too long, to be compared line by line
	// to their ends.
	Coarse bool
}

// Diff is what differs from one exchange to another.
type Diff struct {
	Sections []Section // without those that are empty on both sides
	Changed  bool
}

// CompareOptions are how two exchanges are compared.
type CompareOptions struct {
	Secrets bool // show them; otherwise they are masked, but still compared
}

// Compare tells what to change in a to get b. Its error is the context's.
func Compare(ctx context.Context, a, b *exchange.Exchange, o CompareOptions) (*Diff, error) {
	return &Diff{}, nil
}
