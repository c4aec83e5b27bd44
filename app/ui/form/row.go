package form

import (
	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"
)

// Row is a labelled control: the label above it, a hint beneath, and, while what
// stands in it will not do, the problem instead of the hint.
type Row struct {
	widget.BaseWidget
	label   *look.Text
	control fyne.CanvasObject
	note    *look.Paragraph
	hint    string
	problem string
	changed func()
}

// NewRow returns a row. The hint may be "".
func NewRow(label string, control fyne.CanvasObject, hint string) *Row {
	r := &Row{
		label:   look.NewText(label, look.ColorText, look.TextBody, fyne.TextStyle{Bold: true}),
		control: control,
		note:    look.NewParagraph(hint, look.ColorMuted, look.TextSmall, 6),
		hint:    hint,
	}
	r.ExtendBaseWidget(r)
	return r
}

// OnResized is called when the height may have changed.
func (r *Row) OnResized(changed func()) { r.changed = changed }

// SetHint changes the hint.
func (r *Row) SetHint(text string) {
	r.hint = text
	r.paint()
}

// SetProblem says what is wrong with what stands in the control, or "".
func (r *Row) SetProblem(text string) {
	r.problem = text
	r.paint()
}

// Problem is what SetProblem said.
func (r *Row) Problem() string { return r.problem }

// Note is what stands beneath the control.
func (r *Row) Note() string { return r.note.Text() }

func (r *Row) paint() {
	text, tint := r.hint, look.ColorMuted
	if r.problem != "" {
		text, tint = "✕ "+r.problem, look.ColorBad
	}
	if r.note.Text() == text {
		return
	}
	r.note.Set(text, tint)
	if r.changed != nil {
		r.changed()
	}
}

const labelHeight float32 = 20

// HeightFor implements Flowing.
func (r *Row) HeightFor(width float32) float32 {
	h := labelHeight + Tight + heightFor(r.control, width)
	if n := r.note.HeightFor(width); n > 0 {
		h += Tight + n
	}
	return h
}

// CreateRenderer implements fyne.Widget.
func (r *Row) CreateRenderer() fyne.WidgetRenderer { return &rowRenderer{r} }

type rowRenderer struct{ *Row }

func (r *rowRenderer) Layout(size fyne.Size) {
	place(r.label, 0, 0, size.Width, labelHeight)
	y := labelHeight + Tight
	h := heightFor(r.control, size.Width)
	place(r.control, 0, y, size.Width, h)
	y += h + Tight
	place(r.note, 0, y, size.Width, r.note.HeightFor(size.Width))
}

func (r *rowRenderer) MinSize() fyne.Size { return fyne.NewSize(0, 0) }
func (r *rowRenderer) Refresh()           { r.Layout(r.Size()) }
func (r *rowRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.label, r.control, r.note}
}
func (r *rowRenderer) Destroy() {}
