package ui

import (
	"context"
	"errors"
	"strings"
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

// search is what is looked for in the history.
type search struct {
	on   bool
	turn int   // counts searches, so that late answers are known
	next int64 // where older rows begin, 0 if there are none
	busy bool
	err  string
	stop context.CancelFunc // of the search under way; nil if none is
}

// typingPause is how long the search waits for the next letter: the history is read
// from the disk for every one.
const typingPause = 200 * time.Millisecond

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

// setHistory shows what is found in the history, or the live log.
func (w *Window) setHistory(on bool) {
	w.table.Unselect()
	w.search.on = on
	if on {
		w.found.Reset()
		w.table.SetRows(w.found)
	} else {
		w.stopSearch()
		w.table.SetRows(w.view)
	}
	w.narrow()
}

// stopSearch makes the answer of a search under way worthless.
func (w *Window) stopSearch() {
	w.search.turn++
	w.search.busy = false
	if w.search.stop != nil {
		w.search.stop()
		w.search.stop = nil
	}
}

// searchFrom looks for what is older than the cursor; 0 begins anew.
func (w *Window) searchFrom(f model.Filter, before int64) {
	w.stopSearch()
	turn := w.search.turn
	ctx, stop := context.WithCancel(context.Background())
	w.search.busy, w.search.err, w.search.stop = true, "", stop
	wait := time.Duration(0)
	if before == 0 && f.Text != "" {
		wait = typingPause
	}
	if before == 0 {
		w.found.Reset()
		w.search.next = 0
	}
	var page model.Page
	w.cfg.Bridge.Go(func(end context.Context) (err error) {
		defer context.AfterFunc(end, stop)()
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
		page, err = w.cfg.Controller.Search(ctx, f, before)
		return err
	}, func(err error) {
		stop()
		if turn != w.search.turn {
			return
		}
		w.search.busy = false
		if err != nil {
			w.search.err = model.Sentence(err.Error())
		}
		if w.found.Add(page.Rows) {
			w.search.next = page.Next
		} else {
			w.search.next = 0
		}
		w.Sync()
	})
}

// searchOlder goes on where the search has ended, once its last rows come in sight.
func (w *Window) searchOlder() {
	if w.search.on && !w.search.busy && w.search.next != 0 {
		f := w.bar.Filter()
		f.Tunnel = w.scope
		w.searchFrom(f, w.search.next)
	}
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
	w.table.Unselect()
	w.table.Focus()
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

func (w *Window) send(x *exchange.Exchange, r model.Replay, done func(error)) {
	w.inspected.replayed, w.inspected.before = x.ID, 0
	if w.view.Len() > 0 {
		w.inspected.before = w.view.At(0).ID
	}
	w.cfg.Bridge.Go(func(ctx context.Context) error { return w.cfg.Controller.Replay(ctx, x, r) }, func(err error) {
		done(err)
		w.Sync()
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

// clearHistory removes all that is kept of requests.
func (w *Window) clearHistory(done func(error)) {
	w.cfg.Bridge.Go(w.cfg.Controller.Clear, func(err error) {
		w.table.Unselect()
		w.narrow()
		done(err)
	})
}

// shownRows are the rows that the table has, newest first.
func (w *Window) shownRows() []*model.Request {
	var rows []*model.Request
	if w.search.on {
		for i := range w.found.Len() {
			rows = append(rows, w.found.At(i))
		}
		return rows
	}
	for i := range w.view.Len() {
		rows = append(rows, w.view.At(i))
	}
	return rows
}

// export saves what the table shows as HAR. Whether secrets go into the file is asked,
// because such files are made to be handed on.
func (w *Window) export() {
	rows := w.shownRows()
	if len(rows) == 0 {
		return
	}
	frame.Ask(w.win.Canvas(), frame.Question{
		Title: words.T("Save %d requests as HAR", len(rows)),
		Text: words.T("Tokens, cookies and passwords are taken out, so that the file can be handed on. " +
			"With them in it, whoever has the file can act as your users."),
		Yes: words.T("Keep secrets in"), No: words.T("Take secrets out"),
	}, func(secrets bool) {
		var file []byte
		w.cfg.Bridge.Go(func(ctx context.Context) (err error) {
			file, err = w.cfg.Controller.Export(ctx, rows, secrets)
			return err
		}, func(err error) {
			if err != nil {
				w.cfg.Store.AddNotice(words.T("The requests were not saved.") + " " + model.Sentence(err.Error()))
				return
			}
			w.saveFile("culvert.har", file)
		})
	})
}

func (w *Window) importHAR() {
	w.openFile([]string{".har", ".json"}, func(file []byte) {
		n := 0
		w.cfg.Bridge.Go(func(ctx context.Context) (err error) {
			n, err = w.cfg.Controller.Import(ctx, file)
			return err
		}, func(err error) {
			if err != nil {
				w.cfg.Store.AddNotice(words.T("Not everything in the file could be read.") + " " + model.Sentence(err.Error()))
			}
			if n > 0 && w.search.on {
				w.bar.SetHistory(false)
				w.setHistory(false)
			}
			w.Sync()
		})
	})
}

// lessonFor says why the table is empty and what would fill it.
func (w *Window) lessonFor(tunnels []model.Tunnel, backend model.Backend) (title, text, command string) {
	if w.search.on {
		return w.searchLesson()
	}
	url, seen := "", 0
	for _, t := range tunnels {
		if w.scope == "" || w.scope == t.Key {
			seen += t.Requests
		}
	}
	for _, t := range tunnels {
		if t.State == model.Online && (w.scope == "" || w.scope == t.Key) {
			url = t.URL
			break
		}
	}
	switch {
	case w.view.Filtered():
		return words.T("No request matches the filter"), words.T("Clear the filter with Escape to see all requests again."), ""
	case len(tunnels) == 0:
		return words.T("Requests appear here"), words.T("Once a tunnel is open, every request that reaches it is listed here the moment it is answered.") +
			" " + words.T("By keyboard: %s+L opens a tunnel, +U copies its URL, +F filters, +P pauses.", modifier()), ""
	case model.Count(tunnels, model.Connecting, model.Online, model.Reconnecting) == 0:
		return words.T("No tunnel is running"), words.T("Start one to see its requests here."), ""
	case url == "":
		return words.T("Waiting for a tunnel to come online"), words.T("Requests are listed here once visitors can reach the service."), ""
	case seen > 0:
		return words.T("The list is empty again"), words.T("New requests are listed here the moment they are answered."), ""
	case backend.BuiltIn && !backend.LAN, backend.Local:
		text = words.T("Open the URL in a browser on this computer, or send the first request from a terminal:")
	case backend.BuiltIn:
		text = words.T("Open the URL on a phone or computer in your network, or send the first request from a terminal:")
	default:
		text = words.T("Open the URL in any browser, or send the first request from a terminal:")
	}
	return words.T("No requests yet"), text, "curl " + strings.TrimSuffix(url, "/") + "/"
}

func (w *Window) searchLesson() (title, text, command string) {
	switch {
	case w.search.busy:
		return words.T("Searching…"), "", ""
	case w.search.err != "":
		return words.T("The history cannot be searched"), w.search.err, ""
	case w.bar.Filter().Narrows():
		return words.T("Nothing in the history matches"), words.T("It is searched in paths, headers and bodies. Secrets were taken out before they were kept, and are not found."), ""
	default:
		return words.T("The history is empty"), words.T("Requests are kept on this computer from now on, so that they can be found after a restart."), ""
	}
}
