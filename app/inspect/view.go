// Package inspect makes a body something to look at: lines of text with colours,
// whatever it is, laid out no further than they are asked for, or a picture. It also
// tells what differs between two exchanges. Bodies come from strangers: nothing here
// trusts them, and everything has a bound.
package inspect

import (
	"bytes"
	"context"
	"image"
	"io"
	"slices"
	"sync"

	"culvert/app/exchange"
)

// Mode is how a body is shown.
type Mode int

// The modes: laid out by its kind, as it is, and byte by byte.
const (
	Pretty Mode = iota
	Raw
	Hex
)

// MaxRunes is the length of a row.
const MaxRunes = 120

const (
	// maxBody bounds what a body may grow to when its content codings are undone.
	maxBody = 16 << 20
	// maxRows bounds the rows of one view: 16 bytes each.
	maxRows = 1 << 20
	// firstRows are laid out at once: some screens.
	firstRows = 512
)

// View is a body in one mode. Its methods may be called by several goroutines.
type View struct {
	Kind Kind
	Mode Mode
	// Notes are what is to be said about the body at once. AllNotes has what was found
	// later, too.
	Notes []Note
	// Image is the picture in mode Pretty, scaled down if it is large, or nil. Width
	// and Height are its real size, and Format its name, such as "PNG".
	Image         image.Image
	Width, Height int
	Format        string

	body []byte // without content codings
	text []byte // the body as UTF-8; nil if it is binary
	cut  bool   // text is only the start

	work   sync.Mutex // held by who lays out
	layout layout     // nil for Hex

	mu    sync.RWMutex
	rows  []row
	drawn drawing
	later []Note
	done  bool
}

// layout finds rows. It is one goroutine's at a time.
type layout interface {
	// next appends up to n rows, or a few more, and says whether there are others.
	next(rows []row, n int) (more []row, done bool)
	// drawing draws the rows that next has found so far.
	drawing() drawing
	// notes are what next has found to be said, once.
	notes() []Note
	// writeText writes all the lines, each whole.
	writeText(ctx context.Context, w io.Writer) error
}

// drawing makes a line of a row. It does not change.
type drawing interface{ line(r row) Line }

// row is a part of a text that is one line on the screen.
type row struct {
	start, end uint32
	indent     uint16 // columns
	lead       uint16 // bytes of the class first
	first      Class
	rest       Class
	continued  bool
}

// New lays out the first rows of a message's body. Its error is the context's.
func New(ctx context.Context, m exchange.Message, mode Mode) (*View, error) {
	v := &View{Mode: mode}
	if m.Dropped || len(m.Body) == 0 {
		if m.Size > 0 {
			v.Notes = append(v.Notes, Note{Kind: Dropped, B: m.Size})
		}
		v.done = true
		return v, ctx.Err()
	}
	if m.Truncated {
		v.Notes = append(v.Notes, Note{Kind: Truncated, A: int64(len(m.Body)), B: m.Size})
	}
	v.cut = m.Truncated
	v.decode(ctx, m)
	return v.open(ctx, m.Header.Get("Content-Type"))
}

// NewMessage lays out the first rows of a WebSocket message or an event.
func NewMessage(ctx context.Context, m exchange.StreamMessage, mode Mode) (*View, error) {
	v := &View{Mode: mode, body: m.Data, cut: m.Truncated}
	if m.Truncated {
		v.Notes = append(v.Notes, Note{Kind: Truncated, A: int64(len(m.Data)), B: m.Size})
	}
	if len(m.Data) == 0 {
		v.done = true
		return v, ctx.Err()
	}
	switch m.Kind {
	case exchange.Text, exchange.Event:
		return v.open(ctx, "text/plain; charset=utf-8")
	case exchange.Close:
		// A status and words (RFC 6455, 5.5.1): the words are what is to be read.
		if len(m.Data) >= 2 && mode == Pretty {
			v.Kind, v.text = Text, closeText(m.Data)
			v.layout = &plain{src: v.text}
			return v, v.More(ctx, firstRows)
		}
	}
	return v.open(ctx, "")
}

// open finds out what the body is, and lays out the start.
func (v *View) open(ctx context.Context, contentType string) (*View, error) {
	v.recognise(contentType)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case v.Mode == Hex:
	case v.Mode == Raw:
		if v.text != nil || v.Kind == Multipart {
			v.layout = &plain{src: v.words()}
		}
	case v.Kind == Image && v.picture(ctx):
		v.done = true
		return v, ctx.Err()
	case v.Kind == JSON:
		v.layout = &pretty{src: v.text, cut: v.cut}
	case v.Kind == Form:
		v.layout = &form{src: v.text}
	case v.Kind == Multipart:
		v.layout = newMultipart(v.body, contentType)
	case v.text != nil:
		v.layout = &plain{src: v.text}
	}
	if v.layout == nil {
		v.drawn, v.done = dump(v.body), true
		return v, ctx.Err()
	}
	if err := v.More(ctx, firstRows); err != nil {
		return nil, err
	}
	v.Notes = append(v.Notes, v.later...)
	v.later = nil
	return v, nil
}

// words is the body as text, also if it is none.
func (v *View) words() []byte {
	if v.text != nil {
		return v.text
	}
	return v.body
}

// Len is the number of rows that are laid out.
func (v *View) Len() int {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.length()
}

func (v *View) length() int {
	if d, ok := v.drawn.(dump); ok {
		return d.rows()
	}
	return len(v.rows)
}

// Done says that there are no more rows than Len.
func (v *View) Done() bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.done
}

// AllNotes are Notes, and what laying out further rows has found.
func (v *View) AllNotes() []Note {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return slices.Concat(v.Notes, v.later)
}

// batch is how many rows are laid out between two looks at the context.
const batch = 1024

// More lays out further rows, until there are n of them or no more. It may take
// some time, in which Len and Line are not held up.
func (v *View) More(ctx context.Context, n int) error {
	v.work.Lock()
	defer v.work.Unlock()
	var rows []row
	for !v.Done() && v.Len() < n {
		if err := ctx.Err(); err != nil {
			return err
		}
		var done bool
		rows, done = v.layout.next(rows[:0], batch)
		v.mu.Lock()
		v.rows = append(v.rows, rows...)
		v.later = append(v.later, v.layout.notes()...)
		if len(v.rows) >= maxRows {
			v.rows, done = v.rows[:maxRows], true
			v.later = append(v.later, Note{Kind: TooManyRows, A: maxRows})
		}
		v.drawn, v.done = v.layout.drawing(), done
		v.mu.Unlock()
	}
	return ctx.Err()
}

// Line is the row with that index, below Len.
func (v *View) Line(i int) Line {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if d, ok := v.drawn.(dump); ok {
		return d.at(i)
	}
	if i < 0 || i >= len(v.rows) {
		return Line{}
	}
	return v.drawn.line(v.rows[i])
}

// Body is the whole body without its content codings: what is to be saved.
func (v *View) Body() []byte { return v.body }

// WriteText writes all of the body in its mode, without cutting rows: what is to be
// copied. A picture is written byte by byte.
func (v *View) WriteText(ctx context.Context, w io.Writer) error {
	if v.layout == nil {
		return dump(v.body).writeText(ctx, w)
	}
	if _, ok := v.layout.(*plain); ok {
		_, err := w.Write(bytes.ToValidUTF8(v.words(), []byte("\uFFFD")))
		return err
	}
	v.work.Lock()
	defer v.work.Unlock()
	return v.layout.writeText(ctx, w)
}
