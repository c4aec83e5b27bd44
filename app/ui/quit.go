package ui

import (
	"context"
	"time"

	"culvert/app/ui/frame"
	"culvert/app/ui/model"
	"culvert/app/ui/words"
)

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
	open := model.Count(w.cfg.Store.Tunnels(), model.Connecting, model.Online, model.Reconnecting)
	if open == 0 || w.asking {
		w.cfg.Quit()
		return
	}
	w.Show()
	w.asking = true
	text := words.T("1 tunnel is open. Its URL stops working.")
	if open > 1 {
		text = words.T("%d tunnels are open. Their URLs stop working.", open)
	}
	frame.Ask(w.win.Canvas(), frame.Question{
		Title: words.T("Quit Culvert?"), Text: text, Yes: words.T("Quit"), No: words.T("Keep running"),
	}, func(yes bool) {
		w.asking = false
		if yes {
			w.cfg.Quit()
		}
	})
}
