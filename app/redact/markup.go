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
		end := elementEnd(b, i, element)
		if len(bytes.TrimSpace(b[i:end])) > 0 {
			e.replace(i, end, p.mark)
		}
		i = end
	}
	clean, changed := e.result()
	clean, more := p.credentials(clean)
	return clean, changed || more
}

// elementEnd is where the content of an element ends that begins at i: elements of
// the same name may be within. Without an end it is that of all.
func elementEnd(b []byte, i int, element string) int {
	for deep := 1; i < len(b); {
		n := bytes.IndexByte(b[i:], '<')
		if n < 0 {
			break
		}
		tag := i + n
		i = tag + 1
		if bytes.HasPrefix(b[i:], []byte("![CDATA[")) {
			if n = bytes.Index(b[i:], []byte("]]>")); n < 0 {
				break
			}
			i += n
			continue
		}
		closes := i < len(b) && b[i] == '/'
		if closes {
			i++
		}
		name := i
		for i < len(b) && (isToken(b[i]) || b[i] == ':') {
			i++
		}
		if !strings.EqualFold(string(b[name:i]), element) {
			continue
		}
		if closes {
			if deep--; deep == 0 {
				return tag
			}
			continue
		}
		if n = bytes.IndexByte(b[i:], '>'); n < 0 {
			break
		}
		if i += n; b[i-1] != '/' {
			deep++
		}
	}
	return len(b)
}

// attribute is the place of a value that may be a secret.
type attribute struct {
	from, to int
	ifNamed  bool // it is one only if another attribute, "name", says so
}

// attributes cleans those of a tag, and returns where it ends.
func (p painter) attributes(e *edit, i int) int {
	b := e.source
	named := false // "name" is a secret's
	var values []attribute
	for i < len(b) && b[i] != '>' {
		if !isToken(b[i]) {
			i++
			continue
		}
		start := i
		for i < len(b) && (isToken(b[i]) || b[i] == ':') {
			i++
		}
		name := strings.ToLower(string(b[start:i]))
		from, to, next := attributeValue(b, i)
		if i = next; from == to {
			continue
		}
		switch name {
		case "name", "id":
			named = named || Name(string(b[from:to]))
		case "value", "content":
			values = append(values, attribute{from, to, true})
		default:
			if Name(name[strings.LastIndexByte(name, ':')+1:]) {
				values = append(values, attribute{from, to, false})
			}
		}
	}
	for _, v := range values {
		if named || !v.ifNamed {
			e.replace(v.from, v.to, p.mark)
		}
	}
	return i
}

// attributeValue is the value, in quotes or without, that follows an attribute's
// name, and where to go on. If there is none, it is empty.
func attributeValue(b []byte, i int) (from, to, next int) {
	at := skipSpace(b, i)
	if at >= len(b) || b[at] != '=' {
		return i, i, i
	}
	if at = skipSpace(b, at+1); at >= len(b) {
		return at, at, at
	}
	if c := b[at]; c == '"' || c == '\'' {
		n := bytes.IndexByte(b[at+1:], c)
		if n < 0 {
			return at + 1, len(b), len(b) // cut
		}
		return at + 1, at + 1 + n, at + n + 2
	}
	end := at
	for end < len(b) && b[end] > ' ' && b[end] != '>' {
		end++
	}
	return at, end, end
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}
