package visitors

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// errCut is what reading a stream gives that ends before its end: the visitor must
// not take what it got for the whole.
var errCut = errors.New("the stream was cut")

// streamBody is the body of a streamed answer. The agent sends as far ahead of its
// reader as its credit goes; a reader who stops, stops it.
type streamBody struct {
	x *exchange

	reading sync.Mutex // Close may come while Read waits
	rest    []byte     // of the part that is being read
	over    error      // what Read gives from now on
	read    int        // bytes so far
	closing sync.Once
}

func newStreamBody(x *exchange) *streamBody { return &streamBody{x: x} }

// Read gives what has come as soon as it has.
func (b *streamBody) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	for {
		switch {
		case len(b.rest) > 0:
			n := copy(p, b.rest)
			b.rest = b.rest[n:]
			b.read += n
			return n, nil
		case b.over != nil:
			return 0, b.over
		case len(p) == 0:
			return 0, nil
		}
		b.advance()
	}
}

// advance gets the next part, or ends the stream.
func (b *streamBody) advance() {
	x := b.x
	if !time.Now().Before(x.last) && !x.in.answered() {
		// Also if there always is another part.
		b.over = fmt.Errorf("%w: %w", errCut, errLate)
		return
	}
	part, credit, ok := x.in.window.pop()
	switch {
	case ok:
		b.rest = part
		if credit > 0 {
			x.sendCredit(credit)
		}
	case x.in.window.done():
		b.over = io.EOF
	case x.in.failure != nil:
		b.over = fmt.Errorf("%w by the agent: %s", errCut, x.in.failure.Message)
	case x.in.broken != nil:
		b.over = fmt.Errorf("%w: %w", errCut, x.in.broken)
	default:
		if err := x.await(x.last, func() bool { return x.in.window.ready() || x.in.over() }); err != nil {
			b.over = fmt.Errorf("%w: %w", errCut, err)
		}
	}
}

// Close ends the stream, and tells the agent if that is before its end.
func (b *streamBody) Close() error {
	b.closing.Do(func() {
		b.x.cancel() // a Read that waits ends
		b.reading.Lock()
		defer b.reading.Unlock()
		if b.over != io.EOF && b.x.in.failure == nil {
			b.x.giveUp()
		}
		if b.over == nil {
			b.over = errCut
		}
		b.rest = nil
		b.x.spent(b.read)
		b.x.end()
	})
	return nil
}
