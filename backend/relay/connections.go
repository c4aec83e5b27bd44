package relay

import (
	"cmp"
	"slices"
	"sync"

	"culvert/backend/auth"
	"culvert/backend/wire"
)

// stage is how far a connection has come. It never goes back.
//
//	arrived ──ready─────────────────────▶ agent
//	   │ asks for something, or waits       ▲
//	   ╰──────────▶ client ────ready────────╯
//
// A connection that is not authorised stays arrived.
type stage int

const (
	arrived stage = iota
	client
	tunnelled // an agent
)

// standing is what a connection is to the relay. connections.mu guards it.
type standing struct {
	stage stage
	// authorised: it may do more than authorize itself. identity is its token's, and
	// empty without one.
	authorised bool
	identity   auth.Identity
	failures   int // of authorize
	// owner is whose the connection is: the token's user, else the owner key that was
	// shown, else "". Once there is one it stays.
	owner   string
	agent   *agent // once tunnelled
	name    string // of the agent's program
	notices bool   // takes notices
	// held are notices that came between ready and its answer; nil at any other time.
	held    [][]byte
	actions bool // has declared them; only of use once tunnelled
	leaving bool // was told goodbye

	seats *seats // of which it has one, or nil
	seat  string
}

// seats bound how many connections there are of a kind, in all and of each party.
type seats struct {
	all, each int // the bounds

	taken int
	by    map[string]int
}

func newSeats(all, each int) seats { return seats{all: all, each: each, by: make(map[string]int)} }

func (s *seats) take(party string) bool {
	if s.taken >= s.all || s.by[party] >= s.each {
		return false
	}
	s.taken++
	s.by[party]++
	return true
}

func (s *seats) give(party string) {
	s.taken--
	if s.by[party]--; s.by[party] == 0 {
		delete(s.by, party)
	}
}

// connections are all that are open on the agents' address.
type connections struct {
	mu      sync.Mutex
	byID    map[string]*connection
	byOwner map[string]map[*connection]struct{}
	// clients have asked for something, or waited long enough to. Those who are about
	// to say ready are not among them: a machine's tunnels all return together.
	clients seats
	// strangers still have to authorize themselves. They must not use up what others
	// share.
	strangers seats
}

func newConnections(l *Limits) *connections {
	return &connections{
		byID: make(map[string]*connection), byOwner: make(map[string]map[*connection]struct{}),
		clients: newSeats(l.Clients, l.ClientsPerUser), strangers: newSeats(l.Clients, l.ClientsPerUser),
	}
}

// add takes a new connection in, unless it is a stranger's and there are too many.
func (t *connections) add(c *connection) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !c.standing.authorised && !t.sit(c, &t.strangers, c.address()) {
		return false
	}
	t.byID[c.id] = c
	t.index(c)
	return true
}

// remove forgets a connection that is over.
func (t *connections) remove(c *connection) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stand(c)
	delete(t.byID, c.id)
	if of := t.byOwner[c.standing.owner]; of != nil {
		delete(of, c)
		if len(of) == 0 {
			delete(t.byOwner, c.standing.owner)
		}
	}
}

// index notes whose c is. t.mu is held, as it is for the next two.
func (t *connections) index(c *connection) {
	owner := c.standing.owner
	if owner == "" || t.byID[c.id] != c {
		return
	}
	if t.byOwner[owner] == nil {
		t.byOwner[owner] = make(map[*connection]struct{})
	}
	t.byOwner[owner][c] = struct{}{}
}

// sit gives c a seat.
func (t *connections) sit(c *connection, in *seats, party string) bool {
	if !in.take(party) {
		return false
	}
	c.standing.seats, c.standing.seat = in, party
	return true
}

// stand takes c's seat, if it has one.
func (t *connections) stand(c *connection) {
	if st := &c.standing; st.seats != nil {
		st.seats.give(st.seat)
		st.seats = nil
	}
}

// standingOf is a copy.
func (t *connections) standingOf(c *connection) standing {
	t.mu.Lock()
	defer t.mu.Unlock()
	return c.standing
}

// own makes c the owner's. It returns false if it is somebody else's already.
func (t *connections) own(c *connection, owner string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch st := &c.standing; {
	case owner == st.owner:
	case st.owner != "" || owner == "":
		return false
	default:
		st.owner = owner
		t.index(c)
	}
	return true
}

// authorise lets c do what those may who have shown such a token. It returns true if
// it was not authorised before.
func (t *connections) authorise(c *connection, identity auth.Identity) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	st := &c.standing
	first := !st.authorised
	st.identity = identity
	if first {
		st.authorised = true
		t.stand(c)
	}
	return first
}

// failed counts a failure of authorize.
func (t *connections) failed(c *connection) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.standing.failures++
	return c.standing.failures
}

// full reports whether there is no seat for another stranger at this address.
func (t *connections) full(address string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.strangers.taken >= t.strangers.all || t.strangers.by[address] >= t.strangers.each
}

// serveAsClient makes c a client unless it is more already. It returns false if there
// are too many.
func (t *connections) serveAsClient(c *connection) (became, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	st := &c.standing
	if st.stage != arrived {
		return false, true
	}
	// Owner keys cost nothing: only a token says who takes the seat.
	if !t.sit(c, &t.clients, cmp.Or(st.identity.Owner(), c.address())) {
		return false, false
	}
	st.stage = client
	return true, true
}

// serveAsAgent makes c an agent's. It returns false if it was told goodbye meanwhile.
func (t *connections) serveAsAgent(c *connection, a *agent, ready *wire.Ready) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	st := &c.standing
	if st.leaving {
		return false
	}
	t.stand(c)
	st.stage, st.agent = tunnelled, a
	st.actions, st.notices = false, false
	if ready.Declared() {
		st.name = cutName(ready.Agent)
		st.actions = slices.Contains(ready.Capabilities, wire.CapActions)
		st.notices = slices.Contains(ready.Capabilities, wire.CapNotices)
	}
	for _, text := range st.held {
		_ = c.link.post(text) // fails if it is over
	}
	st.held = nil
	return true
}

// maxHeld bounds the notices that wait for an agent's handshake.
const maxHeld = 32

// notify posts a notice to c if it takes notices now, or is about to.
func (t *connections) notify(c *connection, text []byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	st := &c.standing
	switch {
	case !st.notices || !st.authorised || st.leaving, len(st.held) >= maxHeld:
		return false
	case st.held != nil:
		st.held = append(st.held, text)
		return true
	}
	return c.link.post(text) == nil
}

// hush keeps notices from c until it is an agent: they must not come between ready
// and its answer. Those for an agent that takes none are refused from now on.
func (t *connections) hush(c *connection, ready *wire.Ready) {
	t.mu.Lock()
	defer t.mu.Unlock()
	st := &c.standing
	st.notices = ready.Declared() && slices.Contains(ready.Capabilities, wire.CapNotices)
	st.held = [][]byte{}
}

// depart notes that c is told goodbye; only the first to call it gets true.
func (t *connections) depart(c *connection) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	first := !c.standing.leaving
	c.standing.leaving = true
	return first
}

// find gives the connection of this ID, and its standing, or nil.
func (t *connections) find(id string) (*connection, standing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.byID[id]; c != nil {
		return c, c.standing
	}
	return nil, standing{}
}

// all lists them.
func (t *connections) all() []*connection {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]*connection, 0, len(t.byID))
	for _, c := range t.byID {
		list = append(list, c)
	}
	return list
}

// seen is a connection with a copy of its standing.
type seen struct {
	*connection
	standing
}

// of lists those of an owner, oldest first. Nobody has none.
func (t *connections) of(owner string) []seen {
	t.mu.Lock()
	list := make([]seen, 0, len(t.byOwner[owner]))
	for c := range t.byOwner[owner] {
		list = append(list, seen{c, c.standing})
	}
	t.mu.Unlock()
	slices.SortFunc(list, func(a, b seen) int {
		return cmp.Or(a.opened.Compare(b.opened), cmp.Compare(a.id, b.id))
	})
	return list
}
