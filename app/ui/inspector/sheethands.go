package inspector

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
)

// What pointer and keyboard do on a sheet.

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
