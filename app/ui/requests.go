package ui

import (
	"context"
	"errors"
	"time"

	"culvert/app/exchange"
	"culvert/app/history"
	"culvert/app/ui/editor"
	"culvert/app/ui/frame"
	"culvert/app/ui/inspector"
	"culvert/app/ui/model"
	"culvert/app/ui/words"
)

// This file has what table, bar and inspector ask for.

func (w *Window) selectTunnel(key string) {
	if w.scope == key {
		key = "" // a second tap shows all again
	}
	w.scope = key
	w.table.Unselect()
	w.narrow()
}

// filter takes what the bar asks for.
func (w *Window) filter(model.Filter) { w.narrow() }

// narrow shows what bar and cards ask for.
func (w *Window) narrow() {
	f := w.bar.Filter()
	f.Tunnel = w.scope
	w.view.SetFilter(f)
	if w.search.on {
		w.searchFrom(f, 0)
	}
	w.table.ToTop()
	w.Sync()
}

func (w *Window) togglePause() {
	w.table.SetPaused(!w.table.Paused())
	w.Sync()
}

func (w *Window) showNewest() {
	w.table.ShowNewest()
	w.Sync()
}

func (w *Window) clear() {
	w.cfg.Store.ClearRequests(w.scope)
	w.table.Unselect()
	w.Sync()
}

// inspect shows a row in the inspector, nil for none.
func (w *Window) inspect(r *model.Request) {
	w.inspected.turn++
	w.inspected.row = r
	if r == nil {
		w.showInspector(nil, nil)
		return
	}
	if x := w.cfg.Store.Exchange(r.ID); x != nil && !r.Open {
		w.showInspector(r, x)
		return
	}
	turn := w.inspected.turn
	var x *exchange.Exchange
	w.cfg.Bridge.Go(func(ctx context.Context) (err error) {
		x, err = w.cfg.Controller.Exchange(ctx, r)
		return err
	}, func(err error) {
		if turn != w.inspected.turn {
			return
		}
		if err != nil {
			x = outline(r, err)
		}
		w.showInspector(r, x)
	})
}

// outline is what a row says of an exchange that is not kept any more.
func outline(r *model.Request, why error) *exchange.Exchange {
	x := &exchange.Exchange{
		ID: r.Exchange, Tunnel: r.Name, Start: r.Time, Duration: r.Duration, RemoteAddr: r.Visitor,
		Method: r.Method, Path: r.Path, Status: r.Status, Err: r.Err, Detail: r.Detail, NoTarget: r.NoTarget,
		Request: exchange.Message{Dropped: true}, Response: exchange.Message{Size: r.Size, Dropped: true}, Redacted: true,
	}
	if x.Err == "" {
		x.Err = why.Error()
		if errors.Is(why, history.ErrNotFound) {
			x.Err = words.T("this request is no longer kept: newer ones have taken its place")
		}
	}
	return x
}

func (w *Window) showInspector(r *model.Request, x *exchange.Exchange) {
	w.inspected.x = x
	var live inspector.Live
	if r != nil && r.Open && r.Live != nil {
		live = r.Live
	}
	w.inspector.Inspect(x, live)
	if show(w.inspector, x != nil) {
		w.root.Refresh()
	}
	if x != nil {
		w.table.ShowSelected()
	}
}

// syncInspector follows a stream while it lasts, and what becomes of its row.
func (w *Window) syncInspector() {
	if w.inspected.row == nil {
		return
	}
	if r := w.table.Selected(); r != nil && r != w.inspected.row && r.ID == w.inspected.row.ID {
		w.inspect(r)
		return
	}
	if w.inspector.Visible() {
		w.inspector.Sync()
	}
}

func (w *Window) closeInspector() {
	w.table.Focus() // first: a table without a selection makes one when it gets the focus
	w.table.Unselect()
}

// replay sends the exchange's request once more, as it was.
func (w *Window) replay(x *exchange.Exchange) {
	w.send(x, model.Replay{}, func(err error) {
		if err != nil {
			w.inspected.replayed = ""
			w.cfg.Store.AddNotice(words.T("The request was not repeated.") + " " + model.Sentence(err.Error()))
		}
	})
}

// replayRow sends the request of a row again. A key that is held down repeats itself;
// that does not count.
func (w *Window) replayRow(r *model.Request) {
	now := w.cfg.Now()
	if r == nil || r.ID == w.repeated.id && now.Sub(w.repeated.at) < repeatPause {
		return
	}
	w.repeated.id, w.repeated.at = r.ID, now
	w.withExchange(r, w.replay)
}

// whenInspected does something with the inspector as soon as it shows the row: the whole
// exchange of a row may come later than a key.
func (w *Window) whenInspected(r *model.Request, do func()) {
	shows := func() bool {
		x := w.inspector.Exchange()
		return r != nil && x != nil && x.ID == r.Exchange
	}
	if shows() {
		do()
		return
	}
	w.withExchange(r, func(*exchange.Exchange) {
		if shows() {
			do()
		}
	})
}

// repeatPause is how soon the same request may be sent again.
const repeatPause = time.Second

func (w *Window) send(x *exchange.Exchange, r model.Replay, done func(error)) {
	w.inspected.replayed, w.inspected.before = x.ID, 0
	if w.view.Len() > 0 {
		w.inspected.before = w.view.At(0).ID
	}
	w.cfg.Bridge.Go(func(ctx context.Context) error { return w.cfg.Controller.Replay(ctx, x, r) }, func(err error) {
		var q *model.ReplayQuestion
		if errors.As(err, &q) {
			w.askReplay(q, done)
			return
		}
		done(err)
		w.Sync()
	})
}

// askReplay asks whether a request that came from a file shall go to the service.
func (w *Window) askReplay(q *model.ReplayQuestion, done func(error)) {
	frame.Ask(w.win.Canvas(), frame.Question{
		Title: words.T("Send a request that came from a file?"),
		Text: words.T("%s %s would go to %s. Whoever made the file has chosen what it does there.",
			q.Method, q.Path, q.Service),
		Yes: words.T("Send"), No: words.T("Cancel"),
	}, func(yes bool) {
		if !yes {
			w.inspected.replayed = ""
			done(nil)
			return
		}
		w.cfg.Bridge.Go(q.Agree, func(err error) {
			done(err)
			w.Sync()
		})
	})
}

// followReplay selects the request that repeats another, once it is in the table. Who
// scrolls or pauses is not led away from what they read.
func (w *Window) followReplay() {
	const near = 50 // it is among the newest, or has been overtaken by too many
	if w.inspected.replayed == "" || w.search.on {
		return
	}
	for i := range min(w.view.Len(), near) {
		if r := w.view.At(i); r.ID > w.inspected.before && r.ReplayOf == w.inspected.replayed {
			w.inspected.replayed = ""
			w.table.Select(r.ID)
			return
		}
	}
}

// withExchange does something with the whole exchange of a row.
func (w *Window) withExchange(r *model.Request, do func(*exchange.Exchange)) {
	if r == nil {
		return
	}
	var x *exchange.Exchange
	w.cfg.Bridge.Go(func(ctx context.Context) (err error) {
		x, err = w.cfg.Controller.Exchange(ctx, r)
		return err
	}, func(err error) {
		if err != nil {
			w.cfg.Store.AddNotice(model.Sentence(err.Error()))
			return
		}
		do(x)
	})
}

func (w *Window) editReplay(x *exchange.Exchange) {
	w.replayForm.Show(editor.ReplayState{Exchange: x, Tunnel: x.Tunnel})
}

func (w *Window) original(id string, then func(*exchange.Exchange)) {
	var x *exchange.Exchange
	w.cfg.Bridge.Go(func(ctx context.Context) (err error) {
		x, err = w.cfg.Controller.Recall(ctx, id)
		return err
	}, func(err error) {
		if err != nil {
			x = nil
		}
		then(x)
	})
}
