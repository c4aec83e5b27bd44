package secret

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"

	"culvert/app/notify/bustest"

	"github.com/godbus/dbus/v5"
)

// desktop is a secret service on a bus of its own: one collection with a default.
type desktop struct {
	t       *testing.T
	address string
	conn    *dbus.Conn

	mu       sync.Mutex
	locked   bool
	noAlias  bool
	answer   string // to questions: "yes", "no", or "" for a person who is away
	asked    chan struct{}
	gone     chan struct{} // a question was taken away
	items    map[dbus.ObjectPath]entry
	hang     chan struct{} // not nil: SearchItems waits for it
	prompts  int
	nextItem int
}

type entry struct {
	attributes map[string]string
	label      string
	secret     string
}

const defaultCollection = dbus.ObjectPath("/org/freedesktop/secrets/collection/Default_5fkeyring")

func startDesktop(t *testing.T) *desktop {
	t.Helper()
	d := &desktop{
		t: t, address: bustest.Start(t), answer: "yes", items: map[dbus.ObjectPath]entry{},
		asked: make(chan struct{}, 8), gone: make(chan struct{}, 8),
	}
	d.conn = bustest.Connect(t, d.address)
	d.export(servicePath, serviceIface, map[string]any{
		"ReadAlias": d.readAlias, "OpenSession": d.openSession, "SearchItems": d.searchItems, "Unlock": d.unlock,
	})
	d.export(defaultCollection, collectionIface, map[string]any{"CreateItem": d.createItem})
	if reply, err := d.conn.RequestName(busName, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(reply, err)
	}
	return d
}

// is changes, or looks at, what the service is like.
func (d *desktop) is(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

func (d *desktop) export(path dbus.ObjectPath, iface string, methods map[string]any) {
	if err := d.conn.ExportMethodTable(methods, path, iface); err != nil {
		d.t.Error(err)
	}
}

func (d *desktop) readAlias(string) (dbus.ObjectPath, *dbus.Error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.noAlias {
		return nowhere, nil
	}
	return defaultCollection, nil
}

func (d *desktop) openSession(string, dbus.Variant) (dbus.Variant, dbus.ObjectPath, *dbus.Error) {
	return dbus.MakeVariant(""), "/org/freedesktop/secrets/session/1", nil
}

func (d *desktop) searchItems(want map[string]string) (unlocked, locked []dbus.ObjectPath, e *dbus.Error) {
	d.mu.Lock()
	hang := d.hang
	d.mu.Unlock()
	if hang != nil {
		<-hang
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	found := []dbus.ObjectPath{}
	for _, path := range slices.Sorted(maps.Keys(d.items)) {
		if maps.Equal(d.items[path].attributes, want) {
			found = append(found, path)
		}
	}
	if d.locked {
		return []dbus.ObjectPath{}, found, nil
	}
	return found, []dbus.ObjectPath{}, nil
}

func (d *desktop) unlock(what []dbus.ObjectPath) ([]dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.locked {
		return what, nowhere, nil
	}
	d.prompts++
	path := dbus.ObjectPath("/org/freedesktop/secrets/prompt/" + strconv.Itoa(d.prompts))
	d.export(path, promptIface, map[string]any{
		"Prompt": func(string) *dbus.Error {
			d.asked <- struct{}{}
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.answer != "" {
				d.locked = d.answer != "yes"
				d.complete(path, d.locked)
			}
			return nil
		},
		"Dismiss": func() *dbus.Error {
			d.gone <- struct{}{}
			return nil
		},
	})
	return []dbus.ObjectPath{}, path, nil
}

// complete says that a question was answered.
func (d *desktop) complete(path dbus.ObjectPath, dismissed bool) {
	if err := d.conn.Emit(path, promptIface+".Completed", dismissed, dbus.MakeVariant([]dbus.ObjectPath{})); err != nil {
		d.t.Error(err)
	}
}

func (d *desktop) createItem(properties map[string]dbus.Variant, s secretOf, replace bool) (dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locked {
		return nowhere, nowhere, dbus.MakeFailedError(errors.New("locked"))
	}
	one := entry{secret: string(s.Value)}
	_ = properties[itemIface+".Attributes"].Store(&one.attributes)
	_ = properties[itemIface+".Label"].Store(&one.label)
	path := dbus.ObjectPath("")
	for p, other := range d.items {
		if replace && maps.Equal(other.attributes, one.attributes) {
			path = p
		}
	}
	if path == "" {
		d.nextItem++
		path = defaultCollection + "/" + dbus.ObjectPath(strconv.Itoa(d.nextItem))
	}
	d.items[path] = one
	d.export(path, itemIface, map[string]any{
		"GetSecret": func(session dbus.ObjectPath) (secretOf, *dbus.Error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			return secretOf{session, []byte{}, []byte(d.items[path].secret), "text/plain"}, nil
		},
		"Delete": func() (dbus.ObjectPath, *dbus.Error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			delete(d.items, path)
			return nowhere, nil
		},
	})
	return path, nowhere, nil
}
