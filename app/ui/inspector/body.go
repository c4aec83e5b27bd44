package inspector

import (
	"context"
	"image"
	"strings"

	"culvert/app/exchange"
	"culvert/app/inspect"
	"culvert/app/ui/look"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"
)

// bodyView is one body with the ways to look at it: laid out, as it is, byte by
// byte, or as a picture.
type bodyView struct {
	widget.BaseWidget
	in *Inspector
	// prepare returns the body in a mode, or nil and calls then later.
	prepare func(mode inspect.Mode, then func()) *prepared
	// save keeps the whole of an exchange's body, nil where that is not offered.
	save func(x *exchange.Exchange, data []byte)
	// empty says why there is none.
	empty func() string

	title   *look.Text
	modes   *look.Segmented
	copyAll *look.IconButton
	saveAll *look.IconButton
	notes   *look.Paragraph
	pane    *pane
	picture *canvas.Image
	line    *look.Shape
	ready   *prepared
	rows    *viewDoc
	growing *job
	busy    bool // growing is under way
}

const toolHeight float32 = 36

func newBodyView(i *Inspector, prepare func(inspect.Mode, func()) *prepared, save func(*exchange.Exchange, []byte)) *bodyView {
	v := &bodyView{in: i, prepare: prepare, save: save, empty: func() string { return words.T("No body.") }}
	v.title = look.NewText("", look.ColorMuted, look.TextSmall, fyne.TextStyle{})
	v.modes = look.NewSegmented([]string{words.T("Pretty"), words.T("Raw"), words.T("Hex")}, func(int) { v.fill(false) })
	v.copyAll = look.NewIconButton(look.IconCopy, words.T("Copy all"), v.copyText)
	v.saveAll = look.NewIconButton(look.IconSave, words.T("Save…"), v.saveBody)
	v.notes = look.NewParagraph("", look.ColorMuted, look.TextSmall, 3)
	v.pane = newPane(&i.actions)
	v.pane.seen = v.more
	v.picture = &canvas.Image{FillMode: canvas.ImageFillContain, ScaleMode: canvas.ImageScaleSmooth}
	v.picture.Hide()
	v.line = look.NewLine()
	v.ExtendBaseWidget(v)
	return v
}

// tell says above the text what it is.
func (v *bodyView) tell(what string) {
	v.title.Set(what, look.ColorMuted)
}

// clear shows nothing but some words.
func (v *bodyView) clear(text string) {
	v.stopGrowing()
	v.ready, v.rows = nil, nil
	enable(v.copyAll, false)
	enable(v.saveAll, false)
	f := &flow{}
	f.add(say(look.ColorMuted, text))
	v.pane.set(f, false)
	v.show(nil)
	v.notes.Set("", look.ColorMuted)
	v.Refresh()
}

// fill shows the body in the mode that is chosen. While it is prepared, what is there
// stays, so that nothing flickers.
func (v *bodyView) fill(keep bool) {
	v.stopGrowing()
	p := v.prepare(inspect.Mode(v.modes.Selected()), func() { v.fill(true) })
	if p == nil || p.view == nil {
		if !keep {
			v.clear(words.T("Reading the body…"))
		}
		return
	}
	if p.view.Kind == inspect.Empty && len(p.view.Notes) == 0 {
		v.clear(v.empty())
		return
	}
	v.ready, v.rows = p, &viewDoc{view: p.view}
	v.copyAll.Set(look.IconCopy, v.copyTip())
	if p.masked {
		v.saveAll.Set(look.IconSave, words.T("Save without the secrets…"))
	} else {
		v.saveAll.Set(look.IconSave, words.T("Save…"))
	}
	enable(v.copyAll, !p.partial)
	enable(v.saveAll, !p.partial)
	v.tellNotes()
	v.show(p.view.Image)
	v.pane.set(v.rows, keep)
	v.Refresh()
}

// tellNotes says what is to be said about the body, as far as it was laid out.
func (v *bodyView) tellNotes() {
	p := v.ready
	var texts []string
	tint := look.ColorMuted
	for _, n := range notesOf(p) {
		texts = append(texts, n.text)
		if n.color != look.ColorMuted {
			tint = n.color
		}
	}
	if p.view.Image != nil {
		texts = append(texts, words.T("%s picture, %s × %s pixels", p.view.Format, number(p.view.Width), number(p.view.Height)))
	}
	v.notes.Set(strings.Join(texts, " "), tint)
}

// show puts a picture in the place of the text, or nil the text in the picture's.
func (v *bodyView) show(img image.Image) {
	if img == nil {
		v.picture.Image = nil
		hide(v.picture)
		show(v.pane)
		return
	}
	v.picture.Image = img
	v.picture.Refresh()
	hide(v.pane)
	show(v.picture)
}

// ahead is how many rows are laid out before they come in sight.
const ahead = 500

// more lays out further rows when the end of those that are there is near.
func (v *bodyView) more(last int) {
	p := v.ready
	if p == nil || p.view.Done() || last+ahead/2 < v.rows.len() || v.busy {
		return
	}
	// Twice as many each time: whoever goes to the end of a long text gets there soon.
	to := max(2*v.rows.len(), last+ahead)
	v.busy = true
	v.growing = v.in.run(func(ctx context.Context) { _ = p.view.More(ctx, to) }, func() {
		v.busy = false
		v.rows.grow()
		v.tellNotes()
		v.pane.changed()
		v.Refresh()
	})
}

func (v *bodyView) stopGrowing() {
	v.growing.stop()
	v.busy = false
}

func (v *bodyView) copyText() {
	p := v.ready
	if p == nil || p.partial {
		return
	}
	var b strings.Builder
	v.in.run(func(ctx context.Context) { _ = p.view.WriteText(ctx, &b) }, func() {
		v.in.actions.Copy(b.String(), v.copied)
	})
}

// copied says for a moment that it is on the clipboard.
func (v *bodyView) copied() {
	v.in.flash(func() { v.copyAll.Set(look.IconCheck, words.T("Copied")) },
		func() { v.copyAll.Set(look.IconCopy, v.copyTip()) })
}

// copyTip says what is copied: what is hidden on the screen is hidden there, too.
func (v *bodyView) copyTip() string {
	if v.ready != nil && v.ready.masked {
		return words.T("Copy all, without the secrets")
	}
	return words.T("Copy all")
}

func (v *bodyView) saveBody() {
	p, x := v.ready, v.in.exchange
	if p == nil || p.partial || v.save == nil {
		return
	}
	var data []byte
	v.in.run(func(context.Context) { data = p.view.Body() }, func() { v.save(x, data) })
}

// CreateRenderer implements fyne.Widget.
func (v *bodyView) CreateRenderer() fyne.WidgetRenderer { return &bodyRenderer{v} }

type bodyRenderer struct{ *bodyView }

func (r *bodyRenderer) Layout(size fyne.Size) {
	x := size.Width - look.Inset + 4
	y := (toolHeight - look.Low) / 2
	buttons := []fyne.CanvasObject{r.copyAll, r.saveAll}
	for n := len(buttons) - 1; n >= 0; n-- {
		if o := buttons[n]; o != fyne.CanvasObject(r.saveAll) || r.save != nil {
			x -= look.Low
			place(o, x, y, look.Low, look.Low)
		} else {
			hide(o)
		}
	}
	w := r.modes.MinSize().Width
	x -= w + look.Gap
	place(r.modes, x, (toolHeight-24)/2, w, 24)
	place(r.title, look.Inset, 0, max(x-look.Gap-look.Inset, 0), toolHeight)
	top := toolHeight
	place(r.line, 0, top, size.Width, 1)
	top++
	if h := r.notes.HeightFor(size.Width - 2*look.Inset); h > 0 {
		place(r.notes, look.Inset, top+6, size.Width-2*look.Inset, h)
		top += h + 6
	} else {
		place(r.notes, 0, 0, 0, 0)
	}
	room := fyne.NewSize(size.Width, max(size.Height-top, 0))
	place(r.pane, 0, top, room.Width, room.Height)
	if r.picture.Image != nil {
		placePicture(r.picture, top, room)
	}
}

// placePicture centres a picture, no larger than it is.
func placePicture(p *canvas.Image, top float32, room fyne.Size) {
	b := p.Image.Bounds()
	w, h := float32(b.Dx()), float32(b.Dy())
	scale := min(1, max(room.Width-2*look.Inset, 1)/w, max(room.Height-2*look.Inset, 1)/h)
	w, h = w*scale, h*scale
	place(p, (room.Width-w)/2, top+(room.Height-h)/2, w, h)
}

func (r *bodyRenderer) MinSize() fyne.Size { return fyne.NewSize(160, toolHeight+2*lineHeight) }

// Refresh has the parts lay themselves out, too, as headRenderer's does.
func (r *bodyRenderer) Refresh() {
	r.Layout(r.Size())
	for _, o := range r.Objects() {
		o.Refresh()
	}
}
func (r *bodyRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.title, r.modes, r.copyAll, r.saveAll, r.line, r.notes, r.pane, r.picture}
}
func (r *bodyRenderer) Destroy() { r.stopGrowing() }
