package control

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"culvert/app/capture"
	"culvert/app/engine"
	"culvert/app/exchange"
	"culvert/app/history"
	"culvert/app/ui/model"
)

// keptEvery is how often the history gets what streams have grown by: a crash loses that
// much of them.
const keptEvery = 30 * time.Second

// life is an exchange that goes on.
type life struct {
	tunnel *engine.Tunnel
	stream *capture.Stream
	row    *model.Request
	kept   int // how many messages there were when the history got it; keepStreams has it
}

// exchange is what it is so far.
func (l *life) exchange() *exchange.Exchange {
	snapshot := l.stream.Snapshot()
	return engine.Exchange(l.tunnel, &snapshot)
}

// lives are all exchanges that go on, by their IDs.
type lives struct {
	mu sync.Mutex
	m  map[string]*life
}

func (l *lives) add(id string, x *life) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.m == nil {
		l.m = map[string]*life{}
	}
	l.m[id] = x
}

// take is the one with that ID, which is over, or nil.
func (l *lives) take(id string) *life {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.m[id]
	delete(l.m, id)
	return x
}

func (l *lives) get(id string) *life {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.m[id]
}

// all are those there are now.
func (l *lives) all() []*life {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Values(l.m))
}

// remove forgets those of a tunnel that is gone.
func (l *lives) remove(tunnel string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.m, func(_ string, x *life) bool { return x.tunnel.Key() == tunnel })
}

// forget drops what they have been so far, but for their heads.
func (l *lives) forget() {
	for _, x := range l.all() {
		x.stream.Forget()
	}
}

// ended takes those that are over without having been told.
func (l *lives) ended() []*life {
	l.mu.Lock()
	defer l.mu.Unlock()
	var over []*life
	for id, x := range l.m {
		if x.stream.Done() {
			delete(l.m, id)
			over = append(over, x)
		}
	}
	return over
}

// began puts a row for an exchange that lasts, and its beginning into the history.
func (c *Control) began(t *engine.Tunnel, s *capture.Stream) {
	c.keeping.Lock()
	defer c.keeping.Unlock()
	l := &life{tunnel: t, stream: s}
	x := l.exchange()
	l.row, l.kept = row(t.Key(), x), len(x.Messages)+x.Skipped
	l.row.Open, l.row.Live = true, s
	c.store.AddRequest(l.row)
	c.live.add(x.ID, l)
	c.cfg.Notices.Request(t.Key(), x.Tunnel, l.row)
	c.past.add(shortened(x))
}

// sweep ends those whose records were among the ones that were dropped.
func (c *Control) sweep() {
	c.keeping.Lock()
	defer c.keeping.Unlock()
	for _, l := range c.live.ended() {
		x := l.exchange()
		r := row(l.row.Tunnel, x)
		r.ID = l.row.ID
		c.store.EndRequest(r)
		c.store.KeepExchange(r.ID, x)
		c.past.add(x)
	}
}

// keepStreams gives the history what streams have grown by, until ctx ends.
func (c *Control) keepStreams(ctx context.Context) {
	tick := time.NewTicker(keptEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.keepGrown()
		case <-ctx.Done():
			return
		}
	}
}

func (c *Control) keepGrown() {
	for _, l := range c.live.all() {
		n := l.stream.Count()
		if n == l.kept {
			continue
		}
		l.kept = n
		c.keepNow(l)
	}
}

// keepNow gives the history what there is of a stream, unless that has ended: then it
// gets the whole from whoever is told.
func (c *Control) keepNow(l *life) {
	c.keeping.Lock()
	defer c.keeping.Unlock()
	if x := l.exchange(); x.Open && c.live.get(x.ID) == l {
		c.past.add(shortened(x))
	}
}

// shortened is an exchange of which so much is left as the history keeps: what it does
// not would only fill its queue.
func shortened(x *exchange.Exchange) *exchange.Exchange {
	left, first := int64(history.DefaultMaxBody), len(x.Messages)
	for first > 0 && left > 0 {
		first--
		left -= exchange.MessageWeight(&x.Messages[first])
	}
	if first == 0 {
		return x
	}
	short := *x
	short.Messages, short.Skipped = slices.Clone(x.Messages[first:]), x.Skipped+first
	return &short
}
