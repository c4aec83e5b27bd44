package look

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
)

// LampState is what a lamp shows. Each has a shape of its own.
type LampState int

// The states of lamps.
const (
	LampOff      LampState = iota // a faint ring: nothing is known
	LampChecking                  // a ring with a point in it
	LampUp                        // a full dot
	LampDown                      // a cross
	LampWaits                     // a ring
)

// Color is the colour of the state.
func (s LampState) Color() fyne.ThemeColorName {
	switch s {
	case LampUp:
		return ColorOK
	case LampDown:
		return ColorBad
	case LampChecking, LampWaits:
		return ColorWarn
	default:
		return ColorMuted
	}
}

// Lamp says of one thing by shape, colour and a word whether it works; its tooltip
// says more.
type Lamp struct {
	widget.BaseWidget
	tipped
	label, word string
	state       LampState
	brief       bool // without the word
}

var _ desktop.Hoverable = (*Lamp)(nil)

// NewLamp returns a lamp that is off.
func NewLamp(label string) *Lamp {
	l := &Lamp{label: label}
	l.ExtendBaseWidget(l)
	return l
}

// Set changes what the lamp says, and reports whether anything but the tooltip differs.
func (l *Lamp) Set(state LampState, word, tip string) bool {
	l.tip = tip
	if l.state == state && l.word == word {
		return false
	}
	l.state, l.word = state, word
	l.Refresh()
	return true
}

// SetBrief leaves the word out.
func (l *Lamp) SetBrief(brief bool) {
	if l.brief != brief {
		l.brief = brief
		l.Refresh()
	}
}

// State is what the lamp shows.
func (l *Lamp) State() LampState { return l.state }

// Word is what it says besides.
func (l *Lamp) Word() string { return l.word }

// Tip is what the tooltip says.
func (l *Lamp) Tip() string { return l.tip }

// MouseIn implements desktop.Hoverable.
func (l *Lamp) MouseIn(*desktop.MouseEvent) { l.arm(l) }

// MouseMoved implements desktop.Hoverable.
func (l *Lamp) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements desktop.Hoverable.
func (l *Lamp) MouseOut() { l.disarm() }

const (
	lampDot float32 = 8
	lampGap float32 = 5
)

// WidthFor is the width that the lamp needs with its word or without.
func (l *Lamp) WidthFor(brief bool) float32 {
	w := fyne.MeasureText(l.label, TextSmall, fyne.TextStyle{}).Width + lampGap + lampDot
	if !brief && l.word != "" {
		w += lampGap + fyne.MeasureText(l.word, TextSmall, fyne.TextStyle{}).Width
	}
	return ceil(w)
}

// CreateRenderer implements fyne.Widget.
func (l *Lamp) CreateRenderer() fyne.WidgetRenderer {
	r := &lampRenderer{owner: l,
		label: &canvas.Text{TextSize: TextSmall}, word: &canvas.Text{TextSize: TextSmall},
		ring: &canvas.Circle{}, point: &canvas.Circle{}, a: &canvas.Line{StrokeWidth: 1.75}, b: &canvas.Line{StrokeWidth: 1.75}}
	r.paint()
	return laid(r, l)
}

type lampRenderer struct {
	owner       *Lamp
	label, word *canvas.Text
	ring, point *canvas.Circle
	a, b        *canvas.Line
}

func (r *lampRenderer) paint() {
	l := r.owner
	tint := Color(l.state.Color())
	r.label.Text, r.label.Color = l.label, Color(ColorMuted)
	r.word.Text, r.word.Color = l.word, tint
	r.word.Hidden = l.brief
	r.ring.FillColor, r.ring.StrokeColor, r.ring.StrokeWidth = color.Transparent, tint, 1.5
	if l.state == LampUp {
		r.ring.FillColor, r.ring.StrokeWidth = tint, 0
	}
	r.ring.Hidden = l.state == LampDown
	r.point.FillColor = tint
	r.point.Hidden = l.state != LampChecking
	for _, line := range []*canvas.Line{r.a, r.b} {
		line.StrokeColor = tint
		line.Hidden = l.state != LampDown
	}
}

func (r *lampRenderer) Layout(size fyne.Size) {
	m := r.label.MinSize()
	place(r.label, 0, (size.Height-m.Height)/2, m.Width, m.Height)
	x, y := floor(m.Width+lampGap), floor((size.Height-lampDot)/2)
	place(r.ring, x, y, lampDot, lampDot)
	place(r.point, x+2.5, y+2.5, lampDot-5, lampDot-5)
	r.a.Position1, r.a.Position2 = fyne.NewPos(x+1, y+1), fyne.NewPos(x+lampDot-1, y+lampDot-1)
	r.b.Position1, r.b.Position2 = fyne.NewPos(x+1, y+lampDot-1), fyne.NewPos(x+lampDot-1, y+1)
	m = r.word.MinSize()
	place(r.word, x+lampDot+lampGap, (size.Height-m.Height)/2, m.Width, m.Height)
}

func (r *lampRenderer) MinSize() fyne.Size {
	return fyne.NewSize(r.owner.WidthFor(r.owner.brief), 18)
}

func (r *lampRenderer) Refresh() {
	r.paint()
	r.Layout(r.owner.Size())
	canvas.Refresh(r.owner)
}

func (r *lampRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.label, r.ring, r.point, r.a, r.b, r.word}
}
func (r *lampRenderer) Destroy() {}
