package inspector

import (
	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
)

// twin shows a text of the request beside one of the response, or, where that is
// too narrow, above it.
type twin struct {
	box
	in    *Inspector
	text  func(i *Inspector, side int) doc
	panes [2]*pane

	second int64 // in which it was filled last
}

func newTwin(i *Inspector, text func(i *Inspector, side int) doc) *twin {
	t := &twin{in: i, text: text, panes: [2]*pane{newPane(&i.actions), newPane(&i.actions)}}
	t.box.Container = container.New(layoutFunc(t.layout), t.panes[request], t.panes[response], look.NewLine())
	return t
}

func (t *twin) layout(o []fyne.CanvasObject, size fyne.Size) {
	if t.in.narrow {
		place(o[0], 0, 0, size.Width, size.Height)
		hide(o[1], o[2])
		return
	}
	half := float32(int(size.Width / 2))
	place(o[0], 0, 0, half, size.Height)
	place(o[1], half+1, 0, size.Width-half-1, size.Height)
	place(o[2], half, 0, 1, size.Height)
	show(o[1], o[2])
}

func hide(objects ...fyne.CanvasObject) {
	for _, o := range objects {
		if o.Visible() {
			o.Hide()
		}
	}
}

func show(objects ...fyne.CanvasObject) {
	for _, o := range objects {
		if !o.Visible() {
			o.Show()
		}
	}
}

func (t *twin) fill(keep bool) {
	ask, answer := t.text(t.in, request), t.text(t.in, response)
	t.layout(t.Objects, t.Size())
	if t.in.narrow {
		t.panes[request].set(joined{ask, &rule{}, answer}, keep)
		return
	}
	t.panes[request].set(ask, keep)
	t.panes[response].set(answer, keep)
}

// sync lets an open exchange grow older, once a second.
func (t *twin) sync() {
	if second := t.in.actions.Now().Unix(); second != t.second {
		t.second = second
		t.fill(true)
	}
}

func (t *twin) focus() fyne.Focusable { return t.panes[request].sheet }

// rule stands between two texts.
type rule struct{ cols int }

func (r *rule) len() int     { return 3 }
func (r *rule) columns() int { return 0 }
func (r *rule) fit(cols int) { r.cols = cols }
func (r *rule) at(i int) line {
	if i != 1 {
		return blank()
	}
	return say(look.ColorLine, dashes(r.cols))
}
