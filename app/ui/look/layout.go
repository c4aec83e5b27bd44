package look

import (
	"math"

	"fyne.io/fyne/v2"
)

// tall is an object whose height follows from the width that it is given.
type tall interface {
	HeightFor(width float32) float32
}

// HeightOf is the height that an object needs at a width.
func HeightOf(o fyne.CanvasObject, width float32) float32 {
	if t, ok := o.(tall); ok {
		return t.HeightFor(width)
	}
	if c, ok := o.(*fyne.Container); ok {
		if t, ok := c.Layout.(interface {
			HeightFor(o []fyne.CanvasObject, width float32) float32
		}); ok {
			return t.HeightFor(c.Objects, width)
		}
	}
	return o.MinSize().Height
}

// WidthOf is the width that an object would like: a text's whole width, else its least.
func WidthOf(o fyne.CanvasObject) float32 {
	if t, ok := o.(interface{ Natural() fyne.Size }); ok {
		return ceil(t.Natural().Width)
	}
	return o.MinSize().Width
}

// NewStack puts objects under one another over the whole width, with a gap between.
// Hidden ones take no room. It asks objects with HeightFor for their height.
func NewStack(gap float32, objects ...fyne.CanvasObject) *fyne.Container {
	return &fyne.Container{Layout: stackLayout{gap}, Objects: objects}
}

type stackLayout struct{ gap float32 }

func (l stackLayout) each(o []fyne.CanvasObject, width float32, do func(o fyne.CanvasObject, y, h float32)) float32 {
	y := float32(0)
	for _, o := range o {
		if !o.Visible() {
			continue
		}
		h := HeightOf(o, width)
		if h <= 0 {
			continue
		}
		if y > 0 {
			y += l.gap
		}
		do(o, y, h)
		y += h
	}
	return y
}

func (l stackLayout) Layout(o []fyne.CanvasObject, size fyne.Size) {
	l.each(o, size.Width, func(o fyne.CanvasObject, y, h float32) { place(o, 0, y, size.Width, h) })
}

func (l stackLayout) HeightFor(o []fyne.CanvasObject, width float32) float32 {
	return l.each(o, width, func(fyne.CanvasObject, float32, float32) {})
}

func (l stackLayout) MinSize(o []fyne.CanvasObject) fyne.Size {
	w, h := float32(0), float32(0)
	for _, o := range o {
		if o.Visible() {
			m := o.MinSize()
			w = max(w, m.Width)
			if h > 0 && m.Height > 0 {
				h += l.gap
			}
			h += m.Height
		}
	}
	return fyne.NewSize(w, h)
}

// NewRow puts objects beside one another, centred in height, with a gap between.
// Those that Grow made share what the others leave.
func NewRow(gap float32, objects ...fyne.CanvasObject) *fyne.Container {
	return &fyne.Container{Layout: rowLayout{gap}, Objects: objects}
}

// Grow marks the object of a row that takes the room which the others leave.
func Grow(o fyne.CanvasObject) fyne.CanvasObject {
	return &fyne.Container{Layout: growLayout{}, Objects: []fyne.CanvasObject{o}}
}

// Space is an empty part of a row that grows.
func Space() fyne.CanvasObject { return &fyne.Container{Layout: growLayout{}} }

type growLayout struct{}

func (growLayout) Layout(o []fyne.CanvasObject, size fyne.Size) {
	for _, o := range o {
		o.Move(fyne.Position{})
		o.Resize(size)
	}
}

func (growLayout) MinSize(o []fyne.CanvasObject) (m fyne.Size) {
	for _, o := range o {
		m = m.Max(o.MinSize())
	}
	return m
}

func (growLayout) HeightFor(o []fyne.CanvasObject, width float32) (h float32) {
	for _, o := range o {
		h = max(h, HeightOf(o, width))
	}
	return h
}

type rowLayout struct{ gap float32 }

func grows(o fyne.CanvasObject) bool {
	c, ok := o.(*fyne.Container)
	if !ok {
		return false
	}
	_, ok = c.Layout.(growLayout)
	return ok
}

// each gives every object its place along a row of that width.
func (l rowLayout) each(o []fyne.CanvasObject, width float32, do func(o fyne.CanvasObject, x, w float32)) {
	rest, growing, n := width, 0, 0
	for _, o := range o {
		if !o.Visible() {
			continue
		}
		n++
		if grows(o) {
			growing++
		} else {
			rest -= WidthOf(o)
		}
	}
	rest = max(rest-l.gap*float32(max(n-1, 0)), 0)
	x := float32(0)
	for _, o := range o {
		if !o.Visible() {
			continue
		}
		w := WidthOf(o)
		if grows(o) {
			w = rest / float32(growing)
		}
		w = max(min(w, width-x), 0)
		do(o, x, w)
		x += w + l.gap
	}
}

func (l rowLayout) Layout(o []fyne.CanvasObject, size fyne.Size) {
	l.each(o, size.Width, func(o fyne.CanvasObject, x, w float32) {
		h := min(max(HeightOf(o, w), 1), size.Height)
		if grows(o) {
			h = size.Height
		}
		place(o, x, floor((size.Height-h)/2), w, h)
	})
}

func (l rowLayout) HeightFor(o []fyne.CanvasObject, width float32) (h float32) {
	l.each(o, width, func(o fyne.CanvasObject, _, w float32) { h = max(h, HeightOf(o, w)) })
	return h
}

func (l rowLayout) MinSize(o []fyne.CanvasObject) (m fyne.Size) {
	n := 0
	for _, o := range o {
		if o.Visible() {
			c := o.MinSize()
			m.Width += c.Width
			m.Height = max(m.Height, c.Height)
			n++
		}
	}
	m.Width += l.gap * float32(max(n-1, 0))
	return m
}

func place(o fyne.CanvasObject, x, y, w, h float32) {
	o.Move(fyne.NewPos(x, y))
	o.Resize(fyne.NewSize(w, h))
}

func floor(v float32) float32 { return float32(math.Floor(float64(v))) }
func ceil(v float32) float32  { return float32(math.Ceil(float64(v))) }

// laid lays a new renderer out where its widget has a size already. Fyne drops the
// renderer of what has been hidden for a minute, makes another when it is shown again,
// and gives that one no layout, because the size has not changed.
func laid(r fyne.WidgetRenderer, owner fyne.CanvasObject) fyne.WidgetRenderer {
	if size := owner.Size(); !size.IsZero() {
		r.Layout(size)
	}
	return r
}
