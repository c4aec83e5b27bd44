package inspector

import (
	"strings"
	"unicode/utf8"

	"culvert/app/ui/look"

	"fyne.io/fyne/v2"
)

// span is a stretch of a line in one colour. With tap it is a word that can be
// pressed, such as "show".
type span struct {
	text  string
	color fyne.ThemeColorName
	bold  bool
	tap   func()
}

// columns is how many characters' room the span takes, roughly where it is bold:
// there is no bold font of fixed width.
func (s *span) columns() int {
	n := columnsOf(s.text)
	if s.bold {
		n = n * 6 / 5
	}
	return n
}

// line is one line of a pane.
type line struct {
	spans []span
	back  fyne.ThemeColorName // "" for none
	hang  int                 // by how much the rest is indented when the line is wrapped
}

// say is a line of one colour.
func say(color fyne.ThemeColorName, text string) line {
	return line{spans: []span{{text: text, color: color}}}
}

func (l line) text() string {
	var b strings.Builder
	for _, s := range l.spans {
		b.WriteString(s.text)
	}
	return b.String()
}

// doc is what a pane shows. It makes lines when they come in sight.
type doc interface {
	len() int
	at(i int) line
	// columns is the length of the longest line, in characters.
	columns() int
	// fit is told how many characters stand beside each other before any line is asked for.
	fit(columns int)
}

// flow is a text of few lines, wrapped to the pane.
type flow struct {
	source []line
	lines  []line
	cols   int
}

func (f *flow) add(lines ...line) { f.source, f.cols = append(f.source, lines...), 0 }
func (f *flow) len() int          { return len(f.lines) }
func (f *flow) at(i int) line     { return f.lines[i] }
func (f *flow) columns() int      { return 0 }

// narrowest is the least that lines are wrapped to, however narrow the pane is.
const narrowest = 16

func (f *flow) fit(cols int) {
	if cols = max(cols, narrowest); f.cols == cols {
		return
	}
	f.cols, f.lines = cols, f.lines[:0:0]
	for _, l := range f.source {
		f.lines = appendWrapped(f.lines, l, cols)
	}
}

// columnsOf is how many characters' room a text takes.
func columnsOf(text string) int {
	n := 0
	for _, r := range text {
		n += columnsOfRune(r)
	}
	return n
}

// columnsOfRune is 2 for what East Asian fonts draw twice as wide as Latin letters
// (https://www.unicode.org/reports/tr11/, in the rough: it is about line ends).
func columnsOfRune(r rune) int {
	if r >= 0x1100 && (r <= 0x115f || r >= 0x2e80 && r <= 0xa4cf || r >= 0xac00 && r <= 0xd7a3 ||
		r >= 0xf900 && r <= 0xfaff || r >= 0xfe30 && r <= 0xfe6f || r >= 0xff00 && r <= 0xff60 || r >= 0x1f300 && r <= 0x3fffd) {
		return 2
	}
	return 1
}

// appendWrapped breaks a line where it gets too long, after a space if there is one
// near, and never inside a word that can be pressed.
func appendWrapped(lines []line, l line, cols int) []line {
	rest, indent := l.spans, 0
	for {
		head, tail := breakSpans(rest, cols-indent)
		if indent > 0 {
			head = append([]span{{text: strings.Repeat(" ", indent)}}, head...)
		}
		lines = append(lines, line{spans: head, back: l.back})
		if len(tail) == 0 {
			return lines
		}
		rest, indent = tail, min(l.hang, cols/2)
	}
}

func breakSpans(spans []span, cols int) (head, tail []span) {
	used := 0
	for i, s := range spans {
		n := s.columns()
		if used+n <= cols {
			used += n
			continue
		}
		if s.tap != nil && i > 0 {
			return spans[:i:i], spans[i:]
		}
		room := cols - used
		if s.bold {
			room = room * 5 / 6
		}
		cut := breakAt(s.text, room, i == 0)
		if cut == 0 {
			return spans[:i:i], spans[i:]
		}
		first, second := s, s
		first.text, second.text = s.text[:cut], s.text[cut:]
		return append(spans[:i:i], first), append([]span{second}, spans[i+1:]...)
	}
	return spans, nil
}

// breakAt is how much of a text stands before the break. A text at the start of a
// line always gives something.
func breakAt(text string, cols int, start bool) int {
	n, space := 0, 0
	for i, r := range text {
		n += columnsOfRune(r)
		if n > cols {
			switch {
			case space > 0 && columnsOf(text[space:i]) < 24:
				return space
			case i == 0 && start:
				_, size := utf8.DecodeRuneInString(text)
				return size
			default:
				return i
			}
		}
		if r == ' ' {
			space = i + 1
		}
	}
	return len(text)
}

// joined is several docs one after the other.
type joined []doc

func (j joined) len() int {
	n := 0
	for _, d := range j {
		n += d.len()
	}
	return n
}

func (j joined) at(i int) line {
	for _, d := range j {
		if n := d.len(); i >= n {
			i -= n
			continue
		}
		return d.at(i)
	}
	return line{}
}

func (j joined) columns() int {
	n := 0
	for _, d := range j {
		n = max(n, d.columns())
	}
	return n
}

func (j joined) fit(cols int) {
	for _, d := range j {
		d.fit(cols)
	}
}

// field is a name and its value, as headers and facts are.
func field(name, value string) line {
	return line{hang: 2, spans: []span{{text: name + "  ", color: look.ColorMuted}, {text: value, color: look.ColorText}}}
}

// blank is an empty line.
func blank() line { return line{} }
