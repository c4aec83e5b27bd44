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

// reachWords says who can reach the tunnels now.
func reachWords(tunnels []model.Tunnel, b model.Backend) string {
	online := model.Count(tunnels, model.Online)
	switch {
	case b.BuiltIn && b.LAN:
		return "Anyone on your network can open the URLs"
	case b.BuiltIn:
		return "Only this computer can open the URLs"
	case online == 0:
		return "Nothing is public"
	case online == 1:
		return "1 service is public: anyone with its URL can reach it"
	default:
		return fmt.Sprintf("%d services are public: anyone with a URL can reach them", online)
	}
}

func (w *Window) syncRequests(tunnels []model.Tunnel, backend model.Backend) {
	name := "all tunnels"
	if t := w.tunnel(w.scope); t != nil {
		name = t.Name
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
	url := ""
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
	case backend.BuiltIn && !backend.LAN:
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
	longer := n > 0 && len(text) != len(w.fresh.Text())
	if n > 0 {
		w.fresh.SetText(text)
	}
	if show(w.fresh, n > 0) || longer {
		w.root.Refresh()
	}
}

func (w *Window) showDetail(r *model.Request) {
	if r != nil {
		t := w.tunnel(r.Tunnel)
		text := r.Method + " " + r.Path
		if t != nil {
			text = t.Name + "  ·  " + text
		}
		if r.Err != "" {
			text = r.StatusText() + "  " + r.Err + "  ·  " + text
		}
		w.detail.Set(text, look.ColorText)
		show(w.detailCopy, t != nil && t.URL != "")
	}
	if show(w.detailBar, r != nil) {
		w.root.Refresh()
	}
	w.detailBar.Refresh()
}

// copyDetail copies the public URL of the selected request.
func (w *Window) copyDetail() {
	r := w.table.Selected()
	if r == nil {
		return
	}
	if t := w.tunnel(r.Tunnel); t != nil && t.URL != "" {
		w.copyWith(w.detailCopy, strings.TrimSuffix(t.URL, "/")+r.Path)
	}
}
