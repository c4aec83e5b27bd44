package editor

import (
	"slices"
	"strings"
	"time"

	"culvert/app/ui/form"
	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"
	"culvert/backend/tunnel"

	"fyne.io/fyne/v2"
)

// Tunnel is a tunnel as a person writes it down.
type Tunnel struct {
	Target     string
	Name       string // the wanted ID, or "" for any
	Profile    string // name of the backend's profile, "" for the built-in relay
	HostHeader string // "public" or a name; "" is the service's own
	Timeout    time.Duration
	Start      bool // open it when the program starts
}

// TunnelState is what the form begins with.
type TunnelState struct {
	// Key is the tunnel that is changed; "" opens a new one.
	Key    string
	Tunnel Tunnel
	// Title is the tunnel's name for people.
	Title string
	// URL is its public URL now, or "".
	URL string
	// Running: saving connects it anew.
	Running bool
	// Profiles are the names to choose from.
	Profiles []string
}

// TunnelActions are what the form asks for. None may block; they call back in the
// toolkit's goroutine.
type TunnelActions struct {
	// CheckTarget says what is wrong with a target, or nil.
	CheckTarget func(text string, done func(error))
	// Save changes the tunnel, or opens a new one if key is "".
	Save func(key string, t Tunnel, done func(error))
	// Closed is called when the form has gone, saved or not; may be nil.
	Closed func()
}

// TunnelForm changes or duplicates a tunnel.
type TunnelForm struct {
	dialog
	actions TunnelActions
	state   TunnelState
	names   []string // of the profiles behind the options of backend

	target, name, timeout                *look.Field
	targetRow, nameRow, hostRow, timeRow *look.FormRow
	backend                              *look.Select
	host                                 *form.Host
	start                                *look.Check
	warning                              *look.Banner
	save                                 *look.Button
}

// NewTunnelForm returns a form that is not shown.
func NewTunnelForm(canvas fyne.Canvas, a TunnelActions) *TunnelForm {
	f := &TunnelForm{actions: a}
	f.target = look.NewField(words.T("3000, localhost:3000, https://… or a folder"))
	f.name = look.NewField(words.T("any"))
	f.timeout = look.NewField(words.T("60 s"))
	f.backend = look.NewSelect(nil, func(int) { f.warn() })
	f.host = form.NewHost(func() { f.mark(f.hostRow, "") }, f.relayout)
	f.start = look.NewCheck(words.T("Open it when Culvert starts"), nil)
	f.targetRow = look.NewFormRow(words.T("Service"), f.target, words.T("Where the tunnel leads to: a port, host and port, a URL, or a folder whose files are served."))
	f.nameRow = look.NewFormRow(words.T("Name"), f.name, words.T("The part of the URL that you may choose. Empty lets the backend choose one."))
	f.hostRow = look.NewFormRow(words.T("Host header"), f.host.Container, words.T("What the service sees as the host. Development servers often refuse any but their own."))
	f.timeRow = look.NewFormRow(words.T("Timeout"), f.timeout, words.T("How long the service may take to begin its answer, such as 30 s or 2 min."))
	f.warning = look.NewBanner(look.Warn, "")
	f.warning.Hide()
	f.save = look.NewFilledButton(words.T("Save"), look.Middle, f.trySave)
	cancel := look.NewButton(words.T("Cancel"), look.Middle, func() { f.sheet.Close() })
	f.init(canvas, "", a.Closed, []fyne.CanvasObject{
		f.targetRow, f.nameRow, look.NewFormRow(words.T("Backend"), f.backend, ""), f.hostRow, f.timeRow, f.start, f.warning,
	}, cancel, f.save)
	f.page.Reach(f.target, f.name, f.backend, f.timeout, f.start, f.host.Name())

	f.target.OnChanged = func(string) { f.mark(f.targetRow, "") }
	f.name.OnChanged = func(string) { f.mark(f.nameRow, ""); f.warn() }
	f.host.Name().OnChanged = func(string) {
		f.host.Name().SetWrong(false)
		f.mark(f.hostRow, "")
	}
	f.timeout.OnChanged = func(string) { f.mark(f.timeRow, "") }
	for _, field := range []*look.Field{f.target, f.name, f.timeout, f.host.Name()} {
		field.OnSubmitted = func(string) { f.trySave() }
	}
	reveal := f.target.OnFocus
	f.target.OnFocus = func(focused bool) {
		reveal(focused)
		if !focused && strings.TrimSpace(f.target.Text) != "" {
			f.checkTarget(nil)
		}
	}
	return f
}

// Show opens the form.
func (f *TunnelForm) Show(s TunnelState) {
	f.state = s
	t := s.Tunnel
	f.target.SetText(t.Target)
	f.name.SetText(t.Name)
	f.timeout.SetText(form.TimeoutText(t.Timeout))
	f.host.Set(t.HostHeader)
	f.start.Set(t.Start)
	f.names = append([]string{""}, s.Profiles...)
	if !slices.Contains(f.names, t.Profile) {
		f.names = append(f.names, t.Profile) // it has been removed: saving says so
	}
	options := slices.Clone(f.names)
	options[0] = words.T("Built-in relay")
	f.backend.SetOptions(options, slices.Index(f.names, t.Profile))
	for _, row := range []*look.FormRow{f.targetRow, f.nameRow, f.hostRow, f.timeRow} {
		row.SetError("")
	}
	title, save := words.T("Edit %s", s.Title), words.T("Save")
	if s.Key == "" {
		title, save = words.T("Another tunnel like %s", s.Title), words.T("Open tunnel")
		if s.Title == "" {
			title = words.T("New tunnel")
		}
	}
	f.save.SetText(save)
	f.warn()
	f.open(title, f.target)
}

// Hide closes the form, saving nothing.
func (f *TunnelForm) Hide() { f.sheet.Close() }

// typed is the tunnel as the fields have it; what is wrong is marked.
func (f *TunnelForm) typed() (t Tunnel, ok bool) {
	t = Tunnel{
		Target: strings.TrimSpace(f.target.Text), Name: strings.TrimSpace(f.name.Text),
		Profile: f.names[f.backend.Selected()], Start: f.start.On(),
	}
	target, name, timeout := "", "", ""
	if t.Target == "" {
		target = words.T("Type where the tunnel leads to, such as 3000.")
	}
	if t.Name != "" && tunnel.ValidID(t.Name) != nil {
		name = words.T("3 to 63 small letters, digits and dashes, please, with no dash at the ends.")
	}
	var host string
	t.HostHeader, host = f.host.Get()
	var valid bool
	if t.Timeout, valid = form.ParseTimeout(f.timeout.Text); !valid {
		timeout = words.T("Type a time from 1 s to 1 h, such as 30 s or 2 min.")
	}
	f.targetRow.SetError(target)
	f.nameRow.SetError(name)
	f.hostRow.SetError(host)
	f.timeRow.SetError(timeout)
	f.relayout()
	f.point(wrongField{f.target, target}, wrongField{f.name, name}, wrongField{f.host.Name(), host}, wrongField{f.timeout, timeout})
	return t, target == "" && name == "" && host == "" && timeout == ""
}

// warn says what saving does to the URL.
func (f *TunnelForm) warn() {
	text := ""
	if s := &f.state; s.Key != "" && len(f.names) > 0 {
		moved := f.names[f.backend.Selected()] != s.Tunnel.Profile || strings.TrimSpace(f.name.Text) != s.Tunnel.Name
		switch {
		case moved && s.URL != "":
			text = words.T("The URL changes: %s stops working.", s.URL)
		case s.Running:
			text = words.T("Saving connects the tunnel anew. Requests that are under way break off.")
		}
	}
	if f.warning.Text() == text {
		return
	}
	f.warning.Set(look.Warn, text)
	f.warning.Hidden = text == ""
	f.relayout()
}

// checkTarget marks a target that makes no sense; then is called with what was found.
func (f *TunnelForm) checkTarget(then func(ok bool)) {
	text, shown := f.target.Text, f.shown
	f.actions.CheckTarget(strings.TrimSpace(text), func(err error) {
		if shown != f.shown || f.target.Text != text {
			return // something else stands there by now
		}
		if err != nil {
			f.mark(f.targetRow, model.Sentence(err.Error()))
		}
		if err != nil && then != nil {
			f.point(wrongField{f.target, err.Error()})
		}
		if then != nil {
			then(err == nil)
		}
	})
}

func (f *TunnelForm) trySave() {
	t, ok := f.typed()
	if !ok || f.busy {
		return
	}
	f.checkTarget(func(ok bool) {
		if !ok || f.busy || !f.sheet.Shown() {
			return
		}
		meanwhile := words.T("Saving…")
		if f.state.Key == "" {
			meanwhile = words.T("Opening…")
		}
		f.run(f.save, meanwhile, func(done func(error)) { f.actions.Save(f.state.Key, t, done) })
	})
}
