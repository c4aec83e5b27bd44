package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
)

// tray speaks to the desktop's tray item as a panel does: StatusNotifierItem and
// com.canonical.dbusmenu.
type tray struct {
	conn *dbus.Conn
	item string // the item's name on the bus
}

// menuItem is one entry of the tray's menu.
type menuItem struct {
	id       int32
	label    string
	enabled  bool
	children []menuItem
}

func (d *display) connectBus(t testing.TB) *dbus.Conn {
	t.Helper()
	conn, err := dbus.Connect(d.bus)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// awaitTray waits for the tray item of a process.
func (d *display) awaitTray(t testing.TB, p *process) *tray {
	t.Helper()
	tr := &tray{conn: d.connectBus(t)}
	eventually(t, func() error {
		var names []string
		if err := tr.conn.BusObject().Call("org.freedesktop.DBus.ListNames", 0).Store(&names); err != nil {
			return err
		}
		for _, n := range names {
			if strings.HasPrefix(n, fmt.Sprintf("org.kde.StatusNotifierItem-%d-", p.cmd.Process.Pid)) {
				tr.item = n
				return nil
			}
		}
		return fmt.Errorf("there is no tray item")
	})
	return tr
}

// menu reads the menu that the item names.
func (tr *tray) menu() ([]menuItem, dbus.BusObject, error) {
	path, err := tr.conn.Object(tr.item, "/StatusNotifierItem").GetProperty("org.kde.StatusNotifierItem.Menu")
	if err != nil {
		return nil, nil, err
	}
	object, ok := path.Value().(dbus.ObjectPath)
	if !ok {
		return nil, nil, fmt.Errorf("the Menu property is %v", path)
	}
	menu := tr.conn.Object(tr.item, object)
	var revision uint32
	var root struct {
		ID       int32
		Props    map[string]dbus.Variant
		Children []dbus.Variant
	}
	// After a change the first answer is shallow, for the sake of some panels;
	// callers poll.
	if err := menu.Call("com.canonical.dbusmenu.GetLayout", 0, int32(0), int32(-1), []string{}).Store(&revision, &root); err != nil {
		return nil, nil, err
	}
	return menuItems(root.Children), menu, nil
}

func menuItems(variants []dbus.Variant) (items []menuItem) {
	for _, v := range variants {
		fields, ok := v.Value().([]any)
		if !ok || len(fields) != 3 {
			continue
		}
		item := menuItem{enabled: true}
		item.id, _ = fields[0].(int32)
		props, _ := fields[1].(map[string]dbus.Variant)
		item.label, _ = props["label"].Value().(string)
		if e, ok := props["enabled"].Value().(bool); ok {
			item.enabled = e
		}
		children, _ := fields[2].([]dbus.Variant)
		item.children = menuItems(children)
		items = append(items, item)
	}
	return items
}

// labels are the menu's lines, those of submenus with "> ".
func labels(items []menuItem) (out []string) {
	for _, i := range items {
		out = append(out, i.label)
		for _, c := range labels(i.children) {
			out = append(out, "> "+c)
		}
	}
	return out
}

// awaitMenu waits until the menu reads so.
func (tr *tray) awaitMenu(t testing.TB, want ...string) {
	t.Helper()
	eventually(t, func() error {
		items, _, err := tr.menu()
		if err != nil {
			return err
		}
		if got := labels(items); strings.Join(got, "\n") != strings.Join(want, "\n") {
			return fmt.Errorf("the menu is %q, want %q", got, want)
		}
		return nil
	})
}

// click clicks an item: path are the labels that lead to it. It fails while there
// is none, or while it is greyed out.
func (tr *tray) click(path ...string) error {
	items, menu, err := tr.menu()
	if err != nil {
		return err
	}
	for depth, label := range path {
		found := false
		for _, i := range items {
			if i.label != label {
				continue
			}
			found = true
			if depth == len(path)-1 {
				if !i.enabled {
					return fmt.Errorf("%q is greyed out", label)
				}
				return menu.Call("com.canonical.dbusmenu.Event", 0, i.id, "clicked", dbus.MakeVariant(""), uint32(0)).Err
			}
			items = i.children
			break
		}
		if !found {
			return fmt.Errorf("there is no item %q in %q", label, labels(items))
		}
	}
	return nil
}

// watcher is what a panel owns to receive tray items.
type watcher struct{ registered chan string }

// RegisterStatusNotifierItem is called by tray items over the bus.
func (w *watcher) RegisterStatusNotifierItem(service string) *dbus.Error {
	select {
	case w.registered <- service:
	default:
	}
	return nil
}

// startWatcher plays a panel that shows tray icons.
func (d *display) startWatcher(t testing.TB) *watcher {
	t.Helper()
	w := &watcher{registered: make(chan string, 10)}
	conn := d.connectBus(t)
	if err := conn.Export(w, "/StatusNotifierWatcher", "org.kde.StatusNotifierWatcher"); err != nil {
		t.Fatal(err)
	}
	reply, err := conn.RequestName("org.kde.StatusNotifierWatcher", dbus.NameFlagDoNotQueue)
	if err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("owning the watcher's name: %v, %v", reply, err)
	}
	return w
}
