package notices

import (
	"context"
	"errors"
	"time"

	"culvert/backend/auth"
	"culvert/backend/lambda/store"
	"culvert/backend/lambda/timer"
)

// Bounds of what is sent at once: SQS's, of which the second was 256 KB for long, and
// is so still in other implementations.
const (
	maxSend      = 10
	maxSendBytes = 250 << 10
)

// sendPause is before messages are sent again that a queue did not take.
const sendPause = 200 * time.Millisecond

// fanOut sends on to each connection of a user what is for the user. Messages for
// several users share calls, in their order.
func (n *Notices) fanOut(ctx context.Context, messages []*work) {
	of := directory{store: n.cfg.Store, known: make(map[string][]store.UserConnection)}
	var p pack
	for _, w := range messages {
		if ctx.Err() != nil {
			return
		}
		m, err := readUser(w.item)
		if err != nil {
			w.finish(err)
			continue
		}
		err = of.each(ctx, m.to, func(c *store.UserConnection) error {
			if !c.Notices {
				n.count(countDropped, 1)
				return nil
			}
			body := m.forConnection(c.Connection)
			if !p.fits(body) {
				n.send(ctx, &p)
			}
			p.add(w, body)
			return ctx.Err()
		})
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			w.finish(err)
		default:
			p.done(w)
		}
	}
	n.send(ctx, &p)
}

// directory finds the connections of users, of whom a batch may have several messages.
type directory struct {
	store Store
	known map[string][]store.UserConnection // of users that have no more than one page
}

// each calls f for all connections of a user, until it fails.
func (d *directory) each(ctx context.Context, user string, f func(*store.UserConnection) error) error {
	all := func(page []store.UserConnection) error {
		for i := range page {
			if err := f(&page[i]); err != nil {
				return err
			}
		}
		return nil
	}
	if page, ok := d.known[user]; ok {
		return all(page)
	}
	var first []store.UserConnection
	pages := 0
	err := d.store.EachUserConnections(ctx, auth.OwnerOf(user), func(page []store.UserConnection) error {
		if pages++; pages == 1 {
			first = page
		}
		return all(page)
	})
	if err == nil && pages <= 1 {
		d.known[user] = first
	}
	return err
}

// pack is what is sent at once. The messages it is made of end with it.
type pack struct {
	entries []entry
	size    int
	ending  []*work // of which nothing follows
}

// entry is a message to be sent, and the one that it is made of.
type entry struct {
	of   *work
	body string
}

func (p *pack) fits(body string) bool {
	return len(p.entries) < maxSend && (len(p.entries) == 0 || p.size+len(body) <= maxSendBytes)
}

func (p *pack) add(w *work, body string) {
	p.entries, p.size = append(p.entries, entry{w, body}), p.size+len(body)
}

// done says that all of w has been added.
func (p *pack) done(w *work) { p.ending = append(p.ending, w) }

// send sends a pack and empties it. What the queue does not take is sent once more; one
// by one if it was refused as a whole, so that what cannot be sent takes nobody else's
// notices with it. What is left then fails as the message that it is of, which goes to
// all of its user's connections again.
func (n *Notices) send(ctx context.Context, p *pack) {
	left, errs := n.try(ctx, p.entries)
	if len(left) > 0 && timer.Wait(ctx, sendPause) == nil {
		if errors.Is(errs[0], errRefused) && len(left) > 1 {
			left, errs = n.trySingly(ctx, left)
		} else {
			left, errs = n.try(ctx, left)
		}
	}
	for i, e := range left {
		e.of.err = errs[i]
	}
	for _, w := range p.ending {
		w.open = false
	}
	*p = pack{}
}

// trySingly is try with a call for each entry.
func (n *Notices) trySingly(ctx context.Context, entries []entry) (left []entry, errs []error) {
	for _, e := range entries {
		rest, why := n.try(ctx, []entry{e})
		left, errs = append(left, rest...), append(errs, why...)
	}
	return left, errs
}

// try sends entries, and gives those that the queue has not taken, and why.
func (n *Notices) try(ctx context.Context, entries []entry) (left []entry, errs []error) {
	if len(entries) == 0 {
		return nil, nil
	}
	bodies := make([]string, len(entries))
	for i, e := range entries {
		bodies[i] = e.body
	}
	for i, err := range n.cfg.Queue.Send(ctx, bodies) {
		if err != nil {
			left, errs = append(left, entries[i]), append(errs, err)
		}
	}
	return left, errs
}
