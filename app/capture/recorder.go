// Package capture records the exchanges that pass a tunnel, for the request log.
//
// It is a tee beside the traffic and never part of it: whoever forwards an
// exchange tells a Record what passes, and finished records wait in a bounded
// queue for one goroutine that hands them out. Bodies are kept up to a cap each
// and within one budget of memory. When the budget is used up bodies are left
// out, when the queue is full whole exchanges are, and both is said; recording
// never waits for anyone.
package capture

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"culvert/backend/wire"
)

// Defaults of Config.
const (
	DefaultQueue   = 1024
	DefaultMaxBody = 1 << 20
	DefaultMemory  = 64 << 20
)

// Config says what is recorded and who gets it. The zero value of a number is
// its default.
type Config struct {
	// Bodies keeps bodies. Without it, they are only counted.
	Bodies bool
	// Queue is how many finished exchanges may wait for OnExchange.
	Queue int
	// MaxBody is how many bytes of one body are kept.
	MaxBody int
	// Memory is how many bytes all bodies and messages may take together, also those
	// that are being read, from an exchange's beginning until OnExchange has returned. Whoever keeps them for
	// longer bounds that himself.
	Memory int64
	// Rate is how many exchanges a second are handed out for long, and BodyRate how many
	// bytes of bodies a second are kept for long: 0 for as many as come. A burst may be
	// larger: 16,384 exchanges, and as many bytes as Memory has. What comes beyond that is
	// dropped: nobody reads as fast, and keeping it would cost the traffic too much.
	Rate     int
	BodyRate int64
	// OnExchange gets every finished exchange, one at a time. While it takes its
	// time the queue fills, and then exchanges are dropped. Bodies are gone when it
	// has returned, unless it calls Exchange.Keep.
	OnExchange func(*Exchange)
	// OnStream, if there is one, gets every exchange that turns out to last, in turn
	// with OnExchange, which gets it once more when it is over. Without it, messages
	// of streams are not read. While the queue is full it is not called; the last
	// word is Stream.Done, because OnExchange may have been left out as well.
	OnStream func(*Stream)
	// OnDropped, if there is one, gets the number of exchanges that were dropped
	// since its last call. It is called in turn with OnExchange.
	OnDropped func(n int)
}

func (c *Config) validate() error {
	if c.OnExchange == nil {
		return fmt.Errorf("capture: OnExchange is missing")
	}
	if c.Queue < 0 || c.MaxBody < 0 || c.Memory < 0 || c.Rate < 0 || c.BodyRate < 0 {
		return fmt.Errorf("capture: a limit is negative (queue %d, body %d, memory %d, rate %d, of bodies %d)", c.Queue, c.MaxBody, c.Memory, c.Rate, c.BodyRate)
	}
	return nil
}

// burst is how many exchanges may come at once before Config.Rate counts.
const burst = 16 << 10

// Recorder hands out what its Records have seen. A nil Recorder records nothing.
type Recorder struct {
	bodies     bool
	maxBody    int
	onExchange func(*Exchange)
	onStream   func(*Stream)
	onDropped  func(int)

	rate, bodyRate allowance

	memory  atomic.Int64 // what is left of the budget
	dropped atomic.Int64 // not yet reported
	parts   sync.Pool    // of *part

	mu      sync.RWMutex // held for writing only to close the queue
	queue   chan item
	closed  bool
	closing chan struct{} // closed with the queue
	done    chan struct{} // closed when all was delivered
}

// New starts a Recorder. Close stops it.
func New(cfg Config) (*Recorder, error) {
	r, err := newRecorder(cfg)
	if err != nil {
		return nil, err
	}
	go r.deliver()
	return r, nil
}

func newRecorder(cfg Config) (*Recorder, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Queue == 0 {
		cfg.Queue = DefaultQueue
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = DefaultMaxBody
	}
	if cfg.Memory == 0 {
		cfg.Memory = DefaultMemory
	}
	r := &Recorder{
		bodies:     cfg.Bodies,
		maxBody:    cfg.MaxBody,
		onExchange: cfg.OnExchange,
		onStream:   cfg.OnStream,
		onDropped:  cfg.OnDropped,
		queue:      make(chan item, cfg.Queue),
		closing:    make(chan struct{}),
		done:       make(chan struct{}),
	}
	r.memory.Store(cfg.Memory)
	r.rate.init(int64(cfg.Rate), burst)
	r.bodyRate.init(cfg.BodyRate, cfg.Memory)
	return r, nil
}

// Close hands out what is queued, stops, and waits for that. Records that end
// later are forgotten. It must not be called from OnExchange or OnDropped.
func (r *Recorder) Close() {
	if r == nil {
		return
	}
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		close(r.closing)
		close(r.queue)
	}
	r.mu.Unlock()
	<-r.done
}

// Begin starts the record of one exchange.
func (r *Recorder) Begin(id string, head *wire.RequestHead) *Record {
	if r == nil {
		return nil
	}
	rec := &Record{recorder: r}
	rec.exchange = Exchange{
		ID:            id,
		Start:         time.Now(),
		RemoteAddr:    head.RemoteAddr,
		Method:        head.Method,
		Path:          head.Target,
		Host:          head.Host,
		Prefix:        head.Prefix,
		Upgrade:       head.Upgrade,
		RequestHeader: head.Header,
		RequestBody:   &rec.request.body,
		ResponseBody:  &rec.response.body,
	}
	rec.request.open(r, head.ContentLength)
	if head.Upgrade != "" {
		rec.request.body.open = false // frames of a WebSocket are no body
	}
	return rec
}

// item is what is handed out next: one of the two, or none for a look at dropped.
type item struct {
	rec    *Record
	opened *Stream
}

// finish queues a record, or drops it and counts that. Somebody waits for what was
// repeated, and for the end of a stream that he knows of: Rate is not for these.
func (r *Recorder) finish(rec *Record) {
	r.mu.RLock()
	queued := false
	switch {
	case r.closed:
	case rec.exchange.ReplayOf == "" && rec.stream.Load() == nil && !r.rate.take(1):
		if r.dropped.Add(1) == 1 {
			select {
			case r.queue <- item{}: // to have that reported
			default:
			}
		}
	default:
		select {
		case r.queue <- item{rec: rec}:
			queued = true
		default:
			r.dropped.Add(1)
		}
	}
	r.mu.RUnlock()
	if !queued {
		rec.release()
	}
}

// announce queues a stream that has begun, unless the queue is full: then a later
// call may.
func (r *Recorder) announce(s *Stream) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.closed || !s.announced.CompareAndSwap(false, true) {
		return
	}
	select {
	case r.queue <- item{opened: s}:
	default:
		s.announced.Store(false)
	}
}

// pause is how long the delivering goroutine rests after it has emptied the queue.
// Under load it wakes a hundred times a second and not for every exchange, which
// would cost the traffic more than recording does.
const pause = 10 * time.Millisecond

// deliver is the one goroutine that calls back. A queue can only be full while
// there is something in it, so every drop is followed by a look at the count.
func (r *Recorder) deliver() {
	defer close(r.done)
	rest := time.NewTimer(pause)
	defer rest.Stop()
	for next := range r.queue {
		r.hand(next)
		for more := true; more; {
			select {
			case next, ok := <-r.queue:
				if ok {
					r.hand(next)
				}
				more = ok
			default:
				more = false
			}
		}
		rest.Reset(pause)
		select {
		case <-rest.C:
		case <-r.closing:
		}
	}
	r.reportDropped()
}

func (r *Recorder) hand(next item) {
	switch {
	case next.opened != nil:
		r.onStream(next.opened)
	case next.rec != nil:
		r.onExchange(&next.rec.exchange)
		next.rec.release()
	}
	r.reportDropped()
}

func (r *Recorder) reportDropped() {
	if n := r.dropped.Swap(0); n > 0 && r.onDropped != nil {
		r.onDropped(int(n))
	}
}

// reserve takes n bytes of the budget if it has them.
func (r *Recorder) reserve(n int64) bool {
	if r.memory.Add(-n) >= 0 {
		return true
	}
	r.memory.Add(n)
	return false
}
