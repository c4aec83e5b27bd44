package form

import (
	"strings"

	"culvert/app/forwarder"
	"culvert/app/ui/look"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
)

// Host chooses the Host header that the local service sees: its own, the public
// one, or a name that is typed.
type Host struct {
	*fyne.Container
	choice  *look.Select
	name    *look.Field
	changed func()
	resized func()
}

// The options of Host.
const (
	hostLocal = iota
	hostPublic
	hostNamed
)

// NewHost returns a choice of "local". changed is called when something else is
// chosen, or a name has been typed and Enter pressed; resized when its height changed.
func NewHost(changed, resized func()) *Host {
	h := &Host{changed: changed, resized: resized}
	h.choice = look.NewSelect([]string{
		words.T("The service's own, such as localhost:3000"),
		words.T("The public one, as the visitor sent it"),
		words.T("Another name"),
	}, func(i int) {
		h.showName()
		if i != hostNamed {
			h.changed()
		}
	})
	h.name = look.NewField("app.example.test")
	h.name.OnSubmitted = func(string) { h.changed() }
	h.name.Box.Hide()
	h.Container = look.NewStack(Tight, h.choice, h.name.Box)
	return h
}

func (h *Host) showName() {
	named := h.choice.Selected() == hostNamed
	if h.name.Box.Visible() == named {
		return
	}
	if named {
		h.name.Box.Show()
	} else {
		h.name.Box.Hide()
	}
	h.resized()
}

// Name is the field for another name.
func (h *Host) Name() *look.Field { return h.name }

// Set shows a header: "local" (or ""), "public", or a name.
func (h *Host) Set(header string) {
	switch forwarder.HostHeader(header) {
	case "", forwarder.HostLocal:
		h.choice.Select(hostLocal)
	case forwarder.HostPublic:
		h.choice.Select(hostPublic)
	default:
		h.choice.Select(hostNamed)
		if h.name.Text != header {
			h.name.SetText(header)
		}
	}
	h.showName()
}

// Get is the header that is chosen, "" for the local one, or what is wrong with the
// name, which is marked then.
func (h *Host) Get() (header, problem string) {
	switch h.choice.Selected() {
	case hostLocal:
		return "", ""
	case hostPublic:
		return string(forwarder.HostPublic), ""
	}
	parsed, err := forwarder.ParseHostHeader(strings.TrimSpace(h.name.Text))
	h.name.SetWrong(err != nil)
	if err != nil {
		return "", words.T("Type a host name such as app.example.test, with a port if it needs one.")
	}
	return string(parsed), ""
}
