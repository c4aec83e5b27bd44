package inspector

import (
	"strings"

	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"
)

const lineHeight float32 = 20

var mono = fyne.TextStyle{Monospace: true}

// pane is a text that scrolls. It draws as many lines as the screen shows, so that
// its cost does not follow the length of the text.
type pane struct {
	widget.BaseWidget
	doc    doc
	scroll *container.Scroll
	sheet  *sheet

	// list: lines are rows, one of which is chosen by tap or arrow key.
	list    bool
	chosen  int
	choose  func(i int)
	follows bool // it stays at the end while it grows, unless it was scrolled away

	// seen is told the last line in sight whenever that may have changed.
	seen func(last int)

	copy       func(text string)
	escape     func()
	onShortcut func(fyne.Shortcut)
}

func newPane(a *Actions) *pane {
	p := &pane{doc: &flow{}, chosen: -1, escape: a.Close, onShortcut: a.Shortcut}
	p.copy = func(text string) { a.Copy(text, func() {}) }
	p.sheet = newSheet(p)
	p.scroll = container.NewScroll(p.sheet)
	p.scroll.OnScrolled = func(fyne.Position) { p.sheet.update(false) }
	p.ExtendBaseWidget(p)
	return p
}

// set shows another text from its start; with keep, the place stays, because it is
// the same text grown or told anew.
func (p *pane) set(d doc, keep bool) {
	atEnd := p.atEnd()
	p.doc = d
	d.fit(p.cols())
	if !keep {
		p.sheet.unmark()
		p.scroll.Offset = fyne.Position{}
	}
	p.grown(p.follows && atEnd)
}

// changed draws anew after the doc has changed.
func (p *pane) changed() { p.set(p.doc, true) }

func (p *pane) grown(toEnd bool) {
	p.sheet.Resize(p.sheet.MinSize().Max(p.scroll.Size()))
	size, room := p.sheet.Size(), p.scroll.Size()
	p.scroll.Offset.Y = min(p.scroll.Offset.Y, max(size.Height-room.Height, 0))
	p.scroll.Offset.X = min(p.scroll.Offset.X, max(size.Width-room.Width, 0))
	if toEnd {
		p.scroll.Offset.Y = max(size.Height-room.Height, 0)
	}
	p.scroll.Refresh()
	p.sheet.update(true)
}

// atEnd reports whether the last line is in sight, of those that were drawn last: the
// doc may have grown since.
func (p *pane) atEnd() bool {
	return p.scroll.Offset.Y+p.scroll.Size().Height >= p.sheet.Size().Height-lineHeight/2
}

func (p *pane) toEnd() { p.grown(true) }

// cols is how many characters stand beside each other.
func (p *pane) cols() int { return int((p.scroll.Size().Width - 2*look.Inset) / charWidth()) }

func charWidth() float32 { return fyne.MeasureText("0123456789", look.TextSmall, mono).Width / 10 }

// pick chooses a row of a list and shows it.
func (p *pane) pick(i int) {
	if n := p.doc.len(); n == 0 {
		return
	} else {
		i = min(max(i, 0), n-1)
	}
	p.chosen = i
	p.reveal(i)
	p.sheet.update(true)
	if p.choose != nil {
		p.choose(i)
	}
}

func (p *pane) reveal(i int) {
	top, bottom := float32(i)*lineHeight+topPad, float32(i+1)*lineHeight+topPad
	switch room := p.scroll.Size().Height; {
	case top < p.scroll.Offset.Y:
		p.scroll.Offset.Y = top
	case bottom > p.scroll.Offset.Y+room:
		p.scroll.Offset.Y = bottom - room
	}
	p.scroll.Refresh()
}

// by scrolls by so many lines and characters.
func (p *pane) by(lines, chars float32) {
	size, room := p.sheet.Size(), p.scroll.Size()
	p.scroll.Offset.Y = min(max(p.scroll.Offset.Y+lines*lineHeight, 0), max(size.Height-room.Height, 0))
	p.scroll.Offset.X = min(max(p.scroll.Offset.X+chars*charWidth(), 0), max(size.Width-room.Width, 0))
	p.scroll.Refresh()
	p.sheet.update(false)
}

// marked is the text of the marked lines, or of all.
func (p *pane) marked() string {
	from, to := p.sheet.marks()
	if from < 0 {
		from, to = 0, p.doc.len()-1
	}
	var b strings.Builder
	for i := from; i <= min(to, p.doc.len()-1); i++ {
		b.WriteString(strings.TrimRight(p.doc.at(i).text(), " "))
		b.WriteByte('\n')
	}
	return b.String()
}

// CreateRenderer implements fyne.Widget.
func (p *pane) CreateRenderer() fyne.WidgetRenderer {
	r := &paneRenderer{owner: p, ring: &canvas.Rectangle{StrokeWidth: 1}}
	r.paint()
	return r
}

type paneRenderer struct {
	owner *pane
	ring  *canvas.Rectangle // shows the focus
}

func (r *paneRenderer) paint() {
	r.ring.Hidden = !r.owner.sheet.focused
	r.ring.StrokeColor = look.Color(look.ColorAccent)
}

func (r *paneRenderer) Layout(size fyne.Size) {
	p := r.owner
	r.ring.Resize(size)
	atEnd := p.follows && p.atEnd()
	p.scroll.Resize(size)
	p.doc.fit(p.cols())
	p.grown(atEnd)
}

func (r *paneRenderer) MinSize() fyne.Size { return fyne.NewSize(80, 2*lineHeight) }

func (r *paneRenderer) Refresh() {
	r.paint()
	r.ring.Resize(r.owner.Size())
	r.ring.Refresh()
	r.owner.scroll.Refresh()
	r.owner.sheet.update(true)
}

func (r *paneRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.owner.scroll, r.ring}
}

func (r *paneRenderer) Destroy() {}
