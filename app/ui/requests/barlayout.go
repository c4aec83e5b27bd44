package requests

import (
	"math"
	"slices"

	"culvert/app/ui/look"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
)

// CreateRenderer implements fyne.Widget.
func (b *Bar) CreateRenderer() fyne.WidgetRenderer {
	r := &barRenderer{b}
	r.paint()
	return r
}

type barRenderer struct{ *Bar }

// paint brings words and colours to the state; it leaves alone what is the same.
func (r *barRenderer) paint() {
	r.scope.Set(r.state.Scope, look.ColorMuted)
	r.all.SetText(look.Ellipsis(r.state.Scope, scopeWidth, look.TextBody, fyne.TextStyle{Bold: true}))
	r.fresh.SetText(freshWords(r.state.Fresh))
	if r.state.Paused {
		r.pause.SetText(words.T("Resume"))
		r.hold.Set(look.IconPlay, words.T("Resume"))
	} else {
		r.pause.SetText(words.T("Pause"))
		r.hold.Set(look.IconPause, words.T("Pause"))
	}
	r.pause.SetFilled(r.state.Paused)
	r.hold.SetOn(r.state.Paused)
	r.narrow.SetOn(r.hidden())
}

// scopeWidth is the most that a tunnel's name takes.
const scopeWidth float32 = 96

func freshWords(n int) string {
	if n > 999 {
		return words.T("999+ new ↑") // it has to fit into a narrow window
	}
	return words.T("%d new ↑", n)
}

// Layout gives the field what the others leave. In a narrow bar, classes of status
// and clearing move into menus, and the scope is left to the selected card.
func (r *barRenderer) Layout(size fyne.Size) {
	const field = 112
	wide := r.fits(size.Width, field+80, false, false)
	r.classesInMenu = !r.fits(size.Width, field, false, !wide)
	r.clearInMenu = r.classesInMenu
	r.narrow.SetOn(r.hidden())

	y := (size.Height - look.Low) / 2
	x, right := look.Inset, size.Width-look.Inset
	for _, o := range r.atRight(!wide) {
		if o.Visible() {
			w := o.MinSize().Width
			right -= w
			place(o, right, y, w, look.Low)
			right -= look.Gap
		}
	}
	for _, o := range r.atLeft() {
		w := look.WidthOf(o)
		if o == fyne.CanvasObject(r.scope) {
			w = min(w, max(right-x-field-look.Gap-r.widthOf(r.all)-r.widthOf(r.fresh), 0))
			r.scope.Hidden = w < min(48, look.WidthOf(r.scope)) || r.clearInMenu || r.all.Visible()
		}
		if !o.Visible() {
			continue
		}
		h := look.Low
		if o == fyne.CanvasObject(r.scope) || o == fyne.CanvasObject(r.title) {
			h = look.Middle
		}
		place(o, x, (size.Height-h)/2, w, h)
		x += w + look.Gap
	}
	w := float32(math.Floor(float64(min(right-x, 280))))
	r.hint(w)
	place(r.text.Box, right-w, (size.Height-look.Middle)/2, w, look.Middle)
}

func (r *barRenderer) widthOf(o fyne.CanvasObject) float32 {
	if !o.Visible() {
		return 0
	}
	return o.MinSize().Width + look.Gap
}

// atLeft and atRight are the objects beside the field, from the edges on. They show
// what there is room and reason for.
func (r *barRenderer) atLeft() []fyne.CanvasObject {
	visible(r.source, !r.state.NoHistory || r.history)
	visible(r.title, r.state.NoHistory && !r.history)
	visible(r.all, r.state.Scoped && !r.clearInMenu && r.actions.ShowAll != nil)
	visible(r.fresh, r.state.Fresh > 0 && !r.history)
	return []fyne.CanvasObject{r.source, r.title, r.scope, r.all, r.fresh}
}

func (r *barRenderer) atRight(icons bool) []fyne.CanvasObject {
	visible(r.more, r.clearInMenu || r.actions.Export != nil || r.actions.Import != nil)
	visible(r.clear, !r.clearInMenu && !r.history)
	visible(r.pause, !icons && !r.history)
	visible(r.hold, icons && !r.history)
	visible(r.narrow, true)
	visible(r.classes, !r.classesInMenu)
	return []fyne.CanvasObject{r.more, r.clear, r.pause, r.hold, r.narrow, r.classes}
}

// fits reports whether everything has room beside a field of that width.
func (r *barRenderer) fits(width, field float32, inMenu, icons bool) bool {
	r.classesInMenu, r.clearInMenu = inMenu, inMenu
	need := 2*look.Inset + field
	for _, o := range slices.Concat(r.atLeft(), r.atRight(icons)) {
		if o != fyne.CanvasObject(r.scope) && o != fyne.CanvasObject(r.fresh) {
			need += r.widthOf(o)
		}
	}
	// Nothing else moves when the way back to the newest rows comes and goes.
	if !r.history {
		need += 96
	}
	return need <= width
}

// hint says in the field what it is for, as long as there is room.
func (r *barRenderer) hint(width float32) {
	hint := words.T("Filter: path, method, status…")
	if r.history {
		hint = words.T("Search the history…")
	}
	if fyne.MeasureText(hint, look.TextBody, fyne.TextStyle{}).Width > width-24 {
		hint = words.T("Filter")
		if r.history {
			hint = words.T("Search")
		}
	}
	if r.text.PlaceHolder != hint {
		r.text.SetPlaceHolder(hint)
	}
}

func visible(o fyne.CanvasObject, on bool) {
	if o.Visible() == on {
		return
	}
	if on {
		o.Show()
	} else {
		o.Hide()
	}
}

func place(o fyne.CanvasObject, x, y, w, h float32) {
	o.Move(fyne.NewPos(x, y))
	o.Resize(fyne.NewSize(w, h))
}

func (r *barRenderer) MinSize() fyne.Size { return fyne.NewSize(280, BarHeight) }

func (r *barRenderer) Refresh() {
	r.paint()
	r.Layout(r.Size())
}

func (r *barRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.source, r.title, r.scope, r.all, r.fresh, r.text.Box, r.classes, r.narrow, r.pause, r.hold, r.clear, r.more}
}

func (r *barRenderer) Destroy() {}
