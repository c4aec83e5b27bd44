package redact

import (
	"bytes"
	"strings"
)

// markup cleans XML and HTML: elements and attributes whose name is a secret's, and
// the value of what is named so by an attribute (<input name="csrf_token" …>).
func (p painter) markup(b []byte) ([]byte, bool) {
	e := edit{source: b}
	for i := 0; i < len(b); {
		n := bytes.IndexByte(b[i:], '<')
		if n < 0 {
			break
		}
		i += n + 1
		name := i
		for i < len(b) && (isToken(b[i]) || b[i] == ':') {
			i++
		}
		if i == name {
			continue // a closing tag, a comment
		}
		element := string(b[name:i])
		i = p.attributes(&e, i)
		if i >= len(b) || b[i-1] == '/' || !Name(element[strings.LastIndexByte(element, ':')+1:]) {
			continue
		}
		i++
		if end := bytes.Index(b[i:], []byte("</")); end > 0 && len(bytes.TrimSpace(b[i:i+end])) > 0 {
			e.replace(i, i+end, p.mark)
			i += end
		} else if end < 0 {
			e.replace(i, len(b), p.mark)
			break
		}
	}
	clean, changed := e.result()
	clean, more := p.credentials(clean)
	return clean, changed || more
}

// attributes cleans those of a tag, and returns where it ends.
func (p painter) attributes(e *edit, i int) int {
	b := e.source
	named := false // "name" is a secret's
	var values [][2]int
	for i < len(b) && b[i] != '>' {
		if !isToken(b[i]) {
			i++
			continue
		}
		start := i
		for i < len(b) && (isToken(b[i]) || b[i] == ':') {
			i++
		}
		attribute := strings.ToLower(string(b[start:i]))
		if i+1 >= len(b) || b[i] != '=' || b[i+1] != '"' && b[i+1] != '\'' {
			continue
		}
		from := i + 2
		n := bytes.IndexByte(b[from:], b[i+1])
		if n < 0 {
			n = len(b) - from // cut
		}
		to := from + n
		switch attribute {
		case "name", "id":
			named = named || Name(string(b[from:to]))
		case "value", "content":
			values = append(values, [2]int{from, to})
		default:
			if Name(attribute[strings.LastIndexByte(attribute, ':')+1:]) {
				values = append(values, [2]int{from, to})
			}
		}
		i = min(to+1, len(b))
	}
	for _, v := range values {
		if named || !isValue(b, v[0]) {
			e.replace(v[0], v[1], p.mark)
		}
	}
	return i
}

// isValue: the attribute that begins before this place is "value" or "content",
// which are secrets only under such a name.
func isValue(b []byte, at int) bool {
	head := bytes.ToLower(b[max(0, at-9):at])
	return bytes.HasSuffix(head[:len(head)-2], []byte("value")) || bytes.HasSuffix(head[:len(head)-2], []byte("content"))
}
