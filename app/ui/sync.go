package ui

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"culvert/app/ui/look"
	"culvert/app/ui/model"
)

// This file carries the store's state into the parts. Parts redraw themselves only
// where a text or colour differs, so running all of it at every frame is cheap.

func (w *Window) syncTunnels(tunnels []model.Tunnel, backend model.Backend, now time.Time) {
	w.cards.Sync(tunnels, w.scope, now)
	show(w.noTunnels, len(tunnels) == 0)

	relayout := w.summary.set(tunnels)
	w.backend.Set("via "+backendWords(backend), look.ColorMuted)
	w.reach.Set(reachWords(tunnels, backend), look.ColorMuted)
	w.lan.Set(backend.LAN)
	relayout = show(w.lan, backend.BuiltIn) || relayout

	text, _ := w.cfg.Store.Notice()
	if text != w.notice.Text() {
		w.notice.Set(text, look.ColorText)
		relayout = true
	}
	relayout = show(w.noticeBar, text != "") || relayout
	if relayout {
		w.root.Refresh()
	}
}

func backendWords(b model.Backend) string {
	switch {
	case !b.BuiltIn:
		return b.Name
	case b.LAN:
		return "built-in relay · this network"
	default:
		return "built-in relay · this computer"
	}
}

// reachWords says who can reach the tunnels now. Tunnels may lead to other places
// than the one where the next will lead, so their own URLs decide.
func reachWords(tunnels []model.Tunnel, b model.Backend) string {
	online, public := 0, 0
	for _, t := range tunnels {
		if t.State == model.Online {
			online++
			if !model.Local(t.URL) {
				public++
			}
		}
	}
	switch {
	case b.BuiltIn && b.LAN:
		return "Anyone on your network can open the URLs"
	case public == 1:
		return "1 service is public: anyone with its URL can reach it"
	case public > 1:
		return fmt.Sprintf("%d services are public: anyone with a URL can reach them", public)
	case online > 0 || b.BuiltIn || b.Local:
		return "Only this computer can open the URLs"
	default:
		return "Nothing is public"
	}
}

func (w *Window) syncRequests(tunnels []model.Tunnel, backend model.Backend) {
	labels := model.Labels(tunnels)
	name := "all tunnels"
	if w.scope != "" {
		name = labels[w.scope]
	}
	if w.scope == "" && len(tunnels) > 1 {
		w.table.SetLabels(labels)
	} else {
		w.table.SetLabels(nil)
	}
	if r := w.detail.request; r != nil {
		if _, known := labels[r.Tunnel]; !known {
			w.table.Unselect() // its tunnel has been removed, and it with it
		}
	}
	relayout := name != w.scopeName.Text()
	w.scopeName.Set(name, look.ColorMuted)
	if show(w.scopeAll, w.scope != "") || relayout {
		w.root.Refresh()
	}
	empty := w.view.Len() == 0
	if empty {
		w.noRequests.set(w.lessonFor(tunnels, backend))
	}
	show(w.noRequests, empty)
	show(w.table, !empty)
}

// lessonFor says why the table is empty and what would fill it.
func (w *Window) lessonFor(tunnels []model.Tunnel, backend model.Backend) (title, text, command string) {
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
		return "No request matches the filter", "Clear the filter with Escape to see all requests again.", ""
	case len(tunnels) == 0:
		return "Requests appear here", "Once a tunnel is open, every request that reaches it is listed here the moment it is answered. " +
			"By keyboard: " + modifier() + "+L opens a tunnel, +U copies its URL, +F filters, +P pauses.", ""
	case url == "":
		return "Waiting for a tunnel to come online", "Requests are listed here once visitors can reach the service.", ""
	case seen > 0:
		return "The list is empty again", "New requests are listed here the moment they are answered.", ""
	case backend.BuiltIn && !backend.LAN, backend.Local:
		text = "Open the URL in a browser on this computer, or send the first request from a terminal:"
	case backend.BuiltIn:
		text = "Open the URL on a phone or computer in your network, or send the first request from a terminal:"
	default:
		text = "Open the URL in any browser, or send the first request from a terminal:"
	}
	return "No requests yet", text, "curl " + strings.TrimSuffix(url, "/") + "/"
}

// modifier is the name of the key that the window's shortcuts are pressed with.
func modifier() string {
	if runtime.GOOS == "darwin" {
		return "Cmd"
	}
	return "Ctrl"
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

func (w *Window) setError(err error) {
	text := ""
	if err != nil {
		text = model.Sentence(err.Error())
	}
	if w.openError.Text() == text {
		return
	}
	w.openError.Set(text, look.ColorBad)
	w.root.Refresh()
}

func (w *Window) focusTarget() { w.win.Canvas().Focus(w.target) }

func (w *Window) togglePause() {
	w.table.SetPaused(!w.table.Paused())
	w.showPaused()
}

func (w *Window) showPaused() {
	label := "Pause"
	if w.table.Paused() {
		label = "Resume"
	}
	w.pause.SetText(label)
	w.pause.SetFilled(w.table.Paused())
	w.root.Refresh()
}

func (w *Window) clear() {
	w.cfg.Store.ClearRequests(w.scope)
	w.table.Unselect()
	w.Sync()
}

// showFresh offers the way back to the newest rows while others are held still.
func (w *Window) showFresh(n int) {
	text := model.Number(n) + " new ↑"
	if n > 999 {
		text = "999+ new ↑" // it has to fit into a narrow window
	}
	longer := n > 0 && len(text) != len(w.fresh.Text())
	if n > 0 {
		w.fresh.SetText(text)
	}
	if show(w.fresh, n > 0) || longer {
		w.root.Refresh()
	}
}

func (w *Window) showDetail(r *model.Request) {
	if r == nil {
		w.detail.request = nil
	} else {
		tunnels := w.cfg.Store.Tunnels()
		w.detail.set(r, model.Labels(tunnels)[r.Tunnel])
		show(w.detail.copyURL, w.requestURL(r) != "")
	}
	show(w.detail, r != nil)
	w.root.Refresh()
	w.detail.Refresh()
	if r != nil {
		w.table.ShowSelected()
	}
}

// requestURL is the public URL that the request asked for.
func (w *Window) requestURL(r *model.Request) string {
	if t := w.tunnel(r.Tunnel); t != nil && t.URL != "" {
		return strings.TrimSuffix(t.URL, "/") + r.Path
	}
	return ""
}

func (w *Window) copyURLOfRequest() {
	if r := w.detail.request; r != nil {
		w.copyWith(w.detail.copyURL, w.requestURL(r))
	}
}

func (w *Window) copyCause() {
	if w.detail.request != nil {
		w.copyWith(w.detail.copyCause, w.detail.causeText())
	}
}

// escape goes one step back from what has been narrowed or selected.
func (w *Window) escape() {
	if w.detail.request != nil {
		w.table.Unselect()
	} else if w.scope != "" {
		w.selectTunnel("")
	}
}
