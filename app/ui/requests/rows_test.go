package requests

import (
	"slices"
	"testing"
	"time"

	"culvert/app/ui/model"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"
)

// found are rows as a search in the history gives them.
type found []*model.Request

func (f found) Sync() bool              { return false }
func (f found) Len() int                { return len(f) }
func (f found) At(i int) *model.Request { return f[i] }
func (f found) Freeze(bool)             {}
func (f found) Fresh() int              { return 0 }
func (f found) Index(id uint64) int {
	return slices.IndexFunc(f, func(r *model.Request) bool { return r.ID == id })
}

func foundRows(from, n int) found {
	var f found
	for i := range n {
		f = append(f, &model.Request{ID: uint64(1000 - from - i), Time: day.AddDate(0, 0, -1), Method: "GET", Path: "/old", Status: 200})
	}
	return f
}

// growing is a live stream that counts on.
type growing struct {
	model.Live
	n int
}

func (g *growing) Count() int { return g.n }

func TestStreamsCountInPlace(t *testing.T) {
	table, s, _ := newTestTable(t, fyne.NewSize(908, 300))
	live := &growing{n: 38}
	s.AddRequest(&model.Request{Tunnel: "1", Time: day, Method: "GET", Path: "/hmr", Status: 101, Stream: model.WebSocketStream, Open: true, Live: live})
	s.AddRequest(&model.Request{Tunnel: "1", Time: day, Method: "GET", Path: "/events", Status: 200, Stream: model.EventStream, Open: true, Live: &growing{n: 1}})
	table.Sync()
	row := func(i int) []string {
		var texts []string
		for _, c := range table.body.pool[i].cells[2:7] {
			texts = append(texts, c.Text)
		}
		return texts
	}
	if got := row(0); !slices.Equal(got, []string{"GET", "/events", "200 ⋯", "stream", "1 event"}) {
		t.Errorf("events are shown as %q", got)
	}
	if got := row(1); !slices.Equal(got, []string{"WS", "/hmr", "101 ⇄", "open", "38 frames"}) {
		t.Errorf("a WebSocket is shown as %q", got)
	}
	live.n = 1039
	table.Sync()
	if got := row(1); got[4] != "1,039 frames" {
		t.Errorf("the open stream says %q after more frames", got[4])
	}
}

func TestReplaysAndOtherDaysAreMarked(t *testing.T) {
	table, s, _ := newTestTable(t, fyne.NewSize(908, 300))
	s.AddRequest(&model.Request{Tunnel: "1", Time: day.AddDate(0, 0, -1), Method: "GET", Path: "/a", Status: 200, ReplayOf: "x"})
	table.Sync()
	cells := table.body.pool[0].cells
	if cells[0].Text != "01-01 14:02:11" || cells[pathColumn].Text != "↻ /a" {
		t.Errorf("shown as %q %q", cells[0].Text, cells[pathColumn].Text)
	}
}

func TestHistoryLoadsOnAtTheEnd(t *testing.T) {
	table, s, w := newTestTable(t, fyne.NewSize(908, 300))
	fill(s, 3)
	table.Sync()
	asked := 0
	table.OnEnd = func() { asked++ }
	rows := foundRows(0, 50)
	table.SetRows(rows)
	if asked != 0 || screen(table, pathColumn)[0] != "/old" {
		t.Fatalf("asked %d times for more although the end is far; rows %v", asked, screen(table, pathColumn))
	}
	test.Scroll(w.Canvas(), fyne.NewPos(400, 150), 0, -5000)
	table.Sync()
	if asked != 1 {
		t.Errorf("at the end, asked %d times for more, want once", asked)
	}
	table.SetRows(append(rows, foundRows(50, 5)...))
	table.body.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEnd})
	table.body.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEnd})
	if asked != 2 {
		t.Errorf("at the end of more rows, asked %d times, want twice", asked)
	}
}

func TestKeysActOnTheSelected(t *testing.T) {
	table, s, w := newTestTable(t, fyne.NewSize(908, 300))
	fill(s, 3)
	table.Sync()
	var did []string
	tell := func(what string) func(*model.Request) {
		return func(r *model.Request) { did = append(did, what+r.Path) }
	}
	table.OnOpen, table.OnReplay, table.OnCompare, table.OnCopy = tell("open"), tell("replay"), tell("compare"), tell("copy")
	table.body.TypedKey(&fyne.KeyEvent{Name: fyne.KeyR})
	table.Focus()
	for _, key := range []fyne.KeyName{fyne.KeyDown, fyne.KeyReturn, fyne.KeyR, fyne.KeyC} {
		table.body.TypedKey(&fyne.KeyEvent{Name: key})
	}
	table.body.TypedShortcut(&fyne.ShortcutCopy{})
	if want := []string{"open/1", "replay/1", "compare/1", "copy/1"}; !slices.Equal(did, want) {
		t.Errorf("done %q, want %q", did, want)
	}
	test.TapSecondaryAt(table.body, fyne.NewPos(300, 2.5*rowHeight))
	items := table.menu()
	if r := table.Selected(); r == nil || r.Path != "/0" || len(items) != 4 || w.Canvas().Overlays().Top() == nil {
		t.Errorf("a right click selects %+v and offers %d things", r, len(items))
	}
	items[1].Run()
	if did[len(did)-1] != "replay/0" {
		t.Errorf("the menu did %q", did)
	}
	w.Canvas().Overlays().Remove(w.Canvas().Overlays().Top())
	pressed := 0
	find := &desktop.CustomShortcut{KeyName: fyne.KeyF, Modifier: fyne.KeyModifierControl}
	w.Canvas().AddShortcut(find, func(fyne.Shortcut) { pressed++ })
	table.body.TypedShortcut(find)
	table.OnShortcut = func(fyne.Shortcut) { pressed += 10 }
	table.body.TypedShortcut(find)
	if pressed != 1 && pressed != 10 && pressed != 11 {
		t.Errorf("the window's shortcuts are lost in the table (%d)", pressed)
	}
}

func TestRowsShowPointerFocusAndMark(t *testing.T) {
	table, s, w := newTestTable(t, fyne.NewSize(908, 300))
	fill(s, 3)
	table.Sync()
	table.Mark(2)
	test.MoveMouse(w.Canvas(), fyne.NewPos(300, rowHeight+1+10))
	table.Focus()
	want := []rowState{{selected: true, focused: true, hovered: true}, {marked: true}, {}}
	for i, state := range want {
		if got := table.body.pool[i].state; got != state {
			t.Errorf("row %d is %+v, want %+v", i, got, state)
		}
	}
	w.Canvas().Unfocus()
	test.MoveMouse(w.Canvas(), fyne.NewPos(300, 10))
	if got := table.body.pool[0].state; got != (rowState{selected: true}) {
		t.Errorf("left alone, the row is %+v", got)
	}
}

// One frame of a busy log with as many rows as it can have.
func BenchmarkSync20000(b *testing.B) {
	table, s := benchTable(b)
	b.ReportAllocs()
	for b.Loop() {
		fill(s, 100)
		table.Sync()
	}
}

// One frame of a log that a person reads further down, while rows come in above.
func BenchmarkSyncHeldStill(b *testing.B) {
	table, s := benchTable(b)
	table.scroll.Offset.Y = 5000 * rowHeight
	table.scrolled()
	b.ReportAllocs()
	for b.Loop() {
		fill(s, 100)
		table.Sync()
	}
}

// The log is narrowed with each key that is pressed.
func BenchmarkFilter20000(b *testing.B) {
	table, _ := benchTable(b)
	view := table.view.(*model.View)
	b.ReportAllocs()
	for b.Loop() {
		view.SetFilter(model.Filter{Text: "stripe post", Class: 2, Least: time.Millisecond})
		table.ToTop()
	}
}
