// Package tray is the icon beside the clock: it says by shape and colour whether
// tunnels are open, and its menu works without the window.
package tray

import (
	"strings"

	"culvert/app/ui/model"
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
	icon  model.State
	shown bool
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
// has changed, because that closes an open one on some desktops.
func (t *Tray) Sync(tunnels []model.Tunnel) {
	if state := model.Overall(tunnels); !t.shown || state != t.icon {
		t.icon = state
		t.app.SetSystemTrayIcon(Icon(state))
	}
	if now := text(tunnels); !t.shown || now != t.text {
		t.text = now
		t.menu.Items = items(tunnels, t.actions)
		t.app.SetSystemTrayMenu(t.menu)
	}
	t.shown = true
}

// Icon is the tray's icon for the overall state.
func Icon(s model.State) fyne.Resource {
	switch s {
	case model.Online:
		return fyne.NewStaticResource("tray-online.png", assets.TrayOnline)
	case model.Connecting, model.Reconnecting:
		return fyne.NewStaticResource("tray-reconnecting.png", assets.TrayReconnecting)
	case model.Refused:
		return fyne.NewStaticResource("tray-error.png", assets.TrayError)
	default:
		return fyne.NewStaticResource("tray-idle.png", assets.TrayIdle)
	}
}

// title is a tunnel's line in the menu.
func title(t model.Tunnel) string { return t.Name + " — " + t.State.String() }

// text is everything that the menu's look and effect depend on.
func text(tunnels []model.Tunnel) string {
	var b strings.Builder
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
		copyURL := fyne.NewMenuItem("Copy URL", func() { a.CopyURL(key) })
		open := fyne.NewMenuItem("Open in browser", func() { a.OpenURL(key) })
		copyURL.Disabled = t.URL == ""
		open.Disabled = t.URL == "" || t.State != model.Online
		toggle := fyne.NewMenuItem("Start", func() { a.Start(key) })
		if t.State.Running() {
			toggle = fyne.NewMenuItem("Stop", func() { a.Stop(key) })
		}
		item := fyne.NewMenuItem(title(t), nil)
		item.ChildMenu = fyne.NewMenu("", copyURL, open, toggle)
		list = append(list, item)
	}
	quit := fyne.NewMenuItem("Quit", a.Quit)
	quit.IsQuit = true
	return append(list,
		fyne.NewMenuItem("New tunnel…", a.NewTunnel),
		fyne.NewMenuItem("Show window", a.Show),
		quit)
}
