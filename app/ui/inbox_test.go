package ui

import (
	"strings"
	"testing"

	"culvert/app/ui/model"

	"fyne.io/fyne/v2"
	"github.com/google/go-cmp/cmp"
)

// The bell leads to the notices, and the number beside it goes as they are read.
func TestBellLeadsToTheNotices(t *testing.T) {
	s := newStage(t, wide)
	s.shop()
	s.noticed()
	s.tip("Notices · 3 unread")
	s.settle()
	if !s.inbox.Visible() || !s.says("129.99 € from Ann") {
		t.Error("the newest notice is not shown")
	}
	if diff := cmp.Diff([]string{`read "n1"`}, s.engine.took()); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	s.press("Copy")
	s.settle()
	if want := "Order 4711 came in\n129.99 € from Ann\nShip it before 18:00."; s.clipboard.text != want {
		t.Errorf("%q was copied, want %q", s.clipboard.text, want)
	}
	s.press("Mark all read")
	s.settle()
	s.press("Clear all…")
	s.press("Cancel")
	if n := len(s.cfg.Store.Received()); n == 0 {
		t.Error("they were cleared without a yes")
	}
	s.press("Clear all…")
	s.press("Clear all")
	s.settle()
	if diff := cmp.Diff([]string{`read ""`, "clear notices"}, s.engine.took()); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	if !s.says("No notices yet") {
		t.Error("the empty list does not say what belongs there")
	}
	s.escapeKey()
	if s.inbox.Visible() {
		t.Error("Escape does not close the list")
	}
	s.tip("Notices") // none is unread
}

// A click on the desktop's notification leads to the notice, whatever is open.
func TestNotificationLeadsToItsNotice(t *testing.T) {
	s := newStage(t, wide)
	s.shop()
	s.noticed()
	s.Hide()
	s.RaiseNotice("n2")
	s.settle()
	if !s.visible || !s.inbox.Visible() || !s.says("The nightly build is done: 1,204 tests passed in 3 min 12 s.") {
		t.Error("the window does not show the notice")
	}
	s.RaiseNotice("n1") // the list is open at another one
	s.settle()
	if !s.says("129.99 € from Ann") {
		t.Error("the list does not turn to the other notice")
	}
	s.escapeKey()
	if s.inbox.Visible() || len(s.win.Canvas().Overlays().List()) > 0 {
		t.Error("Escape does not close the list")
	}
	s.RequestQuit()
	s.RaiseNotice("n1")
	s.settle()
	if s.inbox.Visible() {
		t.Error("the list stands over the question whether to quit")
	}
}

func TestShortcutOpensTheNotices(t *testing.T) {
	s := newStage(t, smallest)
	s.engine.way = model.NoticeWay{URL: "https://tunnel.example.com/_culvert/notify/user", User: "ann", Token: true}
	s.shortcut(fyne.KeyI)
	s.settle()
	if !s.says("No notices yet") {
		t.Error("the list does not open")
	}
	s.press("Copy")
	s.settle()
	if !strings.HasPrefix(s.clipboard.text, "curl https://tunnel.example.com/_culvert/notify/user ") {
		t.Errorf("%q was copied", s.clipboard.text)
	}
}

// Another language is another list, with the same notices in it.
func TestNoticesInAnotherLanguage(t *testing.T) {
	s := newStage(t, wide)
	s.shop()
	s.noticed()
	s.engine.config.Language = "cs"
	s.Sync()
	s.showNotices()
	s.settle()
	if !s.says("Označit vše jako přečtené") || !s.says("129.99 € from Ann") {
		t.Error("the list does not follow the language")
	}
}

func TestImportSaysHowMany(t *testing.T) {
	s := newStage(t, wide)
	s.shop()
	s.imported(0)
	s.Sync()
	if s.notice.Visible() {
		t.Error("nothing came in, and it is told")
	}
	s.imported(12)
	s.Sync()
	if got := s.notice.Text(); !s.notice.Visible() || got != "12 requests came in from the file." {
		t.Errorf("it says %q", got)
	}
	s.now = s.now.Add(newsFor + 1)
	s.Sync()
	if s.notice.Visible() {
		t.Error("the news do not go")
	}
	s.imported(1)
	s.Sync()
	s.press("Dismiss")
	if s.notice.Visible() {
		t.Error("the news cannot be dismissed")
	}
}
