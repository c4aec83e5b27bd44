package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"

	"culvert/app/config"
	"culvert/app/exchange"
	"culvert/app/history"
	"culvert/app/ui/model"
	"culvert/app/ui/words"
)

// HistoryFile is the name of the history in the config folder.
const HistoryFile = "history.db"

// maxEarly bounds the exchanges that wait for the history to be opened.
const maxEarly = 512

var errNoHistory = errors.New("no requests are kept on disk: switch the history on in the settings")

// past is the history on disk, which can be switched on and off.
type past struct {
	path  string
	store *model.Store
	log   *slog.Logger
	// begins opens it, as history.Open does.
	begins func(context.Context, history.Config) (*history.History, error)

	turn   chan struct{}   // has room for one, who switches it on or off
	ending context.Context // ends with close
	end    context.CancelFunc
	begun  chan struct{}
	begin  sync.Once // closes begun, when it was opened first, or was not to be

	mu     sync.Mutex
	limits history.Limits
	h      *history.History // nil while it is off, or not open yet
	// early are exchanges that came before it was open; nil unless it is about to be.
	early   []*exchange.Exchange
	wanted  bool
	problem error
	left    history.Stats // of what is kept while it is off
}

func (p *past) init(dir *config.Dir, l history.Limits, wanted bool, s *model.Store, log *slog.Logger) {
	p.begun, p.turn = make(chan struct{}), make(chan struct{}, 1)
	p.ending, p.end = context.WithCancel(context.Background())
	p.begins = history.Open
	p.path, p.limits, p.wanted, p.store, p.log = filepath.Join(dir.Path(), HistoryFile), l, wanted, s, log
}

// take waits for its turn to switch the history on or off. The ctx that it returns also
// ends when close begins; done must be called.
func (p *past) take(ctx context.Context) (_ context.Context, done func(), err error) {
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, fmt.Errorf("waiting for the history: %w", ctx.Err())
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(p.ending, cancel)
	return ctx, func() {
		stop()
		cancel()
		<-p.turn
	}, nil
}

// open opens the history if it is wanted. It may block; what comes meanwhile waits.
func (p *past) open(ctx context.Context) {
	defer p.begin.Do(func() { close(p.begun) })
	ctx, done, err := p.take(ctx)
	if err != nil {
		return
	}
	defer done()
	p.mu.Lock()
	l, due := p.limits, p.wanted && p.h == nil
	p.mu.Unlock()
	if !due || p.ending.Err() != nil {
		return
	}
	h, err := p.begins(ctx, history.Config{Path: p.path, Limits: l, OnTrouble: p.trouble, Logger: p.log})
	var broken *history.BrokenError
	switch {
	case errors.As(err, &broken):
		p.store.AddNotice(words.T("The history of requests could not be read, and a new one has been begun.") + " " + model.Sentence(err.Error()))
	case err != nil && ctx.Err() != nil: // nobody waits for it any more
		h = nil
	case err != nil:
		p.store.AddNotice(words.T("Requests are not kept on disk.") + " " + model.Sentence(err.Error()))
		h = nil
	}
	if h != nil && !p.install(h) {
		if err := h.Close(ctx); err != nil {
			p.log.Warn("closing a history that is not wanted any more", "error", err)
		}
		return
	}
	if h == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.early = nil
		if p.wanted {
			p.problem = err
		}
	}
}

// install makes h what exchanges go to, unless it is not wanted any more: that may have
// changed while it was opened, and so may the limits.
func (p *past) install(h *history.History) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	early := p.early
	p.early, p.problem = nil, nil
	if !p.wanted {
		return false
	}
	if err := h.SetLimits(p.limits); err != nil {
		p.problem = err
		return false
	}
	p.h = h
	for _, x := range early {
		h.Add(x)
	}
	return true
}

// trouble is told when the disk does not take exchanges, and with nil when it does again.
func (p *past) trouble(err error) {
	p.mu.Lock()
	wanted := p.wanted
	if wanted {
		p.problem = err
	}
	p.mu.Unlock()
	if err != nil && wanted {
		p.store.AddNotice(words.T("Requests are not kept on disk at the moment.") + " " + model.Sentence(err.Error()))
	}
}

// add keeps an exchange, and never waits.
func (p *past) add(x *exchange.Exchange) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.wanted:
	case p.h != nil:
		p.h.Add(x)
	case p.problem == nil && len(p.early) < maxEarly:
		p.early = append(p.early, x)
	}
}

// change switches the history on or off, or keeps it within other limits. What comes
// from now on is kept so, or not at all, also if the history is only being opened. now
// says what is decided: of two who change it at once, the later word holds.
func (p *past) change(ctx context.Context, now func() (wanted bool, l history.Limits)) error {
	p.mu.Lock()
	wanted, l := now()
	if p.wanted == wanted && p.limits == l {
		p.mu.Unlock()
		return nil
	}
	p.limits, p.wanted = l, wanted
	h := p.h
	if h != nil && wanted {
		defer p.mu.Unlock()
		return h.SetLimits(l)
	}
	if !wanted {
		p.early, p.problem = nil, nil
	}
	p.mu.Unlock()
	if !wanted {
		return p.shut(ctx)
	}
	p.open(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.problem
}

// shut writes what is queued, and takes nothing more.
func (p *past) shut(ctx context.Context) error {
	p.mu.Lock()
	open := p.h != nil
	p.mu.Unlock()
	if !open {
		return nil // whoever opens it at the moment will see that it is not wanted
	}
	ctx, done, err := p.take(ctx)
	if err != nil {
		return err
	}
	defer done()
	p.mu.Lock()
	h := p.h
	p.mu.Unlock()
	if h != nil {
		if err := h.Flush(ctx); err == nil {
			p.count(ctx, h)
		}
	}
	return p.drop(ctx, false)
}

// drop closes what is open, if it is not wanted any more or all ends. It is the
// caller's turn.
func (p *past) drop(ctx context.Context, ends bool) error {
	p.mu.Lock()
	h := p.h
	if h == nil || p.wanted && !ends {
		p.mu.Unlock()
		return nil
	}
	p.h, p.early, p.problem = nil, nil, nil
	p.mu.Unlock()
	if err := h.Close(ctx); err != nil {
		return fmt.Errorf("closing the history: %w", err)
	}
	return nil
}

// close ends it for good: what is queued is written, and what opens it gives up.
func (p *past) close(ctx context.Context) error {
	p.end()
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("closing the history: %w", ctx.Err())
	}
	defer func() { <-p.turn }()
	return p.drop(ctx, true)
}

// opened is the history, or says why there is none. Just after the start it waits until
// the history is open.
func (p *past) opened(ctx context.Context) (*history.History, error) {
	p.mu.Lock()
	wanted := p.wanted
	p.mu.Unlock()
	if wanted {
		select {
		case <-p.begun:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.h != nil:
		return p.h, nil
	case p.problem != nil:
		return nil, p.problem
	}
	return nil, errNoHistory
}
