package tomledit

import "strings"

// cut is the text without item i and what is in it.
func (d *doc) cut(i int) string {
	it := d.items[i]
	switch {
	case it.inside >= 0:
		return d.cutInline(it)
	case it.isHeader():
		return d.cutLines(d.block(i))
	}
	return d.cutLines(it.from, it.to)
}

// block is where header i stands with all of its section.
func (d *doc) block(i int) (from, to int) {
	to = d.items[i].to
	for _, it := range d.items[i+1:] {
		if it.section == i && it.inside < 0 && !it.isHeader() {
			to = it.to
		}
	}
	return d.blockStart(i), d.blockEnd(to)
}

// cutLines takes lines away, and the blank ones after them where there are some
// before them as well.
func (d *doc) cutLines(from, to int) string {
	head, tail := d.text[:from], d.text[to:]
	if !d.blankBefore(from) {
		return head + tail
	}
	for tail != "" {
		line, rest, ok := strings.Cut(tail, "\n")
		if strings.Trim(line, " \t\r") != "" {
			return head + tail
		}
		if tail = rest; !ok {
			break
		}
	}
	// It was the end of the text.
	for {
		body, ok := strings.CutSuffix(head, "\n")
		line := body[strings.LastIndexByte(body, '\n')+1:]
		if !ok || len(head)-len(line) <= d.start() || strings.Trim(line, " \t\r") != "" {
			return head
		}
		head = head[:len(head)-len(line)-1]
	}
}

// cutInline takes a key or an element out of a value, with the comma that is not
// needed any more, and with its line if nothing else stands there but a comment.
func (d *doc) cutInline(it item) string {
	from, to, comma := it.from, it.to, it.comma
	if comma >= 0 && strings.TrimSpace(d.text[to:comma]) == "" {
		to, comma = comma+1, -1
	} else if comma < 0 {
		comma = d.lastComma(it.inside, from)
	}
	before, alone := d.lineBefore(from)
	rest, _, _ := strings.Cut(d.text[to:], "\n")
	rest = strings.TrimLeft(rest, " \t\r")
	switch {
	case alone && (rest == "" || rest[0] == '#'):
		from -= len(before)
		if i := strings.IndexByte(d.text[to:], '\n'); i >= 0 {
			to += i + 1
		}
		if it.comma < 0 && d.items[it.inside].kind == array {
			comma = -1 // one at the end of an array does no harm
		}
	case it.comma >= 0:
		to += len(d.text[to:]) - len(strings.TrimLeft(d.text[to:], " \t"))
	case comma >= 0 && strings.TrimSpace(d.text[comma+1:from]) == "":
		from, comma = comma, -1
	}
	switch {
	case comma < 0:
		return d.text[:from] + d.text[to:]
	case comma < from:
		return d.text[:comma] + d.text[comma+1:from] + d.text[to:]
	}
	return d.text[:from] + d.text[to:comma] + d.text[comma+1:]
}

// lastComma is the last one before a position in the value of item i; -1 for none.
func (d *doc) lastComma(i, before int) int {
	last := -1
	for _, it := range d.items {
		if it.inside == i && it.comma >= 0 && it.comma < before {
			last = it.comma
		}
	}
	return last
}
