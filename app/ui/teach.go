package ui

import (
	"runtime"
	"strconv"
	"strings"

	"culvert/app/discover"
	"culvert/app/share"
	"culvert/app/ui/model"
	"culvert/app/ui/words"
)

// This file has what empty places say: what belongs there, and how to get it.

// teachTunnels says how to open the first tunnel, with what could be meant.
func (w *Window) teachTunnels() {
	text := words.T("A tunnel gives a service on this computer a public URL. Type the port that the service listens on into the field above, " +
		"for example 3000, and press Enter.")
	services, _ := w.cfg.Store.Services()
	for _, s := range services {
		if s.Hazard.Kind == discover.NoHazard && s.Title != "" {
			text += " " + words.T("Or click one that was found, such as %s.", strconv.Itoa(s.Port)+" · "+s.Title)
			break
		}
	}
	w.noTunnels.Set(words.T("No tunnels yet"), text+" "+words.T("A folder is served as a website."), "")
}

// lessonFor says why the table is empty and what would fill it.
func (w *Window) lessonFor(tunnels []model.Tunnel, backend model.Backend) (title, text, command string) {
	if w.search.on {
		return w.searchLesson()
	}
	url, roots, seen := "", "", 0
	for _, t := range tunnels {
		if w.scope == "" || w.scope == t.Key {
			seen += t.Requests
		}
	}
	for _, t := range tunnels {
		if t.State == model.Online && (w.scope == "" || w.scope == t.Key) {
			url, roots = t.URL, w.cfg.Controller.Config().Profiles[t.Profile].CAFile
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
	command = "curl " + strings.TrimSuffix(url, "/") + "/"
	if roots != "" && strings.HasPrefix(url, "https:") {
		command += " --cacert " + share.Word(roots)
	}
	return words.T("No requests yet"), text, command
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

// modifier is the name of the key that the window's shortcuts are pressed with.
func modifier() string {
	if runtime.GOOS == "darwin" {
		return "Cmd"
	}
	return "Ctrl"
}
