package frame

import (
	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
)

// Question is a yes-or-no question over the window.
type Question struct {
	Title, Text string
	Yes, No     string
	// Either: neither answer is harmless, and closing the question is none.
	Either bool
}

const questionWidth float32 = 420

// Ask shows the question. The harmless answer, no, has the focus, and Escape gives it
// too.
func Ask(c fyne.Canvas, q Question, answer func(yes bool)) {
	said, pressed := false, false
	var sheet *look.Sheet
	// What is asked about is always something to think twice about.
	yes := look.NewButton(q.Yes, look.Middle, func() { said, pressed = true, true; sheet.Close() })
	yes.SetDanger(true)
	no := look.NewButton(q.No, look.Middle, func() { pressed = true; sheet.Close() })
	text := look.NewParagraph(q.Text, look.ColorMuted, look.TextBody, 12)
	sheet = look.NewSheet(q.Title, text, no, yes)
	sheet.SetWidth(questionWidth)
	sheet.OnClose(func() {
		if pressed || !q.Either {
			answer(said)
		}
	})
	sheet.Open(c, no)
}
