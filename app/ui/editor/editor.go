// Package editor has the sheets that deal with one thing: the form of a tunnel, to
// change it or to open one like it; its URL as a QR code; and the form that repeats
// a request, changed.
//
// Each is shown over the window's canvas, asks by its actions for what is to happen,
// and says inline what is wrong with what was typed.
package editor

import (
	"net/http"
	"time"

	"culvert/app/exchange"

	"fyne.io/fyne/v2"
)

// Tunnel is a tunnel as a person writes it down.
type Tunnel struct {
	Target     string
	Name       string // the wanted ID, or "" for any
	Profile    string // name of the backend's profile, "" for the built-in relay
	HostHeader string // "local", "public" or a name; "" is "local"
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
	// Closed is called when the form has gone, saved or not.
	Closed func()
}

// TunnelForm changes or duplicates a tunnel.
type TunnelForm struct {
	canvas  fyne.Canvas
	actions TunnelActions
}

// NewTunnelForm returns a form that is not shown.
func NewTunnelForm(canvas fyne.Canvas, a TunnelActions) *TunnelForm {
	return &TunnelForm{canvas: canvas, actions: a}
}

// Show opens the form.
func (f *TunnelForm) Show(TunnelState) {}

// Hide closes the form, saving nothing.
func (f *TunnelForm) Hide() {}

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
	Closed  func()
}

// Share shows a URL as a QR code.
type Share struct {
	canvas  fyne.Canvas
	actions ShareActions
}

// NewShare returns a sheet that is not shown.
func NewShare(canvas fyne.Canvas, a ShareActions) *Share { return &Share{canvas: canvas, actions: a} }

// Show opens the sheet.
func (s *Share) Show(ShareState) {}

// Hide closes the sheet.
func (s *Share) Hide() {}

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
	// Secret reports whether a header field of that name is masked.
	Secret func(name string) bool
	// Send sends the request to the local service.
	Send   func(x *exchange.Exchange, r Request, done func(error))
	Closed func()
}

// ReplayForm changes a request and sends it again.
type ReplayForm struct {
	canvas  fyne.Canvas
	actions ReplayActions
}

// NewReplay returns a form that is not shown.
func NewReplay(canvas fyne.Canvas, a ReplayActions) *ReplayForm {
	return &ReplayForm{canvas: canvas, actions: a}
}

// Show opens the form.
func (f *ReplayForm) Show(ReplayState) {}

// Hide closes the form, sending nothing.
func (f *ReplayForm) Hide() {}
