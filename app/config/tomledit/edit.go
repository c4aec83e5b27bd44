package tomledit

import (
	"slices"
	"strings"
)

// Set gives a value to the key that p leads to. What is not there yet comes where
// the rest of its table stands, else into a table of its own.
func Set(text string, p Path, literal string) (string, error) {
	d, err := scan(text)
	if err != nil {
		return "", err
	}
	p = d.spell(p)
	for _, it := range d.items {
		if !it.isHeader() && slices.Equal(it.path, p) {
			return text[:it.value[0]] + literal + text[it.value[1]:], nil
		}
	}
	return d.insert(p, literal)
}

// Remove takes away what p leads to, with all that is in it and with the comments
// right above its headers.
func Remove(text string, p Path) (string, error) {
	for left := -1; left != 0; left-- {
		d, err := scan(text)
		if err != nil {
			return "", err
		}
		all := d.tops(d.spell(p))
		if left < 0 {
			left = len(all)
		}
		if left == 0 {
			break
		}
		// From the end: an element's own header, which gives the next one its number,
		// goes last.
		text = d.cut(all[left-1])
	}
	return text, nil
}

// Line is the line, from 1, on which the text has what p leads to; 0 if it has not.
func Line(text string, p Path) int {
	d, err := scan(text)
	if err != nil {
		return 0
	}
	tops := d.tops(d.spell(p))
	if len(tops) == 0 {
		return 0
	}
	it := d.items[tops[0]]
	at := it.from
	if !it.isHeader() {
		at = it.value[0]
	}
	return 1 + strings.Count(text[:at], "\n")
}

// spell gives p as the text spells it, where it has it, without any Fold.
func (d *doc) spell(p Path) Path {
	q := slices.Clone(p)
	for i := range q {
		if q[i].Elem > 0 || !q[i].Fold {
			continue
		}
		q[i].Fold = false
		for _, it := range d.items {
			if len(it.path) > i && it.path[:i].under(q[:i]) && it.path[i].is(p[i]) {
				q[i].Key = it.path[i].Key
				if q[i].Key == p[i].Key {
					break // the very spelling comes first
				}
			}
		}
	}
	return q
}

// tops are the items at or below p that are in nothing else there.
func (d *doc) tops(p Path) (all []int) {
	for i, it := range d.items {
		switch {
		case !it.path.under(p):
		case it.inside >= 0 && d.items[it.inside].path.under(p):
		case it.inside < 0 && it.section >= 0 && d.items[it.section].path.under(p):
		default:
			all = append(all, i)
		}
	}
	return all
}
