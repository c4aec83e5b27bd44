package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
)

// announcer is a desktop's notification service
// (https://specifications.freedesktop.org/notification-spec/latest/).
type announcer struct {
	conn *dbus.Conn

	mu    sync.Mutex
	last  uint32
	shown []string // titles, as they came
}

func (d *display) startAnnouncer(t testing.TB) *announcer {
	t.Helper()
	conn := d.connectBus(t)
	a := &announcer{conn: conn}
	if err := conn.ExportMethodTable(map[string]any{
		"GetCapabilities": func() ([]string, *dbus.Error) { return []string{"body", "actions"}, nil },
		"GetServerInformation": func() (name, vendor, version, spec string, e *dbus.Error) {
			return "announcer", "", "1", "1.2", nil
		},
		"Notify":            a.notify,
		"CloseNotification": func(uint32) *dbus.Error { return nil },
	}, "/org/freedesktop/Notifications", "org.freedesktop.Notifications"); err != nil {
		t.Fatal(err)
	}
	own(t, conn, "org.freedesktop.Notifications")
	return a
}

func (a *announcer) notify(_ string, replaces uint32, _, title, _ string, _ []string, _ map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.shown = append(a.shown, title)
	if replaces != 0 {
		return replaces, nil
	}
	a.last++
	return a.last, nil
}

// click presses the notification that was shown last.
func (a *announcer) click(t testing.TB) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.conn.Emit("/org/freedesktop/Notifications", "org.freedesktop.Notifications.ActionInvoked", a.last, "default"); err != nil {
		t.Fatal(err)
	}
}

// await waits until exactly these have been shown.
func (a *announcer) await(t testing.TB, want ...string) {
	t.Helper()
	eventually(t, func() error {
		a.mu.Lock()
		defer a.mu.Unlock()
		if strings.Join(a.shown, "\n") != strings.Join(want, "\n") {
			return fmt.Errorf("these notifications were shown: %q, want %q", a.shown, want)
		}
		return nil
	})
}

// Whoever does not look at the window is told of the first visitor, and of tunnels that
// lose their backend and have it again.
func TestDesktopNotices(t *testing.T) {
	d := startDisplay(t)
	a := d.startAnnouncer(t)
	_, port := hello(t)
	own := "localhost:" + port
	r := startRelay(t)
	dt := startDesktop(t, d, "--minimized", "--backend", r.url(), "--open", port)
	dt.tray.awaitTitles(t, own+" — Online")
	public := dt.copyURL(t, port)
	mustGet(t, http.StatusOK, public)
	first := "First request to " + own
	a.await(t, first)
	mustGet(t, http.StatusOK, public) // the second is none
	r.kill(t)
	lost := own + " lost its backend"
	a.await(t, first, lost)
	r.start(t)
	a.await(t, first, lost, own+" is online again")
	dt.stop(t)
}

// Each kind can be switched off: what comes later shows that it did not come.
func TestDesktopNoticesSwitchedOff(t *testing.T) {
	for _, off := range []string{"first_request", "restored"} {
		t.Run(off, func(t *testing.T) {
			d := startDisplay(t)
			a := d.startAnnouncer(t)
			_, port := hello(t)
			own := "localhost:" + port
			r := startRelay(t)
			config := writeConfig(t, "[notices]\n"+off+" = false\n")
			dt := startDesktopIn(t, d, config, "--minimized", "--backend", r.url(), "--open", port)
			dt.tray.awaitTitles(t, own+" — Online")
			public := dt.copyURL(t, port)
			if off == "first_request" {
				mustGet(t, http.StatusOK, public)
			}
			r.kill(t)
			lost := own + " lost its backend"
			a.await(t, lost)
			r.start(t)
			dt.tray.awaitTitles(t, own+" — Online")
			if off == "restored" {
				mustGet(t, http.StatusOK, public)
				a.await(t, lost, "First request to "+own)
			}
			dt.stop(t)
		})
	}
}
