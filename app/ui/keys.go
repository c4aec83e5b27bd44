package ui

import (
	"culvert/app/ui/look"
	"culvert/app/ui/settings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
)

// keys are the window's shortcuts, wherever the focus is.
func (w *Window) keys() map[fyne.KeyName]func() {
	return map[fyne.KeyName]func(){
		fyne.KeyL:     w.focusTarget,
		fyne.KeyN:     w.focusTarget,
		fyne.KeyF:     func() { w.bar.FocusText() },
		fyne.KeyP:     w.togglePause,
		fyne.KeyK:     w.clear,
		fyne.KeyU:     w.copyScope,
		fyne.KeyH:     func() { on := !w.search.on; w.bar.SetHistory(on); w.setHistory(on) },
		fyne.KeyI:     w.showNotices,
		fyne.KeyComma: func() { w.showSettings(settings.Backends) },
		fyne.KeyW:     w.close,
		fyne.KeyQ:     w.RequestQuit,
	}
}

// press runs a shortcut. Beneath a sheet or a question the window rests, but for what
// ends the program. Not even that counts while the question whether to quit stands: a
// key that is held down repeats itself, and that is no answer.
func (w *Window) press(key fyne.KeyName) {
	if w.asking {
		return
	}
	if look.Covered(w.win.Canvas()) && key != fyne.KeyQ && key != fyne.KeyW {
		return
	}
	if run, ok := w.keys()[key]; ok {
		run()
	}
}

func (w *Window) addShortcuts() {
	for key := range w.keys() {
		s := &desktop.CustomShortcut{KeyName: key, Modifier: fyne.KeyModifierShortcutDefault}
		w.win.Canvas().AddShortcut(s, func(fyne.Shortcut) { w.press(key) })
	}
}

// typedKey serves keys that nothing with the focus has taken.
func (w *Window) typedKey(ev *fyne.KeyEvent) {
	if ev.Name == fyne.KeyEscape && !look.Escape(w.win.Canvas()) {
		w.escape()
	}
}

// typedShortcut serves an entry that has the focus.
func (w *Window) typedShortcut(s fyne.Shortcut) {
	if c, ok := s.(*desktop.CustomShortcut); ok && c.Modifier == fyne.KeyModifierShortcutDefault {
		w.press(c.KeyName)
	}
}

func (w *Window) focusTarget() { w.win.Canvas().Focus(w.opener.Field()) }

// escape goes one step back from what has been narrowed or selected.
func (w *Window) escape() {
	switch {
	case w.inspected.row != nil:
		w.table.Unselect()
	case w.search.on:
		w.bar.SetHistory(false)
		w.setHistory(false)
	case w.scope != "":
		w.selectTunnel("")
	}
}
