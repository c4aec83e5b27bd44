package e2e

import (
	"maps"
	"strconv"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
)

// keychain is a secret service on the display's bus, never locked
// (https://specifications.freedesktop.org/secret-service-spec/latest/).
type keychain struct {
	t    testing.TB
	conn *dbus.Conn

	mu    sync.Mutex
	items map[dbus.ObjectPath]keychainItem
	last  int
}

type keychainItem struct {
	attributes map[string]string
	secret     []byte
}

// keychainSecret is a secret on its way: (oayays).
type keychainSecret struct {
	Session     dbus.ObjectPath
	Parameters  []byte
	Value       []byte
	ContentType string
}

const (
	keychainPath       = dbus.ObjectPath("/org/freedesktop/secrets")
	keychainCollection = keychainPath + "/collection/login"
	keychainIface      = "org.freedesktop.Secret."
)

func (d *display) startKeychain(t testing.TB) *keychain {
	t.Helper()
	k := &keychain{t: t, conn: d.connectBus(t), items: map[dbus.ObjectPath]keychainItem{}}
	k.export(keychainPath, "Service", map[string]any{
		"ReadAlias": func(string) (dbus.ObjectPath, *dbus.Error) { return keychainCollection, nil },
		"OpenSession": func(string, dbus.Variant) (dbus.Variant, dbus.ObjectPath, *dbus.Error) {
			return dbus.MakeVariant(""), keychainPath + "/session/1", nil
		},
		"SearchItems": k.search,
		"Unlock": func(what []dbus.ObjectPath) ([]dbus.ObjectPath, dbus.ObjectPath, *dbus.Error) {
			return what, "/", nil
		},
	})
	k.export(keychainCollection, "Collection", map[string]any{"CreateItem": k.create})
	own(t, k.conn, "org.freedesktop.secrets")
	return k
}

// own takes a name on the bus.
func own(t testing.TB, conn *dbus.Conn, name string) {
	t.Helper()
	if reply, err := conn.RequestName(name, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("owning %s: %v, %v", name, reply, err)
	}
}

func (k *keychain) export(path dbus.ObjectPath, iface string, methods map[string]any) {
	if err := k.conn.ExportMethodTable(methods, path, keychainIface+iface); err != nil {
		k.t.Error(err)
	}
}

func (k *keychain) search(want map[string]string) (unlocked, locked []dbus.ObjectPath, e *dbus.Error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	unlocked = []dbus.ObjectPath{}
	for path, item := range k.items {
		if maps.Equal(item.attributes, want) {
			unlocked = append(unlocked, path)
		}
	}
	return unlocked, []dbus.ObjectPath{}, nil
}

func (k *keychain) create(properties map[string]dbus.Variant, s keychainSecret, _ bool) (item, prompt dbus.ObjectPath, e *dbus.Error) {
	var attributes map[string]string
	if err := properties[keychainIface+"Item.Attributes"].Store(&attributes); err != nil {
		return "/", "/", dbus.MakeFailedError(err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last++
	path := keychainCollection + "/" + dbus.ObjectPath(strconv.Itoa(k.last))
	for old, item := range k.items {
		if maps.Equal(item.attributes, attributes) {
			path = old
		}
	}
	k.items[path] = keychainItem{attributes, s.Value}
	k.export(path, "Item", map[string]any{
		"GetSecret": func(session dbus.ObjectPath) (keychainSecret, *dbus.Error) {
			k.mu.Lock()
			defer k.mu.Unlock()
			return keychainSecret{session, []byte{}, k.items[path].secret, "text/plain"}, nil
		},
		"Delete": func() (dbus.ObjectPath, *dbus.Error) {
			k.mu.Lock()
			defer k.mu.Unlock()
			delete(k.items, path)
			return "/", nil
		},
	})
	return path, "/", nil
}

// secrets are all that it keeps.
func (k *keychain) secrets() (all []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, item := range k.items {
		all = append(all, string(item.secret))
	}
	return all
}
