package frame

import (
	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
)

// DividerHeight is what a Divider takes between table and inspector: enough to be hit.
const DividerHeight float32 = 6

// Divider is the gap between table and inspector, which can be moved: by dragging, or
// with the focus by the keys up and down. The inspector draws its own edge; the gap
// shows a line only to who is about to move it.
type Divider struct {
	widget.BaseWidget
	moved   func(by float32) // in the window's units, down being positive
	line    *look.Shape
	hovered bool
	focused bool
}

var (
	_ fyne.Draggable     = (*Divider)(nil)
	_ fyne.Focusable     = (*Divider)(nil)
	_ desktop.Hoverable  = (*Divider)(nil)
	_ desktop.Cursorable = (*Divider)(nil)
)

// NewDivider returns a line; moved is told by how much it is to be moved.
func NewDivider(moved func(by float32)) *Divider {
	d := &Divider{moved: moved, line: look.NewPanel(look.ColorBase, "", 0)}
	d.ExtendBaseWidget(d)
	return d
}

// Dragged implements fyne.Draggable.
func (d *Divider) Dragged(ev *fyne.DragEvent) { d.moved(ev.Dragged.DY) }

// DragEnd implements fyne.Draggable.
func (d *Divider) DragEnd() {}

// Cursor implements desktop.Cursorable.
func (d *Divider) Cursor() desktop.Cursor { return desktop.VResizeCursor }

// MouseIn implements desktop.Hoverable.
func (d *Divider) MouseIn(*desktop.MouseEvent) { d.hovered = true; d.paint() }

// MouseMoved implements desktop.Hoverable.
func (d *Divider) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements desktop.Hoverable.
func (d *Divider) MouseOut() { d.hovered = false; d.paint() }

// FocusGained implements fyne.Focusable.
func (d *Divider) FocusGained() { d.focused = true; d.paint() }

// FocusLost implements fyne.Focusable.
func (d *Divider) FocusLost() { d.focused = false; d.paint() }

// TypedRune implements fyne.Focusable.
func (d *Divider) TypedRune(rune) {}

// TypedKey implements fyne.Focusable.
func (d *Divider) TypedKey(ev *fyne.KeyEvent) {
	const step = 24
	switch ev.Name {
	case fyne.KeyUp:
		d.moved(-step)
	case fyne.KeyDown:
		d.moved(step)
	case fyne.KeyEscape:
		if c := fyne.CurrentApp().Driver().CanvasForObject(d); c != nil {
			c.Unfocus()
		}
	}
}

func (d *Divider) paint() {
	tint := look.ColorBase
	if d.hovered || d.focused {
		tint = look.ColorAccent
	}
	d.line.Set(tint, "")
}

// CreateRenderer implements fyne.Widget.
func (d *Divider) CreateRenderer() fyne.WidgetRenderer {
	renderer := &dividerRenderer{d}
	renderer.Layout(d.Size()) // Fyne forgets renderers of what was long hidden, and never lays out the new one
	return renderer
}

type dividerRenderer struct{ *Divider }

func (r *dividerRenderer) Layout(size fyne.Size) {
	place(r.line, 0, size.Height-3, size.Width, 3)
}
func (r *dividerRenderer) MinSize() fyne.Size           { return fyne.NewSize(0, DividerHeight) }
func (r *dividerRenderer) Refresh()                     { r.paint() }
func (r *dividerRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.line} }
func (r *dividerRenderer) Destroy()                     {}
