package redact

import (
	"bytes"
	"encoding/json"
	"strings"
)

// json cleans JSON in place: what is no secret stays as it was written, to the
// byte. It needs no valid JSON, because bodies may be cut, or made to look like
// anything: a string before a colon is a name, and any other one a value.
func (p painter) json(b []byte) ([]byte, bool) {
	p.codes = p.codes || bytes.Contains(b, []byte(`"grant_type"`))
	s := scan{painter: p, edit: edit{source: b}}
	s.run()
	if len(s.late) > 0 {
		s = scan{painter: p, edit: edit{source: b}, early: s.late, weighed: s.weighed}
		s.run()
	}
	return s.edit.result()
}

func (s *scan) run() {
	s.here = container{named: s.early[0]}
	for i := 0; i < len(s.edit.source); {
		i = s.step(i)
	}
}

// scan is where in its JSON it is.
type scan struct {
	painter
	edit  edit
	outer []container // around here
	here  container
	// beyond are containers that are not in outer any more.
	beyond int
	next   weight    // of the value to come
	key    fieldName // its name, if it is one that container.named is about

	// late are containers whose name came after the value that it is about, by where
	// they begin. The next scan knows them before.
	late, early map[int]weight

	// weighed are names that have come: most come again and again.
	weighed map[string]nameInfo
}

// maxNested bounds containers within containers. What is in more of them is taken for
// one container.
const maxNested = 1000

// maxWeighed bounds the names that are kept in mind.
const maxWeighed = 512

type nameInfo struct {
	weight weight
	field  fieldName
}

// fieldName tells fields of pairs apart: {"name": "Authorization", "value": "…"}.
type fieldName uint8

const (
	anyField fieldName = iota
	nameField
	valueField
)

// container is an object or an array.
type container struct {
	at     int    // where it begins, and 0 for what is around all
	weight weight // of all in it
	named  weight // what its field "name" says about its field "value"
	valued bool   // it has one
}

// step takes the next token and returns where it ends.
func (s *scan) step(i int) int {
	b := s.edit.source
	switch c := b[i]; {
	case c == '"':
		end, closed := stringEnd(b, i)
		if closed && isName(b[end:]) {
			s.name(b[i:end])
			return end
		}
		w := max(s.here.weight, s.next)
		if w == innocent && closed && s.key == nameField && end-i <= maxNameLength && bytes.IndexByte(b[i:end], ' ') < 0 {
			text := unquoted(b[i:end])
			s.nameOfValue(text)
		}
		s.jsonString(&s.edit, i, end, closed, w)
		s.next, s.key = innocent, anyField
		return end
	case c == '\'':
		return i + 1 + s.property(&s.edit, i+1) // no JSON, but what some take for it
	case c == '{' || c == '[':
		if len(s.outer) >= maxNested {
			s.beyond++
			s.here.weight = max(s.here.weight, s.next)
			break
		}
		s.outer = append(s.outer, s.here)
		s.here = container{at: i + 1, weight: max(s.here.weight, s.next), named: s.early[i+1]}
		s.next, s.key = innocent, anyField
	case c == '}' || c == ']':
		if n := len(s.outer); s.beyond > 0 {
			s.beyond--
		} else if n > 0 {
			s.here, s.outer = s.outer[n-1], s.outer[:n-1]
		}
		s.next, s.key = innocent, anyField
	case c == ',':
		s.next, s.key = innocent, anyField
	case c == '-' || c >= '0' && c <= '9':
		end := i + 1
		for end < len(b) && isNumber(b[end]) {
			end++
		}
		if max(s.here.weight, s.next) == grave {
			s.edit.replace(i, end, `"`+s.mark+`"`)
		}
		return end
	}
	return i + 1
}

func (s *scan) name(quoted []byte) {
	info, known := s.weighed[string(quoted)]
	if !known {
		key := unquoted(quoted)
		info.weight = s.weigh(key)
		switch strings.ToLower(key) {
		case "name", "key", "header":
			info.field = nameField
		case "value":
			info.field = valueField
		}
		if len(s.weighed) < maxWeighed && len(quoted) <= maxNameLength {
			if s.weighed == nil {
				s.weighed = map[string]nameInfo{}
			}
			s.weighed[string(quoted)] = info
		}
	}
	s.next, s.key = info.weight, info.field
	if s.key == valueField {
		s.here.valued = true
		s.next = max(s.next, s.here.named)
	}
}

// nameOfValue is told of what stands in a field such as "name".
func (s *scan) nameOfValue(name string) {
	w := s.weigh(name)
	if w == innocent && Header(name) {
		w = secret
	}
	if w <= s.here.named {
		return
	}
	if s.here.named = w; s.here.valued {
		if s.late == nil {
			s.late = map[int]weight{}
		}
		s.late[s.here.at] = w
	}
}

func isNumber(c byte) bool {
	return c >= '0' && c <= '9' || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-'
}

// stringEnd is where the string at i ends, past its quote if there is one.
func stringEnd(b []byte, i int) (end int, closed bool) {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1, true
		}
	}
	return len(b), false
}

func isName(rest []byte) bool {
	for _, c := range rest {
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c == ':'
		}
	}
	return false
}

// unquoted is what a string says, or what is between its quotes if it is malformed.
func unquoted(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') >= 0 {
		var s string
		if json.Unmarshal(quoted, &s) == nil {
			return s
		}
	}
	return string(quoted[1 : len(quoted)-1])
}

func (p painter) jsonString(e *edit, start, end int, closed bool, w weight) {
	inner := start + 1
	stop := end
	if closed {
		stop--
	}
	content := e.source[inner:stop]
	switch {
	case len(content) == 0:
	case w != innocent:
		e.replace(inner, stop, p.mark)
	case closed && bytes.IndexByte(content, '\\') >= 0:
		if clean, changed := p.value(unquoted(e.source[start:end])); changed {
			e.replace(start, end, quoted(clean))
		}
	default:
		clean, changed := p.bytesOfValue(content)
		if changed {
			e.replace(inner, stop, string(clean))
		}
	}
}

func quoted(s string) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(s) != nil {
		return `""`
	}
	return string(bytes.TrimSuffix(out.Bytes(), []byte{'\n'}))
}
