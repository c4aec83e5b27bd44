package settings

import (
	"culvert/app/config"
	"culvert/app/ui/form"
	"culvert/app/ui/look"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
)

// noticesPage switches the kinds of desktop notifications.
type noticesPage struct {
	simplePage
	kinds []noticeKind
}

// noticeKind is one kind, with its place in the config.
type noticeKind struct {
	on    *look.Switch
	field func(*config.Notices) *bool
}

func newNoticesPage(s *Sheet) *noticesPage {
	p := &noticesPage{}
	var options []fyne.CanvasObject
	add := func(label, note string, field func(*config.Notices) *bool) {
		on := look.NewSwitch("", func(on bool) { s.edit(func(c *config.Config) { *field(&c.Notices) = on }) })
		p.kinds = append(p.kinds, noticeKind{on, field})
		options = append(options, form.NewOption(label, note, on, 0))
	}
	add(words.T("A tunnel lost its backend"), words.T("Its URL does not work until it is back."),
		func(n *config.Notices) *bool { return &n.Lost })
	add(words.T("A tunnel is back"), words.T("Its URL works again."),
		func(n *config.Notices) *bool { return &n.Restored })
	add(words.T("The first request"), words.T("Somebody has opened the URL of a tunnel for the first time."),
		func(n *config.Notices) *bool { return &n.FirstRequest })
	add(words.T("Messages and notices"), words.T("Such as that the backend is about to be restarted, and notices that somebody has sent to you."),
		func(n *config.Notices) *bool { return &n.Messages })
	p.page = form.NewPage(form.NewSection(words.T("Notices"), words.T("What the desktop tells you about while you do not look at the window."), options...))
	for _, k := range p.kinds {
		p.page.Reach(k.on)
	}
	return p
}

func (p *noticesPage) sync(s *State) {
	n := s.Config.Notices
	for _, k := range p.kinds {
		k.on.Set(*k.field(&n))
	}
}
