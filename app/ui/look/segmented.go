package look

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
)

// Choice is one of several in a row, of which exactly one is in force. Left and
// Right change it when it has the focus. It stands as Segmented (a row of joined
// buttons) or as Tabs (words underlined).
type Choice struct {
	widget.BaseWidget
	labels   []string
	selected int
	hovered  int
	focused  bool
	tabs     bool
	changed  func(i int)
}

// Segmented is a row of joined buttons of which one is pressed.
type Segmented = Choice

// Tabs are the headings of pages of which one is shown.
type Tabs = Choice

var (
	_ fyne.Tappable      = (*Choice)(nil)
	_ fyne.Focusable     = (*Choice)(nil)
	_ desktop.Hoverable  = (*Choice)(nil)
	_ desktop.Cursorable = (*Choice)(nil)
)

// NewSegmented returns a row with the first label selected; changed is called when
// the user selects another.
func NewSegmented(labels []string, changed func(i int)) *Segmented {
	s := &Choice{labels: labels, hovered: -1, changed: changed}
	s.ExtendBaseWidget(s)
	return s
}

// NewTabs returns tabs with the first selected; changed is called when the user
// selects another.
func NewTabs(labels []string, changed func(i int)) *Tabs {
	t := &Choice{labels: labels, hovered: -1, tabs: true, changed: changed}
	t.ExtendBaseWidget(t)
	return t
}

// Selected is the index of the label in force.
func (c *Choice) Selected() int { return c.selected }

// Labels are those that can be selected.
func (c *Choice) Labels() []string { return c.labels }

// Select changes the selection without calling changed.
func (c *Choice) Select(i int) {
	if i >= 0 && i < len(c.labels) && c.selected != i {
		c.selected = i
		c.Refresh()
	}
}

// SetLabels changes the words, and keeps the selection where it still exists.
func (c *Choice) SetLabels(labels []string) {
	same := len(labels) == len(c.labels)
	for i := 0; same && i < len(labels); i++ {
		same = labels[i] == c.labels[i]
	}
	if same {
		return
	}
	c.labels = labels
	c.selected = max(min(c.selected, len(labels)-1), 0)
	c.hovered = -1
	c.Refresh()
}

func (c *Choice) choose(i int) {
	if i < 0 || i >= len(c.labels) || i == c.selected {
		return
	}
	c.Select(i)
	if c.changed != nil {
		c.changed(i)
	}
}

func (c *Choice) style(i int) fyne.TextStyle {
	return fyne.TextStyle{Bold: c.tabs && i == c.selected}
}

// width of a part: that of the bold label, so that nothing moves when it is selected.
func (c *Choice) width(i int) float32 {
	pad := float32(20)
	if c.tabs {
		pad = 0
	}
	w := fyne.MeasureText(c.labels[i], TextBody, fyne.TextStyle{Bold: c.tabs}).Width
	return float32(int(w+0.999)) + pad
}

func (c *Choice) gap() float32 {
	if c.tabs {
		return 20
	}
	return 0
}

func (c *Choice) at(x float32) int {
	left := float32(0)
	for i := range c.labels {
		w := c.width(i)
		if x >= left-c.gap()/2 && x < left+w+c.gap()/2 {
			return i
		}
		left += w + c.gap()
	}
	return -1
}

// Tapped implements fyne.Tappable.
func (c *Choice) Tapped(ev *fyne.PointEvent) {
	if ev != nil {
		c.choose(c.at(ev.Position.X))
	}
}

// Cursor implements desktop.Cursorable.
func (c *Choice) Cursor() desktop.Cursor { return desktop.PointerCursor }

// MouseIn implements desktop.Hoverable.
func (c *Choice) MouseIn(ev *desktop.MouseEvent) { c.hover(c.at(ev.Position.X)) }

// MouseMoved implements desktop.Hoverable.
func (c *Choice) MouseMoved(ev *desktop.MouseEvent) { c.hover(c.at(ev.Position.X)) }

// MouseOut implements desktop.Hoverable.
func (c *Choice) MouseOut() { c.hover(-1) }

func (c *Choice) hover(i int) {
	if c.hovered != i {
		c.hovered = i
		c.Refresh()
	}
}

// FocusGained implements fyne.Focusable.
func (c *Choice) FocusGained() { c.focused = true; c.Refresh() }

// FocusLost implements fyne.Focusable.
func (c *Choice) FocusLost() { c.focused = false; c.Refresh() }

// TypedRune implements fyne.Focusable.
func (c *Choice) TypedRune(rune) {}

// TypedKey implements fyne.Focusable.
func (c *Choice) TypedKey(ev *fyne.KeyEvent) {
	switch ev.Name {
	case fyne.KeyLeft:
		c.choose(c.selected - 1)
	case fyne.KeyRight:
		c.choose(c.selected + 1)
	case fyne.KeyHome:
		c.choose(0)
	case fyne.KeyEnd:
		c.choose(len(c.labels) - 1)
	case fyne.KeyEscape:
		escape(c, nil)
	}
}

// CreateRenderer implements fyne.Widget.
func (c *Choice) CreateRenderer() fyne.WidgetRenderer {
	r := &choiceRenderer{owner: c}
	r.build()
	return laid(r, c)
}

type choiceRenderer struct {
	owner   *Choice
	objects []fyne.CanvasObject
}

func (r *choiceRenderer) build() {
	c := r.owner
	height := c.Size().Height
	r.objects = r.objects[:0]
	x := float32(0)
	if !c.tabs {
		frame := &canvas.Rectangle{CornerRadius: Radius, StrokeWidth: 1, StrokeColor: Color(ColorLine), FillColor: color.Transparent}
		if c.focused {
			frame.StrokeWidth, frame.StrokeColor = 2, Color(ColorAccent)
		}
		w := float32(0)
		for i := range c.labels {
			w += c.width(i)
		}
		place(frame, 0, 0, w, height)
		r.objects = append(r.objects, frame)
	}
	for i, s := range c.labels {
		w := c.width(i)
		ink := ColorMuted
		if i == c.selected || i == c.hovered {
			ink = ColorText
		}
		switch {
		case c.tabs && i == c.selected:
			line := canvas.NewRectangle(Color(ColorAccent))
			place(line, x, height-2, w, 2)
			r.objects = append(r.objects, line)
			if c.focused {
				ring := &canvas.Rectangle{CornerRadius: 4, StrokeWidth: 2, StrokeColor: Color(ColorAccent), FillColor: color.Transparent}
				place(ring, x-6, 4, w+12, height-10)
				r.objects = append(r.objects, ring)
			}
		case !c.tabs && i == c.selected:
			back := &canvas.Rectangle{CornerRadius: Radius - 2, FillColor: Color(ColorSelected)}
			place(back, x+2, 2, w-4, height-4)
			r.objects = append(r.objects, back)
		}
		t := &canvas.Text{Text: s, TextSize: TextBody, TextStyle: c.style(i), Color: Color(ink), Alignment: fyne.TextAlignCenter}
		h := t.MinSize().Height
		place(t, x, (height-h)/2, w, h)
		r.objects = append(r.objects, t)
		x += w + c.gap()
	}
}

func (r *choiceRenderer) Layout(fyne.Size) { r.build() }

func (r *choiceRenderer) MinSize() fyne.Size {
	w := float32(0)
	for i := range r.owner.labels {
		w += r.owner.width(i)
	}
	h := Low
	if r.owner.tabs {
		h = High
		w += r.owner.gap() * float32(max(len(r.owner.labels)-1, 0))
	}
	return fyne.NewSize(w, h)
}

func (r *choiceRenderer) Refresh()                     { r.build(); canvas.Refresh(r.owner) }
func (r *choiceRenderer) Objects() []fyne.CanvasObject { return r.objects }
func (r *choiceRenderer) Destroy()                     {}
