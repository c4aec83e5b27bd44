package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"

	"culvert/app/autostart"
	"culvert/app/config"
	"culvert/app/crash"
	"culvert/app/engine"
	"culvert/app/notify"
	"culvert/app/secret"
	"culvert/app/ui"
	"culvert/app/ui/control"
	"culvert/app/ui/model"
	"culvert/app/ui/notices"
	"culvert/app/ui/words"
	"culvert/app/version"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/app"
	"fyne.io/fyne/v2/lang"
)

// program is everything that runs, from the toolkit down to the engine.
type program struct {
	flags    *flags
	app      fyne.App
	store    *model.Store
	notifier *notify.Notifier
	notices  *notices.Policy
	secrets  *secret.Store
	control  *control.Control
	engine   *engine.Engine
	window   atomic.Pointer[ui.Window]
	unwatch  func() // ends the watch for crashes
	deaf     func() // ends the handling of signals
}

func newProgram(f *flags, dir *config.Dir) (*program, error) {
	p := &program{flags: f, store: model.NewStore(), unwatch: func() {}, deaf: func() {}}
	p.app = newApp()
	words.SetDesktop(lang.SystemLocale().LanguageString())
	report := p.watchCrashes(dir.Path())

	backend, err := f.backend()
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	p.notifier = notify.New(notify.Config{App: "Culvert", Icon: iconName, DesktopEntry: desktopEntry, Send: func(title, body string) {
		p.app.SendNotification(fyne.NewNotification(title, body))
	}})
	p.notices = notices.New(p.notifier, p.raise, p.raiseNotice)
	p.secrets = secret.New(secret.Config{Folder: filepath.Join(dir.Path(), "tokens")})
	state, _ := dir.State() // the engine reports what is wrong with it
	p.control = control.New(control.Config{
		Store: p.store, Dir: dir, Secrets: p.secrets, Notices: p.notices, Login: login(f), Backend: backend,
		LAN: state.AllowLAN, CrashReport: report, Logger: log,
	})
	p.engine, err = engine.New(engine.Config{Dir: dir, OnEvent: p.control.OnEvent, Bodies: true, Lights: true, RememberLAN: true, Logger: log})
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	p.control.Attach(p.engine)
	return p, nil
}

// watchCrashes tells of the last crash, and keeps what Go says at the next. It returns
// the path of the report, or "".
func (p *program) watchCrashes(dir string) (report string) {
	last, err := crash.Last(dir)
	if err == nil && last != nil {
		report = last.Path
		p.store.AddNotice(words.T("Culvert ended because of a mistake of its own the last time. What is known of it stands in %s: have a look, and report it.", last.Path))
	}
	if stop, err := crash.Watch(dir, version.Number); err == nil {
		p.unwatch = stop
	}
	return report
}

// raise brings the window to the front, from any goroutine.
func (p *program) raise() {
	if w := p.window.Load(); w != nil {
		w.Raise()
	}
}

// raiseNotice brings the window to the front at a notice, from any goroutine.
func (p *program) raiseNotice(id string) {
	if w := p.window.Load(); w != nil {
		w.RaiseNotice(id)
	}
}

// close ends what newProgram has begun, in the opposite order.
func (p *program) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	var errs []error
	if p.engine != nil {
		errs = append(errs, p.engine.Close(ctx))
	}
	errs = append(errs, p.control.Close(ctx))
	p.notices.Close()
	p.notifier.Close()
	errs = append(errs, p.secrets.Close(ctx))
	p.unwatch()
	p.deaf()
	return errors.Join(errs...)
}

// newApp is the toolkit's application.
func newApp() fyne.App {
	if cache, err := os.UserCacheDir(); err == nil {
		_ = os.MkdirAll(cache, 0o700) // else Fyne complains on a fresh account
	}
	meta := metadata(os.Getenv(uiCheckVariable) == "1")
	app.SetMetadata(meta)
	a := app.NewWithID(meta.ID)
	a.SetIcon(meta.Icon)
	return a
}

// login is how the system starts this program, nil if it is not known where it lies.
func login(f *flags) control.Login {
	exe, err := os.Executable()
	if err != nil {
		fmt.Fprintf(os.Stderr, "culvert-desktop: finding this program: %v\n", err)
		return nil
	}
	var args []string
	if f.Config != "" {
		if path, err := filepath.Abs(f.Config); err == nil {
			args = []string{"--config", path}
		}
	}
	return autostart.New(exe, args...)
}
