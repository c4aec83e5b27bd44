package cards

import (
	"strings"
	"testing"
	"time"

	"culvert/app/ui/look"
	"culvert/app/ui/model"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"github.com/google/go-cmp/cmp"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

type calls []string

func newTestColumn(t *testing.T) (*Column, *calls, fyne.Window) {
	t.Helper()
	test.NewTempApp(t).Settings().SetTheme(look.Theme{})
	var c calls
	note := func(what string) func(string) { return func(key string) { c = append(c, what+" "+key) } }
	col := NewColumn(Actions{Select: note("select"), Copy: note("copy"), OpenURL: note("open"), Start: note("start"),
		Stop: note("stop"), RetryNow: note("retry"), Remove: note("remove"), Escape: func() { c = append(c, "escape") }})
	w := test.NewTempWindow(t, col)
	w.SetPadded(false)
	w.Resize(fyne.NewSize(372, 700))
	return col, &c, w
}

// buttons are those that can be seen, from the left.
func (c *card) buttons() []*look.Button {
	var out []*look.Button
	for _, b := range []*look.Button{c.copy, c.open, c.try, c.start, c.stop, c.drop} {
		if b.Visible() {
			out = append(out, b)
		}
	}
	return out
}

func TestCardShowsTheTunnel(t *testing.T) {
	url := "http://127.0.0.1:40001/shop"
	for _, tt := range []struct {
		name    string
		tunnel  model.Tunnel
		status  string
		cause   string
		url     bool
		buttons string
	}{
		{"connecting", model.Tunnel{State: model.Connecting}, "Connecting…", "", false, "Stop"},
		{"online", model.Tunnel{State: model.Online, Since: now.Add(-12 * time.Minute), URL: url, Cause: "old news"},
			"Online · 12 min", "", true, "Copy Open Stop"},
		{"online, leading nowhere", model.Tunnel{State: model.Online, Since: now.Add(-12 * time.Minute), URL: url, Warning: "nothing is listening on localhost:3000"},
			"Online · 12 min", "Nothing is listening on localhost:3000.", true, "Copy Open Stop"},
		{"reconnecting", model.Tunnel{State: model.Reconnecting, Attempt: 3, NextTry: now.Add(4 * time.Second), Cause: "connection refused", URL: url},
			"Reconnecting in 4 s · attempt 3", "Connection refused. Visitors get an error page until the tunnel is back.", true, "Copy Try now Stop"},
		{"never online", model.Tunnel{State: model.Reconnecting, Attempt: 1, NextTry: now, Cause: "connection refused"},
			"Reconnecting now · attempt 1", "Connection refused.", false, "Try now Stop"},
		{"refused", model.Tunnel{State: model.Refused, Cause: "token expired", URL: url}, "Refused", "Token expired.", false, "Start Remove"},
		{"stopped", model.Tunnel{State: model.Stopped, URL: url}, "Stopped", "", false, "Start Remove"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			col, _, _ := newTestColumn(t)
			tt.tunnel.Key, tt.tunnel.Name, tt.tunnel.Detail = "1", "shop", "localhost:3000"
			col.Sync([]model.Tunnel{tt.tunnel}, "", now)
			c := col.stack.cards[0]
			if c.name.Text() != "shop" || c.detail.Text() != "localhost:3000" {
				t.Errorf("the card is called %q, %q", c.name.Text(), c.detail.Text())
			}
			if c.status.Text() != tt.status || c.cause.Text() != tt.cause {
				t.Errorf("status %q and cause %q, want %q and %q", c.status.Text(), c.cause.Text(), tt.status, tt.cause)
			}
			if c.url.Visible() != tt.url {
				t.Errorf("the URL's visibility is %v, want %v", c.url.Visible(), tt.url)
			}
			var names []string
			for _, b := range c.buttons() {
				names = append(names, b.Text())
				if end := b.Position().Y + b.Size().Height; end > c.Size().Height {
					t.Errorf("button %s ends at %v, below the card's %v", b.Text(), end, c.Size().Height)
				}
			}
			if got := strings.Join(names, " "); got != tt.buttons {
				t.Errorf("buttons %q, want %q", got, tt.buttons)
			}
		})
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
	for width, want := range map[float32]string{372: tunnel.URL, 272: "127.0.0.1:22850/hyhbpez1a7jy"} {
		w.Resize(fyne.NewSize(width, 700))
		col.Sync([]model.Tunnel{tunnel}, "", now)
		c := col.stack.cards[0]
		if c.url.Text() != want || c.url.Natural().Width > c.url.Size().Width {
			t.Errorf("at %v: the card shows %q, %v wide in room for %v", width, c.url.Text(), c.url.Natural().Width, c.url.Size().Width)
		}
	}
}

// Status and count share a line; the count stands at the right, however long it is,
// and gives way to the status.
func TestCountGivesWay(t *testing.T) {
	col, _, w := newTestColumn(t)
	online := model.Tunnel{Key: "1", State: model.Online, Since: now, URL: "http://x/a"}
	for _, n := range []int{0, 1, 1284, 1} {
		online.Requests = n
		col.Sync([]model.Tunnel{online}, "", now)
		c := col.stack.cards[0]
		right := c.count.Position().X + c.count.Natural().Width
		if !c.count.Visible() || right != c.Size().Width-pad {
			t.Errorf("%q ends at %v, want %v", c.count.Text(), right, c.Size().Width-pad)
		}
	}
	w.Resize(fyne.NewSize(272, 700))
	online.State, online.Requests, online.Attempt, online.NextTry = model.Reconnecting, 1284, 12, now.Add(40*time.Second)
	col.Sync([]model.Tunnel{online}, "", now)
	if c := col.stack.cards[0]; c.count.Visible() {
		t.Error("the count is drawn over a long status")
	}
}

func TestCardAsksForWhatIsPressed(t *testing.T) {
	col, calls, w := newTestColumn(t)
	online := model.Tunnel{Key: "1", Name: "a", State: model.Online, URL: "http://x/a"}
	retrying := model.Tunnel{Key: "2", Name: "b", State: model.Reconnecting, URL: "http://x/b"}
	stopped := model.Tunnel{Key: "3", Name: "c", State: model.Stopped}
	col.Sync([]model.Tunnel{online, retrying, stopped}, "", now)
	for _, c := range col.stack.cards {
		for _, b := range c.buttons() {
			test.Tap(b)
		}
		w.Canvas().Focus(c)
		c.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
		c.TypedKey(&fyne.KeyEvent{Name: fyne.KeyDelete}) // only a stopped one may go so easily
	}
	col.stack.cards[0].TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
	col.stack.cards[0].copy.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
	want := []string{"copy 1", "open 1", "stop 1", "select 1", "copy 2", "retry 2", "stop 2", "select 2", "start 3", "remove 3", "select 3", "remove 3", "escape", "escape"}
	if diff := cmp.Diff(want, []string(*calls)); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
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
					t.Errorf("at %v: button %s of %s reaches %v, beyond %v", width, b.Text(), c.tunnel.State, right, c.Size().Width)
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
