package inspect

import (
	"bytes"
	"context"
	"io"

	"culvert/app/coding"
)

// form is application/x-www-form-urlencoded, a field on each line.
type form struct {
	src []byte
	pos int
	buffer
}

// buffer is a text that is put together while it is laid out.
type buffer struct {
	text []byte
	rows []row // of text, to be handed out
}

// field adds "name: value", in which both may have several lines.
func (b *buffer) field(key, value string) {
	start := len(b.text)
	b.text = append(b.text, key...)
	lead := len(b.text) - start
	b.text = append(b.text, ": "...)
	b.lines(start, lead, value, String)
}

// lines adds a text, behind what has been put from start on. That has a lead of the
// class Key.
func (b *buffer) lines(start, lead int, value string, class Class) {
	b.text = append(b.text, value...)
	b.text = append(b.text, '\n')
	src := b.text[:len(b.text)-1]
	for at, field := start, lead > 0; ; {
		begin := at
		end, after := lineEnd(src, at)
		for {
			cut := fits(src, at, end)
			// All lines of a field but its first look like the rest of it.
			continued := at > begin || field && begin > start
			r := row{start: uint32(at), end: uint32(cut), first: Key, rest: class, continued: continued}
			if l := start + lead - at; l > 0 {
				r.lead = uint16(min(l, cut-at))
			}
			b.rows = append(b.rows, r)
			if at = cut; cut >= end {
				break
			}
		}
		if at = after; after >= len(src) {
			return
		}
	}
}

// label adds a line about what follows.
func (b *buffer) label(text string) {
	start := len(b.text)
	b.lines(start, 0, text, Comment)
}

// hand gives out what has been laid out.
func (b *buffer) hand(rows []row) []row {
	rows = append(rows, b.rows...)
	b.rows = b.rows[:0]
	return rows
}

func (b *buffer) drawing() drawing { return plainDrawing(b.text) }
func (b *buffer) notes() []Note    { return nil }

func (f *form) next(rows []row, n int) ([]row, bool) {
	for len(f.rows) < n && f.pos < len(f.src) {
		f.pair()
	}
	return f.hand(rows), f.pos >= len(f.src)
}

func (f *form) pair() {
	end, after := len(f.src), len(f.src)
	if n := bytes.IndexByte(f.src[f.pos:], '&'); n >= 0 {
		end, after = f.pos+n, f.pos+n+1
	}
	key, value, _ := bytes.Cut(bytes.TrimRight(f.src[f.pos:end], "\r\n"), []byte{'='})
	f.pos = after
	if len(key)+len(value) > 0 {
		f.field(coding.Unescape(string(key)), coding.Unescape(string(value)))
	}
}

func (f *form) writeText(ctx context.Context, w io.Writer) error {
	whole := form{src: f.src}
	for whole.pos < len(whole.src) {
		if err := ctx.Err(); err != nil {
			return err
		}
		whole.next(nil, batch)
	}
	_, err := w.Write(whole.text)
	return err
}
