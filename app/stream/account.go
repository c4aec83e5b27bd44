package stream

// account is what one direction holds of a budget between two calls of Write. The
// zero value has no budget, and counts nothing.
type account struct {
	reserve func(n int64) bool
	release func(n int64)
	held    int64
}

// take is false if the budget does not have so much left.
func (a *account) take(n int) bool {
	if a.reserve == nil || n <= 0 {
		return true
	}
	if !a.reserve(int64(n)) {
		return false
	}
	a.held += int64(n)
	return true
}

func (a *account) give(n int) {
	if a.reserve == nil || n <= 0 {
		return
	}
	a.release(int64(n))
	a.held -= int64(n)
}

// close gives back all that is left.
func (a *account) close() { a.give(int(a.held)) }

// leastRoom is the first room that a buffer gets.
const leastRoom = 256

// extend adds p to a buffer that may hold most bytes, and keeps what is paid for to
// its capacity. It is false if the budget has no more: then nothing was added.
func (a *account) extend(b *[]byte, p []byte, most int) bool {
	if need := len(*b) + len(p); need > cap(*b) {
		room := min(max(2*cap(*b), need, leastRoom), max(most, need))
		// For a moment there are both, old and new.
		if !a.take(room - cap(*b)) {
			return false
		}
		grown := make([]byte, len(*b), room)
		copy(grown, *b)
		*b = grown
	}
	*b = append(*b, p...)
	return true
}

// drop gives up a buffer, which may be somebody else's now.
func (a *account) drop(b *[]byte) {
	a.give(cap(*b))
	*b = nil
}
