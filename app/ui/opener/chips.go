package opener

import (
	"slices"
	"strconv"

	"culvert/app/discover"
	"culvert/app/ui/look"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"
)

// chips are the services that were found, as many as there is room for, and the rest
// in a menu.
type chips struct {
	widget.BaseWidget
	services []discover.Service
	opened   []string
	scanned  bool
	open     func(discover.Service)
	pool     []*look.Chip // one for each of the services
	rest     *look.Button
	none     *look.Text
	shown    int // how many of the pool have room
}

func newChips(open func(discover.Service)) *chips {
	c := &chips{open: open}
	c.rest = look.NewButton("", look.Middle, c.showRest)
	c.none = look.NewText("", look.ColorMuted, look.TextBody, fyne.TextStyle{})
	c.rest.Hide()
	c.ExtendBaseWidget(c)
	return c
}

// any reports whether there is something to show: services, or that there are none.
func (c *chips) any() bool { return len(c.services) > 0 || c.scanned }

// set reports whether the chips have changed.
func (c *chips) set(s State) bool {
	if slices.Equal(c.services, s.Services) && slices.Equal(c.opened, s.Opened) && c.scanned == s.Scanned {
		return false
	}
	c.services, c.opened, c.scanned = slices.Clone(s.Services), slices.Clone(s.Opened), s.Scanned
	for len(c.pool) < len(c.services) {
		i := len(c.pool)
		c.pool = append(c.pool, look.NewChip(func() {
			if i < len(c.services) {
				c.open(c.services[i])
			}
		}))
	}
	c.pool = c.pool[:len(c.services)]
	for i, s := range c.services {
		c.pool[i].Set(title(s), mark(s, slices.Contains(c.opened, s.Target)), tip(s))
	}
	empty := ""
	if c.scanned && len(c.services) == 0 {
		empty = words.T("No service is listening on this computer")
	}
	c.none.Set(empty, look.ColorMuted)
	c.Refresh()
	return true
}

// title is what a chip says: "5173 · vite".
func title(s discover.Service) string {
	port := strconv.Itoa(s.Port)
	if s.Title == "" {
		return port
	}
	return port + " · " + s.Title
}

func mark(s discover.Service, opened bool) look.ChipMark {
	switch {
	case opened:
		return look.ChipTaken
	case s.Hazard.Kind != discover.NoHazard:
		return look.ChipHazard
	default:
		return look.ChipPlain
	}
}

// tip says what the chip has no room for.
func tip(s discover.Service) string {
	if s.Hazard.Kind != discover.NoHazard {
		return s.Hazard.Name + ": " + s.Hazard.Why
	}
	text := s.Target
	if s.Process != "" && s.Process != s.Title {
		text += " · " + s.Process
	}
	if s.PID != 0 {
		text += " · " + words.T("process %s", strconv.Itoa(s.PID))
	}
	if s.Folder != "" {
		text += " · " + s.Folder
	}
	return text
}

// showRest opens the menu of those without room.
func (c *chips) showRest() {
	var items []look.Item
	for _, s := range c.services[c.shown:] {
		item := look.Item{Text: title(s), Run: func() { c.open(s) }, Checked: slices.Contains(c.opened, s.Target)}
		if s.Hazard.Kind != discover.NoHazard {
			item.Icon, item.Warn = look.IconWarning, true
			item.Hint = s.Hazard.Name
		}
		items = append(items, item)
	}
	look.ShowMenu(c.rest, items)
}

// CreateRenderer implements fyne.Widget.
func (c *chips) CreateRenderer() fyne.WidgetRenderer { return &chipsRenderer{c} }

type chipsRenderer struct{ *chips }

func (r *chipsRenderer) Layout(size fyne.Size) {
	c := r.chips
	// First all without the menu, then as many as fit beside it.
	c.shown = fit(c.pool, size.Width)
	left := size.Width
	if c.shown < len(c.pool) {
		c.rest.SetText("+" + strconv.Itoa(len(c.pool)))
		left -= c.rest.MinSize().Width + look.Gap
		c.shown = fit(c.pool, left)
		c.rest.SetText("+" + strconv.Itoa(len(c.pool)-c.shown))
	}
	x := float32(0)
	for i, k := range c.pool {
		k.Hidden = i >= c.shown
		if !k.Hidden {
			w := k.MinSize().Width
			place(k, x, 0, w, size.Height)
			x += w + look.Gap
		}
	}
	c.rest.Hidden = c.shown == len(c.pool)
	if !c.rest.Hidden {
		place(c.rest, x, 0, c.rest.MinSize().Width, size.Height)
	}
	place(c.none, 0, 0, size.Width, size.Height)
}

// fit is how many chips there is room for.
func fit(pool []*look.Chip, width float32) int {
	x := float32(0)
	for i, k := range pool {
		x += k.MinSize().Width
		if x > width {
			return i
		}
		x += look.Gap
	}
	return len(pool)
}

func (r *chipsRenderer) MinSize() fyne.Size { return fyne.NewSize(0, look.Middle) }

func (r *chipsRenderer) Refresh() {
	r.Layout(r.Size())
	canvas.Refresh(r.chips)
}

func (r *chipsRenderer) Objects() []fyne.CanvasObject {
	o := []fyne.CanvasObject{r.none}
	for _, k := range r.pool {
		o = append(o, k)
	}
	return append(o, r.rest)
}

func (r *chipsRenderer) Destroy() {}
