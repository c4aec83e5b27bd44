package frame

import (
	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"
)

// Question is a yes-or-no question over the window.
type Question struct {
	Title, Text string
	Yes, No     string
}

const questionWidth float32 = 400

// Ask shows the question. The harmless answer, no, has the focus, and Escape gives it
// too.
func Ask(c fyne.Canvas, q Question, answer func(yes bool)) {
	var pop *widget.PopUp
	done := func(yes bool) {
		pop.Hide()
		answer(yes)
	}
	yes := look.NewFilledButton(q.Yes, look.Middle, func() { done(true) })
	no := look.NewButton(q.No, look.Middle, func() { done(false) })
	no.OnEscape = func() { done(false) }
	yes.OnEscape = no.OnEscape
	text := look.NewParagraph(q.Text, look.ColorMuted, look.TextBody, 10)
	content := container.New(questionLayout{},
		look.NewPanel(look.ColorCard, look.ColorLine, 10),
		look.NewText(q.Title, look.ColorText, look.TextTitle+1, fyne.TextStyle{Bold: true}),
		text, no, yes)
	pop = widget.NewModalPopUp(content, c)
	pop.Show()
	c.Focus(no)
}

// questionLayout places panel, title, text, and the two answers at the right.
type questionLayout struct{}

const questionPad float32 = 20

func (questionLayout) Layout(o []fyne.CanvasObject, size fyne.Size) {
	inner := size.Width - 2*questionPad
	o[0].Resize(size)
	o[1].Move(fyne.NewPos(questionPad, questionPad))
	o[1].Resize(fyne.NewSize(inner, 20))
	h := o[2].(*look.Paragraph).HeightFor(inner)
	o[2].Move(fyne.NewPos(questionPad, questionPad+28))
	o[2].Resize(fyne.NewSize(inner, h))
	x := size.Width - questionPad
	for _, b := range []fyne.CanvasObject{o[4], o[3]} {
		m := b.MinSize()
		x -= m.Width
		b.Move(fyne.NewPos(x, size.Height-questionPad-m.Height))
		b.Resize(m)
		x -= look.Gap
	}
}

func (questionLayout) MinSize(o []fyne.CanvasObject) fyne.Size {
	h := o[2].(*look.Paragraph).HeightFor(questionWidth - 2*questionPad)
	return fyne.NewSize(questionWidth, questionPad+28+h+20+look.Middle+questionPad)
}
