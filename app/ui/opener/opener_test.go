package opener

import (
	"fmt"
	"strings"
	"testing"

	"culvert/app/discover"
	"culvert/app/ui/look"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"
	"github.com/google/go-cmp/cmp"
)

type calls []string

func newTestOpener(t *testing.T) (*Opener, *calls) {
	t.Helper()
	var c calls
	note := func(what string) func() { return func() { c = append(c, what) } }
	o := New(Actions{
		Open:           func(text string) { c = append(c, "open "+text) },
		OpenService:    func(s discover.Service) { c = append(c, "service "+s.Target) },
		ChooseProfile:  func(name string) { c = append(c, "profile "+name) },
		Shortcut:       func(s fyne.Shortcut) { c = append(c, "shortcut "+s.ShortcutName()) },
		ChooseFolder:   note("folder"),
		ManageProfiles: note("manage"), Settings: note("settings"), Edited: note("edited"), Escape: note("escape"),
	})
	return o, &c
}

func services() State {
	return State{Scanned: true, Services: []discover.Service{
		{Port: 5173, Title: "vite", Process: "node", PID: 4242, Folder: "/home/u/shop", Target: "localhost:5173"},
		{Port: 8000, Title: "python http.server", Process: "python3", PID: 77, Target: "localhost:8000"},
		{Port: 5432, Title: "postgres", Target: "localhost:5432",
			Hazard: discover.Hazard{Kind: discover.Database, Name: "PostgreSQL", Why: "Whoever reaches it can read and change your data."}},
	}, Profiles: []Profile{{"", "Built-in relay"}, {"My AWS · eu-west-1", "My AWS · eu-west-1"}}, Profile: "My AWS · eu-west-1"}
}

// show puts the bar into a window of that width, as high as it wants to be.
func show(t *testing.T, o *Opener, width float32) fyne.Window {
	t.Helper()
	w := test.NewTempWindow(t, look.NewRoot(o))
	w.SetPadded(false)
	w.Resize(fyne.NewSize(width, o.HeightFor(width)))
	return w
}

func newApp(t *testing.T) {
	t.Helper()
	test.NewTempApp(t).Settings().SetTheme(look.Theme{Mode: look.Dark})
}

func TestMarkup(t *testing.T) {
	newApp(t)
	failed := services()
	failed.Error, failed.Busy = "nothing is at ~/site: type a port, an address, a URL or an existing folder", 1
	taken := services()
	taken.Opened = []string{"localhost:8000"}
	for name, s := range map[string]State{
		"unknown": {}, "nothing": {Scanned: true}, "services": services(), "failed": failed, "taken": taken,
	} {
		for _, width := range []float32{1280, 720} {
			o, _ := newTestOpener(t)
			o.Sync(s)
			w := show(t, o, width)
			test.AssertRendersToMarkup(t, fmt.Sprintf("%s-%v.xml", name, width), w.Canvas())
		}
	}
}

// The bell says how many notices nobody has looked at.
func TestBell(t *testing.T) {
	newApp(t)
	for _, width := range []float32{1280, 720} {
		asked := 0
		o := New(Actions{Open: func(string) {}, OpenService: func(discover.Service) {}, Settings: func() {}, Notices: func() { asked++ }})
		s := services()
		o.Sync(s)
		w := show(t, o, width)
		test.AssertRendersToMarkup(t, fmt.Sprintf("bell-none-%v.xml", width), w.Canvas())
		for n, want := range map[int]struct{ count, tip string }{0: {"", "Notices"}, 7: {"7", "Notices · 7 unread"}, 99: {"99", "Notices · 99 unread"}, 200: {"99+", "Notices · 200 unread"}} {
			s.Unread = n
			o.Sync(s)
			if o.bell.Count() != want.count || o.bell.Tip() != want.tip {
				t.Errorf("of %d notices it says %q and %q", n, o.bell.Count(), o.bell.Tip())
			}
		}
		s.Unread = 200
		if o.Sync(s) {
			o.Refresh()
		}
		test.AssertRendersToMarkup(t, fmt.Sprintf("bell-many-%v.xml", width), w.Canvas())
		test.Tap(o.bell)
		if asked != 1 {
			t.Errorf("a tap asked %d times", asked)
		}
	}
}

func TestEnterAndButtonOpenWhatWasTyped(t *testing.T) {
	newApp(t)
	o, c := newTestOpener(t)
	show(t, o, 1280)
	test.Type(o.Field(), "3000")
	o.Field().TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	test.Tap(o.open)
	if o.Text() != "3000" {
		t.Errorf("the text became %q: it stays until it is known to be good", o.Text())
	}
	o.Field().TypedShortcut(&desktop.CustomShortcut{KeyName: fyne.KeyF, Modifier: fyne.KeyModifierControl})
	o.Field().TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
	test.Tap(o.folder)
	test.Tap(o.settings)
	want := []string{"edited", "edited", "edited", "edited", "open 3000", "open 3000", "shortcut CustomDesktop:Control+F", "escape", "folder", "settings"}
	if diff := cmp.Diff(want, []string(*c)); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
}

func TestChipsOpenServices(t *testing.T) {
	newApp(t)
	o, c := newTestOpener(t)
	s := services()
	s.Opened = []string{"localhost:8000"}
	o.Sync(s)
	w := show(t, o, 1280)
	var got []string
	for _, k := range o.chips.pool {
		got = append(got, fmt.Sprint(k.Text(), " ", k.Mark()))
		w.Canvas().Focus(k)
		k.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	}
	if diff := cmp.Diff([]string{"5173 · vite 0", "8000 · python http.server 1", "5432 · postgres 2"}, got); diff != "" {
		t.Errorf("chips (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"service localhost:5173", "service localhost:8000", "service localhost:5432"}, []string(*c)); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	if tip := o.chips.pool[0].Tip(); tip != "localhost:5173 · node · process 4242 · /home/u/shop" {
		t.Errorf("the tooltip of a service says %q", tip)
	}
	if tip := o.chips.pool[2].Tip(); !strings.HasPrefix(tip, "PostgreSQL: Whoever") {
		t.Errorf("the tooltip of a database says %q", tip)
	}
	// A service that goes takes its chip with it; the others stay what they are.
	s.Services = s.Services[1:]
	o.Sync(s)
	test.Tap(o.chips.pool[0])
	if last := (*c)[len(*c)-1]; last != "service localhost:8000" {
		t.Errorf("after the first had gone, the first chip asked for %s", last)
	}
}

// What has no room in the row is in a menu, and nothing is cut or lies over anything.
func TestChipsWithoutRoom(t *testing.T) {
	newApp(t)
	o, c := newTestOpener(t)
	s := services()
	for i := range 40 {
		s.Services = append(s.Services, discover.Service{Port: 9000 + i, Title: strings.Repeat("x", i), Target: fmt.Sprint("localhost:", 9000+i)})
	}
	o.Sync(s)
	w := show(t, o, 1280)
	for width := float32(720); width <= 1600; width += 40 {
		w.Resize(fyne.NewSize(width, o.HeightFor(width)))
		shown := 0
		for _, k := range o.chips.pool {
			if !k.Visible() {
				continue
			}
			shown++
			if end := k.Position().X + k.Size().Width; end > o.chips.Size().Width {
				t.Errorf("at %v: the chip %s ends at %v, beyond %v", width, k.Text(), end, o.chips.Size().Width)
			}
		}
		if want := fmt.Sprint("+", len(s.Services)-shown); o.chips.rest.Text() != want || !o.chips.rest.Visible() {
			t.Errorf("at %v: the rest is called %q, want %q", width, o.chips.rest.Text(), want)
		}
		if end := o.chips.rest.Position().X + o.chips.rest.Size().Width; end > o.chips.Size().Width {
			t.Errorf("at %v: the button for the rest ends at %v, beyond %v", width, end, o.chips.Size().Width)
		}
		checkInside(t, o, width)
	}
	test.Tap(o.chips.rest)
	w.Canvas().Focused().TypedKey(&fyne.KeyEvent{Name: fyne.KeyEnd})
	w.Canvas().Focused().TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	if diff := cmp.Diff([]string{"service localhost:9039"}, []string(*c)); diff != "" {
		t.Errorf("the last item asked for (-want +got):\n%s", diff)
	}
}

func TestBarInEveryLanguage(t *testing.T) {
	newApp(t)
	defer words.Set("en")
	for _, l := range words.Languages() {
		words.Set(l.Tag)
		o, _ := newTestOpener(t)
		s := services()
		s.Busy = 1
		o.Sync(s)
		w := show(t, o, 1280)
		for _, width := range []float32{720, 900, 1280} {
			w.Resize(fyne.NewSize(width, o.HeightFor(width)))
			checkInside(t, o, width)
		}
	}
}

func checkInside(t *testing.T, o *Opener, width float32) {
	t.Helper()
	objects := test.WidgetRenderer(o).Objects()
	for i, a := range objects {
		if !a.Visible() || i == 0 || a.Size().Height == 0 {
			continue
		}
		p, s := a.Position(), a.Size()
		if p.X < 0 || p.X+s.Width > width || p.Y+s.Height > o.HeightFor(width) {
			t.Errorf("at %v: %T at %v, %v stands out of the bar, which is %v high", width, a, p, s, o.HeightFor(width))
		}
		for _, b := range objects[1:i] {
			q, r := b.Position(), b.Size()
			inField := b == fyne.CanvasObject(o.field.Box) && a == fyne.CanvasObject(o.folder)
			if b.Visible() && !inField && p.X < q.X+r.Width && q.X < p.X+s.Width && p.Y < q.Y+r.Height && q.Y < p.Y+s.Height {
				t.Errorf("at %v: %T at %v, %v lies over %T at %v, %v", width, a, p, s, b, q, r)
			}
		}
	}
}

func TestProfileIsChosenFromAMenu(t *testing.T) {
	newApp(t)
	o, c := newTestOpener(t)
	o.Sync(services())
	w := show(t, o, 1280)
	if o.profile.Text() != "My AWS · eu-west-1" {
		t.Errorf("the profile in force is shown as %q", o.profile.Text())
	}
	test.Tap(o.profile)
	w.Canvas().Focused().TypedKey(&fyne.KeyEvent{Name: fyne.KeyUp}) // from the one in force
	w.Canvas().Focused().TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	test.Tap(o.profile)
	w.Canvas().Focused().TypedKey(&fyne.KeyEvent{Name: fyne.KeyEnd})
	w.Canvas().Focused().TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	if diff := cmp.Diff([]string{"profile ", "manage"}, []string(*c)); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	// What was asked for and not done is not shown as done.
	o.Sync(services())
	if o.profile.Text() != "My AWS · eu-west-1" {
		t.Errorf("after the choice failed, %q is shown", o.profile.Text())
	}
}

func TestErrorMakesRoomAndGoes(t *testing.T) {
	newApp(t)
	o, _ := newTestOpener(t)
	s := services()
	o.Sync(s)
	for _, width := range []float32{1280, 720} {
		plain := o.HeightFor(width)
		s.Error = "no"
		if !o.Sync(s) || o.HeightFor(width) <= plain {
			t.Errorf("at %v: with an error the bar is %v high, %v before", width, o.HeightFor(width), plain)
		}
		s.Error = ""
		if !o.Sync(s) || o.HeightFor(width) != plain {
			t.Errorf("at %v: without the error the bar is %v high, %v before", width, o.HeightFor(width), plain)
		}
		if o.Sync(s) {
			t.Error("nothing changed, but the bar says that it may be of another height")
		}
	}
}

// Without their actions, parts of the bar are not there.
func TestOnlyWhatWorksIsShown(t *testing.T) {
	newApp(t)
	o := New(Actions{Open: func(string) {}})
	o.Sync(services())
	show(t, o, 1280)
	if o.folder.Visible() || o.settings.Visible() || o.chips.any() {
		t.Error("parts without an action are shown")
	}
	o.open.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape}) // nobody takes it
}
