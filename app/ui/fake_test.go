package ui

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"culvert/app/config"
	"culvert/app/discover"
	"culvert/app/doctor"
	"culvert/app/exchange"
	"culvert/app/history"
	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/settings"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"
)

// engine is a Controller that notes what it is asked for.
type engine struct {
	store *model.Store

	mu        sync.Mutex
	calls     []string
	fail      error // what the next call returns
	config    *config.Config
	hazards   map[string]discover.Hazard
	wishes    map[string]model.Wish
	exchanges map[string]*exchange.Exchange // what the history has, by ID
	pages     map[int64]model.Page          // by the cursor
	searched  []model.Filter
	checks    []doctor.Check
	way       model.NoticeWay
}

func (e *engine) note(format string, args ...any) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = append(e.calls, fmt.Sprintf(format, args...))
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

func (e *engine) Open(_ context.Context, target string, remember bool) (string, error) {
	how := "open"
	if remember {
		how = "open and remember"
	}
	if err := e.note("%s %s", how, target); err != nil {
		return "", err
	}
	e.store.PutTunnel(model.Tunnel{Key: target, Name: "localhost:" + target, Target: "localhost:" + target, State: model.Connecting})
	return target, nil
}
func (e *engine) Start(_ context.Context, key string) error    { return e.note("start %s", key) }
func (e *engine) Stop(_ context.Context, key string) error     { return e.note("stop %s", key) }
func (e *engine) RetryNow(_ context.Context, key string) error { return e.note("retry %s", key) }
func (e *engine) Probe(_ context.Context, key string) error    { return e.note("probe %s", key) }
func (e *engine) Remove(_ context.Context, key string) error {
	err := e.note("remove %s", key)
	if err == nil {
		e.store.RemoveTunnel(key)
	}
	return err
}
func (e *engine) Move(_ context.Context, key string, index int) error {
	return e.note("move %s to %d", key, index)
}
func (e *engine) Wish(key string) (model.Wish, bool) { w, ok := e.wishes[key]; return w, ok }
func (e *engine) Change(_ context.Context, key string, w model.Wish) (string, error) {
	return key, e.note("change %q to %s", key, w.Target)
}
func (e *engine) BringBack(_ context.Context, w model.Wish, index int) error {
	return e.note("bring back %s at %d", w.Target, index)
}
func (e *engine) Check(_ context.Context, target string) (discover.Hazard, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if target == "99999" {
		return discover.Hazard{}, errors.New("port 99999 is out of range")
	}
	return e.hazards[target], nil
}

func (e *engine) Profiles() []string { return slices.Sorted(maps.Keys(e.Config().Profiles)) }
func (e *engine) ChooseProfile(_ context.Context, name string) error {
	return e.note("choose %s", name)
}
func (e *engine) AllowLAN(_ context.Context, allow bool) error {
	if allow {
		return e.note("lan on")
	}
	return e.note("lan off")
}
func (e *engine) SaveProfile(_ context.Context, old string, p model.Profile) error {
	return e.note("save %s as %s", old, p.Name)
}
func (e *engine) RemoveProfile(_ context.Context, name string) error {
	return e.note("forget %s", name)
}
func (e *engine) TestProfile(_ context.Context, _ string, p model.Profile, report func(doctor.Check)) error {
	for _, c := range e.checks {
		report(c)
	}
	return e.note("test %s", p.Backend)
}

func (e *engine) Exchange(ctx context.Context, r *model.Request) (*exchange.Exchange, error) {
	return e.Recall(ctx, r.Exchange)
}
func (e *engine) Recall(_ context.Context, id string) (*exchange.Exchange, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if x := e.exchanges[id]; x != nil {
		return x, nil
	}
	return nil, history.ErrNotFound
}
func (e *engine) Replay(_ context.Context, x *exchange.Exchange, r model.Replay) error {
	return e.note("replay %s %s", x.ID, r.Method)
}
func (e *engine) Search(_ context.Context, f model.Filter, before int64) (model.Page, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.searched = append(e.searched, f)
	err := e.fail
	e.fail = nil
	return e.pages[before], err
}
func (e *engine) Clear(context.Context) error { return e.note("clear all") }
func (e *engine) Export(_ context.Context, rows []*model.Request, secrets bool) ([]byte, error) {
	return []byte("{}"), e.note("export %d, secrets %v", len(rows), secrets)
}
func (e *engine) Import(_ context.Context, file []byte) (int, error) {
	return 0, e.note("import %s", file)
}

func (e *engine) State(context.Context) settings.State { return settings.State{Config: e.Config()} }
func (e *engine) Config() *config.Config {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.config
}
func (e *engine) Edit(_ context.Context, change func(*config.Config)) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := *e.config
	change(&next)
	e.config = &next
	return nil
}
func (e *engine) SetLaunchAtLogin(_ context.Context, on bool) error { return e.note("login %v", on) }
func (e *engine) SetWatched(bool)                                   {}
func (e *engine) Retell()                                           {}
func (e *engine) ReadNotice(id string) {
	_ = e.note("read %q", id)
	list := slices.Clone(e.store.Received())
	for i := range list {
		list[i].Read = list[i].Read || id == "" || list[i].ID == id
	}
	e.store.SetReceived(list)
}
func (e *engine) ClearNotices()                             { _ = e.note("clear notices"); e.store.SetReceived(nil) }
func (e *engine) NoticeWay(context.Context) model.NoticeWay { return e.way }

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
	s.engine = &engine{store: store, config: config.Default(), hazards: map[string]discover.Hazard{}, wishes: map[string]model.Wish{},
		exchanges: map[string]*exchange.Exchange{}, pages: map[int64]model.Page{}}
	words.Set("en")
	t.Cleanup(func() { words.Set("en") })
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
	s.cfg.Store.PutTunnel(model.Tunnel{Key: key, Name: name, Detail: "localhost:3000", Target: "localhost:3000", State: model.Online, Since: s.now,
		URL: "http://127.0.0.1:40001/" + name})
	s.Sync()
}

// request puts a finished exchange into the log.
func (s *stage) request(key, path string, status int) *model.Request {
	x := &exchange.Exchange{ID: "x" + path, Tunnel: "shop", Target: "http://localhost:3000", Method: "GET", Path: path, Status: status,
		Start: s.now, RemoteAddr: "127.0.0.1"}
	return s.add(key, x)
}

const refused = "nothing is listening on localhost:3000: start the service, or open the tunnel to its port"

// fail is a request for a service that is not there.
func (s *stage) fail(key, path string) *model.Request {
	return s.add(key, &exchange.Exchange{ID: "x" + path, Tunnel: "shop", Method: "GET", Path: path, Status: 503, Start: s.now, RemoteAddr: "127.0.0.1",
		Err: refused, Detail: "dial tcp [::1]:3000: connect: connection refused", NoTarget: true})
}

func (s *stage) add(key string, x *exchange.Exchange) *model.Request {
	r := &model.Request{Tunnel: key, Name: x.Tunnel, Exchange: x.ID, Time: x.Start, Method: x.Method, Path: x.Path, Status: x.Status,
		Visitor: x.RemoteAddr, Err: x.Err, Detail: x.Detail, NoTarget: x.NoTarget, ReplayOf: x.ReplayOf}
	s.cfg.Store.AddRequest(r)
	s.cfg.Store.KeepExchange(r.ID, x)
	s.Sync()
	return r
}

// all are the objects of one kind that can be seen in the window, or over it.
func all[T fyne.CanvasObject](s *stage) (found []T) {
	roots := []fyne.CanvasObject{s.win.Content()}
	if top := s.win.Canvas().Overlays().Top(); top != nil {
		roots = []fyne.CanvasObject{top}
	}
	for _, root := range roots {
		for _, o := range test.LaidOutObjects(root) {
			if t, ok := o.(T); ok && o.Visible() {
				found = append(found, t)
			}
		}
	}
	return found
}

// button finds one by its label.
func (s *stage) button(label string) *look.Button {
	s.t.Helper()
	for _, b := range all[*look.Button](s) {
		if b.Text() == label {
			return b
		}
	}
	s.t.Fatalf("there is no button %q on the screen", label)
	return nil
}

// press taps one by its label.
func (s *stage) press(label string) {
	s.t.Helper()
	test.Tap(s.button(label))
}

// says reports whether a text stands on the screen.
func (s *stage) says(text string) bool {
	for _, c := range all[*canvas.Text](s) {
		if c.Text == text {
			return true
		}
	}
	return false
}

// tapRow taps row i of the table as it stands on the screen.
func (s *stage) tapRow(i int) {
	s.t.Helper()
	p := fyne.CurrentApp().Driver().AbsolutePositionForObject(s.table)
	test.TapCanvas(s.win.Canvas(), p.AddXY(200, 29+28*(float32(i)+0.5)))
}

// shortcut types Ctrl and a key, as the driver does.
func (s *stage) shortcut(key fyne.KeyName) {
	sc := &desktop.CustomShortcut{KeyName: key, Modifier: fyne.KeyModifierShortcutDefault}
	if f, ok := s.win.Canvas().Focused().(fyne.Shortcutable); ok {
		f.TypedShortcut(sc)
		return
	}
	s.Window.press(key) // what the canvas does with one that no widget takes
}

// escapeKey types Escape wherever the focus is.
func (s *stage) escapeKey() {
	ev := &fyne.KeyEvent{Name: fyne.KeyEscape}
	if f := s.win.Canvas().Focused(); f != nil {
		f.TypedKey(ev)
	} else {
		s.win.Canvas().OnTypedKey()(ev)
	}
}
