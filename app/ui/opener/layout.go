package opener

import (
	"math"

	"culvert/app/ui/look"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
)

const (
	barHeight  float32 = 64
	chipRow    float32 = 32 // of the chips where they have a row of their own
	edge       float32 = 16
	openLeast  float32 = 116
	prefixFrom float32 = 1000
	chipsLeast float32 = 240 // less room is not worth sharing the row
)

// columns are where the parts of the first row stand.
type columns struct {
	field, open      float32 // widths
	chips, chipsRoom float32 // left edge and width of what is left in the middle
	profile          float32 // width, 0 if hidden
	under            bool    // the chips have a row of their own
}

func (o *Opener) columns(width float32) columns {
	var c columns
	c.field = floor(min(max(width*0.29, 260), 392))
	c.open = max(o.open.MinSize().Width, openLeast)
	right := width - edge
	right -= o.cornerWidth()
	if o.profile.Visible() {
		prefix := words.T("Backend:")
		if width < prefixFrom {
			prefix = ""
		}
		o.profile.SetPrefix(prefix)
		c.profile = floor(min(look.WidthOf(o.profile), max(width*0.22, 150)))
		right -= c.profile + look.Inset
	}
	c.chips = edge + c.field + look.Inset + c.open + look.Inset
	c.chipsRoom = max(right-c.chips, 0)
	c.under = c.chipsRoom < chipsLeast
	if c.under {
		// Nothing else wants that room.
		c.field = max(c.field+c.chipsRoom, 120)
		c.chips, c.chipsRoom = edge, width-2*edge
	}
	return c
}

// cornerWidth is what bell and gear take at the right end, with a gap before them.
func (o *Opener) cornerWidth() (width float32) {
	for _, b := range []*look.IconButton{o.settings, o.bell} {
		if b.Visible() {
			width += b.MinSize().Width + 4
		}
	}
	if width > 0 {
		width += look.Gap - 4
	}
	return width
}

// HeightFor is the height that the bar needs at a width.
func (o *Opener) HeightFor(width float32) float32 {
	h := barHeight
	if o.columns(width).under && o.chips.any() {
		h += chipRow
	}
	if p := o.problem.HeightFor(width - 2*edge); p > 0 {
		h += p + 4
	}
	return h
}

// CreateRenderer implements fyne.Widget.
func (o *Opener) CreateRenderer() fyne.WidgetRenderer { return &openerRenderer{o} }

type openerRenderer struct{ *Opener }

func (r *openerRenderer) Layout(size fyne.Size) {
	o := r.Opener
	c := o.columns(size.Width)
	r.back.Resize(size)
	y := (barHeight - look.High) / 2
	place(o.field.Box, edge, y, c.field, look.High)
	place(o.folder, edge+c.field-look.Low-6, y+(look.High-look.Low)/2, look.Low, look.Low)
	place(o.open, edge+c.field+look.Inset, y, c.open, look.High)
	right := size.Width - edge
	x := right
	for _, b := range []*look.IconButton{o.settings, o.bell} {
		if b.Visible() {
			w := b.MinSize().Width
			x -= w
			place(b, x, (barHeight-look.Low)/2, w, look.Low)
			x -= 4
		}
	}
	right -= o.cornerWidth()
	if c.profile > 0 {
		place(o.profile, right-c.profile, (barHeight-look.Middle)/2, c.profile, look.Middle)
	}
	under := barHeight - 8
	problem := o.problem.HeightFor(size.Width - 2*edge)
	place(o.problem, edge, under, size.Width-2*edge, problem)
	if problem > 0 {
		under += problem + 4
	}
	if c.under {
		place(o.chips, c.chips, under+4, c.chipsRoom, look.Low)
	} else {
		place(o.chips, c.chips, (barHeight-look.Middle)/2, c.chipsRoom, look.Middle)
	}
}

func (r *openerRenderer) MinSize() fyne.Size { return fyne.NewSize(0, barHeight) }

func (r *openerRenderer) Refresh() {
	r.Layout(r.Size())
	canvas.Refresh(r.Opener)
}

func (r *openerRenderer) Objects() []fyne.CanvasObject {
	o := r.Opener
	return []fyne.CanvasObject{o.back, o.field.Box, o.folder, o.open, o.chips, o.profile, o.bell, o.settings, o.problem}
}

func (r *openerRenderer) Destroy() {}

func place(o fyne.CanvasObject, x, y, w, h float32) {
	o.Move(fyne.NewPos(x, y))
	o.Resize(fyne.NewSize(w, h))
}

func floor(v float32) float32 { return float32(math.Floor(float64(v))) }
