package inspect

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime"
	"strings"
)

// multipart is a body of parts (RFC 2046, 5.1): of each its name and type, and what
// it says if that is text.
type multipart struct {
	src       []byte
	delimiter []byte
	pos       int // before a delimiter, or at the end
	buffer
}

// sample is how much is shown of a part that is not text.
const sample = 4 * perRow

// newMultipart is nil if the body has no boundary.
func newMultipart(src []byte, contentType string) layout {
	_, parameters, err := mime.ParseMediaType(contentType)
	if err != nil || parameters["boundary"] == "" {
		return nil
	}
	return &multipart{src: src, delimiter: []byte("--" + parameters["boundary"])}
}

func (m *multipart) next(rows []row, n int) ([]row, bool) {
	for len(m.rows) < n && m.pos < len(m.src) {
		m.part()
	}
	return m.hand(rows), m.pos >= len(m.src)
}

// part shows what comes before the next delimiter.
func (m *multipart) part() {
	start := m.pos
	if bytes.HasPrefix(m.src[start:], m.delimiter) {
		start += len(m.delimiter)
		if bytes.HasPrefix(m.src[start:], []byte("--")) {
			start += len("--")
		}
	}
	end := len(m.src)
	if n := bytes.Index(m.src[start:], m.delimiter); n >= 0 {
		end = start + n
	}
	m.pos = end
	part := bytes.TrimPrefix(bytes.TrimPrefix(m.src[start:end], []byte{'\r'}), []byte{'\n'})
	if len(bytes.TrimSpace(part)) == 0 {
		return
	}
	part = bytes.TrimSuffix(bytes.TrimSuffix(part, []byte{'\n'}), []byte{'\r'})
	head, content, found := bytes.Cut(part, []byte("\r\n\r\n"))
	if !found {
		if head, content, found = bytes.Cut(part, []byte("\n\n")); !found {
			head, content = nil, part
		}
	}
	if len(m.text) > 0 {
		m.label("")
	}
	m.label(label(head, len(content)))
	m.content(content)
}

// label is what the head of a part says, and the length of the rest.
func label(head []byte, length int) string {
	var parts []string
	for line := range bytes.Lines(head[:min(len(head), 4<<10)]) {
		name, value, _ := strings.Cut(strings.TrimSpace(string(line)), ":")
		value = strings.TrimSpace(value)
		switch strings.ToLower(name) {
		case "content-disposition":
			_, after, _ := strings.Cut(value, ";")
			parts = append(parts, strings.TrimSpace(after))
		case "content-type":
			parts = append(parts, value)
		}
	}
	return strings.Join(append(parts, fmt.Sprintf("%d B", length)), " · ")
}

func (m *multipart) content(p []byte) {
	if len(p) == 0 {
		return
	}
	if text := decodeText("", p); text != nil {
		m.lines(len(m.text), 0, string(text), Plain)
		return
	}
	d := dump(p[:min(len(p), sample)])
	for i := range d.rows() {
		m.lines(len(m.text), 0, d.at(i).Text, Plain)
	}
	if len(p) > sample {
		m.label("…")
	}
}

func (m *multipart) writeText(ctx context.Context, w io.Writer) error {
	whole := multipart{src: m.src, delimiter: m.delimiter}
	for whole.pos < len(whole.src) {
		if err := ctx.Err(); err != nil {
			return err
		}
		whole.next(nil, batch)
	}
	_, err := w.Write(whole.text)
	return err
}
