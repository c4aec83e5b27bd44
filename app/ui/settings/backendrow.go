package settings

import (
	"strings"

	"culvert/app/ui/look"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
)

// backendRow is one backend in the list. A tap, Enter or Space makes it the one for
// new tunnels.
type backendRow struct {
	widget.BaseWidget
	profile string // "" is the built-in relay
	chosen  bool
	choose  func()
	onFocus func() // the focus has come

	hovered, focused bool

	back       *look.Shape
	name, note *look.Text
	badge      *look.Badge
	test, edit *look.Button // nil for the built-in relay
}

var (
	_ fyne.Tappable      = (*backendRow)(nil)
	_ fyne.Focusable     = (*backendRow)(nil)
	_ desktop.Hoverable  = (*backendRow)(nil)
	_ desktop.Cursorable = (*backendRow)(nil)
)

func newBackendRow(profile string, choose, test, edit func()) *backendRow {
	r := &backendRow{
		profile: profile, choose: choose,
		back:  look.NewPanel(look.ColorCard, look.ColorLine, 8),
		name:  look.NewText(backendNames([]string{profile})[0], look.ColorText, look.TextBody, fyne.TextStyle{Bold: true}),
		note:  look.NewText("", look.ColorMuted, look.TextSmall, fyne.TextStyle{}),
		badge: look.NewBadge(words.T("Default"), look.Info),
	}
	if profile != "" {
		r.test = look.NewButton(words.T("Test"), look.Low, test)
		r.edit = look.NewButton(words.T("Edit"), look.Low, edit)
	}
	r.ExtendBaseWidget(r)
	return r
}

// set shows where the backend is, where its token is, and whether it is chosen.
func (r *backendRow) set(address string, token Token, chosen bool) {
	note := words.T("Runs inside this program: for this computer, or your own network.")
	if r.profile != "" {
		parts := []string{address}
		switch token {
		case TokenKept:
			parts = append(parts, words.T("with a token"))
		case TokenInFile:
			parts = append(parts, words.T("token in a file"))
		case TokenUnread:
			parts = append(parts, words.T("token out of reach"))
		}
		note = strings.Join(parts, " · ")
	}
	r.note.Set(note, look.ColorMuted)
	if r.chosen != chosen {
		r.chosen = chosen
		r.Refresh()
	}
}

// Tapped implements fyne.Tappable.
func (r *backendRow) Tapped(*fyne.PointEvent) {
	if !r.chosen {
		r.choose()
	}
}

// Cursor implements desktop.Cursorable.
func (r *backendRow) Cursor() desktop.Cursor { return desktop.PointerCursor }

// MouseIn implements desktop.Hoverable.
func (r *backendRow) MouseIn(*desktop.MouseEvent) { r.hovered = true; r.Refresh() }

// MouseMoved implements desktop.Hoverable.
func (r *backendRow) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements desktop.Hoverable.
func (r *backendRow) MouseOut() { r.hovered = false; r.Refresh() }

// FocusGained implements fyne.Focusable.
func (r *backendRow) FocusGained() {
	r.focused = true
	r.Refresh()
	if r.onFocus != nil {
		r.onFocus()
	}
}

// FocusLost implements fyne.Focusable.
func (r *backendRow) FocusLost() { r.focused = false; r.Refresh() }

// TypedRune implements fyne.Focusable.
func (r *backendRow) TypedRune(rune) {}

// TypedKey implements fyne.Focusable.
func (r *backendRow) TypedKey(ev *fyne.KeyEvent) {
	switch ev.Name {
	case fyne.KeySpace, fyne.KeyReturn, fyne.KeyEnter:
		r.Tapped(nil)
	case fyne.KeyEscape:
		look.Escape(fyne.CurrentApp().Driver().CanvasForObject(r))
	}
}

// AccessibilityLabel implements fyne.Accessible.
func (r *backendRow) AccessibilityLabel() string { return r.name.Text() }

// AccessibilityRole implements fyne.Accessible.
func (r *backendRow) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleButton }

const (
	backendRowHeight float32 = 56
	radio            float32 = 16
)

// CreateRenderer implements fyne.Widget.
func (r *backendRow) CreateRenderer() fyne.WidgetRenderer {
	p := &backendRowRenderer{backendRow: r, ring: &canvas.Circle{StrokeWidth: 1.5}, dot: &canvas.Circle{}}
	p.paint()
	p.Layout(r.Size()) // it may follow one that was forgotten, see nav
	return p
}

type backendRowRenderer struct {
	*backendRow
	ring, dot *canvas.Circle
}

func (r *backendRowRenderer) paint() {
	edge, ring := look.ColorLine, look.ColorMuted
	if r.hovered {
		ring = look.ColorText
	}
	if r.chosen {
		ring = look.ColorAccent
	}
	if r.focused {
		edge = look.ColorAccent
	}
	r.back.Set(look.ColorCard, edge)
	r.ring.StrokeColor, r.ring.FillColor = look.Color(ring), nil
	r.dot.FillColor = look.Color(look.ColorAccent)
	r.dot.Hidden = !r.chosen
	r.badge.Hidden = !r.chosen
}

func (r *backendRowRenderer) Layout(size fyne.Size) {
	r.back.Resize(size)
	y := (size.Height - radio) / 2
	place(r.ring, look.Inset, y, radio, radio)
	place(r.dot, look.Inset+4, y+4, radio-8, radio-8)
	right := size.Width - look.Inset
	for _, b := range []*look.Button{r.edit, r.test} {
		if b != nil {
			w := b.MinSize().Width
			right -= w
			place(b, right, (size.Height-look.Low)/2, w, look.Low)
			right -= look.Gap
		}
	}
	x := look.Inset + radio + look.Inset
	name := min(r.name.Natural().Width, right-x)
	if r.chosen {
		m := r.badge.MinSize()
		name = min(name, right-x-look.Gap-m.Width)
		place(r.badge, x+name+look.Gap, 8, m.Width, 20)
	}
	place(r.name, x, 8, name, 20)
	place(r.note, x, 28, right-x, 20)
}

func (r *backendRowRenderer) MinSize() fyne.Size { return fyne.NewSize(240, backendRowHeight) }

func (r *backendRowRenderer) Refresh() {
	r.paint()
	r.Layout(r.Size())
	canvas.Refresh(r.backendRow)
}

func (r *backendRowRenderer) Objects() []fyne.CanvasObject {
	objects := []fyne.CanvasObject{r.back, r.ring, r.dot, r.name, r.badge, r.note}
	if r.edit != nil {
		objects = append(objects, r.test, r.edit)
	}
	return objects
}

func (r *backendRowRenderer) Destroy() {}
