package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"culvert/app/config"
	"culvert/app/exchange"
	"culvert/app/history"
	"culvert/app/ui/model"
	"culvert/app/ui/settings"
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

	turning sync.Mutex // held while it is switched on or off
	begun   chan struct{}
	begin   sync.Once // closes begun, when it was opened first, or was not to be

	mu     sync.Mutex
	limits history.Limits
	h      *history.History // nil while it is off, or not open yet
	// early are exchanges that came before it was open; nil unless it is about to be.
	early   []*exchange.Exchange
	wanted  bool
	problem error
}

func (p *past) init(dir *config.Dir, l history.Limits, wanted bool, s *model.Store, log *slog.Logger) {
	p.begun = make(chan struct{})
	p.path, p.limits, p.wanted, p.store, p.log = filepath.Join(dir.Path(), HistoryFile), l, wanted, s, log
}

// open opens the history if it is wanted. It may block; what comes meanwhile waits.
func (p *past) open(ctx context.Context) {
	p.turning.Lock()
	defer p.turning.Unlock()
	defer p.begin.Do(func() { close(p.begun) })
	p.mu.Lock()
	l, due := p.limits, p.wanted && p.h == nil
	p.mu.Unlock()
	if !due {
		return
	}
	h, err := history.Open(ctx, history.Config{Path: p.path, Limits: l, OnTrouble: p.trouble, Logger: p.log})
	var broken *history.BrokenError
	switch {
	case errors.As(err, &broken):
		p.store.AddNotice(words.T("The history of requests could not be read, and a new one has been begun.") + " " + model.Sentence(err.Error()))
	case err != nil:
		p.store.AddNotice(words.T("Requests are not kept on disk.") + " " + model.Sentence(err.Error()))
		h = nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.h, p.problem = h, nil
	if h == nil {
		p.problem = err
	}
	for _, x := range p.early {
		if h != nil {
			h.Add(x)
		}
	}
	p.early = nil
}

// trouble is told when the disk does not take exchanges, and with nil when it does again.
func (p *past) trouble(err error) {
	p.mu.Lock()
	p.problem = err
	p.mu.Unlock()
	if err != nil {
		p.store.AddNotice(words.T("Requests are not kept on disk at the moment.") + " " + model.Sentence(err.Error()))
	}
}

// add keeps an exchange, and never waits.
func (p *past) add(x *exchange.Exchange) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.h != nil:
		p.h.Add(x)
	case p.wanted && p.problem == nil && len(p.early) < maxEarly:
		p.early = append(p.early, x)
	}
}

// change switches the history on or off, or keeps it within other limits.
func (p *past) change(ctx context.Context, wanted bool, l history.Limits) error {
	p.mu.Lock()
	h := p.h
	moved := p.limits != l
	p.limits, p.wanted = l, wanted
	p.mu.Unlock()
	switch {
	case wanted && h == nil:
		p.open(ctx)
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.problem
	case !wanted && h != nil:
		return p.close(ctx)
	case h != nil && moved:
		return h.SetLimits(l)
	}
	return nil
}

// close writes what is queued, and takes nothing more.
func (p *past) close(ctx context.Context) error {
	p.turning.Lock()
	defer p.turning.Unlock()
	p.mu.Lock()
	h := p.h
	p.h, p.early, p.problem = nil, nil, nil
	p.mu.Unlock()
	if h == nil {
		return nil
	}
	if err := h.Close(ctx); err != nil {
		return fmt.Errorf("closing the history: %w", err)
	}
	return nil
}

// clear removes what was kept before it was switched off.
func (p *past) clear(ctx context.Context) error {
	p.turning.Lock()
	defer p.turning.Unlock()
	if _, err := os.Stat(p.path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	h, err := history.Open(ctx, history.Config{Path: p.path, Limits: p.limits, Logger: p.log})
	var broken *history.BrokenError
	if err != nil && !errors.As(err, &broken) {
		return err
	}
	return errors.Join(h.Clear(ctx), h.Close(ctx))
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

// usage is how much is kept.
func (p *past) usage(ctx context.Context) settings.Usage {
	h, err := p.opened(ctx)
	if errors.Is(err, errNoHistory) {
		return settings.Usage{}
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
