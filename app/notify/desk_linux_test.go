package notify

import (
	"runtime"
	"slices"
	"sync"
	"testing"

	"culvert/app/notify/bustest"

	"github.com/godbus/dbus/v5"
)

// service is a desktop's notification service.
type service struct {
	t    *testing.T
	conn *dbus.Conn
	caps []string
	told chan call

	mu   sync.Mutex
	last uint32
}

// call is what the service was asked for.
type call struct {
	method   string
	id       uint32 // given, or to be closed
	replaces uint32
	app      string
	icon     string
	title    string
	body     string
	actions  []string
	entry    string
}

func startService(t *testing.T, address string, first uint32, caps ...string) *service {
	t.Helper()
	s := &service{t: t, conn: bustest.Connect(t, address), caps: caps, told: make(chan call, 16), last: first}
	if err := s.conn.ExportMethodTable(map[string]any{
		"GetCapabilities":   func() ([]string, *dbus.Error) { return s.caps, nil },
		"Notify":            s.notify,
		"CloseNotification": s.closeNotification,
	}, busPath, iface); err != nil {
		t.Fatal(err)
	}
	if reply, err := s.conn.RequestName(busName, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(reply, err)
	}
	return s
}

func (s *service) notify(app string, replaces uint32, icon, title, body string, actions []string, hints map[string]dbus.Variant, timeout int32) (uint32, *dbus.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := replaces
	if id == 0 {
		s.last++
		id = s.last
	}
	entry, _ := hints["desktop-entry"].Value().(string)
	s.told <- call{"Notify", id, replaces, app, icon, title, body, actions, entry}
	return id, nil
}

func (s *service) closeNotification(id uint32) *dbus.Error {
	s.told <- call{method: "CloseNotification", id: id}
	return nil
}

func (s *service) emit(signal string, args ...any) {
	s.t.Helper()
	if err := s.conn.Emit(busPath, iface+"."+signal, args...); err != nil {
		s.t.Error(err)
	}
}

func startOn(t *testing.T, address string) *Notifier {
	t.Helper()
	n := start(&bus{cfg: Config{App: "Culvert", Icon: "culvert", DesktopEntry: "dev.culvert"}, address: address})
	t.Cleanup(n.Close)
	return n
}

// expect compares the next thing that the service was asked for.
func (s *service) expect(want call) {
	s.t.Helper()
	got := <-s.told
	if got.method == "Notify" {
		if got.app != "Culvert" || got.icon != "culvert" || got.entry != "dev.culvert" {
			s.t.Errorf("%+v", got)
		}
		got.app, got.icon, got.entry = "", "", ""
	}
	if !slices.Equal(got.actions, want.actions) {
		s.t.Errorf("actions %q, want %q", got.actions, want.actions)
	}
	got.actions, want.actions = nil, nil
	if got.method != want.method || got.id != want.id || got.replaces != want.replaces || got.title != want.title || got.body != want.body {
		s.t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestDesktop(t *testing.T) {
	t.Parallel()
	address := bustest.Start(t)
	s := startService(t, address, 10, "actions", "body", "body-markup")
	n := startOn(t, address)
	clicked := make(chan string, 4)
	n.Show(Notification{
		Key: "shop", Title: "shop is offline", Body: "<b> & co", OnClick: func() { clicked <- "itself" },
		Actions: []Action{{"Why?", func() { clicked <- "why" }}, {"Stop", nil}},
	})
	s.expect(call{method: "Notify", id: 11, title: "shop is offline", body: "&lt;b&gt; &amp; co", actions: []string{"default", "shop is offline", "0", "Why?", "1", "Stop"}})
	n.Show(Notification{Key: "api", Title: "api is offline"})
	s.expect(call{method: "Notify", id: 12, title: "api is offline"})
	s.emit("ActionInvoked", uint32(11), "0")
	s.emit("ActionInvoked", uint32(99), "default") // somebody else's
	s.emit("ActionInvoked", uint32(11), "1")
	s.emit("ActionInvoked", uint32(11), "7")
	s.emit("ActionInvoked", uint32(11))
	s.emit("ActionInvoked", uint32(11), "default")
	if a, b := <-clicked, <-clicked; a != "why" || b != "itself" {
		t.Errorf("clicked %q, %q", a, b)
	}

	n.Show(Notification{Key: "shop", Title: "shop is back", OnClick: func() { clicked <- "back" }})
	s.expect(call{method: "Notify", id: 11, replaces: 11, title: "shop is back", actions: []string{"default", "shop is back"}})
	n.Show(Notification{Key: "last", Title: "last", OnClick: func() { clicked <- "last" }})
	s.expect(call{method: "Notify", id: 13, title: "last", actions: []string{"default", "last"}})
	n.Withdraw("api")
	s.expect(call{method: "CloseNotification", id: 12})
	n.Withdraw("nothing")
	s.emit("NotificationClosed", uint32(11), uint32(2))
	s.emit("ActionInvoked", uint32(11), "default") // it is gone
	until(n, func(b *bus) bool { return len(b.shown) == 1 && b.ids["last"] == 13 })
	s.emit("ActionInvoked", uint32(13), "default")
	if got := <-clicked; got != "last" {
		t.Errorf("clicked %q", got)
	}
	n.Close()
	s.expect(call{method: "CloseNotification", id: 13})
	select {
	case got := <-s.told:
		t.Errorf("one that the person closed is closed again: %+v", got)
	case got := <-clicked:
		t.Errorf("clicked %q", got)
	default:
	}
}

// until waits for something that the notifier learns by itself.
func until(n *Notifier, known func(*bus) bool) {
	b := n.desk.(*bus)
	for {
		b.mu.Lock()
		ok := known(b)
		b.mu.Unlock()
		if ok {
			return
		}
		runtime.Gosched()
	}
}

// TestServiceRestarts: numbers of the old one mean nothing to the new one.
func TestServiceRestarts(t *testing.T) {
	t.Parallel()
	address := bustest.Start(t)
	n := startOn(t, address)
	n.Show(Notification{Key: "shop", Title: "nobody shows it"})
	s := startService(t, address, 10)
	n.Show(Notification{Key: "shop", Title: "one"})
	first := <-s.told
	if first.title == "nobody shows it" {
		first = <-s.told // it was just in time
	}
	if first.title != "one" || len(first.actions) != 0 {
		t.Errorf("%+v", first)
	}
	until(n, func(b *bus) bool { return len(b.shown) == 1 && b.shown[b.ids["shop"]].Title == "one" })
	if err := s.conn.Close(); err != nil {
		t.Fatal(err)
	}
	until(n, func(b *bus) bool { return len(b.ids) == 0 })
	again := startService(t, address, 20, "actions")
	n.Show(Notification{Key: "shop", Title: "two", Body: "<&>"})
	again.expect(call{method: "Notify", id: 21, title: "two", body: "<&>"})
	until(n, func(b *bus) bool { return len(b.ids) == 1 })
	n.Close()
	again.expect(call{method: "CloseNotification", id: 21})
}

// TestNoDesktop: a bus that is not there, and one on which nobody shows anything.
func TestNoDesktop(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"unix:path=/nonexistent/bus", bustest.Start(t)} {
		n := startOn(t, address)
		n.Show(Notification{Key: "shop", Title: "shop is offline"})
		n.Withdraw("shop")
		n.Show(Notification{Key: "shop", Title: "shop is back"})
		n.Close()
	}
}
