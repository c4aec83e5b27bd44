package inspector

import (
	"context"

	"culvert/app/exchange"
	"culvert/app/inspect"
	"culvert/app/redact"
	"culvert/app/ui/look"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
)

// comparison shows what differs from the exchange that was marked to the one that is
// inspected.
type comparison struct {
	box
	in      *Inspector
	title   *look.Text
	changes *look.Segmented
	line    *look.Shape
	pane    *pane
	diff    *inspect.Diff
	job     *job
}

func newComparison(i *Inspector) *comparison {
	c := &comparison{in: i, line: look.NewLine(), pane: newPane(&i.actions)}
	c.title = look.NewText("", look.ColorMuted, look.TextSmall, fyne.TextStyle{})
	c.changes = look.NewSegmented([]string{words.T("Changes"), words.T("Everything")}, func(int) { c.tell(false) })
	c.box.Container = container.New(layoutFunc(c.layout), c.title, c.changes, c.line, c.pane)
	return c
}

func (c *comparison) layout(_ []fyne.CanvasObject, size fyne.Size) {
	w := c.changes.MinSize().Width
	place(c.changes, size.Width-look.Inset-w, (toolHeight-24)/2, w, 24)
	place(c.title, look.Inset, 0, max(size.Width-w-3*look.Inset, 0), toolHeight)
	place(c.line, 0, toolHeight, size.Width, 1)
	place(c.pane, 0, toolHeight+1, size.Width, max(size.Height-toolHeight-1, 0))
}

func (c *comparison) fill(keep bool) {
	a, b := c.in.base, c.in.exchange
	c.job.stop()
	if a == nil || b == nil {
		return
	}
	if same(a, b) {
		c.diff = nil
		c.title.Set(nameOf(a)+" "+pathOf(a), look.ColorMuted)
		f := &flow{}
		f.add(line{spans: []span{{text: words.T("Choose another request in the list."), bold: true}}},
			say(look.ColorMuted, words.T("It is then compared with this one. To look at several, just go on: this one stays what they are compared with.")))
		c.pane.set(f, false)
		return
	}
	c.title.Set(comparisonTitle(a, b), look.ColorMuted)
	if !keep || c.diff == nil {
		f := &flow{}
		f.add(say(look.ColorMuted, words.T("Comparing…")))
		c.pane.set(f, false)
	}
	secrets := c.in.secrets
	var diff *inspect.Diff
	c.job = c.in.run(func(ctx context.Context) {
		if d, err := inspect.Compare(ctx, a, b, inspect.CompareOptions{Secrets: secrets}); err == nil {
			diff = d
		}
	}, func() {
		if diff != nil {
			c.diff = diff
			c.tell(keep)
		}
	})
}

// nameOf tells one exchange from others: they are often to the same path.
func nameOf(x *exchange.Exchange) string {
	name := x.Start.Format("15:04:05.000")
	if x.ReplayOf != "" {
		name += " ↻"
	}
	return name
}

// pathOf is what was asked for, fit to be seen.
func pathOf(x *exchange.Exchange) string {
	path, _ := redact.MaskURL(x.Path)
	return x.Method + " " + path
}

// comparisonTitle names the two, and says what they have in common only once.
func comparisonTitle(a, b *exchange.Exchange) string {
	if pathOf(a) == pathOf(b) {
		return "− " + nameOf(a) + "   + " + nameOf(b) + "   " + pathOf(a)
	}
	return "− " + nameOf(a) + " " + pathOf(a) + "   + " + nameOf(b) + " " + pathOf(b)
}

func (c *comparison) tell(keep bool) {
	if c.diff != nil {
		c.pane.set(&diffDoc{lines: diffLines(c.diff, c.changes.Selected() == 0)}, keep)
	}
}

func (c *comparison) focus() fyne.Focusable { return c.pane.sheet }

func partWords(p inspect.Part) string {
	switch p {
	case inspect.RequestLine:
		return words.T("Request")
	case inspect.RequestHeader:
		return words.T("Request headers")
	case inspect.RequestBody:
		return words.T("Request body")
	case inspect.StatusLine:
		return words.T("Response")
	case inspect.ResponseHeader:
		return words.T("Response headers")
	default:
		return words.T("Response body")
	}
}

// diffDoc is a comparison as a text.
type diffDoc struct {
	lines   []line
	longest int
}

func (d *diffDoc) len() int      { return len(d.lines) }
func (d *diffDoc) at(i int) line { return d.lines[i] }
func (d *diffDoc) fit(int)       {}
func (d *diffDoc) columns() int {
	if d.longest == 0 {
		for _, l := range d.lines {
			d.longest = max(d.longest, columnsOf(l.text()))
		}
	}
	return d.longest
}

// maxDiffColumns is where lines of a comparison are cut.
const maxDiffColumns = 200

func diffLines(d *inspect.Diff, changesOnly bool) []line {
	var lines []line
	if !d.Changed {
		lines = append(lines, say(look.ColorOK, words.T("✓ Nothing differs.")))
		if changesOnly {
			return lines
		}
		lines = append(lines, blank())
	}
	for _, s := range d.Sections {
		if changesOnly && !s.Changed {
			continue
		}
		title := line{spans: []span{{text: partWords(s.Part), bold: true}}}
		if !s.Changed {
			title.spans = append(title.spans, span{text: "  " + words.T("the same"), color: look.ColorMuted})
		}
		lines = append(lines, title)
		if s.Coarse {
			lines = append(lines, say(look.ColorWarn, words.T("These are too different, or too long, to be compared to their ends.")))
		}
		for _, l := range s.Lines {
			lines = append(lines, diffLine(l))
		}
		lines = append(lines, blank())
	}
	return lines
}

func diffLine(l inspect.DiffLine) line {
	text := cutColumns(l.Text, maxDiffColumns)
	switch l.Op {
	case inspect.Removed:
		return line{back: backRemoved, spans: []span{{text: "− ", color: look.ColorBad}, {text: text}}}
	case inspect.Added:
		return line{back: backAdded, spans: []span{{text: "+ ", color: look.ColorOK}, {text: text}}}
	case inspect.Gap:
		return say(look.ColorMuted, "  ⋯ "+words.T("%d lines are the same", l.Skip))
	default:
		return line{spans: []span{{text: "  "}, {text: text, color: look.ColorMuted}}}
	}
}

// comparing reports whether there is something to compare with.
func (i *Inspector) comparing() bool { return i.base != nil }

// Compare marks the exchange for comparison with the next one that is shown; when
// it is marked or compared already, it goes back.
func (i *Inspector) Compare() {
	switch {
	case i.exchange == nil:
	case i.comparing():
		i.stopComparing()
	case i.exchange.ReplayOf != "" && i.actions.Original != nil:
		i.compareWithOriginal()
	default:
		i.compareWith(i.exchange)
	}
}

func (i *Inspector) compareWith(base *exchange.Exchange) {
	i.base = base
	if i.actions.Marked != nil {
		i.actions.Marked(base)
	}
	i.head.fill()
	i.turn(compareTab)
}

// compareWithOriginal compares a replay with what it repeats; when that is gone, with
// what is chosen next.
func (i *Inspector) compareWithOriginal() {
	x := i.exchange
	i.actions.Original(x.ReplayOf, func(original *exchange.Exchange) {
		if i.exchange != x {
			return // the user went on
		}
		if original == nil {
			original = x
		}
		i.compareWith(original)
	})
}

func (i *Inspector) stopComparing() {
	if i.base == nil {
		return
	}
	i.base = nil
	if i.actions.Marked != nil {
		i.actions.Marked(nil)
	}
	if i.tab == compareTab {
		i.turn(overviewTab)
	}
	i.head.fill()
}
