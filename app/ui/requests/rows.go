package requests

import "culvert/app/ui/model"

// Rows are what a Table shows, the newest being row 0: the live log, or what was
// found in the history.
type Rows interface {
	// Sync takes in what has happened, and reports whether rows or Fresh changed.
	Sync() bool
	Len() int
	At(i int) *model.Request
	// Index finds the row of a request, or -1.
	Index(id uint64) int
	// Freeze holds the rows still while a person reads, and Fresh counts those that
	// came meanwhile.
	Freeze(frozen bool)
	Fresh() int
}

var _ Rows = (*model.View)(nil)
