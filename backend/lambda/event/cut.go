package event

import (
	"bytes"
	"unicode/utf8"
)

// CutOver is the size over which it pays to Cut.
const CutOver = 8 << 10

// Cut takes a long text out of a JSON object: value is what stands between the quotes of
// its member name, and rest the same object with an empty text there. Package json looks
// at each byte several times, which for a body takes longer than all else that is done
// with it, on the little processor time that functions have; Cut does so once.
//
// If rest is JSON, so is the object, and says the same but for the member. Without ok
// nothing is known: there is no such member or more than one, or something is unusual.
func Cut(object []byte, name string) (rest, value []byte, ok bool) {
	from, to := -1, 0
	i := blanks(object, 0)
	if !at(object, i, '{') {
		return nil, nil, false
	}
	for more := true; more; {
		i = blanks(object, i+1) // after the brace or a comma
		end := textEnd(object, i)
		if end < 0 {
			return nil, nil, false
		}
		key := object[i+1 : end]
		if bytes.IndexByte(key, '\\') >= 0 {
			return nil, nil, false
		}
		if i = blanks(object, end+1); !at(object, i, ':') {
			return nil, nil, false
		}
		i = blanks(object, i+1)
		if end = valueEnd(object, i); end < 0 {
			return nil, nil, false
		}
		if bytes.EqualFold(key, []byte(name)) { // as package json finds members
			if from >= 0 || !at(object, i, '"') {
				return nil, nil, false
			}
			from, to = i+1, end-1
		}
		i = blanks(object, end)
		more = at(object, i, ',')
	}
	if from < 0 || !at(object, i, '}') || !validText(object[from:to]) {
		return nil, nil, false
	}
	rest = append(make([]byte, 0, len(object)-(to-from)), object[:from]...)
	return append(rest, object[to:]...), object[from:to], true
}

// at reports whether c stands at i.
func at(text []byte, i int, c byte) bool { return i < len(text) && text[i] == c }

func blanks(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\n' || text[i] == '\r' || text[i] == '\t') {
		i++
	}
	return i
}

// textEnd gives where the closing quote is of the text whose opening one is at i; -1 if
// there is none.
func textEnd(text []byte, i int) int {
	if !at(text, i, '"') {
		return -1
	}
	for from := i + 1; ; {
		n := bytes.IndexByte(text[from:], '"')
		if n < 0 {
			return -1
		}
		quote, escapes := from+n, 0
		for text[quote-1-escapes] == '\\' { // the opening quote is none
			escapes++
		}
		if escapes%2 == 0 {
			return quote
		}
		from = quote + 1
	}
}

// valueEnd gives the place after the value at i, whatever it is; -1 if it has no end.
func valueEnd(text []byte, i int) int {
	for depth := 0; i < len(text); {
		switch text[i] {
		case '"':
			if i = textEnd(text, i); i < 0 {
				return -1
			}
			if i++; depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // after a number or a word
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\n', '\r', '\t':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return -1
}

// validText reports whether this may stand between the quotes of a JSON text, as package
// json has it, which takes bytes that are no UTF-8 as well.
func validText(text []byte) bool {
	for _, c := range text {
		if c < ' ' {
			return false
		}
	}
	for {
		n := bytes.IndexByte(text, '\\')
		if n < 0 {
			return bytes.IndexByte(text, '"') < 0
		}
		if bytes.IndexByte(text[:n], '"') >= 0 || n+1 == len(text) {
			return false
		}
		size := 2
		switch text[n+1] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		case 'u':
			if size = 6; n+size > len(text) {
				return false
			}
			for _, c := range text[n+2 : n+6] {
				if hex(c) < 0 {
					return false
				}
			}
		default:
			return false
		}
		text = text[n+size:]
	}
}

func hex(c byte) rune {
	switch {
	case '0' <= c && c <= '9':
		return rune(c - '0')
	case 'a' <= c && c <= 'f':
		return rune(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return rune(c-'A') + 10
	}
	return -1
}

// unescape gives the text of what Cut took out, in memory of its own. Without ok package
// json has to read it, which knows what to make of halves of characters.
func unescape(value []byte) (text []byte, ok bool) {
	if !utf8.Valid(value) {
		return nil, false
	}
	text = make([]byte, 0, len(value))
	for {
		n := bytes.IndexByte(value, '\\')
		if n < 0 {
			return append(text, value...), true
		}
		text = append(text, value[:n]...)
		c, size := value[n+1], 2
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r := hex(value[n+2])<<12 | hex(value[n+3])<<8 | hex(value[n+4])<<4 | hex(value[n+5])
			if r >= 0xD800 && r < 0xE000 {
				return nil, false
			}
			text, size = utf8.AppendRune(text, r), 6
		}
		if size == 2 {
			text = append(text, c)
		}
		value = value[n+size:]
	}
}
