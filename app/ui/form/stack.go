// Package form lays out what a person fills in: a scrolling page of sections, each
// a column of rows that know their height for a width, so that a hint or a problem
// that needs several lines moves what stands beneath it.
package form

import (
	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"
)

// Flowing is an object whose height follows from its width.
type Flowing interface {
	fyne.CanvasObject
	HeightFor(width float32) float32
}

// heightFor is the height that any object needs at a width.
func heightFor(o fyne.CanvasObject, width float32) float32 {
	if f, ok := o.(Flowing); ok {
		return f.HeightFor(width)
	}
	return o.MinSize().Height
}

// Stack is a column. Hidden objects take no room, nor do flowing ones of no height.
type Stack struct {
	widget.BaseWidget
	gap     float32
	objects []fyne.CanvasObject
}

// NewStack returns a column with a gap between its objects.
func NewStack(gap float32, objects ...fyne.CanvasObject) *Stack {
	s := &Stack{gap: gap, objects: objects}
	s.ExtendBaseWidget(s)
	return s
}

// Set replaces the objects.
func (s *Stack) Set(objects ...fyne.CanvasObject) {
	s.objects = objects
	s.Refresh()
}

// place calls put for every object that is to be seen, and returns the height of all.
func (s *Stack) place(width float32, put func(o fyne.CanvasObject, y, height float32)) float32 {
	y := float32(0)
	for _, o := range s.objects {
		if !o.Visible() {
			continue
		}
		h := heightFor(o, width)
		if h == 0 {
			continue
		}
		if y > 0 {
			y += s.gap
		}
		put(o, y, h)
		y += h
	}
	return y
}

// HeightFor implements Flowing.
func (s *Stack) HeightFor(width float32) float32 {
	return s.place(width, func(fyne.CanvasObject, float32, float32) {})
}

// CreateRenderer implements fyne.Widget.
func (s *Stack) CreateRenderer() fyne.WidgetRenderer { return &stackRenderer{s} }

type stackRenderer struct{ *Stack }

func (r *stackRenderer) Layout(size fyne.Size) {
	r.place(size.Width, func(o fyne.CanvasObject, y, h float32) {
		o.Move(fyne.NewPos(0, y))
		resize(o, fyne.NewSize(size.Width, h))
	})
}

// resize also lays out what has its size already: its inside may have changed.
func resize(o fyne.CanvasObject, size fyne.Size) {
	if _, flows := o.(Flowing); flows && o.Size() == size {
		o.Refresh()
		return
	}
	o.Resize(size)
}

func (r *stackRenderer) MinSize() fyne.Size { return fyne.NewSize(0, 0) }

func (r *stackRenderer) Refresh() {
	r.Layout(r.Size())
	canvas.Refresh(r.Stack)
}

func (r *stackRenderer) Objects() []fyne.CanvasObject { return r.objects }
func (r *stackRenderer) Destroy()                     {}

// place moves and resizes in one.
func place(o fyne.CanvasObject, x, y, w, h float32) {
	o.Move(fyne.NewPos(x, y))
	o.Resize(fyne.NewSize(w, h))
}

// Distances of a form.
const (
	// Tight is between what belongs to one thing, Loose between things.
	Tight = look.Gap / 2
	Loose = 2 * look.Gap
)
