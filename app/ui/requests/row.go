package requests

import (
	"image/color"
	"unicode/utf8"

	"culvert/app/ui/look"
	"culvert/app/ui/model"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/theme"
)

const rowHeight float32 = 28

var mono = fyne.TextStyle{Monospace: true}

// row is one line on the screen. The pool of rows is as long as the screen is
// high and never grows with the log: rows take new texts, they are not made anew.
type row struct {
	back  *canvas.Rectangle
	edge  *canvas.Rectangle // at the left: shows the focus, or a mark
	cells []*canvas.Text
	whole []string // the texts before they were cut, to notice changes cheaply

	request *model.Request
	state   rowState
}

// rowState is how a row stands out from the others.
type rowState struct {
	selected bool
	focused  bool // and the keyboard leads there
	hovered  bool
	marked   bool // waits to be compared
}

func newRow(cols []column) *row {
	r := &row{back: canvas.NewRectangle(color.Transparent), edge: canvas.NewRectangle(color.Transparent), whole: make([]string, len(cols))}
	for _, c := range cols {
		style := mono
		style.Bold = c.bold
		r.cells = append(r.cells, &canvas.Text{TextSize: look.TextSmall, TextStyle: style})
	}
	return r
}

func (r *row) objects() []fyne.CanvasObject {
	objs := []fyne.CanvasObject{r.back, r.edge}
	for _, c := range r.cells {
		objs = append(objs, c)
	}
	return objs
}

// place moves the row to its line and its cells to their columns.
func (r *row) place(y, width float32, spans []span) {
	r.back.Move(fyne.NewPos(0, y))
	r.back.Resize(fyne.NewSize(width, rowHeight))
	place(r.edge, 0, y, 3, rowHeight)
	for i, c := range r.cells {
		h := c.MinSize().Height
		c.Move(fyne.NewPos(spans[i].x, y+(rowHeight-h)/2))
		c.Resize(fyne.NewSize(spans[i].w, h))
		c.Hidden = spans[i].w == 0
	}
}

// paint draws what stands behind the texts.
func (r *row) paint(req *model.Request, state rowState, force bool) {
	if req == nil {
		state = rowState{}
	}
	if r.state == state && !force {
		return
	}
	r.state = state
	r.back.FillColor, r.edge.FillColor = color.Transparent, color.Transparent
	switch {
	case state.selected:
		r.back.FillColor = look.Color(look.ColorSelected)
	case state.hovered:
		r.back.FillColor = look.Color(theme.ColorNameHover)
	}
	switch {
	case state.marked:
		r.edge.FillColor = look.Color(look.ColorWarn)
	case state.focused:
		r.edge.FillColor = look.Color(look.ColorAccent)
	}
	r.back.Refresh()
	r.edge.Refresh()
}

// show fills the row; nil empties it. Only what differs is drawn again, unless
// force says that widths or colours have changed.
func (r *row) show(req *model.Request, state rowState, force bool, b *body) {
	r.paint(req, state, force)
	// An open stream grows in place: its row says more although it is the same.
	if r.request == req && !force && (req == nil || !req.Open) {
		return
	}
	r.request = req
	for i := range b.table.cols {
		col := &b.table.cols[i]
		var text string
		var tint color.Color = color.Transparent
		if req != nil {
			text, tint = look.Clean(col.words(req, b.width)), look.Color(col.tint(req))
		}
		cell := r.cells[i]
		if !force && r.whole[i] == text && cell.Color == tint {
			continue
		}
		r.whole[i] = text
		cell.Text, cell.Color = cut(text, b.spans[i].w-8, b.char), tint
		cell.Refresh()
	}
}

// cut shortens text to a width. In a fixed-width font counting is enough, and
// measuring hundreds of texts per second would not be.
func cut(text string, width, char float32) string {
	n := int(width / char)
	if n <= 0 || len(text) <= n {
		return text
	}
	if utf8.RuneCountInString(text) == len(text) {
		return text[:max(n-1, 0)] + "…"
	}
	return look.Ellipsis(text, width, look.TextSmall, mono)
}
