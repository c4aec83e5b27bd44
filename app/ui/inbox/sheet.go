// Package inbox is the sheet that lists the notices which were sent to the user: the
// newest first, and beside the list the chosen one with its data.
package inbox

import (
	"context"
	"slices"
	"time"

	"culvert/app/ui/frame"
	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
)

// Actions are what the sheet asks for. None of them may block.
type Actions struct {
	// Prepare runs work in a goroutine of its own and then in the toolkit's.
	Prepare func(work func(context.Context), then func())
	// Copy puts text on the clipboard, and calls then when it is there.
	Copy func(text string, then func())
	// CopyWith does so at the press of b, which then says so for a moment.
	CopyWith func(b *look.Button, text string)
	// Read marks a notice as read, "" all of them. Clear removes all.
	Read  func(id string)
	Clear func()
	// Ask asks before something is taken away.
	Ask func(title, text, yes, no string, answer func(bool))
	// Way finds out how a notice can be sent to this user.
	Way func(then func(model.NoticeWay))
	// Shortcut is handed those of the window.
	Shortcut func(fyne.Shortcut)
	Now      func() time.Time
}

// The measures of the sheet.
const (
	sheetWidth  float32 = 880
	sheetHeight float32 = 520
	listMost    float32 = 320
	listLeast   float32 = 232
)

// Sheet is the list and the chosen notice.
type Sheet struct {
	sheet   *look.Sheet
	canvas  fyne.Canvas
	actions Actions

	all    []model.Received
	chosen string // ID of the notice that is shown, "" for none
	today  time.Time

	list     *look.ListView
	line     *look.Shape
	detail   *detail
	lesson   *frame.Lesson
	readAll  *look.Button
	clearAll *look.Button
}

// New returns a sheet that is not shown yet.
func New(c fyne.Canvas, a Actions) *Sheet {
	s := &Sheet{canvas: c, actions: a, line: look.NewLine()}
	s.list = look.NewListView(rowHeight, func() look.ListRow { return newRow(s) })
	s.list.OnSelect = func(i int) { s.choose(s.all[i].ID) }
	s.detail = newDetail(a)
	s.lesson = frame.NewLesson(a.CopyWith)
	s.readAll = look.NewButton(words.T("Mark all read"), look.Middle, func() { a.Read("") })
	s.clearAll = look.NewButton(words.T("Clear all…"), look.Middle, s.askClear)
	s.clearAll.SetDanger(true)
	body := container.New(layoutFunc(s.layout), s.list, s.line, s.detail.Container, s.lesson)
	s.sheet = look.NewSheet(words.T("Notices"), body, s.clearAll, look.Space(), s.readAll)
	s.sheet.SetWidth(sheetWidth)
	s.sheet.SetHeight(sheetHeight)
	s.sheet.Fill()
	s.fill()
	return s
}

// Visible reports whether the sheet is on the screen.
func (s *Sheet) Visible() bool { return s.sheet.Shown() }

// Hide takes the sheet away.
func (s *Sheet) Hide() { s.sheet.Close() }

// Show opens the sheet at a notice, or at the newest for "", or if that is gone.
func (s *Sheet) Show(id string) {
	if !slices.ContainsFunc(s.all, func(n model.Received) bool { return n.ID == id }) {
		id = ""
		if len(s.all) > 0 {
			id = s.all[0].ID
		}
	}
	s.chosen = ""
	var focus fyne.Focusable
	if id != "" {
		focus = s.list.Focusable()
		s.choose(id)
	}
	s.teach()
	s.sheet.Open(s.canvas, focus)
	if i := s.at(s.chosen); i >= 0 {
		s.list.Reveal(i)
	}
}

// Sync brings the sheet to the list, newest first, which it keeps.
func (s *Sheet) Sync(all []model.Received) {
	if s.Visible() {
		s.detail.sync()
	}
	now := s.actions.Now()
	day := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	if same(s.all, all) && day.Equal(s.today) {
		return
	}
	// Who reads further down goes on there.
	top, first := s.list.Top(), ""
	if top > 0 && top < len(s.all) {
		first = s.all[top].ID
	}
	s.all, s.today = all, day
	s.list.SetLen(len(all))
	if first != "" {
		if i := s.at(first); i > top {
			s.list.ScrollBy(i - top)
		}
	}
	s.fill()
	if s.Visible() && len(all) == 0 {
		s.teach()
	}
}

// same reports whether nothing about the list has changed: an ID's notice does not, but
// that it was read, and that its data were dropped.
func same(a, b []model.Received) bool {
	return slices.EqualFunc(a, b, func(a, b model.Received) bool {
		return a.ID == b.ID && a.Read == b.Read && (a.Data == nil) == (b.Data == nil)
	})
}

// at is where a notice stands, or -1.
func (s *Sheet) at(id string) int {
	return slices.IndexFunc(s.all, func(n model.Received) bool { return n.ID == id })
}

// choose shows a notice, and with that it has been read.
func (s *Sheet) choose(id string) {
	s.chosen = id
	s.fill()
	if i := s.at(id); i >= 0 && !s.all[i].Read {
		s.actions.Read(id)
	}
}

// fill shows the chosen notice and what can be done to all.
func (s *Sheet) fill() {
	i := s.at(s.chosen)
	if i < 0 {
		s.chosen = ""
		s.detail.clear()
	} else {
		s.detail.set(&s.all[i], s.when(s.all[i].At, true))
	}
	s.list.Select(i)
	s.list.Update()
	enable(s.readAll, model.Unread(s.all) > 0)
	enable(s.clearAll, len(s.all) > 0)
	s.layout(nil, s.sheet.ContentSize())
}

func (s *Sheet) askClear() {
	s.actions.Ask(words.T("Clear all notices?"), words.T("%d notices are removed from this computer for good.", len(s.all)),
		words.T("Clear all"), words.T("Cancel"), func(yes bool) {
			if yes {
				s.actions.Clear()
			}
		})
}

// when says when a notice was sent: today's by the time alone, where that is clear.
func (s *Sheet) when(at time.Time, whole bool) string {
	at = at.In(s.actions.Now().Location())
	switch {
	case at.IsZero():
		return ""
	case whole:
		return at.Format("2006-01-02 15:04:05")
	case !at.Before(s.today):
		return at.Format("15:04")
	default:
		return at.Format("01-02 15:04")
	}
}

func (s *Sheet) layout(_ []fyne.CanvasObject, size fyne.Size) {
	empty := len(s.all) == 0
	show(s.lesson, empty)
	show(s.list, !empty)
	show(s.line, !empty)
	show(s.detail.Container, !empty)
	if size.IsZero() {
		return
	}
	w := float32(int(min(max(size.Width*0.36, listLeast), listMost)))
	place(s.lesson, 0, 0, size.Width, size.Height)
	place(s.list, 0, 0, w, size.Height)
	place(s.line, w, 0, 1, size.Height)
	place(s.detail.Container, w+1, 0, size.Width-w-1, size.Height)
}

func enable(b *look.Button, on bool) {
	if on {
		b.Enable()
	} else {
		b.Disable()
	}
}

func show(o fyne.CanvasObject, visible bool) {
	switch {
	case o.Visible() == visible:
	case visible:
		o.Show()
	default:
		o.Hide()
	}
}

func place(o fyne.CanvasObject, x, y, w, h float32) {
	o.Move(fyne.NewPos(x, y))
	o.Resize(fyne.NewSize(w, h))
}

// layoutFunc arranges the objects of a container.
type layoutFunc func(o []fyne.CanvasObject, size fyne.Size)

func (f layoutFunc) Layout(o []fyne.CanvasObject, size fyne.Size) { f(o, size) }
func (f layoutFunc) MinSize([]fyne.CanvasObject) fyne.Size        { return fyne.Size{} }
