package settings

import (
	"maps"
	"slices"

	"culvert/app/config"
	"culvert/app/ui/form"
	"culvert/app/ui/look"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
)

// backends is the list of backends, which gives way to the editor of one of them.
type backends struct {
	sheet  *Sheet
	page   *form.Page
	editor *profileEditor

	section *fyne.Container
	list    *fyne.Container
	rows    []*backendRow
	place   *look.Paragraph
	editing bool
}

func newBackends(s *Sheet) *backends {
	p := &backends{sheet: s}
	p.editor = newProfileEditor(s, p.showList)
	p.list = look.NewStack(look.Gap)
	p.place = look.NewParagraph("", look.ColorMuted, look.TextSmall, 3)
	add := look.NewButton(words.T("Add a backend…"), look.Middle, func() { p.open("") })
	p.section = form.NewSection(words.T("Backends"),
		words.T("A backend gives tunnels their public URLs: a relay, or your own AWS account. New tunnels use the one that is chosen here."),
		p.list, look.NewRow(look.Gap, add), p.place)
	p.page = form.NewPage(p.section)
	e := p.editor
	p.page.Reach(add, e.backButton, e.cancel, e.name, e.address, e.token, e.roots, e.removeToken, e.makeDefault, e.testButton, e.save, e.remove)
	return p
}

func (p *backends) view() *form.Page { return p.page }

func (p *backends) sync(s *State) {
	if p.editing {
		p.editor.sync(s)
		return
	}
	names := append([]string{""}, slices.Sorted(maps.Keys(s.Config.Profiles))...)
	if !slices.EqualFunc(p.rows, names, func(r *backendRow, name string) bool { return r.profile == name }) {
		p.build(names)
	}
	for _, r := range p.rows {
		address := ""
		if u := s.Config.Profiles[r.profile].Backend.URL; u != nil {
			address = u.Redacted()
		}
		r.set(address, s.Tokens[r.profile], r.profile == s.Config.Profile)
	}
	p.place.Set(placeWords(s.TokenPlace), look.ColorMuted)
}

func (p *backends) build(names []string) {
	p.rows, p.list.Objects = nil, nil
	for _, name := range names {
		r := newBackendRow(name,
			func() { p.sheet.edit(func(c *config.Config) { c.Profile = name }) },
			func() { p.open(name); p.editor.test() },
			func() { p.open(name) })
		r.onFocus = func() { p.page.Reveal(r) }
		if r.test != nil {
			p.page.Reach(r.test, r.edit)
		}
		p.rows = append(p.rows, r)
		p.list.Objects = append(p.list.Objects, r)
	}
	p.list.Refresh()
}

// open shows the editor of a profile, or of a new one.
func (p *backends) open(name string) {
	p.editing = true
	p.sheet.setProblem(nil)
	p.editor.begin(name)
	p.page.Set(p.editor.content)
	p.sheet.show()
	p.sheet.canvas.Focus(p.editor.name)
}

// showList goes back to the list.
func (p *backends) showList() {
	p.editing = false
	p.sheet.setProblem(nil)
	p.page.Set(p.section)
	p.sheet.show()
	p.sheet.canvas.Focus(p.sheet.nav)
}

// leave asks what becomes of what has been typed.
func (p *backends) leave(then func()) {
	if !p.editing {
		then()
		return
	}
	p.editor.mayGo(func() {
		p.editing = false
		p.page.Set(p.section)
		then()
	})
}

// closed is called when the sheet has gone, whatever was being done.
func (p *backends) closed() {
	p.editor.end()
	if p.editing {
		p.editing = false
		p.page.Set(p.section)
	}
}

// placeWords translates what package secret says when all is well; about trouble it
// speaks English, as errors do.
func placeWords(place string) string {
	if place == "Tokens are kept in this system's keychain." {
		return words.T("Tokens are kept in this system's keychain.")
	}
	return place
}
