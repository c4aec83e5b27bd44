package settings

import (
	"fmt"
	"slices"

	"culvert/app/config"
	"culvert/app/ui/form"
	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"
)

// requestsPage says what is kept of requests, and clears it.
type requestsPage struct {
	simplePage
	sheet       *Sheet
	enabled     *look.Switch
	redact      *look.Switch
	size, age   *look.Select
	sizes, ages []int
	kept        *form.Option
	clear       *look.Button
}

func newRequestsPage(s *Sheet) *requestsPage {
	p := &requestsPage{sheet: s}
	p.enabled = look.NewSwitch("", func(on bool) { s.edit(func(c *config.Config) { c.History.Enabled = on }) })
	p.redact = look.NewSwitch("", p.askRedact)
	p.size = look.NewSelect(nil, func(i int) {
		mb := p.sizes[i]
		s.edit(func(c *config.Config) { c.History.MaxMB = mb })
	})
	p.age = look.NewSelect(nil, func(i int) {
		days := p.ages[i]
		s.edit(func(c *config.Config) { c.History.MaxDays = days })
	})
	p.clear = look.NewButton(words.T("Clear all…"), look.Middle, p.askClear)
	p.clear.SetDanger(true)
	p.kept = form.NewOption("", "", p.clear, 0)
	const width = 128
	p.page = form.NewPage(
		form.NewSection(words.T("Requests on disk"), words.T("Requests are kept on this computer only, so that yesterday's can still be looked up."),
			form.NewOption(words.T("Keep requests"), words.T("Off: only those since the start of the program are shown."), p.enabled, 0),
			form.NewOption(words.T("Take secrets out first"),
				words.T("Tokens, cookies, passwords and the like never reach the disk. What was redacted cannot be replayed as it was."), p.redact, 0),
			form.NewOption(words.T("At most"), words.T("The oldest leave first."), p.size, width),
			form.NewOption(words.T("For at most"), "", p.age, width)),
		p.kept)
	p.page.Reach(p.enabled, p.redact, p.size, p.age, p.clear)
	return p
}

// askRedact asks before secrets are written down.
func (p *requestsPage) askRedact(on bool) {
	set := func() { p.sheet.edit(func(c *config.Config) { c.History.Redact = on }) }
	if on {
		set()
		return
	}
	p.sheet.actions.Ask(words.T("Keep secrets on disk?"),
		words.T("Passwords, tokens and cookies of every request would be stored readably in a file that only you can open."),
		words.T("Keep secrets"), words.T("Cancel"), func(yes bool) {
			if yes {
				set()
			}
		})
}

func (p *requestsPage) askClear() {
	text := words.T("%d requests are removed from this computer for good.", p.sheet.state.History.Exchanges)
	p.sheet.actions.Ask(words.T("Clear all requests?"), text, words.T("Clear all"), words.T("Cancel"), func(yes bool) {
		if yes {
			p.sheet.actions.ClearHistory(p.sheet.done)
		}
	})
}

func (p *requestsPage) sync(s *State) {
	h := s.Config.History
	p.enabled.Set(h.Enabled)
	p.redact.Set(h.Redact)
	p.sizes, p.ages = among([]int{50, 100, 200, 500, 1024, 2048}, h.MaxMB), among([]int{1, 3, 7, 14, 30, 90}, h.MaxDays)
	var sizes, ages []string
	for _, mb := range p.sizes {
		sizes = append(sizes, model.Size(int64(mb)<<20))
	}
	for _, d := range p.ages {
		ages = append(ages, words.T("%d days", d))
	}
	p.size.SetOptions(sizes, slices.Index(p.sizes, h.MaxMB))
	p.age.SetOptions(ages, slices.Index(p.ages, h.MaxDays))
	p.kept.SetLabel(fmt.Sprintf("%s · %s", words.T("%d requests", s.History.Exchanges), model.Size(s.History.Bytes)))
	if s.History.Problem == "" {
		p.kept.SetNote(words.T("This is what is kept now."), look.ColorMuted)
	} else {
		p.kept.SetNote(model.Sentence(s.History.Problem), look.ColorBad)
	}
}

// among is the list with the value in its place, if a person has written another into
// the config file.
func among(list []int, value int) []int {
	if value > 0 && !slices.Contains(list, value) {
		list = append(list, value)
		slices.Sort(list)
	}
	return list
}
