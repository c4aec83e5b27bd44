package history

import (
	"sync"

	"culvert/app/exchange"
)

// The bounds of the queue. At 2,000 exchanges a second the disk may stand still for
// four seconds before anything is lost.
const (
	maxQueued      = 8192
	maxQueuedBytes = 64 << 20
	// manyQueued are written at once instead of waiting for company.
	manyQueued = 512
)

// overhead is about what an exchange takes in memory and on disk beside its bodies.
const overhead = 1 << 10

// queue is what waits for the disk.
type queue struct {
	some, many chan struct{} // have room for one: there is something, or much, to do

	mu     sync.Mutex
	items  []*exchange.Exchange
	bytes  int64
	closed bool
}

func newQueue() *queue {
	return &queue{some: make(chan struct{}, 1), many: make(chan struct{}, 1)}
}

// add reports whether there was room.
func (q *queue) add(x *exchange.Exchange) bool {
	size := weight(x)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.items) >= maxQueued || q.bytes+size > maxQueuedBytes && len(q.items) > 0 {
		return false
	}
	q.items = append(q.items, x)
	q.bytes += size
	mark(q.some)
	if len(q.items) >= manyQueued {
		mark(q.many)
	}
	return true
}

// take empties the queue.
func (q *queue) take() []*exchange.Exchange {
	q.mu.Lock()
	defer q.mu.Unlock()
	items := q.items
	q.items, q.bytes = nil, 0
	select {
	case <-q.many:
	default:
	}
	return items
}

// close makes add refuse.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

// weight is about what an exchange takes in memory.
func weight(x *exchange.Exchange) int64 {
	n := int64(overhead + len(x.Request.Body) + len(x.Response.Body))
	for i := range x.Messages {
		n += int64(overhead/8 + len(x.Messages[i].Data))
	}
	return n
}

func mark(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
