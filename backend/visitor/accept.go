package visitor

import (
	"net/http"
	"strconv"
	"strings"
)

// PrefersHTML reports whether the request is a reader's: a GET (or HEAD) that
// names HTML in Accept and likes nothing better. Programs that take anything
// (*/*) get plain text.
func PrefersHTML(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	var html, best float64
	for _, line := range r.Header["Accept"] {
		for item := range strings.SplitSeq(line, ",") {
			kind, parameters, _ := strings.Cut(item, ";")
			kind = strings.ToLower(strings.TrimSpace(kind))
			q := quality(parameters)
			switch {
			case kind == "text/html" || kind == "application/xhtml+xml":
				html = max(html, q)
			case !strings.Contains(kind, "*"):
				best = max(best, q)
			}
		}
	}
	return html > 0 && html >= best
}

// quality is the weight among the parameters of a media range (RFC 9110, section 12.4.2).
func quality(parameters string) float64 {
	for p := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil || !(q >= 0 && q <= 1) {
				return 0
			}
			return q
		}
	}
	return 1
}
