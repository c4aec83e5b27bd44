package ui

import (
	"errors"
	"strings"
	"testing"

	"culvert/app/ui/look"
	"culvert/app/ui/model"

	"fyne.io/fyne/v2"
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
	if text, _ := s.cfg.Store.Notice(); s.lan.On() || !strings.Contains(text, "no network") || !s.noticeBar.Visible() {
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
	if !s.noRequests.Visible() {
		t.Error("a cleared table shows nothing at all")
	}
}

func TestDetailOfTheSelectedRequest(t *testing.T) {
	s := newStage(t, wide)
	s.online("1", "shop")
	long := "/" + strings.Repeat("long", 100)
	s.request("1", long, 200)
	s.table.OnSelect(s.view.At(0))
	if !s.detailBar.Visible() || s.detail.Text() != "shop  ·  GET "+long {
		t.Errorf("detail %q, visible %v", s.detail.Text(), s.detailBar.Visible())
	}
	s.table.OnSelect(nil)
	if s.detailBar.Visible() {
		t.Error("the detail stays without a selection")
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
	if text, _ := s.cfg.Store.Notice(); !s.visible || text != "Could not open 4000: the config folder is read-only." {
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
		s.table.OnSelect(s.view.At(0))
		s.Sync()
		if got := s.win.Canvas().Size(); got != size {
			t.Errorf("the window grew from %v to %v", size, got)
		}
		named := map[string]fyne.CanvasObject{"field": s.target.box, "open": s.openButton, "filter": s.filter.box, "pause": s.pause,
			"clear": s.clearAll, "all": s.scopeAll, "table": s.table, "LAN": s.lan, "detail": s.detailCopy, "dismiss": s.noticeDismiss}
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
