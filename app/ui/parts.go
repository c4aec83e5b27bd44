package ui

import (
	"culvert/app/exchange"
	"culvert/app/ui/cards"
	"culvert/app/ui/editor"
	"culvert/app/ui/frame"
	"culvert/app/ui/inbox"
	"culvert/app/ui/inspector"
	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/opener"
	"culvert/app/ui/requests"
	"culvert/app/ui/settings"
	"culvert/app/ui/words"
	"culvert/app/version"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
)

// parts are what the window consists of, from the top down. They have their words
// from the language that was set when they were built.
type parts struct {
	root *fyne.Container

	opener *opener.Opener

	// A message that stays until it is dismissed.
	notice        *look.Banner
	undo, dismiss *look.Button

	// Left: tunnels, and who can reach them.
	cards     *cards.Column
	noTunnels *frame.Lesson
	reach     *frame.Reach

	// Right: requests.
	bar        *requests.Bar
	table      *requests.Table
	noRequests *frame.Lesson
	divider    *frame.Divider
	inspector  *inspector.Inspector

	foot *frame.Foot

	// Over all of it, one at a time.
	settings   *settings.Sheet
	form       *editor.TunnelForm
	shareSheet *editor.Share
	replayForm *editor.ReplayForm
	inbox      *inbox.Sheet
}

// build makes all parts and puts them into the window.
func (w *Window) build() {
	w.parts = &parts{}
	w.opener = opener.New(opener.Actions{
		Open: w.open, OpenService: w.openService, ChooseFolder: w.chooseFolder, ChooseProfile: w.chooseProfile,
		ManageProfiles: func() { w.showSettings(settings.Backends) },
		Settings:       func() { w.showSettings(settings.Backends) },
		Notices:        w.showNotices,
		Edited:         func() { w.setOpenError(nil) },
		Escape:         w.escape, Shortcut: w.typedShortcut,
	})
	w.undo = look.NewButton(words.T("Undo"), look.Low, w.undoRemove)
	w.undo.Hide()
	w.dismiss = look.NewButton(words.T("Dismiss"), look.Low, w.dismissNotice)
	w.notice = look.NewBanner(look.Warn, "", w.undo, w.dismiss)
	w.notice.Hide()

	w.cards = cards.NewColumn(cards.Actions{
		Select: w.selectTunnel, Copy: w.copyURL, CopyStreamURL: w.copyStreamURL, OpenURL: w.openURL, Share: w.share,
		Start: w.start, Stop: w.stop, RetryNow: w.retryNow, Remove: w.remove, Edit: w.edit, Duplicate: w.duplicate,
		Probe: w.probe, Why: w.why, Move: w.move, Escape: w.escape,
	})
	w.noTunnels = frame.NewLesson(w.copyWith)
	w.reach = frame.NewReach()

	w.buildRequests()
	w.foot = frame.NewFoot(w.allowLAN)
	w.root = container.New(rootLayout{w},
		w.opener, look.NewLine(), w.notice,
		container.NewStack(w.cards, w.noTunnels), w.reach, look.NewLine(),
		w.bar, look.NewLine(), container.NewStack(w.table, w.noRequests), w.divider, w.inspector,
		look.NewLine(), w.foot)
	w.win.SetContent(look.NewRoot(w.root))
	w.buildSheets()
}

func (w *Window) buildRequests() {
	w.bar = requests.NewBar(requests.BarActions{
		Filter: w.filter, History: w.setHistory, ShowAll: func() { w.selectTunnel("") }, Newest: w.showNewest,
		Pause: w.togglePause, Clear: w.clear, Export: w.export, Import: w.importHAR,
		Escape: w.escape, Shortcut: w.typedShortcut,
	})
	w.table = requests.NewTable(w.view)
	w.table.OnSelect = w.inspect
	w.table.OnEscape = w.escape
	w.table.OnEnd = w.searchOlder
	w.table.OnShortcut = w.typedShortcut
	w.table.OnOpen = func(*model.Request) { w.inspector.Focus() }
	w.table.OnReplay = w.replayRow
	w.table.OnCompare = func(r *model.Request) { w.whenInspected(r, w.inspector.Compare) }
	w.table.OnCopy = func(r *model.Request) { w.whenInspected(r, w.inspector.CopyCURL) }
	w.noRequests = frame.NewLesson(w.copyWith)
	w.divider = frame.NewDivider(w.moveDivider)
	w.inspector = inspector.New(inspector.Actions{
		Prepare: w.prepare,
		Marked:  w.markRow,
		Copy:    w.copyText, Save: w.saveFile, Replay: w.replay, Edit: w.editReplay, Original: w.original,
		Shortcut: w.typedShortcut, Close: w.closeInspector, Now: w.cfg.Now, Version: version.Number,
	})
	w.inspector.Hide()
}

// markRow shows which row waits to be compared with another: that of the exchange, which
// is inspected at the moment, or none.
func (w *Window) markRow(x *exchange.Exchange) {
	row := w.table.Selected()
	if x == nil || row == nil || row.Exchange != x.ID {
		w.table.Mark(0)
		return
	}
	w.table.Mark(row.ID)
}

// why leads to what can be found out about a tunnel's backend.
func (w *Window) why(key string) {
	if wish, ok := w.cfg.Controller.Wish(key); ok {
		w.showDoctor(wish.Profile)
	}
}
