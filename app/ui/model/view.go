package model

// View is the log as one table shows it: filtered, newest first, and held still
// while a person reads. It belongs to the window's goroutine.
type View struct {
	store *Store
	sieve sieve

	rows   []*Request // oldest first
	batch  []*Request // reused between calls of Sync
	last   uint64     // ID up to which the Store has been read
	turn   uint64     // and the changes of rows
	epoch  int
	frozen bool
	held   uint64 // the youngest row that is shown while frozen
	fresh  int    // matching rows that came while frozen
}

// NewView returns a view of all requests.
func NewView(s *Store) *View { return &View{store: s} }

// Sync takes in what has happened, and reports whether rows or Fresh changed.
func (v *View) Sync() bool {
	var news News
	v.batch, news = v.store.Since(v.last, v.turn, v.batch[:0])
	defer clear(v.batch)
	if news.Epoch != v.epoch {
		v.rebuild()
		return true
	}
	v.last, v.turn = news.Last, news.Turn
	changed := false
	for _, r := range news.Changed {
		changed = v.replace(r) || changed
	}
	for _, r := range v.batch {
		if !v.sieve.passes(r) {
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

// replace puts a changed row in its place, wherever people look at it: also while the
// rows are held still, since it does not move.
func (v *View) replace(r *Request) bool {
	if i := v.find(r.ID); i >= 0 {
		v.rows[i] = r
		return true
	}
	return false
}

// rebuild reads the whole log again.
func (v *View) rebuild() {
	v.rows, v.fresh = v.rows[:0:0], 0
	var news News
	v.batch, news = v.store.Since(0, 0, v.batch[:0])
	v.last, v.turn, v.epoch = news.Last, news.Turn, news.Epoch
	v.take()
	if len(v.rows) == 0 && v.fresh > 0 {
		// Nothing is left that a person could be reading.
		v.fresh, v.held = 0, v.last
		v.take()
	}
	clear(v.batch)
}

// take sorts the batch into rows and, of those that came while frozen, a number.
func (v *View) take() {
	for _, r := range v.batch {
		switch {
		case !v.sieve.passes(r):
		case v.frozen && r.ID > v.held:
			v.fresh++
		default:
			v.rows = append(v.rows, r)
		}
	}
}

// SetFilter narrows the view.
func (v *View) SetFilter(f Filter) {
	v.sieve = newSieve(f)
	v.rebuild()
}

// Filtered reports whether anything but the choice of a tunnel narrows the view.
func (v *View) Filtered() bool { return v.sieve.Narrows() }

// Freeze holds the rows still, or lets them follow again.
func (v *View) Freeze(frozen bool) {
	if v.frozen == frozen {
		return
	}
	v.frozen, v.held = frozen, v.last
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
	if i := v.find(id); i >= 0 {
		return len(v.rows) - 1 - i
	}
	return -1
}

// find is Index, counted from the oldest.
func (v *View) find(id uint64) int {
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
		return lo
	}
	return -1
}
