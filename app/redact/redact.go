// Package redact knows what is secret in an exchange: credentials in headers,
// cookies, queries, forms, JSON and other text. It makes copies without them, for
// the history and for what people pass on, and masks them on the screen.
//
// It errs on the side of taking out too much. What it cannot know is a secret under
// an innocent name that looks like any other text.
package redact

import (
	"context"
	"net/http"
	"slices"

	"culvert/app/exchange"
)

// Placeholder stands where a secret was taken out of a copy, Dots where one is
// hidden on the screen. Neither tells how long it was.
const (
	Placeholder = "REDACTED"
	Dots        = "••••••••"
)

// painter puts its mark where secrets were.
type painter struct {
	mark string
	// deep is how often it has gone from a text into one that it carries.
	deep int
	// codes: a field named "code" is an OAuth code, and not the number of an error.
	codes bool
}

var (
	copies = painter{mark: Placeholder}
	screen = painter{mark: Dots}
)

// Text is any text without what looks like a credential anywhere.
func Text(s string) string {
	redacted, _ := copies.text(s)
	return redacted
}

// Body is what a message with this header carries, without secrets: as it
// travelled if there are none, and otherwise changed and without its content
// codings. Message also tells whether that is all of it.
func Body(header http.Header, body []byte) (redacted []byte, changed bool) {
	redacted, changed, _ = copies.message(context.Background(), header, body, maxDecoded)
	return redacted, changed
}

// MaskHeader is a header's value as it is shown: the scheme of a credential and the
// names of cookies stay, secrets are dots. masked says that there are some.
func MaskHeader(name, value string) (shown string, masked bool) { return screen.header(name, value) }

// MaskURL is a URL, or a path with its query, as it is shown.
func MaskURL(raw string) (shown string, masked bool) { return screen.url(raw) }

// Exchange is a copy without secrets, marked as Redacted. It is the given one if
// there are none. A compressed body with secrets comes decoded, and so it may be
// longer than it was.
func Exchange(x *exchange.Exchange) *exchange.Exchange {
	redacted, _ := Within(context.Background(), x, maxDecoded)
	return redacted
}

// Within is Exchange for those who keep no more than so many bytes of a body: beyond
// them, a compressed one is neither decoded nor kept. The error is that of ctx, and
// then there is no copy.
func Within(ctx context.Context, x *exchange.Exchange, most int) (*exchange.Exchange, error) {
	out, found := *x, false
	for _, field := range []struct {
		text  *string
		clean func(string) (string, bool)
	}{
		{&out.URL, copies.url}, {&out.Path, copies.url}, {&out.Host, copies.text}, {&out.Upgrade, copies.text}, {&out.Err, copies.text}, {&out.Detail, copies.text},
	} {
		var changed bool
		*field.text, changed = field.clean(*field.text)
		found = found || changed
	}
	for _, m := range []*exchange.Message{&out.Request, &out.Response} {
		var changed bool
		*m, changed = message(ctx, *m, most)
		found = found || changed
	}
	for i, m := range out.Messages {
		if ctx.Err() != nil {
			break
		}
		if !copies.streamMessage(&m) {
			continue
		}
		if &out.Messages[0] == &x.Messages[0] {
			out.Messages = slices.Clone(x.Messages)
		}
		out.Messages[i], found = m, true
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !found {
		return x, nil
	}
	out.Redacted = true
	return &out, nil
}

func (p painter) streamMessage(m *exchange.StreamMessage) bool {
	data, found := p.bytes(m.Data)
	m.Data = data
	for _, text := range []*string{&m.Name, &m.LastID} {
		clean, changed := p.text(*text)
		*text, found = clean, found || changed
	}
	return found
}

// Message is one direction without secrets. found says whether there are some. If
// they are in a compressed body, that comes decoded, and Truncated if not all of it
// could be looked at.
func Message(m exchange.Message) (redacted exchange.Message, found bool) {
	return message(context.Background(), m, maxDecoded)
}

func message(ctx context.Context, m exchange.Message, most int) (redacted exchange.Message, found bool) {
	header, found := copies.headers(m.Header)
	body, changed, cut := copies.message(ctx, m.Header, m.Body, most)
	m.Header = header
	if !changed {
		return m, found
	}
	m.Body, m.Truncated = body, m.Truncated || cut
	if m.Header.Get("Content-Encoding") != "" {
		m.Header = m.Header.Clone()
		m.Header.Del("Content-Encoding")
	}
	return m, true
}
