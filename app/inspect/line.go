package inspect

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Class is what a part of a line is, for its colour.
type Class uint8

// The classes of text.
const (
	Plain Class = iota
	Key
	String
	Number
	Keyword // true, false, null
	Punctuation
	Comment // not of the body itself: offsets, labels
)

// Span is a part of a line: bytes of its text.
type Span struct {
	Start, End int
	Class      Class
}

// Line is one row, of at most MaxRunes runes, safe to draw: without control
// characters and what would turn the direction of writing.
type Line struct {
	Text  string
	Spans []Span // in order, all of Text but what is Plain
	// Continued: it goes on where the row before it was cut.
	Continued bool
}

// writer puts a line together.
type writer struct {
	out   strings.Builder
	spans []Span
}

// add writes bytes of a body, made safe.
func (w *writer) add(p []byte, class Class) {
	start := w.out.Len()
	for len(p) > 0 {
		if c := p[0]; c >= ' ' && c < 0x7f {
			w.out.WriteByte(c)
			p = p[1:]
			continue
		}
		r, n := utf8.DecodeRune(p)
		w.out.WriteRune(safe(r))
		p = p[n:]
	}
	w.mark(start, class)
}

// own writes what is not of the body.
func (w *writer) own(s string, class Class) {
	start := w.out.Len()
	w.out.WriteString(s)
	w.mark(start, class)
}

func (w *writer) mark(start int, class Class) {
	end := w.out.Len()
	if class == Plain || start == end {
		return
	}
	if n := len(w.spans); n > 0 && w.spans[n-1].End == start && w.spans[n-1].Class == class {
		w.spans[n-1].End = end
		return
	}
	w.spans = append(w.spans, Span{start, end, class})
}

func (w *writer) line(continued bool) Line {
	return Line{Text: w.out.String(), Spans: w.spans, Continued: continued}
}

const blanks = "                                                                                                                        "

// safe is the rune to draw for one of a body.
func safe(r rune) rune {
	switch {
	case r < ' ':
		return '\u2400' + r // the pictures of control characters
	case r == 0x7f:
		return '\u2421'
	case r < 0xa0 && r >= 0x80, r == '\u2028', r == '\u2029':
		return utf8.RuneError
	case r == '\u200c', r == '\u200d': // scripts and emoji are written with them
		return r
	case unicode.Is(unicode.Cf, r): // among them what turns the direction of writing
		return utf8.RuneError
	}
	return r
}
