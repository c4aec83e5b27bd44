package requests

import (
	"fmt"
	"testing"
	"time"

	"culvert/app/ui/look"
	"culvert/app/ui/model"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
)

func newTestTable(t *testing.T, size fyne.Size) (*Table, *model.Store, fyne.Window) {
	t.Helper()
	app := test.NewTempApp(t)
	app.Settings().SetTheme(look.Theme{})
	s := model.NewStore()
	table := NewTable(model.NewView(s))
	table.now = func() time.Time { return day }
	w := test.NewTempWindow(t, table)
	w.SetPadded(false)
	w.Resize(size)
	return table, s, w
}

// day is when the requests of the tests come in.
var day = time.Date(2026, 1, 2, 14, 2, 11, 482e6, time.UTC)

func fill(s *model.Store, n int) {
	for i := range n {
		s.AddRequest(&model.Request{Tunnel: "1", Time: day, Method: "GET",
			Path: fmt.Sprintf("/%d", i), Status: 200, Duration: 6 * time.Millisecond, Size: 4200, Visitor: "203.0.113.7"})
	}
}

// screen is what the visible rows say, from the top.
func screen(table *Table, column int) []string {
	var out []string
	for _, r := range table.body.pool {
		if y := r.back.Position().Y - table.scroll.Offset.Y; y > -rowHeight && y < table.scroll.Size().Height && r.request != nil {
			out = append(out, r.cells[column].Text)
		}
	}
	return out
}

func TestRowSaysEverything(t *testing.T) {
	table, s, _ := newTestTable(t, fyne.NewSize(908, 300))
	fill(s, 1)
	table.SetLabels(map[string]string{"1": "shop"})
	table.Sync()
	want := []string{"14:02:11.482", "shop", "GET", "/0", "200 ✓", "6 ms", "4.1 KB", "203.0.113.7"}
	for i, text := range want {
		c := table.body.pool[0].cells[i]
		if c.Text != text || c.Hidden {
			t.Errorf("column %s says %q (hidden: %v), want %q", table.cols[i].title, c.Text, c.Hidden, text)
		}
	}
}

func TestNarrowTableKeepsWhatMatters(t *testing.T) {
	table, s, w := newTestTable(t, fyne.NewSize(440, 300))
	fill(s, 1)
	table.Sync()
	for _, labels := range []map[string]string{nil, {"1": "shop"}} {
		table.SetLabels(labels)
		for i, hidden := range []bool{false, labels == nil, false, false, false, true, true, true} {
			if c := table.body.pool[0].cells[i]; c.Hidden != hidden {
				t.Errorf("at 440, labels %v: column %s hidden is %v, want %v", labels, table.cols[i].title, c.Hidden, hidden)
			}
		}
		if got := table.body.pool[0].cells[0].Text; got != "14:02:11" {
			t.Errorf("at 440 the time is %q, want one that fits", got)
		}
	}
	w.Resize(fyne.NewSize(908, 300))
	for i, c := range table.body.pool[0].cells {
		if c.Hidden || c.Text == "" {
			t.Errorf("at 908: column %s is hidden or empty (%q)", table.cols[i].title, c.Text)
		}
	}
	table.view.At(0).Name = "gone"
	table.SetLabels(map[string]string{"2": "another"})
	if got := table.body.pool[0].cells[tunnelColumn].Text; got != "gone" {
		t.Errorf("of a tunnel that has gone the column says %q, want its name", got)
	}
	table.SetLabels(nil)
	if !table.body.pool[0].cells[tunnelColumn].Hidden {
		t.Error("without labels the tunnels' column stays")
	}
}

// Whatever the width, columns stand beside each other and inside the table.
func TestColumnsFit(t *testing.T) {
	for width := float32(440); width <= 1600; width++ {
		for _, tunnel := range []bool{false, true} {
			x := look.Inset
			for i, s := range arrange(columns(nil, nil), width, tunnel) {
				if s.x != x {
					t.Fatalf("at %v: column %d starts at %v, want %v", width, i, s.x, x)
				}
				x += s.w
			}
			if x > width-look.Inset+0.5 {
				t.Fatalf("at %v: the columns end at %v", width, x)
			}
		}
	}
}

func TestPoolFollowsTheScreenNotTheLog(t *testing.T) {
	table, s, _ := newTestTable(t, fyne.NewSize(908, 300))
	fill(s, 10)
	table.Sync()
	few := len(table.body.pool)
	fill(s, 2*model.Capacity)
	table.Sync()
	if got := len(table.body.pool); got != few || got > 300/int(rowHeight)+2 {
		t.Errorf("%d rows are drawn for %d on the screen, %d before the traffic", got, 300/int(rowHeight), few)
	}
	if got := screen(table, pathColumn)[0]; got != fmt.Sprintf("/%d", 2*model.Capacity-1) {
		t.Errorf("the top row is %s, want the newest", got)
	}
}

// Drawing texts anew is what a busy log costs.
func TestRowsMoveWithTheirRequests(t *testing.T) {
	table, s, w := newTestTable(t, fyne.NewSize(908, 300))
	fill(s, 100)
	table.Sync()
	third := table.body.pool[2]
	fill(s, 4)
	table.Sync()
	if table.body.pool[6] != third || third.cells[pathColumn].Text != "/97" || third.back.Position().Y != 6*rowHeight {
		t.Errorf("after 4 requests the third row says %s at %v", third.cells[pathColumn].Text, third.back.Position())
	}
	test.Scroll(w.Canvas(), fyne.NewPos(400, 150), 0, -5*rowHeight)
	if table.body.pool[1] != third || third.back.Position().Y != 6*rowHeight {
		t.Errorf("scrolled by 5, the row is at %v", third.back.Position())
	}
	if got := screen(table, pathColumn); len(got) < 9 || got[0] != "/98" || got[1] != "/97" || got[8] != "/90" {
		t.Errorf("the rows are %v", got)
	}
	fill(s, 3)
	table.view.Freeze(false)
	table.view.Sync()
	w.Resize(fyne.NewSize(908, 600)) // more rows, while others move
	drawn := test.WidgetRenderer(table.body).Objects()
	for i, r := range table.body.pool {
		if at := i * len(r.objects()); at >= len(drawn) || drawn[at] != fyne.CanvasObject(r.back) {
			t.Errorf("row %d of %d is not drawn in its turn", i, len(table.body.pool))
		}
	}
	if again := table.body.CreateRenderer().Objects(); len(again) != len(drawn) {
		t.Errorf("a new renderer draws %d objects, want %d", len(again), len(drawn))
	}
	fill(s, 500)
	table.ShowNewest()
	table.Sync()
	if got := screen(table, pathColumn); got[0] != "/499" || got[8] != "/491" {
		t.Errorf("with all rows new they are %v", got)
	}
}

func TestScrollingAwayHoldsTheRows(t *testing.T) {
	table, s, w := newTestTable(t, fyne.NewSize(908, 300))
	fill(s, 50)
	table.Sync()
	test.Scroll(w.Canvas(), fyne.NewPos(400, 150), 0, -300)
	before := screen(table, pathColumn)
	if before[0] == "/49" {
		t.Fatal("the table did not scroll")
	}
	fill(s, 3)
	table.Sync()
	if after := screen(table, pathColumn); fmt.Sprint(before) != fmt.Sprint(after) || table.view.Fresh() != 3 {
		t.Errorf("rows moved under the reader: %v then %v; %d fresh, want 3", before, after, table.view.Fresh())
	}
	table.ShowNewest()
	if got := screen(table, pathColumn)[0]; got != "/2" || table.view.Fresh() != 0 || table.scroll.Offset.Y != 0 {
		t.Errorf("back at the top: first row %s at offset %v, %d fresh; want /2, 0, 0", got, table.scroll.Offset.Y, table.view.Fresh())
	}
}

func TestPauseHoldsTheRows(t *testing.T) {
	table, s, _ := newTestTable(t, fyne.NewSize(908, 300))
	fill(s, 2)
	table.Sync()
	table.SetPaused(true)
	fill(s, 5)
	table.Sync()
	if got := screen(table, pathColumn); fmt.Sprint(got) != "[/1 /0]" {
		t.Errorf("paused, the rows are %v", got)
	}
	table.SetPaused(false)
	if got := screen(table, pathColumn); len(got) != 7 || got[0] != "/4" {
		t.Errorf("resumed, the rows are %v", got)
	}
}

func TestSelectionStaysWithItsRequest(t *testing.T) {
	table, s, w := newTestTable(t, fyne.NewSize(908, 300))
	var told *model.Request
	table.OnSelect = func(r *model.Request) { told = r }
	fill(s, 5)
	table.Sync()
	test.TapCanvas(w.Canvas(), fyne.NewPos(300, rowHeight+1+1.5*rowHeight)) // the second row
	if r := table.Selected(); r == nil || r.Path != "/3" || told != r {
		t.Fatalf("tapped the second row, selected %+v, told %+v", r, told)
	}
	fill(s, 4)
	table.Sync()
	if r := table.Selected(); r.Path != "/3" || r.ID != 4 {
		t.Errorf("after new rows the selection is %+v", r)
	}
	for i, row := range table.body.pool {
		if row.state.selected != (i == 5) {
			t.Errorf("row %d selected is %v", i, row.state.selected)
		}
	}
	if w.Canvas().Focused() != fyne.Focusable(table.body) {
		t.Error("a click does not lead the arrow keys to the table")
	}
	escaped := 0
	table.OnEscape = func() { escaped++ }
	table.body.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
	if table.Selected() != nil || told != nil || escaped != 0 {
		t.Error("the selection did not go away, or more than it did")
	}
	table.body.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
	if escaped != 1 {
		t.Error("with nothing selected, Escape is not handed on")
	}
}

func TestKeysMoveTheSelection(t *testing.T) {
	table, s, w := newTestTable(t, fyne.NewSize(908, 300))
	fill(s, 100)
	table.Sync()
	w.Canvas().Focus(table.body)
	if r := table.Selected(); r == nil || r.Path != "/99" {
		t.Fatalf("the focus shows at %+v, want the top row", r)
	}
	for _, step := range []struct {
		key  fyne.KeyName
		want string
	}{
		{fyne.KeyUp, "/99"}, {fyne.KeyDown, "/98"}, {fyne.KeyDown, "/97"}, {fyne.KeyEnd, "/0"}, {fyne.KeyDown, "/0"},
		{fyne.KeyUp, "/1"}, {fyne.KeyHome, "/99"}, {fyne.KeyPageDown, "/91"},
	} {
		table.body.TypedKey(&fyne.KeyEvent{Name: step.key})
		r := table.Selected()
		if r == nil || r.Path != step.want {
			t.Fatalf("after %s the selection is %+v, want %s", step.key, r, step.want)
		}
		visible := false
		for _, p := range screen(table, pathColumn) {
			visible = visible || p == step.want
		}
		if !visible {
			t.Errorf("after %s the selected row %s is not on the screen %v", step.key, step.want, screen(table, pathColumn))
		}
	}
}

func TestHostileTextsAreDrawnHarmlessly(t *testing.T) {
	table, s, _ := newTestTable(t, fyne.NewSize(600, 300))
	s.AddRequest(&model.Request{Method: "GET\n\x1b[2J", Path: "/\u202e" + string(make([]byte, 10000)), Status: 200})
	table.Sync()
	row := table.body.pool[0]
	if row.cells[2].Text != "GET  [2J" {
		t.Errorf("method drawn as %q", row.cells[2].Text)
	}
	if n := len([]rune(row.cells[pathColumn].Text)); n > 100 {
		t.Errorf("a path of 10,000 characters is drawn with %d", n)
	}
}

func benchTable(b *testing.B) (*Table, *model.Store) {
	test.NewTempApp(b).Settings().SetTheme(look.Theme{})
	s := model.NewStore()
	table := NewTable(model.NewView(s))
	w := test.NewTempWindow(b, table)
	w.Resize(fyne.NewSize(908, 640))
	fill(s, model.Capacity)
	table.Sync()
	return table, s
}

// One frame at 5,000 rows per second, as the window's ticker makes it.
func BenchmarkSync(b *testing.B) {
	table, s := benchTable(b)
	b.ReportAllocs()
	for b.Loop() {
		fill(s, 333) // 5,000 rows per second at 15 frames
		table.Sync()
	}
}
