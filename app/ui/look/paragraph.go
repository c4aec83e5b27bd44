package look

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"
)

// Paragraph is text over several lines without padding. Its height follows from
// a width that the parent names in HeightFor, so no second layout pass is needed.
type Paragraph struct {
	widget.BaseWidget
	text  string
	color fyne.ThemeColorName
	size  float32
	max   int
	style fyne.TextStyle
}

// NewParagraph returns a paragraph of at most max lines.
func NewParagraph(text string, color fyne.ThemeColorName, size float32, max int) *Paragraph {
	p := &Paragraph{text: text, color: color, size: size, max: max}
	p.ExtendBaseWidget(p)
	return p
}

// NewHeading returns a paragraph in bold.
func NewHeading(text string, color fyne.ThemeColorName, size float32, max int) *Paragraph {
	p := NewParagraph(text, color, size, max)
	p.style.Bold = true
	return p
}

// Set changes text and colour, and redraws only if either differs.
func (p *Paragraph) Set(text string, color fyne.ThemeColorName) {
	if p.text == text && p.color == color {
		return
	}
	p.text, p.color = text, color
	p.Refresh()
}

// Text returns the whole text.
func (p *Paragraph) Text() string { return p.text }

// HeightFor is the height needed at that width.
func (p *Paragraph) HeightFor(width float32) float32 {
	return float32(len(Wrap(p.text, width, p.size, p.style, p.max))) * p.lineHeight()
}

func (p *Paragraph) lineHeight() float32 { return p.size + 6 }

// CreateRenderer implements fyne.Widget.
func (p *Paragraph) CreateRenderer() fyne.WidgetRenderer {
	return laid(&paragraphRenderer{owner: p}, p)
}

type paragraphRenderer struct {
	owner *Paragraph
	lines []fyne.CanvasObject
}

func (r *paragraphRenderer) Layout(size fyne.Size) {
	p := r.owner
	r.lines = r.lines[:0]
	for i, s := range Wrap(p.text, size.Width, p.size, p.style, p.max) {
		t := &canvas.Text{Text: s, Color: Color(p.color), TextSize: p.size, TextStyle: p.style}
		t.Resize(fyne.NewSize(size.Width, p.lineHeight()))
		t.Move(fyne.NewPos(0, float32(i)*p.lineHeight()))
		r.lines = append(r.lines, t)
	}
}

func (r *paragraphRenderer) MinSize() fyne.Size { return fyne.NewSize(0, 0) }
func (r *paragraphRenderer) Refresh() {
	r.Layout(r.owner.Size())
	canvas.Refresh(r.owner)
}
func (r *paragraphRenderer) Objects() []fyne.CanvasObject { return r.lines }
func (r *paragraphRenderer) Destroy()                     {}
