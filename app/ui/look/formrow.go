package look

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"
)

// FormRow is a control of a form under its label, with a hint beneath that gives way
// to what is wrong.
type FormRow struct {
	widget.BaseWidget
	label   *Text
	control fyne.CanvasObject
	note    *Paragraph
	hint    string
	field   *Field // nil unless the control is one
}

// NewFormRow returns a row; hint may be "". A *Field is given as itself: the row
// shows its Box, and marks it when something is wrong.
func NewFormRow(label string, control fyne.CanvasObject, hint string) *FormRow {
	r := &FormRow{label: NewText(label, ColorText, TextBody, fyne.TextStyle{}), control: control,
		note: NewParagraph(hint, ColorMuted, TextSmall, 3), hint: hint}
	if f, ok := control.(*Field); ok {
		r.field, r.control = f, f.Box
	}
	r.ExtendBaseWidget(r)
	return r
}

// SetError shows what is wrong, "" for nothing, and reports whether the height may
// have changed: the sheet then needs a Relayout.
func (r *FormRow) SetError(text string) bool {
	ink, say := ColorBad, text
	if text == "" {
		ink, say = ColorMuted, r.hint
	}
	if r.field != nil {
		r.field.SetWrong(text != "")
	}
	if r.note.Text() == say {
		return false
	}
	r.note.Set(say, ink)
	return true
}

// SetHint changes the hint.
func (r *FormRow) SetHint(hint string) {
	if r.note.Text() == r.hint {
		r.note.Set(hint, ColorMuted)
	}
	r.hint = hint
}

const (
	formLabel float32 = 20
	formLeast float32 = 200 // a width to guess the height by
)

// HeightFor is the height needed at that width.
func (r *FormRow) HeightFor(width float32) float32 {
	h := HeightOf(r.control, width)
	if r.label.Text() != "" {
		h += formLabel + 4
	}
	if n := r.note.HeightFor(width); n > 0 {
		h += 4 + n
	}
	return h
}

// CreateRenderer implements fyne.Widget.
func (r *FormRow) CreateRenderer() fyne.WidgetRenderer { return &formRowRenderer{r} }

type formRowRenderer struct{ *FormRow }

func (r *formRowRenderer) Layout(size fyne.Size) {
	y := float32(0)
	if r.label.Text() != "" {
		place(r.label, 0, 0, size.Width, formLabel)
		y = formLabel + 4
	}
	h := HeightOf(r.control, size.Width)
	place(r.control, 0, y, size.Width, h)
	place(r.note, 0, y+h+4, size.Width, r.note.HeightFor(size.Width))
}
func (r *formRowRenderer) MinSize() fyne.Size {
	return fyne.NewSize(r.control.MinSize().Width, r.HeightFor(max(r.Size().Width, formLeast)))
}
func (r *formRowRenderer) Refresh() { r.Layout(r.Size()) }
func (r *formRowRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.label, r.control, r.note}
}
func (r *formRowRenderer) Destroy() {}
