package tomledit

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// errConfused: the text is no TOML, or of a kind that this scanner does not know.
var errConfused = errors.New("the text cannot be followed")

// kind is what an item is.
type kind int

const (
	leaf    kind = iota
	header       // [a.b]
	element      // [[a.b]]
	table        // { … }
	array        // [ … ]
)

// item is one thing that has a path: a header, a key with its value, or an element
// of an array that is written as a value. Of an inline value, the items follow it.
type item struct {
	kind kind
	path Path
	// from and to are what it takes: whole lines of a statement, else the key up
	// to the end of the value.
	from, to int
	// value is where the value stands.
	value [2]int
	// section is the header above, inside the inline value around; -1 for none.
	section, inside int
	// comma is where the comma after it stands, in an inline value; -1 for none.
	comma int
}

func (it *item) isHeader() bool { return it.kind == header || it.kind == element }

// doc is a text of which is known where everything stands.
type doc struct {
	text  string
	items []item
	// comments are the lines of comments between statements, from their beginning to
	// the next line's.
	comments map[int]int
	// counts are the elements so far of arrays that are written with [[…]].
	counts map[string]int
	pos    int
	depth  int
}

// maxDepth bounds how deep values may be nested.
const maxDepth = 200

// scan finds where everything stands in text.
func scan(text string) (*doc, error) {
	d := &doc{text: text, comments: map[int]int{}, counts: map[string]int{}}
	switch {
	case strings.HasPrefix(text, "\xef\xbb\xbf"):
		d.pos = 3
	case strings.HasPrefix(text, "\xff\xfe"), strings.HasPrefix(text, "\xfe\xff"):
		d.pos = 2 // the decoder passes over these as well
	}
	section := -1
	for {
		line := d.pos
		d.skip(" \t")
		switch c := d.peek(); {
		case d.pos == len(text):
			return d, nil
		case c == '\n' || c == '\r':
			d.pos++
		case c == '#':
			d.restOfLine()
			d.comments[line] = d.pos
		case c == '[':
			if err := d.header(line); err != nil {
				return nil, err
			}
			section = len(d.items) - 1
		default:
			if err := d.pair(line, section); err != nil {
				return nil, err
			}
		}
	}
}

// peek is the byte at the position; 0 at the end.
func (d *doc) peek() byte {
	if d.pos < len(d.text) {
		return d.text[d.pos]
	}
	return 0
}

func (d *doc) skip(chars string) {
	for d.pos < len(d.text) && strings.IndexByte(chars, d.text[d.pos]) >= 0 {
		d.pos++
	}
}

// skipBlank skips white space, line ends and comments.
func (d *doc) skipBlank() {
	for {
		d.skip(" \t\r\n")
		if d.peek() != '#' {
			return
		}
		d.restOfLine()
	}
}

// restOfLine goes to the beginning of the next line.
func (d *doc) restOfLine() {
	if i := strings.IndexByte(d.text[d.pos:], '\n'); i >= 0 {
		d.pos += i + 1
	} else {
		d.pos = len(d.text)
	}
}

// accept takes s if it is next.
func (d *doc) accept(s string) bool {
	if strings.HasPrefix(d.text[d.pos:], s) {
		d.pos += len(s)
		return true
	}
	return false
}

// endOfStatement takes what may follow a statement on its line.
func (d *doc) endOfStatement() error {
	d.skip(" \t\r")
	if c := d.peek(); d.pos < len(d.text) && c != '\n' && c != '#' {
		return errConfused
	}
	d.restOfLine()
	return nil
}

func (d *doc) header(line int) error {
	it := item{kind: header, from: line, section: -1, inside: -1, comma: -1}
	d.pos++
	if d.accept("[") {
		it.kind = element
	}
	keys, err := d.dotted()
	if err != nil {
		return err
	}
	it.path = d.resolve(keys, it.kind == element)
	if !d.accept("]") || it.kind == element && !d.accept("]") {
		return errConfused
	}
	if err := d.endOfStatement(); err != nil {
		return err
	}
	it.to = d.pos
	d.items = append(d.items, it)
	return nil
}

// resolve puts into the keys of a header which elements of arrays they lead
// through: always the latest.
func (d *doc) resolve(keys []string, isElement bool) Path {
	var p Path
	for i, k := range keys {
		p = append(p, Step{Key: k})
		name := p.String()
		if isElement && i == len(keys)-1 {
			d.counts[name]++
		}
		if n := d.counts[name]; n > 0 {
			p = append(p, Step{Elem: n})
		}
	}
	return p
}

// pair takes a key with its value.
func (d *doc) pair(line, section int) error {
	var above Path
	if section >= 0 {
		above = d.items[section].path
	}
	i, err := d.keyAndValue(above, section, -1)
	if err != nil {
		return err
	}
	if err := d.endOfStatement(); err != nil {
		return err
	}
	d.items[i].from, d.items[i].to = line, d.pos
	return nil
}

// keyAndValue takes both, and gives the number of the item.
func (d *doc) keyAndValue(above Path, section, inside int) (int, error) {
	from := d.pos
	keys, err := d.dotted()
	if err != nil {
		return 0, err
	}
	if !d.accept("=") {
		return 0, errConfused
	}
	d.skip(" \t")
	return d.value(append(above[:len(above):len(above)], Keys(keys...)...), from, section, inside)
}

// value takes a value, and gives the number of its item.
func (d *doc) value(path Path, from, section, inside int) (int, error) {
	i := len(d.items)
	d.items = append(d.items, item{path: path, from: from, section: section, inside: inside, comma: -1})
	start, k, err := d.pos, leaf, error(nil)
	switch c := d.peek(); c {
	case '"', '\'':
		_, err = d.quoted()
	case '[':
		k, err = array, d.inline(i, ']', func(n int) (int, error) {
			return d.value(path.Append(Step{Elem: n}), d.pos, section, i)
		})
	case '{':
		k, err = table, d.inline(i, '}', func(int) (int, error) { return d.keyAndValue(path, section, i) })
	default:
		d.bare()
	}
	if err == nil && d.pos == start {
		err = errConfused
	}
	it := &d.items[i]
	it.kind, it.value, it.to = k, [2]int{start, d.pos}, d.pos
	return i, err
}

// inline takes an array or a table that is written as a value.
func (d *doc) inline(i int, end byte, next func(n int) (int, error)) error {
	if d.depth++; d.depth > maxDepth {
		return errConfused
	}
	defer func() { d.depth-- }()
	d.pos++
	for n := 1; ; n++ {
		d.skipBlank()
		if d.peek() == end {
			d.pos++
			return nil
		}
		one, err := next(n)
		if err != nil {
			return err
		}
		d.skipBlank()
		if d.peek() == ',' {
			d.items[one].comma = d.pos
			d.pos++
		} else if d.peek() != end {
			return errConfused
		}
	}
}

// bare takes a value without quotes: a number, a boolean, a date with its time.
func (d *doc) bare() {
	n := strings.IndexAny(d.text[d.pos:], ",]}#\r\n")
	if n < 0 {
		n = len(d.text) - d.pos
	}
	d.pos += len(strings.TrimRight(d.text[d.pos:d.pos+n], " \t"))
}

// dotted takes a key of one or more parts, and the white space after it.
func (d *doc) dotted() (keys []string, err error) {
	for {
		d.skip(" \t")
		var key string
		if c := d.peek(); c == '"' || c == '\'' {
			key, err = d.quoted()
		} else {
			start := d.pos
			d.skip("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
			if key = d.text[start:d.pos]; key == "" {
				err = errConfused
			}
		}
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
		d.skip(" \t")
		if !d.accept(".") {
			return keys, nil
		}
	}
}

// quoted takes a string of any of the four kinds. What it stands for is given for
// those of one line, as only these are keys.
func (d *doc) quoted() (string, error) {
	quote := d.text[d.pos : d.pos+1]
	if three := strings.Repeat(quote, 3); d.accept(three) {
		for d.pos < len(d.text) {
			switch {
			case d.accept(three):
				// Up to two quotes may stand before the three that end it.
				for range 2 {
					d.accept(quote)
				}
				return "", nil
			case quote == `"` && d.peek() == '\\':
				d.pos = min(d.pos+2, len(d.text))
			default:
				d.pos++
			}
		}
		return "", errConfused
	}
	d.pos++
	start := d.pos
	for d.pos < len(d.text) {
		switch c := d.text[d.pos]; {
		case c == quote[0]:
			d.pos++
			return unescape(d.text[start:d.pos-1], quote == `"`)
		case c == '\n':
			return "", errConfused
		case c == '\\' && quote == `"`:
			d.pos = min(d.pos+2, len(d.text))
		default:
			d.pos++
		}
	}
	return "", errConfused
}

// unescape gives what the inside of a string stands for.
func unescape(s string, escapes bool) (string, error) {
	if !escapes || !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for s != "" {
		if s[0] != '\\' {
			b.WriteByte(s[0])
			s = s[1:]
			continue
		}
		if len(s) < 2 {
			return "", errConfused
		}
		digits := 0
		switch c := s[1]; c {
		case 'b':
			b.WriteByte('\b')
		case 't':
			b.WriteByte('\t')
		case 'n':
			b.WriteByte('\n')
		case 'f':
			b.WriteByte('\f')
		case 'r':
			b.WriteByte('\r')
		case 'e':
			b.WriteByte(0x1b)
		case '"', '\\':
			b.WriteByte(c)
		case 'x':
			digits = 2
		case 'u':
			digits = 4
		case 'U':
			digits = 8
		default:
			return "", errConfused
		}
		s = s[2:]
		if digits > 0 {
			r, err := hex(s, digits)
			if err != nil {
				return "", err
			}
			b.WriteRune(r)
			s = s[digits:]
		}
	}
	return b.String(), nil
}

// hex reads the number of a character.
func hex(s string, digits int) (rune, error) {
	if len(s) < digits {
		return 0, errConfused
	}
	n := rune(0)
	for _, c := range []byte(s[:digits]) {
		i := strings.IndexByte("0123456789abcdef", c|0x20)
		if i < 0 || n > utf8.MaxRune {
			return 0, errConfused
		}
		n = n<<4 | rune(i)
	}
	if !utf8.ValidRune(n) {
		return 0, errConfused
	}
	return n, nil
}
