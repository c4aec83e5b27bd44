package editor

import (
	"cmp"
	"strings"
	"unicode"

	"culvert/app/ui/form"
	"culvert/app/ui/look"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"
)

// ShareState is a tunnel whose URL is shared.
type ShareState struct {
	Title string // the tunnel's name for people
	URL   string
	// Local: only this computer can open the URL.
	Local bool
}

// ShareActions are what the share sheet asks for. None may block.
type ShareActions struct {
	Copy func(text string)
	Open func(url string)
	// SavePNG asks where to, and saves the picture there; path is "" if the person
	// chose no place.
	SavePNG func(name string, png []byte, done func(path string, err error))
	Closed  func() // may be nil
}

// Share shows a URL as a QR code.
type Share struct {
	dialog
	actions ShareActions
	state   ShareState
	code    *qr

	picture *qrPicture
	url     *form.Path
	note    *look.Paragraph
	saved   *look.Paragraph
	save    *look.Button
}

// NewShare returns a sheet that is not shown.
func NewShare(canvas fyne.Canvas, a ShareActions) *Share {
	s := &Share{actions: a, picture: newQRPicture(canvas)}
	s.url = form.NewPath(look.NewButton(words.T("Copy"), look.Middle, s.copyURL))
	s.note = look.NewParagraph("", look.ColorMuted, look.TextBody, 4)
	s.saved = look.NewParagraph("", look.ColorOK, look.TextSmall, 3)
	s.save = look.NewButton(words.T("Save as PNG…"), look.Middle, s.savePNG)
	open := look.NewButton(words.T("Open in browser"), look.Middle, func() { a.Open(s.state.URL) })
	done := look.NewFilledButton(words.T("Done"), look.Middle, func() { s.sheet.Close() })
	s.init(canvas, "", a.Closed, []fyne.CanvasObject{s.picture, s.note, s.url, s.saved}, s.save, open, done)
	return s
}

// Show opens the sheet.
func (s *Share) Show(state ShareState) {
	s.state = state
	s.saved.Set("", look.ColorOK)
	s.url.Set(state.URL)
	note, ink := words.T("Anyone with this URL can reach the service while the tunnel is open."), look.ColorMuted
	if state.Local {
		note, ink = words.T("Only this computer can open this URL. A phone needs a tunnel through a public backend, or the built-in relay opened to your network."), look.ColorWarn
	}
	var err error
	if s.code, err = newQR(state.URL); err != nil {
		note, ink = words.T("This URL is too long for a QR code. Copy it instead."), look.ColorWarn
	}
	s.picture.set(s.code)
	s.note.Set(note, ink)
	s.save.Hidden = s.code == nil
	s.open(words.T("Share %s", state.Title), nil)
}

// Hide closes the sheet.
func (s *Share) Hide() { s.sheet.Close() }

func (s *Share) copyURL() {
	s.actions.Copy(s.state.URL)
	s.saved.Set(words.T("Copied."), look.ColorOK)
	s.relayout()
}

// fileName is a name that every system takes for a file.
func fileName(title string) string {
	name := strings.Map(func(r rune) rune {
		if r == '-' || r == '.' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return '-'
	}, title)
	return cmp.Or(strings.Trim(name, "-."), "culvert") + ".png"
}

func (s *Share) savePNG() {
	if s.code == nil || s.busy {
		return
	}
	picture, err := s.code.png()
	if err != nil {
		s.say(err)
		return
	}
	s.busy = true
	shown := s.shown
	s.actions.SavePNG(fileName(s.state.Title), picture, func(path string, err error) {
		if shown != s.shown {
			return
		}
		s.busy = false
		s.say(err)
		if err == nil && path != "" {
			s.saved.Set(words.T("Saved as %s", path), look.ColorOK)
			s.relayout()
		}
	})
}

// qrPicture is the code in the middle of a white field: readers want black on white
// and some room around it, in a dark theme as well.
type qrPicture struct {
	widget.BaseWidget
	canvas fyne.Canvas
	code   *qr
	image  *canvas.Image
	back   *canvas.Rectangle
}

func newQRPicture(c fyne.Canvas) *qrPicture {
	p := &qrPicture{canvas: c, image: &canvas.Image{FillMode: canvas.ImageFillContain, ScaleMode: canvas.ImageScalePixels},
		back: &canvas.Rectangle{FillColor: white, CornerRadius: 8}}
	p.ExtendBaseWidget(p)
	return p
}

// set shows a code, or nothing if it is nil.
func (p *qrPicture) set(code *qr) {
	p.code = code
	p.Hidden = code == nil
	if code != nil {
		p.image.Image = code.image(1)
	}
	p.Refresh()
}

// The side of the white field, and what else the sheet needs of the window's height:
// in a small window the code gives way, so that nothing has to be scrolled.
const (
	qrLeast  float32 = 160
	qrMost   float32 = 232
	qrBeside float32 = 300
)

func (p *qrPicture) side() float32 { return min(max(p.canvas.Size().Height-qrBeside, qrLeast), qrMost) }

// HeightFor is the same at every width.
func (p *qrPicture) HeightFor(float32) float32 { return p.side() }

// CreateRenderer implements fyne.Widget.
func (p *qrPicture) CreateRenderer() fyne.WidgetRenderer { return &qrRenderer{p} }

type qrRenderer struct{ *qrPicture }

func (r *qrRenderer) Layout(size fyne.Size) {
	field := r.side()
	x := float32(int((size.Width - field) / 2))
	r.back.Move(fyne.NewPos(x, 0))
	r.back.Resize(fyne.NewSquareSize(field))
	if r.code == nil {
		return
	}
	// A whole number of pixels for each module keeps the edges sharp.
	side := min(float32(r.code.size()*max(int(field)/r.code.size(), 1)), field)
	edge := float32(int((field - side) / 2))
	r.image.Move(fyne.NewPos(x+edge, edge))
	r.image.Resize(fyne.NewSquareSize(side))
}

func (r *qrRenderer) MinSize() fyne.Size { return fyne.NewSquareSize(qrLeast) }
func (r *qrRenderer) Refresh() {
	r.Layout(r.Size())
	r.image.Refresh()
}
func (r *qrRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.back, r.image} }
func (r *qrRenderer) Destroy()                     {}
