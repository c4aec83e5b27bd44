// Command culvert-desktop is the tray application: it opens tunnels from a window
// and from the tray, and shows the requests that pass.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"culvert/app/config"
	"culvert/app/engine"
	"culvert/app/ui"
	"culvert/app/ui/control"
	"culvert/app/ui/instance"
	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/tray"

	"fyne.io/fyne/v2/app"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	err := run(os.Args[1:])
	var usage usageError
	switch {
	case err == nil:
		os.Exit(exitOK)
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "culvert-desktop: %v\nrun \"culvert-desktop --help\" to see how to call it\n", err)
		os.Exit(exitUsage)
	default:
		fmt.Fprintf(os.Stderr, "culvert-desktop: %v\n", err)
		os.Exit(exitFailed)
	}
}

// closing bounds the goodbye to backends and visitors.
const closing = 10 * time.Second

func run(args []string) (err error) {
	signals, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	f, err := parse(args)
	if err != nil {
		return err
	}
	dir, err := config.Open(f.Config)
	if err != nil {
		return err
	}
	inst, err := instance.Claim(signals, dir.Path(), f.launch())
	if errors.Is(err, instance.ErrHandedOver) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, inst.Close()) }()
	if err := needDisplay(); err != nil {
		return err
	}

	flag, err := f.backend()
	if err != nil {
		return err
	}
	backend, notice := chooseBackend(dir, flag)
	store := model.NewStore()
	if notice != "" {
		store.AddNotice(notice)
	}
	state, _ := dir.State() // the engine reports what is wrong with it
	ctl := control.New(store, backend, state.AllowLAN)
	eng, err := engine.New(engine.Config{
		Dir: dir, OnEvent: ctl.OnEvent, RememberLAN: true,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return err
	}
	ctl.Attach(eng)
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), closing)
		defer cancel()
		err = errors.Join(err, eng.Close(ctx))
	}()
	return show(signals, f, store, ctl, inst)
}

// show runs the window until the program is to end.
func show(signals context.Context, f *flags, store *model.Store, ctl *control.Control, inst *instance.Instance) error {
	if cache, err := os.UserCacheDir(); err == nil {
		_ = os.MkdirAll(cache, 0o700) // else Fyne complains on a fresh account
	}
	meta := metadata(os.Getenv(uiCheckVariable) == "1")
	app.SetMetadata(meta)
	a := app.NewWithID(meta.ID)
	a.SetIcon(meta.Icon)
	a.Settings().SetTheme(look.Theme{})

	bridge := ui.NewBridge()
	defer bridge.Close()
	w, err := ui.New(ui.Config{
		App: a, Store: store, Controller: ctl, Bridge: bridge, Clipboard: ui.SystemClipboard{},
		OpenURL: a.OpenURL, TrayHost: tray.HasHost,
		Quit: func() { bridge.Shut(); a.Quit() },
	})
	if err != nil {
		return err
	}
	// Fyne quits on a signal by itself once it runs; ours is for one that came before.
	bridge.Go(func(ctx context.Context) error {
		select {
		case <-signals.Done():
		case <-ctx.Done():
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
		return nil
	}, func(error) { a.Quit() })

	inst.Serve(func(l instance.Launch) {
		if u, err := parseBackend(l.Backend); err == nil && u != nil {
			ctl.SetBackend(control.Backend{URL: u})
		}
		w.HandleLaunch(l.Open, l.Minimized)
	})
	w.Run()
	w.OpenAll(f.Open)
	if !f.Minimized {
		w.Show()
	}
	a.Run()
	bridge.Shut()
	inst.Stop()
	return nil
}
