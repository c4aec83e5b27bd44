package cards

import (
	"fmt"
	"strings"
	"testing"

	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"
	"github.com/google/go-cmp/cmp"
)

type calls []string

func newTestColumn(t *testing.T) (*Column, *calls, fyne.Window) {
	t.Helper()
	test.NewTempApp(t).Settings().SetTheme(look.Theme{})
	var c calls
	note := func(what string) func(string) { return func(key string) { c = append(c, what+" "+key) } }
	col := NewColumn(Actions{Select: note("select"), Copy: note("copy"), OpenURL: note("open"), Start: note("start"),
		Stop: note("stop"), RetryNow: note("retry"), Remove: note("remove"), Share: note("share"), CopyStreamURL: note("stream"),
		Edit: note("edit"), Duplicate: note("duplicate"), Probe: note("probe"), Why: note("why"),
		Move:   func(key string, index int) { c = append(c, fmt.Sprintf("move %s %d", key, index)) },
		Escape: func() { c = append(c, "escape") }})
	w := test.NewTempWindow(t, look.NewRoot(col))
	w.SetPadded(false)
	w.Resize(fyne.NewSize(372, 700))
	return col, &c, w
}

// button is anything on a card that can be pressed, with its words.
type button struct {
	fyne.CanvasObject
	words string
}

// buttons are those that can be seen, in the order of the Tab key.
func (c *card) buttons() []button {
	var out []button
	for _, o := range test.WidgetRenderer(c).Objects() {
		switch b := o.(type) {
		case *look.Button:
			if b.Visible() {
				out = append(out, button{b, b.Text()})
			}
		case *look.IconButton:
			if b.Visible() {
				out = append(out, button{b, b.Tip()})
			}
		}
	}
	return out
}

func (c *card) said() string {
	var names []string
	for _, b := range c.buttons() {
		names = append(names, b.words)
	}
	return strings.Join(names, " ")
}

func TestCardShowsTheTunnel(t *testing.T) {
	want := map[string]struct {
		status, cause string
		url           bool
		buttons       string
	}{
		"online":       {"Online · 12 min", "", true, "Copy Open QR Stop More"},
		"connecting":   {"Connecting…", "", false, "Stop More"},
		"fresh":        {"Online · just now", "", true, "Copy Open QR Stop More"},
		"local":        {"Online · 12 min", "", true, "Copy Open QR Stop More"},
		"long":         {"Online · 2 d 1 h", "", true, "Copy Open QR Stop More"},
		"hazard":       {"Online · 12 min", "", true, "Copy Open QR Stop More"},
		"service-down": {"Online · 12 min", "Nothing is listening on localhost:5173: start the service.", true, "Copy Open QR Stop More"},
		"url-down":     {"Online · 12 min", "The name shop.tunnel.example.com is not known: add a wildcard DNS record.", true, "Copy Open QR Stop More"},
		"reconnecting": {"Reconnecting in 4 s · attempt 3",
			"The network is unreachable. The URL is kept; until then nobody reaches the service.", true, "Copy Try now Why? Stop More"},
		"never-online": {"Reconnecting now · attempt 12",
			"Tunnel.example.com does not answer: no such host. Check the backend's address, or that this computer is online.", false, "Try now Why? Stop More"},
		"refused":       {"Refused", "The token expired on 1 January: make a new one and put it into the backend's settings.", false, "Start Why? More"},
		"token-refused": {"Refused", "The token has expired: put a new one into the settings of the backend.", false, "Start Settings More"},
		"stopped":       {"Stopped", "", false, "Start More"},
	}
	for _, s := range states() {
		for _, width := range []float32{372, 272} {
			t.Run(fmt.Sprintf("%s at %v", s.name, width), func(t *testing.T) {
				col, _, w := newTestColumn(t)
				w.Resize(fyne.NewSize(width, 700))
				col.Sync([]model.Tunnel{s.tunnel}, "", now)
				c, want := col.stack.cards[0], want[s.name]
				if c.name.Text() != s.tunnel.Name {
					t.Errorf("the card is called %q", c.name.Text())
				}
				if c.status.Text() != want.status || c.cause.Text() != want.cause {
					t.Errorf("status %q and cause %q, want %q and %q", c.status.Text(), c.cause.Text(), want.status, want.cause)
				}
				if c.url.Visible() != want.url {
					t.Errorf("the URL's visibility is %v, want %v", c.url.Visible(), want.url)
				}
				if got := c.said(); got != want.buttons {
					t.Errorf("buttons %q, want %q", got, want.buttons)
				}
				checkInside(t, c)
			})
		}
	}
}

// checkInside finds parts that stand out of the card or on each other.
func checkInside(t *testing.T, c *card) {
	t.Helper()
	objects := test.WidgetRenderer(c).Objects()
	for i, o := range objects {
		if !o.Visible() || o == fyne.CanvasObject(c.back) {
			continue
		}
		p, s := o.Position(), o.Size()
		if p.X < 0 || p.Y < 0 || p.X+s.Width > c.Size().Width || p.Y+s.Height > c.Size().Height {
			t.Errorf("%T at %v, %v stands out of the card of %v", o, p, s, c.Size())
		}
		for _, other := range objects[:i] {
			inBox := other == fyne.CanvasObject(c.urlBox)
			if !other.Visible() || other == fyne.CanvasObject(c.back) || inBox {
				continue
			}
			q, r := other.Position(), other.Size()
			if p.X < q.X+r.Width && q.X < p.X+s.Width && p.Y < q.Y+r.Height && q.Y < p.Y+s.Height {
				t.Errorf("%T at %v, %v lies over %T at %v, %v", o, p, s, other, q, r)
			}
		}
	}
}

// Other languages have longer words: everything must still have its place.
func TestCardsInEveryLanguage(t *testing.T) {
	defer words.Set("en")
	for _, l := range words.Languages() {
		words.Set(l.Tag)
		col, _, w := newTestColumn(t)
		for _, s := range states() {
			for _, width := range []float32{372, 272} {
				t.Run(fmt.Sprintf("%s, %s at %v", l.Tag, s.name, width), func(t *testing.T) {
					w.Resize(fyne.NewSize(width, 700))
					col.Sync([]model.Tunnel{s.tunnel}, "", now)
					checkInside(t, col.stack.cards[0])
				})
			}
		}
	}
}

// What is drawn in each state: a change must be looked at.
func TestMarkup(t *testing.T) {
	for _, s := range states() {
		for _, width := range []float32{372, 272} {
			col, _, w := newTestColumn(t)
			w.Resize(fyne.NewSize(width, 700))
			col.Sync([]model.Tunnel{s.tunnel}, s.tunnel.Key, now)
			test.AssertObjectRendersToMarkup(t, fmt.Sprintf("%s-%v.xml", s.name, width), col.stack.cards[0])
		}
	}
}

// A warning makes the card higher, and goes as it came.
func TestWarningComesAndGoes(t *testing.T) {
	col, _, _ := newTestColumn(t)
	online := model.Tunnel{Key: "1", State: model.Online, Since: now, URL: "http://x/a"}
	col.Sync([]model.Tunnel{online}, "", now)
	c := col.stack.cards[0]
	plain := c.Size().Height
	warned := online
	warned.Warning = "nothing is listening on localhost:3000: start the service, or open the tunnel to its port"
	col.Sync([]model.Tunnel{warned}, "", now)
	if c.Size().Height <= plain || !c.cause.Visible() {
		t.Errorf("warned, the card is %v high, %v before; visible %v", c.Size().Height, plain, c.cause.Visible())
	}
	col.Sync([]model.Tunnel{online}, "", now)
	if c.Size().Height != plain || c.cause.Visible() {
		t.Errorf("later, the card is %v high, %v before; visible %v", c.Size().Height, plain, c.cause.Visible())
	}
}

// The end of a URL tells tunnels apart: its beginning gives way.
func TestNarrowCardLeavesTheSchemeOut(t *testing.T) {
	col, _, w := newTestColumn(t)
	tunnel := model.Tunnel{Key: "1", State: model.Online, Since: now, URL: "http://127.0.0.1:22850/hyhbpez1a7jy"}
	for width, want := range map[float32]string{372: "127.0.0.1:22850/hyhbpez1a7jy", 440: tunnel.URL, 272: "….0.0.1:22850/hyhbpez1a7jy"} {
		w.Resize(fyne.NewSize(width, 700))
		col.Sync([]model.Tunnel{tunnel}, "", now)
		c := col.stack.cards[0]
		if c.url.Text() != want || c.url.Natural().Width > c.url.Size().Width {
			t.Errorf("at %v: the card shows %q, %v wide in room for %v", width, c.url.Text(), c.url.Natural().Width, c.url.Size().Width)
		}
	}
}

// The path-form URLs of one backend differ at their ends.
func TestURLsKeepTheirEnd(t *testing.T) {
	test.NewTempApp(t)
	for _, tt := range []struct {
		url   string
		width float32
		want  string
	}{
		{"https://shop.example", 400, "https://shop.example"},
		{"https://shop.example", 100, "shop.example"},
		{"https://tunnel.example.com/prod/a1b2c3", 160, "…ample.com/prod/a1b2c3"},
		{"https://a-very-long-name.tunnel.example.com", 100, "a-very-long-name.tunnel.example.com"},
		{"nonsense", 10, "nonsense"},
	} {
		if got := fitURL(tt.url, tt.width); got != tt.want {
			t.Errorf("%s in %v is %q, want %q", tt.url, tt.width, got, tt.want)
		}
	}
}

// Lights stand beside the status while they are up, else beneath it with as many
// words as there is room for.
func TestLightsSayMoreWhenSomethingIsWrong(t *testing.T) {
	col, _, w := newTestColumn(t)
	tunnel := states()[0].tunnel
	sync := func() *card { col.Sync([]model.Tunnel{tunnel}, "", now); return col.stack.cards[0] }
	c := sync()
	if c.lights.service.Position().Y > c.status.Position().Y+lineHeight/2 {
		t.Error("lights that are up have a row of their own in a wide card")
	}
	plain := c.Size().Height
	tunnel.Lights.URL.State, tunnel.Lights.URL.Cause = model.LightDown, "gone"
	c = sync()
	if c.lights.url.Word() != "down" || c.lights.url.Position().Y < c.status.Position().Y+lineHeight || c.Size().Height <= plain {
		t.Errorf("a light that went out says %q at %v, beneath %v", c.lights.url.Word(), c.lights.url.Position(), c.status.Position())
	}
	if tip := c.lights.url.Tip(); !strings.Contains(tip, "Gone.") || !strings.Contains(tip, "checked 1 min ago") {
		t.Errorf("its tooltip says %q", tip)
	}
	for _, width := range []float32{372, 272} {
		w.Resize(fyne.NewSize(width, 700))
		checkInside(t, sync())
	}
	tunnel.State = model.Stopped
	if c = sync(); c.lights.url.Visible() {
		t.Error("a stopped tunnel has lights")
	}
}

func TestOnlyOneCopyIsFilled(t *testing.T) {
	online := func(key string) model.Tunnel {
		return model.Tunnel{Key: key, State: model.Online, URL: "http://x/" + key}
	}
	stopped := model.Tunnel{Key: "s", State: model.Stopped}
	all := []model.Tunnel{stopped, online("a"), online("b")}
	for selected, want := range map[string]string{"": "a", "b": "b", "s": ""} {
		if got := wanted(all, selected); got != want {
			t.Errorf("with %q selected, the URL of %q is wanted, not of %q", selected, got, want)
		}
	}
}

func TestCardAsksForWhatIsPressed(t *testing.T) {
	col, calls, w := newTestColumn(t)
	online := model.Tunnel{Key: "1", Name: "a", State: model.Online, URL: "http://x/a"}
	retrying := model.Tunnel{Key: "2", Name: "b", State: model.Reconnecting, URL: "http://x/b"}
	refused := model.Tunnel{Key: "3", Name: "c", State: model.Refused}
	stopped := model.Tunnel{Key: "4", Name: "d", State: model.Stopped}
	col.Sync([]model.Tunnel{online, retrying, refused, stopped}, "", now)
	for _, c := range col.stack.cards {
		for _, b := range c.buttons() {
			if b.words != "More" {
				test.Tap(b.CanvasObject.(fyne.Tappable))
			}
		}
		w.Canvas().Focus(c)
		c.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
		c.TypedKey(&fyne.KeyEvent{Name: fyne.KeyDelete}) // only one that is not running may go so easily
	}
	col.stack.cards[0].TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
	col.stack.cards[0].copy.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
	want := []string{"copy 1", "open 1", "share 1", "stop 1", "select 1", "copy 2", "retry 2", "why 2", "stop 2", "select 2",
		"start 3", "why 3", "select 3", "remove 3", "start 4", "select 4", "remove 4", "escape", "escape"}
	if diff := cmp.Diff(want, []string(*calls)); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
}

// What has no action is not offered, and what would do harm now is not to be had.
func TestMenuOffersWhatCanBeDone(t *testing.T) {
	col, calls, _ := newTestColumn(t)
	online := model.Tunnel{Key: "1", State: model.Online, URL: "http://x/a", StreamURL: "http://y/a"}
	stopped := model.Tunnel{Key: "2", State: model.Stopped, URL: "http://x/b"}
	col.Sync([]model.Tunnel{online, stopped}, "", now)
	lines := func(c *card) (out []string) {
		for _, i := range c.items() {
			switch {
			case i.Separator:
				out = append(out, "-")
			case i.Disabled:
				out = append(out, "("+i.Text+")")
			default:
				out = append(out, i.Text)
				i.Run()
			}
		}
		return out
	}
	if diff := cmp.Diff([]string{"Stop", "Check the connection", "-", "Copy URL", "Open in browser", "Show QR code", "Copy URL for streams", "-",
		"Edit…", "Duplicate…", "-", "(Move up)", "Move down", "-", "(Remove)"}, lines(col.stack.cards[0])); diff != "" {
		t.Errorf("online (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Start", "(Check the connection)", "-", "(Copy URL)", "(Open in browser)", "(Show QR code)", "-",
		"Edit…", "Duplicate…", "-", "Move up", "(Move down)", "-", "Remove"}, lines(col.stack.cards[1])); diff != "" {
		t.Errorf("stopped (-want +got):\n%s", diff)
	}
	want := []string{"stop 1", "probe 1", "copy 1", "open 1", "share 1", "stream 1", "edit 1", "duplicate 1", "move 1 1",
		"start 2", "edit 2", "duplicate 2", "move 2 0", "remove 2"}
	if diff := cmp.Diff(want, []string(*calls)); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	col.actions = Actions{Start: col.actions.Start, Stop: col.actions.Stop}
	if diff := cmp.Diff([]string{"Start"}, lines(col.stack.cards[1])); diff != "" {
		t.Errorf("with few actions (-want +got):\n%s", diff)
	}
}

func TestMenuOpensByKeyAndPointer(t *testing.T) {
	col, _, w := newTestColumn(t)
	col.Sync([]model.Tunnel{{Key: "1", State: model.Stopped}}, "", now)
	c := col.stack.cards[0]
	for name, open := range map[string]func(){
		"button": func() { test.Tap(c.more) },
		"key":    func() { c.TypedKey(&fyne.KeyEvent{Name: desktop.KeyMenu}) },
		"click":  func() { test.TapSecondary(c) },
	} {
		open()
		if !look.Covered(w.Canvas()) {
			t.Errorf("%s: no menu opened", name)
		}
		if !look.Escape(w.Canvas()) || look.Covered(w.Canvas()) {
			t.Errorf("%s: Escape did not close it", name)
		}
	}
}

func TestArrowsGoFromCardToCardAndMoveThem(t *testing.T) {
	col, calls, w := newTestColumn(t)
	col.Sync([]model.Tunnel{{Key: "a"}, {Key: "b"}, {Key: "c"}}, "", now)
	cards := col.stack.cards
	w.Canvas().Focus(cards[0])
	for _, step := range []struct {
		key  fyne.KeyName
		want int
	}{{fyne.KeyDown, 1}, {fyne.KeyDown, 2}, {fyne.KeyDown, 2}, {fyne.KeyUp, 1}} {
		w.Canvas().Focused().TypedKey(&fyne.KeyEvent{Name: step.key})
		if w.Canvas().Focused() != fyne.Focusable(cards[step.want]) {
			t.Fatalf("after %s the focus is not on card %d", step.key, step.want)
		}
	}
	alt := func(key fyne.KeyName) fyne.Shortcut {
		return &desktop.CustomShortcut{KeyName: key, Modifier: fyne.KeyModifierAlt}
	}
	cards[1].TypedShortcut(alt(fyne.KeyUp))
	cards[1].TypedShortcut(alt(fyne.KeyDown))
	cards[0].TypedShortcut(alt(fyne.KeyUp)) // nowhere to go
	if diff := cmp.Diff([]string{"move b 0", "move b 2"}, []string(*calls)); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	passed := 0
	find := &desktop.CustomShortcut{KeyName: fyne.KeyF, Modifier: fyne.KeyModifierControl}
	col.actions.Shortcut = func(s fyne.Shortcut) {
		if s == fyne.Shortcut(find) {
			passed++
		}
	}
	cards[0].TypedShortcut(find)
	if passed != 1 {
		t.Error("a card with the focus keeps the window's shortcuts for itself")
	}
}

func TestCopySaysSoForAMoment(t *testing.T) {
	col, _, _ := newTestColumn(t)
	tunnels := []model.Tunnel{{Key: "1", State: model.Online, URL: "http://x/a"}}
	col.Sync(tunnels, "", now)
	b := col.stack.cards[0].copy
	col.Copied("1", now)
	width := b.Size().Width
	if b.Text() != "Copied" || b.MinSize().Width > width {
		t.Errorf("after copying the button says %q and needs %v of %v", b.Text(), b.MinSize().Width, width)
	}
	col.Sync(tunnels, "", now.Add(copiedFor-1))
	if b.Text() != "Copied" {
		t.Errorf("too soon the button says %q", b.Text())
	}
	col.Sync(tunnels, "", now.Add(copiedFor))
	if b.Text() != "Copy" {
		t.Errorf("later the button says %q", b.Text())
	}
}

// A card must survive what happens to others: it may have the focus.
func TestCardsAreKeptByKey(t *testing.T) {
	col, _, _ := newTestColumn(t)
	a, b := model.Tunnel{Key: "a", Name: "a"}, model.Tunnel{Key: "b", Name: "b"}
	col.Sync([]model.Tunnel{a, b}, "", now)
	second := col.stack.cards[1]
	col.Sync([]model.Tunnel{b}, "", now)
	if len(col.stack.cards) != 1 || col.stack.cards[0] != second {
		t.Fatal("removing a tunnel made its neighbour's card anew")
	}
	if y := second.Position().Y; y != between {
		t.Errorf("the remaining card stands at %v, want %v", y, between)
	}
}

func TestCardsDoNotOverlap(t *testing.T) {
	col, _, w := newTestColumn(t)
	var tunnels []model.Tunnel
	for i, s := range []model.State{model.Online, model.Reconnecting, model.Refused, model.Stopped, model.Connecting} {
		tunnels = append(tunnels, model.Tunnel{Key: string(rune('a' + i)), Name: "n", State: s, URL: "http://x/y",
			Cause: "something long enough to need several lines in a narrow column of cards, surely"})
	}
	col.Sync(tunnels, "", now)
	for _, width := range []float32{372, 272} {
		w.Resize(fyne.NewSize(width, 300))
		y := float32(0)
		for _, c := range col.stack.cards {
			if c.Position().Y < y+between {
				t.Errorf("at %v: the card %s starts at %v, above the end of the one before at %v", width, c.tunnel.State, c.Position().Y, y)
			}
			y = c.Position().Y + c.Size().Height
			for _, b := range c.buttons() {
				if right := b.Position().X + b.Size().Width; right > c.Size().Width {
					t.Errorf("at %v: button %s of %s reaches %v, beyond %v", width, b.words, c.tunnel.State, right, c.Size().Width)
				}
			}
		}
		if h := col.stack.MinSize().Height; h < y {
			t.Errorf("at %v: the stack is %v high, its last card ends at %v", width, h, y)
		}
	}
	col.Reveal("e")
	if last := col.stack.cards[4]; last.Position().Y+last.Size().Height > col.scroll.Offset.Y+col.scroll.Size().Height {
		t.Error("the last card was not scrolled into view")
	}
}
