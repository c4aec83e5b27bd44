package ui

import (
	"cmp"
	"context"
	"net/url"
	"time"

	"culvert/app/discover"
	"culvert/app/ui/editor"
	"culvert/app/ui/frame"
	"culvert/app/ui/model"
	"culvert/app/ui/words"
)

// This file has what cards, tray and the bar at the top ask for.

// open starts a tunnel to what was typed. A failure is said beneath the field, and the
// text stays there to be corrected.
func (w *Window) open(text string) {
	var hazard discover.Hazard
	w.opening(1)
	w.cfg.Bridge.Go(func(ctx context.Context) (err error) {
		hazard, err = w.cfg.Controller.Check(ctx, text)
		return err
	}, func(err error) {
		w.opening(-1)
		w.setOpenError(err)
		if err == nil {
			w.unlessHazardous(text, hazard, func() { w.openChecked(text) })
		}
	})
}

// unlessHazardous asks before something is exposed that should not be.
func (w *Window) unlessHazardous(target string, h discover.Hazard, then func()) {
	if h.Kind == discover.NoHazard {
		then()
		return
	}
	reach := words.T("Whoever has the tunnel's URL will be able to reach it.")
	if b := w.cfg.Store.Backend(); b.BuiltIn && !b.LAN {
		reach = words.T("For now only this computer can open the tunnel's URL.")
	}
	frame.Ask(w.win.Canvas(), frame.Question{
		Title: words.T("Open a tunnel to %s?", target),
		Text:  h.Name + ". " + model.HazardWhy(h) + " " + reach,
		Yes:   words.T("Open anyway"), No: words.T("Cancel"),
	}, func(yes bool) {
		if yes {
			then()
		}
	})
}

func (w *Window) openChecked(text string) {
	var key string
	w.opening(1)
	w.cfg.Bridge.Go(func(ctx context.Context) (err error) {
		key, err = w.cfg.Controller.Open(ctx, text, true)
		return err
	}, func(err error) {
		w.opening(-1)
		w.setOpenError(err)
		if err != nil {
			return
		}
		if w.opener.Text() == text {
			w.opener.SetText("")
		}
		w.reveal(key)
	})
}

// reveal leads to a tunnel's card.
func (w *Window) reveal(key string) {
	if w.scope != "" && w.scope != key {
		w.selectTunnel(key)
	}
	w.Sync()
	w.cards.Reveal(key)
}

// openService opens a tunnel to what was found, or leads to the one that it has.
func (w *Window) openService(s discover.Service) {
	for _, t := range w.cfg.Store.Tunnels() {
		if t.Target == s.Target {
			if !t.State.Running() {
				w.start(t.Key)
			}
			w.reveal(t.Key)
			return
		}
	}
	w.unlessHazardous(s.Target, s.Hazard, func() { w.openChecked(s.Target) })
}

// opening counts how many tunnels are about to be opened from the window.
func (w *Window) opening(more int) {
	w.underWay += more
	w.syncOpener(w.cfg.Store.Tunnels(), w.cfg.Store.Backend())
}

func (w *Window) setOpenError(err error) {
	w.openError = ""
	if err != nil {
		w.openError = model.Sentence(err.Error())
	}
	w.syncOpener(w.cfg.Store.Tunnels(), w.cfg.Store.Backend())
}

// OpenAll opens the targets of a launch, in their order; failures become notices.
func (w *Window) OpenAll(targets []string) {
	if len(targets) == 0 {
		return
	}
	w.cfg.Bridge.Go(func(ctx context.Context) error {
		for _, t := range targets {
			if _, err := w.cfg.Controller.Open(ctx, t, false); err != nil {
				w.cfg.Store.AddNotice(words.T("Could not open %s.", t) + " " + model.Sentence(err.Error()))
			}
		}
		return nil
	}, nil)
}

func (w *Window) newTunnel() {
	w.Show()
	w.focusTarget()
}

func (w *Window) start(key string) {
	w.command(words.T("The tunnel was not started."), func(ctx context.Context) error { return w.cfg.Controller.Start(ctx, key) })
}

func (w *Window) stop(key string) {
	w.command(words.T("The tunnel was not stopped."), func(ctx context.Context) error { return w.cfg.Controller.Stop(ctx, key) })
}

func (w *Window) retryNow(key string) {
	w.command(words.T("The tunnel did not try again."), func(ctx context.Context) error { return w.cfg.Controller.RetryNow(ctx, key) })
}

func (w *Window) probe(key string) {
	w.command(words.T("The tunnel was not looked after."), func(ctx context.Context) error { return w.cfg.Controller.Probe(ctx, key) })
}

func (w *Window) move(key string, index int) {
	w.command(words.T("The new order will not be remembered."), func(ctx context.Context) error { return w.cfg.Controller.Move(ctx, key, index) })
}

// removed is a tunnel that was taken away, and can be brought back for a while.
type removed struct {
	name  string
	wish  model.Wish
	index int
	until time.Time
}

// remove takes a stopped tunnel away; a running one has no such button, because
// visitors may be using its URL.
func (w *Window) remove(key string) {
	if w.scope == key {
		w.selectTunnel("")
	}
	var gone *removed
	if wish, ok := w.cfg.Controller.Wish(key); ok {
		for i, t := range w.cfg.Store.Tunnels() {
			if t.Key == key {
				gone = &removed{name: t.Name, wish: wish, index: i, until: w.cfg.Now().Add(removedFor)}
			}
		}
	}
	w.cfg.Bridge.Go(func(ctx context.Context) error { return w.cfg.Controller.Remove(ctx, key) }, func(err error) {
		if err != nil {
			w.cfg.Store.AddNotice(words.T("The tunnel was not removed.") + " " + model.Sentence(err.Error()))
			return
		}
		w.removed = gone
		w.Sync()
	})
}

// undoRemove brings the tunnel back that was removed last, stopped as it was.
func (w *Window) undoRemove() {
	r := w.removed
	w.removed = nil
	if r == nil {
		return
	}
	w.command(words.T("The tunnel was not brought back."), func(ctx context.Context) error {
		return w.cfg.Controller.BringBack(ctx, r.wish, r.index)
	})
	w.Sync()
}

// edit shows the form of a tunnel; duplicate one that is like it.
func (w *Window) edit(key string) { w.showForm(key, key) }

func (w *Window) duplicate(key string) { w.showForm(key, "") }

func (w *Window) showForm(of, key string) {
	t, wish := w.tunnel(of), model.Wish{}
	ok := false
	if t != nil {
		wish, ok = w.cfg.Controller.Wish(of)
	}
	if !ok {
		return
	}
	s := editor.TunnelState{Key: key, Tunnel: editor.Tunnel(wish), Title: t.Name, Profiles: w.cfg.Controller.Profiles()}
	if key != "" {
		s.URL, s.Running = t.URL, t.State.Running()
	} else {
		s.Tunnel.Name, s.Tunnel.Start = "", false // a name belongs to one tunnel
	}
	w.form.Show(s)
}

func (w *Window) saveTunnel(key string, t editor.Tunnel, done func(error)) {
	saved := key
	w.cfg.Bridge.Go(func(ctx context.Context) (err error) {
		saved, err = w.cfg.Controller.Change(ctx, key, model.Wish(t))
		return err
	}, func(err error) {
		done(err)
		if err == nil {
			w.reveal(saved)
		}
	})
}

func (w *Window) share(key string) {
	if t := w.tunnel(key); t != nil && t.URL != "" {
		w.shareSheet.Show(editor.ShareState{Title: t.Name, URL: t.URL, Local: !t.Public})
	}
}

func (w *Window) chooseProfile(name string) {
	w.command(words.T("The choice of the backend will not be remembered."), func(ctx context.Context) error {
		return w.cfg.Controller.ChooseProfile(ctx, name)
	})
}

func (w *Window) allowLAN(allow bool) {
	failed := words.T("Other devices were not let in.")
	if !allow {
		failed = words.T("Other devices were not shut out.")
	}
	w.command(failed, func(ctx context.Context) error { return w.cfg.Controller.AllowLAN(ctx, allow) })
}

func (w *Window) openURL(key string) {
	t := w.tunnel(key)
	if t == nil || t.URL == "" {
		return
	}
	// A path-form URL is a folder: relative links need its slash.
	u, err := url.Parse(cmp.Or(t.Browse, t.URL))
	if err != nil {
		return // the engine lets no such URL through
	}
	if u.Path != "" && u.Path[len(u.Path)-1] != '/' {
		u.Path += "/"
	}
	w.browse(u)
}

func (w *Window) browse(u *url.URL) {
	w.command(words.T("The browser was not opened."), func(context.Context) error { return w.cfg.OpenURL(u) })
}
