package requests

import (
	"slices"
	"testing"
	"time"

	"culvert/app/ui/look"
	"culvert/app/ui/model"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"
)

// told collects what a bar asks for.
type told struct {
	filters []model.Filter
	history []bool
	did     []string
}

func newTestBar(t *testing.T, width float32) (*Bar, *told, fyne.Window) {
	t.Helper()
	app := test.NewTempApp(t)
	app.Settings().SetTheme(look.Theme{})
	var got told
	did := func(what string) func() { return func() { got.did = append(got.did, what) } }
	b := NewBar(BarActions{
		Filter: func(f model.Filter) { got.filters = append(got.filters, f) }, History: func(on bool) { got.history = append(got.history, on) },
		ShowAll: did("all"), Newest: did("newest"), Pause: did("pause"), Clear: did("clear"), Export: did("export"), Import: did("import"), Escape: did("escape"),
		Shortcut: func(s fyne.Shortcut) { got.did = append(got.did, s.ShortcutName()) },
	})
	w := test.NewTempWindow(t, b)
	w.SetPadded(false)
	w.Resize(fyne.NewSize(width, BarHeight))
	return b, &got, w
}

func run(t *testing.T, items []look.Item, text string) {
	t.Helper()
	for _, it := range items {
		if it.Text == text {
			it.Run()
			return
		}
	}
	t.Fatalf("the menu has no item %q", text)
}

func TestBarAsksForWhatItShows(t *testing.T) {
	b, got, _ := newTestBar(t, 907)
	test.Type(b.text, "st")
	test.TapAt(b.classes, fyne.NewPos(b.classes.Size().Width-4, 10))
	run(t, b.filterItems(), "POST")
	run(t, b.filterItems(), "1.0 s or longer")
	want := model.Filter{Text: "st", Class: 5, Method: "POST", Least: time.Second}
	if last := got.filters[len(got.filters)-1]; last != want || b.Filter() != want {
		t.Errorf("asked for %+v, says %+v, want %+v", last, b.Filter(), want)
	}
	checked := 0
	for _, it := range b.filterItems() {
		if it.Checked {
			checked++
		}
	}
	if !b.hidden() || checked != 2 {
		t.Errorf("the menu's filters are in force, but %d are checked (shown as such: %v)", checked, b.hidden())
	}
	run(t, b.filterItems(), "Clear the filter")
	if last := got.filters[len(got.filters)-1]; last != (model.Filter{}) || b.text.Text != "" || b.hidden() || b.classes.Selected() != 0 {
		t.Errorf("cleared, it asks for %+v with %q in the field", last, b.text.Text)
	}
}

func TestSetFilterTellsNobody(t *testing.T) {
	b, got, _ := newTestBar(t, 907)
	f := model.Filter{Text: "a", Class: 4}
	b.SetFilter(f)
	if len(got.filters) != 0 || b.text.Text != "a" || b.classes.Selected() != 3 {
		t.Errorf("told %v; shows %q and class %d", got.filters, b.text.Text, b.classes.Selected())
	}
}

func TestEscapeClearsTheFieldFirst(t *testing.T) {
	b, got, w := newTestBar(t, 907)
	b.FocusText()
	if w.Canvas().Focused() != fyne.Focusable(b.text) {
		t.Fatal("the field did not get the focus")
	}
	test.Type(b.text, "x")
	b.text.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
	if b.text.Text != "" || len(got.did) != 0 {
		t.Errorf("after Escape the field has %q, done %v", b.text.Text, got.did)
	}
	b.text.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
	b.text.TypedShortcut(&desktop.CustomShortcut{KeyName: fyne.KeyP, Modifier: fyne.KeyModifierControl})
	if !slices.Equal(got.did, []string{"escape", "CustomDesktop:Control+P"}) {
		t.Errorf("done %v, want the window's escape and its shortcut", got.did)
	}
}

func TestHistoryHasNoPause(t *testing.T) {
	b, got, _ := newTestBar(t, 907)
	test.TapAt(b.source, fyne.NewPos(b.source.Size().Width-4, 10))
	if !b.History() || !slices.Equal(got.history, []bool{true}) {
		t.Fatalf("History is %v, told %v", b.History(), got.history)
	}
	b.Sync(BarState{Scope: "all tunnels", Fresh: 4})
	for name, o := range map[string]fyne.CanvasObject{"pause": b.pause, "hold": b.hold, "clear": b.clear, "fresh": b.fresh} {
		if o.Visible() {
			t.Errorf("the history offers %s", name)
		}
	}
	b.SetHistory(false)
	if !b.hold.Visible() && !b.pause.Visible() || !b.clear.Visible() || !b.fresh.Visible() || len(got.history) != 1 {
		t.Error("back to live, something is missing")
	}
	b.Sync(BarState{NoHistory: true})
	if b.source.Visible() || !b.title.Visible() {
		t.Error("a history that is not kept can be asked for")
	}
}

func TestNarrowBarKeepsEverythingWithinReach(t *testing.T) {
	b, got, w := newTestBar(t, 447)
	b.Sync(BarState{Scope: "shop", Scoped: true, Fresh: 12000})
	for _, text := range []string{"Show all tunnels", "Clear the list", "Export as HAR…", "Import a HAR file…"} {
		run(t, b.moreItems(), text)
	}
	run(t, b.filterItems(), "5xx")
	if !slices.Equal(got.did, []string{"all", "clear", "export", "import"}) || b.Filter().Class != 5 || !b.hidden() {
		t.Errorf("done %v, filter %+v", got.did, b.Filter())
	}
	for width := float32(447); width < 1500; width += 7 {
		for _, s := range []BarState{{Scope: "shop", Scoped: true, Fresh: 12000, Paused: true}, {Scope: "all tunnels"}, {Scope: "a-very-long-name-of-a-tunnel-indeed", Scoped: true, Fresh: 1, NoHistory: true}} {
			b.Sync(s)
			w.Resize(fyne.NewSize(width, BarHeight))
			checkApart(t, width, test.WidgetRenderer(b).Objects())
		}
	}
}

// checkApart fails if objects that are shown overlap or stand outside.
func checkApart(t *testing.T, width float32, objects []fyne.CanvasObject) {
	t.Helper()
	var shown []fyne.CanvasObject
	for _, o := range objects {
		if o.Visible() && o.Size().Width > 0 {
			shown = append(shown, o)
		}
	}
	slices.SortFunc(shown, func(a, b fyne.CanvasObject) int { return int(a.Position().X - b.Position().X) })
	end := float32(0)
	for _, o := range shown {
		if o.Position().X < end {
			t.Fatalf("at %v: %T at %v begins before %v, where the one before it ends", width, o, o.Position().X, end)
		}
		end = o.Position().X + o.Size().Width
	}
	if end > width {
		t.Fatalf("at %v: the bar ends at %v", width, end)
	}
}
