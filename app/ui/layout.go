package ui

import (
	"math"

	"culvert/app/ui/frame"
	"culvert/app/ui/look"
	"culvert/app/ui/requests"

	"fyne.io/fyne/v2"
)

// The measures of the window. Everything must fit into the smallest one.
const (
	minWidth, minHeight float32 = 720, 480

	leftMost  float32 = 372 // of the column of cards in a wide window
	leftLeast float32 = 272 // and in a narrow one

	splitAtFirst   float32 = 0.58 // the inspector's part of what table and inspector share
	shareLeast     float32 = 380  // less height is not shared: the inspector gets all of it
	tableLeast     float32 = 116  // a head and three rows
	inspectorLeast float32 = 180
)

func place(o fyne.CanvasObject, x, y, w, h float32) {
	o.Move(fyne.NewPos(x, y))
	o.Resize(fyne.NewSize(w, h))
}

func floor(v float32) float32 { return float32(math.Floor(float64(v))) }

// rootLayout divides the window.
type rootLayout struct{ w *Window }

func (l rootLayout) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(minWidth, minHeight) }

func (l rootLayout) Layout(o []fyne.CanvasObject, size fyne.Size) {
	w := l.w
	topLine, left, leftLine, footLine := o[1], o[3], o[5], o[11]
	barLine, tables := o[7].(*look.Shape), o[8].(*fyne.Container)

	y := w.opener.HeightFor(size.Width)
	place(w.opener, 0, 0, size.Width, y)
	place(topLine, 0, y, size.Width, 1)
	y++
	if w.notice.Visible() {
		h := w.notice.HeightFor(size.Width)
		place(w.notice, 0, y, size.Width, h)
		y += h
	}
	bottom := size.Height - frame.FootHeight
	place(w.foot, 0, bottom, size.Width, frame.FootHeight)
	bottom--
	place(footLine, 0, bottom, size.Width, 1)

	lw := floor(min(max(size.Width*0.29, leftLeast), leftMost))
	reach := w.reach.HeightFor(lw)
	place(left, 0, y, lw, bottom-y-reach)
	place(w.reach, 0, bottom-reach, lw, reach)
	place(leftLine, lw, y, 1, bottom-y)

	x, rw := lw+1, size.Width-lw-1
	inspecting := w.inspector.Visible()
	covered := inspecting && bottom-y-requests.BarHeight-1 < shareLeast
	for _, part := range []hideable{w.bar, barLine, tables} {
		show(part, !covered)
	}
	show(w.divider, inspecting && !covered)
	place(w.bar, x, y, rw, requests.BarHeight)
	place(barLine, x, y+requests.BarHeight, rw, 1)
	top := y + requests.BarHeight + 1
	switch {
	case covered:
		place(w.inspector, x, y, rw, bottom-y)
	case inspecting:
		h := l.inspectorHeight(bottom - top)
		place(tables, x, top, rw, bottom-top-h-frame.DividerHeight)
		place(w.divider, x, bottom-h-frame.DividerHeight, rw, frame.DividerHeight)
		place(w.inspector, x, bottom-h, rw, h)
	default:
		place(tables, x, top, rw, bottom-top)
	}
}

// inspectorHeight is the inspector's part of the height that it shares with the table.
func (l rootLayout) inspectorHeight(height float32) float32 {
	h := floor(height * l.w.inspected.split)
	return min(max(h, inspectorLeast), height-frame.DividerHeight-tableLeast)
}

// moveDivider gives table or inspector more room.
func (w *Window) moveDivider(by float32) {
	shared := w.divider.Position().Y + frame.DividerHeight + w.inspector.Size().Height - w.bar.Position().Y - requests.BarHeight - 1
	if shared <= 0 {
		return
	}
	least, most := inspectorLeast/shared, (shared-tableLeast-frame.DividerHeight)/shared
	w.inspected.split = min(max(w.inspected.split-by/shared, least), most)
	w.root.Refresh()
}
