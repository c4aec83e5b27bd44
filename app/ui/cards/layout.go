package cards

import (
	"strings"

	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
)

const (
	lineHeight float32 = 20
	pad                = look.Inset
	// wideFrom is the width inside a card from which everything has its words.
	wideFrom float32 = 280
)

// plan places the parts of a card from the top down, and returns its height. With
// place nil it only measures.
func (c *card) plan(width float32, place func(o fyne.CanvasObject, x, y, w, h float32)) float32 {
	put := func(o fyne.CanvasObject, shown bool, x, y, w, h float32) {
		if place == nil {
			return
		}
		setHidden(o, !shown)
		if shown {
			place(o, x, y, w, h)
		}
	}
	t, inner := c.tunnel, width-2*pad
	wide := inner >= wideFrom
	running := t.State.Running()
	y := float32(pad)

	// Name and where it leads; stop and menu at the right.
	put(c.dot, true, pad, y+(lineHeight-8)/2, 8, 8)
	right := width - pad + 6 // the icons' own margin
	right -= look.Low
	put(c.more, true, right, y-4, look.Low, look.Low)
	if running {
		right -= look.Low
	}
	put(c.stop, running, right, y-4, look.Low, look.Low)
	x := float32(pad + 16)
	nameWidth := min(c.name.Natural().Width, right-4-x)
	put(c.name, true, x, y, nameWidth, lineHeight)
	x += nameWidth + look.Gap
	put(c.detail, right-4-x >= 32, x, y, max(right-4-x, 0), lineHeight)
	y += lineHeight + 4

	y = c.planStatus(y, width, put)
	if h := c.cause.HeightFor(inner); h > 0 {
		put(c.cause, true, pad, y+4, inner, h)
		y += 4 + h
	} else {
		put(c.cause, false, 0, 0, 0, 0)
	}
	hazard := c.hazard.Text() != ""
	if hazard {
		h := c.hazard.HeightFor(inner)
		put(c.hazard, true, pad, y+8, inner, h)
		y += 8 + h
	} else {
		put(c.hazard, false, 0, 0, 0, 0)
	}
	y = c.planURL(y, width, wide, put)
	return c.planFoot(y, width, wide, put) + pad
}

type putter = func(o fyne.CanvasObject, shown bool, x, y, w, h float32)

// planStatus: the status, and beside it the lights, or beneath it where they have
// something to say or the status is long. A stopped tunnel has a button instead.
func (c *card) planStatus(y, width float32, put putter) float32 {
	inner := width - 2*pad
	stopped := c.tunnel.State == model.Stopped
	if stopped {
		b := c.start.MinSize().Width
		put(c.status, true, pad, y, inner-b-look.Gap, look.Low)
		put(c.start, true, width-pad-b, y, b, look.Low)
		c.putLights(put, false)
		return y + look.Low
	}
	lit := c.tunnel.State.Running()
	brief := c.lights.width(allBrief)
	beside := lit && calm(c.tunnel) && c.status.Natural().Width+16+brief <= inner
	statusWidth := inner
	if beside {
		statusWidth -= brief + 8
	}
	put(c.status, true, pad, y, statusWidth, lineHeight)
	c.putLights(put, lit)
	if beside {
		c.placeLights(put, width-pad-brief, y+1, allBrief)
		return y + lineHeight
	}
	y += lineHeight
	if lit {
		wording := c.lights.wording(inner)
		if calm(c.tunnel) {
			wording = allBrief
		}
		c.placeLights(put, pad, y+4, wording)
		y += 4 + lampHeight
	}
	return y
}

func (c *card) putLights(put putter, shown bool) {
	for _, l := range c.lights.all() {
		put(l, shown, l.Position().X, l.Position().Y, l.Size().Width, l.Size().Height)
	}
}

func (c *card) placeLights(put putter, x, y float32, brief func(*look.Lamp) bool) {
	for _, l := range c.lights.all() {
		w := l.WidthFor(brief(l))
		put(l, true, x, y, w, lampHeight)
		x += w + lampBetween
	}
}

// planURL: the URL in its box, and Copy beside it where there is room.
func (c *card) planURL(y, width float32, wide bool, put putter) float32 {
	shown := c.hasURL()
	inner := width - 2*pad
	box := inner
	copyWidth := c.copyWidth()
	if wide {
		box -= copyWidth + look.Gap
	}
	if shown {
		y += 8
	}
	put(c.urlBox, shown, pad, y, box, look.Middle)
	put(c.reach, shown, pad+8, y+9, 14, 14)
	put(c.url, shown, pad+28, y, box-28-8, look.Middle)
	if wide || !shown {
		put(c.copy, shown, width-pad-copyWidth, y, copyWidth, look.Middle)
	}
	if shown {
		y += look.Middle
	}
	return y
}

// planFoot: what can be done, and what came.
func (c *card) planFoot(y, width float32, wide bool, put putter) float32 {
	t := c.tunnel
	online, retrying, refused := t.State == model.Online, t.State == model.Reconnecting, t.State == model.Refused
	share := c.actions.Share != nil && c.hasURL()
	why := c.actions.Why != nil && (retrying || refused)
	row, left, right := y+8, float32(pad), width-pad
	used := false
	button := func(b *look.Button, shown, atEnd bool, w float32) {
		switch {
		case !shown:
			put(b, false, 0, 0, 0, 0)
			return
		case atEnd:
			right -= w
			put(b, true, right, row, w, look.Low)
			right -= look.Gap
		default:
			put(b, true, left, row, w, look.Low)
			left += w + look.Gap
		}
		used = true
	}
	if !wide && c.hasURL() {
		w := c.copyWidth()
		if c.brief(width) {
			w = look.Low
		}
		button(c.copy, true, false, w)
	}
	if t.State != model.Stopped { // else it stands beside the status
		button(c.start, refused, false, c.start.WidthFor(c.start.Text()))
	}
	button(c.try, retrying, false, c.try.WidthFor(c.try.Text()))
	button(c.why, why, false, c.why.WidthFor(c.why.Text()))
	openWidth, qrWidth := look.Low, look.Low
	if wide {
		openWidth, qrWidth = c.open.WidthFor(c.open.Text()), c.qr.WidthFor(c.qr.Text())
		button(c.qr, share && online, true, qrWidth)
		button(c.open, online, true, openWidth)
	} else {
		button(c.open, online, false, openWidth)
		button(c.qr, share && online, false, qrWidth)
	}

	// The line of requests has what the buttons leave.
	room := right - left
	put(c.spark, online && t.Rate != nil && room >= sparkLeast, left, row+2, min(room, sparkMost), look.Low-4)
	if used {
		y = row + look.Low
	}
	switch {
	case online && t.Rate == nil && wide:
		put(c.stats, true, left, row, room, look.Low) // where the line would be
	case online && (wide || t.Requests > 0): // no room to say that there is nothing
		put(c.stats, true, pad, y+4, width-2*pad, lampHeight)
		y += 4 + lampHeight
	default:
		put(c.stats, false, 0, 0, 0, 0)
	}
	return y
}

const (
	sparkLeast float32 = 40
	sparkMost  float32 = 168
)

// brief reports whether Copy is just its icon: in a narrow card whose tunnel is down,
// other buttons need the room for their words more.
func (c *card) brief(width float32) bool {
	return width-2*pad < wideFrom && c.tunnel.State != model.Online
}

// copyWidth is enough for "Copied", so that nothing moves under the pointer.
func (c *card) copyWidth() float32 {
	return max(c.copy.WidthFor(words.T("Copy")), c.copy.WidthFor(words.T("Copied")))
}

// heightFor is the card's height at a width.
func (c *card) heightFor(width float32) float32 { return c.plan(width, nil) }

// cardRenderer draws a card as planned.
type cardRenderer struct{ *card }

func (r *cardRenderer) Layout(size fyne.Size) {
	c := r.card
	c.back.Resize(size)
	wide := size.Width-2*pad >= wideFrom
	c.open.SetCompact(!wide)
	c.qr.SetCompact(!wide)
	icon := look.Icon("")
	if c.brief(size.Width) {
		if icon = look.IconCopy; c.flashing {
			icon = look.IconCheck
		}
	}
	c.copy.SetIcon(icon)
	c.copy.SetCompact(icon != "")
	c.plan(size.Width, place)
	for _, l := range c.lights.all() {
		l.SetBrief(l.Size().Width < l.WidthFor(false))
	}
	if c.url.Visible() {
		c.url.Set(fitURL(c.tunnel.URL, c.url.Size().Width), look.ColorText)
	}
	stats := c.saying
	if fyne.MeasureText(stats, look.TextSmall, fyne.TextStyle{}).Width > c.stats.Size().Width {
		stats = shortStats(c.tunnel)
	}
	c.stats.Set(stats, look.ColorMuted)
}

// fitURL leaves out of a URL that is too wide what tells it least from others: the
// scheme, then the beginning of the host if it ends with a path.
func fitURL(url string, width float32) string {
	fits := func(s string) bool {
		return fyne.MeasureText(s, look.TextSmall, fyne.TextStyle{Monospace: true}).Width <= width
	}
	_, rest, ok := strings.Cut(url, "://")
	if !ok || fits(url) {
		return url
	}
	host, path, ok := strings.Cut(rest, "/")
	if fits(rest) || !ok {
		return rest
	}
	for i := range host {
		if s := "…" + host[i:] + "/" + path; i > 0 && fits(s) {
			return s
		}
	}
	return rest
}

func place(o fyne.CanvasObject, x, y, w, h float32) {
	o.Move(fyne.NewPos(x, y))
	o.Resize(fyne.NewSize(w, h))
}

func setHidden(o fyne.CanvasObject, hidden bool) {
	switch {
	case o.Visible() && hidden:
		o.Hide()
	case !o.Visible() && !hidden:
		o.Show()
	}
}

func (r *cardRenderer) MinSize() fyne.Size { return fyne.NewSize(0, 0) }

func (r *cardRenderer) Refresh() {
	r.Layout(r.Size())
	canvas.Refresh(r.card)
}

func (r *cardRenderer) Objects() []fyne.CanvasObject {
	c := r.card
	o := []fyne.CanvasObject{c.back, c.dot, c.name, c.detail, c.status}
	o = append(o, c.lights.objects()...)
	// The order is that of the Tab key.
	return append(o, c.cause, c.hazard, c.urlBox, c.reach, c.url, c.copy, c.spark, c.stats,
		c.start, c.try, c.why, c.open, c.qr, c.stop, c.more)
}

func (r *cardRenderer) Destroy() {}
