package tomledit

import (
	"slices"
	"strings"
)

// insert puts a key where there is none yet. From its table upwards it looks for one
// that the text has, because TOML allows a table to be added to only in the way in
// which it was begun: below its header, within its braces, or by dotted keys.
func (d *doc) insert(p Path, literal string) (string, error) {
	table, key := p[:len(p)-1], p[len(p)-1].Key
	for n := len(table); n >= 0; n-- {
		if i := d.inlineAt(p[:n]); i >= 0 && isKeys(p[n:]) {
			return d.insertInline(i, dottedKey(p[n:])+" = "+literal), nil
		}
		if i := d.headerAt(table); n == len(table) && (i >= 0 || n == 0) {
			return d.insertLine(i, Value{Key(key), literal}), nil
		}
		if i := d.dottedBelow(p[:n]); i >= 0 {
			it, from := d.items[i], 0
			if it.section >= 0 {
				from = len(d.items[it.section].path)
			}
			if !isKeys(p[from:]) {
				return "", errConfused
			}
			return d.insertAt(it.to, d.indent(it.from)+dottedKey(p[from:])+" = "+literal), nil
		}
	}
	if !isKeys(table) {
		return "", errConfused
	}
	return d.insertSection(table, "["+dottedKey(table)+"]", []Value{{key, literal}}), nil
}

func isKeys(p Path) bool { return !slices.ContainsFunc(p, func(s Step) bool { return s.Elem > 0 }) }

func dottedKey(p Path) string { return p.String() }

// inlineAt is the item of a table or array at p that is written as a value; -1 for none.
func (d *doc) inlineAt(p Path) int {
	return slices.IndexFunc(d.items, func(it item) bool {
		return (it.kind == table || it.kind == array) && slices.Equal(it.path, p)
	})
}

// headerAt is the header of the table at p; -1 for none.
func (d *doc) headerAt(p Path) int {
	return slices.IndexFunc(d.items, func(it item) bool { return it.isHeader() && slices.Equal(it.path, p) })
}

// dottedBelow is the last statement whose dotted key leads through the table at p; -1 for none.
func (d *doc) dottedBelow(p Path) int {
	last := -1
	for i, it := range d.items {
		if it.isHeader() || it.inside >= 0 || len(it.path) <= len(p) || !it.path.under(p) {
			continue
		}
		if from := 0; it.section >= 0 {
			if from = len(d.items[it.section].path); from >= len(p) {
				continue
			}
		} else if len(p) == 0 {
			continue
		}
		last = i
	}
	return last
}

// insertLine puts a key into the section of header i, or before all headers with -1.
func (d *doc) insertLine(i int, v Value) string {
	last, line := -1, v.Key+" = "+v.Literal
	for j, it := range d.items {
		if it.section == i && it.inside < 0 && !it.isHeader() {
			last = j
		}
	}
	switch {
	case last >= 0:
		return d.insertAt(d.items[last].to, d.indent(d.items[last].from)+line)
	case i >= 0:
		return d.insertAt(d.items[i].to, d.indent(d.items[i].from)+line)
	}
	if i := slices.IndexFunc(d.items, func(it item) bool { return it.isHeader() }); i >= 0 {
		return d.insertAt(d.blockStart(i), line, "")
	}
	if len(d.comments) > 0 && !d.blankBefore(len(d.text)) {
		return d.insertAt(len(d.text), "", line)
	}
	return d.insertAt(len(d.text), line)
}

// insertSection puts a header with its keys after what the text has of the same kind,
// else at its end.
func (d *doc) insertSection(p Path, header string, values []Value) string {
	lines := []string{header}
	for _, v := range values {
		lines = append(lines, Key(v.Key)+" = "+v.Literal)
	}
	at := len(d.text)
	for _, it := range d.items {
		if it.isHeader() && it.path[0].is(p[0]) || it.section >= 0 && it.inside < 0 && d.items[it.section].path[0].is(p[0]) {
			at = d.blockEnd(it.to)
		}
	}
	if !d.blankBefore(at) {
		lines = append([]string{""}, lines...)
	}
	if at < len(d.text) && !d.blankAfter(at) {
		lines = append(lines, "")
	}
	return d.insertAt(at, lines...)
}

// insertAt puts lines where one begins, or at the end.
func (d *doc) insertAt(at int, lines ...string) string {
	nl := d.newline()
	var b strings.Builder
	b.WriteString(d.text[:at])
	if at > d.start() && d.text[at-1] != '\n' {
		b.WriteString(nl)
	}
	for _, l := range lines {
		b.WriteString(l)
		b.WriteString(nl)
	}
	b.WriteString(d.text[at:])
	return b.String()
}

// insertInline puts what, a key with its value or an element, at the end of item i,
// a table or array that is written as a value.
func (d *doc) insertInline(i int, what string) string {
	last := -1
	for j, it := range d.items {
		if it.inside == i {
			last = j
		}
	}
	if last < 0 {
		at := d.items[i].value[0] + 1
		switch d.text[at] {
		case ']':
		case '}':
			what = " " + what + " "
		default:
			what = " " + what
		}
		return d.text[:at] + what + d.text[at:]
	}
	it, comma := d.items[last], ","
	at := it.to
	if it.comma >= 0 {
		at, comma = it.comma+1, ""
	}
	head, tail := d.text[:at]+comma, d.text[at:]
	indent, ownLine := d.lineBefore(it.from)
	if !ownLine {
		return head + " " + what + tail
	}
	// A comment behind the last one stays behind it.
	if rest, after, ok := strings.Cut(tail, "\n"); ok {
		if t := strings.TrimLeft(rest, " \t\r"); t == "" || t[0] == '#' {
			return head + rest + "\n" + indent + what + trailing(it.comma >= 0) + d.newline() + after
		}
	}
	return head + d.newline() + indent + what + trailing(it.comma >= 0) + tail
}

func trailing(comma bool) string {
	if comma {
		return ","
	}
	return ""
}

// start is where the text begins, after a byte order mark.
func (d *doc) start() int {
	switch {
	case strings.HasPrefix(d.text, "\xef\xbb\xbf"):
		return 3
	case strings.HasPrefix(d.text, "\xff\xfe"), strings.HasPrefix(d.text, "\xfe\xff"):
		return 2
	}
	return 0
}

// newline is how the text ends its lines.
func (d *doc) newline() string {
	if i := strings.IndexByte(d.text, '\n'); i > 0 && d.text[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// lineBefore is what stands on the line before a position, and whether that is
// white space only.
func (d *doc) lineBefore(at int) (string, bool) {
	before := d.text[strings.LastIndexByte(d.text[:at], '\n')+1 : at]
	return before, strings.Trim(before, " \t") == ""
}

// indent is the white space at the beginning of a line.
func (d *doc) indent(line int) string {
	rest := d.text[line:]
	return rest[:len(rest)-len(strings.TrimLeft(rest, " \t"))]
}

// blankBefore: the line before the one at a position is blank, or there is none.
func (d *doc) blankBefore(at int) bool {
	before := d.text[d.start():at]
	if strings.TrimSpace(before) == "" {
		return true
	}
	body, ok := strings.CutSuffix(before, "\n")
	return ok && strings.Trim(body[strings.LastIndexByte(body, '\n')+1:], " \t\r") == ""
}

// blankAfter: the line at a position is blank.
func (d *doc) blankAfter(at int) bool {
	line, _, _ := strings.Cut(d.text[at:], "\n")
	return strings.Trim(line, " \t\r") == ""
}

// blockStart is where the comments right above header i begin, which are about it;
// but not those at the top of the text, which are about all of it.
func (d *doc) blockStart(i int) int {
	at := d.items[i].from
	for moved := true; moved; {
		moved = false
		for from, to := range d.comments {
			if to == at && from < to {
				at, moved = from, true
				break
			}
		}
	}
	if at <= d.start() {
		return d.items[i].from
	}
	return at
}

// blockEnd is where the comments right below a section's last line end, unless they
// stand right above what comes next.
func (d *doc) blockEnd(at int) int {
	to := at
	for {
		next, ok := d.comments[to]
		if !ok {
			break
		}
		to = next
	}
	if to == len(d.text) || d.blankAfter(to) {
		return to
	}
	return at
}
