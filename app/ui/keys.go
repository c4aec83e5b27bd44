package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
)

// keys are the window's shortcuts, wherever the focus is.
func (w *Window) keys() map[fyne.KeyName]func() {
	return map[fyne.KeyName]func(){
		fyne.KeyL: w.focusTarget,
		fyne.KeyN: w.focusTarget,
		fyne.KeyF: func() { w.win.Canvas().Focus(w.filter) },
		fyne.KeyP: w.togglePause,
		fyne.KeyK: w.clear,
		fyne.KeyU: w.copyScope,
		fyne.KeyW: w.close,
		fyne.KeyQ: w.RequestQuit,
	}
}

func (w *Window) addShortcuts() {
	for key, run := range w.keys() {
		s := &desktop.CustomShortcut{KeyName: key, Modifier: fyne.KeyModifierShortcutDefault}
		w.win.Canvas().AddShortcut(s, func(fyne.Shortcut) { run() })
	}
}

// typedKey serves keys that nothing with the focus has taken.
func (w *Window) typedKey(ev *fyne.KeyEvent) {
	if ev.Name == fyne.KeyEscape {
		w.escape()
	}
}

// typedShortcut serves an entry that has the focus.
func (w *Window) typedShortcut(s fyne.Shortcut) {
	c, ok := s.(*desktop.CustomShortcut)
	if !ok || c.Modifier != fyne.KeyModifierShortcutDefault {
		return
	}
	if run, ok := w.keys()[c.KeyName]; ok {
		run()
	}
}

// copyScope copies the URL of the selected tunnel, or of the only one.
func (w *Window) copyScope() {
	if w.scope != "" {
		w.copyURL(w.scope)
	} else if tunnels := w.cfg.Store.Tunnels(); len(tunnels) == 1 {
		w.copyURL(tunnels[0].Key)
	}
}
