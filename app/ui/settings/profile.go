package settings

import (
	"strings"
	"unicode"

	"culvert/app/config"
	"culvert/app/doctor"
	"culvert/app/ui/form"
	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
)

// profileEditor changes one backend, or adds one, and tests it before or after.
type profileEditor struct {
	sheet *Sheet
	back  func()

	old     string  // the profile's name in the config, "" for a new one
	was     Profile // as the fields were filled
	saving  bool
	begun   int    // counts how often it was filled, so that a late answer is known
	stop    func() // ends the test that is under way; nil if none is
	run     int    // counts the tests, so that an earlier one is not listened to
	content *fyne.Container

	title                         *look.Text
	name, address, token, roots   *look.Field
	nameRow, addressRow, tokenRow *look.FormRow
	rootsRow                      *look.FormRow
	removeToken, makeDefault      *look.Check
	testButton, save, remove      *look.Button
	backButton, cancel            *look.Button
	verdict                       *look.Text
	checks                        *checklist
	problem                       *look.Banner
}

func newProfileEditor(s *Sheet, back func()) *profileEditor {
	e := &profileEditor{sheet: s, back: back}
	e.title = look.NewText("", look.ColorText, look.TextTitle, fyne.TextStyle{Bold: true})
	e.name, e.address = look.NewField(words.T("My AWS")), look.NewField("https://tunnel.example.com")
	e.token, e.roots = look.NewSecretField(""), look.NewField("")
	e.nameRow = look.NewFormRow(words.T("Name"), e.name, "")
	e.addressRow = look.NewFormRow(words.T("Address"), e.address,
		words.T("https:// for a relay, wss:// for the WebSocket API in your AWS account."))
	e.tokenRow = look.NewFormRow(words.T("Token"), e.token, "")
	e.rootsRow = look.NewFormRow(words.T("Certificates"), e.roots,
		words.T("Only for a backend with a certificate authority of its own: the path of a PEM file."))
	e.removeToken = look.NewCheck(words.T("Remove the token that is kept"), func(bool) { e.changed() })
	e.makeDefault = look.NewCheck(words.T("Use it for new tunnels"), nil)
	for _, f := range []*look.Field{e.name, e.address, e.token, e.roots} {
		f.OnChanged = func(string) { e.changed() }
		f.OnSubmitted = func(string) { e.trySave() }
	}
	e.testButton = look.NewButton(words.T("Test"), look.Middle, e.test)
	e.save = look.NewFilledButton(words.T("Save"), look.Middle, e.trySave)
	e.remove = look.NewButton(words.T("Remove…"), look.Middle, e.askRemove)
	e.cancel = look.NewButton(words.T("Cancel"), look.Middle, func() { e.mayGo(e.back) })
	e.verdict = look.NewText("", look.ColorMuted, look.TextBody, fyne.TextStyle{})
	e.checks = newChecklist()
	e.checks.Hide()
	e.problem = look.NewBanner(look.Bad, "")
	e.problem.Hide()
	e.remove.SetDanger(true)
	e.backButton = look.NewButton(words.T("Backends"), look.Low, func() { e.mayGo(e.back) })
	e.backButton.SetIcon(look.IconBack)
	e.content = look.NewStack(form.Loose,
		look.NewRow(look.Inset, e.backButton, look.Grow(e.title)),
		e.nameRow, e.addressRow,
		look.NewStack(look.Gap, e.tokenRow, e.removeToken),
		e.rootsRow, e.makeDefault, e.problem,
		look.NewRow(look.Gap, e.testButton, look.Grow(e.verdict), e.remove, e.cancel, e.save),
		e.checks.Container)
	return e
}

// begin fills the fields from the config.
func (e *profileEditor) begin(name string) {
	e.end()
	e.begun++
	e.old, e.saving = name, false
	s := &e.sheet.state
	p := s.Config.Profiles[name]
	e.was = Profile{Name: name, CAFile: p.CAFile, TokenFile: p.TokenFile}
	if p.Backend.URL != nil {
		e.was.Backend = p.Backend.String()
	}
	title := words.T("Add a backend")
	if name != "" {
		title = name
	}
	e.title.Set(title, look.ColorText)
	e.name.SetText(e.was.Name)
	e.address.SetText(e.was.Backend)
	e.token.SetText("")
	e.roots.SetText(e.was.CAFile)
	e.removeToken.Set(false)
	e.makeDefault.Set(name == "")
	setVisible(e.makeDefault, name == "")
	setVisible(e.remove, name != "")
	e.save.SetText(words.T("Save"))
	for _, r := range []*look.FormRow{e.nameRow, e.addressRow, e.tokenRow, e.rootsRow} {
		r.SetError("")
	}
	e.problem.Hide()
	e.checks.Hide()
	e.verdict.Set("", look.ColorMuted)
	e.sync(s)
}

// sync says where the token is; what has been typed stays.
func (e *profileEditor) sync(s *State) {
	hint := ""
	kept := false
	switch s.Tokens[e.old] {
	case TokenKept:
		hint, kept = words.T("There is a token. Type another one to replace it."), true
	case TokenInFile:
		hint = words.T("It is read from %s. One that is typed here is used instead.", e.was.TokenFile)
	case TokenUnread:
		hint, kept = words.T("Whether there is one could not be found out. Type one to replace it."), true
	default:
		hint = words.T("Leave it empty if the backend needs none.")
	}
	if s.TokenPlace != "" {
		hint += " " + placeWords(s.TokenPlace)
	}
	e.tokenRow.SetHint(hint)
	placeholder := ""
	if kept && !e.removeToken.On() {
		placeholder = "••••••••••••"
	}
	if e.token.PlaceHolder != placeholder {
		e.token.SetPlaceHolder(placeholder)
	}
	setVisible(e.removeToken, kept)
}

// typed is the profile as the fields have it.
func (e *profileEditor) typed() Profile {
	return Profile{
		Name: strings.TrimSpace(e.name.Text), Backend: strings.TrimSpace(e.address.Text), CAFile: strings.TrimSpace(e.roots.Text),
		Token: strings.TrimSpace(e.token.Text), RemoveToken: e.removeToken.On(), TokenFile: e.was.TokenFile,
	}
}

// changed takes away what was said about the fields as they were.
func (e *profileEditor) changed() {
	reshaped := e.problem.Visible()
	e.problem.Hide()
	for _, r := range []*look.FormRow{e.nameRow, e.addressRow, e.tokenRow} {
		reshaped = r.SetError("") || reshaped
	}
	if e.stop == nil {
		e.verdict.Set("", look.ColorMuted)
	}
	if reshaped {
		e.sheet.relayout()
	}
}

// maxName is as many letters as there is room for.
const maxName = 64

// check marks what is wrong, and reports whether nothing is.
func (e *profileEditor) check(p Profile, named bool) bool {
	name, address, token := "", "", ""
	_, taken := e.sheet.state.Config.Profiles[p.Name]
	switch {
	case p.Name == "" && !named:
	case p.Name == "":
		name = words.T("Give it a name.")
	case len([]rune(p.Name)) > maxName:
		name = words.T("At most %d letters, please.", maxName)
	case strings.ContainsFunc(p.Name, func(r rune) bool { return !unicode.IsPrint(r) || strings.ContainsRune(`/\`, r) }):
		name = words.T("Letters, digits, spaces and dashes, please.")
	case taken && p.Name != e.old:
		name = words.T("There is another backend of this name.")
	}
	var a config.Address
	switch err := a.UnmarshalText([]byte(p.Backend)); {
	case p.Backend == "":
		address = words.T("Type the address that its owner gave you.")
	case err != nil:
		address = words.T("Type a URL such as https://tunnel.example.com or wss://….amazonaws.com/prod.")
	case a.User != nil || a.RawQuery != "" || a.Fragment != "":
		address = words.T("Leave out user, query and fragment. The token has a field of its own.")
	}
	if strings.ContainsFunc(p.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		token = words.T("A token has no spaces, line breaks or accents: copy it once more.")
	}
	e.nameRow.SetError(name)
	e.addressRow.SetError(address)
	e.tokenRow.SetError(token)
	e.sheet.relayout()
	return name == "" && address == "" && token == ""
}

func (e *profileEditor) trySave() {
	p := e.typed()
	if e.saving || !e.check(p, true) {
		return
	}
	e.setSaving(true)
	begun := e.begun
	e.sheet.actions.SaveProfile(e.old, p, func(err error) {
		if begun != e.begun {
			e.sheet.done(err) // the person is elsewhere by now
			return
		}
		e.setSaving(false)
		if err != nil {
			e.problem.Set(look.Bad, words.T("It was not saved. %s", model.Sentence(err.Error())))
			e.problem.Show()
			e.sheet.relayout()
			return
		}
		first := e.old == "" && e.makeDefault.On()
		e.end()
		e.back()
		if first {
			e.sheet.edit(func(c *config.Config) { c.Profile = p.Name })
		}
	})
}

func (e *profileEditor) setSaving(saving bool) {
	e.saving = saving
	label := words.T("Save")
	if saving {
		label = words.T("Saving…")
	}
	e.save.SetText(label)
	e.content.Refresh()
}

func (e *profileEditor) askRemove() {
	name := e.old
	text := words.T("Its address and its token are forgotten. Tunnels that lead through it cannot be started any more.")
	e.sheet.actions.Ask(words.T("Remove the backend %s?", name), text, words.T("Remove"), words.T("Cancel"), func(yes bool) {
		if !yes {
			return
		}
		e.sheet.actions.RemoveProfile(name, func(err error) {
			if err == nil {
				e.end()
				e.back()
			}
			e.sheet.done(err)
		})
	})
}

// test checks the backend as it is typed.
func (e *profileEditor) test() {
	if e.stop != nil {
		e.stop()
		e.finish(words.T("Stopped."), look.ColorMuted)
		return
	}
	p := e.typed()
	if !e.check(p, false) {
		return
	}
	e.checks.begin()
	e.checks.Show()
	e.testButton.SetText(words.T("Stop"))
	e.verdict.Set(words.T("Testing…"), look.ColorMuted)
	e.run++
	run := e.run
	e.stop = func() {}
	stop := e.sheet.actions.Test(e.old, p, func(c doctor.Check) {
		if run == e.run {
			e.checks.set(c)
			e.sheet.relayout()
		}
	}, func(err error) {
		switch {
		case run != e.run:
		case err != nil:
			e.problem.Set(look.Bad, model.Sentence(err.Error()))
			e.problem.Show()
			e.finish(words.T("Not tested."), look.ColorBad)
		case e.checks.worst() == doctor.Failed:
			e.finish(words.T("It does not work."), look.ColorBad)
		case e.checks.worst() == doctor.Warn:
			e.finish(words.T("It works, with a warning."), look.ColorWarn)
		default:
			e.finish(words.T("It works."), look.ColorOK)
		}
	})
	if e.stop != nil { // it may have ended at once
		e.stop = stop
	}
	e.sheet.relayout()
	e.sheet.pages[Backends].view().Reveal(e.checks.Container)
}

// finish says how the test ended.
func (e *profileEditor) finish(verdict string, ink fyne.ThemeColorName) {
	e.stop = nil
	e.run++
	e.checks.end()
	e.testButton.SetText(words.T("Test"))
	e.verdict.Set(verdict, ink)
	e.content.Refresh()
	e.sheet.relayout()
}

// end stops a test that nobody will look at.
func (e *profileEditor) end() {
	if e.stop != nil {
		e.stop()
		e.finish("", look.ColorMuted)
	}
}

// mayGo asks before what has been typed is lost.
func (e *profileEditor) mayGo(then func()) {
	leave := func() {
		e.end()
		then()
	}
	p := e.typed()
	if p == e.was {
		leave()
		return
	}
	e.sheet.actions.Ask(words.T("Discard your changes?"), words.T("The backend stays as it was."), words.T("Discard"), words.T("Keep editing"), func(yes bool) {
		if yes {
			leave()
		}
	})
}
