package coding

import "net/url"

// Unescape undoes the percent-escapes of a query or a form, and leaves what is not
// escaped rightly as it is.
func Unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}
