package frame

import (
	"strings"
	"testing"
	"time"

	"culvert/app/ui/look"
	"culvert/app/ui/model"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
)

func TestReachSaysNoMoreThanIsTrue(t *testing.T) {
	here := model.Tunnel{State: model.Online, URL: "http://127.0.0.1:4000/a"}
	there := model.Tunnel{State: model.Online, URL: "https://a.tunnel.example.com", Public: true}
	for _, tt := range []struct {
		name    string
		backend model.Backend
		tunnels []model.Tunnel
		want    string
	}{
		{"built-in relay", model.Backend{BuiltIn: true}, []model.Tunnel{here}, "Only this computer can open the URLs"},
		{"open to the network", model.Backend{BuiltIn: true, LAN: true}, []model.Tunnel{here}, "Anyone on your network can open the URLs"},
		{"a relay on loopback", model.Backend{Local: true}, []model.Tunnel{here}, "Only this computer can open the URLs"},
		{"a relay elsewhere", model.Backend{}, []model.Tunnel{there}, "1 service is public: anyone with its URL can reach it"},
		{"two", model.Backend{}, []model.Tunnel{there, there}, "2 services are public: anyone with a URL can reach them"},
		{"a tunnel from before the relay changed", model.Backend{}, []model.Tunnel{here, there}, "1 service is public: anyone with its URL can reach it"},
		{"only from before", model.Backend{}, []model.Tunnel{here}, "Only this computer can open the URLs"},
		{"nothing yet", model.Backend{}, []model.Tunnel{{State: model.Connecting}}, "Nothing is public"},
	} {
		if got, _ := reachWords(tt.tunnels, tt.backend); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestFootSaysWhereAndHowMuch(t *testing.T) {
	test.NewTempApp(t).Settings().SetTheme(look.Theme{})
	f := NewFoot(func(bool) {})
	w := test.NewTempWindow(t, f)
	w.SetPadded(false)
	online := model.Tunnel{Profile: "work", State: model.Online, Lights: model.Lights{URL: model.Light{State: model.LightUp, RTT: 38 * time.Millisecond}}}
	state := FootState{
		Tunnels: []model.Tunnel{online, {Profile: "work", State: model.Reconnecting}, {Profile: "work", State: model.Refused}},
		Backend: model.Backend{Name: "work", Profile: "work"}, Total: model.Total{Requests: 1420, Bytes: 11 << 20},
	}
	for _, tt := range []struct {
		width float32
		total bool
	}{{1280, true}, {720, true}, {440, false}} {
		w.Resize(fyne.NewSize(tt.width, FootHeight))
		f.Sync(state)
		if f.Text() != "via work · round trip 38 ms" || f.total.Text() != "1,420 requests · 11 MB" {
			t.Errorf("it says %q and %q", f.Text(), f.total.Text())
		}
		if f.total.Visible() != tt.total {
			t.Errorf("at %v the total's visibility is %v", tt.width, f.total.Visible())
		}
		if tt.total && f.total.Position().X < f.backend.Position().X+f.backend.Natural().Width {
			t.Errorf("at %v the total covers the backend", tt.width)
		}
	}
	for i, want := range []string{"1 online", "", "1 reconnecting", "1 refused"} {
		if got := f.summary.texts[i].Text(); got != want {
			t.Errorf("count %d is %q, want %q", i, got, want)
		}
	}
	if f.lan.Visible() {
		t.Error("the switch is shown for a backend that has no such choice")
	}
	state.Tunnels = append(state.Tunnels, model.Tunnel{})
	f.Sync(state)
	if !f.lan.Visible() || f.Text() != "new tunnels via work" {
		t.Errorf("with a tunnel of the built-in relay: switch %v, text %q", f.lan.Visible(), f.Text())
	}
	online.Profile = ""
	state.Tunnels, state.Backend = []model.Tunnel{online}, model.Backend{BuiltIn: true, LAN: true}
	f.Sync(state)
	if !f.lan.Visible() || !f.lan.On() || f.Text() != "via the built-in relay · this network · round trip 38 ms" {
		t.Errorf("built-in: switch %v, %v, text %q", f.lan.Visible(), f.lan.On(), f.Text())
	}
}

// A command that is too long shows both its ends, and is copied as a whole.
func TestLongCommandKeepsItsEnds(t *testing.T) {
	test.NewTempApp(t).Settings().SetTheme(look.Theme{})
	copied := ""
	l := NewLesson(func(_ *look.Button, text string) { copied = text })
	w := test.NewTempWindow(t, l)
	w.SetPadded(false)
	long := "curl https://abcdefghij.execute-api.eu-west-1.amazonaws.com/production/v4nhypkf342j/"
	for _, size := range []fyne.Size{{Width: 900, Height: 600}, {Width: 440, Height: 300}} {
		w.Resize(size)
		l.Set("title", "text", long)
		shown := l.command.Text()
		if l.command.Natural().Width > l.command.Size().Width+0.5 || !strings.HasPrefix(shown, "curl https://") || !strings.HasSuffix(shown, "v4nhypkf342j/") {
			t.Errorf("at %v: %q is %v wide in room for %v", size, shown, l.command.Natural().Width, l.command.Size().Width)
		}
		if x := l.copy.Position().X + l.copy.Size().Width; x > size.Width-20 {
			t.Errorf("at %v: the button ends at %v", size, x)
		}
		test.Tap(l.copy)
		if copied != long || l.Command() != long {
			t.Errorf("at %v: copied is %q", size, copied)
		}
	}
}

func TestDividerByKeyAndMouse(t *testing.T) {
	test.NewTempApp(t).Settings().SetTheme(look.Theme{})
	var by float32
	d := NewDivider(func(d float32) { by += d })
	w := test.NewTempWindow(t, d)
	w.Canvas().Focus(d)
	d.TypedKey(&fyne.KeyEvent{Name: fyne.KeyUp})
	if by >= 0 {
		t.Errorf("up moves by %v", by)
	}
	d.TypedKey(&fyne.KeyEvent{Name: fyne.KeyDown})
	d.Dragged(&fyne.DragEvent{Dragged: fyne.Delta{DY: 7}})
	if by != 7 {
		t.Errorf("there and back and 7 more is %v", by)
	}
	d.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
	if w.Canvas().Focused() != nil {
		t.Error("Escape does not give the focus away")
	}
}

// Whatever closes a question but its yes is a no.
func TestQuestionIsAnsweredOnce(t *testing.T) {
	test.NewTempApp(t).Settings().SetTheme(look.Theme{})
	for name, tt := range map[string]struct {
		do   func(c fyne.Canvas)
		want bool
	}{
		"yes":    {func(c fyne.Canvas) { tap(t, c, "Do it") }, true},
		"no":     {func(c fyne.Canvas) { tap(t, c, "Leave it") }, false},
		"escape": {func(c fyne.Canvas) { c.Focused().TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape}) }, false},
		"enter":  {func(c fyne.Canvas) { c.Focused().TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn}) }, false},
	} {
		w := test.NewTempWindow(t, look.NewRoot(look.NewPanel(look.ColorBase, "", 0)))
		w.Resize(fyne.NewSize(720, 480))
		var answers []bool
		Ask(w.Canvas(), Question{Title: "Really?", Text: strings.Repeat("It cannot be undone. ", 8), Yes: "Do it", No: "Leave it"},
			func(yes bool) { answers = append(answers, yes) })
		if !look.Covered(w.Canvas()) {
			t.Fatalf("%s: there is no question", name)
		}
		tt.do(w.Canvas())
		if len(answers) != 1 || answers[0] != tt.want || look.Covered(w.Canvas()) {
			t.Errorf("%s: answered %v, still there %v", name, answers, look.Covered(w.Canvas()))
		}
	}
}

func tap(t *testing.T, c fyne.Canvas, label string) {
	t.Helper()
	for _, o := range test.LaidOutObjects(c.Overlays().Top()) {
		if b, ok := o.(*look.Button); ok && b.Text() == label {
			test.Tap(b)
			return
		}
	}
	t.Fatalf("there is no button %q", label)
}
