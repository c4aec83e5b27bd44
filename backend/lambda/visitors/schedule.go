package visitors

import "time"

// mode is how the answer to a request is going to come.
//
//	           a proven connection           it ends
//	(sent) ─────────────────────▶ pushed ───────────────▶ stored
//	   │                                                    ▲
//	   └────────────────────────────────────────────────────┘
//	           no connection
//
// Neither mode excludes the other way: what was pushed is taken whenever it comes, and
// an answer that could not be pushed is in the store.
type mode int

const (
	// stored: the store is polled.
	stored mode = iota
	// pushed: the store is read when the answer is late.
	pushed
)

// metric counts answers that came this way.
func (m mode) metric() string { return [...]string{"Stored", "Pushed"}[m] }

// The times between reads of the store. Each moment is 1.6 times as far from the
// beginning as the one before, so that the number of reads is that of the logarithm
// of the wait, and what they add to it a constant part.
const (
	firstRead   = 30 * time.Millisecond
	firstAgain  = 120 * time.Millisecond // after an answer was asked for again: that takes its way
	mostStored  = 500 * time.Millisecond
	mostPushed  = time.Second // the answer is most likely not in the store
	mostSlow    = 2 * time.Second
	mostStream  = time.Second
	mostFirst   = 2 * time.Second        // what took long once need not always
	lateAtLeast = 500 * time.Millisecond // an answer is late after that, or 4 times its tunnel's mean
	lateParts   = 500 * time.Millisecond // a part that others have overtaken is late so long after
	lateRest    = 2 * time.Second        // those after the last one are, or 4 times the pace: a line may be slow
	lateStream  = 5 * time.Second        // a silent stream may have lost something
	latestCheck = 30 * time.Second
	readsFor    = 4 * time.Second // after something that may have brought more into the store
)

// curve gives moments that grow ever rarer.
type curve struct {
	start       time.Time
	at          time.Duration
	least, most time.Duration // between two
}

func (c *curve) next() time.Time { return c.start.Add(c.at) }

// advance moves to the first moment after now.
func (c *curve) advance(now time.Time) {
	for !c.next().After(now) {
		c.at += min(max(c.at*6/10, c.least), c.most)
	}
}

// schedule says when a request that waits reads the store, and when it asks its agent
// to send again what may be lost: "accepted" is not "delivered", here and there.
type schedule struct {
	mode      mode
	resends   bool // the agent keeps its answers and sends them again
	streaming bool

	reading bool // there is a next read
	reads   curve
	until   time.Time // no read after; zero for no such end
	// check is when the answer counts as late. The first time in pushed mode, the
	// store is read before the agent is asked: it may have been put there.
	check time.Time
	gap   time.Duration // to the check after that
	hole  int           // the part that later ones have overtaken, -1 if there is none
	last  time.Time     // when a part came last; zero before
	pace  time.Duration // between two
}

// newSchedule is that of a request which has been sent now, can wait for so long, and
// went to a tunnel that takes mean.
func newSchedule(now time.Time, m mode, resends, streaming bool, mean, wait time.Duration) *schedule {
	s := &schedule{mode: m, resends: resends, streaming: streaming, hole: -1}
	late := max(min(4*mean, wait*2/5), lateAtLeast) // it must not be too late to ask again
	switch {
	case m == stored:
		s.read(now, min(max(firstRead, mean*7/10), mostFirst), firstRead, mostStored)
	case !resends:
		s.read(now, late, lateAtLeast, mostSlow)
	}
	if resends {
		s.check, s.gap = now.Add(late), min(2*late, wait/4) // checks at late, 3 late, 9 late, …
	}
	return s
}

func (s *schedule) read(now time.Time, first, least, most time.Duration) {
	s.reading, s.reads, s.until = true, curve{start: now, at: first, least: least, most: most}, time.Time{}
}

// due is when the next thing is to be done; zero if there is none.
func (s *schedule) due() time.Time {
	switch {
	case !s.reading:
		return s.check
	case s.check.IsZero() || s.reads.next().Before(s.check):
		return s.reads.next()
	}
	return s.check
}

// isRead reports whether the store is to be read by now, and plans the next time.
func (s *schedule) isRead(now time.Time) bool {
	if !s.reading || s.reads.next().After(now) {
		return false
	}
	s.reads.advance(now)
	if !s.until.IsZero() && s.reads.next().After(s.until) {
		s.reading = false
	}
	return true
}

// isLate reports whether the answer is late by now, and plans the next check.
func (s *schedule) isLate(now time.Time) bool {
	if s.check.IsZero() || s.check.After(now) {
		return false
	}
	s.check = now.Add(s.gap)
	if s.streaming {
		s.gap = min(2*s.gap, latestCheck)
	} else {
		s.gap *= 3
	}
	return true
}

// asked: the agent sends again what it has, by the store.
func (s *schedule) asked(now time.Time) {
	if s.mode == pushed || !s.reading {
		s.read(now, firstAgain, firstRead, mostPushed)
		if s.streaming && s.mode == pushed {
			s.until = now.Add(readsFor) // most likely there was nothing to send
		}
	}
}

// progress: a part of the answer has come, pushed or stored, and more will. hole is the
// lowest part that is missing while later ones are there, -1 if there is none.
func (s *schedule) progress(now time.Time, way mode, hole int) {
	if !s.last.IsZero() {
		s.pace = max(now.Sub(s.last), s.pace*3/4)
	}
	s.last = now
	// Parts that overtake a missing one do not make it any less late.
	if s.resends && (hole < 0 || hole != s.hole) {
		s.gap = lateParts
		switch {
		case hole >= 0:
		case s.streaming:
			s.gap = lateStream
		default:
			s.gap = max(lateRest, 4*s.pace)
		}
		s.check = now.Add(s.gap)
		if !s.streaming {
			s.gap *= 2
		}
	}
	s.hole = hole
	switch {
	case s.mode == stored:
		most := mostStored
		if s.streaming {
			most = mostStream
		}
		s.read(now, firstRead, firstRead, most)
	case way == stored:
		s.read(now, firstRead, firstRead, mostPushed) // what was asked for comes
		s.until = now.Add(readsFor)
	case s.resends && hole < 0:
		s.reading = false // it is pushed after all
	}
}

// flows reports whether more parts may still be on their way, though one is missing.
func (s *schedule) flows(now time.Time) bool {
	return !s.last.IsZero() && now.Sub(s.last) < max(lateRest, 4*s.pace)
}

// fallBack: the connection that answers were pushed to has ended. What was on its way
// is lost, the rest goes by the store.
func (s *schedule) fallBack(now time.Time) {
	s.mode = stored
	s.read(now, firstRead, firstRead, mostStored)
	if soon := now.Add(firstRead + lateAtLeast/2); s.resends && s.check.After(soon) {
		s.check = soon
	}
}

// soon has the next check be at the time at the latest.
func (s *schedule) soon(at time.Time) {
	if !s.check.IsZero() && s.check.After(at) {
		s.check = at
	}
}
