package ui

import (
	"context"

	"culvert/app/ui/frame"
	"culvert/app/ui/inbox"
	"culvert/app/ui/model"
)

func (w *Window) buildInbox() {
	c := w.win.Canvas()
	w.inbox = inbox.New(c, inbox.Actions{
		Prepare: w.prepare, Copy: w.copyText, CopyWith: w.copyWith, Now: w.cfg.Now, Shortcut: w.typedShortcut,
		Read: w.cfg.Controller.ReadNotice, Clear: w.cfg.Controller.ClearNotices,
		Ask: func(title, text, yes, no string, answer func(bool)) {
			frame.Ask(c, frame.Question{Title: title, Text: text, Yes: yes, No: no}, answer)
		},
		Way: func(then func(model.NoticeWay)) {
			var way model.NoticeWay
			w.cfg.Bridge.Go(func(ctx context.Context) error {
				way = w.cfg.Controller.NoticeWay(ctx)
				return nil
			}, func(error) { then(way) })
		},
	})
}

// prepare runs work elsewhere, and then what follows from it in the toolkit's goroutine.
func (w *Window) prepare(work func(context.Context), then func()) {
	w.cfg.Bridge.Go(func(ctx context.Context) error { work(ctx); return nil }, func(error) { then() })
}

// showNotices opens the list of notices at its newest.
func (w *Window) showNotices() { w.showNotice("") }

// showNotice opens the list at a notice. A question that stands is answered first.
func (w *Window) showNotice(id string) {
	if w.asking {
		return
	}
	if w.inbox.Visible() {
		w.inbox.Hide()
	}
	w.inbox.Sync(w.cfg.Store.Received())
	w.inbox.Show(id)
}

// RaiseNotice brings the window to the front at a notice, from any goroutine.
func (w *Window) RaiseNotice(id string) {
	w.cfg.Bridge.Post(func() {
		w.Show()
		w.showNotice(id)
	})
}

// syncInbox brings the list up to date. It is filled also while it is closed, so that
// it opens at once.
func (w *Window) syncInbox() { w.inbox.Sync(w.cfg.Store.Received()) }
