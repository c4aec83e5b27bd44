package ui

import (
	"context"
	"errors"
	"net/url"
	"sync"
	"testing"
	"time"

	"culvert/app/ui/look"
	"culvert/app/ui/model"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
)

// engine is a Controller that notes what it is asked for.
type engine struct {
	store *model.Store

	mu    sync.Mutex
	calls []string
	fail  error // what the next call returns
}

func (e *engine) note(call string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = append(e.calls, call)
	err := e.fail
	e.fail = nil
	return err
}

func (e *engine) took() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	calls := e.calls
	e.calls = nil
	return calls
}

func (e *engine) Open(_ context.Context, target string) (string, error) {
	if err := e.note("open " + target); err != nil {
		return "", err
	}
	e.store.PutTunnel(model.Tunnel{Key: target, Name: "localhost:" + target, State: model.Connecting})
	return target, nil
}
func (e *engine) Start(_ context.Context, key string) error    { return e.note("start " + key) }
func (e *engine) Stop(_ context.Context, key string) error     { return e.note("stop " + key) }
func (e *engine) RetryNow(_ context.Context, key string) error { return e.note("retry " + key) }
func (e *engine) Remove(_ context.Context, key string) error   { return e.note("remove " + key) }
func (e *engine) AllowLAN(_ context.Context, allow bool) error {
	if allow {
		return e.note("lan on")
	}
	return e.note("lan off")
}

// helper is a desktop clipboard, which may be missing.
type helper struct {
	missing bool
	text    string
}

func (h *helper) Write(_ context.Context, text string) error {
	if h.missing {
		return errors.New("no xclip here")
	}
	h.text = text
	return nil
}

// trayApp is Fyne's test application, and has a tray.
type trayApp struct {
	fyne.App
	menu *fyne.Menu
}

func (a *trayApp) SetSystemTrayMenu(m *fyne.Menu)  { a.menu = m }
func (a *trayApp) SetSystemTrayIcon(fyne.Resource) {}
func (a *trayApp) SetSystemTrayWindow(fyne.Window) {}

// stage is a window with everything around it replaced.
type stage struct {
	*Window
	t         *testing.T
	app       *trayApp
	kit       *toolkit
	engine    *engine
	clipboard *helper
	now       time.Time
	hosted    bool
	quits     int
	opened    []string
}

func newStage(t *testing.T, size fyne.Size) *stage {
	t.Helper()
	s := &stage{t: t, app: &trayApp{App: test.NewTempApp(t)}, kit: newToolkit(), clipboard: &helper{}, hosted: true,
		now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	s.app.Settings().SetTheme(look.Theme{})
	store := model.NewStore()
	store.SetBackend(model.Backend{Name: "Built-in relay", BuiltIn: true})
	s.engine = &engine{store: store}
	bridge := newBridge(s.kit.do)
	w, err := New(Config{
		App: s.app, Store: store, Controller: s.engine, Bridge: bridge, Clipboard: s.clipboard,
		OpenURL:  func(u *url.URL) error { s.opened = append(s.opened, u.String()); return nil },
		TrayHost: func(context.Context) bool { return s.hosted },
		Quit:     func() { s.quits++ },
		Now:      func() time.Time { return s.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Window = w
	w.win.Resize(size)
	w.Show()
	t.Cleanup(func() { bridge.Close(); w.win.Close() })
	return s
}

// settle waits for the work that the window has started, and lets the toolkit
// answer it.
func (s *stage) settle() {
	s.t.Helper()
	s.cfg.Bridge.wg.Wait()
	for s.kit.run() > 0 {
		s.cfg.Bridge.wg.Wait()
	}
	s.Sync()
}

// online puts a tunnel that works into the store.
func (s *stage) online(key, name string) {
	s.cfg.Store.PutTunnel(model.Tunnel{Key: key, Name: name, Detail: "localhost:3000", State: model.Online, Since: s.now,
		URL: "http://127.0.0.1:40001/" + name})
	s.Sync()
}

func (s *stage) request(key, path string, status int) {
	s.cfg.Store.AddRequest(&model.Request{Tunnel: key, Time: s.now, Method: "GET", Path: path, Status: status, Visitor: "127.0.0.1"})
	s.Sync()
}
