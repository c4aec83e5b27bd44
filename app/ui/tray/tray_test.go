package tray

import (
	"bytes"
	"image/png"
	"strings"
	"testing"

	"culvert/app/ui/model"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"github.com/google/go-cmp/cmp"
)

// desk is an application with a tray that counts what it is told.
type desk struct {
	fyne.App
	menus, icons int
	icon         string
	menu         *fyne.Menu
}

func (d *desk) SetSystemTrayMenu(m *fyne.Menu)    { d.menus++; d.menu = m }
func (d *desk) SetSystemTrayIcon(r fyne.Resource) { d.icons++; d.icon = r.Name() }
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
	seen := map[string]string{}
	for _, s := range []model.State{model.Stopped, model.Online, model.Reconnecting, model.Refused} {
		for _, public := range []bool{false, true} {
			if s == model.Stopped && public {
				continue // what is stopped cannot be reached
			}
			r := Icon(s, public)
			img, err := png.Decode(bytes.NewReader(r.Content()))
			if err != nil {
				t.Fatalf("%v: %v", r.Name(), err)
			}
			if b := img.Bounds(); b.Dx() != 64 || b.Dy() != 64 {
				t.Errorf("%v: the icon is %v, want 64 × 64", r.Name(), b)
			}
			if other, ok := seen[string(r.Content())]; ok {
				t.Errorf("%v is drawn like %v", r.Name(), other)
			}
			seen[string(r.Content())] = r.Name()
		}
	}
	if Icon(model.Stopped, true).Name() != Icon(model.Stopped, false).Name() || Icon(model.Connecting, true).Name() != Icon(model.Reconnecting, true).Name() {
		t.Error("states that look alike have icons of their own")
	}
}

// The icon follows the worst state, and says that something is public as long as one
// tunnel can be reached from outside.
func TestIconSaysWhatIsPublic(t *testing.T) {
	d := &desk{App: test.NewTempApp(t)}
	tray := New(d, Actions{})
	local := model.Tunnel{Key: "1", Name: "a", State: model.Online, URL: "http://127.0.0.1/a"}
	public := model.Tunnel{Key: "2", Name: "b", State: model.Online, URL: "https://b.example", Public: true}
	lost := public
	lost.Key, lost.State = "3", model.Reconnecting
	for _, tt := range []struct {
		tunnels []model.Tunnel
		want    string
	}{
		{nil, "tray-idle.png"},
		{[]model.Tunnel{local}, "tray-online.png"},
		{[]model.Tunnel{local, public}, "tray-online-public.png"},
		{[]model.Tunnel{local, lost}, "tray-reconnecting.png"},
		{[]model.Tunnel{public, lost}, "tray-reconnecting-public.png"},
		{[]model.Tunnel{{Key: "4", State: model.Refused, Public: true}}, "tray-error.png"},
		{[]model.Tunnel{public, {Key: "4", State: model.Refused}}, "tray-error-public.png"},
	} {
		tray.Sync(tt.tunnels)
		if d.icon != tt.want {
			t.Errorf("%d tunnels: the icon is %s, want %s", len(tt.tunnels), d.icon, tt.want)
		}
	}
}

func TestMenuSpeaksTheLanguage(t *testing.T) {
	d := &desk{App: test.NewTempApp(t)}
	tray := New(d, Actions{})
	tunnels := []model.Tunnel{{Key: "1", Name: "shop", State: model.Online}}
	tray.Sync(tunnels)
	words.Set("cs")
	defer words.Set("en")
	tray.Sync(tunnels)
	if d.menus != 2 {
		t.Errorf("after a change of language the menu was built %d times, want 2", d.menus)
	}
}

func TestNamesAreShownAsTheyAre(t *testing.T) {
	for _, tt := range []struct{ name, os, want string }{
		{"my_site", "linux", "my__site"}, {"my_site", "windows", "my_site"}, {"a&b", "windows", "a&&b"}, {"a&b_c", "darwin", "a&b_c"},
	} {
		if got := literal(tt.name, tt.os); got != tt.want {
			t.Errorf("on %s %q became %q, want %q", tt.os, tt.name, got, tt.want)
		}
	}
	if got := clean("two\nlines\u202e"); got != "two lines " {
		t.Errorf("a name with marks became %q", got)
	}
	if got := []rune(clean(strings.Repeat("x", 500))); len(got) != 60 {
		t.Errorf("a long name takes %d letters", len(got))
	}
}

func TestNoTrayOnOtherPlatforms(t *testing.T) {
	if New(struct{ fyne.App }{test.NewTempApp(t)}, Actions{}) != nil {
		t.Error("an application without tray got one")
	}
}
