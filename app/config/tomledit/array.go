package tomledit

import (
	"errors"
	"slices"
	"strings"
)

// Append puts one more table at the end of the array of tables that the text has,
// or is to have, under a key of its top.
func Append(text string, key Step, values []Value) (string, error) {
	d, err := scan(text)
	if err != nil {
		return "", err
	}
	p := d.spell(Path{key})
	if i := d.inlineAt(p); i >= 0 {
		var pairs []string
		for _, v := range values {
			pairs = append(pairs, Key(v.Key)+" = "+v.Literal)
		}
		return d.insertInline(i, "{ "+strings.Join(pairs, ", ")+" }"), nil
	}
	return d.insertSection(p, "[["+p.String()+"]]", values), nil
}

// Order puts the elements of such an array into another order: first the one with
// the number that order begins with, and so on. The numbers count from 1, and each
// stands in it once.
func Order(text string, key Step, order []int) (string, error) {
	for i, n := range slices.Sorted(slices.Values(order)) {
		if n != i+1 {
			return "", errors.New("the order does not name every element once")
		}
	}
	d, err := scan(text)
	if err != nil {
		return "", err
	}
	p := d.spell(Path{key})
	elements := make([][]extent, len(order))
	i := d.inlineAt(p)
	for n := range elements {
		if elements[n] = d.pieces(p.Append(Step{Elem: n + 1}), i >= 0); len(elements[n]) == 0 {
			return "", errConfused
		}
	}
	var swaps []swap
	for slot, n := range order {
		if n != slot+1 {
			swaps = append(swaps, swap{elements[slot][0], d.join(elements[n-1], i >= 0)})
			for _, rest := range elements[slot][1:] {
				swaps = append(swaps, swap{rest, ""})
			}
		}
	}
	slices.SortFunc(swaps, func(a, b swap) int { return b.where.from - a.where.from })
	for _, s := range swaps {
		text = text[:s.where.from] + s.text + text[s.where.to:]
	}
	return text, nil
}

// extent is a part of the text.
type extent struct{ from, to int }

// swap is what comes in place of a part.
type swap struct {
	where extent
	text  string
}

// pieces are where the element at p stands: its value, or its section and the
// sections of the tables within it, between which those of others may stand.
func (d *doc) pieces(p Path, inline bool) (all []extent) {
	for i, it := range d.items {
		switch {
		case inline && slices.Equal(it.path, p):
			return []extent{{it.value[0], it.value[1]}}
		case inline || !it.isHeader() || !it.path.under(p):
			continue
		}
		from, to := d.block(i)
		if n := len(all); n > 0 && strings.TrimSpace(d.text[all[n-1].to:from]) == "" {
			all[n-1].to = to
		} else {
			all = append(all, extent{from, to})
		}
	}
	return all
}

// join is the text of pieces: a value, or sections one below the other.
func (d *doc) join(pieces []extent, inline bool) string {
	if inline {
		return d.text[pieces[0].from:pieces[0].to]
	}
	var b strings.Builder
	for i, e := range pieces {
		if i > 0 {
			b.WriteString(d.newline())
		}
		b.WriteString(d.text[e.from:e.to])
		if !strings.HasSuffix(b.String(), "\n") {
			b.WriteString(d.newline()) // it was the end of the text
		}
	}
	return b.String()
}
