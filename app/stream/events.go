package stream

import (
	"bytes"
	"net/http"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"culvert/app/coding"
	"culvert/app/exchange"
)

// maxName bounds an event's type and id.
const maxName = 256

// Events reads server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream).
type Events struct {
	broken  atomic.Bool
	parser  parser
	codings []string
	decoder *pushed // undoes them; nil without any
}

// NewEvents is for the body of an answer with this head.
func NewEvents(response http.Header) *Events {
	e := &Events{codings: coding.Of(response)}
	if len(e.codings) > 0 {
		var err error
		if e.decoder, err = newPushed(e.codings); err != nil {
			e.broken.Store(true)
		}
	}
	return e
}

// Write tells of bytes that pass. What the visitor sends is not events.
func (e *Events) Write(from exchange.Direction, p []byte, now time.Time, emit func(exchange.StreamMessage)) {
	if from != exchange.FromService || e.broken.Load() {
		return
	}
	found := func(m exchange.StreamMessage) {
		m.From, m.Time = from, now
		emit(m)
	}
	if e.decoder == nil {
		e.parser.read(p, found)
		return
	}
	if !e.decoder.push(p, func(plain []byte) { e.parser.read(plain, found) }) {
		e.broken.Store(true)
	}
}

// Broken implements Decoder.
func (e *Events) Broken() bool { return e.broken.Load() }

// Charge implements Decoder.
func (e *Events) Charge(reserve func(n int64) bool, release func(n int64)) {
	e.parser.account = account{reserve: reserve, release: release}
	if e.decoder != nil && !e.parser.account.take(coding.Cost(e.codings)) {
		e.broken.Store(true)
	}
}

// Close implements Decoder.
func (e *Events) Close() {
	if e.decoder != nil {
		e.decoder.close()
	}
	e.parser.data = text{}
	e.parser.account.close()
}

// parser reads events line by line, without keeping lines.
type parser struct {
	started bool // past the byte order mark
	mark    int  // bytes of it that have come
	afterCR bool // a LF now is no line of its own
	inValue bool // past the line's colon
	space   bool // the value has not begun: a space is to be left out
	name    []byte
	value   text
	event   text
	data    text
	lines   int // of data
	lastID  string
	account account // of data
}

// text is a value with a bound.
type text struct {
	kept    []byte
	size    int64
	refused bool // the budget has no more for it
}

func (t *text) add(p []byte, limit int) {
	t.size += int64(len(p))
	t.kept = append(t.kept, p[:min(len(p), max(0, limit-len(t.kept)))]...)
}

// addData takes a part of an event's data.
func (s *parser) addData(p []byte) {
	t := &s.data
	t.size += int64(len(p))
	kept := p[:min(len(p), max(0, MaxData-len(t.kept)))]
	if !t.refused && len(kept) > 0 && !s.account.extend(&t.kept, kept, MaxData) {
		s.account.drop(&t.kept)
		t.refused = true
	}
}

const byteOrderMark = "\xef\xbb\xbf"

func (s *parser) read(p []byte, emit func(exchange.StreamMessage)) {
	for !s.started && len(p) > 0 {
		if p[0] != byteOrderMark[s.mark] {
			s.started = true
			held := byteOrderMark[:s.mark] // it was none, but the start of a name
			s.part([]byte(held))
			break
		}
		p = p[1:]
		s.mark++
		s.started = s.mark == len(byteOrderMark)
	}
	for len(p) > 0 {
		if s.afterCR {
			s.afterCR = false
			if p[0] == '\n' {
				p = p[1:]
				continue
			}
		}
		end := bytes.IndexAny(p, "\r\n")
		if end < 0 {
			s.part(p)
			return
		}
		s.part(p[:end])
		s.afterCR = p[end] == '\r'
		p = p[end+1:]
		s.endLine(emit)
	}
}

// part takes a part of a line.
func (s *parser) part(p []byte) {
	if !s.inValue {
		colon := bytes.IndexByte(p, ':')
		name := p
		if colon >= 0 {
			name = p[:colon]
		}
		// No name that means anything is longer than "event".
		s.name = append(s.name, name[:min(len(name), 8-len(s.name))]...)
		if colon < 0 {
			return
		}
		s.inValue, s.space = true, true
		p = p[colon+1:]
	}
	if s.space && len(p) > 0 {
		s.space = false
		if p[0] == ' ' {
			p = p[1:]
		}
	}
	switch string(s.name) {
	case "data":
		s.addData(p)
	case "event", "id":
		s.value.add(p, maxName)
	}
}

func (s *parser) endLine(emit func(exchange.StreamMessage)) {
	empty := len(s.name) == 0 && !s.inValue
	switch string(s.name) {
	case "data":
		s.lines++
		s.addData([]byte{'\n'})
	case "event":
		s.event = text{kept: append(s.event.kept[:0], s.value.kept...), size: s.value.size}
	case "id":
		if bytes.IndexByte(s.value.kept, 0) < 0 {
			s.lastID = string(cutName(s.value))
		}
	}
	s.name, s.inValue, s.value = s.name[:0], false, text{kept: s.value.kept[:0]}
	if empty {
		s.dispatch(emit)
	}
}

// dispatch ends an event.
func (s *parser) dispatch(emit func(exchange.StreamMessage)) {
	data, event, lines := s.data, s.event, s.lines
	s.data, s.event, s.lines = text{}, text{kept: s.event.kept[:0]}, 0
	s.account.give(cap(data.kept))
	if lines == 0 {
		return
	}
	m := exchange.StreamMessage{Kind: exchange.Event, Name: "message", LastID: s.lastID, Size: data.size - 1}
	m.Data = data.kept[:min(int64(len(data.kept)), m.Size)]
	if m.Truncated = int64(len(m.Data)) < m.Size; m.Truncated {
		m.Data = wholeRunes(m.Data)
	}
	if event.size > 0 {
		m.Name = string(cutName(event))
	}
	emit(m)
}

func cutName(t text) []byte {
	if int64(len(t.kept)) < t.size {
		return wholeRunes(t.kept)
	}
	return bytes.ToValidUTF8(t.kept, []byte(string(utf8.RuneError)))
}
