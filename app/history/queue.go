package history

import (
	"sync"

	"culvert/app/exchange"
)

// The bounds of the queue. At 2,000 exchanges a second for long, what the writer does not
// take in the time that it leaves to the traffic is lost after some four seconds.
const (
	maxQueued      = 8192
	maxQueuedBytes = 64 << 20
	// manyQueued are written at once instead of waiting for company.
	manyQueued = 512
)

// queue is what waits for the disk.
type queue struct {
	some, many chan struct{} // have room for one: there is something, or much, to do

	mu     sync.Mutex
	items  []*exchange.Exchange
	bytes  int64
	taken  int            // that ever left
	open   map[string]int // where those are that still go on, counted from the first ever
	closed bool
}

func newQueue() *queue {
	return &queue{open: map[string]int{}, some: make(chan struct{}, 1), many: make(chan struct{}, 1)}
}

// add reports whether there was room.
func (q *queue) add(x *exchange.Exchange) bool {
	size := exchange.Weight(x)
	q.mu.Lock()
	defer q.mu.Unlock()
	if i, ok := q.open[x.ID]; ok && !q.closed && q.items[i-q.taken].Start.Equal(x.Start) {
		more := size - exchange.Weight(q.items[i-q.taken])
		if q.bytes+more > maxQueuedBytes {
			return false
		}
		q.items[i-q.taken] = x // one is enough to be written
		q.bytes += more
		if !x.Open {
			delete(q.open, x.ID)
		}
		return true
	}
	if q.closed || len(q.items) >= maxQueued || q.bytes+size > maxQueuedBytes && len(q.items) > 0 {
		return false
	}
	if x.Open && x.ID != "" {
		q.open[x.ID] = q.taken + len(q.items)
	}
	q.items = append(q.items, x)
	q.bytes += size
	mark(q.some)
	if len(q.items) >= manyQueued {
		mark(q.many)
	}
	return true
}

// next takes the oldest one out, or gives nil.
func (q *queue) next() *exchange.Exchange {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		return nil
	}
	x := q.items[0]
	q.items[0] = nil // it may be collected while others are still waiting
	q.items = q.items[1:]
	if i, ok := q.open[x.ID]; ok && i == q.taken {
		delete(q.open, x.ID)
	}
	q.taken++
	q.bytes -= exchange.Weight(x)
	return x
}

// added is how many have ever come.
func (q *queue) added() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.taken + len(q.items)
}

// length also forgets that there were many.
func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-q.many:
	default:
	}
	return len(q.items)
}

// empty throws everything away, and gives how many that were.
func (q *queue) empty() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := len(q.items)
	q.items, q.bytes = nil, 0
	q.taken += n
	clear(q.open)
	return n
}

// close makes add refuse.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

func mark(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
