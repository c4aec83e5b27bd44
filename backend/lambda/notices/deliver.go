package notices

import (
	"context"
	"errors"
	"sync"
	"time"

	"culvert/backend/auth"
	"culvert/backend/lambda/post"
	"culvert/backend/lambda/store"
	"culvert/backend/lambda/timer"
	"culvert/backend/wire"
)

const (
	// maxPosters is to how many connections notices are posted at once.
	maxPosters = 8
	// postWithin bounds one post.
	postWithin = 3 * time.Second
)

// postPauses are before a notice is posted again where API Gateway takes no more for a
// moment, or does not say whether it has: agents show a notice once.
var postPauses = [...]time.Duration{200 * time.Millisecond, time.Second}

var (
	// errBefore is why a message is not tried after another one to the same connection.
	errBefore = errors.New("the one before it to this connection failed")
	// errTooEarly is about a connection that is noted before it opens. Forgotten now, it
	// would be unknown when it has.
	errTooEarly = errors.New("the connection has only just come, and API Gateway does not know it yet, or any more: the notice comes again")
)

// deliverAll posts what is for connections: to several at once, and to each in order.
func (n *Notices) deliverAll(ctx context.Context, messages []*work) {
	type group struct {
		connection string
		messages   []*work
		read       []message
	}
	var groups []*group
	of := make(map[string]*group)
	for _, w := range messages {
		m, err := readConnection(w.item)
		if err != nil {
			w.finish(err)
			continue
		}
		g := of[m.to]
		if g == nil {
			g = &group{connection: m.to}
			of[m.to], groups = g, append(groups, g)
		}
		g.messages, g.read = append(g.messages, w), append(g.read, m)
	}
	next := make(chan *group)
	var posters sync.WaitGroup
	for range min(maxPosters, len(groups)) {
		posters.Go(func() {
			for g := range next {
				n.survive(g.messages, func() { n.deliver(ctx, g.connection, g.messages, g.read) })
			}
		})
	}
	for _, g := range groups {
		next <- g
	}
	close(next)
	posters.Wait()
}

// deliver posts the notices for one connection.
func (n *Notices) deliver(ctx context.Context, connection string, messages []*work, read []message) {
	if ctx.Err() != nil {
		return
	}
	finish := func(messages []*work, err error) {
		for _, w := range messages {
			w.finish(err)
		}
	}
	c, err := n.cfg.Store.Connection(ctx, connection)
	switch {
	case err != nil && !errors.Is(err, store.ErrUnknown):
		finish(messages, err)
		return
	case err != nil:
		n.gone(ctx, connection, false, read)
		n.count(countDropped, len(messages))
		finish(messages, nil)
		return
	case !c.TakesNotices() || c.Expired(n.now()):
		n.count(countDropped, len(messages))
		finish(messages, nil)
		return
	}
	for i, w := range messages {
		if ctx.Err() != nil {
			return
		}
		err := n.post(ctx, c, &read[i].notice)
		switch {
		case err == nil:
			n.count(countPosted, 1)
		case errors.Is(err, post.ErrGone) && c.Young(n.now()):
			finish(messages[i:], errTooEarly)
			return
		case errors.Is(err, post.ErrGone):
			n.gone(ctx, connection, true, read)
			n.count(countDropped, len(messages)-i)
			finish(messages[i:], nil)
			return
		case errors.Is(err, post.ErrTooLarge): // the next one may be smaller
		default:
			w.finish(err)
			finish(messages[i+1:], errBefore)
			return
		}
		w.finish(err)
	}
}

// post posts a notice.
func (n *Notices) post(ctx context.Context, c *store.Connection, notice *wire.Notice) error {
	text, err := wire.Encode(notice)
	if err != nil {
		return err
	}
	for try := 0; ; try++ {
		err = n.cfg.Poster.Post(ctx, c.ID, text, post.Young(c.ConnectedAt), post.Within(postWithin))
		passing := errors.Is(err, post.ErrBusy) || errors.Is(err, post.ErrUnavailable)
		if !passing || try == len(postPauses) || timer.Wait(ctx, postPauses[try]) != nil {
			return err
		}
	}
}

// gone takes a connection that has gone out of the tables, and off the list by which the
// notices got here: or each notice would be sent to it. Where that fails, the next one
// tries again.
func (n *Notices) gone(ctx context.Context, connection string, known bool, read []message) {
	users := make(map[string]bool)
	for _, m := range read {
		if users[m.user] || m.user == "" && !known {
			continue
		}
		users[m.user] = true
		owner := ""
		if m.user != "" {
			owner = auth.OwnerOf(m.user)
		}
		if err := n.cfg.Store.ForgetOf(ctx, owner, connection); err != nil {
			n.log.Warn("a connection that has gone could not be forgotten", "connection", connection, "cause", err)
			return
		}
	}
}
