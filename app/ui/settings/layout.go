package settings

import (
	"culvert/app/ui/form"
	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
)

// The measures of the sheet in a window that has room for it.
const (
	sheetWidth  float32 = 880
	sheetHeight float32 = 600
)

// bodyLayout: the pages' names at the left, at the right what went wrong and the page,
// which scrolls on its own.
type bodyLayout struct{ s *Sheet }

func (bodyLayout) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(navWidth+240, 200) }

func (l bodyLayout) Layout(o []fyne.CanvasObject, size fyne.Size) {
	place(o[0], 0, 0, navWidth, size.Height)
	place(o[1], navWidth, 0, 1, size.Height)
	x := navWidth + 1
	y := float32(0)
	for _, b := range []*look.Banner{l.s.locked, l.s.problem} {
		if b.Visible() {
			w := size.Width - x - 2*form.Inset
			h := b.HeightFor(w)
			y += look.Gap
			place(b, x+form.Inset, y, w, h)
			y += h
		}
	}
	for _, p := range l.s.pages {
		if v := p.view(); v.Visible() {
			place(v, x, y, size.Width-x, size.Height-y)
			v.Relayout()
		}
	}
}

// simplePage is a page whose controls change things at once.
type simplePage struct{ page *form.Page }

func (p *simplePage) view() *form.Page  { return p.page }
func (p *simplePage) leave(then func()) { then() }
