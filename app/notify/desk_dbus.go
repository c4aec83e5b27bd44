//go:build !windows && !darwin

package notify

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/godbus/dbus/v5"
)

// The notification service of desktops.
// https://specifications.freedesktop.org/notification-spec/latest/
const (
	busName = "org.freedesktop.Notifications"
	busPath = dbus.ObjectPath("/org/freedesktop/Notifications")
	iface   = "org.freedesktop.Notifications"
)

// bus shows notifications over D-Bus. It connects when there is something to show,
// and again when the connection was lost.
type bus struct {
	cfg     Config
	address string // "" for the session's

	conn   *dbus.Conn
	clicks chan func() // what is to be called
	quit   chan struct{}
	wg     sync.WaitGroup

	mu     sync.Mutex
	life   int                     // counts the services that there have been
	caps   []string                // what the service can do; nil if it was not asked yet
	ids    map[string]uint32       // of what is shown, by key
	shown  map[uint32]Notification // the same, by number
	closed map[uint32]bool         // before their number was known
}

func systemDesk(cfg Config) desk { return &bus{cfg: cfg} }

// connect makes sure that there is a connection. No bus is started for it.
func (b *bus) connect(ctx context.Context) bool {
	if b.conn != nil && b.conn.Connected() {
		return true
	}
	b.disconnect()
	dial := dbus.SessionBusPrivateNoAutoStartup
	if b.address != "" {
		dial = func(opts ...dbus.ConnOption) (*dbus.Conn, error) { return dbus.Dial(b.address, opts...) }
	}
	conn, err := dial(dbus.WithSignalHandler(b))
	if err != nil {
		return false
	}
	b.forget()
	b.clicks, b.quit = make(chan func(), 16), make(chan struct{})
	// While it greets, the library looks at no context.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err = conn.Auth(nil); err == nil {
		err = conn.Hello()
	}
	for _, match := range [][]dbus.MatchOption{
		{dbus.WithMatchSender(busName), dbus.WithMatchObjectPath(busPath), dbus.WithMatchInterface(iface)},
		{dbus.WithMatchSender("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, busName)},
	} {
		if err == nil {
			err = conn.AddMatchSignalContext(ctx, match...)
		}
	}
	if err != nil {
		_ = conn.Close()
		return false
	}
	b.conn = conn
	b.wg.Go(func() {
		for {
			select {
			case do := <-b.clicks:
				do()
			case <-b.quit:
				return
			}
		}
	})
	return true
}

func (b *bus) disconnect() {
	if b.conn != nil {
		_ = b.conn.Close()
		close(b.quit)
		b.wg.Wait()
		b.conn = nil
	}
}

// forget drops what the service has shown: another one has other numbers.
func (b *bus) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.life++
	b.caps, b.ids, b.shown, b.closed = nil, map[string]uint32{}, map[uint32]Notification{}, map[uint32]bool{}
}

func (b *bus) call(ctx context.Context, method string, args ...any) *dbus.Call {
	return b.conn.Object(busName, busPath).CallWithContext(ctx, iface+"."+method, 0, args...)
}

// can is what the service can do.
func (b *bus) can(ctx context.Context) []string {
	b.mu.Lock()
	caps := b.caps
	b.mu.Unlock()
	if caps != nil || b.call(ctx, "GetCapabilities").Store(&caps) != nil {
		return caps
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.caps = caps
	return caps
}

func (b *bus) show(ctx context.Context, n Notification) {
	if !b.connect(ctx) {
		return
	}
	can, body := b.can(ctx), n.Body
	if slices.Contains(can, "body-markup") {
		body = markup.Replace(body)
	}
	actions := []string{}
	if slices.Contains(can, "actions") {
		if n.OnClick != nil {
			actions = append(actions, "default", n.Title)
		}
		for i, a := range n.Actions {
			actions = append(actions, strconv.Itoa(i), a.Title)
		}
	}
	hints := map[string]dbus.Variant{"urgency": dbus.MakeVariant(byte(1))}
	if b.cfg.DesktopEntry != "" {
		hints["desktop-entry"] = dbus.MakeVariant(b.cfg.DesktopEntry)
	}
	b.mu.Lock()
	replaces, life := b.ids[n.Key], b.life
	clear(b.closed)
	b.mu.Unlock()
	const untilSeen = int32(-1) // as the desktop likes
	var id uint32
	if b.call(ctx, "Notify", b.cfg.App, replaces, b.cfg.Icon, n.Title, body, actions, hints, untilSeen).Store(&id) != nil {
		return // nobody shows notifications here, or not now
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.shown, replaces)
	if !b.closed[id] && b.life == life {
		b.ids[n.Key], b.shown[id] = id, n
	}
}

// markup keeps a text as it is where it would be taken for markup.
var markup = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func (b *bus) withdraw(ctx context.Context, key string) {
	b.mu.Lock()
	id, ok := b.ids[key]
	delete(b.ids, key)
	delete(b.shown, id)
	b.mu.Unlock()
	if ok && b.conn.Connected() {
		_ = b.call(ctx, "CloseNotification", id).Err // one that is gone is as good
	}
}

func (b *bus) close(ctx context.Context) {
	if b.conn == nil {
		return
	}
	b.mu.Lock()
	var keys []string
	for key := range b.ids {
		keys = append(keys, key)
	}
	b.mu.Unlock()
	for _, key := range keys {
		b.withdraw(ctx, key)
	}
	b.disconnect()
}

// DeliverSignal takes a signal of the service, or of the bus about it. The library
// calls it before it reads on, so that what the service says is known in its order.
func (b *bus) DeliverSignal(_, _ string, s *dbus.Signal) {
	if s.Name == "org.freedesktop.DBus.NameOwnerChanged" {
		var name, before, after string
		if dbus.Store(s.Body, &name, &before, &after) == nil && before != "" {
			b.forget()
		}
		return
	}
	var id uint32
	if len(s.Body) < 1 || dbus.Store(s.Body[:1], &id) != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	n, ours := b.shown[id]
	switch s.Name {
	case iface + ".NotificationClosed":
		b.closed[id] = true
		if ours {
			delete(b.shown, id)
			delete(b.ids, n.Key)
		}
	case iface + ".ActionInvoked":
		if do := n.action(s.Body[1:]); ours && do != nil {
			select {
			case b.clicks <- do:
			default: // nobody clicks that fast
			}
		}
	}
}

// action is what an action's name stands for; nil for nothing.
func (n *Notification) action(name []any) func() {
	if len(name) == 0 {
		return nil
	}
	key, _ := name[0].(string)
	if key == "default" {
		return n.OnClick
	}
	if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(n.Actions) {
		return n.Actions[i].Do
	}
	return nil
}
