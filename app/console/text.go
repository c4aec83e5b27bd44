package console

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"culvert/app/capture"
	"culvert/app/engine"
	"culvert/app/session"
	"culvert/backend/wire"
)

// TextConfig says what the output can do.
type TextConfig struct {
	// Target is where the tunnel leads to.
	Target string
	// Backend is what it leads through; "" is the relay built into this process.
	Backend string
	// Color allows colours (ECMA-48 SGR sequences).
	Color bool
	// Width gives the number of columns at this moment; nil if there is no such
	// thing, as in a file: then nothing is cut off.
	Width func() int
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Text shows a tunnel to a person.
type Text struct {
	cfg   TextConfig
	paint painter
	lines *Lines

	mu  sync.Mutex
	url string // shown last
}

// NewText shows the tunnel on out; gone is told when that cannot be written to any
// more.
func NewText(out io.Writer, cfg TextConfig, gone func(error)) *Text {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	t := &Text{cfg: cfg, paint: painter(cfg.Color)}
	t.lines = NewLines(out, func(n int) []byte { return t.line(yellow, "!", lostMessage(n)) }, gone)
	return t
}

// Lines implements Console.
func (t *Text) Lines() *Lines { return t.lines }

// Show implements Console.
func (t *Text) Show(event engine.Event) {
	switch e := event.(type) {
	case engine.StatusChanged:
		t.status(e.Status)
	case engine.RequestDone:
		_, _ = t.lines.Write(t.request(e.Exchange))
	case engine.Dropped:
		t.important(yellow, "!", droppedMessage(e.N))
	case engine.Notice:
		t.important(yellow, "!", e.Message)
	case engine.NoticeReceived:
		message := e.Text
		if e.Title != "" {
			message = e.Title + ": " + message
		}
		_, _ = t.lines.Write(t.line(cyan, "✉", message))
	}
}

// Offline implements Console.
func (t *Text) Offline(cause string) { t.important(dim, "○", "offline: "+cause) }

// status leaves a refusal to Offline, which follows it.
func (t *Text) status(s session.Status) {
	switch s.State {
	case session.Connecting:
		to := "the built-in relay"
		if t.cfg.Backend != "" {
			to = t.cfg.Backend
		}
		t.important(dim, "○", "connecting to "+to+" for "+t.cfg.Target+" …")
	case session.Online:
		t.online(s.Established)
	case session.Reconnecting:
		when := "now"
		if wait := s.NextTry.Sub(t.cfg.Now()); wait >= 100*time.Millisecond {
			when = "in " + duration(wait)
		}
		t.important(yellow, "◐", fmt.Sprintf("reconnecting %s · attempt %d · %s", when, s.Attempt, errorText(s.Cause)))
	}
}

// online puts a new URL where it is seen, and stays short about one that is known.
func (t *Text) online(est wire.Established) {
	t.mu.Lock()
	known := t.url == est.PublicURL
	t.url = est.PublicURL
	t.mu.Unlock()
	if known {
		t.important(green, "●", "online again, same URL")
		return
	}
	var b strings.Builder
	b.Write(t.line(green, "●", "online"))
	url := func(label, style, u string) {
		fmt.Fprintf(&b, "    %s  %s\n", t.paint.in(dim, label), t.paint.in(style, escapeText(u)))
	}
	b.WriteString("\n")
	url("public URL", bold, est.PublicURL)
	for _, also := range []string{est.SubdomainURL, est.PathBasedURL} {
		if also != "" && also != est.PublicURL {
			url("also      ", bold, also)
		}
	}
	if est.StreamURL != "" {
		url("streams at", plain, est.StreamURL)
	}
	url("leads to  ", plain, t.cfg.Target)
	b.WriteString("\n")
	t.lines.WriteImportant([]byte(b.String()))
}

func (t *Text) important(color, mark, message string) {
	t.lines.WriteImportant(t.line(color, mark, message))
}

func (t *Text) line(color, mark, message string) []byte {
	return fmt.Appendf(nil, "%s  %s\n", t.paint.in(dim, t.cfg.Now().Format(time.TimeOnly)), t.paint.in(color, mark+" "+escapeText(message)))
}

// Columns of a request's line. The path takes what is left of the width.
const (
	timeWidth    = 8
	methodWidth  = 7
	statusWidth  = 3
	durationDigs = 7
	sizeWidth    = 8
	visitorWidth = 15 // IPv4; longer ones stand out at the end of the line
	gap          = 2
	fixedWidth   = timeWidth + methodWidth + statusWidth + durationDigs + sizeWidth + 5*gap
	minPathWidth = 16
	maxPathWidth = 72 // or else the status is far away on wide terminals
	padPath      = 40 // where there is no width
)

// request is one line: time, method, path, status, duration, size, visitor.
func (t *Text) request(x *capture.Exchange) []byte {
	path, pad, visitor := escapeASCII(x.Path), padPath, true
	if t.cfg.Width != nil {
		width := t.cfg.Width()
		room := width - fixedWidth - gap - visitorWidth
		if visitor = room >= minPathWidth; !visitor { // a narrow terminal: do without
			room = width - fixedWidth
		}
		pad = min(max(room, minPathWidth), maxPathWidth)
		path = shorten(path, pad)
	}
	status := "---"
	if x.Status != 0 {
		status = fmt.Sprintf("%3d", x.Status)
	}
	line := fmt.Sprintf("%s  %s  %s  %s  %s  %s",
		t.paint.in(dim, x.Start.Add(x.Duration).Format(time.TimeOnly)),
		t.paint.in(bold, left(shorten(escapeASCII(x.Method), methodWidth), methodWidth)),
		left(path, pad),
		t.paint.in(statusColor(x.Status), status),
		right(duration(x.Duration), durationDigs),
		right(size(x.BytesOut), sizeWidth),
	)
	if visitor {
		line += "  " + t.paint.in(dim, escapeASCII(x.RemoteAddr))
	}
	return []byte(line + "\n")
}

// left and right fill up with spaces; s has one column per rune.
func left(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-runes(s)))
}

func right(s string, width int) string {
	return strings.Repeat(" ", max(0, width-runes(s))) + s
}

func runes(s string) int { return len([]rune(s)) }

// duration is at most seven columns wide, with as many digits as are of interest.
func duration(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
}

// size is in decimal units, as networks count.
func size(n int64) string {
	value := float64(n)
	for _, unit := range []string{"B", "kB", "MB", "GB"} {
		if value < 999.5 {
			if unit == "B" || value >= 99.95 {
				return fmt.Sprintf("%.0f %s", value, unit)
			}
			return fmt.Sprintf("%.1f %s", value, unit)
		}
		value /= 1000
	}
	return fmt.Sprintf("%.1f TB", value)
}

// Select Graphic Rendition parameters (ECMA-48, 8.3.117).
const (
	plain  = "0"
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

// painter colours if it is true.
type painter bool

func (p painter) in(color, s string) string {
	if !p || color == plain {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

func statusColor(status int) string {
	switch {
	case status >= http.StatusInternalServerError || status == 0:
		return red
	case status >= http.StatusBadRequest:
		return yellow
	case status >= http.StatusMultipleChoices:
		return cyan
	default:
		return green
	}
}
