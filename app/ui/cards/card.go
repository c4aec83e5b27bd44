// Package cards shows the tunnels, one card each, in a column that scrolls.
package cards

import (
	"time"

	"culvert/app/ui/look"
	"culvert/app/ui/model"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
)

// Actions are what the buttons of a card ask for. None of them may block.
type Actions struct {
	Select   func(key string)
	Copy     func(key string)
	OpenURL  func(key string)
	Start    func(key string)
	Stop     func(key string)
	RetryNow func(key string)
	Remove   func(key string)
	Escape   func() // the Escape key, while something on a card has the focus
}

// copiedFor is how long a Copy button says that it has copied.
const copiedFor = 1500 * time.Millisecond

// card is one tunnel.
type card struct {
	widget.BaseWidget
	tunnel   model.Tunnel
	selected bool
	focused  bool
	actions  *Actions
	copied   time.Time // when the URL was last copied

	back              *look.Shape
	dot               *look.Shape
	name, detail      *look.Text
	status, count     *look.Text
	cause             *look.Paragraph
	urlBox            *look.Shape
	url               *look.Text
	copy, open, try   *look.Button
	start, stop, drop *look.Button
}

var (
	_ fyne.Tappable      = (*card)(nil)
	_ fyne.Focusable     = (*card)(nil)
	_ desktop.Cursorable = (*card)(nil)
)

func newCard(t model.Tunnel, a *Actions) *card {
	bold := fyne.TextStyle{Bold: true}
	c := &card{
		actions: a,
		back:    look.NewPanel(look.ColorCard, look.ColorLine, 10),
		dot:     look.NewDot(look.ColorMuted),
		name:    look.NewText("", look.ColorText, look.TextTitle, bold),
		detail:  look.NewText("", look.ColorMuted, look.TextBody, fyne.TextStyle{}),
		status:  look.NewText("", look.ColorMuted, look.TextBody, fyne.TextStyle{}),
		count:   look.NewText("", look.ColorMuted, look.TextSmall, fyne.TextStyle{}),
		cause:   look.NewParagraph("", look.ColorMuted, look.TextSmall, 4),
		urlBox:  look.NewPanel(look.ColorBase, look.ColorLine, look.Radius),
		url:     look.NewText("", look.ColorText, look.TextSmall, fyne.TextStyle{Monospace: true}),
	}
	key := t.Key
	c.copy = look.NewButton("Copy", look.Low, func() { a.Copy(key) })
	c.open = look.NewButton("Open", look.Low, func() { a.OpenURL(key) })
	c.try = look.NewButton("Try now", look.Low, func() { a.RetryNow(key) })
	c.start = look.NewButton("Start", look.Low, func() { a.Start(key) })
	c.stop = look.NewButton("Stop", look.Low, func() { a.Stop(key) })
	c.drop = look.NewButton("Remove", look.Low, func() { a.Remove(key) })
	for _, b := range []*look.Button{c.copy, c.open, c.try, c.start, c.stop, c.drop} {
		b.OnEscape = a.Escape
	}
	c.tunnel = t
	c.ExtendBaseWidget(c)
	return c
}

// set shows the tunnel as it is now, and reports whether the card's height may have changed.
func (c *card) set(t model.Tunnel, selected bool, now time.Time) bool {
	reshaped := c.tunnel.State != t.State || c.tunnel.Cause != t.Cause || c.tunnel.Warning != t.Warning || c.tunnel.URL != t.URL || c.name.Text() == ""
	c.tunnel, c.selected = t, selected
	count, status := c.count.Text(), c.status.Text()

	tint := stateColor(t.State)
	why, whyTint := causeText(t), look.ColorMuted
	dot := tint
	if warned(t) {
		why, whyTint, dot = model.Sentence(t.Warning), look.ColorWarn, look.ColorWarn
	}
	c.dot.Set(dot, "")
	c.name.Set(t.Name, look.ColorText)
	c.detail.Set(t.Detail, look.ColorMuted)
	c.status.Set(model.StatusWords(t, now), tint)
	c.cause.Set(why, whyTint)
	c.count.Set(model.Plural(t.Requests, "request"), look.ColorMuted)
	if now.Sub(c.copied) < copiedFor {
		c.copy.SetText("Copied")
	} else {
		c.copy.SetText("Copy")
	}
	c.copy.SetFilled(t.State == model.Online)
	c.paintEdge()
	if !reshaped && (count != c.count.Text() || status != c.status.Text()) {
		c.Refresh() // they share a line
	}
	return reshaped
}

func (c *card) paintEdge() {
	edge := look.ColorLine
	if c.selected {
		edge = look.ColorAccent
	}
	if c.focused {
		edge = look.ColorText
	}
	c.back.Set(look.ColorCard, edge)
}

// warned reports whether the tunnel works but leads nowhere.
func warned(t model.Tunnel) bool { return t.State == model.Online && t.Warning != "" }

// causeText says why the tunnel is not online, and what becomes of its URL.
func causeText(t model.Tunnel) string {
	switch {
	case t.State == model.Refused:
		return model.Sentence(t.Cause)
	case t.State == model.Reconnecting && t.URL != "" && t.Cause != "":
		return model.Sentence(t.Cause) + " Visitors get an error page until the tunnel is back."
	case t.State == model.Reconnecting || t.State == model.Connecting:
		return model.Sentence(t.Cause)
	default:
		return ""
	}
}

func stateColor(s model.State) fyne.ThemeColorName {
	switch s {
	case model.Online:
		return look.ColorOK
	case model.Connecting, model.Reconnecting:
		return look.ColorWarn
	case model.Refused:
		return look.ColorBad
	default:
		return look.ColorMuted
	}
}

// hasURL reports whether the card shows the URL: a stopped tunnel's leads nowhere.
func (c *card) hasURL() bool {
	return c.tunnel.URL != "" && (c.tunnel.State == model.Online || c.tunnel.State == model.Reconnecting)
}

const (
	lineHeight float32 = 20
	pad                = look.Inset
)

// heightFor is the card's height at a width.
func (c *card) heightFor(width float32) float32 {
	h := pad + lineHeight + 4 + lineHeight
	if p := c.cause.HeightFor(width - 2*pad); p > 0 {
		h += 4 + p
	}
	if c.hasURL() {
		h += 8 + look.Middle
	}
	if c.tunnel.State == model.Stopped {
		return h + pad // its buttons stand beside the status
	}
	return h + 12 + look.Low + pad
}

// Tapped selects the tunnel.
func (c *card) Tapped(*fyne.PointEvent) { c.actions.Select(c.tunnel.Key) }

// Cursor implements desktop.Cursorable.
func (c *card) Cursor() desktop.Cursor { return desktop.PointerCursor }

// FocusGained implements fyne.Focusable.
func (c *card) FocusGained() { c.focused = true; c.paintEdge() }

// FocusLost implements fyne.Focusable.
func (c *card) FocusLost() { c.focused = false; c.paintEdge() }

// TypedRune implements fyne.Focusable.
func (c *card) TypedRune(rune) {}

// TypedKey implements fyne.Focusable.
func (c *card) TypedKey(ev *fyne.KeyEvent) {
	switch ev.Name {
	case fyne.KeySpace, fyne.KeyReturn, fyne.KeyEnter:
		c.Tapped(nil)
	case fyne.KeyEscape:
		c.actions.Escape()
	case fyne.KeyDelete:
		if !c.tunnel.State.Running() {
			c.actions.Remove(c.tunnel.Key)
		}
	}
}

// CreateRenderer implements fyne.Widget.
func (c *card) CreateRenderer() fyne.WidgetRenderer { return &cardRenderer{c} }
