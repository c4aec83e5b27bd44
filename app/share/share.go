// Package share puts exchanges into words that other programs and people take: a
// curl command, raw HTTP, Markdown, and HTTP archives (HAR 1.2), which it also
// reads. Secrets stay out unless they are asked for.
package share

import (
	"io"

	"culvert/app/exchange"
)

// Options are how exchanges are put into words.
type Options struct {
	Secrets bool // leave them in
	// Version is the program's own, for HAR's creator.
	Version string
}

// CURL is a command for a POSIX shell that sends the request again.
func CURL(x *exchange.Exchange, o Options) string { return "" }

// Raw is request and answer as HTTP/1.1.
func Raw(x *exchange.Exchange, o Options) string { return "" }

// Markdown is the exchange as a section of a document, such as an issue.
func Markdown(x *exchange.Exchange, o Options) string { return "" }

// WriteHAR writes an HTTP archive.
func WriteHAR(w io.Writer, exchanges []*exchange.Exchange, o Options) error { return nil }

// ReadHAR reads an HTTP archive, such as browsers export. With an error comes what
// had been read until then.
func ReadHAR(r io.Reader) ([]*exchange.Exchange, error) { return nil, nil }
