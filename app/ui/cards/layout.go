package cards

import (
	"strings"

	"culvert/app/ui/look"
	"culvert/app/ui/model"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
)

// cardRenderer places the parts of a card from the top down.
type cardRenderer struct{ *card }

func (r *cardRenderer) Layout(size fyne.Size) {
	c := r.card
	c.back.Resize(size)
	inner := size.Width - 2*pad
	y := float32(pad)

	c.dot.Move(fyne.NewPos(pad, y+(lineHeight-8)/2))
	c.dot.Resize(fyne.NewSquareSize(8))
	x := float32(pad + 16)
	nameWidth := min(c.name.Natural().Width, size.Width-pad-x)
	place(c.name, x, y, nameWidth, lineHeight)
	x += nameWidth + look.Gap
	place(c.detail, x, y, max(size.Width-pad-x, 0), lineHeight)
	c.detail.Hidden = size.Width-pad-x < 32
	y += lineHeight + 4

	statusWidth := inner
	if w := c.count.Natural().Width; w+look.Gap+c.status.Natural().Width <= inner {
		statusWidth -= w + look.Gap
		place(c.count, size.Width-pad-w, y, w, lineHeight)
	}
	running := c.tunnel.State.Running()
	c.count.Hidden = statusWidth == inner || !running
	place(c.status, pad, y, statusWidth, lineHeight)
	y += lineHeight
	if h := c.cause.HeightFor(inner); h > 0 {
		place(c.cause, pad, y+4, inner, h)
		y += 4 + h
	}
	c.cause.Hidden = c.cause.Text() == ""

	shown := c.hasURL()
	c.urlBox.Hidden, c.url.Hidden, c.copy.Hidden = !shown, !shown, !shown
	if shown {
		y += 8
		place(c.urlBox, pad, y, inner, look.Middle)
		c.url.Set(fitURL(c.tunnel.URL, inner-16), look.ColorText)
		place(c.url, pad+8, y, inner-16, look.Middle)
		y += look.Middle
	}

	y += 12
	if c.tunnel.State == model.Stopped {
		y -= 12 + (lineHeight+look.Low)/2
	}
	c.start.Hidden, c.drop.Hidden, c.stop.Hidden = running, running, !running
	c.open.Hidden = c.tunnel.State != model.Online
	c.try.Hidden = c.tunnel.State != model.Reconnecting
	// Wide enough for "Copied", so that nothing moves under the pointer.
	left := float32(pad)
	for _, b := range []*look.Button{c.copy, c.open, c.try} {
		if !b.Hidden {
			w := max(b.MinSize().Width, 72)
			place(b, left, y, w, look.Low)
			left += w + look.Gap
		}
	}
	right := size.Width - pad
	for _, b := range []*look.Button{c.drop, c.start, c.stop} {
		if !b.Hidden {
			w := b.MinSize().Width
			right -= w
			place(b, right, y, w, look.Low)
			right -= look.Gap
		}
	}
}

// fitURL leaves the scheme out where the URL is too wide: its end tells one tunnel
// from another.
func fitURL(url string, width float32) string {
	if _, rest, ok := strings.Cut(url, "://"); ok &&
		fyne.MeasureText(url, look.TextSmall, fyne.TextStyle{Monospace: true}).Width > width {
		return rest
	}
	return url
}

func place(o fyne.CanvasObject, x, y, w, h float32) {
	o.Move(fyne.NewPos(x, y))
	o.Resize(fyne.NewSize(w, h))
}

func (r *cardRenderer) MinSize() fyne.Size { return fyne.NewSize(0, 0) }

func (r *cardRenderer) Refresh() {
	r.Layout(r.Size())
	canvas.Refresh(r.card)
}

func (r *cardRenderer) Objects() []fyne.CanvasObject {
	c := r.card
	return []fyne.CanvasObject{c.back, c.dot, c.name, c.detail, c.status, c.cause, c.urlBox, c.url,
		c.copy, c.count, c.try, c.open, c.start, c.stop, c.drop}
}

func (r *cardRenderer) Destroy() {}
