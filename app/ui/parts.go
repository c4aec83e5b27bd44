package ui

import (
	"time"

	"culvert/app/ui/cards"
	"culvert/app/ui/look"
	"culvert/app/ui/requests"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
)

// copiedFor is how long a button says that it has copied.
const copiedFor = 1500 * time.Millisecond

// flash is a button that says for a moment that it has copied.
type flash struct {
	label string // what it says otherwise
	until time.Time
}

// parts are what the window consists of, from the top down.
type parts struct {
	root *fyne.Container

	// Top: open a tunnel.
	target     *field
	openButton *look.Button
	openError  *look.Paragraph
	backend    *look.Text

	// A message that stays until it is dismissed.
	notice        *look.Paragraph
	noticeDismiss *look.Button
	noticeBar     *fyne.Container

	// Left: tunnels. The column stands in cards.
	noTunnels *lesson

	// Right: requests.
	scopeName  *look.Text
	scopeAll   *look.Button
	fresh      *look.Button
	filter     *field
	pause      *look.Button
	clearAll   *look.Button
	noRequests *lesson
	detail     *detail

	// Bottom: what is public.
	summary *summary
	reach   *look.Text
	lan     *look.Switch
}

func (w *Window) build() {
	bold := fyne.TextStyle{Bold: true}

	w.target = newField("Port, host:port or URL…", w.typedShortcut)
	w.target.OnSubmitted = func(string) { w.open() }
	w.target.OnChanged = func(string) { w.setError(nil) }
	w.openButton = look.NewFilledButton("Open tunnel", look.High, w.open)
	w.openError = look.NewParagraph("", look.ColorBad, look.TextBody, 2)
	w.backend = look.NewText("", look.ColorMuted, look.TextBody, fyne.TextStyle{})

	w.notice = look.NewParagraph("", look.ColorText, look.TextBody, 3)
	w.noticeDismiss = look.NewButton("Dismiss", look.Low, func() { w.cfg.Store.DismissNotice(w.notice.Text()) })
	w.noticeBar = container.New(noticeLayout{}, look.NewPanel(look.ColorSelected, "", 0),
		look.NewDot(look.ColorWarn), w.notice, w.noticeDismiss)

	w.cards = cards.NewColumn(cards.Actions{
		Select: w.selectTunnel, Copy: w.copyURL, OpenURL: w.openURL,
		Start: w.start, Stop: w.stop, RetryNow: w.retryNow, Remove: w.remove, Escape: w.escape,
	})
	w.noTunnels = newLesson(w.copyWith)
	w.noTunnels.set("No tunnels yet",
		"A tunnel gives a service on this computer a public URL. Type the port that the service listens on into the field above, "+
			"for example 3000, and press Enter.", "")

	w.scopeName = look.NewText("", look.ColorMuted, look.TextBody, fyne.TextStyle{})
	w.scopeAll = look.NewButton("Show all", look.Low, func() { w.selectTunnel("") })
	w.table = requests.NewTable(w.view)
	w.table.OnSelect = w.showDetail
	w.table.OnEscape = w.escape
	w.table.OnFresh = w.showFresh
	w.fresh = look.NewFilledButton("", look.Low, func() { w.table.ShowNewest(); w.showPaused() })
	w.filter = newField(filterHint, w.typedShortcut)
	w.fresh.Hide()
	w.filter.OnChanged = func(text string) { w.table.Filter(w.scope, text); w.Sync() }
	w.filter.onEscape = func() {
		if w.filter.Text == "" {
			w.escape()
		}
		w.filter.SetText("")
	}
	w.target.onEscape = w.escape
	w.pause = look.NewButton("Pause", look.Low, w.togglePause)
	w.clearAll = look.NewButton("Clear", look.Low, w.clear)
	w.noRequests = newLesson(w.copyWith)
	w.detail = newDetail(w.copyURLOfRequest, w.copyCause)
	w.detail.Hide()
	for _, b := range []*look.Button{w.openButton, w.scopeAll, w.fresh, w.pause, w.clearAll, w.detail.copyURL, w.detail.copyCause} {
		b.OnEscape = w.escape
	}

	w.summary = newSummary()
	w.reach = look.NewText("", look.ColorMuted, look.TextSmall, fyne.TextStyle{})
	w.lan = look.NewSwitch("Allow devices on my network", w.allowLAN)

	top := container.New(topLayout{w}, look.NewPanel(look.ColorPanel, "", 0), w.target.box, w.openButton, w.backend, w.openError)
	left := container.NewStack(w.cards, w.noTunnels)
	title := look.NewText("Requests", look.ColorText, look.TextBody, bold)
	bar := container.New(barLayout{w}, title, w.scopeName, w.scopeAll, w.fresh, w.filter.box, w.pause, w.clearAll)
	foot := container.New(footLayout{w}, look.NewPanel(look.ColorPanel, "", 0), w.summary.Container, w.reach, w.lan)
	w.root = container.New(rootLayout{w},
		top, look.NewLine(), w.noticeBar, left, look.NewLine(), bar, look.NewLine(),
		container.NewStack(w.table, w.noRequests), w.detail, look.NewLine(), foot)
}
