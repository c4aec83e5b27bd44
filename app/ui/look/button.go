package look

import (
	"image/color"
	"math"

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
	text     string
	filled   bool
	height   float32
	onTapped func()
	// OnEscape is called for the Escape key while the button has the focus; without
	// it what is on top closes.
	OnEscape func()

	hovered, focused bool
}

var (
	_ fyne.Tappable      = (*Button)(nil)
	_ fyne.Focusable     = (*Button)(nil)
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
	if b.onTapped != nil {
		b.onTapped()
	}
}

// Cursor implements desktop.Cursorable.
func (b *Button) Cursor() desktop.Cursor { return desktop.PointerCursor }

// MouseIn implements desktop.Hoverable.
func (b *Button) MouseIn(*desktop.MouseEvent) { b.hovered = true; b.Refresh() }

// MouseMoved implements desktop.Hoverable.
func (b *Button) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements desktop.Hoverable.
func (b *Button) MouseOut() { b.hovered = false; b.Refresh() }

// FocusGained implements fyne.Focusable.
func (b *Button) FocusGained() { b.focused = true; b.Refresh() }

// FocusLost implements fyne.Focusable.
func (b *Button) FocusLost() { b.focused = false; b.Refresh() }

// TypedRune implements fyne.Focusable.
func (b *Button) TypedRune(rune) {}

// TypedKey implements fyne.Focusable.
func (b *Button) TypedKey(ev *fyne.KeyEvent) {
	switch ev.Name {
	case fyne.KeySpace, fyne.KeyReturn, fyne.KeyEnter:
		b.Tapped(nil)
	case fyne.KeyEscape:
		escape(b, b.OnEscape)
	}
}

// AccessibilityLabel implements fyne.Accessible.
func (b *Button) AccessibilityLabel() string { return b.text }

// AccessibilityRole implements fyne.Accessible.
func (b *Button) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleButton }

// CreateRenderer implements fyne.Widget.
func (b *Button) CreateRenderer() fyne.WidgetRenderer {
	r := &buttonRenderer{
		owner: b,
		back:  &canvas.Rectangle{CornerRadius: Radius, StrokeWidth: 1},
		label: &canvas.Text{TextSize: TextBody, TextStyle: fyne.TextStyle{Bold: true}, Alignment: fyne.TextAlignCenter},
	}
	r.paint()
	return r
}

type buttonRenderer struct {
	owner *Button
	back  *canvas.Rectangle
	label *canvas.Text
}

func (r *buttonRenderer) paint() {
	b := r.owner
	r.label.Text = b.text
	if b.filled {
		r.label.Color = Color(ColorOnFill)
		r.back.FillColor = Color(ColorFill)
		if b.hovered {
			r.back.FillColor = Color(ColorFillHover)
		}
		r.back.StrokeColor = r.back.FillColor
	} else {
		r.label.Color = Color(ColorText)
		r.back.FillColor = color.Transparent
		if b.hovered {
			r.back.FillColor = Color("hover")
		}
		r.back.StrokeColor = Color(ColorLine)
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

func (r *buttonRenderer) Layout(size fyne.Size) {
	r.back.Resize(size)
	h := r.label.MinSize().Height
	r.label.Move(fyne.NewPos(0, (size.Height-h)/2))
	r.label.Resize(fyne.NewSize(size.Width, h))
}

func (r *buttonRenderer) MinSize() fyne.Size {
	pad := float32(20)
	if r.owner.height >= High {
		pad = 32
	}
	// Whole pixels keep the outline of a neighbour sharp.
	w := math.Ceil(float64(fyne.MeasureText(r.owner.text, TextBody, r.label.TextStyle).Width))
	return fyne.NewSize(float32(w)+pad, r.owner.height)
}

func (r *buttonRenderer) Refresh() {
	r.paint()
	r.Layout(r.owner.Size())
	r.back.Refresh()
	r.label.Refresh()
}

func (r *buttonRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.back, r.label} }
func (r *buttonRenderer) Destroy()                     {}
