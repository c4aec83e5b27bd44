package look

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
)

// Field is an entry that leaves the window's own shortcuts to the window: Fyne
// gives every shortcut to the entry with the focus, which swallows those it does
// not know. Box is what stands in the window: the entry in its frame.
type Field struct {
	widget.Entry
	Box *fyne.Container
	// OnShortcut takes the shortcuts that are not an entry's own; without it the canvas
	// gets them.
	OnShortcut func(fyne.Shortcut)
	// OnEscape is called for the Escape key; without it what is on top closes.
	OnEscape func()
	// OnFocus is called when the focus comes and goes, such as to scroll to it.
	OnFocus func(focused bool)

	frame   *Shape
	right   float32 // room kept free at the right
	focused bool
	wrong   bool
}

// NewField returns a field of one line.
func NewField(placeholder string) *Field { return newField(placeholder, fieldLayout{}) }

// NewSecretField returns a field that hides what stands in it.
func NewSecretField(placeholder string) *Field {
	f := NewField(placeholder)
	f.Password = true
	return f
}

// NewArea returns a field of several lines in the fixed-width font, so many of which
// can be seen. It is for texts of a few kilobytes: an entry gets slow with more.
func NewArea(placeholder string, lines int) *Field {
	f := newField(placeholder, areaLayout{float32(lines)*17 + 12})
	f.MultiLine = true
	f.TextStyle.Monospace = true
	f.Scroll = fyne.ScrollBoth
	f.Wrapping = fyne.TextWrapOff
	return f
}

func newField(placeholder string, l fyne.Layout) *Field {
	f := &Field{}
	f.ExtendBaseWidget(f)
	f.PlaceHolder = placeholder
	f.Scroll = fyne.ScrollHorizontalOnly
	f.frame = NewPanel(ColorBase, ColorLine, Radius)
	f.Box = container.New(l, f.frame, f)
	return f
}

// KeepFree leaves room at the right end for something that stands over the field.
func (f *Field) KeepFree(right float32) {
	f.right = right
	f.Box.Refresh()
}

// SetWrong marks the field as holding something that cannot be taken.
func (f *Field) SetWrong(wrong bool) {
	f.wrong = wrong
	f.paintFrame()
}

func (f *Field) paintFrame() {
	stroke := ColorLine
	if f.wrong {
		stroke = ColorBad
	}
	if f.focused {
		stroke = ColorAccent
	}
	f.frame.Set(ColorBase, stroke)
}

// FocusGained implements fyne.Focusable.
func (f *Field) FocusGained() {
	f.focused = true
	f.paintFrame()
	f.Entry.FocusGained()
	if f.OnFocus != nil {
		f.OnFocus(true)
	}
}

// FocusLost implements fyne.Focusable.
func (f *Field) FocusLost() {
	f.focused = false
	f.paintFrame()
	f.Entry.FocusLost()
	if f.OnFocus != nil {
		f.OnFocus(false)
	}
}

// TypedShortcut implements fyne.Shortcutable.
func (f *Field) TypedShortcut(s fyne.Shortcut) {
	if _, custom := s.(*desktop.CustomShortcut); custom {
		if f.OnShortcut != nil {
			f.OnShortcut(s)
		} else {
			PassShortcut(f, s)
		}
		return
	}
	f.Entry.TypedShortcut(s)
}

// TypedKey implements fyne.Focusable.
func (f *Field) TypedKey(ev *fyne.KeyEvent) {
	if ev.Name == fyne.KeyEscape {
		escape(f, f.OnEscape)
		return
	}
	f.Entry.TypedKey(ev)
}

// fieldLayout centres the entry in its frame; Fyne's own keeps the text at the top.
type fieldLayout struct{}

func (fieldLayout) MinSize(o []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(80, max(o[1].MinSize().Height, Middle))
}

func (fieldLayout) Layout(o []fyne.CanvasObject, size fyne.Size) {
	o[0].Resize(size)
	h := o[1].MinSize().Height
	place(o[1], 6, (size.Height-h)/2, size.Width-12-o[1].(*Field).right, h)
}

// areaLayout fills the frame.
type areaLayout struct{ height float32 }

func (l areaLayout) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(80, l.height) }

func (areaLayout) Layout(o []fyne.CanvasObject, size fyne.Size) {
	o[0].Resize(size)
	place(o[1], 4, 2, size.Width-8, size.Height-4)
}
