package frame

import (
	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"
)

// Reach says beneath the tunnels who can reach them now.
type Reach struct {
	widget.BaseWidget
	dot  *look.Shape
	text *look.Paragraph
}

// NewReach returns one that says nothing yet.
func NewReach() *Reach {
	r := &Reach{dot: look.NewDot(look.ColorMuted), text: look.NewParagraph("", look.ColorMuted, look.TextSmall, 3)}
	r.ExtendBaseWidget(r)
	return r
}

// Sync reports whether the height that is needed may have changed.
func (r *Reach) Sync(tunnels []model.Tunnel, b model.Backend) bool {
	text, tint := reachWords(tunnels, b)
	r.dot.Set(tint, "")
	if text == r.text.Text() {
		return false
	}
	r.text.Set(text, look.ColorMuted)
	r.Refresh()
	return true
}

// Text is what it says.
func (r *Reach) Text() string { return r.text.Text() }

// reachWords says who can reach the tunnels now. Tunnels may lead to other places
// than the one where the next will lead, so their own URLs decide.
func reachWords(tunnels []model.Tunnel, b model.Backend) (string, fyne.ThemeColorName) {
	online, public := 0, 0
	for _, t := range tunnels {
		if t.State == model.Online {
			online++
			if t.Public {
				public++
			}
		}
	}
	switch {
	case public == 1:
		return words.T("1 service is public: anyone with its URL can reach it"), look.ColorWarn
	case public > 1:
		return words.T("%d services are public: anyone with a URL can reach them", public), look.ColorWarn
	case b.BuiltIn && b.LAN:
		return words.T("Anyone on your network can open the URLs"), look.ColorWarn
	case online > 0 || b.BuiltIn || b.Local:
		return words.T("Only this computer can open the URLs"), look.ColorMuted
	default:
		return words.T("Nothing is public"), look.ColorMuted
	}
}

const reachPad float32 = 12

// HeightFor is the height needed at a width.
func (r *Reach) HeightFor(width float32) float32 {
	return r.text.HeightFor(width-2*reachPad-16) + 2*8
}

// CreateRenderer implements fyne.Widget.
func (r *Reach) CreateRenderer() fyne.WidgetRenderer {
	renderer := &reachRenderer{r}
	renderer.Layout(r.Size()) // Fyne forgets renderers of what was long hidden, and never lays out the new one
	return renderer
}

type reachRenderer struct{ *Reach }

func (r *reachRenderer) Layout(size fyne.Size) {
	w := size.Width - 2*reachPad - 16
	h := r.text.HeightFor(w)
	place(r.dot, reachPad, (size.Height-8)/2, 8, 8)
	place(r.text, reachPad+16, (size.Height-h)/2, w, h)
}

func (r *reachRenderer) MinSize() fyne.Size           { return fyne.NewSize(0, 0) }
func (r *reachRenderer) Refresh()                     { r.Layout(r.Size()); canvas.Refresh(r.Reach) }
func (r *reachRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.dot, r.text} }
func (r *reachRenderer) Destroy()                     {}
