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
	r := &iconButtonRenderer{owner: b, back: &canvas.Rectangle{CornerRadius: Radius}, icon: NewImage(b.icon, ColorMuted)}
	r.paint()
	return laid(r, b)
}

type iconButtonRenderer struct {
	owner *IconButton
	back  *canvas.Rectangle
	icon  *canvas.Image
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
}

func (r *iconButtonRenderer) Layout(size fyne.Size) {
	r.back.Resize(size)
	r.icon.Move(fyne.NewPos((size.Width-IconSize)/2, (size.Height-IconSize)/2))
	r.icon.Resize(fyne.NewSquareSize(IconSize))
}
func (r *iconButtonRenderer) MinSize() fyne.Size { return fyne.NewSquareSize(Low) }
func (r *iconButtonRenderer) Refresh() {
	r.paint()
	r.Layout(r.owner.Size())
	r.back.Refresh()
	r.icon.Refresh()
}
func (r *iconButtonRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.back, r.icon}
}
func (r *iconButtonRenderer) Destroy() {}

// pointer is the cursor over something that can be pressed.
func pointer(disabled bool) desktop.Cursor {
	if disabled {
		return desktop.DefaultCursor
	}
	return desktop.PointerCursor
}
