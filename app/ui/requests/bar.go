package requests

import (
	"time"

	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"
)

// BarHeight is the height that a Bar needs.
const BarHeight float32 = 48

// BarActions are what the Bar asks of the window. Those that are nil are not offered.
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

	source       *look.Segmented // live or history
	title        *look.Text      // in the place of source, where there is no history
	scope        *look.Text
	all          *look.Button // the scope, if it is one tunnel: pressed, it leaves it
	fresh        *look.Button
	text         *look.Field
	classes      *look.Segmented
	narrow       *look.IconButton // a menu of methods, durations, and of what has no room
	pause, clear *look.Button
	hold, more   *look.IconButton

	classesInMenu, clearInMenu bool
}

// NewBar returns a bar over all live requests.
func NewBar(a BarActions) *Bar {
	b := &Bar{actions: a}
	b.source = look.NewSegmented([]string{words.T("Live"), words.T("History")}, func(i int) { b.showHistory(i == 1) })
	b.title = look.NewText(words.T("Requests"), look.ColorText, look.TextBody, fyne.TextStyle{Bold: true})
	b.scope = look.NewText("", look.ColorMuted, look.TextBody, fyne.TextStyle{})
	b.all = look.NewButton("", look.Low, a.ShowAll)
	b.all.SetIcon(look.IconClose)
	b.all.SetTip(words.T("Show the requests of all tunnels"))
	b.fresh = look.NewFilledButton("", look.Low, a.Newest)
	b.text = look.NewField(words.T("Filter: path, method, status…"))
	b.text.OnChanged = func(text string) { b.filter.Text = text; b.changed() }
	b.text.OnEscape = b.escape
	b.text.OnShortcut = a.Shortcut
	b.classes = look.NewSegmented(append([]string{words.T("All")}, classNames...), func(i int) { b.setClass(classOf(i)) })
	b.narrow = look.NewIconButton(look.IconFilter, words.T("More filters"), func() { look.ShowMenu(b.narrow, b.filterItems()) })
	b.pause = look.NewButton(words.T("Pause"), look.Low, a.Pause)
	b.clear = look.NewButton(words.T("Clear"), look.Low, a.Clear)
	b.hold = look.NewIconButton(look.IconPause, words.T("Pause"), a.Pause)
	b.more = look.NewIconButton(look.IconMore, words.T("More"), func() { look.ShowMenu(b.more, b.moreItems()) })
	for _, button := range []*look.Button{b.all, b.fresh, b.pause, b.clear} {
		button.OnEscape = a.Escape
	}
	for _, button := range []*look.IconButton{b.narrow, b.hold, b.more} {
		button.OnEscape = a.Escape
	}
	b.ExtendBaseWidget(b)
	return b
}

var classNames = []string{"2xx", "3xx", "4xx", "5xx"}

func classOf(segment int) int {
	if segment == 0 {
		return 0
	}
	return segment + 1
}

func segmentOf(class int) int { return max(class-1, 0) }

var methods = []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}

var durations = []time.Duration{100 * time.Millisecond, 500 * time.Millisecond, time.Second, 5 * time.Second}

// Sync shows another state, and redraws only if it differs.
func (b *Bar) Sync(s BarState) {
	if b.state == s {
		return
	}
	b.state = s
	b.Refresh()
}

// Filter is what the bar asks for now; its Tunnel is empty.
func (b *Bar) Filter() model.Filter { return b.filter }

// SetFilter shows another filter, without telling of it.
func (b *Bar) SetFilter(f model.Filter) {
	f.Tunnel = ""
	b.filter = f
	if b.text.Text != f.Text {
		tell := b.text.OnChanged
		b.text.OnChanged = nil
		b.text.SetText(f.Text)
		b.text.OnChanged = tell
	}
	b.classes.Select(segmentOf(f.Class))
	b.Refresh()
}

// History reports whether the bar asks for what is on disk.
func (b *Bar) History() bool { return b.history }

// SetHistory shows whether the rows are from the disk, without telling of it.
func (b *Bar) SetHistory(on bool) {
	b.history = on
	i := 0
	if on {
		i = 1
	}
	b.source.Select(i)
	b.Refresh()
}

func (b *Bar) showHistory(on bool) {
	b.SetHistory(on)
	if b.actions.History != nil {
		b.actions.History(on)
	}
}

// FocusText leads the keyboard to the field.
func (b *Bar) FocusText() {
	if c := fyne.CurrentApp().Driver().CanvasForObject(b); c != nil {
		c.Focus(b.text)
	}
}

// Show implements fyne.CanvasObject. The toolkit throws away the renderers of what has
// been hidden for a minute, and new ones know no size until they are refreshed.
func (b *Bar) Show() {
	if b.Visible() {
		return
	}
	b.BaseWidget.Show()
	for _, o := range []fyne.CanvasObject{b.source, b.title, b.scope, b.all, b.fresh, b.text.Box, b.classes, b.narrow, b.pause, b.hold, b.clear, b.more} {
		o.Refresh()
	}
}

func (b *Bar) changed() {
	b.Refresh()
	if b.actions.Filter != nil {
		b.actions.Filter(b.filter)
	}
}

func (b *Bar) setClass(class int) {
	b.filter.Class = class
	b.classes.Select(segmentOf(class))
	b.changed()
}

// escape clears the words first.
func (b *Bar) escape() {
	if b.text.Text != "" {
		b.text.SetText("")
	} else if b.actions.Escape != nil {
		b.actions.Escape()
	}
}

// hidden are the filters in force that the bar itself does not show.
func (b *Bar) hidden() bool {
	return b.filter.Method != "" || b.filter.Least > 0 || b.classesInMenu && b.filter.Class != 0
}

// filterItems are the filters that have no place of their own.
func (b *Bar) filterItems() []look.Item {
	var items []look.Item
	add := func(text string, on bool, set func()) {
		items = append(items, look.Item{Text: text, Checked: on, Run: func() { set(); b.changed() }})
	}
	if b.classesInMenu {
		add(words.T("Any status"), b.filter.Class == 0, func() { b.setClass(0) })
		for i, name := range classNames {
			class := i + 2
			add(name, b.filter.Class == class, func() { b.setClass(class) })
		}
		items = append(items, look.Item{Separator: true})
	}
	add(words.T("Any method"), b.filter.Method == "", func() { b.filter.Method = "" })
	for _, m := range methods {
		add(m, b.filter.Method == m, func() { b.filter.Method = m })
	}
	items = append(items, look.Item{Separator: true})
	add(words.T("Any duration"), b.filter.Least == 0, func() { b.filter.Least = 0 })
	for _, d := range durations {
		add(words.T("%s or longer", model.Took(d)), b.filter.Least == d, func() { b.filter.Least = d })
	}
	if b.filter.Narrows() {
		items = append(items, look.Item{Separator: true}, look.Item{Text: words.T("Clear the filter"), Icon: look.IconClose, Run: b.reset})
	}
	return items
}

func (b *Bar) reset() {
	b.SetFilter(model.Filter{})
	b.changed()
}

// moreItems are what is seldom wanted, or has no room.
func (b *Bar) moreItems() []look.Item {
	var items []look.Item
	add := func(text string, icon look.Icon, run func()) {
		if run != nil {
			items = append(items, look.Item{Text: text, Icon: icon, Run: run})
		}
	}
	if b.clearInMenu {
		if b.state.Scoped {
			add(words.T("Show all tunnels"), look.IconBack, b.actions.ShowAll)
		}
		if !b.history {
			add(words.T("Clear the list"), look.IconTrash, b.actions.Clear)
		}
	}
	add(words.T("Export as HAR…"), look.IconSave, b.actions.Export)
	add(words.T("Import a HAR file…"), look.IconUpload, b.actions.Import)
	return items
}
