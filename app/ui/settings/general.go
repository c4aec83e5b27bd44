package settings

import (
	"slices"

	"culvert/app/config"
	"culvert/app/ui/form"
	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"
)

// general is about the program: how it starts, looks and speaks, where its files are.
type general struct {
	simplePage
	launch       *look.Switch
	launchOption *form.Option
	minimized    *look.Switch
	language     *look.Select
	languages    []string
	theme        *look.Segmented
	file         *form.Path
	crash        *form.Path
	version      *form.Path
	crashRow     *look.FormRow
}

var themes = []string{"", "light", "dark"}

func newGeneral(s *Sheet) *general {
	p := &general{}
	p.launch = look.NewSwitch("", func(on bool) { s.actions.SetLaunchAtLogin(on, s.done) })
	p.launchOption = form.NewOption(words.T("Start at login"), "", p.launch, 0)
	p.minimized = look.NewSwitch("", func(on bool) { s.edit(func(c *config.Config) { c.Minimized = on }) })
	p.languages = []string{""}
	for _, l := range words.Languages() {
		p.languages = append(p.languages, l.Tag)
	}
	p.language = look.NewSelect(languageNames(), func(i int) {
		tag := p.languages[i]
		s.edit(func(c *config.Config) { c.Language = tag })
	})
	p.theme = look.NewSegmented([]string{words.T("System"), words.T("Light"), words.T("Dark")}, func(i int) {
		s.edit(func(c *config.Config) { c.Theme = themes[i] })
	})
	p.file = form.NewPath(
		look.NewButton(words.T("Copy path"), look.Low, func() { s.actions.Copy(s.state.ConfigFile) }),
		look.NewButton(words.T("Open"), look.Low, func() { s.actions.OpenFile(s.state.ConfigFile) }))
	p.crash = form.NewPath(
		look.NewButton(words.T("Copy path"), look.Low, func() { s.actions.Copy(s.state.CrashReport) }),
		look.NewButton(words.T("Open"), look.Low, func() { s.actions.OpenFile(s.state.CrashReport) }))
	p.version = form.NewPath(
		look.NewButton(words.T("Copy"), look.Low, func() { s.actions.Copy(s.state.Version) }))
	p.crashRow = look.NewFormRow(words.T("Report of the last crash"), p.crash,
		words.T("Please attach it when you report the problem. Look through it first: it names files and addresses."))
	const width = 176
	p.page = form.NewPage(
		form.NewSection(words.T("Startup"), "",
			p.launchOption,
			form.NewOption(words.T("Start in the tray"), words.T("Without the window. Where the desktop shows no tray icons, the window opens."), p.minimized, 0)),
		form.NewSection(words.T("Appearance"), "",
			form.NewOption(words.T("Theme"), "", p.theme, 0),
			form.NewOption(words.T("Language"), "", p.language, width)),
		form.NewSection(words.T("Config file"),
			words.T("All of this is in one file that you may edit. Comments and keys that this version does not know are left alone."), p.file),
		p.crashRow,
		form.NewSection(words.T("About"), "", p.version, newLicences()))
	p.page.Reach(p.launch, p.minimized, p.language, p.file, p.crash, p.version)
	return p
}

// languageNames are the options: each language is called what its speakers call it.
func languageNames() []string {
	names := []string{words.T("System")}
	for _, l := range words.Languages() {
		names = append(names, l.Name)
	}
	return names
}

func (p *general) sync(s *State) {
	p.launch.Set(s.LaunchAtLogin)
	note, ink := words.T("Tunnels that are set to open at the start are opened then."), look.ColorMuted
	if s.LaunchProblem != "" {
		note, ink = model.Sentence(s.LaunchProblem), look.ColorBad
	}
	p.launchOption.SetNote(note, ink)
	p.minimized.Set(s.Config.Minimized)
	p.language.SetOptions(languageNames(), max(slices.Index(p.languages, s.Config.Language), 0))
	p.theme.Select(max(slices.Index(themes, s.Config.Theme), 0))
	p.file.Set(s.ConfigFile)
	p.crash.Set(s.CrashReport)
	p.version.Set(s.Version)
	setVisible(p.crashRow, s.CrashReport != "")
}
