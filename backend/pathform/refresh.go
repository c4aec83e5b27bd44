package pathform

import "strings"

// Refresh maps the URL in a Refresh field: "5; url=/next". The rest stays byte for
// byte. It is read as browsers do (WHATWG HTML, shared declarative refresh steps):
// a number, then a semicolon, comma or space, then the URL, with or without "url="
// and quotes.
func (v *View) Refresh(value string) string {
	i := skip(value, 0, isSpace)
	digits := i
	i = skip(value, i, func(c byte) bool { return c == '.' || '0' <= c && c <= '9' })
	if i == digits {
		return value
	}
	separator := i
	i = skip(value, i, isSpace)
	if i < len(value) && (value[i] == ';' || value[i] == ',') {
		i = skip(value, i+1, isSpace)
	}
	if i == separator {
		return value
	}
	start, end := i, len(value)
	if i+3 <= len(value) && strings.EqualFold(value[i:i+3], "url") {
		if j := skip(value, i+3, isSpace); j < len(value) && value[j] == '=' {
			start = skip(value, j+1, isSpace)
		}
	}
	if start < end && (value[start] == '\'' || value[start] == '"') {
		quote := value[start]
		start++
		if j := strings.IndexByte(value[start:], quote); j >= 0 {
			end = start + j
		}
	}
	return value[:start] + v.URL(value[start:end]) + value[end:]
}

func skip(s string, i int, in func(byte) bool) int {
	for i < len(s) && in(s[i]) {
		i++
	}
	return i
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }
