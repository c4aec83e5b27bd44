package link

import (
	"context"
	"errors"
	"slices"
	"time"

	"culvert/backend/wire"
)

// send sends a message about a request to the tunnel's backend, on the newest
// connection that takes it. An error other than errAlone is about the message.
func (b *board) send(tunnel string, message any, resent bool) error {
	b.mu.Lock()
	links := slices.Clone(b.links)
	b.mu.Unlock()
	for _, f := range slices.Backward(links) {
		if f.tunnel() != tunnel {
			continue
		}
		text, err := f.encode(signed(message, f.link.est.Session, resent))
		if err != nil {
			return err
		}
		if f.sendText(text) == nil {
			return nil
		}
	}
	return errAlone
}

// sendWaiting is send that waits for a connection until ctx ends.
func (b *board) sendWaiting(ctx context.Context, tunnel string, message any) error {
	for {
		b.mu.Lock()
		if b.changed == nil {
			b.changed = make(chan struct{})
		}
		changed := b.changed
		b.mu.Unlock()
		if err := b.send(tunnel, message, false); !errors.Is(err, errAlone) {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// deliver keeps an answer and sends it: on the next connection if there is none.
func (b *board) deliver(a *answer) error {
	b.keep(a)
	return b.sendAnswer(a)
}

// keepSent remembers an answer all of which has left already.
func (b *board) keepSent(a *answer) {
	a.sent.Store(int64(len(a.parts)))
	b.keep(a)
}

// keep remembers an answer for those who did not get it.
func (b *board) keep(a *answer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx == nil {
		return
	}
	b.kept.put(a)
	if b.expiry == nil {
		b.expiry = time.AfterFunc(keepFor, b.forget)
	}
}

// forget frees the memory of answers that are too old.
func (b *board) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expiry = nil
	now := time.Now()
	b.kept.forget(now)
	if b.ctx != nil && len(b.kept.answers) > 0 {
		b.expiry = time.AfterFunc(max(b.kept.answers[0].at.Add(keepFor).Sub(now), time.Second), b.forget)
	}
}

func (b *board) sendAnswer(a *answer) error {
	for {
		b.mu.Lock()
		joins := b.joins
		b.mu.Unlock()
		err := b.sendFirst(a)
		if !errors.Is(err, errAlone) {
			return err
		}
		b.mu.Lock()
		a.unsent = b.joins == joins // else one has come after the look
		unsent := a.unsent
		b.mu.Unlock()
		if unsent {
			return nil
		}
	}
}

// sendFirst sends all of an answer, and notes how far it has come.
func (b *board) sendFirst(a *answer) error {
	for i, part := range a.parts {
		if a.dropped.Load() {
			return nil
		}
		if err := b.send(a.tunnel, part, false); err != nil {
			return err
		}
		a.sent.Store(max(a.sent.Load(), int64(i)+1))
	}
	return nil
}

func (b *board) sendParts(tunnel string, parts []any, resent bool) error {
	for _, part := range parts {
		if err := b.send(tunnel, part, resent); err != nil {
			return err
		}
	}
	return nil
}

// resend serves a backend that has missed something, asked for on the connection f.
// If that is the answer to a request which has never come, the request is what got
// lost: then all of it is asked for.
func (b *board) resend(f *form1, r *wire.Resend) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx == nil || len(b.resends) >= maxResends || b.resends[r.RequestID] {
		return
	}
	var parts []any
	tunnel := f.tunnel()
	stop := func() bool { return false }
	if x := b.open[r.RequestID]; x != nil && x.stream != nil {
		parts, tunnel = wanted(x.stream.unacknowledged(), r), x.tunnel
	} else if a := b.kept.find(r.RequestID); a != nil {
		// What has not left yet is on its way: a slow line must not carry it twice.
		parts, tunnel, stop = wanted(a.parts[:a.sent.Load()], r), a.tunnel, a.dropped.Load
	} else if r.Wants(0) && b.arrives[r.RequestID] == nil && b.seen.never(r.RequestID) {
		all := 0
		parts = []any{&wire.Resend{RequestID: r.RequestID, From: &all}}
		f.link.log.Debug("a request has not come, and is asked for", "request", printable(r.RequestID))
	}
	if len(parts) == 0 {
		return
	}
	if b.resends == nil {
		b.resends = make(map[string]bool)
	}
	b.resends[r.RequestID] = true
	b.goLocked(func() {
		for _, part := range parts {
			if stop() || b.send(tunnel, part, true) != nil {
				break // else it is asked for again
			}
		}
		b.mu.Lock()
		delete(b.resends, r.RequestID)
		b.mu.Unlock()
	})
}

// offerAgain sends the answers of the last moments once more: see offers.
func (b *board) offerAgain() (answers int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if now.Sub(b.again) < offerEvery {
		return 0
	}
	recent := b.kept.since(now.Add(-offerFor))
	if len(recent) > 0 {
		b.again = now
	}
	b.goLocked(func() {
		for _, a := range recent {
			if b.sendAnswer(a) != nil {
				return
			}
		}
	})
	return len(recent)
}
