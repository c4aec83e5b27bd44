package model

import "strings"

// View is the log as one table shows it: filtered, newest first, and held still
// while a person reads. It belongs to the window's goroutine.
type View struct {
	store  *Store
	tunnel string
	words  []string

	rows   []*Request // oldest first
	batch  []*Request // reused between calls of Sync
	last   uint64     // ID up to which the Store has been read
	epoch  int
	frozen bool
	fresh  int // matching rows that came while frozen
}

// NewView returns a view of all requests.
func NewView(s *Store) *View { return &View{store: s} }

// Sync takes in what has happened, and reports whether rows or Fresh changed.
func (v *View) Sync() bool {
	var epoch int
	v.batch, v.last, epoch = v.store.Since(v.last, v.batch[:0])
	defer clear(v.batch)
	if epoch != v.epoch {
		v.epoch = epoch
		v.rebuild()
		return true
	}
	changed := false
	for _, r := range v.batch {
		if !v.matches(r) {
			continue
		}
		changed = true
		if v.frozen {
			v.fresh++
		} else {
			v.rows = append(v.rows, r)
		}
	}
	if over := len(v.rows) - Capacity; over > 0 {
		clear(v.rows[:over])
		v.rows = v.rows[over:]
	}
	return changed
}

// rebuild reads the whole log again.
func (v *View) rebuild() {
	v.rows, v.fresh = v.rows[:0:0], 0
	v.batch, v.last, v.epoch = v.store.Since(0, v.batch[:0])
	for _, r := range v.batch {
		if v.matches(r) {
			v.rows = append(v.rows, r)
		}
	}
	clear(v.batch)
}

func (v *View) matches(r *Request) bool {
	return (v.tunnel == "" || r.Tunnel == v.tunnel) && r.Matches(v.words)
}

// Filter narrows the view to one tunnel ("" for all) and to rows with the words.
func (v *View) Filter(tunnel, text string) {
	v.tunnel, v.words = tunnel, strings.Fields(strings.ToLower(text))
	v.rebuild()
}

// Filtered reports whether words narrow the view.
func (v *View) Filtered() bool { return len(v.words) > 0 }

// Freeze holds the rows still, or lets them follow again.
func (v *View) Freeze(frozen bool) {
	if v.frozen == frozen {
		return
	}
	v.frozen = frozen
	if !frozen {
		v.rebuild()
	}
}

// Frozen reports whether the rows are held still.
func (v *View) Frozen() bool { return v.frozen }

// Fresh counts the matching requests that came while frozen.
func (v *View) Fresh() int { return v.fresh }

// Len is the number of rows.
func (v *View) Len() int { return len(v.rows) }

// At returns row i, the newest being 0.
func (v *View) At(i int) *Request { return v.rows[len(v.rows)-1-i] }

// Index finds the row of a request, or -1.
func (v *View) Index(id uint64) int {
	lo, hi := 0, len(v.rows)
	for lo < hi {
		mid := (lo + hi) / 2
		if v.rows[mid].ID < id {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(v.rows) && v.rows[lo].ID == id {
		return len(v.rows) - 1 - lo
	}
	return -1
}
