// Package opener is the bar at the top of the window, where tunnels begin: a field for
// a port, an address or a folder, the services that were found on this computer, one
// click each, and the backend that the next tunnel will lead to.
package opener

import (
	"strconv"

	"culvert/app/discover"
	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"
)

// Actions are what the bar asks for. None of them may block. Only Open is required:
// what has no action is not shown.
type Actions struct {
	// Open opens a tunnel to what was typed, as it was typed.
	Open func(text string)
	// OpenService opens a tunnel to a service that was found, or leads to the one that
	// it has. Whoever serves it asks before a hazardous one is exposed.
	OpenService func(s discover.Service)
	// ChooseFolder lets the user look for a folder to serve.
	ChooseFolder func()
	// ChooseProfile makes another backend the one for new tunnels; ManageProfiles is
	// the last item beneath them.
	ChooseProfile  func(name string)
	ManageProfiles func()
	Settings       func()
	Notices        func() // shows what was sent to the user
	// Edited is called at every change of the text: an error is about another text now.
	Edited   func()
	Escape   func()              // the Escape key in the bar
	Shortcut func(fyne.Shortcut) // a shortcut of the window, typed in the field
}

// Profile is a backend to choose from.
type Profile struct {
	Name  string // what ChooseProfile gets; "" is the built-in relay
	Title string // what the user reads
}

// State is what the bar shows.
type State struct {
	Services []discover.Service
	// Scanned: it is known what listens here. Before, an empty list says nothing.
	Scanned bool
	// Opened are the targets of the services that have a tunnel already.
	Opened   []string
	Profiles []Profile
	Profile  string // the name of the one in force
	Busy     int    // how many tunnels are about to be opened
	Error    string // why the last one was not
	Unread   int    // notices that nobody has looked at
}

// Opener is the bar.
type Opener struct {
	widget.BaseWidget
	actions  Actions
	state    State
	back     *look.Shape
	field    *look.Field
	folder   *look.IconButton
	open     *look.Button
	chips    *chips
	profile  *look.Select
	settings *look.IconButton
	bell     *look.IconButton
	problem  *look.Paragraph
}

// New returns the bar.
func New(a Actions) *Opener {
	o := &Opener{actions: a, back: look.NewPanel(look.ColorPanel, "", 0)}
	o.field = look.NewField(words.T("Port, host:port, URL or folder…"))
	o.field.OnSubmitted = func(string) { o.submit() }
	o.field.OnChanged = func(string) {
		if a.Edited != nil {
			a.Edited()
		}
	}
	o.field.OnEscape, o.field.OnShortcut = a.Escape, a.Shortcut
	o.folder = look.NewIconButton(look.IconFolder, words.T("Choose a folder to serve"), a.ChooseFolder)
	o.open = look.NewFilledButton(words.T("Open tunnel"), look.High, o.submit)
	o.chips = newChips(func(s discover.Service) { a.OpenService(s) })
	o.profile = look.NewSelect(nil, o.choose)
	o.profile.More = o.more
	o.settings = look.NewIconButton(look.IconGear, words.T("Settings"), a.Settings)
	o.bell = look.NewIconButton(look.IconBell, words.T("Notices"), a.Notices)
	o.problem = look.NewParagraph("", look.ColorBad, look.TextBody, 2)
	for _, b := range []*look.IconButton{o.folder, o.bell, o.settings} {
		b.OnEscape = a.Escape
	}
	o.open.OnEscape = a.Escape
	o.folder.Hidden = a.ChooseFolder == nil
	if a.ChooseFolder != nil {
		o.field.KeepFree(look.Low)
	}
	o.profile.Hidden = true
	o.settings.Hidden = a.Settings == nil
	o.bell.Hidden = a.Notices == nil
	o.ExtendBaseWidget(o)
	return o
}

// Field is the field, to give it the focus.
func (o *Opener) Field() *look.Field { return o.field }

// Text is what stands in the field.
func (o *Opener) Text() string { return o.field.Text }

// SetText changes what stands in the field.
func (o *Opener) SetText(text string) { o.field.SetText(text) }

func (o *Opener) submit() { o.actions.Open(o.field.Text) }

func (o *Opener) choose(i int) {
	if o.actions.ChooseProfile != nil && i >= 0 && i < len(o.state.Profiles) {
		o.actions.ChooseProfile(o.state.Profiles[i].Name)
	}
}

func (o *Opener) more() []look.Item {
	if o.actions.ManageProfiles == nil {
		return nil
	}
	return []look.Item{{Text: words.T("Backends…"), Icon: look.IconGear, Run: o.actions.ManageProfiles}}
}

// Sync brings the bar to the state, and reports whether its height may have changed.
func (o *Opener) Sync(s State) bool {
	old := o.state
	o.state = s
	label := words.T("Open tunnel")
	if s.Busy > 0 {
		label = words.T("Opening…")
	}
	o.open.SetText(label)

	var titles []string
	at := 0
	for i, p := range s.Profiles {
		titles = append(titles, p.Title)
		if p.Name == s.Profile {
			at = i
		}
	}
	hidden := o.profile.Hidden
	o.profile.SetOptions(titles, at)
	o.profile.Hidden = len(titles) == 0

	moved := o.ring(s.Unread) || hidden != o.profile.Hidden
	if o.actions.OpenService != nil {
		moved = o.chips.set(s) || moved
	}
	o.problem.Set(model.Sentence(s.Error), look.ColorBad)
	o.field.SetWrong(s.Error != "")
	if moved || old.Error != s.Error {
		o.Refresh()
		return true
	}
	return false
}

// most is the highest number that the bell shows.
const most = 99

// ring shows how many notices are unread, and reports whether the bell's width changed.
func (o *Opener) ring(unread int) bool {
	count, tip := "", words.T("Notices")
	switch {
	case unread > most:
		count = strconv.Itoa(most) + "+"
	case unread > 0:
		count = strconv.Itoa(unread)
	}
	if unread > 0 {
		tip += " · " + words.T("%d unread", unread)
	}
	before := o.bell.MinSize()
	o.bell.Set(look.IconBell, tip)
	o.bell.SetCount(count)
	return o.bell.MinSize() != before
}
