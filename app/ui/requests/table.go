// Package requests is the live table of requests. It draws as many rows as the
// screen shows and gives them new texts at the window's frame rate, so that its
// cost follows the screen's height and not the traffic.
package requests

import (
	"cmp"
	"maps"
	"time"

	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"
)

// Table shows a model.View. Its newest row stands on top; scrolling away from
// there holds the rows still until the top is reached again.
type Table struct {
	widget.BaseWidget
	view Rows
	cols []column

	scroll *container.Scroll
	body   *body

	labels   map[string]string // of the tunnels, by key; nil hides their column
	paused   bool
	selected uint64 // ID of the request, never a row number: rows move
	marked   uint64 // and of the one that waits to be compared
	endTold  int    // rows for which OnEnd was called
	now      func() time.Time

	// OnSelect is told the selected request, or nil.
	OnSelect func(*model.Request)
	// OnEscape is told of the Escape key when nothing is selected.
	OnEscape func()
	// OnEnd is called when the oldest rows come in sight, once for so many rows: there
	// may be more to load.
	OnEnd func()
	// OnOpen, OnReplay, OnCompare and OnCopy are told of the keys Enter, R, C and
	// Ctrl+C on the selected request.
	OnOpen, OnReplay, OnCompare, OnCopy func(*model.Request)
	// OnShortcut is handed the shortcuts that the table does not know; nil hands them
	// to the window's canvas.
	OnShortcut func(fyne.Shortcut)
}

// NewTable returns a table over the rows.
func NewTable(view Rows) *Table {
	t := &Table{view: view, now: time.Now}
	t.cols = columns(t.label, func() time.Time { return t.now() })
	t.body = newBody(t)
	t.scroll = container.NewVScroll(t.body)
	t.scroll.OnScrolled = func(fyne.Position) { t.scrolled() }
	t.ExtendBaseWidget(t)
	return t
}

// label is what the column of tunnels says: of a tunnel that has gone, its name is left.
func (t *Table) label(r *model.Request) string { return cmp.Or(t.labels[r.Tunnel], r.Name) }

// Sync takes in new requests and draws what changed.
func (t *Table) Sync() {
	if t.view.Sync() {
		t.refreshRows(false)
	} else {
		t.body.update(false) // open streams count on
	}
}

// Mark shows which request waits to be compared with another; 0 for none.
func (t *Table) Mark(id uint64) {
	t.marked = id
	t.body.update(false)
}

// Focus leads the keyboard to the rows.
func (t *Table) Focus() {
	if c := fyne.CurrentApp().Driver().CanvasForObject(t); c != nil {
		c.Focus(t.body)
	}
}

// tell calls f with the selected request, if there is one.
func (t *Table) tell(f func(*model.Request)) {
	if r := t.Selected(); r != nil && f != nil {
		f(r)
	}
}

// SetLabels shows a column that says which tunnel a request came through, by the
// labels of the tunnels' keys; nil hides it.
func (t *Table) SetLabels(labels map[string]string) {
	if maps.Equal(t.labels, labels) && (t.labels == nil) == (labels == nil) {
		return
	}
	t.labels = labels
	t.body.width = 0 // the columns are arranged anew
	t.Refresh()
}

func (t *Table) arrange(width float32) []span { return arrange(t.cols, width, t.labels != nil) }

// SetRows shows other rows, from the top.
func (t *Table) SetRows(rows Rows) {
	t.view, t.endTold = rows, 0
	t.ToTop()
}

// SetPaused holds the rows still although the table stands at the top.
func (t *Table) SetPaused(paused bool) {
	t.paused = paused
	t.scrolled()
}

// Paused reports whether the rows are held by SetPaused.
func (t *Table) Paused() bool { return t.paused }

// ShowNewest goes back to the top, to the latest requests.
func (t *Table) ShowNewest() {
	t.paused = false
	t.ToTop()
}

// ToTop starts at the newest row again, because the rows are others now. Paused,
// they stay so.
func (t *Table) ToTop() {
	t.endTold = 0
	t.scroll.ScrollToTop()
	t.view.Freeze(t.paused)
	t.refreshRows(true)
}

// scrolled follows the scroll bar: at the top rows follow, elsewhere they stand.
func (t *Table) scrolled() {
	t.view.Freeze(t.paused || t.scroll.Offset.Y > 0)
	t.refreshRows(false)
}

func (t *Table) refreshRows(force bool) {
	if t.body.setRows(t.view.Len()) {
		t.scroll.Refresh()
	}
	t.body.update(force)
	t.tellEnd()
}

// tellEnd calls OnEnd when the last rows are in sight.
func (t *Table) tellEnd() {
	n := t.view.Len()
	if n < t.endTold {
		t.endTold = 0 // they are others now
	}
	bottom := t.scroll.Offset.Y + t.scroll.Size().Height
	if t.OnEnd != nil && n > t.endTold && bottom > float32(n-10)*rowHeight {
		t.endTold = n
		t.OnEnd()
	}
}

// Selected returns the selected request, or nil when it is not in the view.
func (t *Table) Selected() *model.Request {
	if i := t.view.Index(t.selected); t.selected != 0 && i >= 0 {
		return t.view.At(i)
	}
	return nil
}

// Select selects the request with that ID and scrolls to it, if it is there.
func (t *Table) Select(id uint64) {
	if i := t.view.Index(id); i >= 0 {
		r := t.view.At(i)
		t.reveal(i)
		t.selectRequest(r)
	}
}

// Unselect clears the selection.
func (t *Table) Unselect() { t.selectRequest(nil) }

// escape undoes what the user did last: the selection, then what the window knows.
func (t *Table) escape() {
	if t.selected != 0 {
		t.Unselect()
	} else if t.OnEscape != nil {
		t.OnEscape()
	}
}

func (t *Table) selectRequest(r *model.Request) {
	t.selected = 0
	if r != nil {
		t.selected = r.ID
	}
	t.body.update(false)
	if t.OnSelect != nil {
		t.OnSelect(r)
	}
}

// move selects the row that lies by rows below the selected one, and shows it.
func (t *Table) move(by int) {
	if t.view.Len() == 0 {
		return
	}
	i := t.view.Index(t.selected)
	if t.selected == 0 || i < 0 {
		i = 0
	} else {
		i = min(max(i+by, 0), t.view.Len()-1)
	}
	r := t.view.At(i)
	t.reveal(i)
	t.selectRequest(r)
}

// reveal scrolls by as little as shows row i.
func (t *Table) reveal(i int) {
	top, bottom := float32(i)*rowHeight, float32(i+1)*rowHeight
	switch {
	case top < t.scroll.Offset.Y:
		t.scroll.Offset.Y = top
	case bottom > t.scroll.Offset.Y+t.scroll.Size().Height:
		t.scroll.Offset.Y = bottom - t.scroll.Size().Height
	}
	t.scroll.Refresh()
	t.scrolled()
}

// menu offers what the keys do, for the selected request.
func (t *Table) menu() []look.Item {
	var items []look.Item
	add := func(text, hint string, icon look.Icon, f func(*model.Request)) {
		if f != nil {
			items = append(items, look.Item{Text: text, Hint: hint, Icon: icon, Run: func() { t.tell(f) }})
		}
	}
	add(words.T("Inspect"), words.T("Enter"), look.IconSearch, t.OnOpen)
	add(words.T("Replay"), "R", look.IconReplay, t.OnReplay)
	add(words.T("Compare"), "C", look.IconCompare, t.OnCompare)
	add(words.T("Copy as cURL"), "", look.IconTerminal, t.OnCopy)
	return items
}

// ShowSelected scrolls to the selected row: the table may have become lower.
func (t *Table) ShowSelected() {
	if i := t.view.Index(t.selected); t.selected != 0 && i >= 0 {
		t.reveal(i)
	}
}

// CreateRenderer implements fyne.Widget.
func (t *Table) CreateRenderer() fyne.WidgetRenderer {
	r := &tableRenderer{owner: t, line: look.NewLine()}
	for _, c := range t.cols {
		r.heads = append(r.heads, &canvas.Text{Text: c.title, TextSize: look.TextSmall})
	}
	r.paint()
	return r
}

type tableRenderer struct {
	owner *Table
	heads []*canvas.Text
	line  *look.Shape
}

func (r *tableRenderer) paint() {
	for _, h := range r.heads {
		h.Color = look.Color(look.ColorMuted)
	}
}

func (r *tableRenderer) Layout(size fyne.Size) {
	for i, s := range r.owner.arrange(size.Width) {
		h := r.heads[i].MinSize().Height
		r.heads[i].Move(fyne.NewPos(s.x, (rowHeight-h)/2))
		r.heads[i].Resize(fyne.NewSize(s.w, h))
		r.heads[i].Hidden = s.w == 0
	}
	r.line.Move(fyne.NewPos(0, rowHeight))
	r.line.Resize(fyne.NewSize(size.Width, 1))
	r.owner.scroll.Move(fyne.NewPos(0, rowHeight+1))
	r.owner.scroll.Resize(fyne.NewSize(size.Width, max(size.Height-rowHeight-1, 0)))
	r.owner.body.update(true)
}

func (r *tableRenderer) MinSize() fyne.Size { return fyne.NewSize(240, 3*rowHeight) }

func (r *tableRenderer) Refresh() {
	r.paint()
	r.owner.scroll.Refresh() // its bars, should it have been hidden for long
	r.Layout(r.owner.Size())
	canvas.Refresh(r.owner)
}

func (r *tableRenderer) Objects() []fyne.CanvasObject {
	objs := []fyne.CanvasObject{r.line, r.owner.scroll}
	for _, h := range r.heads {
		objs = append(objs, h)
	}
	return objs
}

func (r *tableRenderer) Destroy() {}
