package ui

import (
	"context"
	"time"

	"culvert/app/ui/frame"
	"culvert/app/ui/model"
	"culvert/app/ui/words"
)

// This file has what is kept on disk: the history, and files of requests.

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
		Yes: words.T("Keep secrets in"), No: words.T("Take secrets out"), Either: true,
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
			w.imported(n)
			w.Sync()
		})
	})
}

// imported says how many requests came in from a file, and shows them.
func (w *Window) imported(n int) {
	if n == 0 {
		return
	}
	w.news = news{words.T("%d requests came in from the file.", n), w.cfg.Now().Add(newsFor)}
	if w.search.on {
		w.bar.SetHistory(false)
		w.setHistory(false)
	}
}
