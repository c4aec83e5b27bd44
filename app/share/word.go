package share

import "strings"

// Word is one word for a shell: as it is where no shell reads anything into it, else in
// quotes.
func Word(s string) string {
	special := func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !strings.ContainsRune("._@:+-/,=%", r)
	}
	if s == "" || strings.HasPrefix(s, "-") || strings.ContainsFunc(s, special) {
		return quote(s)
	}
	return s
}
