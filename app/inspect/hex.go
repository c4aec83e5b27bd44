package inspect

import (
	"bufio"
	"context"
	"fmt"
	"io"
)

// dump is a body byte by byte. Its rows need no layout.
type dump []byte

const perRow = 16

func (d dump) rows() int { return (len(d) + perRow - 1) / perRow }

func (d dump) at(i int) Line {
	if i < 0 || i >= d.rows() {
		return Line{}
	}
	var w writer
	d.write(&w, i)
	return w.line(false)
}

// line implements drawing; at does its work.
func (d dump) line(row) Line { return Line{} }

const digits = "0123456789abcdef"

func (d dump) write(w *writer, i int) {
	part := d[i*perRow : min(len(d), (i+1)*perRow)]
	w.own(fmt.Sprintf("%08x", i*perRow), Comment)
	bytes, text := make([]byte, 0, 64), make([]byte, 0, perRow)
	for n := range perRow {
		if n%8 == 0 {
			bytes = append(bytes, ' ')
		}
		if n >= len(part) {
			bytes = append(bytes, "   "...)
			continue
		}
		c := part[n]
		bytes = append(bytes, ' ', digits[c>>4], digits[c&15])
		if c < ' ' || c > '~' {
			c = '.'
		}
		text = append(text, c)
	}
	w.own(string(bytes)+"  ", Plain)
	w.own("|", Comment)
	w.own(string(text), String)
	w.own("|", Comment)
}

func (d dump) writeText(ctx context.Context, out io.Writer) error {
	b := bufio.NewWriter(out)
	for i := range d.rows() {
		if i%batch == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		b.WriteString(d.at(i).Text)
		b.WriteByte('\n')
	}
	return b.Flush()
}
