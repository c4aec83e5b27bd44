package inspect

import (
	"bytes"
	"errors"
)

// errMalformed: the text is no JSON from here on.
var errMalformed = errors.New("malformed JSON")

// jsonLine is a line as one would write JSON: a value with its name, or what opens
// or closes a container.
type jsonLine struct {
	start, end int // of the source; may have blanks between its tokens
	depth      int
	keyed      bool // its first token is a name
}

// jsonScanner takes JSON apart into lines, several values after each other too (as
// in NDJSON). It changes nothing about tokens: numbers stay as they were written.
type jsonScanner struct {
	src     []byte
	pos     int
	expects expectation
	depth   int
	objects []uint64 // a bit for each container around: it is an object
}

// expectation is what may come next.
type expectation uint8

const (
	valueOrEOF expectation = iota // outside of everything
	value
	valueOrEnd
	name
	nameOrEnd
	end
)

// next reads a line. At the end of the text, more is false, and whole says whether
// everything was closed; a line may come all the same.
func (s *jsonScanner) next() (line jsonLine, more, whole bool, err error) {
	s.skipBlank()
	if s.pos == len(s.src) {
		return line, false, s.expects == valueOrEOF, nil
	}
	line = jsonLine{start: s.pos, depth: s.depth}
	if c := s.src[s.pos]; c == '}' || c == ']' {
		if s.expects != end && s.expects != nameOrEnd && s.expects != valueOrEnd || s.isObject() != (c == '}') {
			return line, false, false, errMalformed
		}
		s.depth--
		line.depth = s.depth
		s.pos++
		line.end = s.afterValue()
		return line, true, false, nil
	}
	if s.expects == end {
		return line, false, false, errMalformed
	}
	if s.expects == name || s.expects == nameOrEnd {
		line.keyed = true
		if s.src[s.pos] != '"' {
			return line, false, false, errMalformed
		}
		closed := s.skipString()
		s.skipBlank()
		if s.pos == len(s.src) || !closed {
			line.end = len(s.src)
			return line, false, false, nil
		}
		if s.src[s.pos] != ':' {
			return line, false, false, errMalformed
		}
		s.pos++
		s.skipBlank()
		if s.pos == len(s.src) {
			line.end = s.pos
			return line, false, false, nil
		}
	}
	return s.value(line)
}

// value reads a value, up to where the container opens if it is one with content.
func (s *jsonScanner) value(line jsonLine) (_ jsonLine, more, whole bool, err error) {
	switch c := s.src[s.pos]; c {
	case '"':
		if !s.skipString() {
			line.end = len(s.src)
			return line, false, false, nil
		}
	case '{', '[':
		s.pos++
		line.end = s.pos
		s.skipBlank()
		if s.pos == len(s.src) {
			return line, false, false, nil
		}
		if s.src[s.pos] != c+2 { // '}' is '{'+2, and so is ']' of '['
			s.open(c == '{')
			return line, true, false, nil
		}
		s.pos++
	default:
		start := s.pos
		for s.pos < len(s.src) && isLiteral(s.src[s.pos]) {
			s.pos++
		}
		if literal := s.src[start:s.pos]; classOf(literal) == Plain {
			if s.pos == len(s.src) && len(literal) > 0 && len(literal) < len("false") {
				line.end = s.pos // it may become one
				return line, false, false, nil
			}
			s.pos = start
			return line, false, false, errMalformed
		}
	}
	line.end = s.afterValue()
	return line, true, false, nil
}

// afterValue takes the comma, if there is one, and returns where the line ends.
func (s *jsonScanner) afterValue() int {
	at := s.pos
	if s.depth == 0 {
		s.expects = valueOrEOF
		return at
	}
	s.skipBlank()
	if s.pos == len(s.src) || s.src[s.pos] != ',' {
		s.expects = end
		return at
	}
	s.pos++
	s.expects = value
	if s.isObject() {
		s.expects = name
	}
	return s.pos
}

func (s *jsonScanner) open(object bool) {
	if s.depth%64 == 0 && s.depth/64 == len(s.objects) {
		s.objects = append(s.objects, 0)
	}
	bit := uint64(1) << (s.depth % 64)
	s.objects[s.depth/64] &^= bit
	s.expects = valueOrEnd
	if object {
		s.objects[s.depth/64] |= bit
		s.expects = nameOrEnd
	}
	s.depth++
}

func (s *jsonScanner) isObject() bool {
	at := s.depth - 1
	return at >= 0 && s.objects[at/64]&(1<<(at%64)) != 0
}

func (s *jsonScanner) skipBlank() {
	for s.pos < len(s.src) && isBlank(s.src[s.pos]) {
		s.pos++
	}
}

func isBlank(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// skipString is false if the text ends within the string.
func (s *jsonScanner) skipString() bool {
	var closed bool
	s.pos, closed = stringEnd(s.src, s.pos+1)
	return closed
}

// stringEnd is where a string ends, past its quote if that comes, from a place
// within it.
func stringEnd(src []byte, at int) (end int, closed bool) {
	for ; at < len(src); at++ {
		switch src[at] {
		case '\\':
			at++
		case '"':
			return at + 1, true
		}
	}
	return len(src), false
}

func isLiteral(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '+' || c == '.'
}

// classOf is Plain for what is no number and no keyword.
func classOf(literal []byte) Class {
	switch string(literal) {
	case "true", "false", "null":
		return Keyword
	}
	if isNumber(literal) {
		return Number
	}
	return Plain
}

// isNumber (RFC 8259, 6), also with zeros before: they are shown, not computed with.
func isNumber(p []byte) bool {
	p = bytes.TrimPrefix(p, []byte{'-'})
	digits := func() (n int) {
		for n < len(p) && p[n] >= '0' && p[n] <= '9' {
			n++
		}
		p = p[n:]
		return n
	}
	if digits() == 0 {
		return false
	}
	if len(p) > 0 && p[0] == '.' {
		if p = p[1:]; digits() == 0 {
			return false
		}
	}
	if len(p) > 0 && (p[0] == 'e' || p[0] == 'E') {
		if p = p[1:]; len(p) > 0 && (p[0] == '+' || p[0] == '-') {
			p = p[1:]
		}
		if digits() == 0 {
			return false
		}
	}
	return len(p) == 0
}
