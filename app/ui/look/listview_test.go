package look

import (
	"fmt"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/test"
	"github.com/google/go-cmp/cmp"
)

// textRow shows the number of its line.
type textRow struct {
	text     *canvas.Text
	selected bool
	i        int
}

func (r *textRow) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.text} }
func (r *textRow) Place(y, width float32)       { place(r.text, 0, y, width, 20) }
func (r *textRow) Show(i int, selected bool) {
	r.i, r.selected = i, selected
	r.text.Text = ""
	if i >= 0 {
		r.text.Text = fmt.Sprint("line ", i)
	}
}

func newTestList(t *testing.T, n int) (*ListView, func() []*textRow, fyne.Window) {
	t.Helper()
	var rows []*textRow
	l := NewListView(20, func() ListRow {
		rows = append(rows, &textRow{text: &canvas.Text{}, i: -1})
		return rows[len(rows)-1]
	})
	w := newWindow(t, l, fyne.NewSize(200, 100))
	l.SetLen(n)
	return l, func() []*textRow { return rows }, w
}

// lines are those that the rows show, by where they stand.
func lines(rows []*textRow, offset float32) (out []int) {
	for _, r := range rows {
		if y := r.text.Position().Y - offset; r.i >= 0 && y > -20 && y < 100 {
			out = append(out, r.i)
		}
	}
	return out
}

func TestListShowsWhatIsInSight(t *testing.T) {
	l, rows, w := newTestList(t, 100000)
	if n := len(rows()); n > 10 {
		t.Fatalf("%d rows were made for 5 lines in sight", n)
	}
	for _, step := range []struct {
		name string
		do   func()
		want []int
	}{
		{"at first", func() {}, []int{0, 1, 2, 3, 4}},
		{"scrolled", func() { test.Scroll(w.Canvas(), fyne.NewPos(50, 50), 0, -210) }, []int{10, 11, 12, 13, 14, 15}},
		{"at the end", func() { l.ScrollBy(1 << 20) }, []int{99995, 99996, 99997, 99998, 99999}},
		{"revealed", func() { l.Reveal(50) }, []int{50, 51, 52, 53, 54}},
		{"at the top", func() { l.ScrollBy(-1 << 20) }, []int{0, 1, 2, 3, 4}},
		{"shorter", func() { l.SetLen(2) }, []int{0, 1}},
		{"empty", func() { l.SetLen(0) }, nil},
	} {
		step.do()
		if diff := cmp.Diff(step.want, lines(rows(), l.scroll.Offset.Y)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
	l.SetLen(1000)
	if l.ScrollBy(3); l.Top() != 3 {
		t.Errorf("three lines down, the first in sight is %d", l.Top())
	}
}

func TestListKeys(t *testing.T) {
	l, rows, w := newTestList(t, 1000)
	var got []int
	l.OnSelect = func(i int) { got = append(got, i) }
	escaped, keys := 0, 0
	l.OnEscape = func() { escaped++ }
	l.OnKey = func(*fyne.KeyEvent) { keys++ }
	test.TapAt(l.body, fyne.NewPos(5, 45))
	if w.Canvas().Focused() != fyne.Focusable(l.body) {
		t.Fatal("a tap did not give the list the focus")
	}
	press(l.body, fyne.KeyDown, fyne.KeyPageDown, fyne.KeyUp, fyne.KeyEnd, fyne.KeyDown, fyne.KeyPageUp, fyne.KeyHome, fyne.KeyUp, fyne.KeyEscape, fyne.KeyC)
	if diff := cmp.Diff([]int{2, 3, 7, 6, 999, 995, 0}, got); diff != "" || escaped != 1 || keys != 1 {
		t.Errorf("selected (-want +got):\n%s; %d escapes and %d other keys", diff, escaped, keys)
	}
	l.Select(500)
	l.Reveal(500)
	if len(got) != 7 || l.Selected() != 500 {
		t.Error("a selection that the program made was reported, or not made")
	}
	marked := 0
	for _, r := range rows() {
		if r.selected {
			marked++
		}
	}
	if marked != 1 {
		t.Errorf("%d rows are marked as selected", marked)
	}
	l.SetLen(10)
	if l.Selected() != -1 {
		t.Error("the selection outlived its line")
	}
}

// Lines that cannot be selected scroll with the keys.
func TestListWithoutSelectionScrolls(t *testing.T) {
	l, _, w := newTestList(t, 1000)
	w.Canvas().Focus(l.body)
	for _, step := range []struct {
		key  fyne.KeyName
		want float32
	}{{fyne.KeyUp, 0}, {fyne.KeyDown, 20}, {fyne.KeyPageDown, 100}, {fyne.KeyEnd, 19900}, {fyne.KeyDown, 19900}, {fyne.KeyHome, 0}} {
		press(l.body, step.key)
		if l.scroll.Offset.Y != step.want {
			t.Errorf("after %s the list is at %v, want %v", step.key, l.scroll.Offset.Y, step.want)
		}
	}
}

func BenchmarkListScrolls(b *testing.B) {
	test.NewTempApp(b)
	l := NewListView(20, func() ListRow { return &textRow{text: &canvas.Text{}} })
	w := test.NewTempWindow(b, l)
	w.Resize(fyne.NewSize(600, 800))
	l.SetLen(100000)
	for i := 0; b.Loop(); i++ {
		l.Reveal(i * 7 % 100000)
	}
}
