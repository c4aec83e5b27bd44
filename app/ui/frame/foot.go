package frame

import (
	"slices"

	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"
)

// FootHeight is the height of a Foot.
const FootHeight float32 = 32

// Foot is the line at the bottom: how many tunnels are in which state, where new ones
// lead, and how much has passed.
type Foot struct {
	widget.BaseWidget
	back    *look.Shape
	summary *summary
	backend *look.Text
	total   *look.Text
	lan     *look.Switch
}

// FootState is what a Foot shows.
type FootState struct {
	Tunnels []model.Tunnel
	Backend model.Backend
	Total   model.Total
}

// NewFoot returns the line. allowLAN is asked for when the built-in relay shall be
// reachable from the network around, or no longer.
func NewFoot(allowLAN func(bool)) *Foot {
	f := &Foot{
		back: look.NewPanel(look.ColorPanel, "", 0), summary: newSummary(),
		backend: look.NewText("", look.ColorMuted, look.TextSmall, fyne.TextStyle{}),
		total:   look.NewText("", look.ColorMuted, look.TextSmall, fyne.TextStyle{}),
		lan:     look.NewSwitch(words.T("Allow devices on my network"), allowLAN),
	}
	f.ExtendBaseWidget(f)
	return f
}

// LAN is the switch that lets the network in.
func (f *Foot) LAN() *look.Switch { return f.lan }

// Sync brings the line to the state.
func (f *Foot) Sync(s FootState) {
	relayout := f.summary.set(s.Tunnels)
	text := backendWords(s)
	relayout = relayout || text != f.backend.Text()
	f.backend.Set(text, look.ColorMuted)
	text = totalWords(s.Total)
	relayout = relayout || len(text) != len(f.total.Text())
	f.total.Set(text, look.ColorMuted)
	f.lan.Set(s.Backend.LAN)
	// The built-in relay may carry tunnels also when the next one will lead elsewhere.
	builtIn := s.Backend.BuiltIn || slices.ContainsFunc(s.Tunnels, func(t model.Tunnel) bool { return t.Profile == "" })
	if f.lan.Visible() != builtIn {
		if builtIn {
			f.lan.Show()
		} else {
			f.lan.Hide()
		}
		relayout = true
	}
	if relayout {
		f.Refresh()
	}
}

// Text is what stands beside the counts.
func (f *Foot) Text() string { return f.backend.Text() }

func backendWords(s FootState) string {
	text := words.T("via %s", s.Backend.Name)
	switch {
	case s.Backend.BuiltIn && s.Backend.LAN:
		text = words.T("via the built-in relay · this network")
	case s.Backend.BuiltIn:
		text = words.T("via the built-in relay · this computer")
	}
	for _, t := range s.Tunnels {
		if t.Profile != s.Backend.Profile {
			// Those that are open may lead elsewhere than the next one will.
			return words.T("new tunnels %s", text)
		}
	}
	for _, t := range s.Tunnels {
		if l := t.Lights.URL; t.State == model.Online && l.State == model.LightUp && l.RTT > 0 {
			return text + " · " + words.T("round trip %s", model.Took(l.RTT))
		}
	}
	return text
}

func totalWords(t model.Total) string {
	if t.Requests == 0 {
		return ""
	}
	return words.T("%d requests", t.Requests) + " · " + model.Size(t.Bytes)
}

// CreateRenderer implements fyne.Widget.
func (f *Foot) CreateRenderer() fyne.WidgetRenderer {
	renderer := &footRenderer{f}
	renderer.Layout(f.Size()) // Fyne forgets renderers of what was long hidden, and never lays out the new one
	return renderer
}

type footRenderer struct{ *Foot }

func (r *footRenderer) Layout(size fyne.Size) {
	r.back.Resize(size)
	right := size.Width - 16
	if r.lan.Visible() {
		w := r.lan.MinSize().Width
		right -= w
		place(r.lan, right, 0, w, size.Height)
		right -= 16
	}
	x := float32(16)
	summary := r.summary.MinSize().Width
	place(r.summary.Container, x, 0, summary, size.Height)
	if summary > 0 {
		x += summary + 16
	}
	// What has passed is said only where all else has room.
	total := r.total.Natural().Width
	r.total.Hidden = total == 0 || x+r.backend.Natural().Width+24+total > right
	if !r.total.Hidden {
		right -= total
		place(r.total, right, 0, total, size.Height)
		right -= 16
	}
	place(r.backend, x, 0, max(right-x, 0), size.Height)
}

func (r *footRenderer) MinSize() fyne.Size { return fyne.NewSize(0, FootHeight) }
func (r *footRenderer) Refresh()           { r.Layout(r.Size()); canvas.Refresh(r.Foot) }
func (r *footRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.back, r.summary.Container, r.backend, r.total, r.lan}
}
func (r *footRenderer) Destroy() {}
