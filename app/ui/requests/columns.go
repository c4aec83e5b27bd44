package requests

import (
	"time"

	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
)

// column is one column of the table. The path takes what the others leave.
type column struct {
	title  string
	width  float32
	narrow float32 // its width in a narrow table, 0 for the same
	// yields is when the column gives way, to leave the path some room: what says
	// least about a request goes first, and 0 never does.
	yields int
	text   func(*model.Request) string
	brief  func(*model.Request) string // in a narrow table; nil for the same
	tint   func(*model.Request) fyne.ThemeColorName
	bold   bool
}

// Columns by their index.
const (
	tunnelColumn = 1
	pathColumn   = 3
)

const (
	narrowTable float32 = 560 // below this width columns are narrow
	pathRoom    float32 = 160 // columns give way until the path has so much
)

func columns(tunnel func(*model.Request) string, now func() time.Time) []column {
	plain := func(*model.Request) fyne.ThemeColorName { return look.ColorText }
	muted := func(*model.Request) fyne.ThemeColorName { return look.ColorMuted }
	return []column{
		{title: words.T("Time"), width: 112, narrow: 88, tint: muted,
			text:  func(r *model.Request) string { return stamp(r.Time, now(), "15:04:05.000", "01-02 15:04:05") },
			brief: func(r *model.Request) string { return stamp(r.Time, now(), "15:04:05", "01-02 15:04") }},
		{title: words.T("Tunnel"), width: 124, narrow: 88, tint: muted, text: tunnel},
		{title: words.T("Method"), width: 76, narrow: 64, tint: plain, text: method},
		{title: words.T("Path"), tint: plain, text: path},
		{title: words.T("Status"), width: 76, narrow: 64, tint: kindColor, bold: true, text: (*model.Request).StatusText},
		{title: words.T("Duration"), width: 84, yields: 3, tint: plain, text: took},
		{title: words.T("Size"), width: 104, yields: 2, tint: plain, text: size},
		{title: words.T("Visitor"), width: 132, yields: 1, tint: muted, text: func(r *model.Request) string { return r.Visitor }},
	}
}

// stamp is a time of today, or a date with it.
func stamp(t, now time.Time, today, other string) string {
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format(today)
	}
	return t.Format(other)
}

// method of a WebSocket is always GET, which says less.
func method(r *model.Request) string {
	if r.Stream == model.WebSocketStream {
		return "WS"
	}
	return r.Method
}

// path of a replay has a mark of its own.
func path(r *model.Request) string {
	if r.ReplayOf != "" {
		return "↻ " + r.Path
	}
	return r.Path
}

// took is how long the request lasted; of one that lasts, that it does.
func took(r *model.Request) string {
	switch {
	case !r.Open:
		return model.Took(r.Duration)
	case r.Stream == model.EventStream:
		return words.T("stream")
	default:
		return words.T("open")
	}
}

// size is what the visitor got: bytes, or messages where these say more.
func size(r *model.Request) string {
	switch n := r.Count(); {
	case r.Stream == model.WebSocketStream && n > 0:
		return words.T("%d frames", n)
	case r.Stream == model.EventStream && n > 0:
		return words.T("%d events", n)
	default:
		return model.Size(r.Size)
	}
}

func kindColor(r *model.Request) fyne.ThemeColorName {
	switch r.Kind() {
	case model.ServerError:
		return look.ColorBad
	case model.ClientError:
		return look.ColorWarn
	case model.Upgrade:
		return look.ColorInfo
	default:
		return look.ColorOK
	}
}

// span is where a column stands at a certain width of the table.
type span struct{ x, w float32 }

// arrange gives each column its place; a hidden column has no width. The tunnel's
// is shown only on demand: with one tunnel it would say the same in every row.
func arrange(cols []column, width float32, tunnel bool) []span {
	spans := make([]span, len(cols))
	rest := width - 2*look.Inset
	most := 0
	for i, c := range cols {
		if i == pathColumn || i == tunnelColumn && !tunnel {
			continue
		}
		spans[i].w = c.width
		if width < narrowTable && c.narrow > 0 {
			spans[i].w = c.narrow
		}
		rest -= spans[i].w
		most = max(most, c.yields)
	}
	for turn := 1; turn <= most && rest < pathRoom; turn++ {
		for i, c := range cols {
			if c.yields == turn {
				rest += spans[i].w
				spans[i].w = 0
			}
		}
	}
	spans[pathColumn].w = max(rest, 40)
	x := look.Inset
	for i := range spans {
		spans[i].x = x
		x += spans[i].w
	}
	return spans
}

// words are what the column says at a width of the table.
func (c *column) words(r *model.Request, width float32) string {
	if c.brief != nil && width < narrowTable {
		return c.brief(r)
	}
	return c.text(r)
}
