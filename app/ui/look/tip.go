package look

import (
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"
)

// tipDelay is how long a pointer or the focus rests before a tooltip shows.
const tipDelay = 600 * time.Millisecond

// tipHost is what can show a tooltip over everything else in it: the Root of a
// window, or a Sheet above it.
type tipHost interface {
	showTip(text string, over fyne.CanvasObject)
	hideTip()
}

// hostOf finds the topmost host of the canvas that an object stands in.
func hostOf(o fyne.CanvasObject) tipHost {
	c := fyne.CurrentApp().Driver().CanvasForObject(o)
	if c == nil {
		return nil
	}
	if top := c.Overlays().Top(); top != nil {
		h, _ := top.(tipHost)
		return h
	}
	h, _ := c.Content().(tipHost)
	return h
}

// tipped gives a widget a tooltip. The wait is an animation, which the toolkit runs
// on its own goroutine: nothing has to be carried over from a timer's.
type tipped struct {
	tip  string
	wait *fyne.Animation
	host tipHost
}

func (t *tipped) arm(owner fyne.CanvasObject) { t.armWith(owner, t.tip) }

func (t *tipped) armWith(owner fyne.CanvasObject, tip string) {
	t.disarm()
	if tip == "" {
		return
	}
	t.wait = fyne.NewAnimation(tipDelay, func(done float32) {
		if done < 1 {
			return
		}
		if t.host = hostOf(owner); t.host != nil && owner.Visible() {
			t.host.showTip(tip, owner)
		}
	})
	t.wait.Start()
}

func (t *tipped) disarm() {
	if t.wait != nil {
		t.wait.Stop()
		t.wait = nil
	}
	if t.host != nil {
		t.host.hideTip()
		t.host = nil
	}
}

// tipBox is the tooltip itself. It takes no events, and so lets them through to what
// is beneath it.
type tipBox struct {
	widget.BaseWidget
	back *canvas.Rectangle
	text *Paragraph
}

const tipWidth float32 = 280

func newTipBox() *tipBox {
	b := &tipBox{back: &canvas.Rectangle{CornerRadius: 4, StrokeWidth: 1}, text: NewParagraph("", ColorText, TextSmall, 4)}
	b.ExtendBaseWidget(b)
	b.Hide()
	return b
}

// show places the text under an object, or above it, within an area of that size.
func (b *tipBox) show(text string, over fyne.CanvasObject, origin fyne.Position, area fyne.Size) {
	d := fyne.CurrentApp().Driver()
	at := d.AbsolutePositionForObject(over).Subtract(origin)
	b.text.Set(text, ColorText)
	// One pixel to spare: a text as wide as its room must not wrap.
	w := min(fyne.MeasureText(text, TextSmall, fyne.TextStyle{}).Width+1, tipWidth, area.Width-32)
	size := fyne.NewSize(w+16, b.text.HeightFor(w)+8)
	x := min(max(at.X+(over.Size().Width-size.Width)/2, 4), area.Width-size.Width-4)
	y := at.Y + over.Size().Height + 6
	if y+size.Height > area.Height-4 {
		y = at.Y - size.Height - 6
	}
	b.Move(fyne.NewPos(x, y))
	b.Resize(size)
	b.Show()
	b.Refresh()
}

// CreateRenderer implements fyne.Widget.
func (b *tipBox) CreateRenderer() fyne.WidgetRenderer {
	r := &tipRenderer{b}
	r.paint()
	return laid(r, b)
}

type tipRenderer struct{ *tipBox }

func (r *tipRenderer) paint() {
	r.back.FillColor, r.back.StrokeColor = Color(ColorRaised), Color(ColorLine)
}

func (r *tipRenderer) Layout(size fyne.Size) {
	r.back.Resize(size)
	r.text.Move(fyne.NewPos(8, 4))
	r.text.Resize(fyne.NewSize(size.Width-16, size.Height-8))
}
func (r *tipRenderer) MinSize() fyne.Size { return fyne.Size{} }
func (r *tipRenderer) Refresh() {
	r.paint()
	r.Layout(r.Size())
	r.back.Refresh()
	r.text.Refresh()
}
func (r *tipRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.back, r.text} }
func (r *tipRenderer) Destroy()                     {}

// Root is the content of a window together with the layer of its tooltips. It must
// be what the window's SetContent is given, or tooltips do not show.
type Root struct {
	widget.BaseWidget
	content fyne.CanvasObject
	tip     *tipBox
}

// NewRoot puts a layer for tooltips over the content.
func NewRoot(content fyne.CanvasObject) *Root {
	r := &Root{content: content, tip: newTipBox()}
	r.ExtendBaseWidget(r)
	return r
}

func (r *Root) showTip(text string, over fyne.CanvasObject) {
	r.tip.show(text, over, fyne.CurrentApp().Driver().AbsolutePositionForObject(r), r.Size())
}

func (r *Root) hideTip() { r.tip.Hide() }

// CreateRenderer implements fyne.Widget.
func (r *Root) CreateRenderer() fyne.WidgetRenderer { return &rootRenderer{r} }

type rootRenderer struct{ *Root }

func (r *rootRenderer) Layout(size fyne.Size)        { r.content.Resize(size) }
func (r *rootRenderer) MinSize() fyne.Size           { return r.content.MinSize() }
func (r *rootRenderer) Refresh()                     { r.content.Refresh(); r.tip.Refresh() }
func (r *rootRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.content, r.tip} }
func (r *rootRenderer) Destroy()                     {}
