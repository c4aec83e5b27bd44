package tray

import (
	"bytes"
	"image/png"
	"testing"

	"culvert/app/ui/model"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"github.com/google/go-cmp/cmp"
)

// desk is an application with a tray that counts what it is told.
type desk struct {
	fyne.App
	menus, icons int
	menu         *fyne.Menu
}

func (d *desk) SetSystemTrayMenu(m *fyne.Menu)    { d.menus++; d.menu = m }
func (d *desk) SetSystemTrayIcon(fyne.Resource)   { d.icons++ }
func (d *desk) SetSystemTrayWindow(w fyne.Window) {}

func labels(m *fyne.Menu) []string {
	var out []string
	for _, i := range m.Items {
		out = append(out, i.Label)
		if i.ChildMenu != nil {
			for _, c := range labels(i.ChildMenu) {
				out = append(out, "> "+c)
			}
		}
	}
	return out
}

func TestMenu(t *testing.T) {
	var calls []string
	note := func(what string) func(string) { return func(key string) { calls = append(calls, what+" "+key) } }
	menu := fyne.NewMenu("", items([]model.Tunnel{
		{Key: "1", Name: "shop", State: model.Online, URL: "https://shop.example"},
		{Key: "2", Name: "localhost:3000", State: model.Stopped},
		{Key: "3", Name: "api", State: model.Reconnecting, URL: "https://api.example"},
	}, Actions{CopyURL: note("copy"), OpenURL: note("open"), Start: note("start"), Stop: note("stop"),
		NewTunnel: func() { note("new")("") }, Show: func() { note("show")("") }, Quit: func() { note("quit")("") }})...)
	want := []string{
		"shop — Online", "> Copy URL", "> Open in browser", "> Stop",
		"localhost:3000 — Stopped", "> Copy URL", "> Open in browser", "> Start",
		"api — Reconnecting", "> Copy URL", "> Open in browser", "> Stop",
		"New tunnel…", "Show window", "Quit",
	}
	if diff := cmp.Diff(want, labels(menu)); diff != "" {
		t.Fatalf("menu (-want +got):\n%s", diff)
	}
	if !menu.Items[len(menu.Items)-1].IsQuit {
		t.Error("Quit is not marked: Fyne would add a second one in other languages")
	}
	if sub := menu.Items[1].ChildMenu.Items; !sub[0].Disabled || !sub[1].Disabled {
		t.Error("a tunnel that never was online offers its URL")
	}
	for _, i := range menu.Items {
		if i.ChildMenu != nil {
			for _, c := range i.ChildMenu.Items {
				c.Action()
			}
		} else {
			i.Action()
		}
	}
	if diff := cmp.Diff([]string{"copy 1", "open 1", "stop 1", "copy 2", "open 2", "start 2", "copy 3", "open 3", "stop 3", "new ", "show ", "quit "}, calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestTrayRebuildsOnlyWhenTheTextChanges(t *testing.T) {
	d := &desk{App: test.NewTempApp(t)}
	tray := New(d, Actions{})
	tunnel := model.Tunnel{Key: "1", Name: "shop", State: model.Connecting}
	steps := []struct {
		name         string
		change       func()
		menus, icons int
	}{
		{"first", func() {}, 1, 1},
		{"nothing", func() {}, 1, 1},
		{"requests", func() { tunnel.Requests++ }, 1, 1},
		{"online", func() { tunnel.State, tunnel.URL = model.Online, "https://a" }, 2, 2},
		{"another URL", func() { tunnel.URL = "https://b" }, 2, 2}, // read when clicked
		{"reconnecting", func() { tunnel.State = model.Reconnecting }, 3, 3},
		{"next attempt", func() { tunnel.Attempt++; tunnel.Cause = "refused" }, 3, 3},
		{"renamed", func() { tunnel.Name = "api" }, 4, 3},
	}
	for _, s := range steps {
		s.change()
		first := d.menu
		tray.Sync([]model.Tunnel{tunnel})
		if first != nil && d.menu != first {
			t.Fatalf("%s: another menu object was set; Fyne may go on with the first one", s.name)
		}
		if d.menus != s.menus || d.icons != s.icons {
			t.Errorf("%s: %d menus and %d icons were set, want %d and %d", s.name, d.menus, d.icons, s.menus, s.icons)
		}
	}
}

func TestIconsDiffer(t *testing.T) {
	seen := map[string]model.State{}
	for _, s := range []model.State{model.Stopped, model.Online, model.Reconnecting, model.Refused} {
		r := Icon(s)
		img, err := png.Decode(bytes.NewReader(r.Content()))
		if err != nil {
			t.Fatalf("%v: %v", s, err)
		}
		if b := img.Bounds(); b.Dx() != 64 || b.Dy() != 64 {
			t.Errorf("%v: the icon is %v, want 64 × 64", s, b)
		}
		if other, ok := seen[string(r.Content())]; ok {
			t.Errorf("%v has the icon of %v", s, other)
		}
		seen[string(r.Content())] = s
	}
}

func TestNoTrayOnOtherPlatforms(t *testing.T) {
	if New(struct{ fyne.App }{test.NewTempApp(t)}, Actions{}) != nil {
		t.Error("an application without tray got one")
	}
}
