package requests

import (
	"slices"

	"culvert/app/ui/look"
	"culvert/app/ui/model"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
)

// body is the inside of the scroll: as high as all rows, but holding only those
// that can be seen.
type body struct {
	widget.BaseWidget
	table *Table
	pool  []*row // in the order of the screen
	turn  int    // counts changes of the pool
	n     int    // rows of the view
	first int    // row of the view that pool[0] shows

	hovered int // row under the pointer, or -1
	focused bool

	width float32
	spans []span
	char  float32 // width of a character
}

var (
	_ fyne.Tappable          = (*body)(nil)
	_ fyne.SecondaryTappable = (*body)(nil)
	_ fyne.Focusable         = (*body)(nil)
	_ fyne.Shortcutable      = (*body)(nil)
	_ desktop.Hoverable      = (*body)(nil)
)

func newBody(t *Table) *body {
	b := &body{table: t, hovered: -1}
	b.ExtendBaseWidget(b)
	return b
}

// setRows reports whether the number of rows changed.
func (b *body) setRows(n int) bool {
	if b.n == n {
		return false
	}
	b.n = n
	return true
}

// update brings the pool to what should be seen now.
func (b *body) update(force bool) {
	view, size := b.table.view, b.table.scroll.Size()
	if size.Width <= 0 || size.Height <= 0 {
		return
	}
	if b.char == 0 {
		b.char = fyne.MeasureText("0123456789", look.TextSmall, mono).Width / 10
	}
	if b.width != size.Width {
		b.width, b.spans, force = size.Width, b.table.arrange(size.Width), true
	}
	grown := false
	for want := int(size.Height/rowHeight) + 2; len(b.pool) < want; grown = true {
		b.pool = append(b.pool, newRow(b.table.cols))
	}
	first := max(int(b.table.scroll.Offset.Y/rowHeight), 0)
	rotated := b.rotate(first)
	if rotated || grown {
		b.turn++
	}
	moved := rotated || first != b.first || grown || force
	b.first = first
	for i, r := range b.pool {
		if moved {
			r.place(float32(first+i)*rowHeight, size.Width, b.spans)
		}
		var req *model.Request
		if first+i < view.Len() {
			req = view.At(first + i)
		}
		r.show(req, b.stateOf(req, first+i), force, b)
	}
	if grown || force {
		b.Refresh()
	}
}

// rotate lets rows on the screen keep their requests where these have only moved:
// drawing a text anew costs far more than moving it.
func (b *body) rotate(first int) bool {
	view, n := b.table.view, len(b.pool)
	shows := func(r *row, i int) bool {
		return r.request != nil && i < view.Len() && r.request.ID == view.At(i).ID
	}
	if n == 0 || shows(b.pool[0], first) {
		return false
	}
	for by := 1; by < n; by++ {
		switch {
		case shows(b.pool[0], first+by): // rows came above
			b.pool = slices.Concat(b.pool[n-by:], b.pool[:n-by])
			return true
		case shows(b.pool[by], first): // scrolled down
			b.pool = slices.Concat(b.pool[by:], b.pool[:by])
			return true
		}
	}
	return false
}

func (b *body) stateOf(req *model.Request, i int) rowState {
	if req == nil {
		return rowState{}
	}
	selected := req.ID == b.table.selected
	return rowState{selected: selected, focused: selected && b.focused, hovered: b.hovered == i, marked: req.ID == b.table.marked}
}

// Tapped selects the row under the pointer, and takes the focus, so that the arrow
// keys go on from there.
func (b *body) Tapped(ev *fyne.PointEvent) {
	if i := int(ev.Position.Y / rowHeight); i >= 0 && i < b.table.view.Len() {
		b.table.selectRequest(b.table.view.At(i))
	}
	if c := fyne.CurrentApp().Driver().CanvasForObject(b); c != nil {
		c.Focus(b)
	}
}

// TappedSecondary selects the row under the pointer, and offers what can be done with
// it.
func (b *body) TappedSecondary(ev *fyne.PointEvent) {
	b.Tapped(ev)
	items := b.table.menu()
	if row := int(ev.Position.Y/rowHeight) - b.first; len(items) > 0 && row >= 0 && row < len(b.pool) && b.pool[row].request != nil {
		look.ShowMenu(b.pool[row].cells[pathColumn], items)
	}
}

// FocusGained implements fyne.Focusable. A selection shows where the focus is.
func (b *body) FocusGained() {
	b.focused = true
	b.update(false)
	if view := b.table.view; b.table.Selected() == nil && b.first < view.Len() {
		b.table.selectRequest(view.At(b.first))
	}
}

// FocusLost implements fyne.Focusable.
func (b *body) FocusLost() {
	b.focused = false
	b.update(false)
}

// MouseIn implements desktop.Hoverable.
func (b *body) MouseIn(ev *desktop.MouseEvent) { b.hover(int(ev.Position.Y / rowHeight)) }

// MouseMoved implements desktop.Hoverable.
func (b *body) MouseMoved(ev *desktop.MouseEvent) { b.hover(int(ev.Position.Y / rowHeight)) }

// MouseOut implements desktop.Hoverable.
func (b *body) MouseOut() { b.hover(-1) }

func (b *body) hover(i int) {
	if b.hovered != i {
		b.hovered = i
		b.update(false)
	}
}

// TypedRune implements fyne.Focusable.
func (b *body) TypedRune(rune) {}

// TypedKey implements fyne.Focusable.
func (b *body) TypedKey(ev *fyne.KeyEvent) {
	page := max(int(b.table.scroll.Size().Height/rowHeight)-1, 1)
	switch ev.Name {
	case fyne.KeyUp:
		b.table.move(-1)
	case fyne.KeyDown:
		b.table.move(1)
	case fyne.KeyPageUp:
		b.table.move(-page)
	case fyne.KeyPageDown:
		b.table.move(page)
	case fyne.KeyHome:
		b.table.move(-b.n)
	case fyne.KeyEnd:
		b.table.move(b.n)
	case fyne.KeyEscape:
		b.table.escape()
	case fyne.KeyReturn, fyne.KeyEnter:
		b.table.tell(b.table.OnOpen)
	case fyne.KeyR:
		b.table.tell(b.table.OnReplay)
	case fyne.KeyC:
		b.table.tell(b.table.OnCompare)
	}
}

// TypedShortcut implements fyne.Shortcutable; the window's own go on to it.
func (b *body) TypedShortcut(s fyne.Shortcut) {
	if _, ok := s.(*fyne.ShortcutCopy); ok {
		b.table.tell(b.table.OnCopy)
	} else if b.table.OnShortcut != nil {
		b.table.OnShortcut(s)
	} else if c, ok := fyne.CurrentApp().Driver().CanvasForObject(b).(fyne.Shortcutable); ok {
		c.TypedShortcut(s)
	}
}

// CreateRenderer implements fyne.Widget.
func (b *body) CreateRenderer() fyne.WidgetRenderer { return &bodyRenderer{owner: b, turn: -1} }

type bodyRenderer struct {
	owner   *body
	turn    int // of the pool that objects are from; the toolkit makes renderers anew at times
	objects []fyne.CanvasObject
}

func (r *bodyRenderer) Layout(fyne.Size)   {}
func (r *bodyRenderer) MinSize() fyne.Size { return fyne.NewSize(0, float32(r.owner.n)*rowHeight) }
func (r *bodyRenderer) Destroy()           {}

// Refresh follows a grown pool; the rows themselves are kept up to date by update.
func (r *bodyRenderer) Refresh() { r.Objects() }

// Objects stand in the order of the screen, whichever rows have moved.
func (r *bodyRenderer) Objects() []fyne.CanvasObject {
	if r.turn != r.owner.turn {
		r.turn = r.owner.turn
		r.objects = make([]fyne.CanvasObject, 0, len(r.objects))
		for _, row := range r.owner.pool {
			r.objects = append(r.objects, row.objects()...)
		}
	}
	return r.objects
}
