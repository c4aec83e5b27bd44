package cards

import (
	"time"

	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
)

// lights are the three legs of the way, from the service to the visitor.
type lights struct{ service, link, url *look.Lamp }

func newLights() lights {
	return lights{look.NewLamp(words.T("service")), look.NewLamp(words.T("link")), look.NewLamp(words.T("URL"))}
}

func (l *lights) all() []*look.Lamp { return []*look.Lamp{l.service, l.link, l.url} }

// calm reports whether the lights need no words: all is well, or nothing is known yet.
func calm(t model.Tunnel) bool {
	for _, l := range []model.Light{t.Lights.Service, t.Lights.Link, t.Lights.URL} {
		if l.State == model.LightDown || l.State == model.LightWaits {
			return false
		}
	}
	return true
}

// set reports whether anything but a tooltip differs.
func (l *lights) set(t model.Tunnel, now time.Time) bool {
	set := func(lamp *look.Lamp, about string, light model.Light) bool {
		return lamp.Set(lampState(light.State), lightWord(light.State), lightTip(about, light, now))
	}
	a := set(l.service, words.T("The local service"), t.Lights.Service)
	b := set(l.link, words.T("The link to the backend"), t.Lights.Link)
	c := set(l.url, words.T("The public URL, asked from here as a visitor would"), t.Lights.URL)
	return a || b || c
}

const (
	lampBetween float32 = 12
	lampHeight  float32 = 18
)

// width of the row: with all words, with those of lights that are not up, or without.
func (l *lights) width(brief func(*look.Lamp) bool) float32 {
	w := -lampBetween
	for _, lamp := range l.all() {
		w += lampBetween + lamp.WidthFor(brief(lamp))
	}
	return w
}

func allBrief(*look.Lamp) bool  { return true }
func noneBrief(*look.Lamp) bool { return false }
func upBrief(l *look.Lamp) bool { return l.State() == look.LampUp }

// wording chooses as many words as there is room for.
func (l *lights) wording(room float32) func(*look.Lamp) bool {
	for _, brief := range []func(*look.Lamp) bool{noneBrief, upBrief} {
		if l.width(brief) <= room {
			return brief
		}
	}
	return allBrief
}

func (l *lights) objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{l.service, l.link, l.url}
}
