package ui

import (
	"cmp"
	"context"
	"net/url"
	"time"

	"culvert/app/ui/cards"
	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/requests"
	"culvert/app/ui/tray"

	"fyne.io/fyne/v2"
)

// Title is the window's title.
const Title = "Culvert"

// Window is the one window of the program. Its methods are for the toolkit's
// goroutine, but for HandleLaunch.
type Window struct {
	cfg Config
	win fyne.Window

	parts
	view  *model.View
	table *requests.Table
	cards *cards.Column
	tray  *tray.Tray // nil where the desktop has none

	scope    string // key of the selected tunnel, "" for all
	visible  bool
	shown    bool // has been visible before
	asking   bool // the question whether to quit is on the screen
	underWay int  // how many tunnels are about to be opened
	flashes  map[*look.Button]flash
}

// New builds the window without showing it.
func New(cfg Config) (*Window, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	w := &Window{cfg: cfg, win: cfg.App.NewWindow(Title), view: model.NewView(cfg.Store), flashes: map[*look.Button]flash{}}
	w.build()
	w.win.SetContent(w.root)
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
	w.visible = true
	w.cfg.Bridge.SetVisible(true)
	w.win.Show()
	w.win.RequestFocus()
	if !w.shown {
		w.shown = true
		w.focusTarget() // the first thing to do is to type a port
	}
}

// Hide leaves only the tray.
func (w *Window) Hide() {
	w.visible = false
	w.cfg.Bridge.SetVisible(false)
	w.win.Hide()
}

// Sync brings tray and window up to date.
func (w *Window) Sync() {
	tunnels, backend := w.cfg.Store.Tunnels(), w.cfg.Store.Backend()
	if w.tray != nil {
		w.tray.Sync(tunnels)
	}
	now := w.cfg.Now()
	w.endFlashes(now)
	w.syncTunnels(tunnels, backend, now)
	w.table.Sync()
	w.syncRequests(tunnels, backend)
}

// open starts a tunnel to what stands in the field. A failure is said beneath it,
// and the text stays there to be corrected.
func (w *Window) open() {
	text := w.target.Text
	var key string
	w.opening(1)
	w.cfg.Bridge.Go(func(ctx context.Context) (err error) {
		key, err = w.cfg.Controller.Open(ctx, text)
		return err
	}, func(err error) {
		w.opening(-1)
		w.setError(err)
		if err != nil {
			return
		}
		if w.target.Text == text {
			w.target.SetText("")
		}
		if w.scope != "" {
			w.selectTunnel(key)
		}
		w.Sync()
		w.cards.Reveal(key)
	})
}

// opening counts how many tunnels are about to be opened from the field.
func (w *Window) opening(more int) {
	w.underWay += more
	label := "Open tunnel"
	if w.underWay > 0 {
		label = "Opening…"
	}
	w.openButton.SetText(label)
}

// OpenAll opens the targets of a launch, in their order; failures become notices.
func (w *Window) OpenAll(targets []string) {
	if len(targets) == 0 {
		return
	}
	w.cfg.Bridge.Go(func(ctx context.Context) error {
		for _, t := range targets {
			if _, err := w.cfg.Controller.Open(ctx, t); err != nil {
				w.cfg.Store.AddNotice(model.Sentence("could not open "+t) + " " + model.Sentence(err.Error()))
			}
		}
		return nil
	}, nil)
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

func (w *Window) newTunnel() {
	w.Show()
	w.focusTarget()
}

func (w *Window) selectTunnel(key string) {
	if w.scope == key {
		key = "" // a second tap shows all again
	}
	w.scope = key
	w.table.Unselect()
	w.table.Filter(w.scope, w.filter.Text)
	w.Sync()
}

// command runs one of the controller's; when it fails the user reads what did not
// happen, and why.
func (w *Window) command(failed string, run func(context.Context) error) {
	w.cfg.Bridge.Go(run, func(err error) {
		if err != nil {
			w.cfg.Store.AddNotice(model.Sentence(failed) + " " + model.Sentence(err.Error()))
		}
	})
}

func (w *Window) start(key string) {
	w.command("the tunnel was not started", func(ctx context.Context) error { return w.cfg.Controller.Start(ctx, key) })
}

func (w *Window) stop(key string) {
	w.command("the tunnel was not stopped", func(ctx context.Context) error { return w.cfg.Controller.Stop(ctx, key) })
}

func (w *Window) retryNow(key string) {
	w.command("the tunnel did not try again", func(ctx context.Context) error { return w.cfg.Controller.RetryNow(ctx, key) })
}

// remove takes a stopped tunnel away; a running one has no such button, because
// visitors may be using its URL.
func (w *Window) remove(key string) {
	if w.scope == key {
		w.selectTunnel("")
	}
	w.command("the tunnel was not removed", func(ctx context.Context) error { return w.cfg.Controller.Remove(ctx, key) })
}

func (w *Window) allowLAN(allow bool) {
	failed := "other devices were not let in"
	if !allow {
		failed = "other devices were not shut out"
	}
	w.command(failed, func(ctx context.Context) error {
		return w.cfg.Controller.AllowLAN(ctx, allow)
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

func (w *Window) copyURL(key string) {
	if t := w.tunnel(key); t != nil && t.URL != "" {
		w.copyText(t.URL, func() { w.cards.Copied(key, w.cfg.Now()) })
	}
}

// copyWith copies at the press of a button, which then says so for a moment.
func (w *Window) copyWith(b *look.Button, text string) {
	w.copyText(text, func() {
		label := b.Text()
		if f, again := w.flashes[b]; again {
			label = f.label
		}
		w.flashes[b] = flash{label, w.cfg.Now().Add(copiedFor)}
		b.SetText("Copied")
	})
}

// endFlashes gives buttons their own words back.
func (w *Window) endFlashes(now time.Time) {
	for b, f := range w.flashes {
		if !now.Before(f.until) {
			delete(w.flashes, b)
			b.SetText(f.label)
		}
	}
}

// copyText puts text on the clipboard: the desktop's, where it outlives this
// program, else the toolkit's.
func (w *Window) copyText(text string, then func()) {
	w.cfg.Bridge.Go(func(ctx context.Context) error { return w.cfg.Clipboard.Write(ctx, text) }, func(err error) {
		if err != nil {
			w.cfg.App.Clipboard().SetContent(text)
		}
		then()
	})
}

func (w *Window) openURL(key string) {
	t := w.tunnel(key)
	if t == nil || t.URL == "" {
		return
	}
	w.command("the browser was not opened", func(context.Context) error {
		// A path-form URL is a folder: relative links need its slash.
		u, err := url.Parse(cmp.Or(t.Browse, t.URL))
		if err != nil {
			return err
		}
		if u.Path != "" && u.Path[len(u.Path)-1] != '/' {
			u.Path += "/"
		}
		return w.cfg.OpenURL(u)
	})
}

// trayPatience bounds the wait for the desktop's answer when the window closes.
const trayPatience = 2 * time.Second

// close is what the window's close button does. With a tray the tunnels go on
// behind its icon. Without one a hidden window could not be brought back, so
// closing quits.
func (w *Window) close() {
	hosted := false
	w.cfg.Bridge.Go(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, trayPatience)
		defer cancel()
		hosted = w.cfg.TrayHost(ctx)
		return nil
	}, func(error) {
		if hosted && w.tray != nil {
			w.Hide()
			return
		}
		w.RequestQuit()
	})
}

// RequestQuit ends the program; with tunnels open it asks first, once: asked again
// while the question stands, it quits.
func (w *Window) RequestQuit() {
	tunnels := w.cfg.Store.Tunnels()
	open := model.Count(tunnels, model.Connecting, model.Online, model.Reconnecting)
	if open == 0 || w.asking {
		w.cfg.Quit()
		return
	}
	w.Show()
	w.asking = true
	text := "1 tunnel is open. Its URL stops working."
	if open > 1 {
		text = model.Number(open) + " tunnels are open. Their URLs stop working."
	}
	w.ask(question{title: "Quit Culvert?", text: text, yes: "Quit", no: "Keep running"}, func(yes bool) {
		w.asking = false
		if yes {
			w.cfg.Quit()
		}
	})
}
