package look

import (
	"bytes"
	"fmt"
	"image/color"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/theme"
	"github.com/google/go-cmp/cmp"
)

// newWindow shows an object in a window of its own.
func newWindow(t *testing.T, content fyne.CanvasObject, size fyne.Size) fyne.Window {
	t.Helper()
	test.NewTempApp(t).Settings().SetTheme(Theme{Mode: Dark})
	w := test.NewTempWindow(t, NewRoot(content))
	w.SetPadded(false)
	w.Resize(size)
	return w
}

func press(f fyne.Focusable, keys ...fyne.KeyName) {
	for _, k := range keys {
		f.TypedKey(&fyne.KeyEvent{Name: k})
	}
}

func TestThemeMode(t *testing.T) {
	for mode, want := range map[Mode]color.Color{Dark: dark.base, Light: light.base, System: light.base} {
		if got := (Theme{Mode: mode}).Color(ColorBase, theme.VariantLight); got != want {
			t.Errorf("mode %d on a light desktop is %v, want %v", mode, got, want)
		}
	}
}

// Every icon must be one that the toolkit can draw, and be told from the others.
func TestIconsAreDrawn(t *testing.T) {
	test.NewTempApp(t).Settings().SetTheme(Theme{Mode: Dark})
	seen := map[string]Icon{}
	for _, i := range []Icon{IconMore, IconClose, IconPlus, IconCheck, IconCopy, IconOpen, IconQR, IconGear, IconPlay, IconStop, IconPause,
		IconReload, IconEdit, IconTwice, IconTrash, IconUp, IconDown, IconChevron, IconBack, IconWarning, IconError, IconInfo, IconOK,
		IconSearch, IconFilter, IconFolder, IconSave, IconUpload, IconEye, IconEyeOff, IconReplay, IconCompare, IconPulse, IconHistory,
		IconKey, IconGlobe, IconLock, IconTerminal} {
		r := i.Resource(ColorText)
		if bytes.Contains(r.Content(), []byte("currentColor")) {
			t.Errorf("an icon has no colour: %s", r.Content())
		}
		if other, ok := seen[r.Name()]; ok {
			t.Errorf("two icons have the name %s: %s and %s", r.Name(), i, other)
		}
		seen[r.Name()] = i
		if i.Resource(ColorBad).Name() == r.Name() {
			t.Errorf("%s has the same name in two colours, and would be shown in the first one", i)
		}
		img := canvas.NewImageFromResource(r)
		w := test.NewTempWindow(t, img)
		w.SetPadded(false)
		w.Resize(fyne.NewSquareSize(IconSize))
		drawn, picture := 0, w.Canvas().Capture()
		for y := range int(IconSize) {
			for x := range int(IconSize) {
				if r, g, b, _ := picture.At(x, y).RGBA(); r+g+b > 3*0x6000 {
					drawn++
				}
			}
		}
		if drawn < 4 {
			t.Errorf("of the icon %s, %d pixels are drawn", i, drawn)
		}
	}
}

func TestTooltip(t *testing.T) {
	b := NewIconButton(IconCopy, "Copy the URL", nil)
	w := newWindow(t, NewStack(0, b), fyne.NewSize(300, 100))
	root := w.Canvas().Content().(*Root)
	says := func() string {
		if !root.tip.Visible() {
			return ""
		}
		return root.tip.text.Text()
	}
	b.MouseIn(nil)
	if says() != "Copy the URL" {
		t.Fatalf("under the pointer the tooltip says %q", says())
	}
	if p, s := root.tip.Position(), root.tip.Size(); p.X < 0 || p.Y < Low || p.X+s.Width > 300 || p.Y+s.Height > 100 {
		t.Errorf("the tooltip stands at %v, %v", p, s)
	}
	// It must not take the pointer from what is beneath it.
	if _, ok := any(root.tip).(desktop.Hoverable); ok {
		t.Error("the tooltip takes the pointer")
	}
	b.MouseOut()
	if says() != "" {
		t.Error("the tooltip stays after the pointer has gone")
	}
	w.Canvas().Focus(b)
	if says() == "" {
		t.Error("the tooltip does not show for the focus")
	}
	test.Tap(b)
	if says() != "" {
		t.Error("the tooltip stays while the button does its work")
	}
	b.MouseIn(nil)
	b.Hide()
	if says() != "" {
		t.Error("the tooltip of a hidden button stays")
	}
}

// At the lower and right edge the tooltip turns to where there is room.
func TestTooltipStaysInside(t *testing.T) {
	b := NewIconButton(IconCopy, "A tooltip that is so long that it takes more than one line in any case at all", nil)
	w := newWindow(t, &fyne.Container{Layout: corner{}, Objects: []fyne.CanvasObject{b}}, fyne.NewSize(240, 100))
	b.MouseIn(nil)
	tip := w.Canvas().Content().(*Root).tip
	if p, s := tip.Position(), tip.Size(); p.X < 0 || p.Y < 0 || p.X+s.Width > 240 || p.Y+s.Height > 100-Low {
		t.Errorf("the tooltip stands at %v, %v", p, s)
	}
}

// corner puts an object into the lower right corner.
type corner struct{}

func (corner) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.Size{} }
func (corner) Layout(o []fyne.CanvasObject, size fyne.Size) {
	m := o[0].MinSize()
	place(o[0], size.Width-m.Width, size.Height-m.Height, m.Width, m.Height)
}

func TestMenuKeys(t *testing.T) {
	var got []string
	item := func(text string) Item { return Item{Text: text, Run: func() { got = append(got, text) }} }
	off := item("Off")
	off.Disabled = true
	items := []Item{item("Alpha"), off, {Separator: true}, item("Beta"), item("Gamma")}
	b := NewButton("Menu", Low, nil)
	w := newWindow(t, NewStack(0, b), fyne.NewSize(400, 300))
	for _, tt := range []struct {
		keys []fyne.KeyName
		want string
	}{
		{[]fyne.KeyName{fyne.KeyReturn}, "Alpha"},
		{[]fyne.KeyName{fyne.KeyDown, fyne.KeySpace}, "Beta"}, // over what cannot be chosen
		{[]fyne.KeyName{fyne.KeyUp, fyne.KeyEnter}, "Gamma"},  // round the end
		{[]fyne.KeyName{fyne.KeyEnd, fyne.KeyDown, fyne.KeyEnter}, "Alpha"},
		{[]fyne.KeyName{fyne.KeyEnd, fyne.KeyHome, fyne.KeyEnter}, "Alpha"},
		{[]fyne.KeyName{fyne.KeyEscape}, ""},
	} {
		got = nil
		ShowMenu(b, items)
		if !Covered(w.Canvas()) {
			t.Fatal("no menu was shown")
		}
		press(w.Canvas().Focused(), tt.keys...)
		if want := fmt.Sprint([]string{tt.want}); tt.want != "" && fmt.Sprint(got) != want || tt.want == "" && got != nil {
			t.Errorf("%v chose %v, want %q", tt.keys, got, tt.want)
		}
		if Covered(w.Canvas()) {
			t.Errorf("%v left the menu open", tt.keys)
			Escape(w.Canvas())
		}
	}
	got = nil
	ShowMenu(b, items)
	w.Canvas().Focused().TypedRune('g')
	press(w.Canvas().Focused(), fyne.KeyReturn)
	if fmt.Sprint(got) != "[Gamma]" {
		t.Errorf("the letter g chose %v", got)
	}
	items[3].Checked = true
	got = nil
	ShowMenu(b, items)
	press(w.Canvas().Focused(), fyne.KeyReturn)
	if fmt.Sprint(got) != "[Beta]" {
		t.Errorf("a menu that does not begin at what is in force chose %v", got)
	}
}

func TestMenuByPointer(t *testing.T) {
	chosen := 0
	b := NewButton("Menu", Low, nil)
	w := newWindow(t, NewStack(0, b), fyne.NewSize(400, 300))
	ShowMenu(b, []Item{{Text: "Off", Disabled: true, Run: func() { chosen = -1 }}, {Text: "On", Run: func() { chosen++ }}})
	m := w.Canvas().Overlays().Top().(*menu)
	test.TapAt(m.panel, fyne.NewPos(10, menuRow/2))
	if chosen != 0 || !Covered(w.Canvas()) {
		t.Error("a tap on what cannot be chosen did something")
	}
	test.TapAt(m.panel, fyne.NewPos(10, menuRow*1.5))
	if chosen != 1 || Covered(w.Canvas()) {
		t.Errorf("a tap chose %d times; menu still open: %v", chosen, Covered(w.Canvas()))
	}
	ShowMenuAt(b, fyne.NewPos(390, 290), []Item{{Text: "On", Run: func() { chosen++ }}})
	m = w.Canvas().Overlays().Top().(*menu)
	if p, s := m.frame.Position(), m.frame.Size(); p.X+s.Width > 400 || p.Y+s.Height > 300 {
		t.Errorf("in the corner the menu stands at %v, %v", p, s)
	}
	test.TapCanvas(w.Canvas(), fyne.NewPos(5, 5))
	if chosen != 1 || Covered(w.Canvas()) {
		t.Error("a tap beside the menu did not just close it")
	}
}

// A menu of more lines than there is room for scrolls, and follows the keys.
func TestLongMenuScrolls(t *testing.T) {
	var items []Item
	for i := range 60 {
		items = append(items, Item{Text: fmt.Sprint("Item ", i), Run: func() {}})
	}
	b := NewButton("Menu", Low, nil)
	w := newWindow(t, NewStack(0, b), fyne.NewSize(400, 300))
	ShowMenu(b, items)
	m := w.Canvas().Overlays().Top().(*menu)
	if s := m.scroll.Size(); s.Height > 300-Low {
		t.Errorf("the menu is %v high", s.Height)
	}
	press(m.panel, fyne.KeyEnd)
	if bottom := m.scroll.Offset.Y + m.scroll.Size().Height; bottom < 60*menuRow-1 {
		t.Errorf("the last line is active, but lines are seen to %v only", bottom)
	}
	press(m.panel, fyne.KeyHome)
	if m.scroll.Offset.Y != 0 {
		t.Errorf("the first line is active, but the menu stays at %v", m.scroll.Offset.Y)
	}
}

func TestSheet(t *testing.T) {
	under := NewButton("Under", Low, nil)
	w := newWindow(t, NewStack(0, under), fyne.NewSize(720, 480))
	field, closed, ask := NewField("Name"), 0, true
	s := NewSheet("Edit tunnel", NewStack(Gap, NewFormRow("Name", field, "")), NewButton("Cancel", Middle, nil))
	s.OnClose(func() { closed++ })
	s.OnEscape(func() bool { return ask })
	s.Open(w.Canvas(), nil)
	if w.Canvas().Focused() != fyne.Focusable(field) {
		t.Errorf("the focus is on %T, not on the first field", w.Canvas().Focused())
	}
	s.Open(w.Canvas(), nil)
	if n := len(w.Canvas().Overlays().List()); n != 1 {
		t.Errorf("opened twice, the sheet is there %d times", n)
	}
	ask = false
	press(field, fyne.KeyEscape)
	if !s.Shown() || closed != 0 {
		t.Error("Escape closed a sheet that wants to stay")
	}
	ask = true
	press(field, fyne.KeyEscape)
	if s.Shown() || closed != 1 || Covered(w.Canvas()) {
		t.Error("Escape did not close the sheet")
	}
	s.Open(w.Canvas(), field)
	ShowMenu(field, []Item{{Text: "Off", Disabled: true}})
	s.Close()
	if closed != 2 || Covered(w.Canvas()) {
		t.Error("a menu outlived the sheet that it stood on")
	}
	s.Close()
	if closed != 2 {
		t.Error("closed twice, the sheet said so twice")
	}
}

// A sheet is never larger than the window; what is too high scrolls.
func TestSheetFits(t *testing.T) {
	var rows []fyne.CanvasObject
	for i := range 30 {
		rows = append(rows, NewFormRow(fmt.Sprint("Field ", i), NewField(""), "a hint"))
	}
	w := newWindow(t, NewStack(0), fyne.NewSize(720, 480))
	s := NewSheet("Settings", NewStack(Inset, rows...), NewButton("Close", Middle, nil))
	s.SetWidth(880)
	s.Open(w.Canvas(), nil)
	for _, size := range []fyne.Size{{Width: 720, Height: 480}, {Width: 1280, Height: 800}} {
		w.Resize(size)
		s.Resize(size)
		p, m := s.panel.Position(), s.panel.Size()
		if p.X < sheetMargin || p.Y < sheetMargin || p.X+m.Width > size.Width-sheetMargin || p.Y+m.Height > size.Height-sheetMargin {
			t.Errorf("in %v the sheet stands at %v, %v", size, p, m)
		}
		if end := s.buttons.Position().Y + s.buttons.Size().Height; end > p.Y+m.Height {
			t.Errorf("in %v the buttons end at %v, beneath the sheet's %v", size, end, p.Y+m.Height)
		}
		if s.inner.MinSize().Height <= s.scroll.Size().Height {
			t.Errorf("in %v nothing is left to scroll", size)
		}
	}
	s.Close()

	short := NewSheet("Short", NewParagraph("Two words", ColorText, TextBody, 3))
	short.Open(w.Canvas(), nil)
	if h := short.panel.Size().Height; h > 140 {
		t.Errorf("a sheet of one line is %v high", h)
	}
	short.SetButtons(NewButton("Well", Middle, nil))
	if !short.buttons.Visible() {
		t.Error("buttons that came later are not seen")
	}
	short.Fill()
	short.SetHeight(300)
	if h := short.scroll.Size().Height; h != 300 || short.content.Size().Height != 300 {
		t.Errorf("filled, the content has %v of %v", short.content.Size().Height, h)
	}
}

func TestChoice(t *testing.T) {
	for name, build := range map[string]func([]string, func(int)) *Choice{"segmented": NewSegmented, "tabs": NewTabs} {
		var got []int
		c := build([]string{"One", "Two", "Three"}, func(i int) { got = append(got, i) })
		w := newWindow(t, NewRow(0, c), fyne.NewSize(400, 60))
		w.Canvas().Focus(c)
		press(c, fyne.KeyLeft, fyne.KeyRight, fyne.KeyEnd, fyne.KeyRight, fyne.KeyHome)
		test.TapAt(c, fyne.NewPos(c.width(0)+c.gap()+5, 10))
		test.TapAt(c, fyne.NewPos(c.width(0)+c.gap()+5, 10))
		if diff := cmp.Diff([]int{1, 2, 0, 1}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		c.Select(2)
		c.SetLabels([]string{"One", "Two"})
		if c.Selected() != 1 || len(got) != 4 {
			t.Errorf("%s: with a label gone, %d is selected, and it said so %d times", name, c.Selected(), len(got)-4)
		}
		c.SetLabels(nil)
		press(c, fyne.KeyRight)
		if m := c.MinSize(); m.Width < 0 || c.Selected() != 0 {
			t.Errorf("%s: without labels %d is selected in %v", name, c.Selected(), m)
		}
	}
}

func TestSelect(t *testing.T) {
	var got []int
	s := NewSelect([]string{"One", "Two", "Three"}, func(i int) { got = append(got, i) })
	more := 0
	s.More = func() []Item { return []Item{{Text: "Manage…", Run: func() { more++ }}} }
	w := newWindow(t, NewStack(0, s), fyne.NewSize(300, 300))
	press(s, fyne.KeyUp, fyne.KeyDown, fyne.KeyDown, fyne.KeyDown)
	press(s, fyne.KeyReturn)
	press(w.Canvas().Focused(), fyne.KeyUp, fyne.KeyReturn)
	test.Tap(s)
	press(w.Canvas().Focused(), fyne.KeyEnd, fyne.KeyReturn)
	if diff := cmp.Diff([]int{1, 2, 1}, got); diff != "" || more != 1 {
		t.Errorf("chose (-want +got):\n%s; the item beneath was run %d times", diff, more)
	}
	s.SetOptions([]string{"Other"}, 0)
	if s.Text() != "Other" || len(got) != 3 {
		t.Errorf("other options show %q and were reported", s.Text())
	}
	s.SetOptions(nil, -1)
	if s.Text() != "" {
		t.Errorf("without options it shows %q", s.Text())
	}
	press(s, fyne.KeyDown)
	test.Tap(s)
}

func TestCheck(t *testing.T) {
	var got []bool
	c := NewCheck("Redact", func(on bool) { got = append(got, on) })
	newWindow(t, NewStack(0, c), fyne.NewSize(200, 40))
	test.Tap(c)
	press(c, fyne.KeySpace)
	c.Set(true)
	c.Disable()
	test.Tap(c)
	if diff := cmp.Diff([]bool{true, false}, got); diff != "" || !c.On() {
		t.Errorf("told (-want +got):\n%s; on: %v", diff, c.On())
	}
}

func TestFieldServesKeys(t *testing.T) {
	var got []string
	f := NewField("Filter")
	f.OnFocus = func(on bool) { got = append(got, fmt.Sprint("focus ", on)) }
	f.OnShortcut = func(s fyne.Shortcut) { got = append(got, s.ShortcutName()) }
	w := newWindow(t, NewStack(0, f.Box), fyne.NewSize(200, 40))
	w.Canvas().SetOnTypedKey(func(ev *fyne.KeyEvent) { got = append(got, "window "+string(ev.Name)) })
	w.Canvas().Focus(f)
	f.TypedShortcut(&desktop.CustomShortcut{KeyName: fyne.KeyF, Modifier: fyne.KeyModifierControl})
	press(f, fyne.KeyEscape)
	f.OnEscape = func() { got = append(got, "own") }
	press(f, fyne.KeyEscape)
	w.Canvas().Unfocus()
	want := []string{"focus true", "CustomDesktop:Control+F", "window Escape", "own", "focus false"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("got (-want +got):\n%s", diff)
	}
	f.SetWrong(true)
	if f.frame.stroke != ColorBad {
		t.Error("a field that is wrong does not show it")
	}
	w.Canvas().Focus(f)
	if f.frame.stroke != ColorAccent {
		t.Error("the focus is not shown on a field that is wrong")
	}
}

func TestFormRowSaysWhatIsWrong(t *testing.T) {
	f := NewField("")
	r := NewFormRow("Name", f, "A hint")
	newWindow(t, r, fyne.NewSize(300, 90))
	plain := r.HeightFor(300)
	if !r.SetError("This is wrong for a reason that takes more than one line to be told, which is what happens.") || !f.wrong {
		t.Error("the error changed nothing")
	}
	if r.HeightFor(300) <= plain || r.note.color != ColorBad {
		t.Errorf("with the error the row is %v high, %v before", r.HeightFor(300), plain)
	}
	r.SetHint("Another hint")
	if !r.SetError("") || r.note.Text() != "Another hint" || f.wrong {
		t.Errorf("without the error the row says %q", r.note.Text())
	}
	if r.SetError("") {
		t.Error("nothing changed, but the row says so")
	}
}

func TestDisabledButtonsRest(t *testing.T) {
	pressed := 0
	b, i := NewButton("Go", Low, func() { pressed++ }), NewIconButton(IconPlay, "Go", func() { pressed++ })
	newWindow(t, NewRow(0, b, i), fyne.NewSize(200, 40))
	b.Disable()
	i.Disable()
	test.Tap(b)
	test.Tap(i)
	press(b, fyne.KeyReturn)
	press(i, fyne.KeyReturn)
	if pressed != 0 || b.Cursor() != desktop.DefaultCursor {
		t.Errorf("buttons that rest were pressed %d times", pressed)
	}
	b.Enable()
	i.Enable()
	test.Tap(b)
	press(i, fyne.KeySpace)
	if pressed != 2 {
		t.Errorf("buttons were pressed %d times, want 2", pressed)
	}
}

func TestLampSaysItByShapeToo(t *testing.T) {
	test.NewTempApp(t).Settings().SetTheme(Theme{Mode: Dark})
	seen := map[string]LampState{}
	for _, s := range []LampState{LampOff, LampChecking, LampUp, LampDown, LampWaits} {
		l := NewLamp("link")
		l.Set(s, "word", "tip")
		r := test.TempWidgetRenderer(t, l).(*lampRenderer)
		// Without the colours: which parts are drawn, and whether the ring is filled.
		shape := fmt.Sprint(r.ring.Hidden, r.point.Hidden, r.a.Hidden, r.ring.FillColor == color.Transparent)
		if other, ok := seen[shape]; ok && !(s == LampWaits && other == LampOff) {
			t.Errorf("state %d has the shape of %d", s, other)
		}
		seen[shape] = s
		if l.WidthFor(true) >= l.WidthFor(false) {
			t.Error("a lamp takes no less room without its word")
		}
	}
}

func TestSparkDrawsTheLine(t *testing.T) {
	test.NewTempApp(t).Settings().SetTheme(Theme{Mode: Dark})
	s := NewSpark(ColorAccent)
	s.Resize(fyne.NewSize(60, 20))
	top := func(values ...float32) (first, last int) {
		s.Set(values, ColorAccent)
		img := s.draw(60, 20)
		find := func(x int) int {
			for y := range 20 {
				if _, _, _, a := img.At(x, y).RGBA(); a > 0x8000 {
					return y
				}
			}
			return -1
		}
		return find(2), find(57)
	}
	if first, last := top(0, 50, 100); first < 15 || last > 4 {
		t.Errorf("a line that rises goes from %d to %d", first, last)
	}
	if first, last := top(0, 1, 1); last < 10 {
		t.Errorf("single requests look like a flood: from %d to %d", first, last)
	}
	for _, values := range [][]float32{nil, {1}, {0, 0}} {
		s.Set(values, ColorAccent)
		s.draw(60, 20)
		s.draw(0, 0)
		s.draw(1, 1)
	}
}

func TestBannerMakesRoomForItsText(t *testing.T) {
	button := NewButton("Open", Low, nil)
	b := NewBanner(Warn, "A message that is long enough to need more than one line in a narrow place.", button)
	newWindow(t, b, fyne.NewSize(300, 100))
	wide, narrow := b.HeightFor(900), b.HeightFor(260)
	if narrow <= wide {
		t.Errorf("in 260 the banner is %v high, in 900 %v", narrow, wide)
	}
	button.Hide()
	if b.textWidth(300) <= b.textWidth(300)-WidthOf(button) || b.HeightFor(260) > narrow {
		t.Error("a hidden button takes room")
	}
	if b.Set(Bad, "Short."); b.Text() != "Short." {
		t.Errorf("the banner says %q", b.Text())
	}
}

func TestStackAndRow(t *testing.T) {
	a, b := NewButton("A", Low, nil), NewButton("B", Middle, nil)
	p := NewParagraph("Some words that go over several lines when there is little room for them", ColorText, TextBody, 9)
	empty := NewParagraph("", ColorText, TextBody, 9)
	s := NewStack(10, a, empty, p, b)
	newWindow(t, s, fyne.NewSize(120, 400))
	if y, want := b.Position().Y, Low+10+p.HeightFor(120)+10; y != want {
		t.Errorf("the last object stands at %v, want %v", y, want)
	}
	if h, want := HeightOf(s, 120), b.Position().Y+Middle; h != want {
		t.Errorf("the stack wants %v, ends at %v", h, want)
	}
	a.Hide()
	if h, want := HeightOf(s, 120), p.HeightFor(120)+10+Middle; h != want {
		t.Errorf("with one hidden the stack wants %v, want %v", h, want)
	}
	c, d, e := NewButton("C", Low, nil), NewButton("D", Low, nil), NewButton("E", Low, nil)
	grown := Grow(d)
	r := NewRow(10, c, grown, e)
	r.Resize(fyne.NewSize(300, 40))
	if right := e.Position().X + e.Size().Width; right != 300 || grown.Size().Width != 300-20-c.Size().Width-e.Size().Width {
		t.Errorf("the row ends at %v, and %v grew to %v", right, d.Text(), grown.Size().Width)
	}
	if c.Position().Y != 6 {
		t.Errorf("an object of %v stands at %v in 40", Low, c.Position().Y)
	}
}
