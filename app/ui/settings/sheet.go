package settings

import (
	"reflect"

	"culvert/app/config"
	"culvert/app/ui/form"
	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
)

// Sheet is the settings over the window. Its methods are for the toolkit's goroutine.
type Sheet struct {
	canvas  fyne.Canvas
	actions Actions
	state   State

	sheet   *look.Sheet
	nav     *nav
	problem *look.Banner // what kept the last change from being made
	locked  *look.Banner // the config file cannot be changed
	body    *fyne.Container
	pages   []page
	current Page
}

// page is one of the sheet's.
type page interface {
	// view is what stands beside the column of pages.
	view() *form.Page
	// sync shows the state; the page is on the screen.
	sync(*State)
	// leave is called when another page is about to be shown, or none. It may ask the
	// person first, and calls then when it is all right.
	leave(then func())
}

// New returns a sheet that is not shown. It speaks the language that is set now.
func New(canvas fyne.Canvas, a Actions) *Sheet {
	s := &Sheet{canvas: canvas, actions: a, state: State{Config: config.Default()}}
	s.problem = look.NewBanner(look.Bad, "", look.NewButton(words.T("Dismiss"), look.Low, func() { s.setProblem(nil) }))
	s.problem.Hide()
	s.locked = look.NewBanner(look.Warn, "", look.NewButton(words.T("Open file"), look.Low, func() { a.OpenFile(s.state.ConfigFile) }))
	s.locked.Hide()
	list := newBackends(s)
	s.pages = []page{list, newTunnelPage(s), newRequestsPage(s), newNoticesPage(s), newGeneral(s)}
	s.nav = newNav([]navItem{
		{look.IconGlobe, words.T("Backends")},
		{look.IconPlus, words.T("New tunnels")},
		{look.IconHistory, words.T("Requests")},
		{look.IconInfo, words.T("Notices")},
		{look.IconGear, words.T("General")},
	}, func(i int) { s.turn(Page(i)) }, func() { s.escape() })
	s.body = container.New(bodyLayout{s}, s.nav, look.NewLine(), s.locked, s.problem)
	for _, p := range s.pages {
		p.view().Hide()
		s.body.Add(p.view())
	}
	s.pages[0].view().Show()
	s.sheet = look.NewSheet(words.T("Settings"), s.body)
	s.sheet.SetWidth(sheetWidth)
	s.sheet.SetHeight(sheetHeight)
	s.sheet.Fill()
	s.sheet.OnEscape(s.mayClose)
	s.sheet.OnClose(func() {
		list.closed()
		s.setProblem(nil)
		if a.Closed != nil {
			a.Closed()
		}
	})
	return s
}

// Sync brings the sheet to the state. It is cheap where nothing differs.
func (s *Sheet) Sync(state State) {
	if reflect.DeepEqual(s.state, state) {
		return
	}
	s.state = state
	if s.Visible() {
		s.show()
	}
}

// Show opens the sheet at a page.
func (s *Sheet) Show(p Page) {
	s.swap(p)
	if !s.Visible() {
		s.sheet.Open(s.canvas, s.nav)
	}
	s.show()
}

// Check opens the sheet at a backend and tests it at once, to find out why it does not
// work. What is no profile, as the built-in relay, leads to the list.
func (s *Sheet) Check(profile string) {
	s.Show(Backends)
	list := s.pages[Backends].(*backends)
	if _, known := s.state.Config.Profiles[profile]; !known {
		return
	}
	list.leave(func() {
		list.open(profile)
		list.editor.test()
	})
}

// Hide closes the sheet, whatever has been typed.
func (s *Sheet) Hide() { s.sheet.Close() }

// Visible reports whether the sheet is open.
func (s *Sheet) Visible() bool { return s.sheet.Shown() }

// show puts the state on the screen.
func (s *Sheet) show() {
	locked := ""
	if s.state.ConfigProblem != "" {
		locked = words.T("Nothing can be changed while the config file makes no sense: %s", s.state.ConfigProblem)
	}
	s.locked.Set(look.Warn, locked)
	setVisible(s.locked, locked != "")
	s.pages[s.current].sync(&s.state)
	s.relayout()
}

// relayout follows a page whose height has changed.
func (s *Sheet) relayout() {
	if s.Visible() {
		s.body.Refresh()
	}
}

// turn goes to another page, once the one that is shown lets it.
func (s *Sheet) turn(p Page) {
	s.nav.selectItem(int(s.current))
	s.pages[s.current].leave(func() {
		s.setProblem(nil)
		s.swap(p)
		s.show()
	})
}

func (s *Sheet) swap(p Page) {
	s.current = p
	s.nav.selectItem(int(p))
	for i, q := range s.pages {
		setVisible(q.view(), i == int(p))
	}
}

// mayClose is asked before Escape and the close button close the sheet.
func (s *Sheet) mayClose() bool {
	free := false
	left := false
	s.pages[s.current].leave(func() {
		free = true
		if left { // the person has been asked
			s.sheet.Close()
		}
	})
	left = true
	return free
}

func (s *Sheet) escape() {
	if s.mayClose() {
		s.sheet.Close()
	}
}

// edit changes the config file; the controls follow with the next State, or the
// person reads why not.
func (s *Sheet) edit(change func(*config.Config)) {
	s.actions.Edit(change, s.done)
}

// done takes the end of anything that was asked for.
func (s *Sheet) done(err error) {
	s.setProblem(err)
	if s.Visible() {
		s.show() // a control that has moved by itself moves back
	}
}

func (s *Sheet) setProblem(err error) {
	text := ""
	if err != nil {
		text = words.T("This could not be changed. %s", model.Sentence(err.Error()))
	}
	s.problem.Set(look.Bad, text)
	if setVisible(s.problem, text != "") {
		s.relayout()
	}
}

// setVisible reports whether it changed anything.
func setVisible(o fyne.CanvasObject, visible bool) bool {
	if o.Visible() == visible {
		return false
	}
	if visible {
		o.Show()
	} else {
		o.Hide()
	}
	return true
}
