package editor

import (
	"bytes"
	"cmp"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"culvert/app/exchange"
	"culvert/app/redact"
	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
)

// Request is a request to be sent again.
type Request struct {
	Of     string // ID of the exchange that it repeats
	Method string
	Path   string // raw path and query
	Header http.Header
	Body   []byte
}

// ReplayState is what the form begins with.
type ReplayState struct {
	Exchange *exchange.Exchange
	// Tunnel is the name of the tunnel that it goes through.
	Tunnel string
}

// ReplayActions are what the form asks for. None may block; they call back in the
// toolkit's goroutine.
type ReplayActions struct {
	// Send sends the request to the local service.
	Send   func(x *exchange.Exchange, r Request, done func(error))
	Closed func() // may be nil
}

// ReplayForm changes a request and sends it again. Secrets are hidden until they are
// asked for, and sent as they were where they are not touched.
type ReplayForm struct {
	dialog
	actions ReplayActions
	state   ReplayState
	secret  secrets
	hidden  hiddenText // the body's

	method                    *look.Select
	path, headers, body       *look.Field
	pathRow, headRow, bodyRow *look.FormRow
	showSecrets               *look.Check
	bodyNote                  *look.Paragraph
	warning                   *look.Banner
	send                      *look.Button
	editable                  bool // the body can be edited
}

// maxEditable bounds a body that is edited as text: an entry gets slow with more. The
// toolkit measures each line as a whole, so lines have a bound of their own.
const (
	maxEditable     = 16 << 10
	maxEditableLine = 4 << 10
)

// NewReplay returns a form that is not shown.
func NewReplay(canvas fyne.Canvas, a ReplayActions) *ReplayForm {
	f := &ReplayForm{actions: a}
	f.method = look.NewSelect(nil, func(int) { f.pathRow.Refresh() }) // it has another width
	f.path = look.NewField("/")
	f.headers, f.body = look.NewArea("", 7), look.NewArea("", 7)
	f.pathRow = look.NewFormRow(words.T("Method and path"), look.NewRow(look.Gap, f.method, look.Grow(f.path.Box)), "")
	f.headRow = look.NewFormRow(words.T("Headers"), f.headers,
		words.T("A line for each. Host, Content-Length and fields of the connection are set anew."))
	f.bodyRow = look.NewFormRow(words.T("Body"), f.body, "")
	f.showSecrets = look.NewCheck(words.T("Show secrets"), f.reveal)
	f.bodyNote = look.NewParagraph("", look.ColorMuted, look.TextSmall, 4)
	f.warning = look.NewBanner(look.Warn, "")
	f.send = look.NewFilledButton(words.T("Send"), look.Middle, f.trySend)
	cancel := look.NewButton(words.T("Cancel"), look.Middle, func() { f.sheet.Close() })
	f.init(canvas, "", a.Closed, []fyne.CanvasObject{
		f.warning, f.pathRow,
		look.NewStack(look.Gap, f.headRow, f.showSecrets), f.bodyRow, f.bodyNote,
	}, cancel, f.send)
	f.page.Reach(f.method, f.path, f.headers, f.body, f.showSecrets)
	f.path.OnChanged = func(string) { f.path.SetWrong(false); f.mark(f.pathRow, "") }
	f.headers.OnChanged = func(string) { f.mark(f.headRow, "") }
	f.body.OnChanged = func(string) { f.mark(f.bodyRow, "") }
	f.path.OnSubmitted = func(string) { f.trySend() }
	return f
}

// methods are those to choose from, besides the request's own.
var methods = []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}

// Show opens the form.
func (f *ReplayForm) Show(s ReplayState) {
	f.state = s
	x := s.Exchange
	options := methods
	if x.Method != "" && !slices.Contains(methods, x.Method) {
		options = append([]string{x.Method}, methods...)
	}
	f.method.SetOptions(options, max(slices.Index(options, x.Method), 0))
	f.secret = newSecrets(x)
	f.showSecrets.Set(false)
	f.editable = editableText(x.Request.Body)
	f.hidden = hiddenText{}
	if f.editable {
		f.hidden = hideText(x.Request.Header, string(x.Request.Body))
	}
	f.showSecrets.Hidden = !f.secret.any && len(f.hidden.secrets) == 0
	f.path.SetText(f.secret.path(false))
	f.headers.SetText(f.secret.headers(false))
	f.pathRow.SetError("")
	f.headRow.SetError("")
	f.bodyRow.SetError("")

	f.bodyRow.Hidden = !f.editable
	f.body.SetText(f.hidden.shown)
	f.bodyNote.Set(f.bodyWords(), look.ColorMuted)
	warning := f.caution()
	f.warning.Set(look.Warn, warning)
	f.warning.Hidden = warning == ""
	if x.Upgrade != "" {
		f.send.Disable()
	} else {
		f.send.Enable()
	}
	f.open(words.T("Edit and send again through %s", s.Tunnel), f.path)
}

// Hide closes the form, sending nothing.
func (f *ReplayForm) Hide() { f.sheet.Close() }

// editableText reports whether a body can be shown as text and come back as it was.
func editableText(body []byte) bool {
	if len(body) > maxEditable || !utf8.Valid(body) || bytes.ContainsFunc(body, func(r rune) bool {
		return r < ' ' && r != '\n' && r != '\t' || r == 0x7f
	}) {
		return false
	}
	for line := range bytes.Lines(body) {
		if len(line) > maxEditableLine {
			return false
		}
	}
	return true
}

// bodyWords says what becomes of a body that cannot be edited.
func (f *ReplayForm) bodyWords() string {
	m := &f.state.Exchange.Request
	if f.editable {
		return ""
	}
	kind := cmp.Or(m.Header.Get("Content-Type"), words.T("unknown kind"))
	return words.T("The body, %s of %s, is sent as it was: it is no text, or too long to be edited here.", model.Size(int64(len(m.Body))), kind)
}

// caution says what of the request is not as it came.
func (f *ReplayForm) caution() string {
	x := f.state.Exchange
	m := &x.Request
	switch {
	case x.Upgrade != "":
		return words.T("A WebSocket cannot be sent again.")
	case m.Dropped && m.Size > 0:
		return words.T("The body of %s was not kept. Type one if the service needs it.", model.Size(m.Size))
	case m.Truncated:
		return words.T("Only the first %s of the body were kept: the rest is missing from what is sent.", model.Size(int64(len(m.Body))))
	case x.Redacted:
		return words.T("Secrets were taken out when this request was stored: %s stands where they were. Put them back where the service needs them.", redact.Placeholder)
	}
	return ""
}

// reveal shows or hides the secrets in what stands there now.
func (f *ReplayForm) reveal(show bool) {
	path, ok := f.secret.readPath(f.path.Text)
	h, wrong := f.secret.readHeaders(f.headers.Text)
	body, known := f.body.Text, true
	if show { // what stands there open has no dots of ours
		body, known = f.hidden.read(body, true)
	}
	if !ok || wrong != nil || !known {
		f.showSecrets.Set(!show)
		f.typed() // says what is wrong
		return
	}
	f.secret = f.secret.of(path, h)
	f.path.SetText(f.secret.path(show))
	f.headers.SetText(f.secret.headers(show))
	if !f.editable {
		return
	}
	f.hidden = hiddenText{shown: body}
	if !show {
		f.hidden = hideText(h, body)
	}
	f.body.SetText(f.hidden.shown)
}

// typed is the request as the fields have it; what is wrong is marked.
func (f *ReplayForm) typed() (r Request, ok bool) {
	x := f.state.Exchange
	r = Request{Of: x.ID, Method: f.method.Text(), Body: x.Request.Body}
	path, heads, content := "", "", ""
	if f.editable {
		body, known := f.hidden.read(f.body.Text, false)
		if !known {
			content = words.T("Show the secrets before you change one that is hidden behind dots.")
		}
		r.Body = []byte(body)
	}
	r.Path, ok = f.secret.readPath(strings.TrimSpace(f.path.Text))
	switch {
	case !ok:
		path = words.T("Show the secrets before you change one that is hidden behind dots.")
	case !strings.HasPrefix(r.Path, "/"):
		path = words.T("A path begins with /.")
	case strings.ContainsFunc(r.Path, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '#' }):
		path = words.T("A path has no spaces, and no #: write %%20 and %%23.")
	}
	h, wrong := f.secret.readHeaders(f.headers.Text)
	if wrong != nil {
		heads = wrong.words()
	}
	r.Header = h
	f.pathRow.SetError(path)
	f.headRow.SetError(heads)
	f.bodyRow.SetError(content)
	f.path.SetWrong(path != "")
	f.relayout()
	f.point(wrongField{f.path, path}, wrongField{f.headers, heads}, wrongField{f.body, content})
	return r, path == "" && heads == "" && content == ""
}

// words says what is wrong with a line.
func (e *lineError) words() string {
	switch e.fault {
	case noColon:
		return words.T("Line %s is no header: write Name: value.", e.at())
	case badName:
		return words.T("Line %s: %s cannot be the name of a header.", e.at(), e.name)
	case badValue:
		return words.T("Line %s: the value of %s has a character that headers cannot have.", e.at(), e.name)
	case ownField:
		return words.T("Line %s: %s is set anew for every request. Remove the line.", e.at(), e.name)
	default:
		return words.T("Line %s: show the secrets before you change the hidden value of %s.", e.at(), e.name)
	}
}

func (f *ReplayForm) trySend() {
	if f.send.Disabled() {
		return
	}
	if r, ok := f.typed(); ok {
		f.run(f.send, words.T("Sending…"), func(done func(error)) { f.actions.Send(f.state.Exchange, r, done) })
	}
}
