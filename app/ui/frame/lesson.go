// Package frame has what holds the window's rooms together and belongs to none of
// them: what an empty place teaches, the line at the bottom, the line that divides
// table and inspector, and questions.
package frame

import (
	"culvert/app/ui/look"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"
)

// Lesson is what an empty place says: what belongs here, and how to get it.
// It may show a command line with a button that copies it.
type Lesson struct {
	widget.BaseWidget
	title   *look.Text
	text    *look.Paragraph
	box     *look.Shape
	command *look.Text
	whole   string // the command, of which a narrow box shows both ends
	copy    *look.Button
}

const lessonWidth float32 = 460

// NewLesson returns an empty one. copyWith copies the command at the press of b.
func NewLesson(copyWith func(b *look.Button, text string)) *Lesson {
	l := &Lesson{
		title:   look.NewText("", look.ColorText, look.TextTitle, fyne.TextStyle{Bold: true}),
		text:    look.NewParagraph("", look.ColorMuted, look.TextBody, 8),
		box:     look.NewPanel(look.ColorCard, look.ColorLine, look.Radius),
		command: look.NewText("", look.ColorText, look.TextSmall, fyne.TextStyle{Monospace: true}),
	}
	l.copy = look.NewButton(words.T("Copy"), look.Middle, func() {
		copyWith(l.copy, l.whole)
	})
	l.ExtendBaseWidget(l)
	return l
}

// Set changes the words; command may be "".
func (l *Lesson) Set(title, text, command string) {
	if l.title.Text() == title && l.text.Text() == text && l.whole == command {
		return
	}
	l.title.Set(title, look.ColorText)
	l.text.Set(text, look.ColorMuted)
	l.whole = command
	l.Refresh()
}

// CreateRenderer implements fyne.Widget.
func (l *Lesson) CreateRenderer() fyne.WidgetRenderer {
	renderer := &lessonRenderer{l}
	renderer.Layout(l.Size()) // Fyne forgets renderers of what was long hidden, and never lays out the new one
	return renderer
}

type lessonRenderer struct{ *Lesson }

func (r *lessonRenderer) Layout(size fyne.Size) {
	w := min(size.Width-2*24, lessonWidth)
	x := (size.Width - w) / 2
	textHeight := r.text.HeightFor(w)
	h := 20 + 8 + textHeight
	if r.whole != "" {
		h += 16 + look.Middle
	}
	// A little above the middle, where the eye looks first.
	y := max((size.Height-h)*0.4, 16)
	place(r.title, x, y, w, 20)
	y += 28
	place(r.text, x, y, w, textHeight)
	y += textHeight + 16
	shown := r.whole != ""
	r.box.Hidden, r.command.Hidden, r.copy.Hidden = !shown, !shown, !shown
	const button float32 = 84
	if shown { // a long command takes what room there is
		r.command.Set(r.whole, look.ColorText)
		wide := min(max(r.command.Natural().Width+20+look.Gap+button, w), size.Width-2*24)
		x, w = (size.Width-wide)/2, wide
		if wide > lessonWidth {
			x = min(x, (size.Width-lessonWidth)/2)
		}
		r.command.Set(fitEnds(r.command, r.whole, w-button-look.Gap-20), look.ColorText)
	}
	place(r.box, x, y, w-button-look.Gap, look.Middle)
	place(r.command, x+10, y, w-button-look.Gap-20, look.Middle)
	place(r.copy, x+w-button, y, button, look.Middle)
}

func (r *lessonRenderer) MinSize() fyne.Size { return fyne.NewSize(0, 0) }
func (r *lessonRenderer) Refresh()           { r.Layout(r.Size()) }
func (r *lessonRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.title, r.text, r.box, r.command, r.copy}
}
func (r *lessonRenderer) Destroy() {}

// fitEnds cuts a text in its middle until it fits: the end of a URL tells tunnels apart.
func fitEnds(t *look.Text, text string, width float32) string {
	r := []rune(text)
	natural := t.Natural().Width
	if natural <= width || len(r) == 0 {
		return text
	}
	keep := max(int(float32(len(r))*width/natural)-1, 8) // the letters are all as wide
	tail := keep * 2 / 3
	return string(r[:keep-tail]) + "…" + string(r[len(r)-tail:])
}

// Title is what the lesson is about.
func (l *Lesson) Title() string { return l.title.Text() }

// Command is the command line that it shows, or "".
func (l *Lesson) Command() string { return l.whole }

// CopyButton copies the command line.
func (l *Lesson) CopyButton() *look.Button { return l.copy }

func place(o fyne.CanvasObject, x, y, w, h float32) {
	o.Move(fyne.NewPos(x, y))
	o.Resize(fyne.NewSize(w, h))
}
