package look

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"
)

// ListRow is one row of a ListView: canvas objects that are made once and show now
// this line, now that one.
type ListRow interface {
	Objects() []fyne.CanvasObject
	// Place puts the objects at a height and width. It need not refresh them.
	Place(y, width float32)
	// Show shows line i, or nothing for -1, and refreshes what differs.
	Show(i int, selected bool)
}

// ListView shows thousands of lines of one height with only as many rows as fit.
type ListView struct {
	widget.BaseWidget
	// OnSelect is called when the user selects a line; without it lines cannot be
	// selected. OnKey takes keys that the list does not; OnEscape the Escape key.
	OnSelect func(i int)
	OnKey    func(*fyne.KeyEvent)
	OnEscape func()

	rowHeight float32
	newRow    func() ListRow
	n         int
	selected  int // -1 for none
	scroll    *container.Scroll
	body      *listBody
}

// NewListView returns an empty list whose lines are rowHeight high.
func NewListView(rowHeight float32, newRow func() ListRow) *ListView {
	l := &ListView{rowHeight: rowHeight, newRow: newRow, selected: -1}
	l.body = &listBody{list: l}
	l.body.ExtendBaseWidget(l.body)
	l.scroll = container.NewScroll(l.body)
	l.scroll.OnScrolled = func(fyne.Position) { l.body.update(false) }
	l.ExtendBaseWidget(l)
	return l
}

// SetLen says how many lines there are, and shows them anew.
func (l *ListView) SetLen(n int) {
	grown := l.n != n
	l.n = n
	if l.selected >= n {
		l.selected = -1
	}
	if grown {
		l.scroll.Refresh()
	}
	l.body.update(true)
}

// Len is how many lines there are.
func (l *ListView) Len() int { return l.n }

// Update shows again what the rows show.
func (l *ListView) Update() { l.body.update(false) }

// Selected is the selected line, or -1.
func (l *ListView) Selected() int { return l.selected }

// Select changes the selection without calling OnSelect; -1 for none.
func (l *ListView) Select(i int) {
	if i >= l.n {
		i = -1
	}
	if l.selected != i {
		l.selected = i
		l.body.update(false)
	}
}

// Top is the first line in sight.
func (l *ListView) Top() int { return int(l.scroll.Offset.Y / l.rowHeight) }

// ScrollBy scrolls by so many lines.
func (l *ListView) ScrollBy(lines int) {
	most := max(float32(l.n)*l.rowHeight-l.scroll.Size().Height, 0)
	y := min(max(l.scroll.Offset.Y+float32(lines)*l.rowHeight, 0), most)
	l.scroll.ScrollToOffset(fyne.NewPos(l.scroll.Offset.X, y))
	l.body.update(false)
}

// Reveal scrolls as far as line i needs to be seen.
func (l *ListView) Reveal(i int) {
	top, view := float32(i)*l.rowHeight, l.scroll.Size().Height
	switch offset := l.scroll.Offset.Y; {
	case top < offset:
		l.scroll.ScrollToOffset(fyne.NewPos(l.scroll.Offset.X, top))
	case top+l.rowHeight > offset+view:
		l.scroll.ScrollToOffset(fyne.NewPos(l.scroll.Offset.X, top+l.rowHeight-view))
	}
	l.body.update(false)
}

// Focusable is what takes the keyboard.
func (l *ListView) Focusable() fyne.Focusable { return l.body }

// CreateRenderer implements fyne.Widget.
func (l *ListView) CreateRenderer() fyne.WidgetRenderer {
	r := &listRenderer{l, &canvas.Rectangle{StrokeWidth: 1}}
	r.paint()
	return laid(r, l)
}

type listRenderer struct {
	*ListView
	ring *canvas.Rectangle // shows the focus
}

func (r *listRenderer) paint() {
	r.ring.Hidden = !r.body.focused
	r.ring.StrokeColor = Color(ColorAccent)
}

func (r *listRenderer) Layout(size fyne.Size) {
	r.ring.Resize(size)
	r.scroll.Resize(size)
	r.body.update(true)
}
func (r *listRenderer) MinSize() fyne.Size { return fyne.NewSize(80, r.rowHeight) }
func (r *listRenderer) Refresh() {
	r.paint()
	r.ring.Refresh()
	r.scroll.Refresh()
	r.body.update(true)
}
func (r *listRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.scroll, r.ring} }
func (r *listRenderer) Destroy()                     {}

// listBody is the inside of the scroll: as high as all lines, but holding only the
// rows that can be seen.
type listBody struct {
	widget.BaseWidget
	list  *ListView
	pool  []ListRow
	first int
	width float32

	focused bool
}

var (
	_ fyne.Tappable  = (*listBody)(nil)
	_ fyne.Focusable = (*listBody)(nil)
)

func (b *listBody) update(force bool) {
	l := b.list
	size := l.scroll.Size()
	if size.Width <= 0 || size.Height <= 0 {
		return
	}
	width := size.Width
	grown := false
	for want := int(size.Height/l.rowHeight) + 2; len(b.pool) < want; grown = true {
		b.pool = append(b.pool, l.newRow())
	}
	first := max(int(l.scroll.Offset.Y/l.rowHeight), 0)
	moved := first != b.first || width != b.width || grown || force
	b.first, b.width = first, width
	for n, row := range b.pool {
		if moved {
			row.Place(float32(first+n)*l.rowHeight, width)
		}
		i := first + n
		if i >= l.n {
			i = -1
		}
		row.Show(i, i >= 0 && i == l.selected)
	}
	if grown || force {
		canvas.Refresh(b)
	}
}

func (b *listBody) choose(i int) {
	l := b.list
	if l.OnSelect == nil || l.n == 0 {
		return
	}
	i = max(min(i, l.n-1), 0)
	if l.selected != i {
		l.selected = i
		l.OnSelect(i)
	}
	l.Reveal(i)
}

// Tapped selects the line under the pointer and takes the focus.
func (b *listBody) Tapped(ev *fyne.PointEvent) {
	if i := int(ev.Position.Y / b.list.rowHeight); i >= 0 && i < b.list.n {
		b.choose(i)
	}
	if c := fyne.CurrentApp().Driver().CanvasForObject(b); c != nil {
		c.Focus(b)
	}
}

// FocusGained implements fyne.Focusable.
func (b *listBody) FocusGained() {
	b.focused = true
	b.list.Refresh()
	if b.list.selected < 0 {
		b.choose(b.first)
	}
}

// FocusLost implements fyne.Focusable.
func (b *listBody) FocusLost() {
	b.focused = false
	b.list.Refresh()
}

// TypedRune implements fyne.Focusable.
func (b *listBody) TypedRune(rune) {}

// TypedKey moves the selection, or scrolls where lines cannot be selected.
func (b *listBody) TypedKey(ev *fyne.KeyEvent) {
	l := b.list
	page := max(int(l.scroll.Size().Height/l.rowHeight)-1, 1)
	switch ev.Name {
	case fyne.KeyUp:
		b.move(-1)
	case fyne.KeyDown:
		b.move(1)
	case fyne.KeyPageUp:
		b.move(-page)
	case fyne.KeyPageDown:
		b.move(page)
	case fyne.KeyHome:
		b.move(-l.n)
	case fyne.KeyEnd:
		b.move(l.n)
	case fyne.KeyEscape:
		escape(b, l.OnEscape)
	default:
		if l.OnKey != nil {
			l.OnKey(ev)
		}
	}
}

func (b *listBody) move(by int) {
	l := b.list
	if l.OnSelect != nil {
		b.choose(max(l.selected, 0) + by)
		return
	}
	l.ScrollBy(by)
}

// CreateRenderer implements fyne.Widget.
func (b *listBody) CreateRenderer() fyne.WidgetRenderer { return &listBodyRenderer{b} }

type listBodyRenderer struct{ *listBody }

func (r *listBodyRenderer) Layout(fyne.Size) {}
func (r *listBodyRenderer) MinSize() fyne.Size {
	return fyne.NewSize(0, float32(r.list.n)*r.list.rowHeight)
}
func (r *listBodyRenderer) Refresh() {}
func (r *listBodyRenderer) Objects() []fyne.CanvasObject {
	var o []fyne.CanvasObject
	for _, row := range r.pool {
		o = append(o, row.Objects()...)
	}
	return o
}
func (r *listBodyRenderer) Destroy() {}
