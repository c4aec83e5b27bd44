package visitors

import (
	"errors"
	"fmt"

	"culvert/backend/lambda/store"
	"culvert/backend/wire"
)

// errNoAnswer is about messages that are no answer, whatever they are.
var errNoAnswer = errors.New("the answer makes no sense")

// inbox takes the messages that answer one request, in any order, more than once, by
// either way. What came first counts.
type inbox struct {
	id       string
	declared bool    // the agent may send more than the original messages
	window   *window // of an answer that is streamed; nil if it is to be whole

	head    *wire.HTTPResponse
	parts   wire.Assembly      // unless there is a window
	failure *wire.ErrorMessage // the agent's own word that there is no (further) answer
	broken  error              // what came is no answer
	wanted  []*wire.Resend     // parts of the request that the agent lacks
}

// take takes one message and reports whether it brought anything new.
func (in *inbox) take(text []byte) bool {
	if in.failure != nil || in.broken != nil {
		return false
	}
	message, err := in.decode(text)
	var about *wire.MessageError
	switch {
	case errors.As(err, &about) && about.RequestID == in.id:
		if in.answered() {
			return false
		}
		in.broken = fmt.Errorf("%w: %w", errNoAnswer, err)
		return true
	case err != nil:
		return false // nothing says that it is about this request
	}
	switch m := message.(type) {
	case *wire.HTTPResponse:
		return m.RequestID == in.id && in.takeHead(m)
	case *wire.Chunk:
		return m.RequestID == in.id && in.takePart(m.Seq, m.Body, m.Last)
	case *wire.ErrorMessage:
		if m.RequestID != in.id || in.answered() {
			return false
		}
		in.failure = m
		return true
	case *wire.Resend:
		if m.RequestID != in.id {
			return false
		}
		in.wanted = append(in.wanted, m)
		return true
	}
	return false
}

func (in *inbox) takeHead(m *wire.HTTPResponse) bool {
	if in.head != nil {
		return false
	}
	if !in.takePart(0, m.Body, !m.More) {
		return in.broken != nil
	}
	in.head = m
	return true
}

func (in *inbox) takePart(seq int, body []byte, last bool) bool {
	var fresh bool
	var err error
	if in.window != nil {
		fresh, err = in.window.add(seq, body, last)
	} else {
		before, whole := in.parts.Size(), in.answered()
		err = in.parts.Add(seq, body, last)
		// An empty part is news only if it is the end, or the head.
		fresh = in.parts.Size() > before || in.answered() != whole || seq == 0
	}
	if err != nil {
		if in.answered() {
			return false
		}
		in.broken = fmt.Errorf("%w: %w", errNoAnswer, err)
		return true
	}
	return fresh
}

// answered reports whether the whole answer is there.
func (in *inbox) answered() bool {
	if in.head == nil {
		return false
	}
	if in.window != nil {
		return in.window.complete()
	}
	_, whole := in.parts.Whole()
	return whole
}

// over reports whether nothing more is to be waited for.
func (in *inbox) over() bool { return in.failure != nil || in.broken != nil || in.answered() }

// nothing reports whether nothing of an answer has come.
func (in *inbox) nothing() bool {
	some := in.parts.Size() > 0 || in.window != nil && (in.window.next > 0 || in.window.high > 0)
	return !some && in.head == nil && !in.over()
}

// begun reports whether an answer can begin: a stream needs its head only.
func (in *inbox) begun() bool {
	return in.over() || in.window != nil && in.head != nil
}

// missing asks for what has not come; nil if that is nothing.
func (in *inbox) missing() *wire.Resend {
	if in.window != nil {
		return in.window.missing(in.id)
	}
	return in.parts.Missing(in.id)
}

// maxGaps bounds the reads that look between the parts that are there.
const maxGaps = 4

// absent is where in the store that may be which has not come. What is there is left
// out: an agent may store megabytes above a part that never comes, which every look at
// that part would read and pay anew.
func (in *inbox) absent() []store.Span {
	var m *wire.Resend
	if in.window != nil {
		m = in.window.missing("")
	} else {
		m = in.parts.Missing("")
	}
	aside := store.Span{From: store.PartError}
	if m == nil {
		return []store.Span{aside}
	}
	var spans []store.Span
	for _, seq := range m.Seqs {
		if last := len(spans) - 1; last >= 0 && spans[last].Below == seq {
			spans[last].Below = seq + 1
		} else if len(spans) < maxGaps {
			spans = append(spans, store.Span{From: seq, Below: seq + 1})
		} else {
			break
		}
	}
	if m.From == nil {
		return append(spans, aside)
	}
	if in.window == nil {
		return append(spans, store.Span{From: *m.From})
	}
	// What is beyond the agent's credit is not taken.
	if *m.From <= in.window.upto {
		spans = append(spans, store.Span{From: *m.From, Below: in.window.upto + 1})
	}
	return append(spans, aside)
}

// hole is the lowest part that is missing while later ones are there, -1 if there is none.
func (in *inbox) hole() int {
	if m := in.missing(); m != nil && len(m.Seqs) > 0 {
		return m.Seqs[0]
	}
	return -1
}
