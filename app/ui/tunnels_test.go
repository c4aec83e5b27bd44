package ui

import (
	"strings"
	"testing"

	"culvert/app/discover"
	"culvert/app/ui/look"
	"culvert/app/ui/model"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"github.com/google/go-cmp/cmp"
)

func TestEnterOpensATunnel(t *testing.T) {
	s := newStage(t, wide)
	s.focusTarget()
	field := s.opener.Field()
	test.Type(field, "3000")
	field.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	s.button("Opening…")
	s.settle()
	if diff := cmp.Diff([]string{"open and remember 3000"}, s.engine.took()); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	s.button("Open tunnel")
	if s.opener.Text() != "" || s.openError != "" {
		t.Errorf("afterwards: field %q, error %q", s.opener.Text(), s.openError)
	}
	if s.noTunnels.Visible() {
		t.Error("the lesson for the first tunnel is still there")
	}
}

func TestAFailedOpenKeepsTheText(t *testing.T) {
	s := newStage(t, wide)
	s.opener.SetText("99999")
	s.press("Open tunnel")
	s.settle()
	if s.opener.Text() != "99999" || !s.says("Port 99999 is out of range.") {
		t.Fatalf("field %q, error %q", s.opener.Text(), s.openError)
	}
	if calls := s.engine.took(); len(calls) > 0 {
		t.Errorf("asked for %q", calls)
	}
	test.Type(s.opener.Field(), "0")
	if s.openError != "" || s.says("Port 99999 is out of range.") {
		t.Error("typing on does not clear the error")
	}
}

func TestHazardsAreAskedAbout(t *testing.T) {
	postgres := discover.Service{Port: 5432, Title: "postgres", Target: "localhost:5432", Hazard: discover.Hazard{Kind: discover.Database, Name: "PostgreSQL", Why: "why"}}
	for name, open := range map[string]func(s *stage){
		"typed": func(s *stage) { s.open("5432") },
		"found": func(s *stage) { s.openService(postgres) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, wide)
			s.engine.hazards["5432"] = postgres.Hazard
			open(s)
			s.settle()
			if calls := s.engine.took(); len(calls) > 0 {
				t.Fatalf("without an answer it asked for %q", calls)
			}
			s.escapeKey()
			s.settle()
			if calls := s.engine.took(); len(calls) > 0 || look.Covered(s.win.Canvas()) {
				t.Fatalf("declined, it asked for %q", calls)
			}
			open(s)
			s.settle()
			s.press("Open anyway")
			s.settle()
			if calls := s.engine.took(); len(calls) != 1 || !strings.HasPrefix(calls[0], "open and remember") {
				t.Errorf("confirmed, it asked for %q", calls)
			}
		})
	}
}

// A chip of a service that has a tunnel leads there instead of opening another.
func TestFoundServiceLeadsToItsTunnel(t *testing.T) {
	s := newStage(t, wide)
	s.cfg.Store.PutTunnel(model.Tunnel{Key: "1", Name: "shop", Target: "localhost:3000", State: model.Online})
	s.cfg.Store.PutTunnel(model.Tunnel{Key: "2", Name: "api", Target: "localhost:8000", State: model.Stopped})
	s.openService(discover.Service{Port: 3000, Target: "localhost:3000"})
	s.openService(discover.Service{Port: 8000, Target: "localhost:8000"})
	s.openService(discover.Service{Port: 9000, Target: "localhost:9000"})
	s.settle()
	got := s.engine.took()
	if len(got) != 2 || !strings.Contains(strings.Join(got, ", "), "start 2") || !strings.Contains(strings.Join(got, ", "), "open and remember localhost:9000") {
		t.Errorf("asked for %q", got)
	}
}

func TestChipsAreShown(t *testing.T) {
	s := newStage(t, wide)
	s.cfg.Store.SetServices([]discover.Service{{Port: 5173, Title: "vite", Target: "localhost:5173"}})
	s.Sync()
	if !s.says("5173 · vite") {
		t.Error("a service that was found is not offered")
	}
}

func TestRemovedTunnelCanBeBroughtBack(t *testing.T) {
	s := newStage(t, wide)
	s.online("1", "shop")
	s.cfg.Store.PutTunnel(model.Tunnel{Key: "2", Name: "api", State: model.Stopped})
	s.engine.wishes["2"] = model.Wish{Target: "http://localhost:8000"}
	s.remove("2")
	s.settle()
	if s.notice.Text() != "The tunnel api was removed." {
		t.Fatalf("the banner says %q", s.notice.Text())
	}
	s.press("Undo")
	s.settle()
	if diff := cmp.Diff([]string{"remove 2", "bring back http://localhost:8000 at 1"}, s.engine.took()); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	if s.notice.Visible() {
		t.Error("the offer stays")
	}

	s.cfg.Store.PutTunnel(model.Tunnel{Key: "2", Name: "api", State: model.Stopped})
	s.remove("2")
	s.settle()
	s.now = s.now.Add(removedFor + 1)
	s.Sync()
	if s.notice.Visible() || s.removed != nil {
		t.Error("the offer stays for ever")
	}
}

func TestFormsBeginWithWhatIsThere(t *testing.T) {
	s := newStage(t, wide)
	s.online("1", "shop")
	s.engine.wishes["1"] = model.Wish{Target: "http://localhost:3000", Name: "shop"}
	for _, open := range []func(string){s.edit, s.duplicate, s.share} {
		open("1")
		if !look.Covered(s.win.Canvas()) {
			t.Error("no sheet is shown")
		}
		s.closeSheets()
		open("gone")
		if look.Covered(s.win.Canvas()) {
			t.Error("a sheet is shown for a tunnel that is gone")
			s.closeSheets()
		}
	}
}
