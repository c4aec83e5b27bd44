package visitors

import (
	"context"
	"errors"
	"time"

	"culvert/backend/lambda/post"
	"culvert/backend/lambda/store"
	"culvert/backend/wire"
)

const (
	readWithin = 2 * time.Second
	// lastWithin bounds the last look into the store.
	lastWithin = reserve / 2
	// probeEvery is how often it is looked up whether an agent is still there that
	// cannot be asked.
	probeEvery = 5 * time.Second
	// sustainEvery is how often the environment's connection is seen to, in streams.
	sustainEvery = time.Minute
	// creditEvery bounds how often credit is repeated: parts are also repeated by chance.
	creditEvery = time.Second
	// lostAfter is how long an agent may take to come back with its answer.
	lostAfter = 5 * time.Second
)

var (
	errLate = errors.New("no answer in time")
	// errLost: whoever should answer has gone for good.
	errLost = errors.New("the agent has gone before it answered")
)

// waiting is what a request waits with.
type waiting struct {
	began   time.Time
	sent    time.Time       // when the head was posted last
	gone    <-chan struct{} // closed when the environment's connection is over
	reads   chan read       // has room for the one that is under way
	reading bool
	ask     bool      // once the read is done and has brought nothing, ask the agent
	missed  time.Time // when the store was last read in vain
	probe   time.Time // when to look whether the agent is there; zero for never
	sustain time.Time // zero for never
	told    chan error
	asks    int       // how often the agent was asked for its answer
	lost    time.Time // when the agent was first found gone; zero if it is there
	credit  time.Time // when credit was last repeated
	request int       // the highest number of a stored request for parts that was served
}

// read is what reading the store gave.
type read struct {
	answers []store.Answer
	err     error
	gone    bool // the agent cannot answer any more, and has not
}

func (w *waiting) begin(x *exchange) {
	now := time.Now()
	w.began, w.sent, w.missed = now, now, now
	w.gone = x.turn.Gone()
	if x.ticket.Waiter == "" {
		w.gone = nil
	}
	w.reads, w.told = make(chan read, 1), make(chan error, 1)
	w.request = store.PartRequest - 1
	if x.ticket.Bound {
		w.probe = now.Add(probeEvery)
	}
	if x.in.window != nil {
		w.sustain = now.Add(sustainEvery)
	}
}

// await waits until done, at most to the deadline.
func (x *exchange) await(deadline time.Time, done func() bool) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		x.takePushed()
		x.serveWanted()
		x.repeatCredit()
		if done() {
			return nil
		}
		now := time.Now()
		if !now.Before(deadline) {
			return x.lastLook(done)
		}
		if x.plan.isLate(now) {
			x.late()
		}
		if x.plan.isRead(now) {
			x.startRead()
		}
		if !x.wait.sustain.IsZero() && !now.Before(x.wait.sustain) {
			x.wait.sustain = now.Add(sustainEvery)
			x.turn.Sustain()
		}
		timer.Reset(time.Until(x.nextMoment(deadline)))
		select {
		case <-timer.C:
		case <-x.turn.Arrived():
		case <-x.wait.gone:
			x.wait.gone = nil
			x.takePushed() // what came before its end
			x.plan.fallBack(time.Now())
		case r := <-x.wait.reads:
			if x.finishRead(r) {
				return errLost
			}
		case err := <-x.wait.told:
			if x.finishTell(err) {
				return errLost
			}
		case <-x.ctx.Done():
			if errors.Is(x.ctx.Err(), context.DeadlineExceeded) {
				return errLate
			}
			return x.ctx.Err()
		}
	}
}

func (x *exchange) nextMoment(deadline time.Time) time.Time {
	next := deadline
	for _, t := range []time.Time{x.plan.due(), x.wait.sustain} {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	return next
}

// takePushed takes what has come over the environment's connection.
func (x *exchange) takePushed() {
	for text := x.turn.Next(); text != nil; text = x.turn.Next() {
		x.take(text, time.Now(), pushed)
	}
}

// take takes a message that was there at the time at, and reports whether it was new.
func (x *exchange) take(text []byte, at time.Time, way mode) bool {
	before, asks := x.in.begun(), len(x.in.wanted)
	if !x.in.take(text) {
		return false
	}
	ask := len(x.in.wanted) > asks
	if !ask {
		x.wait.lost = time.Time{}
	}
	if !before && x.in.begun() {
		x.v.cfg.Metrics.Count(way.metric(), 1)
		x.v.cfg.Metrics.Sample("WaitMs", float64(time.Since(x.wait.began).Milliseconds()))
		x.v.means.note(x.route.id, x.took(at, way))
		if way == stored && x.ticket.Waiter != "" {
			x.turn.Doubt()
		}
	}
	if !x.in.over() && !ask {
		x.plan.progress(time.Now(), way, x.in.hole())
	}
	return true
}

// took is how long the tunnel took for an answer that was there at the time at. If it
// went astray first, that is no word about the tunnel: then the agent's own counts, or
// each loss would be noticed later than the one before.
func (x *exchange) took(at time.Time, way mode) time.Duration {
	took := at.Sub(x.wait.sent)
	if h := x.in.head; h != nil && way == stored && (h.Resent || x.ticket.Waiter != "") {
		took = min(took, time.Duration(min(max(h.ProcessingTimeMS, 0), took.Milliseconds()))*time.Millisecond)
	}
	return took
}

// startRead reads the store beside the waiting; one read at a time.
func (x *exchange) startRead() {
	if x.wait.reading {
		return
	}
	x.wait.reading = true
	spans := x.in.absent()
	probe := false
	if now := time.Now(); !x.wait.probe.IsZero() && !now.Before(x.wait.probe) {
		probe, x.wait.probe = true, now.Add(probeEvery)
	}
	x.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(x.ctx, readWithin)
		defer cancel()
		var r read
		r.answers, r.err = x.v.cfg.Answers.GetAnswers(ctx, x.ticket.Key(), spans, false)
		if probe && r.err == nil && len(r.answers) == 0 {
			r = x.probe(ctx, spans)
		}
		x.wait.reads <- r
	})
}

// probe finds out whether an agent that can only answer over the connection which the
// request went to still has it.
func (x *exchange) probe(ctx context.Context, spans []store.Span) (r read) {
	t, err := x.v.cfg.Tunnels.Lookup(ctx, x.route.id, false)
	here := err == nil && t.Live && t.Connection == x.at().Connection
	if here || err != nil && !errors.Is(err, store.ErrUnknown) {
		return read{}
	}
	// Its last word may have come just before it went.
	r.answers, r.err = x.v.cfg.Answers.GetAnswers(ctx, x.ticket.Key(), spans, true)
	r.gone = r.err == nil && len(r.answers) == 0
	return r
}

// finishRead takes what a read gave, and reports whether the agent is lost.
func (x *exchange) finishRead(r read) (lost bool) {
	x.wait.reading = false
	fresh := false
	if r.err == nil {
		fresh = x.takeStored(r.answers)
	} else if x.ctx.Err() == nil {
		x.v.cfg.Log.Warn("answers not read", "error", r.err)
	}
	if x.wait.ask && !fresh && !x.in.over() {
		x.askAgain()
	}
	x.wait.ask = false
	return r.gone
}

// takeStored takes what was in the store, and reports whether any of it was new. It came
// between the read before and this one.
func (x *exchange) takeStored(answers []store.Answer) (fresh bool) {
	now := time.Now()
	at := x.wait.missed.Add(now.Sub(x.wait.missed) / 2)
	x.wait.missed = now
	for _, a := range answers {
		if a.Part >= store.PartRequest {
			if a.Part <= x.wait.request {
				continue
			}
			x.wait.request = a.Part
		}
		fresh = x.take(a.Message, at, stored) || fresh
	}
	return fresh
}

// late does something about an answer that should be there by now.
func (x *exchange) late() {
	if x.plan.mode == pushed && !x.plan.reading {
		// It may be in the store, where it goes if it cannot be pushed.
		x.wait.ask = true
		x.startRead()
		return
	}
	x.askAgain()
}

// askAgain asks the agent for what has not come. It answers by the store.
func (x *exchange) askAgain() {
	missing := x.in.missing()
	if missing == nil {
		return
	}
	if now := time.Now(); len(missing.Seqs) > 0 && x.plan.flows(now) {
		missing.From = nil
	}
	x.plan.asked(time.Now())
	x.wait.asks++
	again := x.wait.asks > 1
	x.v.cfg.Metrics.Count("Resends", 1)
	messages := []any{missing}
	if w := x.in.window; w != nil && w.upto > creditWindow {
		messages = append(messages, &wire.Credit{RequestID: x.id, Upto: w.upto}) // may have got lost
	}
	x.tasks.Go(func() {
		if again {
			x.catchUp(x.ctx)
		}
		var err error
		for _, m := range messages {
			if err = x.tell(x.ctx, m); err != nil {
				break
			}
		}
		select {
		case x.wait.told <- err:
		default: // the one before says the same
		}
	})
}

// repeatCredit answers an agent that shows by a repeated part that it waits for credit,
// which may have got lost.
func (x *exchange) repeatCredit() {
	w := x.in.window
	if w == nil || !w.repeated {
		return
	}
	w.repeated = false
	if now := time.Now(); w.upto > creditWindow && w.end == 0 && now.Sub(x.wait.credit) >= creditEvery {
		x.wait.credit = now
		x.sendCredit(w.upto)
	}
}

// sendCredit lets the agent go on. Should it get lost, it is repeated.
func (x *exchange) sendCredit(upto int) {
	x.tasks.Go(func() {
		if err := x.tell(x.ctx, &wire.Credit{RequestID: x.id, Upto: upto}); err != nil && x.ctx.Err() == nil {
			x.v.cfg.Log.Debug("credit not sent", "error", err)
		}
	})
}

// finishTell takes how asking went, and reports whether the agent is lost: it may come
// back with its answer, but not for ever.
func (x *exchange) finishTell(err error) (lost bool) {
	now := time.Now()
	switch {
	case err == nil:
		x.wait.lost = time.Time{}
		return false
	case !errors.Is(err, post.ErrGone):
		if x.ctx.Err() == nil {
			x.v.cfg.Log.Warn("agent not asked again", "error", err)
		}
		return false
	case x.wait.lost.IsZero():
		x.wait.lost = now
		x.v.cfg.Metrics.Count("Gone", 1)
	case now.Sub(x.wait.lost) >= lostAfter:
		return true
	}
	x.plan.soon(now.Add(lostAfter / 2))
	return false
}

// lastLook reads the store once more, for certain, before the answer is given up.
func (x *exchange) lastLook(done func() bool) error {
	ctx, cancel := context.WithTimeout(x.ctx, lastWithin)
	defer cancel()
	answers, err := x.v.cfg.Answers.GetAnswers(ctx, x.ticket.Key(), x.in.absent(), true)
	if err == nil {
		x.takeStored(answers)
	}
	if x.takePushed(); done() {
		return nil
	}
	return errLate
}
