package look

import (
	"image/color"
	"slices"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
)

// Select shows one of several options and opens the others as a menu. Up and Down
// change it when it has the focus, Enter and Space open the menu.
type Select struct {
	widget.BaseWidget
	prefix   string // muted words before the option, may be ""
	options  []string
	selected int
	height   float32
	changed  func(i int)
	// More are items beneath the options, such as "Manage…".
	More func() []Item
	// OnFocus is called when the focus comes and goes, such as to scroll to it.
	OnFocus func(focused bool)

	hovered, focused bool
}

var (
	_ fyne.Tappable      = (*Select)(nil)
	_ fyne.Focusable     = (*Select)(nil)
	_ desktop.Hoverable  = (*Select)(nil)
	_ desktop.Cursorable = (*Select)(nil)
)

// NewSelect returns a select of the height Middle with the first option selected;
// changed is called when the user selects another.
func NewSelect(options []string, changed func(i int)) *Select {
	s := &Select{options: options, height: Middle, changed: changed}
	s.ExtendBaseWidget(s)
	return s
}

// SetPrefix puts muted words before the option.
func (s *Select) SetPrefix(prefix string) {
	if s.prefix != prefix {
		s.prefix = prefix
		s.Refresh()
	}
}

// SetOptions changes options and selection without calling changed.
func (s *Select) SetOptions(options []string, selected int) {
	if s.selected == selected && slices.Equal(s.options, options) {
		return
	}
	s.options, s.selected = slices.Clone(options), selected
	s.Refresh()
}

// Select changes the selection without calling changed.
func (s *Select) Select(i int) { s.SetOptions(s.options, i) }

// Selected is the index of the option in force.
func (s *Select) Selected() int { return s.selected }

// Text is the option in force.
func (s *Select) Text() string {
	if s.selected < 0 || s.selected >= len(s.options) {
		return ""
	}
	return s.options[s.selected]
}

func (s *Select) choose(i int) {
	if i < 0 || i >= len(s.options) || i == s.selected {
		return
	}
	s.selected = i
	s.Refresh()
	if s.changed != nil {
		s.changed(i)
	}
}

// Tapped opens the menu.
func (s *Select) Tapped(*fyne.PointEvent) {
	var items []Item
	for i, o := range s.options {
		items = append(items, Item{Text: o, Checked: i == s.selected, Run: func() { s.choose(i) }})
	}
	if s.More != nil {
		if more := s.More(); len(more) > 0 {
			items = append(append(items, Item{Separator: true}), more...)
		}
	}
	ShowMenu(s, items)
}

// Cursor implements desktop.Cursorable.
func (s *Select) Cursor() desktop.Cursor { return desktop.PointerCursor }

// MouseIn implements desktop.Hoverable.
func (s *Select) MouseIn(*desktop.MouseEvent) { s.hovered = true; s.Refresh() }

// MouseMoved implements desktop.Hoverable.
func (s *Select) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements desktop.Hoverable.
func (s *Select) MouseOut() { s.hovered = false; s.Refresh() }

// FocusGained implements fyne.Focusable.
func (s *Select) FocusGained() { s.focus(true) }

// FocusLost implements fyne.Focusable.
func (s *Select) FocusLost() { s.focus(false) }

func (s *Select) focus(focused bool) {
	s.focused = focused
	s.Refresh()
	if s.OnFocus != nil {
		s.OnFocus(focused)
	}
}

// TypedRune implements fyne.Focusable.
func (s *Select) TypedRune(rune) {}

// TypedKey implements fyne.Focusable.
func (s *Select) TypedKey(ev *fyne.KeyEvent) {
	switch ev.Name {
	case fyne.KeyUp:
		s.choose(s.selected - 1)
	case fyne.KeyDown:
		s.choose(s.selected + 1)
	case fyne.KeySpace, fyne.KeyReturn, fyne.KeyEnter:
		s.Tapped(nil)
	case fyne.KeyEscape:
		escape(s, nil)
	}
}

// AccessibilityLabel implements fyne.Accessible.
func (s *Select) AccessibilityLabel() string { return strings.TrimSpace(s.prefix + " " + s.Text()) }

// AccessibilityRole implements fyne.Accessible.
func (s *Select) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleButton }

// Natural is the size that the whole option needs.
func (s *Select) Natural() fyne.Size {
	w := fyne.MeasureText(s.Text(), TextBody, fyne.TextStyle{Bold: s.prefix != ""}).Width + 10 + 30
	if s.prefix != "" {
		w += fyne.MeasureText(s.prefix+" ", TextBody, fyne.TextStyle{}).Width
	}
	return fyne.NewSize(w, s.height)
}

// CreateRenderer implements fyne.Widget.
func (s *Select) CreateRenderer() fyne.WidgetRenderer {
	r := &selectRenderer{owner: s, back: &canvas.Rectangle{CornerRadius: Radius, StrokeWidth: 1},
		prefix: &canvas.Text{TextSize: TextBody}, text: &canvas.Text{TextSize: TextBody}, arrow: NewImage(IconChevron, ColorMuted)}
	r.paint()
	return laid(r, s)
}

type selectRenderer struct {
	owner        *Select
	back         *canvas.Rectangle
	prefix, text *canvas.Text
	arrow        *canvas.Image
}

func (r *selectRenderer) paint() {
	s := r.owner
	r.back.FillColor, r.back.StrokeColor, r.back.StrokeWidth = color.Transparent, Color(ColorLine), 1
	if s.hovered {
		r.back.FillColor = Color("hover")
	}
	if s.focused {
		r.back.StrokeColor, r.back.StrokeWidth = Color(ColorAccent), 2
	}
	r.prefix.Text, r.prefix.Color = s.prefix, Color(ColorMuted)
	r.text.Color = Color(ColorText)
	r.text.TextStyle.Bold = s.prefix != ""
	r.arrow.Resource = IconChevron.Resource(ColorMuted)
}

func (r *selectRenderer) Layout(size fyne.Size) {
	s := r.owner
	r.back.Resize(size)
	x := float32(10)
	r.prefix.Hidden = s.prefix == ""
	if s.prefix != "" {
		m := r.prefix.MinSize()
		place(r.prefix, x, (size.Height-m.Height)/2, m.Width, m.Height)
		x += fyne.MeasureText(s.prefix+" ", TextBody, fyne.TextStyle{}).Width
	}
	w := max(size.Width-x-28, 0)
	r.text.Text = Ellipsis(Clean(s.Text()), w, TextBody, r.text.TextStyle)
	h := r.text.MinSize().Height
	place(r.text, x, (size.Height-h)/2, w, h)
	place(r.arrow, size.Width-8-IconSize, (size.Height-IconSize)/2, IconSize, IconSize)
}

func (r *selectRenderer) MinSize() fyne.Size { return fyne.NewSize(80, r.owner.height) }
func (r *selectRenderer) Refresh() {
	r.paint()
	r.Layout(r.owner.Size())
	r.arrow.Refresh() // the theme may be another one
	canvas.Refresh(r.owner)
}
func (r *selectRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.back, r.prefix, r.text, r.arrow}
}
func (r *selectRenderer) Destroy() {}
