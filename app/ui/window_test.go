package ui

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"culvert/app/ui/look"
	"culvert/app/ui/model"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"
	"github.com/google/go-cmp/cmp"
)

var wide = fyne.NewSize(1280, 800)

func TestEnterOpensATunnel(t *testing.T) {
	s := newStage(t, wide)
	s.focusTarget()
	test.Type(s.target, "3000")
	s.target.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	if s.openButton.Text() != "Opening…" {
		t.Errorf("meanwhile the button says %q", s.openButton.Text())
	}
	s.settle()
	if diff := cmp.Diff([]string{"open 3000"}, s.engine.took()); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	if s.target.Text != "" || s.openButton.Text() != "Open tunnel" || s.openError.Text() != "" {
		t.Errorf("afterwards: field %q, button %q, error %q", s.target.Text, s.openButton.Text(), s.openError.Text())
	}
	if s.noTunnels.Visible() {
		t.Error("the lesson for the first tunnel is still there")
	}
}

func TestAFailedOpenKeepsTheText(t *testing.T) {
	s := newStage(t, wide)
	s.engine.fail = errors.New("port 99999 is out of range")
	s.target.SetText("99999")
	test.Tap(s.openButton)
	s.settle()
	if s.target.Text != "99999" || s.openError.Text() != "Port 99999 is out of range." {
		t.Fatalf("field %q, error %q", s.target.Text, s.openError.Text())
	}
	if h := s.openError.Size().Height; h <= 0 || s.openError.Position().Y < s.target.box.Position().Y+s.target.box.Size().Height {
		t.Errorf("the error stands at %v with height %v, not beneath the field", s.openError.Position(), h)
	}
	test.Type(s.target, "0")
	if s.openError.Text() != "" {
		t.Error("typing on does not clear the error")
	}
}

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
	if diff := cmp.Diff([]string{"http://127.0.0.1:40001/shop/"}, s.opened); diff != "" {
		t.Errorf("Open in browser opened (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"stop 1"}, s.engine.took()); diff != "" {
		t.Errorf("Stop asked for (-want +got):\n%s", diff)
	}
	if s.visible {
		t.Error("one of them showed the window")
	}
	s.app.menu.Items[1].Action() // New tunnel…
	if !s.visible || s.win.Canvas().Focused() != fyne.Focusable(s.target) {
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

// press finds a button of the question on the screen and taps it.
func (s *stage) press(label string) {
	s.t.Helper()
	top := s.win.Canvas().Overlays().Top()
	if top == nil {
		s.t.Fatal("there is no question on the screen")
	}
	for _, o := range test.LaidOutObjects(top) {
		if b, ok := o.(*look.Button); ok && b.Text() == label {
			test.Tap(b)
			return
		}
	}
	s.t.Fatalf("the question has no button %q", label)
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
	s.win.Canvas().Focused().TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
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
	s.Sync()
	if s.lan.On() || s.reach.Text() != "Only this computer can open the URLs" {
		t.Fatalf("at first: on %v, %q", s.lan.On(), s.reach.Text())
	}
	s.engine.fail = errors.New("no network")
	test.Tap(s.lan)
	s.settle()
	if text, _ := s.cfg.Store.Notice(); s.lan.On() || text != "Other devices were not let in. No network." || !s.noticeBar.Visible() {
		t.Errorf("after a failure: on %v, notice %q", s.lan.On(), text)
	}
	test.Tap(s.noticeDismiss)
	s.Sync()
	if s.noticeBar.Visible() {
		t.Error("the notice cannot be dismissed")
	}
	test.Tap(s.lan)
	s.cfg.Store.SetBackend(model.Backend{Name: "Built-in relay", BuiltIn: true, LAN: true})
	s.settle()
	if !s.lan.On() || !strings.HasPrefix(s.reach.Text(), "Anyone on your network") {
		t.Errorf("allowed: on %v, %q", s.lan.On(), s.reach.Text())
	}
	if diff := cmp.Diff([]string{"lan on", "lan on"}, s.engine.took()); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	s.cfg.Store.SetBackend(model.Backend{Name: "https://tunnel.example.com"})
	s.Sync()
	if s.lan.Visible() {
		t.Error("the switch is shown for a backend that has no such choice")
	}
}

func TestSelectingACardNarrowsTheTable(t *testing.T) {
	s := newStage(t, wide)
	s.online("1", "shop")
	s.online("2", "api")
	s.request("1", "/a", 200)
	s.request("2", "/b", 200)
	s.selectTunnel("2")
	if s.view.Len() != 1 || s.view.At(0).Path != "/b" || s.scopeName.Text() != "api" {
		t.Errorf("selected: %d rows, scope %q", s.view.Len(), s.scopeName.Text())
	}
	test.Tap(s.scopeAll)
	if s.view.Len() != 2 || s.scopeName.Text() != "all tunnels" || s.scopeAll.Visible() {
		t.Errorf("all again: %d rows, scope %q", s.view.Len(), s.scopeName.Text())
	}
}

func TestOpenPrefersAnAddressOfItsOwn(t *testing.T) {
	s := newStage(t, wide)
	s.cfg.Store.PutTunnel(model.Tunnel{Key: "1", Name: "shop", State: model.Online, URL: "http://127.0.0.1:4000/shop", Browse: "http://shop.localhost:4000"})
	s.openURL("1")
	s.copyURL("1")
	s.settle()
	if diff := cmp.Diff([]string{"http://shop.localhost:4000"}, s.opened); diff != "" || s.clipboard.text != "http://127.0.0.1:4000/shop" {
		t.Errorf("copied %q, opened (-want +got):\n%s", s.clipboard.text, diff)
	}
}

func TestReachSaysNoMoreThanIsTrue(t *testing.T) {
	here := model.Tunnel{State: model.Online, URL: "http://127.0.0.1:4000/a"}
	there := model.Tunnel{State: model.Online, URL: "https://a.tunnel.example.com"}
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
		{"a tunnel from before the relay changed", model.Backend{}, []model.Tunnel{here, there}, "1 service is public: anyone with its URL can reach it"},
		{"only from before", model.Backend{}, []model.Tunnel{here}, "Only this computer can open the URLs"},
		{"nothing yet", model.Backend{}, []model.Tunnel{{State: model.Connecting}}, "Nothing is public"},
	} {
		if got := reachWords(tt.tunnels, tt.backend); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestEmptyTableTeaches(t *testing.T) {
	s := newStage(t, wide)
	if !s.noTunnels.Visible() || !s.noRequests.Visible() {
		t.Fatal("an empty window teaches nothing")
	}
	s.online("1", "shop")
	if got := s.noRequests.command.Text(); got != "curl http://127.0.0.1:40001/shop/" {
		t.Fatalf("the command to copy is %q", got)
	}
	test.Tap(s.noRequests.copy)
	s.settle()
	if s.clipboard.text != "curl http://127.0.0.1:40001/shop/" {
		t.Errorf("the clipboard holds %q", s.clipboard.text)
	}
	if s.noRequests.copy.Text() != "Copied" {
		t.Errorf("after copying the button says %q", s.noRequests.copy.Text())
	}
	s.now = s.now.Add(copiedFor)
	s.Sync()
	if s.noRequests.copy.Text() != "Copy" {
		t.Errorf("later the button says %q", s.noRequests.copy.Text())
	}
	s.request("1", "/", 200)
	if s.noRequests.Visible() || !s.table.Visible() {
		t.Error("the lesson covers the first request")
	}
	s.filter.SetText("nothing matches this")
	if !s.noRequests.Visible() || !strings.Contains(s.noRequests.title.Text(), "filter") {
		t.Errorf("filtered to nothing, it says %q", s.noRequests.title.Text())
	}
	s.filter.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
	if s.filter.Text != "" || !s.table.Visible() {
		t.Error("Escape does not clear the filter")
	}
	s.clear()
	if !s.noRequests.Visible() || s.noRequests.title.Text() != "The list is empty again" {
		t.Errorf("a cleared table says %q", s.noRequests.title.Text())
	}
}

func TestDetailOfTheSelectedRequest(t *testing.T) {
	s := newStage(t, wide)
	s.online("1", "shop")
	s.request("1", "/a", 200)
	s.tapRow(0)
	if !s.detail.Visible() || s.detail.head.Text() != "GET /a" || s.detail.copyCause.Visible() {
		t.Errorf("detail %q, visible %v, offers an error: %v", s.detail.head.Text(), s.detail.Visible(), s.detail.copyCause.Visible())
	}
	if got := s.detail.facts.Text(); got != "shop  ·  200 ✓  ·  <1 ms  ·  0 B  ·  from 127.0.0.1" {
		t.Errorf("the facts are %q", got)
	}
	test.Tap(s.detail.copyURL)
	s.settle()
	if s.clipboard.text != "http://127.0.0.1:40001/shop/a" || s.detail.copyURL.Text() != "Copied" {
		t.Errorf("the clipboard holds %q, the button says %q", s.clipboard.text, s.detail.copyURL.Text())
	}
	s.now = s.now.Add(copiedFor)
	s.Sync()
	if s.detail.copyURL.Text() != "Copy URL" {
		t.Errorf("later the button says %q", s.detail.copyURL.Text())
	}
	one := s.detail.Size().Height
	s.request("1", "/"+strings.Repeat("long", 60), 200)
	s.tapRow(0)
	if s.detail.Size().Height <= one {
		t.Error("a long path gets no more room than a short one")
	}
	s.table.Unselect()
	if s.detail.Visible() {
		t.Error("the detail stays without a selection")
	}
}

// tapRow taps row i of the table as it stands on the screen.
func (s *stage) tapRow(i int) {
	s.t.Helper()
	p := fyne.CurrentApp().Driver().AbsolutePositionForObject(s.table)
	test.TapCanvas(s.win.Canvas(), p.AddXY(200, 29+28*(float32(i)+0.5)))
}

const refused = "nothing is listening on localhost:3000: start the service, or open the tunnel to its port"

func (s *stage) fail(key, path string) {
	s.cfg.Store.AddRequest(&model.Request{Tunnel: key, Time: s.now, Method: "GET", Path: path, Status: 503, Visitor: "127.0.0.1",
		Err: refused, Detail: "dial tcp [::1]:3000: connect: connection refused", NoTarget: true})
	s.Sync()
}

// Whoever selects a failed request reads the whole cause, at any size of the window.
func TestDetailSaysWhyARequestFailed(t *testing.T) {
	for _, size := range []fyne.Size{wide, {Width: minWidth, Height: minHeight}} {
		s := newStage(t, size)
		s.online("1", "shop")
		s.fail("1", "/cart")
		s.tapRow(0)
		whole := ""
		for _, o := range test.LaidOutObjects(s.detail.cause) {
			if line, ok := o.(*canvas.Text); ok {
				whole += " " + line.Text
				if w := line.MinSize().Width; w > s.detail.cause.Size().Width {
					t.Errorf("at %v: a line is %v wide in room for %v", size, w, s.detail.cause.Size().Width)
				}
			}
		}
		if want := " " + model.Sentence(refused); whole != want {
			t.Errorf("at %v: on the screen is %q, want %q", size, whole, want)
		}
		if end := s.detail.system.Position().Y + s.detail.system.Size().Height; s.detail.system.Size().Height <= 0 || end > s.detail.Size().Height {
			t.Errorf("at %v: the system's words end at %v of %v", size, end, s.detail.Size().Height)
		}
		test.Tap(s.detail.copyCause)
		s.settle()
		want := "GET /cart: 503 ✕\n" + model.Sentence(refused) + "\ndial tcp [::1]:3000: connect: connection refused\n"
		if s.clipboard.text != want {
			t.Errorf("at %v: the clipboard holds %q, want %q", size, s.clipboard.text, want)
		}
	}
}

// The detail takes room from the table: what it is about must stay in sight.
func TestDetailDoesNotHideItsRow(t *testing.T) {
	s := newStage(t, fyne.NewSize(minWidth, minHeight))
	s.online("1", "shop")
	for range 30 {
		s.fail("1", "/a")
	}
	before := s.view.At(8).ID
	s.tapRow(8)
	if r := s.table.Selected(); r == nil || r.ID != before {
		t.Fatalf("selected is %+v, want request %d", r, before)
	}
	top := fyne.CurrentApp().Driver().AbsolutePositionForObject(s.table).Y
	for _, o := range test.LaidOutObjects(s.table) {
		if r, ok := o.(*canvas.Rectangle); ok && r.FillColor == look.Color(look.ColorSelected) {
			y := fyne.CurrentApp().Driver().AbsolutePositionForObject(r).Y - top
			if y < 29 || y+28 > s.table.Size().Height+0.5 {
				t.Errorf("the selected row stands at %v of %v", y, s.table.Size().Height)
			}
			return
		}
	}
	t.Error("no row is drawn as selected")
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
	if s.detail.Visible() || s.table.Selected() != nil {
		t.Error("the removed tunnel's request is still selected")
	}
}

func TestTunnelColumnOnlyAmongSeveral(t *testing.T) {
	s := newStage(t, wide)
	s.online("1", "shop")
	s.request("1", "/a", 200)
	want := func(labels ...string) {
		t.Helper()
		var got []string
		for _, o := range test.LaidOutObjects(s.table) {
			if text, ok := o.(*canvas.Text); ok && slices.Contains([]string{"shop", "api", "k3v", "localhost:3000"}, text.Text) && text.Visible() {
				got = append(got, text.Text)
			}
		}
		if diff := cmp.Diff(labels, got); diff != "" {
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
	escape := func() {
		if f := s.win.Canvas().Focused(); f != nil {
			f.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
		} else {
			s.win.Canvas().OnTypedKey()(&fyne.KeyEvent{Name: fyne.KeyEscape})
		}
	}
	for name, focus := range map[string]func(){
		"nothing": s.win.Canvas().Unfocus, "the target": s.focusTarget, "a button": func() { s.win.Canvas().Focus(s.pause) },
		"the filter": func() { s.win.Canvas().Focus(s.filter) },
	} {
		s.selectTunnel("1")
		s.tapRow(0)
		focus()
		escape()
		if s.detail.Visible() || s.scope != "1" {
			t.Errorf("focus on %s: the first Escape leaves detail %v, scope %q", name, s.detail.Visible(), s.scope)
		}
		escape()
		if s.scope != "" {
			t.Errorf("focus on %s: the second Escape leaves scope %q", name, s.scope)
		}
	}
	s.selectTunnel("1")
	s.tapRow(0) // which takes the focus
	escape()
	escape()
	if s.detail.Visible() || s.scope != "" {
		t.Errorf("focus on the table: detail %v, scope %q", s.detail.Visible(), s.scope)
	}
}

func TestTypingAtTheStartGoesToTheField(t *testing.T) {
	s := newStage(t, wide)
	if s.win.Canvas().Focused() != fyne.Focusable(s.target) {
		t.Fatal("the field has no focus when the window appears")
	}
	s.win.Canvas().Focus(s.filter)
	s.Hide()
	s.Show()
	if s.win.Canvas().Focused() != fyne.Focusable(s.filter) {
		t.Error("coming back moves the focus away from where it was left")
	}
}

func TestShortcutsReachTheWindowFromAField(t *testing.T) {
	s := newStage(t, wide)
	press := func(key fyne.KeyName) {
		sc := &desktop.CustomShortcut{KeyName: key, Modifier: fyne.KeyModifierShortcutDefault}
		if f, ok := s.win.Canvas().Focused().(fyne.Shortcutable); ok { // as the driver does
			f.TypedShortcut(sc)
		}
	}
	s.focusTarget()
	press(fyne.KeyF)
	if s.win.Canvas().Focused() != fyne.Focusable(s.filter) {
		t.Error("Ctrl+F does not lead to the filter")
	}
	press(fyne.KeyL)
	if s.win.Canvas().Focused() != fyne.Focusable(s.target) {
		t.Error("Ctrl+L does not lead to the field")
	}
	press(fyne.KeyP)
	if !s.table.Paused() || s.pause.Text() != "Resume" {
		t.Error("Ctrl+P does not pause")
	}
	s.online("1", "shop")
	press(fyne.KeyU)
	s.settle()
	if s.clipboard.text == "" {
		t.Error("Ctrl+U does not copy the only tunnel's URL")
	}
	press(fyne.KeyQ)
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
	if diff := cmp.Diff([]string{"open 3000", "open 3001", "open 3002", "open 4000"}, s.engine.took()); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
}

// Nothing may stand outside the window, at the smallest size as at the usual one.
func TestEverythingFits(t *testing.T) {
	for _, size := range []fyne.Size{wide, {Width: minWidth, Height: minHeight}} {
		s := newStage(t, size)
		s.online("1", "a-name-that-is-quite-long-for-a-tunnel")
		s.online("2", "api")
		s.cfg.Store.PutTunnel(model.Tunnel{Key: "3", Name: "x", State: model.Refused, Cause: "no"})
		s.cfg.Store.AddNotice(strings.Repeat("A long notice about something. ", 8))
		s.setError(errors.New(strings.Repeat("long error ", 30)))
		for range 40 {
			s.request("1", "/", 500)
		}
		s.selectTunnel("1")
		s.table.SetPaused(true)
		s.request("1", "/", 200)
		s.fail("1", "/"+strings.Repeat("path", 300))
		s.table.ShowNewest()
		s.tapRow(0)
		s.table.SetPaused(true)
		s.request("1", "/", 200)
		s.Sync()
		if got := s.win.Canvas().Size(); got != size {
			t.Errorf("the window grew from %v to %v", size, got)
		}
		named := map[string]fyne.CanvasObject{"field": s.target.box, "open": s.openButton, "filter": s.filter.box, "pause": s.pause,
			"clear": s.clearAll, "all": s.scopeAll, "table": s.table, "LAN": s.lan, "copy URL": s.detail.copyURL, "copy error": s.detail.copyCause,
			"head": s.detail.head, "cause": s.detail.cause, "system": s.detail.system, "fresh": s.fresh, "scope": s.scopeName, "dismiss": s.noticeDismiss}
		type box struct {
			name           string
			x1, y1, x2, y2 float32
		}
		var boxes []box
		for name, o := range named {
			if !o.Visible() {
				t.Errorf("at %v: %s is hidden", size, name)
				continue
			}
			p := fyne.CurrentApp().Driver().AbsolutePositionForObject(o)
			b := box{name, p.X, p.Y, p.X + o.Size().Width, p.Y + o.Size().Height}
			if b.x1 < 0 || b.y1 < 0 || b.x2 > size.Width+0.5 || b.y2 > size.Height+0.5 {
				t.Errorf("at %v: %s reaches from %v,%v to %v,%v", size, name, b.x1, b.y1, b.x2, b.y2)
			}
			boxes = append(boxes, b)
		}
		for i, a := range boxes {
			for _, b := range boxes[i+1:] {
				if a.x1 < b.x2-0.5 && b.x1 < a.x2-0.5 && a.y1 < b.y2-0.5 && b.y1 < a.y2-0.5 {
					t.Errorf("at %v: %s covers %s", size, a.name, b.name)
				}
			}
		}
	}
}
