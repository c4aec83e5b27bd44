package model

import (
	"sort"

	"culvert/app/exchange"
)

// The bounds of the log in memory; older rows and exchanges leave first, and can be
// found in the history.
const (
	Capacity     = 20_000    // rows
	maxExchanges = 128 << 20 // bytes of headers and bodies
	maxChanges   = 512       // rows that changed, for views to catch up with
)

// log is the rows and what is kept of their exchanges.
type log struct {
	ring  []*Request // grows to Capacity, then wraps
	head  int        // index of the oldest row once it has wrapped
	next  uint64     // ID of the next request
	epoch int        // counts removals, so that views know to start again

	changes []*Request // the latest rows that were replaced, oldest first
	turn    uint64     // how many have been

	exchanges map[uint64]kept // by the rows' IDs
	order     []uint64        // of exchanges, oldest first; may name some that have left
	bytes     int64           // of all exchanges
}

type kept struct {
	x    *exchange.Exchange
	size int64
}

func newLog() log { return log{next: 1, exchanges: map[uint64]kept{}} }

// News is what Since found.
type News struct {
	Last    uint64     // ID of the newest row
	Turn    uint64     // number of the newest change
	Epoch   int        // changes whenever rows were removed out of their turn
	Changed []*Request // rows that were replaced since
}

// AddRequest appends to the log. The Store keeps r and gives it its ID.
func (s *Store) AddRequest(r *Request) {
	r.bound()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.add(r)
	s.total.Requests++
	i := s.index(r.Tunnel)
	if i < 0 {
		return
	}
	t := &s.tunnels[i]
	t.Requests++
	s.judge(t, r)
	if st := s.stats[r.Tunnel]; st != nil {
		st.add(s.now(), r.Duration, r.Stream != NoStream || r.Status == 0)
	}
}

// EndRequest replaces the row that r.ID names, which was Open, unless it has left.
func (s *Store) EndRequest(r *Request) {
	r.bound()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.replace(r)
}

// KeepExchange keeps the whole exchange of a row, for as long as there is room.
func (s *Store) KeepExchange(id uint64, x *exchange.Exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total.Bytes += x.Request.Size + x.Response.Size
	s.log.keep(id, x)
}

// judge keeps in mind whether requests reach the local service.
func (s *Store) judge(t *Tunnel, r *Request) {
	if r.NoTarget {
		t.Warning = r.Err
	} else if r.Status != 0 { // a visitor who left says nothing about the service
		t.Warning = ""
	}
}

// Exchange is what is kept of a row's exchange in memory, or nil.
func (s *Store) Exchange(id uint64) *exchange.Exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.exchanges[id].x
}

// ExchangeByID is the same, by the exchange's own ID.
func (s *Store) ExchangeByID(id string) *exchange.Exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id == "" {
		return nil
	}
	for _, k := range s.log.exchanges {
		if k.x.ID == id {
			return k.x
		}
	}
	return nil
}

// Since appends the rows younger than the ID to rows, oldest first, and says which
// older ones have changed since a turn.
func (s *Store) Since(id, turn uint64, rows []*Request) ([]*Request, News) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &s.log
	// IDs rise along the ring, so the first younger row is found by bisection.
	n := len(l.ring)
	for i := l.search(id + 1); i < n; i++ {
		rows = append(rows, l.at(i))
	}
	news := News{Last: l.next - 1, Turn: l.turn, Epoch: l.epoch}
	switch missed := l.turn - turn; {
	case id == 0 || missed == 0:
	case missed > uint64(len(l.changes)):
		news.Epoch = -1 // too many to tell: start again
	default:
		news.Changed = append(news.Changed, l.changes[len(l.changes)-int(missed):]...)
	}
	return rows, news
}

// ClearRequests empties the log: of one tunnel, or with "" of all.
func (s *Store) ClearRequests(tunnel string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.clear(tunnel)
	s.mark()
}

func (l *log) at(i int) *Request { return l.ring[(l.head+i)%len(l.ring)] }

// search is the index of the first row with at least that ID.
func (l *log) search(id uint64) int {
	if n := len(l.ring); n > 0 && l.at(n-1).ID <= id { // mostly it is the newest
		if l.at(n-1).ID == id {
			return n - 1
		}
		return n
	}
	return sort.Search(len(l.ring), func(i int) bool { return l.at(i).ID >= id })
}

func (l *log) add(r *Request) {
	r.ID = l.next
	l.next++
	if len(l.ring) < Capacity {
		l.ring = append(l.ring, r)
		return
	}
	l.forget(l.ring[l.head].ID)
	l.ring[l.head] = r
	l.head = (l.head + 1) % Capacity
}

func (l *log) replace(r *Request) {
	if !l.has(r.ID) {
		return
	}
	i := l.search(r.ID)
	l.ring[(l.head+i)%len(l.ring)] = r
	if len(l.changes) == maxChanges {
		copy(l.changes, l.changes[1:])
		l.changes = l.changes[:maxChanges-1]
	}
	l.changes = append(l.changes, r)
	l.turn++
}

func (l *log) has(id uint64) bool {
	i := l.search(id)
	return i < len(l.ring) && l.at(i).ID == id
}

// clear removes a tunnel's rows, or with "" all, but for what is still going on: its end
// would have no row to be told in.
func (l *log) clear(tunnel string) {
	l.remove(func(r *Request) bool { return !r.Open && (tunnel == "" || r.Tunnel == tunnel) })
}

// drop removes all rows of a tunnel.
func (l *log) drop(tunnel string) {
	l.remove(func(r *Request) bool { return r.Tunnel == tunnel })
}

func (l *log) remove(gone func(*Request) bool) {
	rows := make([]*Request, 0, len(l.ring))
	for i := range l.ring {
		if r := l.at(i); !gone(r) {
			rows = append(rows, r)
		} else {
			l.forget(r.ID)
		}
	}
	l.ring, l.head, l.changes = rows, 0, nil
	l.epoch++
}

// keep keeps an exchange, and lets older ones go that have no room beside it.
func (l *log) keep(id uint64, x *exchange.Exchange) {
	size := exchange.Weight(x)
	if size > maxExchanges || !l.has(id) {
		return
	}
	l.forget(id)
	l.exchanges[id] = kept{x, size}
	l.order = append(l.order, id)
	l.bytes += size
	for l.bytes > maxExchanges {
		oldest := l.order[0]
		l.order = l.order[1:]
		l.forget(oldest)
	}
	if len(l.order) > 2*len(l.exchanges)+64 {
		l.tidy()
	}
}

func (l *log) forget(id uint64) {
	if k, ok := l.exchanges[id]; ok {
		delete(l.exchanges, id)
		l.bytes -= k.size
	}
}

// tidy takes out of the order what is not there any more.
func (l *log) tidy() {
	order := make([]uint64, 0, len(l.exchanges))
	for _, id := range l.order {
		if _, ok := l.exchanges[id]; ok {
			order = append(order, id)
		}
	}
	l.order = order
}
