package ui

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"testing"

	"culvert/app/config"
	"culvert/app/ui/look"
	"culvert/app/ui/model"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/test"
	gocmp "github.com/google/go-cmp/cmp"
)

var (
	wide     = fyne.NewSize(1280, 800)
	smallest = fyne.NewSize(minWidth, minHeight)
)

func TestCopyFromCard(t *testing.T) {
	for _, missing := range []bool{false, true} {
		s := newStage(t, wide)
		s.clipboard.missing = missing
		s.online("1", "shop")
		s.copyURL("1")
		s.settle()
		got := s.clipboard.text
		if missing { // the toolkit's clipboard steps in
			got = s.app.Clipboard().Content()
		}
		if got != "http://127.0.0.1:40001/shop" {
			t.Errorf("helper missing: %v; the clipboard holds %q", missing, got)
		}
	}
}

func TestTrayMenuWorksWithoutTheWindow(t *testing.T) {
	s := newStage(t, wide)
	s.online("1", "shop")
	s.Hide()
	tunnel := s.app.menu.Items[0]
	if tunnel.Label != "shop — Online" {
		t.Fatalf("the first item is %q", tunnel.Label)
	}
	for _, i := range tunnel.ChildMenu.Items {
		i.Action()
	}
	s.settle()
	if s.clipboard.text != "http://127.0.0.1:40001/shop" {
		t.Errorf("Copy URL left %q on the clipboard", s.clipboard.text)
	}
	// With its slash: relative links of the page must stay inside the tunnel.
	if diff := gocmp.Diff([]string{"http://127.0.0.1:40001/shop/"}, s.opened); diff != "" {
		t.Errorf("Open in browser opened (-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff([]string{"stop 1"}, s.engine.took()); diff != "" {
		t.Errorf("Stop asked for (-want +got):\n%s", diff)
	}
	if s.visible {
		t.Error("one of them showed the window")
	}
	s.app.menu.Items[1].Action() // New tunnel…
	if !s.visible || s.win.Canvas().Focused() != fyne.Focusable(s.opener.Field()) {
		t.Error("New tunnel… does not lead to the field")
	}
}

func TestClosing(t *testing.T) {
	for _, tt := range []struct {
		name                string
		hosted, open        bool
		visible, asks, quit bool
	}{
		{name: "with a tray it hides", hosted: true, open: true},
		{name: "with a tray and nothing open too", hosted: true},
		{name: "without a tray it quits", visible: true, quit: true},
		{name: "without a tray it asks when tunnels are open", open: true, visible: true, asks: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t, wide)
			s.hosted = tt.hosted
			if tt.open {
				s.online("1", "shop")
			}
			s.close()
			s.settle()
			if s.visible != tt.visible || s.asking != tt.asks || (s.quits > 0) != tt.quit {
				t.Errorf("visible %v, asks %v, quits %d; want %v, %v, %v", s.visible, s.asking, s.quits, tt.visible, tt.asks, tt.quit)
			}
		})
	}
}

func TestQuittingAsksOnce(t *testing.T) {
	s := newStage(t, wide)
	s.online("1", "shop")
	s.Hide()
	s.RequestQuit()
	if s.quits != 0 || !s.asking || !s.visible {
		t.Fatalf("quits %d, asks %v, visible %v; want a question that can be seen", s.quits, s.asking, s.visible)
	}
	s.press("Keep running")
	if s.quits != 0 || s.asking {
		t.Fatal("declining did not keep it running")
	}
	s.RequestQuit()
	s.escapeKey()
	if s.quits != 0 || s.asking {
		t.Fatal("Escape did not keep it running")
	}
	s.RequestQuit()
	s.press("Quit")
	if s.quits != 1 {
		t.Fatalf("confirmed, but %d quits", s.quits)
	}
	s.RequestQuit()
	s.RequestQuit() // asked again while the question stands
	if s.quits != 2 {
		t.Errorf("the second wish was not taken as the answer: %d quits", s.quits)
	}
}

func TestQuittingWithNothingOpenDoesNotAsk(t *testing.T) {
	s := newStage(t, wide)
	s.cfg.Store.PutTunnel(model.Tunnel{Key: "1", Name: "shop", State: model.Stopped})
	s.RequestQuit()
	if s.quits != 1 || s.asking {
		t.Errorf("quits %d, asks %v", s.quits, s.asking)
	}
}

func TestLANSwitchSaysWhatIsInForce(t *testing.T) {
	s := newStage(t, wide)
	lan := s.foot.LAN()
	if lan.On() || s.reach.Text() != "Only this computer can open the URLs" {
		t.Fatalf("at first: on %v, %q", lan.On(), s.reach.Text())
	}
	s.engine.fail = errors.New("no network")
	test.Tap(lan)
	s.settle()
	if lan.On() || s.notice.Text() != "Other devices were not let in. No network." || !s.notice.Visible() {
		t.Errorf("after a failure: on %v, notice %q", lan.On(), s.notice.Text())
	}
	s.press("Dismiss")
	if s.notice.Visible() {
		t.Error("the notice cannot be dismissed")
	}
	test.Tap(lan)
	s.cfg.Store.SetBackend(model.Backend{Name: "Built-in relay", BuiltIn: true, LAN: true})
	s.settle()
	if !lan.On() || !strings.HasPrefix(s.reach.Text(), "Anyone on your network") {
		t.Errorf("allowed: on %v, %q", lan.On(), s.reach.Text())
	}
	if diff := gocmp.Diff([]string{"lan on", "lan on"}, s.engine.took()); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	s.cfg.Store.SetBackend(model.Backend{Name: "https://tunnel.example.com"})
	s.Sync()
	if lan.Visible() {
		t.Error("the switch is shown for a backend that has no such choice")
	}
}

// Messages wait for each other; none is lost by the next.
func TestMessagesAreReadOneAfterTheOther(t *testing.T) {
	s := newStage(t, wide)
	s.cfg.Store.AddNotice("First.")
	s.cfg.Store.AddNotice("Second.")
	s.Sync()
	if s.notice.Text() != "Second." {
		t.Errorf("the banner says %q", s.notice.Text())
	}
	s.press("Next (1)")
	if s.notice.Text() != "First." {
		t.Errorf("then it says %q", s.notice.Text())
	}
	s.press("Dismiss")
	if s.notice.Visible() {
		t.Error("the banner stays")
	}
}

func TestSelectingACardNarrowsTheTable(t *testing.T) {
	s := newStage(t, wide)
	s.online("1", "shop")
	s.online("2", "api")
	s.request("1", "/a", 200)
	s.request("2", "/b", 200)
	s.selectTunnel("2")
	if s.view.Len() != 1 || s.view.At(0).Path != "/b" {
		t.Errorf("selected: %d rows", s.view.Len())
	}
	s.press("api") // the scope, with a cross
	if s.view.Len() != 2 || s.scope != "" {
		t.Errorf("all again: %d rows, scope %q", s.view.Len(), s.scope)
	}
}

func TestOpenPrefersAnAddressOfItsOwn(t *testing.T) {
	s := newStage(t, wide)
	s.cfg.Store.PutTunnel(model.Tunnel{Key: "1", Name: "shop", State: model.Online, URL: "http://127.0.0.1:4000/shop", Browse: "http://shop.localhost:4000"})
	s.openURL("1")
	s.copyURL("1")
	s.settle()
	if diff := gocmp.Diff([]string{"http://shop.localhost:4000"}, s.opened); diff != "" || s.clipboard.text != "http://127.0.0.1:4000/shop" {
		t.Errorf("copied %q, opened (-want +got):\n%s", s.clipboard.text, diff)
	}
}

// What is copied works with a certificate of one's own making.
func TestFirstRequestTrustsTheProfile(t *testing.T) {
	s := newStage(t, wide)
	s.reconfigure(func(c *config.Config) { c.Profiles = map[string]config.Profile{"work": {CAFile: "/etc/my ca.pem"}} })
	s.cfg.Store.PutTunnel(model.Tunnel{Key: "1", Name: "shop", Profile: "work", State: model.Online, URL: "https://tunnel.example.com/shop"})
	s.settle()
	if got := s.noRequests.Command(); got != "curl https://tunnel.example.com/shop/ --cacert '/etc/my ca.pem'" {
		t.Errorf("the command to copy is %q", got)
	}
	s.cfg.Store.PutTunnel(model.Tunnel{Key: "1", Name: "shop", Profile: "work", State: model.Online, URL: "http://tunnel.example.com/shop"})
	s.settle()
	if got := s.noRequests.Command(); got != "curl http://tunnel.example.com/shop/" {
		t.Errorf("without TLS the command to copy is %q", got)
	}
}

func TestEmptyTableTeaches(t *testing.T) {
	s := newStage(t, wide)
	if !s.noTunnels.Visible() || !s.noRequests.Visible() {
		t.Fatal("an empty window teaches nothing")
	}
	s.online("1", "shop")
	if got := s.noRequests.Command(); got != "curl http://127.0.0.1:40001/shop/" {
		t.Fatalf("the command to copy is %q", got)
	}
	copy := s.noRequests.CopyButton()
	test.Tap(copy)
	s.settle()
	if s.clipboard.text != "curl http://127.0.0.1:40001/shop/" {
		t.Errorf("the clipboard holds %q", s.clipboard.text)
	}
	if copy.Text() != "Copied" {
		t.Errorf("after copying the button says %q", copy.Text())
	}
	s.now = s.now.Add(copiedFor)
	s.Sync()
	if copy.Text() != "Copy" {
		t.Errorf("later the button says %q", copy.Text())
	}
	s.request("1", "/", 200)
	if s.noRequests.Visible() || !s.table.Visible() {
		t.Error("the lesson covers the first request")
	}
	s.bar.FocusText()
	s.win.Canvas().Focused().(*look.Field).SetText("nothing matches this")
	if !s.noRequests.Visible() || !strings.Contains(s.noRequests.Title(), "filter") {
		t.Errorf("filtered to nothing, it says %q", s.noRequests.Title())
	}
	s.escapeKey()
	if s.bar.Filter().Text != "" || !s.table.Visible() {
		t.Error("Escape does not clear the filter")
	}
	s.clear()
	if !s.noRequests.Visible() || s.noRequests.Title() != "The list is empty again" {
		t.Errorf("a cleared table says %q", s.noRequests.Title())
	}
	s.cfg.Store.PutTunnel(model.Tunnel{Key: "1", Name: "shop", State: model.Stopped})
	s.Sync()
	if s.noRequests.Title() != "No tunnel is running" {
		t.Errorf("with nothing running it says %q", s.noRequests.Title())
	}
}

func TestRemovedTunnelTakesItsRequestsWithIt(t *testing.T) {
	s := newStage(t, wide)
	s.online("1", "shop")
	s.online("2", "api")
	s.request("1", "/a", 200)
	s.request("2", "/b", 200)
	s.tapRow(0)
	s.cfg.Store.RemoveTunnel("2")
	s.Sync()
	if s.view.Len() != 1 || s.view.At(0).Path != "/a" {
		t.Errorf("%d rows are left", s.view.Len())
	}
	if s.inspector.Visible() || s.table.Selected() != nil {
		t.Error("the removed tunnel's request is still selected")
	}
}

func TestTunnelColumnOnlyAmongSeveral(t *testing.T) {
	s := newStage(t, wide)
	s.online("1", "shop")
	s.request("1", "/a", 200)
	want := func(labels ...string) {
		t.Helper()
		var texts []*canvas.Text
		for _, o := range test.LaidOutObjects(s.table) {
			if text, ok := o.(*canvas.Text); ok && slices.Contains([]string{"shop", "api", "k3v", "localhost:3000"}, text.Text) && text.Visible() {
				texts = append(texts, text)
			}
		}
		height := func(o fyne.CanvasObject) float32 { return fyne.CurrentApp().Driver().AbsolutePositionForObject(o).Y }
		slices.SortFunc(texts, func(a, b *canvas.Text) int { return cmp.Compare(height(a), height(b)) })
		var got []string
		for _, text := range texts {
			got = append(got, text.Text)
		}
		if diff := gocmp.Diff(labels, got); diff != "" {
			t.Errorf("the tunnels' column (-want +got):\n%s", diff)
		}
	}
	want()
	s.online("2", "api")
	s.request("2", "/b", 200)
	want("api", "shop")
	s.selectTunnel("1")
	want()
	s.selectTunnel("1") // the second tap shows all again
	want("api", "shop")
	s.cfg.Store.PutTunnel(model.Tunnel{Key: "3", Name: "api", Detail: "k3v", State: model.Online})
	s.request("3", "/c", 200)
	want("k3v", "localhost:3000", "shop") // two are called api: what stands beside the name tells them apart
}

func TestEscapeGoesBackStepByStep(t *testing.T) {
	s := newStage(t, wide)
	s.online("1", "shop")
	s.online("2", "api")
	s.request("1", "/a", 200)
	for name, focus := range map[string]func(){
		"nothing": s.win.Canvas().Unfocus, "the target": s.focusTarget, "a button": func() { s.win.Canvas().Focus(s.button("Clear")) },
		"the filter": s.bar.FocusText, "the table": func() {},
	} {
		s.selectTunnel("1")
		s.tapRow(0) // which takes the focus
		focus()
		s.escapeKey()
		if s.inspector.Visible() || s.scope != "1" {
			t.Errorf("focus on %s: the first Escape leaves inspector %v, scope %q", name, s.inspector.Visible(), s.scope)
		}
		s.escapeKey()
		if s.scope != "" {
			t.Errorf("focus on %s: the second Escape leaves scope %q", name, s.scope)
		}
	}
}

func TestTypingAtTheStartGoesToTheField(t *testing.T) {
	s := newStage(t, wide)
	if s.win.Canvas().Focused() != fyne.Focusable(s.opener.Field()) {
		t.Fatal("the field has no focus when the window appears")
	}
	s.bar.FocusText()
	there := s.win.Canvas().Focused()
	s.Hide()
	s.Show()
	if s.win.Canvas().Focused() != there {
		t.Error("coming back moves the focus away from where it was left")
	}
}

func TestShortcutsReachTheWindowFromAField(t *testing.T) {
	s := newStage(t, wide)
	s.focusTarget()
	s.shortcut(fyne.KeyF)
	if f := s.win.Canvas().Focused(); f == fyne.Focusable(s.opener.Field()) || f == nil {
		t.Error("Ctrl+F does not lead to the filter")
	}
	s.shortcut(fyne.KeyL)
	if s.win.Canvas().Focused() != fyne.Focusable(s.opener.Field()) {
		t.Error("Ctrl+L does not lead to the field")
	}
	s.shortcut(fyne.KeyP)
	if !s.table.Paused() {
		t.Error("Ctrl+P does not pause")
	}
	s.button("Resume")
	s.online("1", "shop")
	s.shortcut(fyne.KeyU)
	s.settle()
	if s.clipboard.text == "" {
		t.Error("Ctrl+U does not copy the only tunnel's URL")
	}
	s.shortcut(fyne.KeyComma)
	if !s.settings.Visible() {
		t.Error("Ctrl+, does not open the settings")
	}
	s.Window.press(fyne.KeyP)
	if !s.table.Paused() {
		t.Error("a shortcut reached the window beneath a sheet")
	}
	s.settings.Hide()
	s.shortcut(fyne.KeyQ)
	if !s.asking {
		t.Error("Ctrl+Q does not ask to quit")
	}
}

func TestSecondLaunch(t *testing.T) {
	s := newStage(t, wide)
	s.Hide()
	s.HandleLaunch([]string{"3000", "3001", "3002"}, true)
	s.settle()
	if s.visible {
		t.Error("a minimized launch showed the window")
	}
	s.engine.fail = errors.New("the config folder is read-only")
	s.HandleLaunch([]string{"4000"}, false)
	s.settle()
	if text, _ := s.cfg.Store.Notice(); !s.visible || text != "Could not open 4000. The config folder is read-only." {
		t.Errorf("visible %v, notice %q", s.visible, text)
	}
	if diff := gocmp.Diff([]string{"open 3000", "open 3001", "open 3002", "open 4000"}, s.engine.took()); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
}

// Nothing may stand outside the window, at the smallest size as at the usual one.
func TestEverythingFits(t *testing.T) {
	for _, size := range []fyne.Size{wide, smallest} {
		s := newStage(t, size)
		s.online("1", "a-name-that-is-quite-long-for-a-tunnel")
		s.online("2", "api")
		s.cfg.Store.PutTunnel(model.Tunnel{Key: "3", Name: "x", State: model.Refused, Cause: "no"})
		s.cfg.Store.AddNotice(strings.Repeat("A long notice about something. ", 8))
		s.setOpenError(errors.New(strings.Repeat("long error ", 30)))
		for range 40 {
			s.request("1", "/", 500)
		}
		s.selectTunnel("1")
		s.fail("1", "/"+strings.Repeat("path", 300))
		for _, inspecting := range []bool{false, true} {
			if inspecting {
				s.tapRow(0)
			}
			s.Sync()
			if got := s.win.Canvas().Size(); got != size {
				t.Errorf("the window grew from %v to %v", size, got)
			}
			s.fits(size, map[string]fyne.CanvasObject{"top": s.opener, "notice": s.notice, "cards": s.cards, "reach": s.reach,
				"bar": s.bar, "table": s.root.Objects[8], "inspector": s.inspector, "foot": s.foot})
		}
	}
}

// fits reports parts that stand outside the window or on one another.
func (s *stage) fits(size fyne.Size, parts map[string]fyne.CanvasObject) {
	s.t.Helper()
	type box struct {
		name           string
		x1, y1, x2, y2 float32
	}
	var boxes []box
	shown := all[fyne.CanvasObject](s)
	for name, o := range parts {
		if !slices.Contains(shown, o) {
			continue
		}
		p := fyne.CurrentApp().Driver().AbsolutePositionForObject(o)
		b := box{name, p.X, p.Y, p.X + o.Size().Width, p.Y + o.Size().Height}
		if b.x1 < 0 || b.y1 < 0 || b.x2 > size.Width+0.5 || b.y2 > size.Height+0.5 {
			s.t.Errorf("at %v: %s reaches from %v,%v to %v,%v", size, name, b.x1, b.y1, b.x2, b.y2)
		}
		if b.x2-b.x1 < 20 || b.y2-b.y1 < 20 {
			s.t.Errorf("at %v: %s has only %v × %v", size, name, b.x2-b.x1, b.y2-b.y1)
		}
		boxes = append(boxes, b)
	}
	for i, a := range boxes {
		for _, b := range boxes[i+1:] {
			if a.x1 < b.x2-0.5 && b.x1 < a.x2-0.5 && a.y1 < b.y2-0.5 && b.y1 < a.y2-0.5 {
				s.t.Errorf("at %v: %s covers %s", size, a.name, b.name)
			}
		}
	}
}
