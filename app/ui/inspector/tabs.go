package inspector

import (
	"cmp"

	"culvert/app/ui/look"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"
)

// tab is one way to look at an exchange.
type tab int

const (
	overviewTab tab = iota
	messagesTab
	headersTab
	bodyTab
	timingTab
	compareTab
)

func (t tab) label() string {
	switch t {
	case messagesTab:
		return words.T("Messages")
	case headersTab:
		return words.T("Headers")
	case bodyTab:
		return words.T("Body")
	case timingTab:
		return words.T("Timing")
	case compareTab:
		return words.T("Compare")
	default:
		return words.T("Overview")
	}
}

// head is the line of tabs, with what can be done about the exchange.
type head struct {
	widget.BaseWidget
	in   *Inspector
	tabs *look.Tabs
	pick *look.Select // in the place of tabs, where they have no room
	all  []tab        // those that the exchange has

	// In a wide inspector actions have words, in a narrow one most are in a menu.
	replay, edit, compare, copyAs   *look.Button
	secrets, again, more, closeIcon *look.IconButton
}

func newHead(i *Inspector) *head {
	h := &head{in: i}
	h.tabs = look.NewTabs([]string{overviewTab.label()}, func(n int) { i.turn(h.all[n]) })
	h.pick = look.NewSelect([]string{overviewTab.label()}, func(n int) { i.turn(h.all[n]) })
	h.replay = look.NewButton(words.T("Replay"), look.Low, i.replay)
	h.edit = look.NewButton(words.T("Edit…"), look.Low, i.edit)
	h.compare = look.NewButton(words.T("Compare"), look.Low, i.Compare)
	h.copyAs = look.NewButton(words.T("Copy as ▾"), look.Low, func() { look.ShowMenu(h.copyAs, i.copyItems()) })
	h.edit.SetTip(words.T("Change it, then send it to the service again"))
	h.compare.SetTip(words.T("See what differs from another request (C in the list)"))
	h.secrets = look.NewIconButton(look.IconEye, words.T("Show secrets"), func() { i.reveal("") })
	h.again = look.NewIconButton(look.IconReplay, words.T("Replay"), i.replay)
	h.more = look.NewIconButton(look.IconMore, words.T("More"), func() { look.ShowMenu(h.more, i.moreItems()) })
	h.closeIcon = look.NewIconButton(look.IconClose, words.T("Close"), func() {
		if i.actions.Close != nil {
			i.actions.Close()
		}
	})
	h.ExtendBaseWidget(h)
	return h
}

// available are the tabs that the exchange has.
func (i *Inspector) available() []tab {
	tabs := []tab{overviewTab}
	if i.streams() {
		tabs = append(tabs, messagesTab)
	}
	tabs = append(tabs, headersTab)
	if x := i.exchange; x == nil || x.Status != 101 {
		tabs = append(tabs, bodyTab)
	}
	tabs = append(tabs, timingTab)
	if i.base != nil {
		tabs = append(tabs, compareTab)
	}
	return tabs
}

// streams reports whether the exchange is, or was, a stream of messages.
func (i *Inspector) streams() bool {
	x := i.exchange
	return x != nil && (i.live != nil || len(x.Messages) > 0 || x.Skipped > 0 || x.Status == 101)
}

// fill offers what the exchange has.
func (h *head) fill() {
	i := h.in
	h.all = i.available()
	labels, selected := make([]string, len(h.all)), 0
	for n, t := range h.all {
		labels[n] = t.label()
		if t == i.wanted {
			selected = n
		}
	}
	i.switchTo(h.all[selected])
	h.tabs.SetLabels(labels)
	h.tabs.Select(selected)
	h.pick.SetOptions(labels, selected)

	if i.comparing() {
		h.compare.SetText(words.T("Stop comparing"))
	} else {
		h.compare.SetText(words.T("Compare"))
	}
	if i.secrets {
		h.secrets.Set(look.IconEyeOff, words.T("Hide secrets"))
	} else {
		h.secrets.Set(look.IconEye, words.T("Show secrets"))
	}
	h.copyAs.SetTip(h.copyTip())
	why := i.notReplayable()
	h.again.Set(look.IconReplay, words.T("Replay"))
	if why != "" {
		h.again.Set(look.IconReplay, why)
	}
	h.replay.SetTip(cmp.Or(why, words.T("Send it to the service again (R in the list)")))
	enable(h.again, why == "")
	enable(h.replay, why == "")
	enable(h.edit, i.exchange != nil && i.exchange.Status != 101)
	h.Refresh()
}

// copyTip says what is left out of copies, and how to have it in.
func (h *head) copyTip() string {
	if h.in.secrets {
		return ""
	}
	return words.T("Copies come without secrets. Choose “With secrets” in this menu to have them in.")
}

// copied says for a moment that it is on the clipboard, and if so, that the secrets
// are not: whoever runs a command would wonder why it is refused.
func (h *head) copied(without bool) {
	label, tip := words.T("Copied ▾"), words.T("Copied")
	if without {
		label, tip = words.T("Copied without secrets ▾"), words.T("Copied without secrets")
	}
	h.in.flash(func() {
		h.copyAs.SetText(label)
		h.more.Set(look.IconCheck, tip)
		h.Refresh()
	}, func() {
		h.copyAs.SetText(words.T("Copy as ▾"))
		h.more.Set(look.IconMore, words.T("More"))
		h.Refresh()
	})
}

func enable(o fyne.Disableable, on bool) {
	if on {
		o.Enable()
	} else {
		o.Disable()
	}
}

// CreateRenderer implements fyne.Widget.
func (h *head) CreateRenderer() fyne.WidgetRenderer { return &headRenderer{h} }

type headRenderer struct{ *head }

// Layout gives the tabs their room first; actions have words where these fit.
func (r *headRenderer) Layout(size fyne.Size) {
	i := r.in
	offered := map[fyne.CanvasObject]bool{
		r.replay: i.actions.Replay != nil, r.edit: i.actions.Edit != nil, r.compare: true, r.copyAs: true,
		r.secrets: true, r.again: i.actions.Replay != nil && !i.streams(), r.more: true, r.closeIcon: i.actions.Close != nil,
	}
	wide := []fyne.CanvasObject{r.secrets, r.replay, r.edit, r.compare, r.copyAs, r.closeIcon}
	short := []fyne.CanvasObject{r.again, r.more, r.closeIcon}
	tabs := r.tabs.MinSize().Width
	use := wide
	if look.Inset+tabs+r.widthOf(wide, offered)+look.Inset > size.Width {
		use = short
	}
	for o := range offered {
		o.Hide()
	}
	x := size.Width - look.Inset + 4
	for n := len(use) - 1; n >= 0; n-- {
		if o := use[n]; offered[o] {
			w := o.MinSize().Width
			x -= w
			place(o, x, (size.Height-look.Low)/2, w, look.Low)
			x -= gapOf(use)
			o.Show()
		}
	}
	room := max(x-look.Inset, 0)
	r.tabs.Hidden = tabs > room
	r.pick.Hidden = !r.tabs.Hidden
	place(r.tabs, look.Inset, 0, min(tabs, room), size.Height)
	place(r.pick, look.Inset, (size.Height-look.Middle)/2, min(room-look.Gap, 180), look.Middle)
}

func gapOf(use []fyne.CanvasObject) float32 {
	if len(use) > 3 {
		return look.Gap
	}
	return 0
}

func (r *headRenderer) widthOf(objects []fyne.CanvasObject, offered map[fyne.CanvasObject]bool) float32 {
	w := float32(0)
	for _, o := range objects {
		if offered[o] {
			w += o.MinSize().Width + gapOf(objects)
		}
	}
	return w
}

func (r *headRenderer) MinSize() fyne.Size { return fyne.NewSize(0, headHeight) }

// Refresh has the parts lay themselves out, too: the toolkit throws away the renderers
// of what has been hidden for a minute, and new ones know no size.
func (r *headRenderer) Refresh() {
	r.Layout(r.Size())
	for _, o := range r.Objects() {
		o.Refresh()
	}
}
func (r *headRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.tabs, r.pick, r.secrets, r.replay, r.edit, r.compare, r.copyAs, r.again, r.more, r.closeIcon}
}
func (r *headRenderer) Destroy() {}
