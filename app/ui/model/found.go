package model

// Found is what was found in the history, as a table shows it: newest first, and
// growing at its old end. It belongs to the window's goroutine.
type Found struct {
	rows    []*Request // newest first
	changed bool
}

// MaxFound bounds the rows of a Found: who looks for something older has to narrow the
// search.
const MaxFound = 5000

// newest is the ID of the first row; older ones count down from it.
const newest = uint64(1) << 62

// Reset empties it for another search.
func (f *Found) Reset() { f.rows, f.changed = nil, true }

// Add puts rows beneath those that are there, newest first, and gives them their IDs.
// It reports whether there is room for more.
func (f *Found) Add(rows []*Request) bool {
	for _, r := range rows[:min(len(rows), MaxFound-len(f.rows))] {
		r.bound()
		r.ID = newest - uint64(len(f.rows))
		f.rows = append(f.rows, r)
	}
	f.changed = true
	return len(f.rows) < MaxFound
}

// Sync reports whether rows have come or gone since the last time.
func (f *Found) Sync() bool {
	changed := f.changed
	f.changed = false
	return changed
}

// Len is the number of rows.
func (f *Found) Len() int { return len(f.rows) }

// At returns row i, the newest being 0.
func (f *Found) At(i int) *Request { return f.rows[i] }

// Index finds the row of a request, or -1.
func (f *Found) Index(id uint64) int {
	if i := newest - id; i < uint64(len(f.rows)) {
		return int(i)
	}
	return -1
}

// Freeze does nothing: what was found stays where it is.
func (f *Found) Freeze(bool) {}

// Frozen is always false.
func (f *Found) Frozen() bool { return false }

// Fresh is always 0.
func (f *Found) Fresh() int { return 0 }
