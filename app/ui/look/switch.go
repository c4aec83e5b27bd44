package look

import (
	"cmp"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
)

// Switch is an on/off setting with its label. Tapping asks for the other state;
// the switch itself moves only when Set confirms it, so that it never shows a
// state that is not in force.
type Switch struct {
	widget.BaseWidget
	label string
	on    bool
	onAsk func(on bool)
	// OnFocus is called when the focus comes and goes, such as to scroll to it.
	OnFocus func(focused bool)
	// Name is what assistive technology calls the switch where it has no label.
	Name string

	focused bool
}

var (
	_ fyne.Tappable      = (*Switch)(nil)
	_ fyne.Focusable     = (*Switch)(nil)
	_ desktop.Cursorable = (*Switch)(nil)
)

const knob float32 = 12

// NewSwitch returns a switch that is off.
func NewSwitch(label string, ask func(on bool)) *Switch {
	s := &Switch{label: label, onAsk: ask}
	s.ExtendBaseWidget(s)
	return s
}

// Set shows the state in force.
func (s *Switch) Set(on bool) {
	if s.on != on {
		s.on = on
		s.Refresh()
	}
}

// On is the state shown.
func (s *Switch) On() bool { return s.on }

// Tapped implements fyne.Tappable.
func (s *Switch) Tapped(*fyne.PointEvent) { s.onAsk(!s.on) }

// Cursor implements desktop.Cursorable.
func (s *Switch) Cursor() desktop.Cursor { return desktop.PointerCursor }

// FocusGained implements fyne.Focusable.
func (s *Switch) FocusGained() { s.focus(true) }

// FocusLost implements fyne.Focusable.
func (s *Switch) FocusLost() { s.focus(false) }

func (s *Switch) focus(focused bool) {
	s.focused = focused
	s.Refresh()
	if s.OnFocus != nil {
		s.OnFocus(focused)
	}
}

// TypedRune implements fyne.Focusable.
func (s *Switch) TypedRune(rune) {}

// TypedKey implements fyne.Focusable.
func (s *Switch) TypedKey(ev *fyne.KeyEvent) {
	switch ev.Name {
	case fyne.KeySpace, fyne.KeyReturn, fyne.KeyEnter:
		s.Tapped(nil)
	case fyne.KeyEscape:
		escape(s, nil)
	}
}

// AccessibilityLabel implements fyne.Accessible.
func (s *Switch) AccessibilityLabel() string { return cmp.Or(s.Name, s.label) }

// AccessibilityRole implements fyne.Accessible.
func (s *Switch) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleButton }

// CreateRenderer implements fyne.Widget.
func (s *Switch) CreateRenderer() fyne.WidgetRenderer {
	r := &switchRenderer{
		owner: s,
		track: &canvas.Rectangle{CornerRadius: (knob + 4) / 2, StrokeWidth: 1},
		knob:  canvas.NewCircle(Color(ColorOnFill)),
		label: &canvas.Text{Text: s.label, TextSize: TextSmall},
	}
	r.paint()
	return laid(r, s)
}

type switchRenderer struct {
	owner *Switch
	track *canvas.Rectangle
	knob  *canvas.Circle
	label *canvas.Text
}

func (r *switchRenderer) paint() {
	r.label.Color = Color(ColorText)
	if r.owner.on {
		r.track.FillColor, r.track.StrokeColor = Color(ColorFill), Color(ColorFill)
		r.knob.FillColor = Color(ColorOnFill)
	} else {
		r.track.FillColor, r.track.StrokeColor = Color(ColorBase), Color(ColorMuted)
		r.knob.FillColor = Color(ColorMuted)
	}
	if r.owner.focused {
		r.track.StrokeColor = Color(ColorAccent)
	}
}

func (r *switchRenderer) Layout(size fyne.Size) {
	track := fyne.NewSize(2*knob+4, knob+4)
	y := (size.Height - track.Height) / 2
	r.track.Move(fyne.NewPos(0, y))
	r.track.Resize(track)
	x := float32(2)
	if r.owner.on {
		x = track.Width - knob - 2
	}
	r.knob.Move(fyne.NewPos(x, y+2))
	r.knob.Resize(fyne.NewSquareSize(knob))
	h := r.label.MinSize().Height
	r.label.Move(fyne.NewPos(track.Width+Gap, (size.Height-h)/2))
	r.label.Resize(fyne.NewSize(size.Width-track.Width-Gap, h))
}

func (r *switchRenderer) MinSize() fyne.Size {
	m := r.label.MinSize()
	if r.owner.label == "" {
		return fyne.NewSize(2*knob+4, max(m.Height, knob+4))
	}
	return fyne.NewSize(2*knob+4+Gap+m.Width, max(m.Height, knob+4))
}

func (r *switchRenderer) Refresh() {
	r.paint()
	r.Layout(r.owner.Size())
	canvas.Refresh(r.owner)
}

func (r *switchRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.track, r.knob, r.label}
}
func (r *switchRenderer) Destroy() {}
