package inspector

import (
	"image/color"
	"slices"

	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
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

// row is one line on the screen.
type row struct {
	back  *canvas.Rectangle
	texts []*canvas.Text
	ends  []float32 // of the spans, from the left
	line  line
	index int
}

var (
	_ fyne.Tappable      = (*sheet)(nil)
	_ fyne.Draggable     = (*sheet)(nil)
	_ fyne.Focusable     = (*sheet)(nil)
	_ fyne.Shortcutable  = (*sheet)(nil)
	_ desktop.Hoverable  = (*sheet)(nil)
	_ desktop.Cursorable = (*sheet)(nil)
	_ desktop.Mouseable  = (*sheet)(nil)
)

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

// show fills the row, and reports whether it got more objects.
func (r *row) show(index int, l line, y, width, char float32) (grown bool) {
	r.index, r.line = index, l
	r.back.FillColor = backColor(l.back)
	r.back.Move(fyne.NewPos(0, y))
	r.back.Resize(fyne.NewSize(width, lineHeight))
	r.back.Refresh()
	for len(r.texts) < len(l.spans) {
		r.texts = append(r.texts, &canvas.Text{TextSize: look.TextSmall, TextStyle: mono})
		grown = true
	}
	x := look.Inset
	r.ends = r.ends[:0]
	for i, t := range r.texts {
		if i >= len(l.spans) {
			if t.Text != "" {
				t.Text = ""
				t.Hide()
				t.Refresh()
			}
			continue
		}
		s := l.spans[i]
		text, tint := look.Clean(s.text), look.Color(orText(s.color))
		w := widthOf(text, char, s.bold)
		if t.Text != text || t.Color != tint || t.TextStyle.Bold != s.bold {
			t.Text, t.Color, t.TextStyle, t.TextSize = text, tint, styleOf(s.bold), sizeOf(s.bold)
			t.Hidden = text == ""
			t.Refresh()
		}
		h := t.MinSize().Height
		t.Move(fyne.NewPos(x, y+(lineHeight-h)/2))
		t.Resize(fyne.NewSize(w, h))
		x += w
		r.ends = append(r.ends, x)
	}
	return grown
}

// Backgrounds of lines that a comparison has found on one side only: a breath of the
// colour of their sign.
const (
	backRemoved fyne.ThemeColorName = "inspector.removed"
	backAdded   fyne.ThemeColorName = "inspector.added"
)

func backColor(name fyne.ThemeColorName) color.Color {
	switch name {
	case "":
		return color.Transparent
	case backRemoved:
		return faint(look.Color(look.ColorBad))
	case backAdded:
		return faint(look.Color(look.ColorOK))
	default:
		return look.Color(name)
	}
}

func faint(c color.Color) color.Color {
	n := color.NRGBAModel.Convert(c).(color.NRGBA)
	n.A = 0x24
	return n
}

func orText(name fyne.ThemeColorName) fyne.ThemeColorName {
	if name == "" {
		return look.ColorText
	}
	return name
}

// styleOf is the fixed-width font, or a bold one, which there is only in other widths.
func styleOf(bold bool) fyne.TextStyle {
	if bold {
		return fyne.TextStyle{Bold: true}
	}
	return mono
}

func sizeOf(bold bool) float32 {
	if bold {
		return look.TextBody
	}
	return look.TextSmall
}

// widthOf counts where it can: measuring each of a screen's words would cost more
// than drawing them.
func widthOf(text string, char float32, bold bool) float32 {
	for i := 0; !bold; i++ {
		if i == len(text) {
			return float32(len(text)) * char
		}
		if text[i] >= 0x80 {
			break
		}
	}
	return fyne.MeasureText(text, sizeOf(bold), styleOf(bold)).Width
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

// Tapped presses a word, or chooses a row of a list.
func (s *sheet) Tapped(ev *fyne.PointEvent) {
	s.focus()
	if w := s.word(ev.Position); w != nil {
		w.tap()
		return
	}
	if i := s.at(ev.Position.Y); s.pane.list && i >= 0 {
		s.pane.pick(i)
	}
}

func (s *sheet) focus() {
	if c := fyne.CurrentApp().Driver().CanvasForObject(s); c != nil {
		c.Focus(s)
	}
}

// MouseDown starts marking; with Shift it goes on from what is marked.
func (s *sheet) MouseDown(ev *desktop.MouseEvent) {
	if s.pane.list || ev.Button != desktop.MouseButtonPrimary || s.word(ev.Position) != nil {
		return
	}
	i := s.at(ev.Position.Y)
	if ev.Modifier&fyne.KeyModifierShift != 0 && s.anchor >= 0 && i >= 0 {
		s.mark(s.anchor, i)
		return
	}
	s.unmark()
	s.anchor = i
}

// MouseUp implements desktop.Mouseable.
func (s *sheet) MouseUp(*desktop.MouseEvent) {}

// Dragged marks the lines that the pointer passes.
func (s *sheet) Dragged(ev *fyne.DragEvent) {
	if s.pane.list || s.anchor < 0 {
		return
	}
	i := min(max(int((ev.Position.Y-topPad)/lineHeight), 0), s.pane.doc.len()-1)
	s.pane.reveal(i)
	s.mark(s.anchor, i)
}

// DragEnd leads the keyboard to what was marked: a drag is no tap, which would have.
func (s *sheet) DragEnd() { s.focus() }

func (s *sheet) mark(anchor, caret int) {
	if s.anchor != anchor || s.caret != caret {
		s.anchor, s.caret = anchor, caret
		s.update(true)
	}
}

func (s *sheet) unmark() {
	was := s.caret >= 0
	s.anchor, s.caret = -1, -1
	if was {
		s.update(true)
	}
}

// marks are the first and the last marked line, or -1.
func (s *sheet) marks() (from, to int) {
	if s.anchor < 0 || s.caret < 0 {
		return -1, -1
	}
	return min(s.anchor, s.caret), max(s.anchor, s.caret)
}

// MouseIn implements desktop.Hoverable.
func (s *sheet) MouseIn(ev *desktop.MouseEvent) { s.over = s.word(ev.Position) }

// MouseMoved implements desktop.Hoverable.
func (s *sheet) MouseMoved(ev *desktop.MouseEvent) { s.over = s.word(ev.Position) }

// MouseOut implements desktop.Hoverable.
func (s *sheet) MouseOut() { s.over = nil }

// Cursor implements desktop.Cursorable.
func (s *sheet) Cursor() desktop.Cursor {
	switch {
	case s.over != nil, s.pane.list:
		return desktop.PointerCursor
	default:
		return desktop.TextCursor
	}
}

// FocusGained implements fyne.Focusable.
func (s *sheet) FocusGained() { s.focused = true; s.pane.Refresh() }

// FocusLost implements fyne.Focusable.
func (s *sheet) FocusLost() { s.focused = false; s.pane.Refresh() }

// TypedRune implements fyne.Focusable.
func (s *sheet) TypedRune(rune) {}

// TypedKey scrolls, or moves through a list.
func (s *sheet) TypedKey(ev *fyne.KeyEvent) {
	page := max(s.pane.scroll.Size().Height/lineHeight-1, 1)
	all := float32(s.pane.doc.len())
	step, ok := map[fyne.KeyName]float32{
		fyne.KeyUp: -1, fyne.KeyDown: 1, fyne.KeyPageUp: -page, fyne.KeyPageDown: page, fyne.KeyHome: -all, fyne.KeyEnd: all,
	}[ev.Name]
	switch {
	case ok && s.pane.list:
		s.pane.pick(s.pane.chosen + int(step))
	case ok:
		s.pane.by(step, 0)
	case ev.Name == fyne.KeyLeft:
		s.pane.by(0, -8)
	case ev.Name == fyne.KeyRight:
		s.pane.by(0, 8)
	case ev.Name == fyne.KeyEscape && s.caret >= 0:
		s.unmark()
	case ev.Name == fyne.KeyEscape && s.pane.escape != nil:
		s.pane.escape()
	}
}

// TypedShortcut copies and marks; the window's own shortcuts go on to it.
func (s *sheet) TypedShortcut(sc fyne.Shortcut) {
	switch sc.(type) {
	case *fyne.ShortcutCopy:
		s.pane.copy(s.pane.marked())
	case *fyne.ShortcutSelectAll:
		if n := s.pane.doc.len(); n > 0 && !s.pane.list {
			s.mark(0, n-1)
		}
	default:
		if s.pane.onShortcut != nil {
			s.pane.onShortcut(sc)
		} else if c, ok := fyne.CurrentApp().Driver().CanvasForObject(s).(fyne.Shortcutable); ok {
			c.TypedShortcut(sc)
		}
	}
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
