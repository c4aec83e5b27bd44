package settings

import (
	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
)

// nav is the column of the pages' names: one stop for the Tab key, in which Up and
// Down go from page to page.
type nav struct {
	widget.BaseWidget
	items    []navItem
	selected int
	hovered  int
	focused  bool
	chosen   func(i int)
	escape   func()
}

type navItem struct {
	icon  look.Icon
	label string
}

var (
	_ fyne.Tappable      = (*nav)(nil)
	_ fyne.Focusable     = (*nav)(nil)
	_ desktop.Hoverable  = (*nav)(nil)
	_ desktop.Cursorable = (*nav)(nil)
)

func newNav(items []navItem, chosen func(i int), escape func()) *nav {
	n := &nav{items: items, hovered: -1, chosen: chosen, escape: escape}
	n.ExtendBaseWidget(n)
	return n
}

func (n *nav) selectItem(i int) {
	if n.selected != i {
		n.selected = i
		n.Refresh()
	}
}

func (n *nav) choose(i int) {
	if i >= 0 && i < len(n.items) && i != n.selected {
		n.selectItem(i)
		n.chosen(i)
	}
}

func (n *nav) at(y float32) int {
	i := int((y - navPad) / navHeight)
	if y < navPad || i >= len(n.items) {
		return -1
	}
	return i
}

// Tapped implements fyne.Tappable.
func (n *nav) Tapped(ev *fyne.PointEvent) {
	if i := n.at(ev.Position.Y); i == n.selected {
		n.chosen(i) // back from a page within the page
	} else {
		n.choose(i)
	}
}

// Cursor implements desktop.Cursorable.
func (n *nav) Cursor() desktop.Cursor {
	if n.hovered >= 0 {
		return desktop.PointerCursor
	}
	return desktop.DefaultCursor
}

// MouseIn implements desktop.Hoverable.
func (n *nav) MouseIn(ev *desktop.MouseEvent) { n.hover(n.at(ev.Position.Y)) }

// MouseMoved implements desktop.Hoverable.
func (n *nav) MouseMoved(ev *desktop.MouseEvent) { n.hover(n.at(ev.Position.Y)) }

// MouseOut implements desktop.Hoverable.
func (n *nav) MouseOut() { n.hover(-1) }

func (n *nav) hover(i int) {
	if n.hovered != i {
		n.hovered = i
		n.Refresh()
	}
}

// FocusGained implements fyne.Focusable.
func (n *nav) FocusGained() { n.focused = true; n.Refresh() }

// FocusLost implements fyne.Focusable.
func (n *nav) FocusLost() { n.focused = false; n.Refresh() }

// TypedRune implements fyne.Focusable.
func (n *nav) TypedRune(rune) {}

// TypedKey implements fyne.Focusable.
func (n *nav) TypedKey(ev *fyne.KeyEvent) {
	switch ev.Name {
	case fyne.KeyUp, fyne.KeyLeft:
		n.choose(n.selected - 1)
	case fyne.KeyDown, fyne.KeyRight:
		n.choose(n.selected + 1)
	case fyne.KeyHome:
		n.choose(0)
	case fyne.KeyEnd:
		n.choose(len(n.items) - 1)
	case fyne.KeyEscape:
		n.escape()
	}
}

// AccessibilityLabel implements fyne.Accessible.
func (n *nav) AccessibilityLabel() string { return n.items[n.selected].label }

// AccessibilityRole implements fyne.Accessible.
func (n *nav) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleButton }

const (
	navHeight float32 = 32
	navPad    float32 = 8
	navWidth  float32 = 176
)

// CreateRenderer implements fyne.Widget.
func (n *nav) CreateRenderer() fyne.WidgetRenderer {
	r := &navRenderer{owner: n, mark: &canvas.Rectangle{CornerRadius: look.Radius}, hover: &canvas.Rectangle{CornerRadius: look.Radius}}
	for _, it := range n.items {
		r.icons = append(r.icons, look.NewPicture(it.icon, look.ColorMuted))
		r.labels = append(r.labels, look.NewText("", look.ColorText, look.TextBody, fyne.TextStyle{}))
	}
	r.paint()
	// The toolkit forgets renderers of what was hidden for long, and does not lay out
	// what the next one shows.
	r.Layout(n.Size())
	return r
}

type navRenderer struct {
	owner       *nav
	mark, hover *canvas.Rectangle
	icons       []*look.Picture
	labels      []*look.Text
}

func (r *navRenderer) paint() {
	n := r.owner
	r.mark.FillColor = look.Color(look.ColorSelected)
	r.mark.StrokeWidth, r.mark.StrokeColor = 0, nil
	if n.focused {
		r.mark.StrokeWidth, r.mark.StrokeColor = 2, look.Color(look.ColorAccent)
	}
	r.hover.FillColor = look.Color("hover")
	r.hover.Hidden = n.hovered < 0 || n.hovered == n.selected
	for i, it := range n.items {
		tint := look.ColorMuted
		if i == n.selected {
			tint = look.ColorText
		}
		r.icons[i].Set(it.icon, tint)
		r.labels[i].Set(it.label, tint)
	}
}

func (r *navRenderer) Layout(size fyne.Size) {
	w := size.Width - 2*navPad
	y := func(i int) float32 { return navPad + float32(i)*navHeight }
	place(r.mark, navPad, y(r.owner.selected), w, navHeight)
	place(r.hover, navPad, y(max(r.owner.hovered, 0)), w, navHeight)
	for i := range r.labels {
		place(r.icons[i], navPad+10, y(i)+(navHeight-look.IconSize)/2, look.IconSize, look.IconSize)
		x := navPad + 10 + look.IconSize + look.Gap
		place(r.labels[i], x, y(i), size.Width-x-navPad, navHeight)
	}
}

func (r *navRenderer) MinSize() fyne.Size {
	return fyne.NewSize(navWidth, 2*navPad+navHeight*float32(len(r.owner.items)))
}

func (r *navRenderer) Refresh() {
	r.paint()
	r.Layout(r.owner.Size())
	canvas.Refresh(r.owner)
}

func (r *navRenderer) Objects() []fyne.CanvasObject {
	out := []fyne.CanvasObject{r.hover, r.mark}
	for i := range r.labels {
		out = append(out, r.icons[i], r.labels[i])
	}
	return out
}

func (r *navRenderer) Destroy() {}
