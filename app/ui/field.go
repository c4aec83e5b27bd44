package ui

import (
	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
)

// field is an entry that leaves the window's own shortcuts to the window: Fyne
// gives every shortcut to the entry with the focus, which swallows those it does
// not know.
type field struct {
	widget.Entry
	box        *fyne.Container // the entry in its frame: this is what stands in the window
	frame      *look.Shape
	onShortcut func(fyne.Shortcut)
	onEscape   func()
}

func newField(placeholder string, onShortcut func(fyne.Shortcut)) *field {
	f := &field{onShortcut: onShortcut}
	f.ExtendBaseWidget(f)
	f.PlaceHolder = placeholder
	f.Scroll = fyne.ScrollHorizontalOnly
	f.frame = look.NewPanel(look.ColorBase, look.ColorLine, look.Radius)
	f.box = container.New(fieldLayout{}, f.frame, f)
	return f
}

// FocusGained implements fyne.Focusable.
func (f *field) FocusGained() {
	f.frame.Set(look.ColorBase, look.ColorAccent)
	f.Entry.FocusGained()
}

// FocusLost implements fyne.Focusable.
func (f *field) FocusLost() {
	f.frame.Set(look.ColorBase, look.ColorLine)
	f.Entry.FocusLost()
}

// TypedShortcut implements fyne.Shortcutable.
func (f *field) TypedShortcut(s fyne.Shortcut) {
	if _, ours := s.(*desktop.CustomShortcut); ours {
		f.onShortcut(s)
		return
	}
	f.Entry.TypedShortcut(s)
}

// TypedKey implements fyne.Focusable.
func (f *field) TypedKey(ev *fyne.KeyEvent) {
	if ev.Name == fyne.KeyEscape && f.onEscape != nil {
		f.onEscape()
		return
	}
	f.Entry.TypedKey(ev)
}

// fieldLayout centres the entry in its frame; Fyne's own keeps the text at the top.
type fieldLayout struct{}

func (fieldLayout) MinSize(o []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(80, o[1].MinSize().Height)
}

func (fieldLayout) Layout(o []fyne.CanvasObject, size fyne.Size) {
	o[0].Resize(size)
	h := o[1].MinSize().Height
	place(o[1], 6, (size.Height-h)/2, size.Width-12, h)
}
