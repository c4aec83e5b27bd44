package settings

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"culvert/app/config"
	"culvert/app/doctor"
	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/test"
	"github.com/google/go-cmp/cmp"
)

// desk is a window with the settings over it, and what they have asked for.
type desk struct {
	t      *testing.T
	window fyne.Window
	sheet  *Sheet
	state  State

	fail      error // what the next edit ends with
	asked     []string
	answer    bool
	saved     []Profile
	old       string
	cleared   int
	removed   []string
	launch    []bool
	copied    []string
	closed    int
	saveDone  func(error)
	report    func(doctor.Check)
	testDone  func(error)
	stopped   int
	testedOld string
	tested    Profile
}

func open(t *testing.T, size fyne.Size, page Page) *desk {
	t.Helper()
	test.NewTempApp(t).Settings().SetTheme(look.Theme{})
	d := &desk{t: t, window: test.NewTempWindow(t, canvas.NewRectangle(look.Color(look.ColorBase))), state: sample(t)}
	d.window.SetPadded(false)
	d.window.Resize(size)
	d.sheet = New(d.window.Canvas(), Actions{
		Edit: func(change func(*config.Config), done func(error)) {
			if d.fail == nil {
				c := *d.state.Config
				change(&c)
				d.state.Config = &c
			}
			done(d.fail)
		},
		SaveProfile: func(old string, p Profile, done func(error)) {
			d.old, d.saved, d.saveDone = old, append(d.saved, p), done
		},
		RemoveProfile: func(name string, done func(error)) { d.removed = append(d.removed, name); done(d.fail) },
		Test: func(old string, p Profile, report func(doctor.Check), done func(error)) func() {
			d.testedOld, d.tested, d.report, d.testDone = old, p, report, done
			return func() { d.stopped++ }
		},
		ClearHistory:     func(done func(error)) { d.cleared++; done(d.fail) },
		SetLaunchAtLogin: func(on bool, done func(error)) { d.launch = append(d.launch, on); done(d.fail) },
		OpenFile:         func(string) {},
		Copy:             func(text string) { d.copied = append(d.copied, text) },
		Ask: func(title, _, _, _ string, answer func(bool)) {
			d.asked = append(d.asked, title)
			answer(d.answer)
		},
		Closed: func() { d.closed++ },
	})
	d.sheet.Sync(d.state)
	d.sheet.Show(page)
	return d
}

var (
	wide  = fyne.NewSize(1280, 800)
	small = fyne.NewSize(720, 480)
)

func sample(t *testing.T) State {
	t.Helper()
	c := config.Default()
	c.Profiles = map[string]config.Profile{
		"My AWS": {Backend: address(t, "wss://abc123.execute-api.eu-west-1.amazonaws.com/prod"), Keychain: true},
		"relay":  {Backend: address(t, "https://tunnel.example.com"), TokenFile: "/home/me/token", CAFile: "/home/me/ca.pem"},
	}
	c.Profile = "My AWS"
	return State{
		Config: c, Tokens: map[string]Token{"My AWS": TokenKept, "relay": TokenInFile},
		TokenPlace: "Tokens are kept in this system's keychain.", History: Usage{Exchanges: 12842, Bytes: 48 << 20},
		ConfigFile: "/home/me/.config/culvert/config.toml", Version: "0.1.0 (1234567890ab) go1.26.0 linux/amd64",
	}
}

func address(t *testing.T, text string) config.Address {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return config.Address{URL: u}
}

// sync is what the window does when something has changed.
func (d *desk) sync() { d.sheet.Sync(d.state) }

func (d *desk) backends() *backends { return d.sheet.pages[Backends].(*backends) }

func TestPagesLook(t *testing.T) {
	for _, tt := range []struct {
		name string
		size fyne.Size
		page Page
		then func(d *desk)
	}{
		{"backends", wide, Backends, nil},
		{"backends-small", small, Backends, nil},
		{"tunnels", wide, NewTunnels, nil},
		{"requests-small", small, Requests, nil},
		{"notices", wide, Notices, nil},
		{"general", wide, General, nil},
		{"profile", wide, Backends, func(d *desk) { d.backends().open("My AWS") }},
		{"profile-new-small", small, Backends, func(d *desk) { d.backends().open("") }},
		{"testing", wide, Backends, func(d *desk) {
			d.backends().open("relay")
			d.backends().editor.test()
			for i, s := range []doctor.State{doctor.OK, doctor.OK, doctor.Warn, doctor.Failed, doctor.Skipped, doctor.Running} {
				d.report(doctor.Check{ID: doctor.IDs()[i], State: s, Detail: "what was found", Advice: map[bool]string{true: "What to do about it."}[s == doctor.Failed], Took: 12 * time.Millisecond})
			}
		}},
		{"locked-small", small, General, func(d *desk) {
			d.state.ConfigProblem = "config.toml:12: expected a value"
			d.state.CrashReport = "/home/me/.config/culvert/crash.txt"
			d.sync()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := open(t, tt.size, tt.page)
			if tt.then != nil {
				tt.then(d)
			}
			test.AssertRendersToMarkup(t, tt.name+".xml", d.window.Canvas())
		})
	}
}

// A control must not show what is not in force.
func TestControlsFollowTheState(t *testing.T) {
	d := open(t, wide, Notices)
	lost := d.sheet.pages[Notices].(*noticesPage).kinds[0].on
	test.Tap(lost)
	if !lost.On() || d.state.Config.Notices.Lost {
		t.Fatalf("asked to be off: the switch is on %v before the state said so, the config %v", lost.On(), d.state.Config.Notices.Lost)
	}
	d.sync()
	if lost.On() {
		t.Error("the switch does not follow the state")
	}

	d.fail = errors.New("the disk is full")
	d.sheet.Show(General)
	g := d.sheet.pages[General].(*general)
	g.theme.TypedKey(&fyne.KeyEvent{Name: fyne.KeyRight})
	if g.theme.Selected() != 0 {
		t.Error("the theme that is shown is not the one in force")
	}
	if text := d.sheet.problem.Text(); !d.sheet.problem.Visible() || !strings.Contains(text, "The disk is full.") {
		t.Errorf("a failure is said as %q, visible %v", text, d.sheet.problem.Visible())
	}
	d.fail = nil
	g.theme.TypedKey(&fyne.KeyEvent{Name: fyne.KeyRight})
	d.sync()
	if d.sheet.problem.Visible() || d.state.Config.Theme != "light" || g.theme.Selected() != 1 {
		t.Errorf("after it worked: problem visible %v, theme %q, shown %d", d.sheet.problem.Visible(), d.state.Config.Theme, g.theme.Selected())
	}
}

func TestEveryControlEditsItsOwnKey(t *testing.T) {
	d := open(t, wide, Requests)
	r := d.sheet.pages[Requests].(*requestsPage)
	d.answer = true
	test.Tap(r.enabled)
	test.Tap(r.redact)
	r.size.TypedKey(&fyne.KeyEvent{Name: fyne.KeyDown})
	r.age.TypedKey(&fyne.KeyEvent{Name: fyne.KeyUp})
	d.sheet.Show(Notices)
	for _, k := range d.sheet.pages[Notices].(*noticesPage).kinds {
		test.Tap(k.on)
	}
	d.sheet.Show(General)
	g := d.sheet.pages[General].(*general)
	test.Tap(g.launch)
	test.Tap(g.minimized)
	g.language.TypedKey(&fyne.KeyEvent{Name: fyne.KeyDown})
	d.sheet.Show(NewTunnels)
	n := d.sheet.pages[NewTunnels].(*tunnelPage)
	n.backend.TypedKey(&fyne.KeyEvent{Name: fyne.KeyDown})
	n.timeout.SetText("2 min")
	n.timeout.OnSubmitted("")

	c := sample(t).Config
	c.History = config.History{MaxMB: 500, MaxDays: 3}
	c.Notices = config.Notices{}
	c.Minimized, c.Language, c.Profile = true, "en", "relay"
	c.Defaults.Timeout = config.Duration(2 * time.Minute)
	if diff := cmp.Diff(c, d.state.Config, cmp.Comparer(func(a, b config.Address) bool { return a.String() == b.String() })); diff != "" {
		t.Errorf("the config (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]bool{true}, d.launch); diff != "" {
		t.Errorf("start at login (-want +got):\n%s", diff)
	}
}

// What costs something is asked first.
func TestDangerIsAskedFirst(t *testing.T) {
	d := open(t, wide, Requests)
	r := d.sheet.pages[Requests].(*requestsPage)
	test.Tap(r.redact)
	test.Tap(r.clear)
	if len(d.asked) != 2 || !d.state.Config.History.Redact || d.cleared != 0 {
		t.Fatalf("asked %q; redact %v, cleared %d times; want two questions and nothing done", d.asked, d.state.Config.History.Redact, d.cleared)
	}
	d.answer = true
	test.Tap(r.redact)
	test.Tap(r.clear)
	if d.state.Config.History.Redact || d.cleared != 1 {
		t.Errorf("after yes: redact %v, cleared %d times", d.state.Config.History.Redact, d.cleared)
	}
}

func TestValuesOfOthersAreKept(t *testing.T) {
	d := open(t, wide, Requests)
	c := *d.state.Config
	c.History.MaxMB, c.History.MaxDays = 321, 5
	d.state.Config = &c
	d.sync()
	r := d.sheet.pages[Requests].(*requestsPage)
	if r.size.Text() != "321 MB" || r.age.Text() != "5 days" {
		t.Errorf("321 MB and 5 days are shown as %q and %q", r.size.Text(), r.age.Text())
	}
}

func TestTimeoutIsCheckedAndSavedWhenLeft(t *testing.T) {
	d := open(t, wide, NewTunnels)
	n := d.sheet.pages[NewTunnels].(*tunnelPage)
	n.timeout.SetText("soon")
	d.window.Canvas().Focus(n.timeout)
	d.window.Canvas().Focus(d.sheet.nav)
	if d.state.Config.Defaults.Timeout != 0 {
		t.Error("nonsense was saved")
	}
	n.timeout.SetText("45")
	d.window.Canvas().Focus(n.timeout)
	d.window.Canvas().Focus(d.sheet.nav)
	if got := time.Duration(d.state.Config.Defaults.Timeout); got != 45*time.Second {
		t.Errorf("saved %v, want 45s", got)
	}
	n.timeout.SetText("46")
	d.sheet.nav.TypedKey(&fyne.KeyEvent{Name: fyne.KeyDown})
	if got := time.Duration(d.state.Config.Defaults.Timeout); got != 46*time.Second {
		t.Errorf("left for another page, saved %v, want 46s", got)
	}
	n.host.Set("named.example.test")
	d.sheet.Show(NewTunnels)
	n.host.Name().SetText("not a host!")
	n.saveHost()
	if d.state.Config.Defaults.HostHeader != "" {
		t.Errorf("saved the host header %q", d.state.Config.Defaults.HostHeader)
	}
}

func TestBackendsAreChosenByTapAndKey(t *testing.T) {
	d := open(t, wide, Backends)
	rows := d.backends().rows
	if len(rows) != 3 || !rows[1].chosen {
		t.Fatalf("there are %d backends, and the default is not marked", len(rows))
	}
	test.Tap(rows[2])
	d.sync()
	if d.state.Config.Profile != "relay" || !rows[2].chosen || rows[1].chosen {
		t.Errorf("after a tap the default is %q", d.state.Config.Profile)
	}
	rows[0].TypedKey(&fyne.KeyEvent{Name: fyne.KeySpace})
	d.sync()
	if d.state.Config.Profile != "" || !rows[0].chosen {
		t.Errorf("after Space the default is %q", d.state.Config.Profile)
	}
}

func TestProfileIsCheckedBeforeItIsSaved(t *testing.T) {
	for _, tt := range []struct {
		name                   string
		title, address, token  string
		nameOK, addressOK, tok bool
	}{
		{"right", "New", "https://tunnel.example.com", "abc.def", true, true, true},
		{"without a token", "New", "wss://x.example.com/prod", "", true, true, true},
		{"nothing", "", "", "", false, false, true},
		{"a name that is taken", "relay", "https://tunnel.example.com", "", false, true, true},
		{"a path for a name", "../x", "https://tunnel.example.com", "", false, true, true},
		{"a very long name", strings.Repeat("x", 65), "https://tunnel.example.com", "", false, true, true},
		{"no URL", "New", "tunnel.example.com", "", true, false, true},
		{"another scheme", "New", "ftp://tunnel.example.com", "", true, false, true},
		{"a token in the URL", "New", "wss://x.example.com/prod?token=abc", "", true, false, true},
		{"a user in the URL", "New", "https://me:secret@x.example.com", "", true, false, true},
		{"a token with a space", "New", "https://tunnel.example.com", "abc def", true, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := open(t, wide, Backends)
			d.backends().open("")
			e := d.backends().editor
			e.name.SetText(tt.title)
			e.address.SetText(tt.address)
			e.token.SetText(tt.token)
			test.Tap(e.save)
			if wantSaved := tt.nameOK && tt.addressOK && tt.tok; (len(d.saved) == 1) != wantSaved {
				t.Errorf("saved %d profiles", len(d.saved))
			}
			markup := test.RenderToMarkup(d.window.Canvas())
			for text, ok := range map[string]bool{tt.token: true, "secret": !strings.Contains(tt.address, "secret")} {
				if text != "" && ok && strings.Contains(strings.ReplaceAll(markup, tt.address, ""), ">"+text+"<") {
					t.Errorf("the window shows %q", text)
				}
			}
		})
	}
}

func TestProfileIsSaved(t *testing.T) {
	d := open(t, wide, Backends)
	p := d.backends()
	p.open("")
	e := p.editor
	e.name.SetText(" New ")
	e.address.SetText("https://tunnel.example.com")
	e.token.SetText("abc.def")
	test.Tap(e.save)
	test.Tap(e.save) // impatient
	if diff := cmp.Diff([]Profile{{Name: "New", Backend: "https://tunnel.example.com", Token: "abc.def"}}, d.saved); diff != "" {
		t.Fatalf("saved (-want +got):\n%s", diff)
	}
	d.saveDone(errors.New("the keychain does not answer"))
	if !p.editing || !e.problem.Visible() || !strings.Contains(e.problem.Text(), "The keychain does not answer.") || e.token.Text != "abc.def" {
		t.Fatalf("a failure is said as %q, and what was typed is %q", e.problem.Text(), e.token.Text)
	}
	test.Tap(e.save)
	d.saveDone(nil)
	if p.editing || d.state.Config.Profile != "New" {
		t.Errorf("saved, the editor is open: %v, and the default is %q", p.editing, d.state.Config.Profile)
	}
	p.open("My AWS")
	if e.token.Text != "" || e.name.Text != "My AWS" || !e.removeToken.Visible() {
		t.Errorf("the editor of another backend begins with token %q, name %q", e.token.Text, e.name.Text)
	}
	test.Tap(e.removeToken)
	test.Tap(e.save)
	late := d.saveDone
	d.answer = true
	test.Tap(e.cancel)
	p.open("relay")
	late(errors.New("too late"))
	if !p.editing || e.problem.Visible() || !d.sheet.problem.Visible() {
		t.Errorf("a late failure: editing %v, said of the wrong backend %v, said at all %v", p.editing, e.problem.Visible(), d.sheet.problem.Visible())
	}
	p.open("My AWS")
	test.Tap(e.removeToken)
	test.Tap(e.save)
	d.saveDone(nil)
	if got := d.saved[3]; d.old != "My AWS" || !got.RemoveToken || d.state.Config.Profile != "New" {
		t.Errorf("saved %+v for %q", got, d.old)
	}
}

func TestProfileIsRemovedAfterAQuestion(t *testing.T) {
	d := open(t, wide, Backends)
	d.backends().open("relay")
	test.Tap(d.backends().editor.remove)
	d.answer = true
	test.Tap(d.backends().editor.remove)
	if diff := cmp.Diff([]string{"relay"}, d.removed); diff != "" || len(d.asked) != 2 || d.backends().editing {
		t.Errorf("removed (-want +got):\n%sasked %q, still editing %v", diff, d.asked, d.backends().editing)
	}
}

func TestBackendIsTested(t *testing.T) {
	d := open(t, wide, Backends)
	test.Tap(d.backends().rows[1].test)
	e := d.backends().editor
	if d.testedOld != "My AWS" || d.tested.Backend == "" || e.testButton.Text() != "Stop" {
		t.Fatalf("tests %q, %+v", d.testedOld, d.tested)
	}
	for _, id := range doctor.IDs()[:3] {
		d.report(doctor.Check{ID: id, State: doctor.Running})
		d.report(doctor.Check{ID: id, State: doctor.OK, Took: time.Millisecond})
	}
	d.report(doctor.Check{ID: doctor.Clock, State: doctor.Warn, Detail: "42 s behind"})
	d.testDone(nil)
	if e.verdict.Text() != "It works, with a warning." || e.testButton.Text() != "Test" {
		t.Errorf("the verdict is %q", e.verdict.Text())
	}
	if line := e.checks.lines[doctor.Version]; line.state != doctor.Skipped {
		t.Errorf("a check that was not made is in the state %v", line.state)
	}

	test.Tap(e.testButton)
	early := d.report
	done := d.testDone
	test.Tap(e.testButton) // stop
	early(doctor.Check{ID: doctor.DNS, State: doctor.Failed, Detail: "too late"})
	done(errors.New("too late"))
	if d.stopped != 1 || e.verdict.Text() != "Stopped." || e.checks.lines[doctor.DNS].detail.Text() == "too late" || e.problem.Visible() {
		t.Errorf("stopped %d times; the verdict is %q; what comes after counts", d.stopped, e.verdict.Text())
	}
	test.Tap(e.testButton)
	d.report(doctor.Check{ID: doctor.DNS, State: doctor.Failed, Detail: "no such name", Advice: "Check the address."})
	d.testDone(nil)
	if e.verdict.Text() != "It does not work." {
		t.Errorf("the verdict is %q", e.verdict.Text())
	}
	test.Tap(e.testButton)
	d.sheet.Hide()
	d.sheet.Show(Backends)
	if d.stopped != 2 {
		t.Errorf("closing the sheet stopped %d tests, want the second", d.stopped)
	}
}

// Whoever asks why a tunnel does not work is shown the checks, not a list.
func TestCheckTestsAtOnce(t *testing.T) {
	d := open(t, wide, Backends)
	d.sheet.Hide()
	d.sheet.Check("My AWS")
	e := d.backends().editor
	if !d.sheet.Visible() || !d.backends().editing || d.testedOld != "My AWS" || d.tested.Backend == "" || e.testButton.Text() != "Stop" || !e.checks.Visible() {
		t.Fatalf("open %v, tests %q, %+v", d.sheet.Visible(), d.testedOld, d.tested)
	}
	d.sync() // more of the state comes later
	if e.testButton.Text() != "Stop" {
		t.Error("the state's coming ends the test")
	}
	d.sheet.Hide()
	for _, none := range []string{"", "forgotten"} {
		d.testedOld = "none"
		d.sheet.Check(none)
		if !d.sheet.Visible() || d.backends().editing || d.testedOld != "none" {
			t.Errorf("%q: open %v, tests %q", none, d.sheet.Visible(), d.testedOld)
		}
		d.sheet.Hide()
	}
}

// What was typed is not lost by a key or a tap.
func TestUnsavedChangesAreAskedAbout(t *testing.T) {
	d := open(t, wide, Backends)
	p := d.backends()
	p.open("relay")
	look.Escape(d.window.Canvas())
	if len(d.asked) != 0 || d.sheet.Visible() {
		t.Fatalf("with nothing typed: asked %q, visible %v", d.asked, d.sheet.Visible())
	}
	d.sheet.Show(Backends)
	p.open("relay")
	p.editor.address.SetText("https://other.example.com")
	look.Escape(d.window.Canvas())
	d.sheet.nav.TypedKey(&fyne.KeyEvent{Name: fyne.KeyDown})
	if len(d.asked) != 2 || !d.sheet.Visible() || !p.editing || d.sheet.nav.selected != int(Backends) {
		t.Fatalf("kept on editing: asked %q, visible %v, editing %v", d.asked, d.sheet.Visible(), p.editing)
	}
	d.answer = true
	d.sheet.nav.TypedKey(&fyne.KeyEvent{Name: fyne.KeyDown})
	if p.editing || d.sheet.current != NewTunnels {
		t.Errorf("discarded: editing %v, page %v", p.editing, d.sheet.current)
	}
	look.Escape(d.window.Canvas())
	if d.sheet.Visible() || d.closed != 2 {
		t.Errorf("escaped: visible %v, closed %d times", d.sheet.Visible(), d.closed)
	}
}

// The Tab key leads to every control, and each is to be seen when it has the focus.
func TestTabLeadsToWhatIsSeen(t *testing.T) {
	for p := Backends; p <= General; p++ {
		d := open(t, small, p)
		if p == Backends {
			d.backends().open("My AWS")
		}
		seen := map[fyne.Focusable]bool{}
		for {
			d.window.Canvas().(interface{ FocusNext() }).FocusNext()
			o := d.window.Canvas().Focused()
			if o == nil || seen[o] {
				break
			}
			seen[o] = true
			at := fyne.CurrentApp().Driver().AbsolutePositionForObject(o.(fyne.CanvasObject))
			if bottom := at.Y + o.(fyne.CanvasObject).Size().Height; at.Y < 24 || bottom > small.Height-24 {
				t.Errorf("page %d: %T with the focus stands at %v to %v", p, o, at.Y, bottom)
			}
		}
		if len(seen) < 3 {
			t.Errorf("page %d has %d stops of the Tab key", p, len(seen))
		}
	}
}

// The toolkit drops the renderers of what was hidden for a minute. What the next ones
// draw must stand where it stood.
func TestPartsComeBackAsTheyWere(t *testing.T) {
	d := open(t, wide, Backends)
	for name, w := range map[string]fyne.Widget{"nav": d.sheet.nav, "row": d.backends().rows[1]} {
		want := test.WidgetRenderer(w).Objects()
		got := w.CreateRenderer().Objects()
		if len(got) != len(want) {
			t.Fatalf("%s: %d objects, want %d", name, len(got), len(want))
		}
		for i := range want {
			if got[i].Position() != want[i].Position() || got[i].Size() != want[i].Size() {
				t.Errorf("%s: object %d stands at %v, %v; want %v, %v", name, i, got[i].Position(), got[i].Size(), want[i].Position(), want[i].Size())
			}
		}
	}
}
