package form

import (
	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"
)

// Path shows a text to be copied, such as a file's name, with buttons beside it. Where
// it does not fit its beginning gives way: the end tells files apart.
type Path struct {
	widget.BaseWidget
	text    string
	box     *look.Shape
	line    *look.Text
	buttons []*look.Button
}

// NewPath returns an empty one.
func NewPath(buttons ...*look.Button) *Path {
	p := &Path{
		box:     look.NewPanel(look.ColorBase, look.ColorLine, look.Radius),
		line:    look.NewText("", look.ColorText, look.TextSmall, fyne.TextStyle{Monospace: true}),
		buttons: buttons,
	}
	p.ExtendBaseWidget(p)
	return p
}

// Set changes the text.
func (p *Path) Set(text string) {
	if p.text != text {
		p.text = text
		p.Refresh()
	}
}

// Text is the whole text.
func (p *Path) Text() string { return p.text }

const pathInset float32 = 10

// tail cuts a text to the width from its beginning.
func tail(text string, width float32) string {
	style := fyne.TextStyle{Monospace: true}
	letter := fyne.MeasureText("m", look.TextSmall, style).Width
	runes := []rune(look.Clean(text))
	fits := int(width / letter)
	if len(runes) <= fits || fits < 2 {
		return string(runes)
	}
	return "…" + string(runes[len(runes)-fits+1:])
}

// CreateRenderer implements fyne.Widget.
func (p *Path) CreateRenderer() fyne.WidgetRenderer { return &pathRenderer{p} }

type pathRenderer struct{ *Path }

func (r *pathRenderer) Layout(size fyne.Size) {
	right := size.Width
	for i := len(r.buttons) - 1; i >= 0; i-- {
		m := r.buttons[i].MinSize()
		right -= m.Width
		place(r.buttons[i], right, (size.Height-m.Height)/2, m.Width, m.Height)
		right -= look.Gap
	}
	w := max(right-2*pathInset, 0)
	place(r.box, 0, 0, right, size.Height)
	r.line.Set(tail(r.text, w), look.ColorText)
	place(r.line, pathInset, 0, w, size.Height)
}

func (r *pathRenderer) MinSize() fyne.Size { return fyne.NewSize(120, look.Middle) }
func (r *pathRenderer) Refresh()           { r.Layout(r.Size()) }
func (r *pathRenderer) Objects() []fyne.CanvasObject {
	objects := []fyne.CanvasObject{r.box, r.line}
	for _, b := range r.buttons {
		objects = append(objects, b)
	}
	return objects
}
func (r *pathRenderer) Destroy() {}
