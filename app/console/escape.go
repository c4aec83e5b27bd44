package console

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// escapeASCII makes what a visitor sent safe for a terminal: everything that is
// no visible ASCII character is written as \xNN, or else a visitor could move
// the cursor, set the window's title, or turn the direction of the text around.
// Each byte of the result is one column wide.
func escapeASCII(s string) string {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return escapeFrom(s, i)
		}
	}
	return s
}

func escapeFrom(s string, i int) string {
	var b strings.Builder
	b.WriteString(s[:i])
	for ; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c >= 0x7f {
			fmt.Fprintf(&b, `\x%02x`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// escapeText is the same for text in any language: letters stay, whatever
// controls a terminal does not. Line breaks become spaces.
func escapeText(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			b.WriteByte(' ')
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default: // controls, also those of Unicode's, and what turns text around
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// escapeJSON replaces what JSON allows in strings but a terminal may act upon:
// DEL, the C1 controls and everything else beyond ASCII that is not printable.
func escapeJSON(text []byte) []byte {
	clean := true
	for _, c := range text {
		clean = clean && c < 0x7f
	}
	if clean {
		return text
	}
	out := make([]byte, 0, len(text)+32)
	for _, r := range string(text) {
		switch {
		case r < 0x7f || unicode.IsPrint(r):
			out = utf8.AppendRune(out, r)
		case r > 0xffff:
			r -= 0x10000 // a surrogate pair: RFC 8259, section 7
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

// shorten cuts s, which is ASCII, to at most width columns, and shows that.
func shorten(s string, width int) string {
	switch {
	case len(s) <= width:
		return s
	case width < 1:
		return ""
	}
	return s[:width-1] + "…"
}
