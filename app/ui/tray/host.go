package tray

import (
	"context"
	"runtime"

	"github.com/godbus/dbus/v5"
)

// watcher is the name that desktops which show tray icons own on the session bus
// (https://www.freedesktop.org/wiki/Specifications/StatusNotifierItem/StatusNotifierWatcher/).
const watcher = "org.kde.StatusNotifierWatcher"

// HasHost reports whether something shows the tray icon now. Windows and macOS always do.
func HasHost(ctx context.Context) bool {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		return true
	}
	// A connection of its own: the shared one belongs to the tray, which closes it.
	conn, err := dbus.ConnectSessionBus(dbus.WithContext(ctx))
	if err != nil {
		return false
	}
	defer conn.Close()
	var owned bool
	err = conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.NameHasOwner", 0, watcher).Store(&owned)
	return err == nil && owned
}
