package look

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
)

// Check is a yes-or-no in a form. It changes at once, unlike a Switch, which waits
// for the state to be in force.
type Check struct {
	widget.BaseWidget
	label    string
	on       bool
	disabled bool
	changed  func(on bool)
	// OnFocus is called when the focus comes and goes, such as to scroll to it.
	OnFocus func(focused bool)

	focused bool
}

var (
	_ fyne.Tappable      = (*Check)(nil)
	_ fyne.Focusable     = (*Check)(nil)
	_ fyne.Disableable   = (*Check)(nil)
	_ desktop.Cursorable = (*Check)(nil)
)

// NewCheck returns a box that is not ticked; changed may be nil.
func NewCheck(label string, changed func(on bool)) *Check {
	c := &Check{label: label, changed: changed}
	c.ExtendBaseWidget(c)
	return c
}

// Set changes the state without calling changed.
func (c *Check) Set(on bool) {
	if c.on != on {
		c.on = on
		c.Refresh()
	}
}

// On is the state.
func (c *Check) On() bool { return c.on }

// Enable implements fyne.Disableable.
func (c *Check) Enable() { c.setDisabled(false) }

// Disable implements fyne.Disableable.
func (c *Check) Disable() { c.setDisabled(true) }

// Disabled implements fyne.Disableable.
func (c *Check) Disabled() bool { return c.disabled }

func (c *Check) setDisabled(disabled bool) {
	if c.disabled != disabled {
		c.disabled = disabled
		c.Refresh()
	}
}

// Tapped implements fyne.Tappable.
func (c *Check) Tapped(*fyne.PointEvent) {
	if c.disabled {
		return
	}
	c.Set(!c.on)
	if c.changed != nil {
		c.changed(c.on)
	}
}

// Cursor implements desktop.Cursorable.
func (c *Check) Cursor() desktop.Cursor { return pointer(c.disabled) }

// FocusGained implements fyne.Focusable.
func (c *Check) FocusGained() { c.focus(true) }

// FocusLost implements fyne.Focusable.
func (c *Check) FocusLost() { c.focus(false) }

func (c *Check) focus(focused bool) {
	c.focused = focused
	c.Refresh()
	if c.OnFocus != nil {
		c.OnFocus(focused)
	}
}

// TypedRune implements fyne.Focusable.
func (c *Check) TypedRune(rune) {}

// TypedKey implements fyne.Focusable.
func (c *Check) TypedKey(ev *fyne.KeyEvent) {
	switch ev.Name {
	case fyne.KeySpace, fyne.KeyReturn, fyne.KeyEnter:
		c.Tapped(nil)
	case fyne.KeyEscape:
		escape(c, nil)
	}
}

// AccessibilityLabel implements fyne.Accessible.
func (c *Check) AccessibilityLabel() string { return c.label }

// AccessibilityRole implements fyne.Accessible.
func (c *Check) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleButton }

const checkBox float32 = 16

// CreateRenderer implements fyne.Widget.
func (c *Check) CreateRenderer() fyne.WidgetRenderer {
	r := &checkRenderer{owner: c, box: &canvas.Rectangle{CornerRadius: 4, StrokeWidth: 1},
		tick: NewImage(IconCheck, ColorOnFill), label: &canvas.Text{Text: c.label, TextSize: TextBody}}
	r.paint()
	return laid(r, c)
}

type checkRenderer struct {
	owner *Check
	box   *canvas.Rectangle
	tick  *canvas.Image
	label *canvas.Text
}

func (r *checkRenderer) paint() {
	c := r.owner
	r.box.FillColor, r.box.StrokeColor, r.box.StrokeWidth = Color(ColorBase), Color(ColorMuted), 1
	r.label.Color = Color(ColorText)
	if c.on {
		r.box.FillColor, r.box.StrokeColor = Color(ColorFill), Color(ColorFill)
	}
	if c.disabled {
		r.label.Color, r.box.StrokeColor = Color(ColorFaint), Color(ColorFaint)
		if c.on {
			r.box.FillColor = Color(ColorFaint)
		}
	}
	if c.focused {
		r.box.StrokeColor, r.box.StrokeWidth = Color(ColorAccent), 2
		if c.on {
			r.box.StrokeColor = Color(ColorText)
		}
	}
	r.tick.Resource = IconCheck.Resource(ColorOnFill)
	r.tick.Hidden = !c.on
}

func (r *checkRenderer) Layout(size fyne.Size) {
	y := (size.Height - checkBox) / 2
	place(r.box, 0, y, checkBox, checkBox)
	place(r.tick, 2, y+2, checkBox-4, checkBox-4)
	h := r.label.MinSize().Height
	place(r.label, checkBox+Gap, (size.Height-h)/2, size.Width-checkBox-Gap, h)
}

func (r *checkRenderer) MinSize() fyne.Size {
	return fyne.NewSize(checkBox+Gap+r.label.MinSize().Width, 24)
}

func (r *checkRenderer) Refresh() {
	r.paint()
	r.Layout(r.owner.Size())
	r.tick.Refresh() // the theme may be another one
	canvas.Refresh(r.owner)
}

func (r *checkRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.box, r.tick, r.label}
}
func (r *checkRenderer) Destroy() {}
