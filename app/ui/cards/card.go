// Package cards shows the tunnels, one card each, in a column that scrolls.
package cards

import (
	"reflect"
	"slices"
	"time"

	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
)

// Actions are what a card asks for, each with the key of its tunnel. None of them may
// block. What has no action is not shown.
type Actions struct {
	Select   func(key string)
	Copy     func(key string)
	OpenURL  func(key string)
	Start    func(key string)
	Stop     func(key string)
	RetryNow func(key string)
	Remove   func(key string)

	Share         func(key string) // the URL as a QR code
	CopyStreamURL func(key string)
	Edit          func(key string)
	Duplicate     func(key string)
	Probe         func(key string)            // ask all three legs again
	Why           func(key string)            // find out why the link is down or refused
	Move          func(key string, index int) // to another place in the column

	Escape func() // the Escape key, while something on a card has the focus
	// Shortcut takes the window's shortcuts while a card has the focus; without it the
	// canvas gets them.
	Shortcut func(fyne.Shortcut)
}

// copiedFor is how long a Copy button says that it has copied.
const copiedFor = 1500 * time.Millisecond

// card is one tunnel.
type card struct {
	widget.BaseWidget
	column   *Column
	tunnel   model.Tunnel
	selected bool
	first    bool // its URL is the one most likely wanted
	focused  bool
	actions  *Actions
	shown    int64     // the second of which everything is shown
	copied   time.Time // when the URL was last copied
	flashing bool      // the Copy button says so

	back         *look.Shape
	dot          *look.Shape
	name, detail *look.Text
	stop, more   *look.IconButton
	status       *look.Text
	lights       lights
	cause        *look.Paragraph
	hazard       *look.Banner
	urlBox       *look.Shape
	reach        *look.Picture
	url          *look.Text
	copy         *look.Button
	spark        *look.Spark
	stats        *look.Text
	saying       string // the statistics in full
	open, qr     *look.Button
	try, why     *look.Button
	start        *look.Button
}

var (
	_ fyne.Tappable          = (*card)(nil)
	_ fyne.SecondaryTappable = (*card)(nil)
	_ fyne.Focusable         = (*card)(nil)
	_ fyne.Shortcutable      = (*card)(nil)
	_ desktop.Cursorable     = (*card)(nil)
)

func newCard(t model.Tunnel, column *Column) *card {
	a := &column.actions
	bold := fyne.TextStyle{Bold: true}
	c := &card{
		column:  column,
		actions: a,
		tunnel:  t,
		back:    look.NewPanel(look.ColorCard, look.ColorLine, 10),
		dot:     look.NewDot(look.ColorMuted),
		name:    look.NewText("", look.ColorText, look.TextTitle, bold),
		detail:  look.NewText("", look.ColorMuted, look.TextBody, fyne.TextStyle{}),
		status:  look.NewText("", look.ColorMuted, look.TextBody, fyne.TextStyle{}),
		lights:  newLights(),
		cause:   look.NewParagraph("", look.ColorMuted, look.TextSmall, 4),
		hazard:  look.NewBanner(look.Warn, ""),
		urlBox:  look.NewPanel(look.ColorBase, look.ColorLine, look.Radius),
		reach:   look.NewPicture(look.IconGlobe, look.ColorMuted),
		url:     look.NewText("", look.ColorText, look.TextSmall, fyne.TextStyle{Monospace: true}),
		spark:   look.NewSpark(look.ColorAccent),
		stats:   look.NewText("", look.ColorMuted, look.TextSmall, fyne.TextStyle{}),
	}
	key := t.Key
	c.stop = look.NewIconButton(look.IconStop, words.T("Stop"), func() { a.Stop(key) })
	c.more = look.NewIconButton(look.IconMore, words.T("More"), func() { look.ShowMenu(c.more, c.items()) })
	c.copy = look.NewButton(words.T("Copy"), look.Middle, func() { a.Copy(key) })
	c.open = look.NewButton(words.T("Open"), look.Low, func() { a.OpenURL(key) })
	c.open.SetIcon(look.IconOpen)
	c.qr = look.NewButton(words.T("QR"), look.Low, func() { a.Share(key) })
	c.qr.SetIcon(look.IconQR)
	c.qr.SetTip(words.T("Show the URL as a QR code"))
	c.try = look.NewButton(words.T("Try now"), look.Low, func() { a.RetryNow(key) })
	c.why = look.NewButton(words.T("Why?"), look.Low, func() { a.Why(key) })
	c.start = look.NewButton(words.T("Start"), look.Low, func() { a.Start(key) })
	c.start.SetIcon(look.IconPlay)
	for _, b := range []*look.Button{c.copy, c.open, c.qr, c.try, c.why, c.start} {
		b.OnEscape = a.Escape
	}
	c.stop.OnEscape, c.more.OnEscape = a.Escape, a.Escape
	c.ExtendBaseWidget(c)
	return c
}

// set shows the tunnel as it is now, and reports whether the card's height may have
// changed.
func (c *card) set(t model.Tunnel, selected, first bool, now time.Time) bool {
	if c.shows(t, selected, first, now) {
		return false
	}
	reshaped := c.name.Text() == "" || shapeOf(c.tunnel) != shapeOf(t)
	moved := false
	text := func(o *look.Text, s string, tint fyne.ThemeColorName) {
		moved = moved || o.Text() != s
		o.Set(s, tint)
	}
	c.tunnel, c.selected, c.first, c.shown = t, selected, first, now.Unix()

	tint := stateColor(t.State)
	why, whyTint := causeText(t)
	dot := tint
	if troubled(t) {
		dot = look.ColorWarn
	}
	c.dot.Set(dot, "")
	text(c.name, t.Name, look.ColorText)
	text(c.detail, detailText(t), look.ColorMuted)
	text(c.status, model.StatusWords(t, now), tint)
	moved = moved || c.saying != statsText(t)
	c.saying = statsText(t)
	c.cause.Set(why, whyTint)
	c.hazard.Set(look.Warn, hazardText(t))
	moved = c.lights.set(t, now) || moved
	if t.Public {
		c.reach.Set(look.IconGlobe, look.ColorWarn)
	} else {
		c.reach.Set(look.IconLock, look.ColorMuted)
	}
	c.spark.Set(t.Rate, look.ColorAccent)
	copyWord := words.T("Copy")
	if c.flashing = now.Sub(c.copied) < copiedFor; c.flashing {
		copyWord = words.T("Copied")
	}
	moved = moved || c.copy.Text() != copyWord
	c.copy.SetText(copyWord)
	c.copy.SetFilled(first)
	moved = moved || c.why.Text() != whyWord(t)
	c.why.SetText(whyWord(t))
	c.paintEdge()
	if moved && !reshaped {
		c.Refresh()
	}
	return reshaped
}

// shows reports whether all of it is on the card already: most frames change nothing,
// and texts of time change with the second.
func (c *card) shows(t model.Tunnel, selected, first bool, now time.Time) bool {
	return c.shown == now.Unix() && c.selected == selected && c.first == first &&
		!c.flashing && now.Sub(c.copied) >= copiedFor && reflect.DeepEqual(c.tunnel, t)
}

// shape is all that a card's height depends on but its width.
type shape struct {
	state       model.State
	url         bool
	why, hazard string
	rate, any   bool
	lights      bool
}

func shapeOf(t model.Tunnel) shape {
	why, _ := causeText(t)
	return shape{t.State, t.URL != "", why, hazardText(t), t.Rate != nil, t.Requests > 0, calm(t)}
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

// hasURL reports whether the card shows the URL: a stopped tunnel's leads nowhere.
func (c *card) hasURL() bool {
	return c.tunnel.URL != "" && (c.tunnel.State == model.Online || c.tunnel.State == model.Reconnecting)
}

// Tapped selects the tunnel.
func (c *card) Tapped(*fyne.PointEvent) { c.actions.Select(c.tunnel.Key) }

// TappedSecondary opens the menu where the pointer is.
func (c *card) TappedSecondary(ev *fyne.PointEvent) {
	look.ShowMenuAt(c, ev.AbsolutePosition, c.items())
}

// Cursor implements desktop.Cursorable.
func (c *card) Cursor() desktop.Cursor { return desktop.PointerCursor }

// FocusGained implements fyne.Focusable.
func (c *card) FocusGained() {
	c.focused = true
	c.paintEdge()
	c.column.Reveal(c.tunnel.Key)
}

// FocusLost implements fyne.Focusable.
func (c *card) FocusLost() { c.focused = false; c.paintEdge() }

// TypedRune implements fyne.Focusable.
func (c *card) TypedRune(rune) {}

// TypedKey implements fyne.Focusable.
func (c *card) TypedKey(ev *fyne.KeyEvent) {
	switch ev.Name {
	case fyne.KeySpace, fyne.KeyReturn, fyne.KeyEnter:
		c.Tapped(nil)
	case fyne.KeyUp:
		c.column.focus(c, -1)
	case fyne.KeyDown:
		c.column.focus(c, 1)
	case desktop.KeyMenu:
		look.ShowMenu(c.more, c.items())
	case fyne.KeyEscape:
		c.actions.Escape()
	case fyne.KeyDelete:
		if !c.tunnel.State.Running() && c.actions.Remove != nil {
			c.actions.Remove(c.tunnel.Key)
		}
	}
}

// TypedShortcut moves the card with Alt and an arrow; every other shortcut is the
// window's, which Fyne does not ask when what has the focus takes shortcuts.
func (c *card) TypedShortcut(s fyne.Shortcut) {
	if k, ok := s.(*desktop.CustomShortcut); ok && k.Modifier == fyne.KeyModifierAlt && c.actions.Move != nil {
		switch k.KeyName {
		case fyne.KeyUp:
			c.move(-1)
			return
		case fyne.KeyDown:
			c.move(1)
			return
		}
	}
	if c.actions.Shortcut != nil {
		c.actions.Shortcut(s)
		return
	}
	look.PassShortcut(c, s)
}

// move asks for another place in the column.
func (c *card) move(by int) {
	cards := c.column.stack.cards
	at := slices.Index(cards, c)
	if to := at + by; at >= 0 && to >= 0 && to < len(cards) {
		c.actions.Move(c.tunnel.Key, to)
	}
}

// AccessibilityLabel implements fyne.Accessible.
func (c *card) AccessibilityLabel() string { return c.tunnel.Name + ", " + c.status.Text() }

// AccessibilityRole implements fyne.Accessible.
func (c *card) AccessibilityRole() fyne.AccessibleRole { return fyne.AccessibleRoleContainer }

// CreateRenderer implements fyne.Widget.
func (c *card) CreateRenderer() fyne.WidgetRenderer { return &cardRenderer{c} }
