package inspector

import (
	"time"

	"culvert/app/exchange"
	"culvert/app/redact"
	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
)

// timing shows where the time went, and the facts of the exchange.
type timing struct {
	box
	in    *Inspector
	rows  [2]*timingRow
	total *look.Text
	line  *look.Shape
	facts *pane

	wait, rest, all time.Duration
	second          int64 // in which it was measured last
}

// timingRow is one part of the time: its name, a bar, and how long it was.
type timingRow struct {
	name, took *look.Text
	back       *look.Shape
	bar        *look.Shape
}

func newTimingRow(fill fyne.ThemeColorName) *timingRow {
	plain := fyne.TextStyle{}
	return &timingRow{
		name: look.NewText("", look.ColorMuted, look.TextSmall, plain),
		took: look.NewText("", look.ColorText, look.TextSmall, mono),
		back: look.NewPanel(look.ColorBase, "", 4), bar: look.NewPanel(fill, "", 4),
	}
}

func newTiming(i *Inspector) *timing {
	t := &timing{in: i, line: look.NewLine(), facts: newPane(&i.actions)}
	t.rows = [2]*timingRow{newTimingRow(look.ColorAccent), newTimingRow(look.ColorOK)}
	t.total = look.NewText("", look.ColorText, look.TextBody, fyne.TextStyle{Bold: true})
	objects := []fyne.CanvasObject{t.total, t.line, t.facts}
	for _, r := range t.rows {
		objects = append(objects, r.name, r.took, r.back, r.bar)
	}
	t.box.Container = container.New(layoutFunc(t.layout), objects...)
	return t
}

func (t *timing) layout(_ []fyne.CanvasObject, size fyne.Size) {
	const row float32 = 24
	name, took := float32(180), float32(88)
	if t.in.narrow {
		name, took = 152, 72
	}
	left, y := look.Inset, float32(8)
	place(t.total, left, y, size.Width-2*left, row)
	y += row
	room := max(size.Width-2*left-name-took, 40)
	x := float32(0)
	for n, r := range t.rows {
		d := [2]time.Duration{t.wait, t.rest}[n]
		place(r.name, left, y, name-8, row)
		place(r.back, left+name, y+8, room, 8)
		w := float32(0)
		if t.all > 0 {
			w = max(room*float32(float64(d)/float64(t.all)), 2)
		}
		place(r.bar, left+name+min(x, room-w), y+8, w, 8)
		place(r.took, left+name+room+8, y, took-8, row)
		x += w
		y += row
	}
	y += 8
	place(t.line, 0, y, size.Width, 1)
	place(t.facts, 0, y+1, size.Width, max(size.Height-y-1, 0))
}

func (t *timing) fill(keep bool) {
	x := t.in.exchange
	t.measure()
	t.rows[0].name.Set(words.T("Waiting for the service"), look.ColorMuted)
	t.rows[1].name.Set(words.T("Sending the answer"), look.ColorMuted)
	if x.Status == 101 || t.in.live != nil {
		t.rows[1].name.Set(words.T("Open"), look.ColorMuted)
	}
	known := x.Waited > 0
	for n, r := range t.rows {
		for _, o := range []fyne.CanvasObject{r.name, r.took, r.back, r.bar} {
			if n == 0 && !known {
				hide(o)
			} else {
				show(o)
			}
		}
	}
	if !known {
		t.rows[1].name.Set(words.T("Altogether"), look.ColorMuted)
	}
	f := &flow{}
	f.add(t.in.facts()...)
	t.facts.set(f, keep)
	t.layout(nil, t.Size())
}

// measure says how long the parts were, or are so far.
func (t *timing) measure() {
	x := t.in.exchange
	t.all = x.Duration
	if x.Open {
		t.all = max(t.in.actions.Now().Sub(x.Start), 0)
	}
	t.wait = min(x.Waited, t.all)
	t.rest = t.all - t.wait
	t.total.Set(t.in.took(), look.ColorText)
	t.rows[0].took.Set(model.Took(t.wait), look.ColorText)
	t.rows[1].took.Set(model.Took(t.rest), look.ColorText)
}

// sync lets an open exchange grow older, once a second.
func (t *timing) sync() {
	if second := t.in.actions.Now().Unix(); t.in.exchange.Open && second != t.second {
		t.second = second
		t.measure()
		t.layout(nil, t.Size())
	}
}

func (t *timing) focus() fyne.Focusable { return t.facts.sheet }

// facts are all that is known of the exchange beside its messages.
func (i *Inspector) facts() []line {
	x := i.exchange
	var lines []line
	add := func(name, value string) {
		if value != "" {
			l := field(pad(name, 14), value)
			l.hang = 16
			lines = append(lines, l)
		}
	}
	add(words.T("Started"), x.Start.Format("2006-01-02 15:04:05.000 -07:00"))
	if !x.Open {
		add(words.T("Ended"), x.Start.Add(x.Duration).Format("2006-01-02 15:04:05.000 -07:00"))
	}
	add(words.T("Request body"), passed(x.Request))
	add(words.T("Response body"), passed(x.Response))
	if seconds := (x.Duration - x.Waited).Seconds(); !x.Open && seconds > 0.01 && x.Response.Size > 64<<10 {
		add(words.T("Speed"), model.Size(int64(float64(x.Response.Size)/seconds))+"/s")
	}
	add(words.T("Visitor"), x.RemoteAddr)
	url := x.URL
	if !i.secrets {
		url, _ = redact.MaskURL(url)
	}
	add(words.T("URL"), url)
	add(words.T("Host"), x.Host)
	add(words.T("Tunnel"), x.Tunnel)
	add(words.T("Service"), x.Target)
	add(words.T("Upgrade"), x.Upgrade)
	add(words.T("Replay of"), x.ReplayOf)
	add(words.T("ID"), x.ID)
	return lines
}

// pad gives names the same length, so that their values stand beneath each other.
func pad(name string, cols int) string {
	for n := columnsOf(name); n < cols; n++ {
		name += " "
	}
	return name
}

func passed(m exchange.Message) string {
	switch {
	case m.Size == 0:
		return words.T("none")
	case m.Size < 1024:
		return model.Size(m.Size)
	}
	return words.T("%s (%d bytes)", model.Size(m.Size), m.Size)
}
