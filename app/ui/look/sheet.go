package look

import (
	"slices"

	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"
)

// SheetWidth is how wide a sheet stands where the window is wide enough.
const SheetWidth float32 = 560

// Sheet is a panel over the window, which rests beneath it: a title, content that
// scrolls when it is too high, and buttons. Escape closes it.
type Sheet struct {
	widget.BaseWidget
	canvas  fyne.Canvas
	title   *Text
	content fyne.CanvasObject
	width   float32
	height  float32 // least height of the content
	fill    bool    // the content lays itself out over the whole panel
	onClose func()
	onAsk   func() bool

	scrim   *canvas.Rectangle
	panel   *Shape
	shut    *IconButton
	lines   [2]*Shape
	scroll  *container.Scroll
	inner   *fyne.Container
	buttons *fyne.Container
	tip     *tipBox
}

var _ fyne.Tappable = (*Sheet)(nil)

// NewSheet returns a sheet that is not shown yet. Buttons stand at its right end;
// put a Space among them to have some at the left.
func NewSheet(title string, content fyne.CanvasObject, buttons ...fyne.CanvasObject) *Sheet {
	s := &Sheet{
		title: NewText(title, ColorText, TextTitle+1, fyne.TextStyle{Bold: true}), content: content, width: SheetWidth,
		scrim: canvas.NewRectangle(Color(ColorScrim)), panel: NewRaised(ColorPanel, 10),
		lines: [2]*Shape{NewLine(), NewLine()}, tip: newTipBox(),
	}
	s.shut = NewIconButton(IconClose, words.T("Close"), s.escape)
	s.inner = &fyne.Container{Layout: sheetInner{}, Objects: []fyne.CanvasObject{content}}
	s.scroll = container.NewVScroll(s.inner)
	s.buttons = NewRow(Gap, atEnd(buttons)...)
	s.buttons.Hidden = len(buttons) == 0
	s.ExtendBaseWidget(s)
	return s
}

// SetWidth changes how wide the sheet stands at most.
func (s *Sheet) SetWidth(width float32) { s.width = width; s.Refresh() }

// SetHeight gives the content a least height, so that the sheet does not jump when
// its pages differ.
func (s *Sheet) SetHeight(height float32) { s.height = height; s.Refresh() }

// Fill gives the content the whole room between title and buttons, without insets and
// without a scroll of the sheet's own; SetHeight says how high that room is at most.
func (s *Sheet) Fill() {
	s.fill = true
	s.Refresh()
}

// SetButtons changes the buttons.
func (s *Sheet) SetButtons(buttons ...fyne.CanvasObject) {
	s.buttons.Objects = atEnd(buttons)
	s.buttons.Hidden = len(buttons) == 0
	s.buttons.Refresh()
	s.Refresh()
}

// atEnd puts buttons at the right end, unless there is a Space among them already.
func atEnd(buttons []fyne.CanvasObject) []fyne.CanvasObject {
	if slices.ContainsFunc(buttons, grows) {
		return buttons
	}
	return append([]fyne.CanvasObject{Space()}, buttons...)
}

// SetTitle changes the title.
func (s *Sheet) SetTitle(title string) { s.title.Set(title, ColorText) }

// OnClose is called after the sheet has been closed, however that came about.
func (s *Sheet) OnClose(closed func()) { s.onClose = closed }

// OnEscape is asked before Escape or the close button close the sheet: false keeps
// it open.
func (s *Sheet) OnEscape(ask func() bool) { s.onAsk = ask }

// Open puts the sheet over the window and gives an object in it the focus; focus may
// be nil for the first that can have it.
func (s *Sheet) Open(c fyne.Canvas, focus fyne.Focusable) {
	if s.canvas != nil {
		return
	}
	s.canvas = c
	c.Overlays().Add(s)
	if focus != nil {
		c.Focus(focus)
		return
	}
	c.FocusNext() // the close button stands first in order
	c.FocusNext()
}

// Shown reports whether the sheet is on the screen.
func (s *Sheet) Shown() bool { return s.canvas != nil }

// Close takes the sheet away.
func (s *Sheet) Close() {
	if s.canvas == nil {
		return
	}
	c := s.canvas
	s.canvas = nil
	s.tip.Hide()
	c.Overlays().Remove(s)
	if s.onClose != nil {
		s.onClose()
	}
}

func (s *Sheet) escape() {
	if s.onAsk == nil || s.onAsk() {
		s.Close()
	}
}

// ContentSize is the size that the content has now.
func (s *Sheet) ContentSize() fyne.Size { return s.content.Size() }

// Relayout follows content whose height has changed.
func (s *Sheet) Relayout() { s.Refresh() }

// Tapped keeps taps from what is beneath. It does not close the sheet: what was
// typed would be lost by a tap beside it.
func (s *Sheet) Tapped(*fyne.PointEvent) {}

func (s *Sheet) showTip(text string, over fyne.CanvasObject) {
	s.tip.show(text, over, fyne.Position{}, s.Size())
}

func (s *Sheet) hideTip() { s.tip.Hide() }

// CreateRenderer implements fyne.Widget.
func (s *Sheet) CreateRenderer() fyne.WidgetRenderer { return &sheetRenderer{s} }

const (
	sheetHead   float32 = 48
	sheetFoot   float32 = 56
	sheetInset  float32 = 20
	sheetMargin float32 = 24
)

type sheetRenderer struct{ *Sheet }

func (r *sheetRenderer) Layout(size fyne.Size) {
	s := r.Sheet
	r.scrim.Resize(size)
	w := min(s.width, size.Width-2*sheetMargin)
	foot := float32(0)
	if s.buttons.Visible() {
		foot = sheetFoot
	}
	content := s.height
	if !s.fill {
		content = max(HeightOf(s.content, w-2*sheetInset), s.height) + 2*sheetInset
	}
	h := min(sheetHead+content+foot, size.Height-2*sheetMargin)
	x := float32(int((size.Width - w) / 2))
	y := float32(int(max((size.Height-h)*0.4, sheetMargin)))
	place(r.panel, x, y, w, h)
	place(s.title, x+sheetInset, y, w-2*sheetInset-Low, sheetHead)
	place(s.shut, x+w-12-Low, y+(sheetHead-Low)/2, Low, Low)
	place(s.lines[0], x, y+sheetHead-1, w, 1)
	room := h - sheetHead - foot
	// The content's height follows from its width, which the scroll does not know; it
	// asks when it gets its size.
	s.inner.Layout = sheetInner{height: content}
	if s.fill {
		s.inner.Layout = growLayout{}
		content = room
	}
	place(s.scroll, x+1, y+sheetHead, w-2, room)
	s.inner.Resize(fyne.NewSize(w-2, max(content, room)))
	s.lines[1].Hidden = foot == 0
	if foot > 0 {
		place(s.lines[1], x, y+h-foot, w, 1)
		place(s.buttons, x+sheetInset, y+h-foot+1, w-2*sheetInset, foot-1)
	}
}

func (r *sheetRenderer) MinSize() fyne.Size { return fyne.Size{} }

func (r *sheetRenderer) Refresh() {
	r.scrim.FillColor = Color(ColorScrim)
	r.Layout(r.Size())
	r.scroll.Refresh()
	canvas.Refresh(r.Sheet)
}

func (r *sheetRenderer) Objects() []fyne.CanvasObject {
	s := r.Sheet
	return []fyne.CanvasObject{s.scrim, s.panel, s.title, s.shut, s.lines[0], s.scroll, s.lines[1], s.buttons, s.tip}
}

func (r *sheetRenderer) Destroy() {}

// sheetInner insets the content; its height is what the sheet has found.
type sheetInner struct{ height float32 }

func (l sheetInner) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(0, l.height) }

func (sheetInner) Layout(o []fyne.CanvasObject, size fyne.Size) {
	place(o[0], sheetInset, sheetInset, size.Width-2*sheetInset, size.Height-2*sheetInset)
}
