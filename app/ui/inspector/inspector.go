// Package inspector shows one exchange: what was asked, what was answered, how
// long it took, and what a stream carries while it lasts. It draws only what is on
// the screen, and prepares bodies in other goroutines than the toolkit's.
package inspector

import (
	"context"
	"time"

	"culvert/app/exchange"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"
)

// Live is a stream that goes on while it is looked at.
type Live interface {
	// Messages returns those from that number on, counted from the first one ever,
	// and how many of these were not kept.
	Messages(from int) (messages []exchange.StreamMessage, skipped int)
	// Count is how many there have been.
	Count() int
	// Done reports whether the stream has ended.
	Done() bool
}

// Actions are what the inspector asks of the window. Those that are nil are not
// offered; Prepare and Copy have to be there.
type Actions struct {
	// Prepare runs work in a goroutine of its own and then in the toolkit's. The
	// context ends with the window.
	Prepare func(work func(context.Context), then func())
	// Copy puts text on the clipboard, and calls then when it is there.
	Copy func(text string, then func())
	// Save asks for a place and writes the data to it; name is the one to propose.
	Save func(name string, data []byte)
	// Replay sends the request to the local service again; Edit lets it be changed first.
	Replay, Edit func(*exchange.Exchange)
	// Original finds the exchange that has that ID, for comparing a replay with it;
	// then is called with nil if it is gone.
	Original func(id string, then func(*exchange.Exchange))
	// Marked is told which exchange waits to be compared with the next that is shown,
	// or nil when none does any longer.
	Marked func(*exchange.Exchange)
	// Close puts the inspector away.
	Close func()
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Inspector is the part of the window below the table.
type Inspector struct {
	widget.BaseWidget
	actions  Actions
	exchange *exchange.Exchange
	live     Live
}

// New returns an inspector that shows nothing yet.
func New(a Actions) *Inspector {
	if a.Now == nil {
		a.Now = time.Now
	}
	i := &Inspector{actions: a}
	i.ExtendBaseWidget(i)
	return i
}

// Inspect shows an exchange; live is the stream behind it while it is open, else nil.
// An exchange with the ID of the one before takes its place, as it does when its
// stream ends: tab, scroll and revealed secrets stay. nil shows nothing.
func (i *Inspector) Inspect(x *exchange.Exchange, live Live) {
	i.exchange, i.live = x, live
}

// Exchange is what is shown, or nil.
func (i *Inspector) Exchange() *exchange.Exchange { return i.exchange }

// Sync takes in what a live stream has brought. It is to be called once a frame.
func (i *Inspector) Sync() {}

// Compare marks the exchange for comparison with the next one that is shown; when
// it is marked or compared already, it goes back.
func (i *Inspector) Compare() {}

// CopyCURL copies the request as a command line, with its secrets masked.
func (i *Inspector) CopyCURL() {}

// Focus leads the keyboard to the text.
func (i *Inspector) Focus() {}

// CreateRenderer implements fyne.Widget.
func (i *Inspector) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(widget.NewLabel(""))
}
