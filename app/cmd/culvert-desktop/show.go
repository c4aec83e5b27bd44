package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"culvert/app/ui"
	"culvert/app/ui/instance"
	"culvert/app/ui/tray"
)

// panelPatience is how long a start without a window waits for a panel with tray
// icons: at login they start at the same time.
const panelPatience = 15 * time.Second

// show runs the window until the program is to end.
func (p *program) show(signals context.Context, inst *instance.Instance) error {
	bridge := ui.NewBridge()
	defer bridge.Close()
	w, err := ui.New(ui.Config{
		App: p.app, Store: p.store, Controller: p.control, Bridge: bridge, Clipboard: ui.SystemClipboard{},
		OpenURL: p.app.OpenURL, TrayHost: tray.HasHost,
		Quit: func() { bridge.Shut(); p.app.Quit() },
	})
	if err != nil {
		return err
	}
	p.window.Store(w)
	p.app.Lifecycle().SetOnEnteredForeground(func() { p.notices.SetLooking(true) })
	p.app.Lifecycle().SetOnExitedForeground(func() { p.notices.SetLooking(false) })
	p.quitOn(signals, bridge)
	inst.Serve(func(l instance.Launch) {
		if u, err := parseBackend(l.Backend); err == nil && u != nil {
			p.control.SetBackend(u)
		}
		w.HandleLaunch(l.Open, l.Minimized)
	})
	w.Run()
	p.control.Restore()
	w.OpenAll(p.flags.Open) // after the cards that are remembered: one of them may be meant
	bridge.Go(func(ctx context.Context) error {
		p.control.Begin(ctx)
		return nil
	}, nil)
	switch {
	case p.flags.Minimized:
	case p.control.Config().Minimized:
		p.showUnlessHosted(w, bridge)
	default:
		w.Show()
	}
	p.app.Run()
	bridge.Shut()
	inst.Stop()
	return nil
}

// The toolkit has a handler of its own for signals, once it runs. It ends the main loop
// without a word, and whatever is posted from then on would run in the wrong goroutine.
const (
	handlerPatience = time.Second     // until the toolkit's handler stands
	earlyPatience   = 3 * time.Second // for the toolkit to end on a signal that came before
)

// quitOn ends the program on a signal, in the toolkit's place: the bridge first.
func (p *program) quitOn(signals context.Context, bridge *ui.Bridge) {
	bridge.Go(func(ctx context.Context) error {
		select {
		case <-signals.Done(): // it may have come before the toolkit could hear it
			wait(ctx, earlyPatience)
			return nil
		case <-ctx.Done():
			return nil
		case <-time.After(handlerPatience):
		}
		signal.Reset(os.Interrupt, syscall.SIGTERM)
		again, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		p.deaf = stop
		<-again.Done()
		return nil
	}, func(error) { bridge.Shut(); p.app.Quit() })
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// showUnlessHosted shows the window if nothing on this desktop shows the tray icon:
// else nothing would be seen of the program at all.
func (p *program) showUnlessHosted(w *ui.Window, bridge *ui.Bridge) {
	hosted := false
	bridge.Go(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, panelPatience)
		defer cancel()
		for !hosted && ctx.Err() == nil {
			hosted = tray.HasHost(ctx)
			wait(ctx, time.Second)
		}
		return nil
	}, func(error) {
		if !hosted {
			w.Show()
		}
	})
}
