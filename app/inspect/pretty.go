package inspect

import (
	"bufio"
	"context"
	"io"
	"strings"
	"unicode/utf8"
)

const (
	indentWidth = 2
	// maxIndent leaves room for the text, however deep it is.
	maxIndent = 48
	// maxDepth bounds the indent of what is copied: a body of brackets alone would
	// grow to its square.
	maxDepth = 100
)

// pretty is JSON, laid out. From where it is none, the text is shown as it is.
type pretty struct {
	src     []byte
	cut     bool // the text is only the start of one
	scanner *jsonScanner
	line    jsonLine // that is being cut into rows
	at      int      // of line
	inside  Class    // of the token at that place, if it began before
	more    bool     // the scanner has more
	tail    *plain   // what is no JSON
	found   []Note
}

func (p *pretty) next(rows []row, n int) ([]row, bool) {
	if p.scanner == nil {
		p.scanner, p.more = &jsonScanner{src: p.src}, true
	}
	for n += len(rows); len(rows) < n; {
		switch {
		case p.at < p.line.end:
			rows = p.wrap(rows)
		case p.tail != nil:
			return p.tail.next(rows, n-len(rows))
		case !p.more:
			return rows, true
		default:
			p.scan()
		}
	}
	return rows, p.at >= p.line.end && !p.more && (p.tail == nil || p.tail.pos >= len(p.src))
}

// scan goes on to the next line.
func (p *pretty) scan() {
	line, more, whole, err := p.scanner.next()
	p.line, p.at, p.more = line, line.start, more
	switch {
	case err != nil:
		p.found = append(p.found, Note{Kind: Malformed, A: int64(p.scanner.pos)})
		p.line.end = p.line.start
		p.tail = &plain{src: p.src, pos: line.start}
	case !more && !whole && !p.cut:
		p.found = append(p.found, Note{Kind: Malformed, A: int64(len(p.src))})
	}
}

// wrap makes a row of what comes next of the line.
func (p *pretty) wrap(rows []row) []row {
	continued := p.at > p.line.start
	indent := min(p.line.depth*indentWidth, maxIndent)
	if continued {
		indent = min(indent+2*indentWidth, maxIndent)
	}
	keyed := p.line.keyed && !continued
	r := row{start: uint32(p.at), indent: uint16(indent), first: p.inside, continued: continued}
	if keyed {
		r.lead = 1
	}
	room := MaxRunes - indent
	cut, inside := p.line.end, Plain
	// A rune has a byte at least, and what is drawn beyond the text is one blank.
	if p.line.end-p.at >= room {
		used := 0
		cut, inside = walkJSON(p.src, p.at, p.line.end, p.inside, keyed, func(text []byte, _ Class) bool {
			width := utf8.RuneCount(text)
			if used+width > room && used > 0 {
				return false
			}
			used += width
			return true
		})
	}
	r.end = uint32(cut)
	p.at, p.inside = cut, inside
	return append(rows, r)
}

// walkJSON tells of the tokens of a line, some bytes at a time, from a place on that
// is inside of a token of a class, or of none (Plain). It ends when emit is false,
// before what that was given, and returns where that is, and inside of what.
func walkJSON(src []byte, at, end int, inside Class, keyed bool, emit func(text []byte, class Class) bool) (int, Class) {
	for at < end {
		c, n, class, next := src[at], 1, Punctuation, Plain
		text := src[at : at+1]
		switch {
		case inside == Key || inside == String:
			if c == '\\' && at+1 < end {
				_, n = utf8.DecodeRune(src[at+1 : end])
				n++
			} else if c >= utf8.RuneSelf {
				_, n = utf8.DecodeRune(src[at:end])
			}
			text, class, next = src[at:at+n], inside, inside
			if c == '"' {
				next = Plain
			}
		case isLiteral(c):
			class = inside
			if inside == Plain {
				if class = Number; c >= 'A' {
					class = Keyword
				}
			}
			next = class
		case isBlank(c):
			inside = Plain
			at++
			continue
		case c == '"':
			if class = String; keyed {
				class, keyed = Key, false
			}
			next = class
		case c == ':':
			text = colon
		}
		if inside == Number || inside == Keyword {
			if !isLiteral(c) {
				inside = Plain
			}
		}
		if !emit(text, class) {
			return at, inside
		}
		at, inside = at+n, next
	}
	return end, Plain
}

var colon = []byte(": ")

func (p *pretty) drawing() drawing { return prettyDrawing{p.src, p.tailStart()} }

func (p *pretty) tailStart() int {
	if p.tail == nil {
		return len(p.src)
	}
	return p.line.start
}

type prettyDrawing struct {
	src  []byte
	tail int // from here on it is no JSON
}

func (d prettyDrawing) line(r row) Line {
	if int(r.start) >= d.tail {
		return plainDrawing(d.src).line(r)
	}
	var w writer
	w.own(blanks[:r.indent], Plain)
	walkJSON(d.src, int(r.start), int(r.end), r.first, r.lead > 0, func(text []byte, class Class) bool {
		w.add(text, class)
		return true
	})
	return w.line(r.continued)
}

func (p *pretty) notes() []Note {
	found := p.found
	p.found = nil
	return found
}

func (p *pretty) writeText(ctx context.Context, out io.Writer) error {
	w := bufio.NewWriter(out)
	s := &jsonScanner{src: p.src}
	for n := 0; ; n++ {
		if n%batch == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		line, more, _, err := s.next()
		if err != nil {
			w.Write(p.src[line.start:])
			break
		}
		if line.end > line.start {
			w.WriteString(strings.Repeat(" ", min(line.depth, maxDepth)*indentWidth))
			walkJSON(p.src, line.start, line.end, Plain, line.keyed, func(text []byte, _ Class) bool {
				w.Write(text)
				return true
			})
			w.WriteByte('\n')
		}
		if !more {
			break
		}
	}
	return w.Flush()
}
