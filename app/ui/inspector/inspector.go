// Package inspector shows one exchange: what was asked, what was answered, how
// long it took, and what a stream carries while it lasts. It draws only what is on
// the screen, and prepares bodies in other goroutines than the toolkit's.
package inspector

import (
	"context"
	"time"

	"culvert/app/exchange"
	"culvert/app/inspect"
	"culvert/app/ui/look"

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
	// Shortcut is handed those that a text with the focus does not know; nil hands
	// them to the window's canvas.
	Shortcut func(fyne.Shortcut)
	// Close puts the inspector away.
	Close func()
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Version is the program's, for the files that it writes.
	Version string
}

// The two sides of an exchange.
const (
	request = iota
	response
)

// Inspector is the part of the window below the table.
type Inspector struct {
	widget.BaseWidget
	actions Actions

	exchange *exchange.Exchange
	live     Live
	bodies   [2]bodies
	secrets  bool            // all of them are shown
	shown    map[string]bool // and those, by side and name
	narrow   bool

	base *exchange.Exchange // to be compared with, or nil

	flashed  func() // takes back what a button says for a moment, or nil
	flashEnd time.Time

	head   *head
	tab    tab
	wanted tab // by the user
	pages  map[tab]page
	told   map[tab]*exchange.Exchange // what each page was filled with last
	back   *look.Shape
	lines  [2]*look.Shape
}

// page is what a tab shows.
type page interface {
	fyne.CanvasObject
	// fill shows the inspector's exchange; with keep, scrolls stay.
	fill(keep bool)
	// focus is what takes the keyboard.
	focus() fyne.Focusable
	// inner is what the toolkit draws: it knows containers and widgets only.
	inner() *fyne.Container
}

// box is the container of a page.
type box struct{ *fyne.Container }

func (b box) inner() *fyne.Container { return b.Container }

// newShell is an inspector without its parts.
func newShell(a Actions) *Inspector {
	if a.Now == nil {
		a.Now = time.Now
	}
	return &Inspector{actions: a, shown: map[string]bool{}, told: map[tab]*exchange.Exchange{}}
}

// New returns an inspector that shows nothing yet.
func New(a Actions) *Inspector {
	i := newShell(a)
	i.back = look.NewPanel(look.ColorPanel, "", 0)
	i.lines = [2]*look.Shape{look.NewLine(), look.NewLine()}
	i.head = newHead(i)
	i.pages = map[tab]page{
		overviewTab: newTwin(i, (*Inspector).overview),
		messagesTab: newMessages(i),
		headersTab:  newTwin(i, (*Inspector).headers),
		bodyTab:     newBodyPage(i),
		timingTab:   newTiming(i),
		compareTab:  newComparison(i),
	}
	for t, p := range i.pages {
		if t != overviewTab {
			p.Hide()
		}
	}
	i.ExtendBaseWidget(i)
	return i
}

// Inspect shows an exchange; live is the stream behind it while it is open, else nil.
// An exchange with the ID of the one before takes its place, as it does when its
// stream ends: tab, scroll and revealed secrets stay. nil shows nothing.
func (i *Inspector) Inspect(x *exchange.Exchange, live Live) {
	keep := same(x, i.exchange)
	i.endFlash()
	i.exchange, i.live = x, live
	for side := range i.bodies {
		i.bodies[side].reset()
	}
	if x == nil {
		clear(i.told)
		i.stopComparing()
		return
	}
	if !keep {
		i.secrets = false
		clear(i.shown)
	}
	i.fill()
}

func same(a, b *exchange.Exchange) bool {
	return a != nil && b != nil && (a == b || a.ID != "" && a.ID == b.ID)
}

// fill brings what is in sight up to date with the exchange. A page that has shown it
// before stays where it was scrolled to.
func (i *Inspector) fill() {
	i.head.fill()
	i.fillPage()
}

func (i *Inspector) fillPage() {
	if i.exchange != nil {
		keep := same(i.exchange, i.told[i.tab])
		i.told[i.tab] = i.exchange
		i.pages[i.tab].fill(keep)
	}
}

// Exchange is what is shown, or nil.
func (i *Inspector) Exchange() *exchange.Exchange { return i.exchange }

// Sync takes in what a live stream has brought. It is to be called once a frame.
func (i *Inspector) Sync() {
	i.syncFlash()
	if i.exchange == nil || i.live == nil {
		return
	}
	if s, ok := i.pages[i.tab].(interface{ sync() }); ok {
		s.sync()
	}
}

// flashTime is how long a button says that it has copied.
const flashTime = 1500 * time.Millisecond

// flash says something for a moment; back takes it back.
func (i *Inspector) flash(say, back func()) {
	i.endFlash()
	say()
	i.flashed, i.flashEnd = back, i.actions.Now().Add(flashTime)
}

// syncFlash takes back what was said long enough.
func (i *Inspector) syncFlash() {
	if i.flashed != nil && i.actions.Now().After(i.flashEnd) {
		i.endFlash()
	}
}

func (i *Inspector) endFlash() {
	if i.flashed != nil {
		i.flashed()
		i.flashed = nil
	}
}

// Focus leads the keyboard to the text.
func (i *Inspector) Focus() {
	if c := fyne.CurrentApp().Driver().CanvasForObject(i); c != nil && i.exchange != nil {
		c.Focus(i.pages[i.tab].focus())
	}
}

// turn shows another tab. It is come back to after exchanges that do not have it.
func (i *Inspector) turn(t tab) {
	i.wanted = t
	i.head.fill()
}

func (i *Inspector) switchTo(t tab) {
	if i.tab == t {
		return
	}
	i.pages[i.tab].Hide()
	i.tab = t
	i.pages[t].Show()
	i.fillPage()
	i.Refresh()
}

// reveal shows one secret, or hides it again; "" is for all of them.
func (i *Inspector) reveal(name string) {
	if name == "" {
		i.secrets = !i.secrets
		clear(i.shown)
		for side := range i.bodies {
			i.bodies[side].reset()
		}
	} else {
		i.shown[name] = !i.shown[name]
	}
	i.fill()
}

func (i *Inspector) message(side int) exchange.Message {
	if side == request {
		return i.exchange.Request
	}
	return i.exchange.Response
}

// view is a side's body in a mode, or nil while it is prepared; then is called when
// it is there, or more of it, unless another exchange has taken its place.
func (i *Inspector) view(side int, mode inspect.Mode, then func()) *prepared {
	b := &i.bodies[side]
	p := b.modes[mode]
	if p == nil {
		p = &prepared{}
		b.modes[mode] = p
		i.prepare(b, p, i.message(side), mode)
	}
	if p.view == nil || p.partial {
		p.then = append(p.then, then)
	}
	if p.view == nil {
		return nil
	}
	return p
}

// CreateRenderer implements fyne.Widget.
func (i *Inspector) CreateRenderer() fyne.WidgetRenderer { return &inspectorRenderer{i} }

// narrowWidth is the width below which two texts do not stand beside each other.
const narrowWidth float32 = 640

const headHeight float32 = 40

type inspectorRenderer struct{ *Inspector }

func (r *inspectorRenderer) Layout(size fyne.Size) {
	r.back.Resize(size)
	place(r.lines[0], 0, 0, size.Width, 1)
	place(r.head, 0, 1, size.Width, headHeight)
	place(r.lines[1], 0, headHeight, size.Width, 1)
	narrow := size.Width < narrowWidth
	changed := narrow != r.narrow
	r.narrow = narrow
	for _, p := range r.pages {
		place(p, 0, headHeight+1, size.Width, max(size.Height-headHeight-1, 0))
	}
	if changed {
		r.fillPage()
	}
}

func (r *inspectorRenderer) MinSize() fyne.Size { return fyne.NewSize(320, headHeight+4*lineHeight) }

func (r *inspectorRenderer) Refresh() {
	r.Layout(r.Size())
	r.back.Refresh()
	for _, l := range r.lines {
		l.Refresh()
	}
	r.head.Refresh()
	r.pages[r.tab].Refresh()
}

func (r *inspectorRenderer) Objects() []fyne.CanvasObject {
	objects := []fyne.CanvasObject{r.back}
	for t := overviewTab; t <= compareTab; t++ {
		objects = append(objects, r.pages[t].inner())
	}
	return append(objects, r.head, r.lines[0], r.lines[1])
}

func (r *inspectorRenderer) Destroy() {}

func place(o fyne.CanvasObject, x, y, w, h float32) {
	o.Move(fyne.NewPos(x, y))
	o.Resize(fyne.NewSize(w, h))
}

// layoutFunc arranges the objects of a container.
type layoutFunc func(o []fyne.CanvasObject, size fyne.Size)

func (f layoutFunc) Layout(o []fyne.CanvasObject, size fyne.Size) { f(o, size) }
func (f layoutFunc) MinSize([]fyne.CanvasObject) fyne.Size        { return fyne.Size{} }
