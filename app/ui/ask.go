package ui

import (
	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"
)

// question is a yes-or-no question over the window.
type question struct {
	title, text string
	yes, no     string
}

const questionWidth float32 = 380

// ask shows the question. The harmless answer has the focus, and Escape gives it too.
func (w *Window) ask(q question, answer func(yes bool)) {
	var pop *widget.PopUp
	done := func(yes bool) {
		pop.Hide()
		answer(yes)
	}
	yes := look.NewFilledButton(q.yes, look.Middle, func() { done(true) })
	no := look.NewButton(q.no, look.Middle, func() { done(false) })
	no.OnEscape = func() { done(false) }
	yes.OnEscape = no.OnEscape
	text := look.NewParagraph(q.text, look.ColorMuted, look.TextBody, 6)
	content := container.New(questionLayout{},
		look.NewPanel(look.ColorCard, look.ColorLine, 10),
		look.NewText(q.title, look.ColorText, look.TextTitle+1, fyne.TextStyle{Bold: true}),
		text, no, yes)
	pop = widget.NewModalPopUp(content, w.win.Canvas())
	pop.Show()
	w.win.Canvas().Focus(no)
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
