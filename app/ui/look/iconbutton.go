package look

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
)

// IconButton is a button of an icon alone. Its tooltip says what it does, and is its
// name to assistive technology. Enter and Space press it when it has the focus.
type IconButton struct {
	widget.BaseWidget
	tipped
	icon     Icon
	count    string
	on       bool
	disabled bool
	onTapped func()
	// OnEscape is called for the Escape key while the button has the focus; without
	// it what is on top closes.
	OnEscape func()

	hovered, focused bool
}

var (
	_ fyne.Tappable      = (*IconButton)(nil)
	_ fyne.Focusable     = (*IconButton)(nil)
	_ fyne.Disableable   = (*IconButton)(nil)
	_ desktop.Hoverable  = (*IconButton)(nil)
	_ desktop.Cursorable = (*IconButton)(nil)
)

// NewIconButton returns a button of 28 × 28.
func NewIconButton(icon Icon, tip string, tapped func()) *IconButton {
	b := &IconButton{icon: icon, onTapped: tapped}
	b.tip = tip
	b.ExtendBaseWidget(b)
	return b
}

// Set changes icon and tooltip, and redraws only if the icon differs.
func (b *IconButton) Set(icon Icon, tip string) {
	b.tip = tip
	if b.icon != icon {
		b.icon = icon
		b.Refresh()
	}
}

// SetOn marks the button of something that is in force.
func (b *IconButton) SetOn(on bool) {
	if b.on != on {
		b.on = on
		b.Refresh()
	}
}

// SetCount puts a number beside the icon; "" takes it away. It makes the button wider.
func (b *IconButton) SetCount(count string) {
	if b.count != count {
		b.count = count
		b.Refresh()
	}
}

// Count is the number beside the icon.
func (b *IconButton) Count() string { return b.count }

// Tip is what the tooltip says.
func (b *IconButton) Tip() string { return b.tip }

// Enable implements fyne.Disableable.
func (b *IconButton) Enable() { b.setDisabled(false) }

// Disable implements fyne.Disableable.
func (b *IconButton) Disable() { b.setDisabled(true) }

// Disabled implements fyne.Disableable.
func (b *IconButton) Disabled() bool { return b.disabled }

func (b *IconButton) setDisabled(disabled bool) {
	if b.disabled != disabled {
		b.disabled = disabled
		b.Refresh()
	}
}

// Hide implements fyne.CanvasObject: a hidden button has no tooltip.
func (b *IconButton) Hide() {
	b.disarm()
	b.BaseWidget.Hide()
}

// Tapped implements fyne.Tappable.
func (b *IconButton) Tapped(*fyne.PointEvent) {
	b.disarm()
	if !b.disabled && b.onTapped != nil {
		b.onTapped()
	}
}

// Cursor implements desktop.Cursorable.
func (b *IconButton) Cursor() desktop.Cursor { return pointer(b.disabled) }

// MouseIn implements desktop.Hoverable.
func (b *IconButton) MouseIn(*desktop.MouseEvent) { b.hovered = true; b.arm(b); b.Refresh() }

// MouseMoved implements desktop.Hoverable.
func (b *IconButton) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements desktop.Hoverable.
func (b *IconButton) MouseOut() { b.hovered = false; b.disarm(); b.Refresh() }

// FocusGained implements fyne.Focusable.
func (b *IconButton) FocusGained() { b.focused = true; b.arm(b); b.Refresh() }

// FocusLost implements fyne.Focusable.
func (b *IconButton) FocusLost() { b.focused = false; b.disarm(); b.Refresh() }

// TypedRune implements fyne.Focusable.
func (b *IconButton) TypedRune(rune) {}

// TypedKey implements fyne.Focusable.
func (b *IconButton) TypedKey(ev *fyne.KeyEvent) {
	switch ev.Name {
	case fyne.KeySpace, fyne.KeyReturn, fyne.KeyEnter:
		b.Tapped(nil)
	case fyne.KeyEscape:
		b.disarm()
		escape(b, b.OnEscape)
	}
}

// AccessibilityLabel implements fyne.Accessible.
func (b *IconButton) AccessibilityLabel() string { return b.tip }

// AccessibilityRole implements fyne.Accessible.
func (b *IconButton) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleButton }

// CreateRenderer implements fyne.Widget.
func (b *IconButton) CreateRenderer() fyne.WidgetRenderer {
	r := &iconButtonRenderer{owner: b, back: &canvas.Rectangle{CornerRadius: Radius}, icon: NewImage(b.icon, ColorMuted),
		pill: &canvas.Rectangle{CornerRadius: pillHeight / 2}, count: &canvas.Text{TextSize: TextSmall, TextStyle: fyne.TextStyle{Bold: true}, Alignment: fyne.TextAlignCenter}}
	r.paint()
	return laid(r, b)
}

type iconButtonRenderer struct {
	owner *IconButton
	back  *canvas.Rectangle
	icon  *canvas.Image
	pill  *canvas.Rectangle
	count *canvas.Text
}

const pillHeight float32 = 18

// pillWidth is how wide the number's ground is, 0 without one.
func (b *IconButton) pillWidth() float32 {
	if b.count == "" {
		return 0
	}
	return max(ceil(fyne.MeasureText(b.count, TextSmall, fyne.TextStyle{Bold: true}).Width)+10, pillHeight)
}

func (r *iconButtonRenderer) paint() {
	b := r.owner
	tint := ColorMuted
	r.back.FillColor, r.back.StrokeColor, r.back.StrokeWidth = color.Transparent, color.Transparent, 0
	switch {
	case b.disabled:
		tint = ColorFaint
	case b.on:
		tint = ColorAccent
		r.back.FillColor = Color(ColorSelected)
	case b.hovered:
		tint = ColorText
		r.back.FillColor = Color("hover")
	}
	if b.focused {
		r.back.StrokeColor, r.back.StrokeWidth = Color(ColorAccent), 2
	}
	r.icon.Resource = b.icon.Resource(tint)
	r.pill.FillColor = Color(ColorFill)
	r.count.Text, r.count.Color = b.count, Color(ColorOnFill)
}

func (r *iconButtonRenderer) Layout(size fyne.Size) {
	r.back.Resize(size)
	pill := r.owner.pillWidth()
	place(r.icon, (size.Width-pill-IconSize)/2, (size.Height-IconSize)/2, IconSize, IconSize)
	x := size.Width - pill - 4
	place(r.pill, x, (size.Height-pillHeight)/2, pill, pillHeight)
	h := r.count.MinSize().Height
	place(r.count, x, (size.Height-h)/2, pill, h)
}
func (r *iconButtonRenderer) MinSize() fyne.Size {
	if pill := r.owner.pillWidth(); pill > 0 {
		return fyne.NewSize(Low+pill+2, Low)
	}
	return fyne.NewSquareSize(Low)
}
func (r *iconButtonRenderer) Refresh() {
	r.paint()
	r.Layout(r.owner.Size())
	r.back.Refresh()
	r.icon.Refresh()
	r.pill.Refresh()
	r.count.Refresh()
}
func (r *iconButtonRenderer) Objects() []fyne.CanvasObject {
	if r.owner.count == "" {
		return []fyne.CanvasObject{r.back, r.icon}
	}
	return []fyne.CanvasObject{r.back, r.icon, r.pill, r.count}
}
func (r *iconButtonRenderer) Destroy() {}

// pointer is the cursor over something that can be pressed.
func pointer(disabled bool) desktop.Cursor {
	if disabled {
		return desktop.DefaultCursor
	}
	return desktop.PointerCursor
}
