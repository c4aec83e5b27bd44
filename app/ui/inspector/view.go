package inspector

import (
	"unicode/utf8"

	"culvert/app/inspect"
	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
)

// viewDoc is a body as a text of a pane. Its length stands still between calls of
// grow, although rows are laid out elsewhere meanwhile.
type viewDoc struct {
	view *inspect.View
	most int // 0 for no bound

	rows    int
	counted int // rows whose length is known
	longest int
}

func (d *viewDoc) len() int {
	if d.rows == 0 {
		d.grow()
	}
	return d.rows
}

// grow takes in the rows that are laid out by now.
func (d *viewDoc) grow() {
	d.rows = d.view.Len()
	if d.most > 0 {
		d.rows = min(d.rows, d.most)
	}
}

func (d *viewDoc) fit(int) {}

func (d *viewDoc) columns() int {
	for n := d.len(); d.counted < n && d.longest < inspect.MaxRunes; d.counted++ {
		d.longest = max(d.longest, utf8.RuneCountInString(d.view.Line(d.counted).Text))
	}
	return d.longest
}

func (d *viewDoc) at(i int) line {
	l := d.view.Line(i)
	var spans []span
	at := 0
	for _, s := range l.Spans {
		if s.Start > at {
			spans = append(spans, span{text: l.Text[at:s.Start], color: look.ColorText})
		}
		spans = append(spans, span{text: l.Text[s.Start:s.End], color: colorOf(s.Class)})
		at = s.End
	}
	if at < len(l.Text) {
		spans = append(spans, span{text: l.Text[at:], color: look.ColorText})
	}
	return line{spans: spans}
}

func colorOf(c inspect.Class) fyne.ThemeColorName {
	switch c {
	case inspect.Key:
		return look.ColorInfo
	case inspect.String:
		return look.ColorOK
	case inspect.Number, inspect.Keyword:
		return look.ColorWarn
	case inspect.Comment:
		return look.ColorMuted
	default:
		return look.ColorText
	}
}
