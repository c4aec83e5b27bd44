package visitors

import (
	"fmt"

	"culvert/backend/wire"
)

// creditWindow is how many chunks of a stream may be under way: a megabyte in memory.
const creditWindow = 8

// window puts the parts of a stream in order. It holds no more than the agent has
// credit for; what comes beyond it is dropped, and asked for again in its turn.
type window struct {
	next  int            // the part that the visitor gets next
	upto  int            // the highest that the agent may send
	parts map[int][]byte // from next on
	high  int            // above the highest number that has come
	end   int            // number of parts, 0 while it is unknown
	// repeated: a part has come once more. That is how an agent that waits for credit
	// asks for it.
	repeated bool
}

func newWindow() *window {
	return &window{upto: creditWindow, parts: make(map[int][]byte)}
}

// add takes a part, and reports whether it is new. Parts that contradict what is
// known of the end are errors.
func (w *window) add(seq int, body []byte, last bool) (bool, error) {
	if seq < w.next || seq > w.upto {
		w.repeated = w.repeated || seq < w.next
		return false, nil
	}
	if w.end > 0 && seq >= w.end || last && (w.high > seq+1 || w.end > 0 && w.end != seq+1) {
		return false, fmt.Errorf("part %d and the last part disagree", seq)
	}
	if last {
		w.end = seq + 1
	}
	if _, twice := w.parts[seq]; twice {
		w.repeated = true
		return false, nil
	}
	w.parts[seq] = body
	w.high = max(w.high, seq+1)
	return true, nil
}

// pop gives the next part, if it is there. credit is above 0 if the agent is to be
// told that it may send up to that number.
func (w *window) pop() (body []byte, credit int, ok bool) {
	body, ok = w.parts[w.next]
	if !ok {
		return nil, 0, false
	}
	delete(w.parts, w.next)
	w.next++
	// Half a window at a time: every message costs.
	if consumed := w.next - 1; w.end == 0 && w.upto-consumed <= creditWindow/2 {
		w.upto = consumed + creditWindow
		credit = w.upto
	}
	return body, credit, true
}

// ready reports whether pop has something.
func (w *window) ready() bool { _, ok := w.parts[w.next]; return ok }

// done reports whether the visitor has got everything.
func (w *window) done() bool { return w.end > 0 && w.next >= w.end }

// complete reports whether everything has come.
func (w *window) complete() bool { return w.end > 0 && w.lowest() >= w.end }

// lowest is the lowest number that has not come.
func (w *window) lowest() int {
	for seq := w.next; ; seq++ {
		if _, ok := w.parts[seq]; !ok {
			return seq
		}
	}
}

// missing asks for what has not come.
func (w *window) missing(id string) *wire.Resend {
	m := &wire.Resend{RequestID: id}
	for seq := w.next; seq < max(w.high, w.end); seq++ {
		if _, ok := w.parts[seq]; !ok {
			m.Seqs = append(m.Seqs, seq)
		}
	}
	if w.end == 0 {
		from := max(w.high, w.next)
		m.From = &from
	} else if m.Seqs == nil {
		return nil
	}
	return m
}
