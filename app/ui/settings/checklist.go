package settings

import (
	"time"

	"culvert/app/doctor"
	"culvert/app/ui/look"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"
)

// checklist is what the test of a backend has found so far, a line for each check.
type checklist struct {
	*fyne.Container
	lines map[doctor.ID]*checkLine
}

func newChecklist() *checklist {
	l := &checklist{lines: map[doctor.ID]*checkLine{}}
	var objects []fyne.CanvasObject
	for _, id := range doctor.IDs() {
		line := newCheckLine(id)
		l.lines[id] = line
		objects = append(objects, line)
	}
	l.Container = look.NewStack(look.Gap, objects...)
	return l
}

// begin forgets an earlier test.
func (l *checklist) begin() {
	for _, line := range l.lines {
		line.set(doctor.Check{ID: line.id, State: waiting})
	}
}

// end says of checks that were not made that they will not be.
func (l *checklist) end() {
	for _, line := range l.lines {
		if line.state == waiting || line.state == doctor.Running {
			line.set(doctor.Check{ID: line.id, State: doctor.Skipped})
		}
	}
}

// set shows a check.
func (l *checklist) set(c doctor.Check) {
	if line := l.lines[c.ID]; line != nil {
		line.set(c)
	}
}

// worst is the worst result so far.
func (l *checklist) worst() doctor.State {
	worst := doctor.OK
	for _, line := range l.lines {
		if line.state == doctor.Failed || line.state == doctor.Warn && worst == doctor.OK {
			worst = line.state
		}
	}
	return worst
}

// waiting is the state of a check whose turn has not come.
const waiting doctor.State = -1

// checkLine is one check: a mark, what is checked, what was found, how long it took;
// beneath, if there is something to be done, what.
type checkLine struct {
	widget.BaseWidget
	id     doctor.ID
	state  doctor.State
	icon   *look.Picture
	title  *look.Text
	detail *look.Paragraph
	advice *look.Paragraph
	took   *look.Text
}

func newCheckLine(id doctor.ID) *checkLine {
	l := &checkLine{
		id: id, state: waiting,
		icon:   look.NewPicture(look.IconMore, look.ColorMuted),
		title:  look.NewText(checkTitle(id), look.ColorText, look.TextBody, fyne.TextStyle{}),
		detail: look.NewParagraph("", look.ColorMuted, look.TextSmall, 4),
		advice: look.NewParagraph("", look.ColorText, look.TextSmall, 6),
		took:   look.NewText("", look.ColorMuted, look.TextSmall, fyne.TextStyle{Monospace: true}),
	}
	l.ExtendBaseWidget(l)
	l.set(doctor.Check{ID: id, State: waiting})
	return l
}

func (l *checkLine) set(c doctor.Check) {
	l.state = c.State
	icon, tint, detail, took := look.Icon(""), look.ColorMuted, c.Detail, ""
	switch c.State {
	case doctor.Running:
		icon, tint = look.IconMore, look.ColorInfo
		if detail == "" {
			detail = words.T("checking…")
		}
	case doctor.OK:
		icon, tint = look.IconOK, look.ColorOK
	case doctor.Warn:
		icon, tint = look.IconWarning, look.ColorWarn
	case doctor.Failed:
		icon, tint = look.IconError, look.ColorBad
	case doctor.Skipped:
		if detail == "" {
			detail = words.T("not checked")
		}
	}
	if c.Took > 0 && (c.State == doctor.OK || c.State == doctor.Warn) {
		took = words.T("%d ms", max(c.Took.Round(time.Millisecond).Milliseconds(), 1))
	}
	title := look.ColorText
	if c.State == waiting || c.State == doctor.Skipped {
		title = look.ColorMuted
	}
	ink := look.ColorMuted
	if c.State == doctor.Failed || c.State == doctor.Warn {
		ink = tint
	}
	l.icon.Hidden = icon == ""
	if icon != "" {
		l.icon.Set(icon, tint)
	}
	l.title.Set(checkTitle(l.id), title)
	l.detail.Set(detail, ink)
	l.advice.Set(c.Advice, look.ColorText)
	l.took.Set(took, look.ColorMuted)
}

// checkTitle is what the check is called in the window's language.
func checkTitle(id doctor.ID) string {
	switch id {
	case doctor.DNS:
		return words.T("Name (DNS)")
	case doctor.Proxy:
		return words.T("Proxy")
	case doctor.TLS:
		return words.T("Encryption (TLS)")
	case doctor.Handshake:
		return words.T("Handshake")
	case doctor.Clock:
		return words.T("Clock")
	case doctor.Token:
		return words.T("Token")
	case doctor.RoundTrip:
		return words.T("Round trip")
	case doctor.LocalService:
		return words.T("Local service")
	case doctor.Version:
		return words.T("Version")
	}
	return id.Title()
}

const (
	checkTitleWidth float32 = 128
	checkTookWidth  float32 = 64
	checkLineHeight float32 = 18
)

func (l *checkLine) detailX() float32 { return look.IconSize + look.Gap + checkTitleWidth + look.Gap }

func (l *checkLine) textWidth(width float32) float32 {
	return max(width-l.detailX()-look.Gap-checkTookWidth, 40)
}

// HeightFor is the height that it needs at a width.
func (l *checkLine) HeightFor(width float32) float32 {
	w := l.textWidth(width)
	return max(checkLineHeight, l.detail.HeightFor(w)+l.advice.HeightFor(w))
}

// CreateRenderer implements fyne.Widget.
func (l *checkLine) CreateRenderer() fyne.WidgetRenderer { return &checkLineRenderer{l} }

type checkLineRenderer struct{ *checkLine }

func (r *checkLineRenderer) Layout(size fyne.Size) {
	w := r.textWidth(size.Width)
	place(r.icon, 0, (checkLineHeight-look.IconSize)/2, look.IconSize, look.IconSize)
	place(r.title, look.IconSize+look.Gap, 0, checkTitleWidth, checkLineHeight)
	x, h := r.detailX(), r.detail.HeightFor(w)
	place(r.detail, x, 0, w, h)
	place(r.advice, x, h, w, r.advice.HeightFor(w))
	taken := r.took.Natural().Width
	place(r.took, size.Width-taken, 0, taken, checkLineHeight)
}

func (r *checkLineRenderer) MinSize() fyne.Size { return fyne.NewSize(0, 0) }
func (r *checkLineRenderer) Refresh()           { r.Layout(r.Size()) }
func (r *checkLineRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.icon, r.title, r.detail, r.advice, r.took}
}
func (r *checkLineRenderer) Destroy() {}

// place moves and resizes in one.
func place(o fyne.CanvasObject, x, y, w, h float32) {
	o.Move(fyne.NewPos(x, y))
	o.Resize(fyne.NewSize(w, h))
}
