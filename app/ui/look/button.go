package look

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
)

// Heights of buttons and fields.
const (
	Low    float32 = 28
	Middle float32 = 32
	High   float32 = 40
)

// Button is a text button: outlined, or filled with the accent for the one
// action that matters most. Enter and Space press it when it has the focus.
type Button struct {
	widget.BaseWidget
	tipped
	text     string
	icon     Icon
	compact  bool
	filled   bool
	danger   bool
	disabled bool
	height   float32
	onTapped func()
	// OnEscape is called for the Escape key while the button has the focus; without
	// it what is on top closes.
	OnEscape func()
	// OnFocus is called when the focus comes and goes, such as to scroll to it.
	OnFocus func(focused bool)

	hovered, focused bool
}

var (
	_ fyne.Tappable      = (*Button)(nil)
	_ fyne.Focusable     = (*Button)(nil)
	_ fyne.Disableable   = (*Button)(nil)
	_ desktop.Hoverable  = (*Button)(nil)
	_ desktop.Cursorable = (*Button)(nil)
)

// NewButton returns an outlined button.
func NewButton(text string, height float32, tapped func()) *Button {
	b := &Button{text: text, height: height, onTapped: tapped}
	b.ExtendBaseWidget(b)
	return b
}

// NewFilledButton returns a button filled with the accent.
func NewFilledButton(text string, height float32, tapped func()) *Button {
	b := NewButton(text, height, tapped)
	b.filled = true
	return b
}

// SetText changes the label.
func (b *Button) SetText(text string) {
	if b.text != text {
		b.text = text
		b.Refresh()
	}
}

// SetIcon puts an icon before the label; "" takes it away.
func (b *Button) SetIcon(icon Icon) {
	if b.icon != icon {
		b.icon = icon
		b.Refresh()
	}
}

// SetCompact leaves the label to the tooltip where there is an icon.
func (b *Button) SetCompact(compact bool) {
	if b.compact == compact {
		return
	}
	b.compact = compact
	b.Refresh()
}

// SetTip gives the button a tooltip; a compact one has its label as such without.
func (b *Button) SetTip(tip string) { b.tip = tip }

// SetDanger colours the button of an action that takes something away.
func (b *Button) SetDanger(danger bool) {
	if b.danger != danger {
		b.danger = danger
		b.Refresh()
	}
}

// Enable implements fyne.Disableable.
func (b *Button) Enable() { b.setDisabled(false) }

// Disable implements fyne.Disableable.
func (b *Button) Disable() { b.setDisabled(true) }

// Disabled implements fyne.Disableable.
func (b *Button) Disabled() bool { return b.disabled }

func (b *Button) setDisabled(disabled bool) {
	if b.disabled != disabled {
		b.disabled = disabled
		b.Refresh()
	}
}

// Hide implements fyne.CanvasObject: a hidden button has no tooltip.
func (b *Button) Hide() {
	b.disarm()
	b.BaseWidget.Hide()
}

func (b *Button) wordless() bool { return b.compact && b.icon != "" }

// rest waits for the tooltip.
func (b *Button) rest() {
	tip := b.tip
	if tip == "" && b.wordless() {
		tip = b.text
	}
	b.armWith(b, tip)
}

// Text returns the label.
func (b *Button) Text() string { return b.text }

// SetFilled changes between accent and outline.
func (b *Button) SetFilled(filled bool) {
	if b.filled != filled {
		b.filled = filled
		b.Refresh()
	}
}

// Tapped implements fyne.Tappable.
func (b *Button) Tapped(*fyne.PointEvent) {
	b.disarm()
	if !b.disabled && b.onTapped != nil {
		b.onTapped()
	}
}

// Cursor implements desktop.Cursorable.
func (b *Button) Cursor() desktop.Cursor { return pointer(b.disabled) }

// MouseIn implements desktop.Hoverable.
func (b *Button) MouseIn(*desktop.MouseEvent) { b.hovered = true; b.rest(); b.Refresh() }

// MouseMoved implements desktop.Hoverable.
func (b *Button) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements desktop.Hoverable.
func (b *Button) MouseOut() { b.hovered = false; b.disarm(); b.Refresh() }

// FocusGained implements fyne.Focusable.
func (b *Button) FocusGained() { b.focus(true); b.rest() }

// FocusLost implements fyne.Focusable.
func (b *Button) FocusLost() { b.focus(false); b.disarm() }

func (b *Button) focus(focused bool) {
	b.focused = focused
	b.Refresh()
	if b.OnFocus != nil {
		b.OnFocus(focused)
	}
}

// TypedRune implements fyne.Focusable.
func (b *Button) TypedRune(rune) {}

// TypedKey implements fyne.Focusable.
func (b *Button) TypedKey(ev *fyne.KeyEvent) {
	switch ev.Name {
	case fyne.KeySpace, fyne.KeyReturn, fyne.KeyEnter:
		b.Tapped(nil)
	case fyne.KeyEscape:
		b.disarm()
		escape(b, b.OnEscape)
	}
}

// AccessibilityLabel implements fyne.Accessible.
func (b *Button) AccessibilityLabel() string { return b.text }

// AccessibilityRole implements fyne.Accessible.
func (b *Button) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleButton }

// WidthFor is the width that the button needs with that label: room for the longest of
// several keeps things from moving under the pointer.
func (b *Button) WidthFor(text string) float32 {
	pad := float32(20)
	if b.height >= High {
		pad = 32
	}
	// Whole pixels keep the outline of a neighbour sharp.
	w := ceil(fyne.MeasureText(text, TextBody, fyne.TextStyle{Bold: true}).Width) + pad
	if b.icon != "" {
		w += buttonIcon + buttonIconGap - 2
	}
	return w
}

// CreateRenderer implements fyne.Widget.
func (b *Button) CreateRenderer() fyne.WidgetRenderer {
	r := &buttonRenderer{
		owner: b,
		back:  &canvas.Rectangle{CornerRadius: Radius, StrokeWidth: 1},
		label: &canvas.Text{TextSize: TextBody, TextStyle: fyne.TextStyle{Bold: true}},
		icon:  &canvas.Image{FillMode: canvas.ImageFillContain},
	}
	r.paint()
	return laid(r, b)
}

type buttonRenderer struct {
	owner *Button
	back  *canvas.Rectangle
	label *canvas.Text
	icon  *canvas.Image
}

func (r *buttonRenderer) paint() {
	b := r.owner
	r.label.Text = b.text
	r.label.Hidden = b.wordless()
	ink := ColorText
	switch {
	case b.filled && !b.disabled:
		ink = ColorOnFill
		r.back.FillColor = Color(ColorFill)
		if b.hovered {
			r.back.FillColor = Color(ColorFillHover)
		}
		r.back.StrokeColor = r.back.FillColor
	default:
		if b.danger {
			ink = ColorBad
		}
		r.back.FillColor = color.Transparent
		if b.hovered && !b.disabled {
			r.back.FillColor = Color("hover")
		}
		r.back.StrokeColor = Color(ColorLine)
	}
	if b.disabled {
		ink = ColorFaint
	}
	r.label.Color = Color(ink)
	r.icon.Hidden = b.icon == ""
	if b.icon != "" {
		r.icon.Resource = b.icon.Resource(ink)
	}
	r.back.StrokeWidth = 1
	if b.focused {
		r.back.StrokeWidth = 2
		r.back.StrokeColor = Color(ColorAccent)
		if b.filled {
			r.back.StrokeColor = Color(ColorText)
		}
	}
}

// Widths inside a button.
const (
	buttonIcon    float32 = 14
	buttonIconGap float32 = 6
)

func (r *buttonRenderer) Layout(size fyne.Size) {
	r.back.Resize(size)
	m := r.label.MinSize()
	w := m.Width
	switch {
	case r.owner.wordless():
		w = buttonIcon
	case r.owner.icon != "":
		w += buttonIcon + buttonIconGap
	}
	x := (size.Width - w) / 2
	if r.owner.icon != "" {
		place(r.icon, floor(x), floor((size.Height-buttonIcon)/2), buttonIcon, buttonIcon)
		x += buttonIcon + buttonIconGap
	}
	place(r.label, x, (size.Height-m.Height)/2, m.Width, m.Height)
}

func (r *buttonRenderer) MinSize() fyne.Size {
	b := r.owner
	if b.wordless() {
		return fyne.NewSize(b.height, b.height)
	}
	return fyne.NewSize(b.WidthFor(b.text), b.height)
}

func (r *buttonRenderer) Refresh() {
	r.paint()
	r.Layout(r.owner.Size())
	r.back.Refresh()
	r.label.Refresh()
	if r.owner.icon != "" {
		r.icon.Refresh()
	}
}

func (r *buttonRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.back, r.icon, r.label}
}
func (r *buttonRenderer) Destroy() {}
