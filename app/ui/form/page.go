package form

import (
	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"
)

// Page is a column that scrolls where it is higher than its room.
type Page struct {
	widget.BaseWidget
	inside *inside
	scroll *container.Scroll
}

// NewPage returns a page of sections.
func NewPage(sections ...fyne.CanvasObject) *Page {
	p := &Page{inside: &inside{stack: look.NewStack(3*look.Gap, sections...)}}
	p.inside.ExtendBaseWidget(p.inside)
	p.scroll = container.NewVScroll(p.inside)
	p.ExtendBaseWidget(p)
	return p
}

// Set replaces the sections, and shows them from the top.
func (p *Page) Set(sections ...fyne.CanvasObject) {
	p.inside.stack.Objects = sections
	p.Relayout()
	p.scroll.ScrollToTop()
}

// Relayout takes in that something on the page needs another height than before.
func (p *Page) Relayout() {
	p.inside.Refresh()
	p.scroll.Refresh()
}

// HeightFor is the height at which nothing has to be scrolled.
func (p *Page) HeightFor(width float32) float32 { return p.inside.heightFor(width) }

// Reveal scrolls until an object on the page can be seen.
func (p *Page) Reveal(o fyne.CanvasObject) {
	d := fyne.CurrentApp().Driver()
	y := d.AbsolutePositionForObject(o).Y - d.AbsolutePositionForObject(p.inside).Y
	top, bottom := p.scroll.Offset.Y, p.scroll.Offset.Y+p.scroll.Size().Height
	switch {
	case y+o.Size().Height+look.Gap > bottom:
		p.scroll.ScrollToOffset(fyne.NewPos(0, min(y-look.Gap, y+o.Size().Height+look.Gap-p.scroll.Size().Height)))
	case y-look.Gap < top:
		p.scroll.ScrollToOffset(fyne.NewPos(0, max(y-look.Gap, 0)))
	}
}

// Reach scrolls to controls when they get the focus, so that the Tab key leads
// nowhere out of sight.
func (p *Page) Reach(controls ...fyne.CanvasObject) {
	for _, o := range controls {
		reveal := func(focused bool) {
			if focused {
				p.Reveal(o)
			}
		}
		switch o := o.(type) {
		case *look.Field:
			o.OnFocus = reveal
		case *look.Select:
			o.OnFocus = reveal
		case *look.Switch:
			o.OnFocus = reveal
		case *look.Check:
			o.OnFocus = reveal
		case *look.Button:
			o.OnFocus = reveal
		case *Path:
			for _, b := range o.buttons {
				p.Reach(b)
			}
		}
	}
}

// CreateRenderer implements fyne.Widget.
func (p *Page) CreateRenderer() fyne.WidgetRenderer { return &pageRenderer{p} }

type pageRenderer struct{ *Page }

func (r *pageRenderer) Layout(size fyne.Size) {
	// The height follows from the width, so the width comes first.
	r.inside.width = size.Width
	r.inside.Refresh()
	r.scroll.Resize(size)
}
func (r *pageRenderer) MinSize() fyne.Size           { return fyne.NewSize(200, 100) }
func (r *pageRenderer) Refresh()                     { r.Relayout() }
func (r *pageRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.scroll} }
func (r *pageRenderer) Destroy()                     {}

// inside is what the page scrolls.
type inside struct {
	widget.BaseWidget
	stack *fyne.Container
	width float32
}

// Inset is the room around what stands on a page.
const Inset float32 = 20

func (i *inside) heightFor(width float32) float32 {
	return look.HeightOf(i.stack, width-2*Inset) + 2*Inset
}

// CreateRenderer implements fyne.Widget.
func (i *inside) CreateRenderer() fyne.WidgetRenderer { return &insideRenderer{i} }

type insideRenderer struct{ *inside }

func (r *insideRenderer) Layout(fyne.Size) {
	w := r.width - 2*Inset
	place(r.stack, Inset, Inset, w, look.HeightOf(r.stack, w))
}
func (r *insideRenderer) MinSize() fyne.Size { return fyne.NewSize(0, r.heightFor(r.width)) }
func (r *insideRenderer) Refresh() {
	r.Layout(r.Size())
	r.stack.Refresh() // what kept its size may be arranged otherwise
}
func (r *insideRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.stack} }
func (r *insideRenderer) Destroy()                     {}
