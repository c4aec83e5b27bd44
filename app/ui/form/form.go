// Package form lays out what a person fills in: a scrolling page of sections, each
// a column of rows that know their height for a width, so that a hint or a problem
// that needs several lines moves what stands beneath it.
package form

import (
	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
)

// Distances of a form.
const (
	// Tight is between what belongs to one thing, Loose between things.
	Tight = look.Gap / 2
	Loose = 2 * look.Gap
)

// NewSection returns a column under a heading. The intro may be "".
func NewSection(title, intro string, objects ...fyne.CanvasObject) *fyne.Container {
	head := look.NewStack(Tight,
		look.NewText(title, look.ColorText, look.TextTitle, fyne.TextStyle{Bold: true}),
		look.NewParagraph(intro, look.ColorMuted, look.TextBody, 8))
	return look.NewStack(look.Inset, append([]fyne.CanvasObject{head}, objects...)...)
}

// place moves and resizes in one.
func place(o fyne.CanvasObject, x, y, w, h float32) {
	o.Move(fyne.NewPos(x, y))
	o.Resize(fyne.NewSize(w, h))
}
