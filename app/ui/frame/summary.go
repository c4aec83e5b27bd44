package frame

import (
	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
)

// summary counts the tunnels by state: a dot and words for each state that occurs.
type summary struct {
	*fyne.Container
	dots  [4]*look.Shape
	texts [4]*look.Text
}

var summaryColors = [4]fyne.ThemeColorName{look.ColorOK, look.ColorWarn, look.ColorWarn, look.ColorBad}

// summaryWords are what is said of each kind of state; "" where there is none.
func summaryWords(tunnels []model.Tunnel) (texts [4]string) {
	if n := model.Count(tunnels, model.Online); n > 0 {
		texts[0] = words.T("%d online", n)
	}
	if n := model.Count(tunnels, model.Connecting); n > 0 {
		texts[1] = words.T("%d connecting", n)
	}
	if n := model.Count(tunnels, model.Reconnecting); n > 0 {
		texts[2] = words.T("%d reconnecting", n)
	}
	if n := model.Count(tunnels, model.Refused); n > 0 {
		texts[3] = words.T("%d refused", n)
	}
	return texts
}

func newSummary() *summary {
	s := &summary{}
	var objs []fyne.CanvasObject
	for i, color := range summaryColors {
		s.dots[i] = look.NewDot(color)
		s.texts[i] = look.NewText("", color, look.TextSmall, fyne.TextStyle{})
		objs = append(objs, s.dots[i], s.texts[i])
	}
	s.Container = container.New(summaryLayout{s}, objs...)
	return s
}

// set reports whether the summary's width changed.
func (s *summary) set(tunnels []model.Tunnel) bool {
	before := s.MinSize()
	for i, text := range summaryWords(tunnels) {
		s.texts[i].Set(text, summaryColors[i])
		s.dots[i].Hidden = text == ""
	}
	return s.MinSize() != before
}

// summaryLayout puts the counts in a row; states that do not occur take no room.
type summaryLayout struct{ *summary }

// MinSize implements fyne.Layout.
func (s summaryLayout) MinSize([]fyne.CanvasObject) fyne.Size {
	var w float32
	for _, t := range s.texts {
		if t.Text() != "" {
			if w > 0 {
				w += 16
			}
			w += 16 + t.Natural().Width
		}
	}
	return fyne.NewSize(w, 20)
}

// Layout implements fyne.Layout.
func (s summaryLayout) Layout(_ []fyne.CanvasObject, size fyne.Size) {
	var x float32
	for i, t := range s.texts {
		if t.Text() == "" {
			place(t, x, 0, 0, 0)
			continue
		}
		place(s.dots[i], x, (size.Height-8)/2, 8, 8)
		w := t.Natural().Width
		place(t, x+16, 0, w, size.Height)
		x += 16 + w + 16
	}
}
