package history

import (
	"context"
	"time"

	"culvert/app/exchange"
)

const (
	// linger is how long an exchange waits for others to be written together with.
	linger = 200 * time.Millisecond
	// A transaction takes no more than this, so that the log beside the database
	// stays small and other processes get their turn.
	maxBatch      = 512
	maxBatchBytes = 4 << 20
	// batchPart is the part of the size of a small history that a batch may take.
	batchPart = 4
	// idlePart is how much longer than a batch has taken the writer leaves the processor to
	// the traffic, while more and more comes; maxRest bounds that. What has gathered
	// meanwhile is written as soon as nothing has come for quiet, or somebody asks for it.
	idlePart = 39
	maxRest  = 10 * time.Second
	quiet    = 200 * time.Millisecond
	// lookAround is the time between two looks at ages while nothing is stored.
	lookAround = 10 * time.Minute
)

// command is what the writer shall do between two batches.
type command struct {
	ctx  context.Context
	run  func(context.Context, *writer) error
	done chan error // has room for one
}

// do has the writer run something, and waits for it until ctx ends.
func (h *History) do(ctx context.Context, run func(context.Context, *writer) error) error {
	c := command{ctx, run, make(chan error, 1)}
	select {
	case h.commands <- c:
	case <-h.done:
		return errClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case err := <-c.done: // it knows how far it has come
		return err
	case <-timer.C:
		return context.Cause(ctx)
	}
}

// writer is the one goroutine that changes the database.
type writer struct {
	*History
	trouble  error         // that was told last
	over     bool          // there may be more than the limits allow
	cleaning chan struct{} // bounds what clean has begun

	resting *time.Timer // nil unless it rests
	until   time.Time   // at most
	added   int         // to the queue, when that was looked at last

	looked time.Time // when broken databases were looked at last, and for which limits
	aside  Limits
}

// write is the writer's life.
func (h *History) write() {
	defer close(h.done)
	defer h.abort()
	w := &writer{History: h, over: true, cleaning: make(chan struct{}, maxCleaning)}
	defer w.close()
	defer func() {
		if w.resting != nil {
			w.resting.Stop()
		}
	}()
	look := time.NewTicker(lookAround)
	defer look.Stop()
	now := make(chan struct{})
	close(now)
	for {
		var trim <-chan struct{}
		if w.over {
			trim = now
		}
		some, rested := h.queue.some, (<-chan time.Time)(nil)
		if w.resting != nil {
			some, rested = nil, w.resting.C
		}
		select {
		case <-some:
			w.linger()
		case <-rested:
			w.goOn()
		case c := <-h.commands:
			w.run(c)
		case <-h.suspect:
			w.repair(errSuspect)
		case <-h.relimit:
			w.over = true
		case <-look.C:
			w.over = true
		case <-trim:
			w.trim()
		case <-h.quit:
			h.queue.close()
			w.storeAll()
			return
		}
	}
}

// run does what was asked, unless nobody waits for it any more.
func (w *writer) run(c command) {
	if err := context.Cause(c.ctx); err != nil {
		c.done <- err
		return
	}
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	defer context.AfterFunc(w.ctx, cancel)()
	c.done <- c.run(ctx, w)
}

// linger lets some company come in before it writes.
func (w *writer) linger() {
	timer := time.NewTimer(linger)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.queue.many:
	case <-w.quit:
	case c := <-w.commands:
		w.storeAll()
		w.run(c)
		return
	}
	began := time.Now()
	left := w.queue.length()
	left -= w.storeBatch(left)
	if left > 0 {
		mark(w.queue.some)
	}
	w.rest(time.Since(began))
}

// rest begins to leave the processor to others, after a batch that took so long.
func (w *writer) rest(took time.Duration) {
	rest := min(idlePart*took, maxRest)
	w.until, w.added = time.Now().Add(rest), w.queue.added()
	w.resting = time.NewTimer(min(rest, quiet))
}

// goOn ends the rest if it has been long enough, or nothing comes any more.
func (w *writer) goOn() {
	added, left := w.queue.added(), time.Until(w.until)
	if added == w.added || left <= 0 {
		w.resting = nil
		return
	}
	w.added = added
	w.resting.Reset(min(left, quiet))
}

// storeAll stores what is in the queue now, in batches.
func (w *writer) storeAll() {
	for left := w.queue.length(); left > 0; {
		if w.ctx.Err() != nil {
			w.dropped.Add(int64(w.queue.empty()))
			return
		}
		n := w.storeBatch(left)
		left -= n
	}
}

// storeBatch stores some of the oldest, most of them at most, and gives how many it
// has taken from the queue. What counts is the weight of what is written.
func (w *writer) storeBatch(most int) (taken int) {
	limits := w.limits.Load()
	bound := min(maxBatchBytes, limits.MaxBytes/batchPart)
	var batch []*exchange.Exchange
	var bytes int64
	for taken < min(most, maxBatch) && bytes < bound {
		x := w.queue.next()
		if x == nil {
			break
		}
		taken++
		if x = w.clean(x, limits); x == nil {
			w.dropped.Add(1)
			continue
		}
		batch = append(batch, x)
		bytes += exchange.Weight(x)
	}
	if len(batch) > 0 {
		w.store(batch, bytes, limits)
	}
	return max(taken, 1)
}

// store writes a batch, or drops it.
func (w *writer) store(batch []*exchange.Exchange, bytes int64, limits *Limits) {
	err := w.ready()
	if err == nil {
		err = w.storeWithin(batch, bytes, limits)
	}
	if isBroken(err) && w.repair(err) {
		err = w.storeWithin(batch, bytes, limits)
	}
	w.over = true
	if err != nil {
		w.dropped.Add(int64(len(batch)))
	}
	w.tell(err)
}

// storeWithin makes room for a batch first, so that the file does not outgrow its
// limit while there is more to write than time to trim.
func (w *writer) storeWithin(batch []*exchange.Exchange, bytes int64, limits *Limits) error {
	if err := w.db.makeRoom(w.ctx, limits.MaxBytes, bytes); err != nil {
		return err
	}
	return w.db.store(w.ctx, batch)
}

// tell passes on what has changed about the trouble with the disk.
func (w *writer) tell(err error) {
	if err != nil {
		err = explain(w.cfg.Path, err)
	}
	told := w.trouble
	w.trouble = err
	switch {
	case err == nil && told != nil:
		w.log.Info("exchanges are stored again")
		w.cfg.OnTrouble(nil)
	case err != nil && (told == nil || told.Error() != err.Error()):
		w.log.Warn("exchanges are not stored", "error", err)
		w.cfg.OnTrouble(err)
	}
}

// ready makes sure that the database is open, and is the file that has its name:
// another process may have put that one aside, or a person may have deleted it.
func (w *writer) ready() error {
	if w.db != nil && w.db.inPlace() {
		return nil
	}
	return w.reopen(shallow)
}

// repair puts a broken database aside and begins a new one. It reports whether there
// is a usable one now.
func (w *writer) repair(cause error) bool {
	w.log.Warn("the history seems to be broken", "error", cause)
	err := w.reopen(deep)
	if err != nil {
		w.tell(err)
	}
	return err == nil
}

// reopen opens the file anew. Only the writer replaces db. Readers have none
// meanwhile: they need not wait for what may take long.
func (w *writer) reopen(how check) error {
	w.closeDatabase()
	db, err := openOrReplace(w.ctx, w.cfg.Path, how)
	w.mu.Lock()
	w.db = db
	w.mu.Unlock()
	broken, ok := err.(*BrokenError)
	if !ok {
		return err
	}
	w.log.Warn("the history was broken and put aside", "kept", broken.Kept, "error", broken.Cause)
	w.cfg.OnTrouble(broken)
	w.trouble = nil
	return nil
}

// trim takes one step towards the limits. Between two steps, others get their turn.
func (w *writer) trim() {
	w.over = false
	limits := w.limits.Load()
	if now := time.Now(); w.aside != *limits || now.Sub(w.looked) >= lookAround {
		w.aside, w.looked = *limits, now
		if err := trimKept(w.cfg.Path, limits, now); err != nil {
			w.log.Warn("a broken history that was put aside could not be deleted", "error", err)
		}
	}
	if w.db == nil {
		return // the next batch tries to open it
	}
	more, err := w.db.trim(w.ctx, limits, time.Now())
	switch {
	case isBroken(err):
		w.over = w.repair(err)
	case err != nil && w.ctx.Err() == nil:
		w.log.Warn("the history could not be kept within its limits", "error", err)
	default:
		w.over = more
	}
}

// close ends the readers' and the writer's use of the files.
func (w *writer) close() {
	w.queue.close()
	w.dropped.Add(int64(w.queue.empty()))
	w.closeDatabase()
}

// closeDatabase waits for the readers.
func (w *writer) closeDatabase() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.db != nil {
		w.db.close()
		w.db = nil
	}
}
