package settings

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"culvert/app/config"
	"culvert/app/ui/form"
	"culvert/app/ui/look"
	"culvert/app/ui/words"
)

// tunnelPage has what new tunnels start with.
type tunnelPage struct {
	simplePage
	sheet   *Sheet
	backend *look.Select
	host    *form.Host
	hostRow *look.FormRow
	timeout *look.Field
	timeRow *look.FormRow

	names []string // of the profiles behind the options of backend
	shown config.Defaults
	fresh bool // nothing has been shown yet
}

func newTunnelPage(s *Sheet) *tunnelPage {
	p := &tunnelPage{sheet: s, fresh: true}
	p.backend = look.NewSelect(nil, func(i int) {
		name := p.names[i]
		s.edit(func(c *config.Config) { c.Profile = name })
	})
	p.host = form.NewHost(p.saveHost, s.relayout)
	p.host.Name().OnChanged = func(string) {
		p.host.Name().SetWrong(false)
		p.say(p.hostRow, "")
	}
	p.hostRow = look.NewFormRow(words.T("Host header"), p.host.Container,
		words.T("What the service sees as the host. Development servers often refuse any but their own."))
	p.timeout = look.NewField(words.T("60 s"))
	p.timeout.OnSubmitted = func(string) { p.saveTimeout() }
	p.timeout.OnChanged = func(string) { p.checkTimeout() }
	p.timeRow = look.NewFormRow(words.T("Timeout"), p.timeout,
		words.T("How long a service may take to begin its answer, such as 30 s or 2 min. AWS allows 27 s."))
	p.page = form.NewPage(form.NewSection(words.T("New tunnels"), words.T("What a tunnel starts with. Open tunnels stay as they are; each can be edited on its card."),
		look.NewFormRow(words.T("Backend"), p.backend, ""), p.hostRow, p.timeRow))
	p.page.Reach(p.backend)
	p.host.Name().OnFocus = func(focused bool) {
		if focused {
			p.page.Reveal(p.host.Name())
		} else if p.host.Name().Text != "" {
			p.saveHost()
		}
	}
	p.timeout.OnFocus = func(focused bool) {
		if focused {
			p.page.Reveal(p.timeout)
		} else {
			p.saveTimeout()
		}
	}
	return p
}

func (p *tunnelPage) say(row *look.FormRow, problem string) {
	if row.SetError(problem) {
		p.sheet.relayout()
	}
}

func (p *tunnelPage) saveHost() {
	header, problem := p.host.Get()
	p.say(p.hostRow, problem)
	if problem == "" && header != p.shown.HostHeader {
		p.sheet.edit(func(c *config.Config) { c.Defaults.HostHeader = header })
	}
}

func (p *tunnelPage) checkTimeout() (d time.Duration, ok bool) {
	d, ok = form.ParseTimeout(p.timeout.Text)
	problem := ""
	if !ok {
		problem = words.T("Type a time from 1 s to 1 h, such as 30 s or 2 min.")
	}
	p.say(p.timeRow, problem)
	return d, ok
}

func (p *tunnelPage) saveTimeout() {
	if d, ok := p.checkTimeout(); ok && config.Duration(d) != p.shown.Timeout {
		p.sheet.edit(func(c *config.Config) { c.Defaults.Timeout = config.Duration(d) })
	}
}

func (p *tunnelPage) sync(s *State) {
	p.names = append([]string{""}, slices.Sorted(maps.Keys(s.Config.Profiles))...)
	p.backend.SetOptions(backendNames(p.names), max(slices.Index(p.names, s.Config.Profile), 0))
	d := s.Config.Defaults
	if p.fresh || d.HostHeader != p.shown.HostHeader {
		p.host.Set(cmp.Or(d.HostHeader, "local"))
	}
	if p.fresh || d.Timeout != p.shown.Timeout {
		p.timeout.SetText(form.TimeoutText(time.Duration(d.Timeout)))
	}
	p.shown, p.fresh = d, false
}

// leave saves what has been typed and is right, and forgets what is not.
func (p *tunnelPage) leave(then func()) {
	if _, problem := p.host.Get(); problem == "" {
		p.saveHost()
	}
	if _, ok := form.ParseTimeout(p.timeout.Text); ok {
		p.saveTimeout()
	}
	p.say(p.hostRow, "")
	p.say(p.timeRow, "")
	p.fresh = true
	then()
}

// backendNames are names of profiles for people; "" is the built-in relay.
func backendNames(names []string) []string {
	out := slices.Clone(names)
	for i, name := range out {
		if name == "" {
			out[i] = words.T("Built-in relay")
		}
	}
	return out
}
