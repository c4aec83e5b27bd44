package ui

import (
	"time"

	"culvert/app/ui/frame"
	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/opener"
	"culvert/app/ui/requests"
	"culvert/app/ui/words"
)

// This file carries the store's state into the parts. Parts redraw themselves only
// where a text or colour differs, so running all of it at every frame is cheap.

func (w *Window) syncTunnels(tunnels []model.Tunnel, backend model.Backend, now time.Time) {
	w.syncOpener(tunnels, backend)
	w.cards.Sync(tunnels, w.scope, now)
	if len(tunnels) == 0 {
		w.teachTunnels()
	}
	show(w.noTunnels, len(tunnels) == 0)
	relayout := w.reach.Sync(tunnels, backend)
	w.foot.Sync(frame.FootState{Tunnels: tunnels, Backend: backend, Total: w.cfg.Store.Total()})
	if w.syncBanner(now) || relayout {
		w.root.Refresh()
	}
}

func (w *Window) syncOpener(tunnels []model.Tunnel, backend model.Backend) {
	services, scanned := w.cfg.Store.Services()
	s := opener.State{
		Services: services, Scanned: scanned, Profile: backend.Profile, Busy: w.underWay, Error: w.openError,
		Unread:   model.Unread(w.cfg.Store.Received()),
		Profiles: []opener.Profile{{Title: words.T("Built-in relay")}},
	}
	for _, t := range tunnels {
		s.Opened = append(s.Opened, t.Target)
	}
	for _, name := range w.cfg.Controller.Profiles() {
		s.Profiles = append(s.Profiles, opener.Profile{Name: name, Title: name})
	}
	if !backend.BuiltIn && backend.Profile == "" { // by --backend
		s.Profiles = append(s.Profiles, opener.Profile{Name: backend.Name, Title: backend.Name})
		s.Profile = backend.Name
	}
	if w.opener.Sync(s) {
		w.root.Refresh()
	}
}

// syncBanner shows the latest message, or offers to undo what was done last. It
// reports whether the room that it takes has changed.
func (w *Window) syncBanner(now time.Time) bool {
	if w.removed != nil && now.After(w.removed.until) {
		w.removed = nil
	}
	if now.After(w.news.until) {
		w.news.text = ""
	}
	text, n := w.cfg.Store.Notice()
	kind := look.Warn
	if text == "" && w.removed != nil {
		text, kind = words.T("The tunnel %s was removed.", w.removed.name), look.Info
	}
	if text == "" && w.news.text != "" {
		text, kind = w.news.text, look.Info
	}
	label := words.T("Dismiss")
	if n > 1 {
		label = words.T("Next (%d)", n-1)
	}
	changed := text != w.notice.Text() || w.dismiss.Text() != label
	w.notice.Set(kind, text)
	w.dismiss.SetText(label)
	undo := n == 0 && w.removed != nil && w.news.text == ""
	if show(w.undo, undo) || changed {
		w.notice.Refresh()
		changed = true
	}
	return show(w.notice, text != "") || changed
}

// dismissNotice puts the message away that is shown.
func (w *Window) dismissNotice() {
	if _, n := w.cfg.Store.Notice(); n == 0 {
		w.removed, w.news.text = nil, ""
	} else {
		w.cfg.Store.DismissNotice(w.notice.Text())
	}
	w.Sync()
}

func (w *Window) syncRequests(tunnels []model.Tunnel, backend model.Backend) {
	labels := model.Labels(tunnels)
	name := words.T("all tunnels")
	if w.scope != "" {
		name = labels[w.scope]
	}
	if w.scope == "" && (len(tunnels) > 1 || w.search.on) {
		w.table.SetLabels(labels)
	} else {
		w.table.SetLabels(nil)
	}
	if r := w.inspected.row; r != nil && !w.search.on && r.Tunnel != "" {
		if _, known := labels[r.Tunnel]; !known {
			w.table.Unselect() // its tunnel has been removed, and it with it
		}
	}
	w.bar.Sync(requests.BarState{
		Scope: name, Scoped: w.scope != "" && len(tunnels) > 1, Fresh: w.view.Fresh(), Paused: w.table.Paused(),
		NoHistory: !w.cfg.Controller.Config().History.Enabled,
	})
	empty := w.view.Len() == 0
	if w.search.on {
		empty = w.found.Len() == 0
	}
	if empty {
		w.noRequests.Set(w.lessonFor(tunnels, backend))
	}
	show(w.noRequests, empty)
	show(w.table, !empty)
}

// hideable is a part that can be left out.
type hideable interface {
	Visible() bool
	Show()
	Hide()
}

// show reports whether the part's visibility changed.
func show(o hideable, visible bool) bool {
	if o.Visible() == visible {
		return false
	}
	if visible {
		o.Show()
	} else {
		o.Hide()
	}
	return true
}
