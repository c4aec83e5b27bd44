package look

import (
	"slices"
	"unicode"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
)

// Item is a line of a menu.
type Item struct {
	Text      string
	Hint      string // what stands at the right, such as a shortcut
	Icon      Icon   // may be ""
	Checked   bool
	Disabled  bool
	Danger    bool // takes something away
	Warn      bool // better thought over
	Separator bool // a line between groups; nothing else counts
	Run       func()
}

// ShowMenu opens a menu at an object, beneath it where there is room. Arrows move,
// Enter or Space choose, Escape or a tap elsewhere close it.
func ShowMenu(at fyne.CanvasObject, items []Item) {
	d := fyne.CurrentApp().Driver()
	showMenu(d.CanvasForObject(at), d.AbsolutePositionForObject(at), at.Size(), items)
}

// ShowMenuAt opens a menu at a place in the window, such as where the pointer is, over
// the object that it is about.
func ShowMenuAt(over fyne.CanvasObject, at fyne.Position, items []Item) {
	showMenu(fyne.CurrentApp().Driver().CanvasForObject(over), at, fyne.Size{}, items)
}

func showMenu(c fyne.Canvas, at fyne.Position, size fyne.Size, items []Item) {
	if c == nil || len(items) == 0 {
		return
	}
	m := &menu{canvas: c}
	m.panel = newMenuPanel(items, m.choose, m.escape)
	m.scroll = container.NewVScroll(m.panel)
	m.panel.scroll = m.scroll
	m.frame = NewRaised(ColorRaised, 8)
	m.anchor, m.anchorSize = at, size
	m.ExtendBaseWidget(m)
	c.Overlays().Add(m)
	c.Focus(m.panel)
}

// menu is the overlay: it takes every tap, and closes at those beside the panel.
type menu struct {
	widget.BaseWidget
	canvas     fyne.Canvas
	frame      *Shape
	scroll     *container.Scroll
	panel      *menuPanel
	anchor     fyne.Position
	anchorSize fyne.Size
}

var (
	_ fyne.Tappable          = (*menu)(nil)
	_ fyne.SecondaryTappable = (*menu)(nil)
)

func (m *menu) escape()                          { m.canvas.Overlays().Remove(m) }
func (m *menu) Tapped(*fyne.PointEvent)          { m.escape() }
func (m *menu) TappedSecondary(*fyne.PointEvent) { m.escape() }

func (m *menu) choose(run func()) {
	m.escape()
	if run != nil {
		run()
	}
}

func (m *menu) CreateRenderer() fyne.WidgetRenderer { return &menuRenderer{m} }

type menuRenderer struct{ *menu }

func (r *menuRenderer) Layout(size fyne.Size) {
	const margin, pad = 4, 4
	w := min(max(r.panel.natural, r.anchorSize.Width-2*pad), size.Width-2*(margin+pad))
	h := r.panel.height()
	below := size.Height - margin - (r.anchor.Y + r.anchorSize.Height + 4)
	above := r.anchor.Y - 4 - margin
	y := r.anchor.Y + r.anchorSize.Height + 4
	if room := below - 2*pad; h > room {
		if above > below {
			h = min(h, above-2*pad)
			y = r.anchor.Y - 4 - h - 2*pad
		} else {
			h = max(room, menuRow)
		}
	}
	x := r.anchor.X
	if x+w+2*pad > size.Width-margin {
		x = r.anchor.X + r.anchorSize.Width - w - 2*pad
	}
	x = max(x, margin)
	place(r.frame, x, y, w+2*pad, h+2*pad)
	place(r.scroll, x+pad, y+pad, w, h)
}

func (r *menuRenderer) MinSize() fyne.Size           { return fyne.Size{} }
func (r *menuRenderer) Refresh()                     { r.frame.Refresh(); r.panel.Refresh() }
func (r *menuRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.frame, r.scroll} }
func (r *menuRenderer) Destroy()                     {}

const (
	menuRow float32 = 28
	menuGap float32 = 9
)

// menuPanel is the lines of a menu: one widget, because only one line is active at a
// time, whether the pointer or a key got there.
type menuPanel struct {
	widget.BaseWidget
	items   []Item
	active  int // -1 for none
	natural float32
	icons   bool
	choose  func(run func())
	close   func()
	scroll  *container.Scroll
}

var (
	_ fyne.Tappable     = (*menuPanel)(nil)
	_ fyne.Focusable    = (*menuPanel)(nil)
	_ desktop.Hoverable = (*menuPanel)(nil)
)

func newMenuPanel(items []Item, choose func(func()), close func()) *menuPanel {
	p := &menuPanel{items: items, active: -1, choose: choose, close: close}
	for _, it := range items {
		p.icons = p.icons || it.Icon != "" || it.Checked
	}
	for _, it := range items {
		w := p.textX() + fyne.MeasureText(it.Text, TextBody, fyne.TextStyle{}).Width + 12
		if it.Hint != "" {
			w += 24 + fyne.MeasureText(it.Hint, TextSmall, fyne.TextStyle{}).Width
		}
		p.natural = max(p.natural, min(w, 420), 120)
	}
	p.ExtendBaseWidget(p)
	return p
}

func (p *menuPanel) textX() float32 {
	if p.icons {
		return 34
	}
	return 10
}

func (p *menuPanel) height() (h float32) {
	for _, it := range p.items {
		h += it.height()
	}
	return h
}

func (i Item) height() float32 {
	if i.Separator {
		return menuGap
	}
	return menuRow
}

func (p *menuPanel) at(y float32) int {
	for i, it := range p.items {
		if y -= it.height(); y < 0 {
			return i
		}
	}
	return -1
}

func (p *menuPanel) usable(i int) bool {
	return i >= 0 && i < len(p.items) && !p.items[i].Separator && !p.items[i].Disabled
}

func (p *menuPanel) activate(i int) {
	if !p.usable(i) {
		i = -1
	}
	if p.active != i {
		p.active = i
		p.Refresh()
	}
}

func (p *menuPanel) move(from, step int) {
	for n := 0; n < len(p.items); n++ {
		from = (from + step + len(p.items)) % len(p.items)
		if p.usable(from) {
			p.activate(from)
			p.reveal()
			return
		}
	}
}

// reveal scrolls to the active line.
func (p *menuPanel) reveal() {
	if p.scroll == nil || p.active < 0 {
		return
	}
	top := float32(0)
	for _, it := range p.items[:p.active] {
		top += it.height()
	}
	bottom, view := top+p.items[p.active].height(), p.scroll.Size().Height
	switch offset := p.scroll.Offset.Y; {
	case top < offset:
		p.scroll.ScrollToOffset(fyne.NewPos(0, top))
	case bottom > offset+view:
		p.scroll.ScrollToOffset(fyne.NewPos(0, bottom-view))
	}
}

func (p *menuPanel) run(i int) {
	if p.usable(i) {
		p.choose(p.items[i].Run)
	}
}

// Tapped implements fyne.Tappable.
func (p *menuPanel) Tapped(ev *fyne.PointEvent) { p.run(p.at(ev.Position.Y)) }

// MouseIn implements desktop.Hoverable.
func (p *menuPanel) MouseIn(ev *desktop.MouseEvent) { p.activate(p.at(ev.Position.Y)) }

// MouseMoved implements desktop.Hoverable.
func (p *menuPanel) MouseMoved(ev *desktop.MouseEvent) { p.activate(p.at(ev.Position.Y)) }

// MouseOut implements desktop.Hoverable.
func (p *menuPanel) MouseOut() { p.activate(-1) }

// FocusGained begins at what is in force, else at the first item.
func (p *menuPanel) FocusGained() {
	if p.active >= 0 {
		return
	}
	if i := slices.IndexFunc(p.items, func(it Item) bool { return it.Checked }); p.usable(i) {
		p.activate(i)
		p.reveal()
		return
	}
	p.move(-1, 1)
}

// FocusLost implements fyne.Focusable.
func (p *menuPanel) FocusLost() {}

// TypedRune goes to the next item that begins with the letter.
func (p *menuPanel) TypedRune(r rune) {
	for n := 1; n <= len(p.items); n++ {
		i := (max(p.active, 0) + n) % len(p.items)
		for _, first := range p.items[i].Text {
			if p.usable(i) && unicode.ToLower(first) == unicode.ToLower(r) {
				p.activate(i)
				p.reveal()
				return
			}
			break
		}
	}
}

// TypedKey implements fyne.Focusable.
func (p *menuPanel) TypedKey(ev *fyne.KeyEvent) {
	switch ev.Name {
	case fyne.KeyDown:
		p.move(p.active, 1)
	case fyne.KeyUp:
		p.move(max(p.active, 0), -1)
	case fyne.KeyHome:
		p.move(-1, 1)
	case fyne.KeyEnd:
		p.move(len(p.items), -1)
	case fyne.KeyReturn, fyne.KeyEnter, fyne.KeySpace:
		p.run(p.active)
	case fyne.KeyEscape, fyne.KeyLeft:
		p.close()
	}
}

// CreateRenderer implements fyne.Widget.
func (p *menuPanel) CreateRenderer() fyne.WidgetRenderer {
	r := &menuPanelRenderer{owner: p, active: &canvas.Rectangle{CornerRadius: 4}}
	r.build()
	return laid(r, p)
}

type menuPanelRenderer struct {
	owner   *menuPanel
	active  *canvas.Rectangle
	objects []fyne.CanvasObject
}

func (r *menuPanelRenderer) build() {
	p := r.owner
	r.active.FillColor = Color(ColorSelected)
	r.active.Hidden = p.active < 0
	r.objects = append(r.objects[:0], r.active)
	width, y := p.Size().Width, float32(0)
	for i, it := range p.items {
		h := it.height()
		if it.Separator {
			line := canvas.NewRectangle(Color(ColorLine))
			place(line, 4, y+4, width-8, 1)
			r.objects = append(r.objects, line)
			y += h
			continue
		}
		if i == p.active {
			place(r.active, 0, y, width, h)
		}
		ink, tint := ColorText, ColorMuted
		switch {
		case it.Disabled:
			ink, tint = ColorFaint, ColorFaint
		case it.Danger:
			ink, tint = ColorBad, ColorBad
		case it.Warn:
			tint = ColorWarn
		}
		icon := it.Icon
		if it.Checked {
			icon = IconCheck
		}
		if icon != "" {
			img := NewImage(icon, tint)
			place(img, 9, y+(h-IconSize)/2, IconSize, IconSize)
			r.objects = append(r.objects, img)
		}
		right := width - 10
		if it.Hint != "" {
			hint := &canvas.Text{Text: it.Hint, TextSize: TextSmall, Color: Color(tint)}
			m := hint.MinSize()
			right -= m.Width
			place(hint, right, y+(h-m.Height)/2, m.Width, m.Height)
			r.objects = append(r.objects, hint)
			right -= 16
		}
		label := &canvas.Text{Text: Ellipsis(Clean(it.Text), right-p.textX(), TextBody, fyne.TextStyle{}), TextSize: TextBody, Color: Color(ink)}
		m := label.MinSize()
		place(label, p.textX(), y+(h-m.Height)/2, m.Width, m.Height)
		r.objects = append(r.objects, label)
		y += h
	}
}

func (r *menuPanelRenderer) Layout(fyne.Size) { r.build() }
func (r *menuPanelRenderer) MinSize() fyne.Size {
	return fyne.NewSize(120, r.owner.height())
}
func (r *menuPanelRenderer) Refresh()                     { r.build(); canvas.Refresh(r.owner) }
func (r *menuPanelRenderer) Objects() []fyne.CanvasObject { return r.objects }
func (r *menuPanelRenderer) Destroy()                     {}
