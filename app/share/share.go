// Package share puts exchanges into words that other programs and people take: a
// curl command, raw HTTP, Markdown, and HTTP archives (HAR 1.2), which it also
// reads. Secrets stay out unless they are asked for.
package share

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"culvert/app/coding"
	"culvert/app/exchange"
	"culvert/app/plain"
	"culvert/app/redact"
)

// Options are how exchanges are put into words.
type Options struct {
	Secrets bool // leave them in
	// Version is the program's own, for HAR's creator.
	Version string
}

// maxBody bounds a body without its content codings.
const maxBody = 16 << 20

func (o Options) prepare(x *exchange.Exchange) *exchange.Exchange {
	if o.Secrets {
		return x
	}
	return redact.Exchange(x)
}

// address is the URL of an exchange, as far as it is known.
func address(x *exchange.Exchange) string {
	switch {
	case x.URL != "":
		return x.URL
	case x.Host != "":
		return "https://" + x.Host + x.Path
	case strings.Contains(x.Target, "://"):
		return strings.TrimSuffix(x.Target, "/") + x.Path
	}
	return "http://localhost" + x.Path
}

// decoded is a body without its content codings, and whether all of what was kept
// could be read.
func decoded(m exchange.Message) (body []byte, whole bool) {
	b := coding.Decode(context.Background(), m.Header, m.Body, maxBody)
	return b.Data, b.Err == nil && !b.Limited
}

// isText: it can be read, and be said in a string.
func isText(p []byte) bool { return utf8.Valid(p) && bytes.IndexByte(p, 0) < 0 }

// missing says what is not there of a body, or "".
func missing(m exchange.Message) string {
	switch {
	case m.Dropped:
		return fmt.Sprintf("%d bytes passed, and none were kept", m.Size)
	case m.Truncated:
		return fmt.Sprintf("only the first %d of %d bytes were kept", len(m.Body), m.Size)
	}
	return ""
}

// fields are the lines of a header, sorted by name.
func fields(h http.Header) [][2]string {
	var out [][2]string
	for name, values := range h {
		for _, value := range values {
			out = append(out, [2]string{name, value})
		}
	}
	slices.SortStableFunc(out, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return out
}

// oneLine is a value that cannot begin another line.
func oneLine(s string) string { return clean(strings.NewReplacer("\r", " ", "\n", " ").Replace(s)) }

// clean leaves out of a text what would do something when it is pasted into a
// terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || !isHidden(r) {
			return r
		}
		return utf8.RuneError
	}, strings.ReplaceAll(s, "\r\n", "\n"))
}

// isHidden: what would do something else in a terminal than to be seen.
func isHidden(r rune) bool { return plain.Hidden(r) }

func statusLine(status int) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status)))
}
