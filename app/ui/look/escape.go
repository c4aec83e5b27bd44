package look

import "fyne.io/fyne/v2"

// escaper is an overlay that the Escape key closes: a menu or a sheet.
type escaper interface{ escape() }

// Escape closes the topmost menu or sheet of the canvas, and reports whether there
// was one. The window calls it for an Escape that nothing with the focus took.
func Escape(c fyne.Canvas) bool {
	top, ok := c.Overlays().Top().(escaper)
	if ok {
		top.escape()
	}
	return ok
}

// Covered reports whether a menu, a sheet or a question stands over the window: its
// shortcuts rest meanwhile.
func Covered(c fyne.Canvas) bool { return c.Overlays().Top() != nil }

// PassShortcut hands a shortcut to the canvas of a widget that takes shortcuts: Fyne
// does not ask the canvas when what has the focus takes any.
func PassShortcut(o fyne.CanvasObject, s fyne.Shortcut) {
	if c, ok := fyne.CurrentApp().Driver().CanvasForObject(o).(fyne.Shortcutable); ok {
		c.TypedShortcut(s)
	}
}

// escape serves the Escape key for a widget with the focus: by what it was told to
// do, else by closing what it stands on, else by the window's own handler.
func escape(o fyne.CanvasObject, own func()) {
	if own != nil {
		own()
		return
	}
	c := fyne.CurrentApp().Driver().CanvasForObject(o)
	if c == nil || Escape(c) {
		return
	}
	if handler := c.OnTypedKey(); handler != nil {
		handler(&fyne.KeyEvent{Name: fyne.KeyEscape})
	}
}
