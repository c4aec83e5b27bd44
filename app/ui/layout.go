package ui

import (
	"math"

	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
)

// The measures of the window. Everything must fit into the smallest one.
const (
	minWidth, minHeight float32 = 720, 480

	topHeight  float32 = 64
	barHeight  float32 = 48
	footHeight float32 = 32
	leftMost   float32 = 372 // of the column of cards in a wide window
	leftLeast  float32 = 272 // and in a narrow one
)

func place(o fyne.CanvasObject, x, y, w, h float32) {
	o.Move(fyne.NewPos(x, y))
	o.Resize(fyne.NewSize(w, h))
}

// rootLayout divides the window.
type rootLayout struct{ w *Window }

func (l rootLayout) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(minWidth, minHeight) }

func (l rootLayout) Layout(o []fyne.CanvasObject, size fyne.Size) {
	top, topLine, notice, left, leftLine := o[0], o[1], o[2], o[3], o[4]
	bar, barLine, table, footLine, foot := o[5], o[6], o[7], o[9], o[10]

	y := topHeight
	if h := l.w.openError.HeightFor(size.Width - 2*16); h > 0 {
		y += h
	}
	place(top, 0, 0, size.Width, y)
	place(topLine, 0, y, size.Width, 1)
	y++
	if !notice.Visible() {
		place(notice, 0, y, size.Width, 0)
	} else {
		h := noticeHeight(l.w.notice, size.Width)
		place(notice, 0, y, size.Width, h)
		y += h
	}

	bottom := size.Height - footHeight
	place(footLine, 0, bottom-1, size.Width, 1)
	place(foot, 0, bottom, size.Width, footHeight)
	bottom--

	lw := float32(math.Floor(float64(min(max(size.Width*0.29, leftLeast), leftMost))))
	place(left, 0, y, lw, bottom-y)
	place(leftLine, lw, y, 1, bottom-y)
	x, rw := lw+1, size.Width-lw-1
	place(bar, x, y, rw, barHeight)
	place(barLine, x, y+barHeight, rw, 1)
	end := bottom
	if l.w.detail.Visible() {
		h := l.w.detail.heightFor(rw)
		end -= h
		place(l.w.detail, x, end, rw, h)
	}
	place(table, x, y+barHeight+1, rw, end-y-barHeight-1)
}

// topLayout: field, button, where tunnels lead; the error beneath the field.
type topLayout struct{ w *Window }

func (topLayout) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(0, topHeight) }

func (topLayout) Layout(o []fyne.CanvasObject, size fyne.Size) {
	panel, target, open, backend, problem := o[0], o[1], o[2], o[3], o[4].(*look.Paragraph)
	panel.Resize(size)
	y := (topHeight - look.High) / 2
	field := float32(math.Floor(float64(min(max(size.Width*0.31, 260), 392))))
	place(target, 16, y, field, look.High)
	x := 16 + field + 12
	button := max(open.MinSize().Width, 116)
	place(open, x, y, button, look.High)
	x += button + 16
	place(backend, x, y, max(size.Width-16-x, 0), look.High)
	place(problem, 16, topHeight-8, size.Width-32, max(size.Height-topHeight, 0))
}

// noticeLayout: a dot, the message, and the button that dismisses it.
type noticeLayout struct{}

func (noticeLayout) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(0, 0) }

func (noticeLayout) Layout(o []fyne.CanvasObject, size fyne.Size) {
	button := o[3].MinSize()
	o[0].Resize(size)
	place(o[1], 16, (size.Height-8)/2, 8, 8)
	text := o[2].(*look.Paragraph)
	w := noticeText(size.Width)
	h := text.HeightFor(w)
	place(text, 36, (size.Height-h)/2, w, h)
	place(o[3], size.Width-16-button.Width, (size.Height-button.Height)/2, button.Width, button.Height)
}

func noticeText(width float32) float32 { return width - 36 - 16 - 100 }

func noticeHeight(text *look.Paragraph, width float32) float32 {
	return max(text.HeightFor(noticeText(width))+16, look.Low+12)
}

// barLayout: what the table shows at the left, what can be done with it at the right.
type barLayout struct{ w *Window }

const (
	filterHint      = "Filter: path, method, status…"
	filterHintShort = "Filter"

	filterLeast float32 = 88
	nameLeast   float32 = 110
)

func (barLayout) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(0, barHeight) }

func (l barLayout) Layout(o []fyne.CanvasObject, size fyne.Size) {
	title, name, filter, pause, clear := o[0].(*look.Text), o[1].(*look.Text), o[4], o[5], o[6]
	y := (barHeight - look.Low) / 2
	right := size.Width - 12
	for _, b := range []fyne.CanvasObject{clear, pause} {
		w := b.MinSize().Width
		right -= w
		place(b, right, y, w, look.Low)
		right -= look.Gap
	}
	x := float32(12)
	label := "Show all"
	if size.Width < 520 {
		label = "All"
	}
	l.w.scopeAll.SetText(label)
	taken := float32(0)
	for _, b := range []fyne.CanvasObject{l.w.scopeAll, l.w.fresh} {
		if b.Visible() {
			taken += b.MinSize().Width + look.Gap
		}
	}
	natural := title.Natural().Width
	// Where all of it is shown and the window is narrow, the word that never
	// changes goes first.
	title.Hidden = right-x-natural-look.Gap-taken-filterLeast-look.Gap < min(nameLeast, name.Natural().Width)
	if !title.Hidden {
		place(title, x, 0, natural, barHeight)
		x += natural + look.Gap
	}

	// The filter gives way, then the name of the scope does.
	filterWidth := float32(math.Floor(float64(min(max(right-x-taken-name.Natural().Width-look.Gap, filterLeast), 248))))
	nameWidth := min(name.Natural().Width, max(right-filterWidth-look.Gap-taken-x, 0))
	name.Hidden = nameWidth < min(32, name.Natural().Width)
	if !name.Hidden {
		place(name, x, 0, nameWidth, barHeight)
		x += nameWidth + look.Gap
	}
	for _, b := range []fyne.CanvasObject{l.w.scopeAll, l.w.fresh} {
		if b.Visible() {
			w := b.MinSize().Width
			place(b, x, y, w, look.Low)
			x += w + look.Gap
		}
	}
	hint := filterHint
	if filterWidth < 220 {
		hint = filterHintShort
	}
	if l.w.filter.PlaceHolder != hint {
		l.w.filter.SetPlaceHolder(hint)
	}
	place(filter, right-filterWidth, (barHeight-look.Middle)/2, filterWidth, look.Middle)
}

// footLayout: counts at the left, who can reach the tunnels at the right.
type footLayout struct{ w *Window }

func (footLayout) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(0, footHeight) }

func (footLayout) Layout(o []fyne.CanvasObject, size fyne.Size) {
	o[0].Resize(size)
	right := size.Width - 16
	if lan := o[3]; lan.Visible() {
		w := lan.MinSize().Width
		right -= w
		place(lan, right, 0, w, size.Height)
		right -= 16
	}
	summary := o[1].MinSize().Width
	place(o[1], 16, 0, summary, size.Height)
	x := 16 + summary
	if summary > 0 {
		x += 16
	}
	place(o[2], x, 0, max(right-x, 0), size.Height)
}
