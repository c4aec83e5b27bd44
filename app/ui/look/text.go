package look

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"

	"culvert/app/plain"
)

// Text is one line of text without padding, cut with an ellipsis where it does
// not fit. Its colour is a theme name, so that it follows a change of theme.
type Text struct {
	widget.BaseWidget
	text  string
	color fyne.ThemeColorName
	size  float32
	style fyne.TextStyle
}

// NewText returns a line of text in a colour and size of the scale.
func NewText(text string, color fyne.ThemeColorName, size float32, style fyne.TextStyle) *Text {
	t := &Text{text: Clean(text), color: color, size: size, style: style}
	t.ExtendBaseWidget(t)
	return t
}

// Set changes text and colour, and redraws only if either differs.
func (t *Text) Set(text string, color fyne.ThemeColorName) {
	text = Clean(text)
	if t.text == text && t.color == color {
		return
	}
	t.text, t.color = text, color
	t.Refresh()
}

// Text returns the whole text, cut or not.
func (t *Text) Text() string { return t.text }

// Natural is the size that the whole text needs.
func (t *Text) Natural() fyne.Size { return fyne.MeasureText(t.text, t.size, t.style) }

// CreateRenderer implements fyne.Widget.
func (t *Text) CreateRenderer() fyne.WidgetRenderer {
	r := &textRenderer{owner: t, line: &canvas.Text{TextSize: t.size, TextStyle: t.style}}
	r.fit(t.Size().Width)
	return laid(r, t)
}

type textRenderer struct {
	owner *Text
	line  *canvas.Text
}

func (r *textRenderer) fit(width float32) {
	r.line.Text = Ellipsis(r.owner.text, width, r.owner.size, r.owner.style)
	r.line.Color = Color(r.owner.color)
}

func (r *textRenderer) Layout(size fyne.Size) {
	r.fit(size.Width)
	h := r.line.MinSize().Height
	r.line.Move(fyne.NewPos(0, (size.Height-h)/2))
	r.line.Resize(fyne.NewSize(size.Width, h))
	r.line.Refresh()
}

func (r *textRenderer) MinSize() fyne.Size {
	return fyne.NewSize(0, fyne.MeasureText("Ag", r.owner.size, r.owner.style).Height)
}

func (r *textRenderer) Refresh()                     { r.Layout(r.owner.Size()) }
func (r *textRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.line} }
func (r *textRenderer) Destroy()                     {}

// Ellipsis cuts text to the width.
func Ellipsis(text string, width, size float32, style fyne.TextStyle) string {
	if width <= 0 || fyne.MeasureText(text, size, style).Width <= width {
		return text
	}
	runes := []rune(text)
	return string(runes[:prefix(runes, "…", width, size, style)]) + "…"
}

// prefix is how many runes of a text that is too wide fit together with the suffix.
func prefix(runes []rune, suffix string, width, size float32, style fyne.TextStyle) int {
	lo, hi := 0, len(runes) // the longest prefix that fits lies in [lo, hi)
	for lo+1 < hi {
		mid := (lo + hi) / 2
		if fyne.MeasureText(string(runes[:mid])+suffix, size, style).Width <= width {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// bound leaves out what cannot fit into so many lines: measuring a text takes as long
// as it is. No letter worth reading is narrower than a quarter of its height.
func bound(text string, width, size float32, lines int) string {
	most := lines * (int(4*width/size) + 1)
	if width <= 0 || len(text) <= most {
		return text
	}
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most]) + "…"
}

// split divides a word that is wider than a line, as paths and URLs are.
func split(word string, width, size float32, style fyne.TextStyle) (head, tail string) {
	if width <= 0 || fyne.MeasureText(word, size, style).Width <= width {
		return word, ""
	}
	runes := []rune(word)
	n := max(prefix(runes, "", width, size, style), 1)
	return string(runes[:n]), string(runes[n:])
}

// Clean makes text that came from elsewhere harmless to draw: one line, no control
// characters, no marks that reverse the reading direction.
func Clean(text string) string { return plain.Line(text) }
