package look

import (
	"strings"
	"unicode"

	"fyne.io/fyne/v2"
)

// Wrap breaks text into at most max lines of the width, between words where that is
// possible, and between the letters of scripts that are written without spaces; the
// last is cut with an ellipsis.
func Wrap(text string, width, size float32, style fyne.TextStyle, max int) []string {
	var lines []string
	rest := pieces(Clean(bound(text, width, size, max)))
	for len(rest) > 0 {
		if len(lines) == max-1 {
			return append(lines, Ellipsis(join(rest), width, size, style))
		}
		n := fitting(rest, width, size, style)
		line := join(rest[:n])
		if head, tail := split(line, width, size, style); n == 1 && tail != "" {
			lines, rest[0] = append(lines, head), piece{text: tail}
			continue
		}
		lines = append(lines, line)
		rest = rest[n:]
	}
	return lines
}

// piece is what stands on one line.
type piece struct {
	text   string
	spaced bool // a space parts it from the one before, unless a line ends there
}

// pieces divides text where a line may end.
func pieces(text string) []piece {
	var out []piece
	for _, word := range strings.Fields(text) {
		spaced, start, last := len(out) > 0, 0, rune(0)
		for i, r := range word {
			if i > 0 && mayBreak(last, r) {
				out = append(out, piece{word[start:i], spaced})
				start, spaced = i, false
			}
			last = r
		}
		out = append(out, piece{word[start:], spaced})
	}
	return out
}

func join(p []piece) string {
	var b strings.Builder
	for i, s := range p {
		if i > 0 && s.spaced {
			b.WriteByte(' ')
		}
		b.WriteString(s.text)
	}
	return b.String()
}

// fitting is how many pieces have room on a line; at least one.
func fitting(rest []piece, width, size float32, style fyne.TextStyle) int {
	fits := func(n int) bool { return fyne.MeasureText(join(rest[:n]), size, style).Width <= width }
	lo, hi := 1, 2 // lo fits, or is the least
	for hi <= len(rest) && fits(hi) {
		lo, hi = hi, 2*hi
	}
	hi = min(hi, len(rest)+1)
	for lo+1 < hi {
		if mid := (lo + hi) / 2; fits(mid) {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// Marks that no line begins with, and such that none ends with, after
// https://www.w3.org/TR/jlreq/#line_breaking_rules and
// https://www.w3.org/TR/clreq/#line_breaking.
const (
	neverFirst = "、。，．・：；？！ー～…‥）］｝」』】〉》〕’”%％,.:;?!)]}ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ々"
	neverLast  = "（［｛「『【〈《〔‘“([{"
)

// mayBreak reports whether a line may end between two letters of a word.
func mayBreak(a, b rune) bool {
	return (ideographic(a) || ideographic(b)) &&
		!strings.ContainsRune(neverFirst, b) && !strings.ContainsRune(neverLast, a)
}

// ideographic reports whether a letter belongs to a script without spaces: Chinese
// and Japanese, with their punctuation and wide forms.
func ideographic(r rune) bool {
	return r >= 0x2e80 && (unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) ||
		r >= 0x3000 && r <= 0x30ff || r >= 0xff00 && r <= 0xffef)
}
