package inspect

import (
	"bytes"
	"context"
	"io"
	"unicode/utf8"
)

// plain is any text, line by line.
type plain struct {
	src []byte
	pos int // of src that is laid out
	mid bool
}

func (p *plain) next(rows []row, n int) ([]row, bool) {
	for n += len(rows); len(rows) < n && p.pos < len(p.src); {
		end, after := lineEnd(p.src, p.pos)
		rows, p.pos, p.mid = wrap(rows, n, p.src, p.pos, end, p.mid, Plain)
		if p.pos < end {
			break // of a long line
		}
		p.pos, p.mid = after, false
	}
	return rows, p.pos >= len(p.src)
}

// lineEnd is where the line ends that begins at a place, without and with what ends
// it: LF, CR LF or CR.
func lineEnd(src []byte, at int) (end, after int) {
	n := bytes.IndexByte(src[at:], '\n')
	if n < 0 {
		return len(src), len(src)
	}
	end, after = at+n, at+n+1
	if end > at && src[end-1] == '\r' {
		end--
	}
	return end, after
}

// wrap cuts src[start:end] into rows, until there are n. It returns how far it has
// come.
func wrap(rows []row, n int, src []byte, start, end int, continued bool, class Class) ([]row, int, bool) {
	for {
		cut := fits(src, start, end)
		rows = append(rows, row{start: uint32(start), end: uint32(cut), rest: class, continued: continued})
		start, continued = cut, true
		if start >= end || len(rows) >= n {
			return rows, start, continued
		}
	}
}

// tab is the distance of tab stops.
const tab = 4

// fits is how much of a line one row takes: at least one rune.
func fits(src []byte, start, end int) int {
	if end-start <= MaxRunes && bytes.IndexByte(src[start:end], '\t') < 0 {
		return end
	}
	column := 0
	for i := start; i < end; {
		width, n := 1, 1
		switch c := src[i]; {
		case c == '\t':
			width = tab - column%tab
		case c >= utf8.RuneSelf:
			_, n = utf8.DecodeRune(src[i:end])
		}
		if column += width; column > MaxRunes {
			return i
		}
		i += n
	}
	return end
}

func (p *plain) drawing() drawing { return plainDrawing(p.src) }

type plainDrawing []byte

func (src plainDrawing) line(r row) Line {
	var w writer
	w.own(blanks[:r.indent], Plain)
	lead := r.start + uint32(r.lead)
	w.expand(src[r.start:lead], r.first, int(r.indent))
	w.expand(src[lead:r.end], r.rest, int(r.indent))
	return w.line(r.continued)
}

// expand writes a text in which tabs are spaces, up to the stops from a column on.
func (w *writer) expand(p []byte, class Class, from int) {
	for {
		before, after, found := bytes.Cut(p, []byte{'\t'})
		w.add(before, class)
		if !found {
			return
		}
		column := utf8.RuneCountInString(w.out.String()) - from
		w.own(blanks[:tab-column%tab], class)
		p = after
	}
}

func (p *plain) notes() []Note { return nil }

func (p *plain) writeText(_ context.Context, w io.Writer) error {
	_, err := w.Write(p.src)
	return err
}
