package requests

import (
	"culvert/app/ui/model"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"
)

// BarHeight is the height that a Bar needs.
const BarHeight float32 = 48

// BarActions are what the Bar asks of the window.
type BarActions struct {
	Filter   func(model.Filter) // the filter has changed; its Tunnel is left to the window
	History  func(on bool)      // search what is on disk, or show what is live
	ShowAll  func()             // leave the selected tunnel
	Newest   func()             // back to the top
	Pause    func()             // hold the rows still, or let them follow again
	Clear    func()             // empty the live log
	Export   func()             // save what is shown as HAR
	Import   func()             // open a HAR file
	Escape   func()             // pressed where the bar has nothing to undo
	Shortcut func(fyne.Shortcut)
}

// BarState is what the Bar shows besides its own filter.
type BarState struct {
	Scope  string // what the rows belong to: a tunnel's name, or "all tunnels"
	Scoped bool   // it is one tunnel out of several
	Fresh  int    // rows that wait above
	Paused bool
	// NoHistory: nothing is kept on disk, so there is nothing to search.
	NoHistory bool
}

// Bar stands above a Table: whose requests it shows, and what narrows them.
type Bar struct {
	widget.BaseWidget
	actions BarActions
	filter  model.Filter
	history bool
	state   BarState
}

// NewBar returns a bar over all live requests.
func NewBar(a BarActions) *Bar {
	b := &Bar{actions: a}
	b.ExtendBaseWidget(b)
	return b
}

// Sync shows another state, and redraws only what differs.
func (b *Bar) Sync(s BarState) { b.state = s }

// Filter is what the bar asks for now.
func (b *Bar) Filter() model.Filter { return b.filter }

// SetFilter shows another filter, without telling of it.
func (b *Bar) SetFilter(f model.Filter) { b.filter = f }

// History reports whether it asks for what is on disk.
func (b *Bar) History() bool { return b.history }

// FocusText leads the keyboard to the field.
func (b *Bar) FocusText() {}

// CreateRenderer implements fyne.Widget.
func (b *Bar) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(widget.NewLabel(""))
}
