package inspector

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"culvert/app/exchange"
	"culvert/app/inspect"
	"culvert/app/redact"
	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
)

func dashes(n int) string { return strings.Repeat("─", max(n, 0)) }

// Limits of the overview: it is to be read at a glance, the other tabs have the rest.
const (
	overviewHeaders = 6
	overviewLines   = 200
)

// overview is one side at a glance: what it is, the headers that matter, the start of
// the body.
func (i *Inspector) overview(side int) doc {
	f := &flow{}
	f.add(i.titleOf(side)...)
	if i.narrow && side == request {
		// How it ended is not to be searched for beneath what was asked.
		f.add(i.titleOf(response)...)
		f.add(blank(), say(look.ColorMuted, words.T("Request")))
	} else if i.narrow {
		f = &flow{}
		f.add(say(look.ColorMuted, words.T("Response")))
	}
	header := i.message(side).Header
	names := sortedNames(header)
	slices.SortStableFunc(names, func(a, b string) int { return weight(a) - weight(b) })
	if len(names) > overviewHeaders+1 {
		names = names[:overviewHeaders]
	}
	f.add(i.headerLines(side, names)...)
	if rest := len(header) - len(names); rest > 0 {
		f.add(line{spans: []span{{text: words.T("… %d more headers", rest), color: look.ColorInfo, tap: func() { i.turn(headersTab) }}}})
	}
	f.add(blank())
	return joined{f, i.bodyStart(side)}
}

// titleOf is the request's or the response's first line, and what is to be said
// about the exchange as a whole.
func (i *Inspector) titleOf(side int) []line {
	x := i.exchange
	if side == request {
		return i.requestTitle(x)
	}
	var lines []line
	took := span{text: "  " + i.took(), color: look.ColorMuted}
	switch {
	case x.Status != 0:
		text := strconv.Itoa(x.Status)
		if t := http.StatusText(x.Status); t != "" {
			text += " " + t
		}
		lines = append(lines, line{spans: []span{{text: text, color: statusColor(x), bold: true}, took}})
	case x.Open:
		lines = append(lines, line{spans: []span{{text: words.T("No answer yet"), color: look.ColorInfo, bold: true}, took}})
	default:
		lines = append(lines, line{spans: []span{{text: words.T("No answer reached the visitor"), color: look.ColorBad, bold: true}, took}})
	}
	if x.Err != "" {
		lines = append(lines, say(look.ColorBad, model.Sentence(x.Err)))
	}
	if x.Detail != "" && x.Detail != x.Err {
		lines = append(lines, say(look.ColorMuted, x.Detail))
	}
	return lines
}

func (i *Inspector) requestTitle(x *exchange.Exchange) []line {
	path, masked := x.Path, false
	if !i.secrets && !i.shown["path"] {
		path, masked = redact.MaskURL(x.Path)
	}
	title := line{hang: 2, spans: []span{{text: x.Method + " " + path, color: look.ColorText, bold: true}}}
	if masked || i.shown["path"] {
		title.spans = append(title.spans, i.revealer("path")...)
	}
	lines := []line{title}
	if x.ReplayOf != "" {
		l := say(look.ColorMuted, words.T("↻ A replay."))
		if i.actions.Original != nil {
			l.spans = append(l.spans, span{text: " "}, span{text: words.T("Compare with the original"), color: look.ColorInfo, tap: i.compareWithOriginal})
		}
		lines = append(lines, l)
	}
	if x.Redacted {
		lines = append(lines, say(look.ColorWarn, words.T("Secrets were taken out of it before it was kept.")))
	}
	return lines
}

// took is how long the exchange lasted, or lasts so far.
func (i *Inspector) took() string {
	if x := i.exchange; x.Open {
		return words.T("open for %s", model.Elapsed(max(i.actions.Now().Sub(x.Start), 0)))
	}
	return model.Took(i.exchange.Duration)
}

func statusColor(x *exchange.Exchange) fyne.ThemeColorName {
	switch {
	case x.Status == 0 || x.Status >= 500:
		return look.ColorBad
	case x.Status >= 400:
		return look.ColorWarn
	case x.Status < 200:
		return look.ColorInfo
	default:
		return look.ColorOK
	}
}

// weight sorts headers by how much they say about this exchange among others; what a
// browser sends every time comes last.
func weight(name string) int {
	lower := strings.ToLower(name)
	switch {
	case lower == "content-type":
		return 0
	case redact.Header(name), strings.Contains(lower, "signature"):
		return 1
	case lower == "location" || lower == "user-agent" || lower == "origin" || lower == "server":
		return 2
	case strings.HasPrefix(lower, "sec-") || strings.HasPrefix(lower, "accept") || strings.HasPrefix(lower, "x-forwarded-") ||
		slices.Contains([]string{"connection", "cache-control", "pragma", "priority", "dnt", "upgrade-insecure-requests", "te", "via", "date", "vary"}, lower):
		return 9
	default:
		return 4
	}
}

// hasMessages reports whether there have been any, kept or not: the list says which.
func (i *Inspector) hasMessages() bool {
	x := i.exchange
	return i.live != nil && i.live.Count() > 0 || len(x.Messages) > 0 || x.Skipped > 0
}

// bodyStart is the first lines of a body, and a way to the rest.
func (i *Inspector) bodyStart(side int) doc {
	m := i.message(side)
	f := &flow{}
	if side == response && i.streams() {
		f.add(line{spans: []span{{text: words.T("Show the messages"), color: look.ColorInfo, tap: func() { i.turn(messagesTab) }}}})
		return f
	}
	if i.exchange.Status == 101 && i.hasMessages() {
		return f // what the visitor sent after the upgrade is among the messages
	}
	if m.Size == 0 && len(m.Body) == 0 {
		return f
	}
	p := i.view(side, inspect.Pretty, i.fill)
	if p == nil || p.view == nil {
		f.add(say(look.ColorMuted, words.T("Reading the body…")))
		return f
	}
	f.add(i.noteLines(p)...)
	if p.view.Image != nil {
		f.add(line{spans: []span{
			{text: imageWords(p.view, m.Size), color: look.ColorMuted}, {text: "  "},
			{text: words.T("Show"), color: look.ColorInfo, tap: func() { i.turn(bodyTab) }},
		}})
		return f
	}
	rows := &viewDoc{view: p.view, most: overviewLines}
	if p.view.Done() && p.view.Len() <= overviewLines {
		return joined{f, rows}
	}
	rest := &flow{}
	rest.add(line{spans: []span{{text: "… ", color: look.ColorMuted}, {text: words.T("Show all of the body"), color: look.ColorInfo, tap: func() { i.turn(bodyTab) }}}})
	return joined{f, rows, rest}
}
