package requests

import (
	"culvert/app/ui/look"
	"culvert/app/ui/model"

	"fyne.io/fyne/v2"
)

// column is one column of the table. The path takes what the others leave.
type column struct {
	title string
	width float32
	// from is the table's width from which on the column is shown: what says
	// least about a request gives way first.
	from float32
	text func(*model.Request) string
	tint func(*model.Request) fyne.ThemeColorName
	bold bool
}

const pathColumn = 2

func columns() []column {
	plain := func(*model.Request) fyne.ThemeColorName { return look.ColorText }
	muted := func(*model.Request) fyne.ThemeColorName { return look.ColorMuted }
	return []column{
		{title: "Time", width: 108, tint: muted, text: func(r *model.Request) string { return r.Time.Format("15:04:05.000") }},
		{title: "Method", width: 76, tint: plain, text: func(r *model.Request) string { return r.Method }},
		{title: "Path", tint: plain, text: func(r *model.Request) string { return r.Path }},
		{title: "Status", width: 76, tint: kindColor, bold: true, text: (*model.Request).StatusText},
		{title: "Duration", width: 84, from: 480, tint: plain, text: func(r *model.Request) string { return model.Took(r.Duration) }},
		{title: "Size", width: 84, from: 580, tint: plain, text: func(r *model.Request) string { return model.Size(r.Size) }},
		{title: "Visitor", width: 132, from: 720, tint: muted, text: func(r *model.Request) string { return r.Visitor }},
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

// arrange gives each column its place; a hidden column has no width.
func arrange(cols []column, width float32) []span {
	spans := make([]span, len(cols))
	rest := width - 2*look.Inset
	for i, c := range cols {
		if i != pathColumn && width >= c.from {
			spans[i].w = c.width
			rest -= c.width
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
