package redact

import (
	"bytes"
	"context"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"culvert/app/coding"
)

// maxDecoded bounds what a compressed body may grow to, as the inspector does. What
// is beyond is not known, and so it is not kept.
const maxDecoded = 16 << 20

// Whoever sends what grows a thousandfold must not have us look at all of that: one
// megabyte is always looked at, and beyond that what is in proportion.
const (
	freeDecoded = 1 << 20
	maxGrowth   = 64
)

// message cleans the body of a message, of which most bytes are wanted if it is
// compressed. cut: it is no longer whole. Once ctx is done, the result means nothing.
func (p painter) message(ctx context.Context, header http.Header, body []byte, most int) (clean []byte, changed, cut bool) {
	if len(body) == 0 || ctx.Err() != nil {
		return body, false, false
	}
	decoded := coding.Decode(ctx, header, body, min(most, maxDecoded, max(freeDecoded, maxGrowth*len(body))))
	if ctx.Err() != nil {
		return body, false, false
	}
	clean, changed = p.body(header.Get("Content-Type"), decoded.Data)
	if decoded.Limited {
		return clean, true, true
	}
	if !changed {
		return body, false, false
	}
	return clean, true, decoded.Err != nil && len(decoded.Codings) > 0
}

// body cleans what carries this type.
func (p painter) body(contentType string, b []byte) ([]byte, bool) {
	if text, order := fromUTF16(b); order != nil {
		clean, changed := p.body(contentType, text)
		if !changed {
			return b, false
		}
		return toUTF16(clean, order), true
	}
	kind, parameters, err := mime.ParseMediaType(contentType)
	if err != nil {
		kind, _, _ = strings.Cut(strings.ToLower(contentType), ";")
		kind = strings.TrimSpace(kind)
	}
	family, sub, _ := strings.Cut(kind, "/")
	switch {
	case family == "image" && sub != "svg+xml", family == "audio", family == "video", family == "font":
		if !looksLikeText(b) {
			return b, false
		}
	case strings.HasSuffix(sub, "json"):
		return p.json(b)
	case kind == "application/x-www-form-urlencoded":
		clean, changed := p.query(string(b))
		return []byte(clean), changed
	case family == "multipart" && p.deep < maxDeep:
		if boundary := boundaryOf(parameters["boundary"], b); boundary != "" {
			p.deep++
			return p.multipart(boundary, b)
		}
	case sub == "html" || sub == "xml" || strings.HasSuffix(sub, "+xml"):
		return p.markup(b)
	case sub == "javascript" || sub == "css" || sub == "x-javascript":
		return p.credentials(b)
	case sub == "event-stream":
		return p.lines(b)
	}
	return p.bytes(b)
}

// bytes cleans what does not say what it is.
func (p painter) bytes(b []byte) ([]byte, bool) {
	switch trimmed := bytes.TrimLeft(b, " \t\r\n\ufeff"); {
	case len(trimmed) == 0:
		return b, false
	case trimmed[0] == '{' || trimmed[0] == '[' || trimmed[0] == '"':
		return p.json(b)
	case trimmed[0] == '<':
		return p.markup(b)
	case looksLikeForm(trimmed):
		clean, changed := p.query(string(b))
		return []byte(clean), changed
	}
	return p.lines(b)
}

// looksLikeForm: one line of pairs.
func looksLikeForm(b []byte) bool {
	start := b[:min(len(b), 512)]
	equals := bytes.IndexByte(start, '=')
	return equals > 0 && bytes.IndexByte(start, '&') > 0 && !bytes.ContainsAny(start, " \t\r\n<>\"")
}

// looksLikeText tells a text from an image, whatever it says to be.
func looksLikeText(b []byte) bool {
	start := b[:min(len(b), 512)]
	for len(start) > 0 {
		r, n := utf8.DecodeRune(start)
		switch {
		case r == utf8.RuneError && n == 1:
			return len(b) > 512 && len(start) < utf8.UTFMax && !utf8.FullRune(start)
		case r < ' ' && r != '\t' && r != '\r' && r != '\n' && r != '\f':
			return false
		}
		start = start[n:]
	}
	return true
}

// boundaryOf is what parts the parts: as the header says, or, if it does not, as the
// first line.
func boundaryOf(parameter string, b []byte) string {
	if parameter != "" {
		return parameter
	}
	line, _, _ := bytes.Cut(bytes.TrimLeft(b[:min(len(b), 256)], "\r\n"), []byte{'\n'})
	boundary, found := bytes.CutPrefix(bytes.TrimRight(line, " \t\r"), []byte("--"))
	if !found || len(boundary) > 70 {
		return ""
	}
	return string(boundary)
}

// multipart cleans each part as what it is (RFC 7578).
func (p painter) multipart(boundary string, b []byte) ([]byte, bool) {
	e := edit{source: b}
	delimiter := []byte("--" + boundary)
	for at := bytes.Index(b, delimiter); at >= 0; {
		part := at + len(delimiter)
		end := len(b)
		next := bytes.Index(b[part:], delimiter)
		if next >= 0 {
			end, at = part+next, part+next
		} else {
			at = -1
		}
		if head, content, found := cutHead(b[part:end]); found {
			start := end - len(content)
			content = bytes.TrimRight(content, "\r\n")
			clean, changed := p.part(head, content)
			if changed {
				e.replace(start, start+len(content), string(clean))
			}
		}
	}
	return e.result()
}

func cutHead(part []byte) (head, content []byte, found bool) {
	if head, content, found = bytes.Cut(part, []byte("\r\n\r\n")); found {
		return head, content, true
	}
	return bytes.Cut(part, []byte("\n\n"))
}

func (p painter) part(head, content []byte) ([]byte, bool) {
	contentType := ""
	for line := range bytes.Lines(head) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch text := strings.TrimSpace(string(value)); strings.ToLower(strings.TrimSpace(string(name))) {
		case "content-type":
			contentType = text
		case "content-disposition":
			if Name(partName(text)) && len(content) > 0 {
				return []byte(p.mark), string(content) != p.mark
			}
		}
	}
	return p.body(contentType, content)
}

// partName is the field's name in a Content-Disposition, also in one that is not
// written as it should be.
func partName(disposition string) string {
	if _, parameters, err := mime.ParseMediaType(disposition); err == nil {
		return parameters["name"]
	}
	for parameter := range strings.SplitSeq(disposition, ";") {
		name, value, _ := strings.Cut(parameter, "=")
		if strings.EqualFold(strings.TrimSpace(name), "name") {
			return strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return ""
}
