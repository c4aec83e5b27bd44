package inspector

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"culvert/app/exchange"
	"culvert/app/inspect"
	"culvert/app/redact"
	"culvert/app/ui/look"
	"culvert/app/ui/model"
	"culvert/app/ui/words"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
)

// maxMessages bounds the list. A stream keeps no more itself; older ones leave.
const maxMessages = 1000

// messages shows what a stream has carried as a growing list, and the chosen message
// beside it or beneath it.
type messages struct {
	box
	in     *Inspector
	title  *look.Text
	newest *look.Button
	line   *look.Shape
	list   *pane
	split  *look.Shape
	detail *bodyView

	log    messageLog
	job    *job
	chosen int // number of the message, counted from the first of the stream; -1 for none
	read   int // number of the first message that came while the list was scrolled away
}

func newMessages(i *Inspector) *messages {
	m := &messages{in: i, chosen: -1, line: look.NewLine(), split: look.NewLine()}
	m.log.in = i
	m.title = look.NewText("", look.ColorMuted, look.TextSmall, fyne.TextStyle{})
	m.newest = look.NewFilledButton("", 24, func() { m.list.toEnd(); m.told() })
	m.list = newPane(&i.actions)
	m.list.list, m.list.follows = true, true
	m.list.choose = m.choose
	m.list.seen = func(int) { m.told() }
	m.list.copy = func(string) { m.copyChosen() }
	m.detail = newBodyView(i, m.prepare, nil)
	m.box.Container = container.New(layoutFunc(m.layout), m.title, m.newest, m.line, m.list, m.split, m.detail)
	return m
}

func (m *messages) layout(_ []fyne.CanvasObject, size fyne.Size) {
	list, detail := size, fyne.Size{}
	at := fyne.Position{}
	if m.chosen >= 0 {
		if m.in.narrow {
			list.Height = float32(int(size.Height * 0.45))
			at.Y = list.Height + 1
			detail = fyne.NewSize(size.Width, max(size.Height-at.Y, 0))
			place(m.split, 0, list.Height, size.Width, 1)
		} else {
			list.Width = float32(int(size.Width * 0.55))
			at.X = list.Width + 1
			detail = fyne.NewSize(size.Width-at.X, size.Height)
			place(m.split, list.Width, 0, 1, size.Height)
		}
		show(m.detail, m.split)
		place(m.detail, at.X, at.Y, detail.Width, detail.Height)
	} else {
		hide(m.detail, m.split)
	}
	x := list.Width - look.Inset
	if m.newest.Visible() {
		w := m.newest.MinSize().Width
		x -= w
		place(m.newest, x, (toolHeight-24)/2, w, 24)
	}
	place(m.title, look.Inset, 0, max(x-2*look.Inset, 0), toolHeight)
	place(m.line, 0, toolHeight, list.Width, 1)
	place(m.list, 0, toolHeight+1, list.Width, max(list.Height-toolHeight-1, 0))
}

func (m *messages) fill(keep bool) {
	i := m.in
	if !keep {
		m.chosen = -1
		m.log.reset(i.exchange)
		m.list.chosen = -1
	} else if i.live == nil && len(i.exchange.Messages)+i.exchange.Skipped >= m.log.end() {
		m.log.reset(i.exchange) // the stream has ended: this is all of it
	}
	m.log.short = i.narrow
	m.log.forget()
	m.take()
	m.list.set(&m.log, keep)
	if !keep {
		m.list.toEnd()
	}
	if m.chosen >= 0 {
		m.detail.fill(true)
	}
	m.told()
	m.layout(nil, m.Size())
}

// sync takes in the messages that a live stream has had since.
func (m *messages) sync() {
	if m.in.live.Count() > m.log.end() {
		m.take()
		m.list.chosen = m.log.row(m.chosen)
		m.list.changed()
	}
	m.told()
}

func (m *messages) take() {
	if live := m.in.live; live != nil {
		news, skipped := live.Messages(m.log.end())
		m.log.add(news, skipped)
	}
}

// told says above the list how many messages there are.
func (m *messages) told() {
	n := m.log.end()
	text := words.T("%d messages", n)
	if gone := n - m.log.len(); gone > 0 {
		text += " · " + words.T("the first %d were not kept", gone)
	}
	if m.in.live != nil && !m.in.live.Done() {
		text += " · " + words.T("open for %s", model.Elapsed(max(m.in.actions.Now().Sub(m.in.exchange.Start), 0)))
	}
	m.title.Set(text, look.ColorMuted)
	if m.list.atEnd() {
		m.read = n
	}
	fresh := n - m.read
	if fresh > 0 {
		m.newest.SetText(words.T("%d new ↓", fresh))
	}
	if fresh > 0 != m.newest.Visible() {
		m.newest.Hidden = fresh <= 0
		m.layout(nil, m.Size())
	} else if fresh > 0 && m.newest.MinSize().Width != m.newest.Size().Width {
		m.layout(nil, m.Size())
	}
}

// choose shows the message of a row.
func (m *messages) choose(row int) {
	first := m.chosen < 0
	m.chosen = m.log.gone + row
	msg := m.log.messages[row]
	what := fromWords(msg.From)
	if msg.Kind != exchange.Text {
		what += " · " + kindWords(&msg)
	}
	m.detail.tell(what + " · " + msg.Time.Format("15:04:05.000") + " · " + model.Size(msg.Size))
	m.job.stop()
	m.detail.fill(first)
	if first {
		m.layout(nil, m.Size())
		m.list.reveal(row)
	}
}

func (m *messages) prepare(mode inspect.Mode, then func()) *prepared {
	row := m.log.row(m.chosen)
	if row < 0 {
		return nil
	}
	msg, hide := m.log.messages[row], !m.in.secrets
	if p := m.log.views[viewKey{m.chosen, mode}]; p != nil {
		return p
	}
	// Nobody knows of p before it is ready.
	p, key := &prepared{}, viewKey{m.chosen, mode}
	m.job.stop()
	m.job = m.in.run(func(ctx context.Context) {
		if hide {
			msg.Data, p.masked = maskData(msg.Data)
		}
		if view, err := inspect.NewMessage(ctx, msg, mode); err == nil {
			p.view = view
		}
	}, func() {
		if p.view != nil {
			m.log.views = map[viewKey]*prepared{key: p} // one is enough
			then()
		}
	})
	return m.log.views[key]
}

func (m *messages) copyChosen() {
	if row := m.log.row(m.chosen); row >= 0 {
		data := m.log.messages[row].Data
		if !m.in.secrets {
			data, _ = maskData(data)
		}
		m.in.actions.Copy(strings.ToValidUTF8(string(data), "\ufffd"), func() {})
	}
}

func (m *messages) focus() fyne.Focusable { return m.list.sheet }

var jsonHeader = http.Header{"Content-Type": {"application/json"}}

// maskData takes the secrets out of a message's text.
func maskData(data []byte) ([]byte, bool) {
	if len(data) == 0 || !utf8.Valid(data) {
		return data, false
	}
	if data[0] == '{' || data[0] == '[' {
		return redact.Body(jsonHeader, data)
	}
	text := redact.Text(string(data))
	return []byte(text), text != string(data)
}

type viewKey struct {
	number int
	mode   inspect.Mode
}

// messageLog is the messages as a text: a line for each.
type messageLog struct {
	in       *Inspector
	messages []exchange.StreamMessage
	previews []string // "" until the line was in sight
	gone     int      // messages before the first
	cols     int
	short    bool
	views    map[viewKey]*prepared
}

func (l *messageLog) reset(x *exchange.Exchange) {
	l.messages, l.previews, l.gone, l.views = nil, nil, 0, nil
	if x != nil {
		l.gone = x.Skipped
		l.add(x.Messages, 0)
	}
}

// forget drops what was derived from the messages: secrets may be shown now, or not.
func (l *messageLog) forget() {
	clear(l.previews)
	l.views = nil
}

// end is how many messages there have been.
func (l *messageLog) end() int { return l.gone + len(l.messages) }

// row finds the line of a message, or -1.
func (l *messageLog) row(number int) int {
	if number < l.gone || number >= l.end() {
		return -1
	}
	return number - l.gone
}

func (l *messageLog) add(news []exchange.StreamMessage, skipped int) {
	if skipped > 0 {
		l.gone += len(l.messages) + skipped
		l.messages, l.previews = nil, nil
	}
	l.messages = append(l.messages, news...)
	l.previews = append(l.previews, make([]string, len(news))...)
	if over := len(l.messages) - maxMessages; over > 0 {
		clear(l.messages[:over])
		l.messages, l.previews = l.messages[over:], l.previews[over:]
		l.gone += over
	}
}

func (l *messageLog) len() int     { return len(l.messages) }
func (l *messageLog) columns() int { return 0 }
func (l *messageLog) fit(cols int) { l.cols = cols }

const previewBytes = 400

func (l *messageLog) at(i int) line {
	m := &l.messages[i]
	if l.previews[i] == "" {
		l.previews[i] = preview(m, !l.in.secrets)
	}
	stamp := "15:04:05.000"
	if l.short {
		stamp = "15:04:05"
	}
	tint := look.ColorOK
	if m.From == exchange.FromVisitor {
		tint = look.ColorInfo
	}
	size := model.Size(m.Size)
	room := l.cols - len(stamp) - 4 - columnsOf(size) - 2
	spans := []span{{text: m.Time.Format(stamp) + "  ", color: look.ColorMuted}, {text: arrow(m.From) + " ", color: tint}}
	if m.Kind != exchange.Text && !(m.Kind == exchange.Event && m.Name == "") {
		kind := kindWords(m) + "  "
		spans = append(spans, span{text: kind, color: look.ColorMuted})
		room -= columnsOf(kind)
	}
	text := cutColumns(l.previews[i], room)
	pad := strings.Repeat(" ", max(room-columnsOf(text), 0)+2)
	return line{spans: append(spans, span{text: text, color: look.ColorText}, span{text: pad + size, color: look.ColorMuted})}
}

// preview is a message's start on one line.
func preview(m *exchange.StreamMessage, hide bool) string {
	data := m.Data
	if len(data) > previewBytes {
		data = data[:previewBytes]
		for len(data) > 0 && !utf8.RuneStart(data[len(data)-1]) {
			data = data[:len(data)-1]
		}
		if n := len(data) - 1; n >= 0 && data[n] >= 0x80 {
			data = data[:n] // the start of a letter that was cut
		}
	}
	switch {
	case m.Kind == exchange.Close:
		return closeWords(m.Data)
	case m.Kind == exchange.Binary || !utf8.Valid(data):
		return fmt.Sprintf("% x", data[:min(len(data), 64)])
	}
	if hide {
		data, _ = maskData(data)
	}
	text := string(data)
	if text = strings.Join(strings.Fields(text), " "); text == "" {
		return " "
	}
	return text
}

// cutColumns shortens a text to so many characters.
func cutColumns(text string, cols int) string {
	n := 0
	for i, r := range text {
		if n += columnsOfRune(r); n > cols {
			if cols <= 1 {
				return ""
			}
			for i > 0 && columnsOf(text[:i]) > cols-1 {
				_, size := utf8.DecodeLastRuneInString(text[:i])
				i -= size
			}
			return text[:i] + "…"
		}
	}
	return text
}

func arrow(from exchange.Direction) string {
	if from == exchange.FromVisitor {
		return "↑"
	}
	return "↓"
}

func fromWords(from exchange.Direction) string {
	if from == exchange.FromVisitor {
		return words.T("From the visitor")
	}
	return words.T("To the visitor")
}

func kindWords(m *exchange.StreamMessage) string {
	switch m.Kind {
	case exchange.Binary:
		return words.T("binary")
	case exchange.Ping:
		return words.T("ping")
	case exchange.Pong:
		return words.T("pong")
	case exchange.Close:
		return words.T("close")
	case exchange.Event:
		if m.Name != "" {
			return m.Name
		}
		return words.T("event")
	default:
		return words.T("text")
	}
}

// closeWords are the status and the reason in a close frame (RFC 6455, 5.5.1).
func closeWords(data []byte) string {
	if len(data) < 2 {
		return " "
	}
	code := int(data[0])<<8 | int(data[1])
	return strings.TrimSpace(fmt.Sprintf("%d %s", code, strings.ToValidUTF8(string(data[2:]), "\ufffd")))
}
