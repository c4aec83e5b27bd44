// Package plain makes text that came from elsewhere, such as a visitor's path, harmless
// to show: in the window, in a notification of the desktop, in a terminal.
package plain

import (
	"strings"
	"unicode"
)

// Line makes text one line without anything that a person would not see: what ends or
// controls lines becomes a space, and what turns the direction of writing or hides
// between letters is left out.
func Line(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case breaks(r):
			return ' '
		case Hidden(r):
			return -1
		}
		return r
	}, text)
}

// breaks: control characters, and the separators of lines and paragraphs.
func breaks(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

// Hidden reports whether a rune does something else than to be seen: it controls, ends a
// line, turns the direction of writing, or hides between letters. The joiners of scripts
// and emoji are not meant, nor format characters that can be seen.
func Hidden(r rune) bool {
	switch {
	case breaks(r):
		return true
	case r == '\u200c', r == '\u200d':
		return false
	}
	return unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}

// Cut shortens text to so many runes, and says so with an ellipsis.
func Cut(text string, most int) string {
	n := 0
	for i := range text {
		if n == most {
			return text[:i] + "…"
		}
		n++
	}
	return text
}
