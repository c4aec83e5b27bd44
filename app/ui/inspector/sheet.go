package inspector

import (
	"image/color"
	"slices"

	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"
)

// topPad is the room above the first line and beneath the last.
const topPad float32 = 8

// sheet is the inside of a pane's scroll: as high as the whole text, holding only
// the lines that can be seen. Lines can be marked, by pointer or keyboard, for
// copying.
type sheet struct {
	widget.BaseWidget
	pane  *pane
	pool  []*row
	turn  int // counts changes of the pool and its objects
	first int
	char  float32

	anchor, caret int // marked lines lie between them; -1 for none
	focused       bool
	over          *span // the word under the pointer that can be pressed
}

func newSheet(p *pane) *sheet {
	s := &sheet{pane: p, anchor: -1, caret: -1}
	s.ExtendBaseWidget(s)
	return s
}

func (s *sheet) height() float32 { return float32(s.pane.doc.len())*lineHeight + 2*topPad }

// update brings the rows to what should be seen now; force fills them although they
// stand where they stood.
func (s *sheet) update(force bool) {
	room := s.pane.scroll.Size()
	if room.Width <= 0 || room.Height <= 0 {
		return
	}
	if s.char == 0 {
		s.char = charWidth()
	}
	grown := false
	for want := int(room.Height/lineHeight) + 2; len(s.pool) < want; grown = true {
		s.pool = append(s.pool, &row{back: canvas.NewRectangle(color.Transparent), index: -1})
	}
	first := max(int((s.pane.scroll.Offset.Y-topPad)/lineHeight), 0)
	if s.pane.seen != nil {
		defer s.pane.seen(first + len(s.pool) - 1)
	}
	if !force && !grown && first == s.first {
		return
	}
	s.rotate(first - s.first)
	s.first = first
	from, to := s.marks()
	n := s.pane.doc.len()
	width := max(s.Size().Width, room.Width)
	for i, r := range s.pool {
		index := first + i
		var l line
		if index < n {
			l = s.pane.doc.at(index)
		} else {
			index = -1
		}
		if s.pane.list && index >= 0 && index == s.pane.chosen || from >= 0 && index >= from && index <= to {
			l.back = look.ColorSelected
		}
		grown = r.show(index, l, float32(first+i)*lineHeight+topPad, width, s.char) || grown
	}
	if grown {
		s.turn++
		s.Refresh()
	}
}

// rotate lets rows keep the lines that have only moved: drawing a text anew costs far
// more than moving it.
func (s *sheet) rotate(by int) {
	if n := len(s.pool); by != 0 && by > -n && by < n {
		by = (by + n) % n
		s.pool = slices.Concat(s.pool[by:], s.pool[:by])
		s.turn++
	}
}

// at finds the line at a height, or -1.
func (s *sheet) at(y float32) int {
	if i := int((y - topPad) / lineHeight); y >= topPad && i < s.pane.doc.len() {
		return i
	}
	return -1
}

// word finds what can be pressed at a place.
func (s *sheet) word(pos fyne.Position) *span {
	index := s.at(pos.Y)
	for _, r := range s.pool {
		if index < 0 || r.index != index {
			continue
		}
		for i, end := range r.ends {
			if pos.X < end {
				if pos.X >= look.Inset && r.line.spans[i].tap != nil {
					return &r.line.spans[i]
				}
				return nil
			}
		}
	}
	return nil
}

// CreateRenderer implements fyne.Widget.
func (s *sheet) CreateRenderer() fyne.WidgetRenderer { return &sheetRenderer{owner: s, turn: -1} }

type sheetRenderer struct {
	owner   *sheet
	turn    int // of the pool that objects are from; the toolkit makes renderers anew at times
	objects []fyne.CanvasObject
}

func (r *sheetRenderer) Layout(fyne.Size) {}

func (r *sheetRenderer) MinSize() fyne.Size {
	s := r.owner
	w := float32(0)
	if cols := s.pane.doc.columns(); cols > 0 {
		w = float32(cols)*charWidth() + 2*look.Inset
	}
	return fyne.NewSize(w, s.height())
}

func (r *sheetRenderer) Destroy() {}

// Refresh follows rows that got more objects; the rows themselves are kept up to
// date by update.
func (r *sheetRenderer) Refresh() { canvas.Refresh(r.owner) }

// Objects are backs before texts, both in the order of the screen.
func (r *sheetRenderer) Objects() []fyne.CanvasObject {
	if s := r.owner; r.turn != s.turn {
		r.turn = s.turn
		r.objects = make([]fyne.CanvasObject, 0, len(r.objects))
		for _, row := range s.pool {
			r.objects = append(r.objects, row.back)
		}
		for _, row := range s.pool {
			for _, t := range row.texts {
				r.objects = append(r.objects, t)
			}
		}
	}
	return r.objects
}
