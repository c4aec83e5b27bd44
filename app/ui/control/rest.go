package control

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"culvert/app/history"
	"culvert/app/ui/model"
	"culvert/app/ui/settings"
)

// What may be done to the history, and said of it, while nothing is added to it.

// ageing is how long rest waits for what is too old to leave, and ageingLook how often
// it looks.
const (
	ageing     = 10 * time.Second
	ageingLook = 20 * time.Millisecond
)

// rest looks after what was kept before the history was switched off: it gets old, too,
// and takes room.
func (p *past) rest(ctx context.Context) {
	ctx, done, err := p.take(ctx)
	if err != nil {
		return
	}
	defer done()
	p.mu.Lock()
	on, l := p.wanted || p.h != nil, p.limits
	p.mu.Unlock()
	if _, err := os.Stat(p.path); on || err != nil || p.ending.Err() != nil {
		return
	}
	h, err := p.begins(ctx, history.Config{Path: p.path, Limits: l, Logger: p.log})
	if h == nil {
		p.log.Warn("what is kept of requests could not be looked after", "error", err)
		return
	}
	limit := time.Now().Add(-cmp.Or(l.MaxAge, history.DefaultMaxAge))
	waited, cancel := context.WithTimeout(ctx, ageing)
	defer cancel()
	look := time.NewTicker(ageingLook)
	defer look.Stop()
	for oldest := p.count(waited, h); !oldest.IsZero() && oldest.Before(limit); oldest = p.count(waited, h) {
		select {
		case <-look.C:
		case <-waited.Done():
		}
	}
	if err := h.Close(ctx); err != nil {
		p.log.Warn("closing the history after it was looked after", "error", err)
	}
}

// count keeps in mind how much h has, and gives the time of the oldest, or none if that
// is not known.
func (p *past) count(ctx context.Context, h *history.History) (oldest time.Time) {
	s, err := h.Stats(ctx)
	if err != nil {
		return time.Time{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = s
	return s.Oldest
}

// clear removes what was kept before it was switched off.
func (p *past) clear(ctx context.Context) error {
	ctx, done, err := p.take(ctx)
	if err != nil {
		return err
	}
	defer done()
	if _, err := os.Stat(p.path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	p.mu.Lock()
	l := p.limits
	p.mu.Unlock()
	h, err := p.begins(ctx, history.Config{Path: p.path, Limits: l, Logger: p.log})
	var broken *history.BrokenError
	if err != nil && !errors.As(err, &broken) {
		return err
	}
	err = h.Clear(ctx)
	p.count(ctx, h)
	return errors.Join(err, h.Close(ctx))
}

// usage is how much is kept.
func (p *past) usage(ctx context.Context) settings.Usage {
	h, err := p.opened(ctx)
	if errors.Is(err, errNoHistory) {
		p.mu.Lock()
		defer p.mu.Unlock()
		return settings.Usage{Exchanges: int(p.left.Exchanges), Bytes: p.left.Bytes}
	}
	var u settings.Usage
	if err == nil {
		var s history.Stats
		if s, err = h.Stats(ctx); err == nil {
			u.Exchanges, u.Bytes = int(s.Exchanges), s.Bytes
			p.mu.Lock()
			err = p.problem
			p.mu.Unlock()
		}
	}
	if err != nil {
		u.Problem = model.Sentence(err.Error())
	}
	return u
}
