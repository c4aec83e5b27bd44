package ui

import (
	"context"
	"net/url"
	"path/filepath"

	"culvert/app/config"
	"culvert/app/doctor"
	"culvert/app/exchange"
	"culvert/app/ui/editor"
	"culvert/app/ui/frame"
	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/settings"
)

// generalPage is where the language is chosen.
const generalPage = settings.General

func (w *Window) buildSheets() {
	w.buildSettings()
	w.buildForms()
	w.buildInbox()
}

// buildClosedSheets makes those anew that are not on the screen. One of the forms may
// be: what was typed into it is worth more than its colours.
func (w *Window) buildClosedSheets() {
	if !look.Covered(w.win.Canvas()) {
		w.buildSheets()
		return
	}
	if w.settings.Visible() {
		w.buildForms()
	}
	if !w.inbox.Visible() {
		w.buildInbox()
	}
}

func (w *Window) buildSettings() {
	c := w.win.Canvas()
	w.settings = settings.New(c, settings.Actions{
		Edit: func(change func(*config.Config), done func(error)) {
			w.setting(func(ctx context.Context) error { return w.cfg.Controller.Edit(ctx, change) }, done)
		},
		SaveProfile: func(old string, p settings.Profile, done func(error)) {
			w.setting(func(ctx context.Context) error { return w.cfg.Controller.SaveProfile(ctx, old, model.Profile(p)) }, done)
		},
		RemoveProfile: func(name string, done func(error)) {
			w.setting(func(ctx context.Context) error { return w.cfg.Controller.RemoveProfile(ctx, name) }, done)
		},
		Test:         w.test,
		ClearHistory: func(done func(error)) { w.clearHistory(func(err error) { w.loadSettings(); done(err) }) },
		SetLaunchAtLogin: func(on bool, done func(error)) {
			w.setting(func(ctx context.Context) error { return w.cfg.Controller.SetLaunchAtLogin(ctx, on) }, done)
		},
		OpenFile: w.openPath,
		Copy:     func(text string) { w.copyText(text, func() {}) },
		Ask: func(title, text, yes, no string, answer func(bool)) {
			frame.Ask(c, frame.Question{Title: title, Text: text, Yes: yes, No: no}, answer)
		},
	})
}

func (w *Window) buildForms() {
	c := w.win.Canvas()
	w.form = editor.NewTunnelForm(c, editor.TunnelActions{
		CheckTarget: func(text string, done func(error)) {
			w.cfg.Bridge.Go(func(ctx context.Context) error {
				_, err := w.cfg.Controller.Check(ctx, text)
				return err
			}, done)
		},
		Save: w.saveTunnel,
	})
	w.shareSheet = editor.NewShare(c, editor.ShareActions{
		Copy: func(text string) { w.copyText(text, func() {}) },
		Open: func(text string) {
			if u, err := url.Parse(text); err == nil {
				w.browse(u)
			}
		},
		SavePNG: w.saveFileTelling,
	})
	w.replayForm = editor.NewReplay(c, editor.ReplayActions{
		Send: func(x *exchange.Exchange, r editor.Request, done func(error)) {
			w.send(x, model.Replay(r), done)
		},
	})
}

func (w *Window) closeSheets() {
	w.settings.Hide()
	w.form.Hide()
	w.shareSheet.Hide()
	w.replayForm.Hide()
	w.inbox.Hide()
}

// showSettings opens the settings with what is known, and brings the rest as it comes:
// the keychain and the disk may take a moment.
func (w *Window) showSettings(page settings.Page) {
	w.settings.Sync(settings.State{Config: w.cfg.Controller.Config()})
	w.settings.Show(page)
	w.loadSettings()
}

// showDoctor leads to the checks of a tunnel's backend, and starts them.
func (w *Window) showDoctor(profile string) {
	w.settings.Sync(settings.State{Config: w.cfg.Controller.Config()})
	w.settings.Check(profile)
	w.loadSettings()
}

// loadSettings reads what the sheet shows.
func (w *Window) loadSettings() {
	var s settings.State
	w.cfg.Bridge.Go(func(ctx context.Context) error {
		s = w.cfg.Controller.State(ctx)
		return nil
	}, func(error) {
		w.settings.Sync(s)
	})
}

// setting makes a change and shows what has come of it.
func (w *Window) setting(change func(context.Context) error, done func(error)) {
	var s settings.State
	w.cfg.Bridge.Go(func(ctx context.Context) error {
		err := change(ctx)
		s = w.cfg.Controller.State(ctx)
		return err
	}, func(err error) {
		w.settings.Sync(s)
		done(err)
		w.Sync()
	})
}

// test checks a backend. After stop nothing is reported any more.
func (w *Window) test(old string, p settings.Profile, report func(doctor.Check), done func(error)) func() {
	ctx, cancel := context.WithCancel(context.Background())
	w.cfg.Bridge.Go(func(end context.Context) error {
		defer context.AfterFunc(end, cancel)()
		return w.cfg.Controller.TestProfile(ctx, old, model.Profile(p), func(c doctor.Check) {
			w.cfg.Bridge.Post(func() {
				if ctx.Err() == nil {
					report(c)
				}
			})
		})
	}, func(err error) {
		if ctx.Err() == nil {
			done(err)
		}
		cancel()
	})
	return cancel
}

// openPath shows a file or folder with the desktop's own program.
func (w *Window) openPath(path string) {
	w.browse(&url.URL{Scheme: "file", Path: filepath.ToSlash(path)})
}
