package form

import (
	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"
)

// Option is a setting on one line: what it is and what it does at the left, its
// control at the right.
type Option struct {
	widget.BaseWidget
	label   *look.Paragraph
	note    *look.Paragraph
	control fyne.CanvasObject
	width   float32
}

// NewOption returns an option whose control is as wide as width, or as it likes to be
// if width is 0. The note may be "".
func NewOption(label, note string, control fyne.CanvasObject, width float32) *Option {
	if s, ok := control.(*look.Switch); ok {
		s.Name = label // it stands without one of its own
	}
	o := &Option{
		label:   look.NewParagraph(label, look.ColorText, look.TextBody, 3),
		note:    look.NewParagraph(note, look.ColorMuted, look.TextSmall, 4),
		control: control, width: width,
	}
	o.ExtendBaseWidget(o)
	return o
}

// SetLabel changes the label.
func (o *Option) SetLabel(text string) { o.label.Set(text, look.ColorText) }

// SetNote changes the words beneath the label.
func (o *Option) SetNote(text string, color fyne.ThemeColorName) { o.note.Set(text, color) }

func (o *Option) controlSize() fyne.Size {
	m := o.control.MinSize()
	if o.width > 0 {
		m.Width = o.width
	}
	return m
}

func (o *Option) textWidth(width float32) float32 {
	return max(width-o.controlSize().Width-Loose, 0)
}

// HeightFor is the height that it needs at a width.
func (o *Option) HeightFor(width float32) float32 {
	return max(o.textHeight(o.textWidth(width)), o.controlSize().Height, look.Low)
}

func (o *Option) textHeight(width float32) float32 {
	h := o.label.HeightFor(width)
	if n := o.note.HeightFor(width); n > 0 {
		h += n
	}
	return h
}

// CreateRenderer implements fyne.Widget.
func (o *Option) CreateRenderer() fyne.WidgetRenderer { return &optionRenderer{o} }

type optionRenderer struct{ *Option }

func (r *optionRenderer) Layout(size fyne.Size) {
	w := r.textWidth(size.Width)
	text := r.textHeight(w)
	y := max((size.Height-text)/2, 0)
	label := r.label.HeightFor(w)
	place(r.label, 0, y, w, label)
	place(r.note, 0, y+label, w, text-label)
	c := r.controlSize()
	place(r.control, size.Width-c.Width, (size.Height-c.Height)/2, c.Width, c.Height)
}

func (r *optionRenderer) MinSize() fyne.Size { return fyne.NewSize(0, 0) }
func (r *optionRenderer) Refresh()           { r.Layout(r.Size()) }
func (r *optionRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.label, r.note, r.control}
}
func (r *optionRenderer) Destroy() {}
