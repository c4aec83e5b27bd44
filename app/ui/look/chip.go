package look

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
)

// ChipMark is what a chip says at its left end.
type ChipMark int

// The marks of chips.
const (
	ChipPlain  ChipMark = iota // a dot
	ChipTaken                  // a tick: it has been taken already
	ChipHazard                 // a warning
)

// Chip is a rounded button for one of several things that were found.
type Chip struct {
	widget.BaseWidget
	tipped
	text     string
	mark     ChipMark
	onTapped func()

	hovered, focused bool
}

var (
	_ fyne.Tappable      = (*Chip)(nil)
	_ fyne.Focusable     = (*Chip)(nil)
	_ desktop.Hoverable  = (*Chip)(nil)
	_ desktop.Cursorable = (*Chip)(nil)
)

// NewChip returns a chip without a text.
func NewChip(tapped func()) *Chip {
	c := &Chip{onTapped: tapped}
	c.ExtendBaseWidget(c)
	return c
}

// Set changes what the chip says, and redraws only if it differs.
func (c *Chip) Set(text string, mark ChipMark, tip string) {
	c.tip = tip
	if c.text != text || c.mark != mark {
		c.text, c.mark = text, mark
		c.Refresh()
	}
}

// Text is what the chip says.
func (c *Chip) Text() string { return c.text }

// Mark is what stands at its left end.
func (c *Chip) Mark() ChipMark { return c.mark }

// Tip is what the tooltip says.
func (c *Chip) Tip() string { return c.tip }

// Tapped implements fyne.Tappable.
func (c *Chip) Tapped(*fyne.PointEvent) { c.disarm(); c.onTapped() }

// Cursor implements desktop.Cursorable.
func (c *Chip) Cursor() desktop.Cursor { return desktop.PointerCursor }

// MouseIn implements desktop.Hoverable.
func (c *Chip) MouseIn(*desktop.MouseEvent) { c.hovered = true; c.arm(c); c.Refresh() }

// MouseMoved implements desktop.Hoverable.
func (c *Chip) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements desktop.Hoverable.
func (c *Chip) MouseOut() { c.hovered = false; c.disarm(); c.Refresh() }

// FocusGained implements fyne.Focusable.
func (c *Chip) FocusGained() { c.focused = true; c.arm(c); c.Refresh() }

// FocusLost implements fyne.Focusable.
func (c *Chip) FocusLost() { c.focused = false; c.disarm(); c.Refresh() }

// TypedRune implements fyne.Focusable.
func (c *Chip) TypedRune(rune) {}

// TypedKey implements fyne.Focusable.
func (c *Chip) TypedKey(ev *fyne.KeyEvent) {
	switch ev.Name {
	case fyne.KeySpace, fyne.KeyReturn, fyne.KeyEnter:
		c.Tapped(nil)
	case fyne.KeyEscape:
		c.disarm()
		escape(c, nil)
	}
}

// AccessibilityLabel implements fyne.Accessible.
func (c *Chip) AccessibilityLabel() string { return c.text }

// AccessibilityRole implements fyne.Accessible.
func (c *Chip) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleButton }

// CreateRenderer implements fyne.Widget.
func (c *Chip) CreateRenderer() fyne.WidgetRenderer {
	r := &chipRenderer{owner: c, back: &canvas.Rectangle{StrokeWidth: 1},
		dot: &canvas.Circle{}, icon: NewImage(IconWarning, ColorWarn), label: &canvas.Text{TextSize: TextBody}}
	r.paint()
	return laid(r, c)
}

type chipRenderer struct {
	owner *Chip
	back  *canvas.Rectangle
	dot   *canvas.Circle
	icon  *canvas.Image
	label *canvas.Text
}

func (r *chipRenderer) paint() {
	c := r.owner
	r.back.FillColor, r.back.StrokeColor, r.back.StrokeWidth = color.Transparent, Color(ColorLine), 1
	if c.hovered {
		r.back.FillColor = Color("hover")
	}
	if c.focused {
		r.back.StrokeColor, r.back.StrokeWidth = Color(ColorAccent), 2
	}
	ink := ColorText
	switch c.mark {
	case ChipTaken:
		ink = ColorMuted
		r.icon.Resource = IconCheck.Resource(ColorOK)
	case ChipHazard:
		ink = ColorWarn
		r.icon.Resource = IconWarning.Resource(ColorWarn)
	}
	r.dot.FillColor = Color(ColorOK)
	r.dot.Hidden, r.icon.Hidden = c.mark != ChipPlain, c.mark == ChipPlain
	r.label.Text, r.label.Color = Ellipsis(Clean(c.text), chipMost, TextBody, fyne.TextStyle{}), Color(ink)
}

// chipMost is the width of the longest text that is shown whole.
const chipMost float32 = 200

func (r *chipRenderer) mark() float32 {
	if r.owner.mark == ChipPlain {
		return 8
	}
	return 14
}

func (r *chipRenderer) Layout(size fyne.Size) {
	r.back.Resize(size)
	r.back.CornerRadius = size.Height / 2
	place(r.dot, 12, (size.Height-8)/2, 8, 8)
	place(r.icon, 11, (size.Height-14)/2, 14, 14)
	m := r.label.MinSize()
	place(r.label, 12+r.mark()+6, (size.Height-m.Height)/2, m.Width, m.Height)
}

func (r *chipRenderer) MinSize() fyne.Size {
	return fyne.NewSize(float32(int(12+r.mark()+6+r.label.MinSize().Width+0.999))+12, Middle)
}

func (r *chipRenderer) Refresh() {
	r.paint()
	r.Layout(r.owner.Size())
	r.icon.Refresh() // it may be another one
	canvas.Refresh(r.owner)
}

func (r *chipRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.back, r.dot, r.icon, r.label}
}
func (r *chipRenderer) Destroy() {}
