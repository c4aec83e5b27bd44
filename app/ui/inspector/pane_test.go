package inspector

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"
)

func newTestPane(t *testing.T, lines int) (*pane, *Actions, fyne.Window) {
	t.Helper()
	test.NewTempApp(t).Settings().SetTheme(look.Theme{})
	a := &Actions{}
	a.Copy = func(string, func()) {}
	p := newPane(a)
	f := &flow{}
	for n := range lines {
		f.add(say(look.ColorText, fmt.Sprintf("line %d", n)))
	}
	w := test.NewTempWindow(t, p)
	w.SetPadded(false)
	w.Resize(fyne.NewSize(400, 200))
	p.set(f, false)
	return p, a, w
}

// inSight are the lines on the screen.
func inSight(p *pane) []string {
	var out []string
	for _, r := range p.sheet.pool {
		y := r.back.Position().Y - p.scroll.Offset.Y
		if r.index >= 0 && y > -lineHeight && y < p.scroll.Size().Height {
			out = append(out, r.line.text())
		}
	}
	return out
}

func TestPaneDrawsWhatIsInSight(t *testing.T) {
	p, _, w := newTestPane(t, 10_000)
	if n := len(p.sheet.pool); n > 13 {
		t.Errorf("%d lines are drawn for a height of 10", n)
	}
	for _, step := range []struct {
		key  fyne.KeyName
		want string
	}{{fyne.KeyDown, "line 0"}, {fyne.KeyPageDown, "line 9"}, {fyne.KeyEnd, "line 9999"}, {fyne.KeyPageUp, "line 9990"}, {fyne.KeyHome, "line 0"}, {fyne.KeyUp, "line 0"}} {
		p.sheet.TypedKey(&fyne.KeyEvent{Name: step.key})
		if got := inSight(p); !strings.Contains(strings.Join(got, "\n")+"\n", step.want+"\n") {
			t.Errorf("after %s, %q is not in sight: %q", step.key, step.want, got)
		}
	}
	test.Scroll(w.Canvas(), fyne.NewPos(100, 100), 0, -2000)
	if got := inSight(p); got[0] != "line 99" && got[0] != "line 100" {
		t.Errorf("scrolled by 100 lines, the first is %q", got[0])
	}
}

func TestLinesMoveWithTheirRows(t *testing.T) {
	p, _, _ := newTestPane(t, 100)
	fifth := p.sheet.pool[5]
	p.by(3, 0)
	if i := slices.Index(p.sheet.pool, fifth); i != 5-p.sheet.first {
		t.Errorf("scrolled by 3, the row is in place %d of those from %d on", i, p.sheet.first)
	}
	if fifth.line.text() != "line 5" {
		t.Errorf("the row says %q now", fifth.line.text())
	}
	if drawn, again := test.WidgetRenderer(p.sheet).Objects(), p.sheet.CreateRenderer().Objects(); len(again) == 0 || len(again) != len(drawn) {
		t.Errorf("a new renderer draws %d objects, want %d", len(again), len(drawn))
	}
	p.by(-3, 0)
	if p.sheet.pool[5] != fifth || fifth.line.text() != "line 5" {
		t.Errorf("scrolled back, the row says %q", fifth.line.text())
	}
}

func TestMarkingAndCopying(t *testing.T) {
	p, _, w := newTestPane(t, 20)
	var copied string
	p.copy = func(text string) { copied = text }
	copies := func(want string) {
		t.Helper()
		if p.sheet.TypedShortcut(&fyne.ShortcutCopy{}); copied != want {
			t.Errorf("copied %q, want %q", copied, want)
		}
	}
	at := func(line int) fyne.Position {
		return fyne.NewPos(50, topPad+(float32(line)+0.5)*lineHeight)
	}
	down := func(line int, m fyne.KeyModifier) {
		p.sheet.MouseDown(&desktop.MouseEvent{PointEvent: fyne.PointEvent{Position: at(line)}, Button: desktop.MouseButtonPrimary, Modifier: m})
	}
	down(2, 0)
	p.sheet.Dragged(&fyne.DragEvent{PointEvent: fyne.PointEvent{Position: at(4)}})
	p.sheet.DragEnd()
	if w.Canvas().Focused() != fyne.Focusable(p.sheet) {
		t.Error("what was marked cannot be copied by the keyboard")
	}
	copies("line 2\nline 3\nline 4\n")
	down(1, fyne.KeyModifierShift)
	copies("line 1\nline 2\n")
	p.sheet.Dragged(&fyne.DragEvent{PointEvent: fyne.PointEvent{Position: fyne.NewPos(0, -500)}})
	copies("line 0\nline 1\nline 2\n")
	escaped := 0
	p.escape = func() { escaped++ }
	p.sheet.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
	if from, _ := p.sheet.marks(); from >= 0 || escaped != 0 {
		t.Error("Escape does not take the marks away first")
	}
	p.sheet.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
	if escaped != 1 {
		t.Error("with nothing marked, Escape does not leave")
	}
	p.sheet.TypedShortcut(&fyne.ShortcutSelectAll{})
	if from, to := p.sheet.marks(); from != 0 || to != 19 {
		t.Errorf("Select all marks %d to %d", from, to)
	}
	pressed := 0
	find := &desktop.CustomShortcut{KeyName: fyne.KeyF, Modifier: fyne.KeyModifierControl}
	p.onShortcut = func(fyne.Shortcut) { pressed++ }
	p.sheet.TypedShortcut(find)
	if pressed != 1 {
		t.Error("the window's shortcuts end in the text")
	}
	test.TapCanvas(w.Canvas(), fyne.NewPos(50, 50))
	if w.Canvas().Focused() != fyne.Focusable(p.sheet) {
		t.Error("a click does not lead the keyboard to the text")
	}
}

func TestWordsCanBePressed(t *testing.T) {
	p, _, w := newTestPane(t, 1)
	pressed := 0
	f := &flow{}
	f.add(line{spans: []span{{text: "secret "}, {text: "show", tap: func() { pressed++ }}, {text: " more"}}})
	p.set(f, false)
	x := look.Inset + 8.5*charWidth()
	for i, pos := range []fyne.Position{{X: x, Y: topPad + 10}, {X: x, Y: topPad + 30}, {X: 20, Y: topPad + 10}, {X: x + 4*charWidth(), Y: topPad + 10}} {
		test.TapCanvas(w.Canvas(), pos)
		if pressed != 1 {
			t.Errorf("tap %d: pressed %d times, want once, at the word", i, pressed)
		}
	}
	test.MoveMouse(w.Canvas(), fyne.NewPos(x, topPad+10))
	if p.sheet.Cursor() != desktop.PointerCursor {
		t.Error("the pointer does not show that the word can be pressed")
	}
}

func TestWrapping(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		line line
		want []string
	}{
		"fits":      {say("", "short"), []string{"short"}},
		"words":     {say("", "one two three four five six"), []string{"one two three four ", "five six"}},
		"long word": {say("", "x "+strings.Repeat("y", 40)), []string{"x ", strings.Repeat("y", 20), strings.Repeat("y", 20)}},
		"hang":      {line{hang: 2, spans: []span{{text: "name  "}, {text: strings.Repeat("v", 20)}}}, []string{"name  vvvvvvvvvvvvvv", "  vvvvvv"}},
		"wide":      {say("", strings.Repeat("漢", 12)), []string{strings.Repeat("漢", 10), "漢漢"}},
		"press":     {line{spans: []span{{text: "0123456789abcdefgh"}, {text: "show", tap: func() {}}}}, []string{"0123456789abcdefgh", "show"}},
		"empty":     {blank(), []string{""}},
	} {
		f := &flow{}
		f.add(c.line)
		f.fit(20)
		var got []string
		for i := range f.len() {
			got = append(got, f.at(i).text())
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Whatever is wrapped to whatever width: nothing is lost, and it ends.
func FuzzWrapping(f *testing.F) {
	f.Add("a header's value, with spaces", "show", 20, 2)
	f.Add("漢字 mixed with Latin", "", 3, 50)
	f.Fuzz(func(t *testing.T, a, b string, cols, hang int) {
		if len(a)+len(b) > 4000 {
			return
		}
		l := line{hang: max(hang%100, 0), spans: []span{{text: a}, {text: b, tap: func() {}}, {text: a, bold: true}}}
		fl := &flow{}
		fl.add(l)
		fl.fit(cols % 500)
		var got strings.Builder
		for i := range fl.len() {
			spans := fl.at(i).spans
			if i > 0 && l.hang > 0 && len(spans) > 0 {
				spans = spans[1:] // the indentation
			}
			got.WriteString(line{spans: spans}.text())
		}
		if got.String() != l.text() {
			t.Errorf("%q became %q", l.text(), got.String())
		}
	})
}

func TestCuttingToColumns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		cols int
		want string
	}{{"short", 5, "short"}, {"longer", 5, "long…"}, {"漢漢漢", 5, "漢漢…"}, {"漢漢漢", 4, "漢…"}, {"ab", 1, ""}, {"ab", -3, ""}, {"", 0, ""}} {
		if got := cutColumns(c.text, c.cols); got != c.want {
			t.Errorf("%q in %d: %q, want %q", c.text, c.cols, got, c.want)
		}
	}
}
