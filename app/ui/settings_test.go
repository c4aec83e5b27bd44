package ui

import (
	"context"
	"errors"
	"slices"
	"testing"

	"culvert/app/config"
	"culvert/app/doctor"
	"culvert/app/ui/look"
	"culvert/app/ui/settings"

	"fyne.io/fyne/v2/theme"
)

// Another language speaks at once, and the user stays where they were.
func TestLanguageIsAppliedLive(t *testing.T) {
	s := newStage(t, wide)
	s.online("1", "shop")
	s.online("2", "api")
	s.request("1", "/a", 404)
	s.selectTunnel("1")
	f := s.bar.Filter()
	f.Class = 4
	s.bar.SetFilter(f)
	s.narrow()
	s.showSettings(settings.General)
	s.settle()
	before := s.parts
	_ = s.engine.Edit(context.Background(), func(c *config.Config) { c.Language = "cs" })
	s.Sync()
	if s.parts == before || !s.settings.Visible() {
		t.Fatalf("parts anew %v, settings visible %v", s.parts != before, s.settings.Visible())
	}
	if s.scope != "1" || s.bar.Filter().Class != 4 || s.view.Len() != 1 {
		t.Errorf("scope %q, filter %+v, %d rows", s.scope, s.bar.Filter(), s.view.Len())
	}
	before = s.parts
	s.Sync()
	if s.parts != before {
		t.Error("the parts are built with every frame")
	}
}

func TestThemeIsAppliedLive(t *testing.T) {
	s := newStage(t, wide)
	for _, tt := range []struct {
		name    string
		variant any
	}{{"light", theme.VariantLight}, {"dark", theme.VariantDark}} {
		_ = s.engine.Edit(context.Background(), func(c *config.Config) { c.Theme = tt.name })
		s.Sync()
		f, ok := s.app.Settings().Theme().(fixed)
		if !ok || any(f.variant) != tt.variant {
			t.Fatalf("%s: the theme is %T", tt.name, s.app.Settings().Theme())
		}
		if got, want := look.Color(look.ColorBase), (look.Theme{}).Color(look.ColorBase, f.variant); got != want {
			t.Errorf("%s: the base is %v, want %v", tt.name, got, want)
		}
	}
	form, sheet := s.form, s.settings
	s.showSettings(settings.General)
	_ = s.engine.Edit(context.Background(), func(c *config.Config) { c.Theme = "light" })
	s.Sync()
	if s.form == form || s.settings != sheet || !s.settings.Visible() {
		t.Error("sheets that are closed keep the old colours, or the open one has gone")
	}
	s.settings.Hide()
	_ = s.engine.Edit(context.Background(), func(c *config.Config) { c.Theme = "" })
	s.Sync()
	if _, ok := s.app.Settings().Theme().(look.Theme); !ok {
		t.Errorf("the desktop's: the theme is %T", s.app.Settings().Theme())
	}
}

func TestChecksAreReportedUntilStopped(t *testing.T) {
	s := newStage(t, wide)
	s.engine.checks = []doctor.Check{{ID: doctor.DNS, State: doctor.OK}, {ID: doctor.TLS, State: doctor.Failed}}
	var got []doctor.Check
	var ends []error
	run := func() func() {
		return s.test("", settings.Profile{Backend: "https://relay.example"}, func(c doctor.Check) { got = append(got, c) },
			func(err error) { ends = append(ends, err) })
	}
	run()
	s.settle()
	if len(got) != 2 || len(ends) != 1 || ends[0] != nil {
		t.Errorf("reported %v, ended %v", got, ends)
	}
	got, ends = nil, nil
	run()()
	s.settle()
	if len(got) != 0 || len(ends) != 0 {
		t.Errorf("after stop: reported %v, ended %v", got, ends)
	}
}

// "Why?" at a tunnel that is refused leads to the checks of its backend, under way.
func TestWhyTestsTheBackend(t *testing.T) {
	s := newStage(t, wide)
	var backend config.Address
	if err := backend.UnmarshalText([]byte("https://relay.example")); err != nil {
		t.Fatal(err)
	}
	_ = s.engine.Edit(t.Context(), func(c *config.Config) { c.Profiles = map[string]config.Profile{"work": {Backend: backend}} })
	s.engine.checks = []doctor.Check{{ID: doctor.Token, State: doctor.Failed, Detail: "it is not valid here"}}
	s.showDoctor("work")
	s.settle()
	calls := s.engine.took()
	if !s.settings.Visible() || !slices.Contains(calls, "test https://relay.example") || !s.says("It does not work.") {
		t.Errorf("open %v, asked %q", s.settings.Visible(), calls)
	}
}

func TestSettingsTellWhatFailed(t *testing.T) {
	s := newStage(t, wide)
	var got error
	s.setting(func(context.Context) error { return errors.New("read-only") }, func(err error) { got = err })
	s.settle()
	if got == nil || got.Error() != "read-only" {
		t.Errorf("done got %v", got)
	}
}
