// Package tray is the icon beside the clock: it says by shape and colour whether
// tunnels are open, and its menu works without the window.
package tray

import (
	"runtime"
	"strings"

	"culvert/app/ui/model"
	"culvert/app/ui/words"
	"culvert/assets"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
)

// Actions are what the menu's items ask for. They must return at once: the desktop
// drops a click on an item whose last one is still being served.
type Actions struct {
	CopyURL, OpenURL, Start, Stop func(key string)
	NewTunnel, Show, Quit         func()
}

// Tray is the icon and its menu.
type Tray struct {
	app     desktop.App
	actions Actions
	// menu is one object for ever: when the tray starts, Fyne shows the menu that it
	// was given first, even if another one has been set by then.
	menu  *fyne.Menu
	text  string // of the menu as it was last built
	icon  icon
	shown bool
}

// icon is all that the picture depends on.
type icon struct {
	state  model.State
	public bool // strangers can reach something on this computer
}

// New returns nil where the toolkit has no tray. The item is exported whether or not
// anything on the desktop shows it now: a panel may start later.
func New(app fyne.App, a Actions) *Tray {
	desk, ok := app.(desktop.App)
	if !ok {
		return nil
	}
	return &Tray{app: desk, actions: a, menu: fyne.NewMenu("Culvert")}
}

// Sync brings icon and menu up to date. The menu is built anew only when its text
// has changed, because that closes an open one on some desktops; another language
// changes the text.
func (t *Tray) Sync(tunnels []model.Tunnel) {
	if now := (icon{model.Overall(tunnels), model.AnyPublic(tunnels)}); !t.shown || now != t.icon {
		t.icon = now
		t.app.SetSystemTrayIcon(Icon(now.state, now.public))
	}
	if now := text(tunnels); !t.shown || now != t.text {
		t.text = now
		t.menu.Items = items(tunnels, t.actions)
		t.app.SetSystemTrayMenu(t.menu)
	}
	t.shown = true
}

// Icon is the tray's icon for the overall state. Public says that strangers can reach
// something on this computer now: whatever else is the matter, that stays visible.
func Icon(s model.State, public bool) fyne.Resource {
	pick := func(name string, plain, badged []byte) fyne.Resource {
		if public {
			return fyne.NewStaticResource(name+"-public.png", badged)
		}
		return fyne.NewStaticResource(name+".png", plain)
	}
	switch s {
	case model.Online:
		return pick("tray-online", assets.TrayOnline, assets.TrayOnlinePublic)
	case model.Connecting, model.Reconnecting:
		return pick("tray-reconnecting", assets.TrayReconnecting, assets.TrayReconnectingPublic)
	case model.Refused:
		return pick("tray-error", assets.TrayError, assets.TrayErrorPublic)
	default:
		return fyne.NewStaticResource("tray-idle.png", assets.TrayIdle) // nothing is open
	}
}

// title is a tunnel's line in the menu.
func title(t model.Tunnel) string { return clean(t.Name) + " — " + model.StateWord(t.State) }

// clean makes a name harmless in a menu of the desktop's: one line, of bearable length.
func clean(name string) string {
	const most = 60
	name = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return ' '
		}
		return r
	}, name)
	if runes := []rune(name); len(runes) > most {
		name = string(runes[:most-1]) + "…"
	}
	return literal(name, runtime.GOOS)
}

// literal keeps the desktop from taking characters of a name for the mark of a letter
// to press: an underscore in menus that go over D-Bus
// (https://github.com/AyatanaIndicators/libdbusmenu/blob/master/libdbusmenu-glib/dbus-menu.xml),
// an ampersand on Windows.
func literal(name, os string) string {
	switch os {
	case "windows":
		return strings.ReplaceAll(name, "&", "&&")
	case "darwin":
		return name
	default:
		return strings.ReplaceAll(name, "_", "__")
	}
}

// text is everything that the menu's look and effect depend on.
func text(tunnels []model.Tunnel) string {
	var b strings.Builder
	b.WriteString(words.Tag() + "\n")
	for _, t := range tunnels {
		b.WriteString(t.Key + "\x00" + title(t) + "\x00")
		if t.URL != "" {
			b.WriteString("u")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// items builds the menu: a submenu per tunnel, then the program's own items.
func items(tunnels []model.Tunnel, a Actions) (list []*fyne.MenuItem) {
	for _, t := range tunnels {
		key := t.Key
		copyURL := fyne.NewMenuItem(words.T("Copy URL"), func() { a.CopyURL(key) })
		open := fyne.NewMenuItem(words.T("Open in browser"), func() { a.OpenURL(key) })
		copyURL.Disabled = t.URL == ""
		open.Disabled = t.URL == "" || t.State != model.Online
		toggle := fyne.NewMenuItem(words.T("Start"), func() { a.Start(key) })
		if t.State.Running() {
			toggle = fyne.NewMenuItem(words.T("Stop"), func() { a.Stop(key) })
		}
		item := fyne.NewMenuItem(title(t), nil)
		item.ChildMenu = fyne.NewMenu("", copyURL, open, toggle)
		list = append(list, item)
	}
	quit := fyne.NewMenuItem(words.T("Quit"), a.Quit)
	quit.IsQuit = true
	return append(list,
		fyne.NewMenuItem(words.T("New tunnel…"), a.NewTunnel),
		fyne.NewMenuItem(words.T("Show window"), a.Show),
		quit)
}
