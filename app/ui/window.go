package ui

import (
	"context"
	"image/color"
	"time"

	"culvert/app/config"
	"culvert/app/exchange"
	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/tray"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
)

// Title is the window's title.
const Title = "Culvert"

// Window is the one window of the program. Its methods are for the toolkit's
// goroutine, but for HandleLaunch and Raise.
type Window struct {
	cfg Config
	win fyne.Window

	*parts
	view  *model.View
	found *model.Found
	tray  *tray.Tray // nil where the desktop has none

	scope     string // key of the selected tunnel, "" for all
	visible   bool
	shown     bool // has been visible before
	asking    bool // the question whether to quit is on the screen
	underWay  int  // how many tunnels are about to be opened
	openError string
	flashes   map[*look.Button]flash
	removed   *removed // what can be brought back, nil if there is nothing
	news      news

	inspected inspected
	repeated  struct { // the last row that was sent again
		id uint64
		at time.Time
	}
	search  search
	applied applied
	base    color.Color // the theme's background when sheets were built
}

// inspected is what the inspector shows, or is about to.
type inspected struct {
	row   *model.Request // nil for nothing
	x     *exchange.Exchange
	turn  int     // counts what was asked for, so that late answers are known
	split float32 // the inspector's part of the height that it shares with the table
	// replayed is the ID of an exchange that is being repeated: the row that says so is
	// selected when it comes, unless it was there before.
	replayed string
	before   uint64 // ID of the newest row then
}

// New builds the window without showing it.
func New(cfg Config) (*Window, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	w := &Window{cfg: cfg, win: cfg.App.NewWindow(Title), view: model.NewView(cfg.Store), found: &model.Found{},
		flashes: map[*look.Button]flash{}, inspected: inspected{split: splitAtFirst}}
	w.applied = wantedOf(cfg.Controller.Config())
	w.wear()
	w.build()
	w.win.SetPadded(false)
	w.win.Resize(fyne.NewSize(1280, 800))
	w.addShortcuts()
	w.win.Canvas().SetOnTypedKey(w.typedKey)
	w.tray = tray.New(cfg.App, tray.Actions{
		CopyURL: w.copyURL, OpenURL: w.openURL, Start: w.start, Stop: w.stop,
		NewTunnel: w.newTunnel, Show: w.Show, Quit: w.RequestQuit,
	})
	w.win.SetCloseIntercept(w.close)
	w.Sync()
	return w, nil
}

// Run follows the store until the bridge is closed.
func (w *Window) Run() { w.cfg.Bridge.Run(w.cfg.Store.Changed(), w.Sync) }

// Show brings the window to the front.
func (w *Window) Show() {
	w.setVisible(true)
	w.win.Show()
	w.win.RequestFocus()
	if !w.shown {
		w.shown = true
		w.focusTarget() // the first thing to do is to type a port
	}
}

// Raise is Show for any goroutine.
func (w *Window) Raise() { w.cfg.Bridge.Post(w.Show) }

// Hide leaves only the tray.
func (w *Window) Hide() {
	w.setVisible(false)
	w.win.Hide()
}

func (w *Window) setVisible(visible bool) {
	w.visible = visible
	w.cfg.Bridge.SetVisible(visible)
	w.cfg.Controller.SetWatched(visible)
}

// Sync brings tray and window up to date.
func (w *Window) Sync() {
	w.apply()
	tunnels, backend := w.cfg.Store.Tunnels(), w.cfg.Store.Backend()
	if w.tray != nil {
		w.tray.Sync(tunnels)
	}
	now := w.cfg.Now()
	w.endFlashes(now)
	w.syncTunnels(tunnels, backend, now)
	w.table.Sync()
	w.followReplay()
	w.syncRequests(tunnels, backend)
	w.syncInspector()
	w.syncInbox()
}

// applied is what of the config file the window itself has in force.
type applied struct{ language, theme string }

func wantedOf(c *config.Config) applied { return applied{c.Language, c.Theme} }

// apply puts a changed language or theme in force. Parts take their words when they
// are built, so another language builds them anew.
func (w *Window) apply() {
	if wanted := wantedOf(w.cfg.Controller.Config()); wanted != w.applied {
		spoken := words.Tag()
		w.applied = wanted
		w.wear()
		if words.Tag() != spoken {
			w.cfg.Controller.Retell()
			w.rebuild()
		}
	}
	// The toolkit repaints what is in the window; sheets that are closed are not.
	if base := look.Color(look.ColorBase); base != w.base {
		w.base = base
		w.buildClosedSheets()
	}
}

// wear sets language and theme.
func (w *Window) wear() {
	words.Set(w.applied.language)
	w.cfg.App.Settings().SetTheme(dressed(w.applied.theme))
}

// rebuild makes the parts anew and leads back to where the user was.
func (w *Window) rebuild() {
	filter, row := w.bar.Filter(), w.table.Selected()
	settings := w.settings.Visible()
	w.closeSheets()
	clear(w.flashes)
	w.build()
	w.bar.SetFilter(filter)
	w.inspected.row, w.inspected.x = nil, nil
	if row != nil {
		w.table.Select(row.ID)
	}
	if settings {
		w.showSettings(generalPage)
	}
}

// command runs one of the controller's; when it fails the user reads what did not
// happen, and why.
func (w *Window) command(failed string, run func(context.Context) error) {
	w.cfg.Bridge.Go(run, func(err error) {
		if err != nil {
			w.cfg.Store.AddNotice(failed + " " + model.Sentence(err.Error()))
		}
	})
}

func (w *Window) tunnel(key string) *model.Tunnel {
	for _, t := range w.cfg.Store.Tunnels() {
		if t.Key == key {
			return &t
		}
	}
	return nil
}

// HandleLaunch takes over the flags of a second launch, from any goroutine.
func (w *Window) HandleLaunch(targets []string, minimized bool) {
	w.cfg.Bridge.Post(func() {
		if !minimized {
			w.Show()
		}
		w.OpenAll(targets)
	})
}

// news is good news: a line that goes by itself.
type news struct {
	text  string
	until time.Time
}

// newsFor is how long good news stands.
const newsFor = 10 * time.Second

// removedFor is how long a removed tunnel can be brought back.
const removedFor = 20 * time.Second
