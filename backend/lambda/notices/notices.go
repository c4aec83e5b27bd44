// Package notices brings notices to users: what somebody puts on the queue NotifyUser
// goes to every connection of that user, by way of the queue NotifyConnection, of
// which each message is posted to one connection.
//
// A queue brings a message at least once. Whatever is done twice is harmless: a notice
// keeps its ID on all its ways, and agents show an ID once. A message that fails is
// reported by itself, comes again, and ends in the queue's dead-letter queue.
package notices

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"culvert/backend/lambda/event"
	"culvert/backend/lambda/post"
	"culvert/backend/lambda/store"
)

// Store knows who is connected, as *store.Store.
type Store interface {
	// EachUserConnections gives those of an owner (auth.OwnerOf), page by page. The first
	// error of page ends it.
	EachUserConnections(ctx context.Context, owner string, page func([]store.UserConnection) error) error
	// Connection finds a connection; store.ErrUnknown if there is none.
	Connection(ctx context.Context, id string) (*store.Connection, error)
	// ForgetOf takes a connection that has gone out of the tables, and off the list of
	// owner, "" if that is not known, even if it is nowhere else.
	ForgetOf(ctx context.Context, owner, connection string) error
}

// Poster posts to connections, as *post.Poster.
type Poster interface {
	Post(ctx context.Context, connection string, text []byte, opts ...post.Option) error
}

// Queue is NotifyConnection, to send to.
type Queue interface {
	// Send sends at most maxSend messages of maxSendBytes in all, and says of each
	// what became of it: errRefused if one of them may be why none was taken.
	Send(ctx context.Context, bodies []string) []error
}

// Counter takes metrics.
type Counter interface {
	Count(name string, n float64)
}

// Names of metrics.
const (
	countPosted  = "Notices"        // notices posted to connections
	countDropped = "NoticesDropped" // of which the connection has gone, or takes none
	countFailed  = "NoticesFailed"  // messages of either queue that failed
)

// Config is what a Notices needs.
type Config struct {
	// Users and Connections are the ARNs of the queues NotifyUser and NotifyConnection.
	Users, Connections string
	Store              Store
	Poster             Poster
	Queue              Queue
	Logger             *slog.Logger
	Count              Counter
	// Now is the time; time.Now by default.
	Now func() time.Time
}

// Validate says what is wrong with the configuration.
func (c *Config) Validate() error {
	switch {
	case c.Store == nil, c.Poster == nil, c.Queue == nil:
		return errors.New("notices: Store, Poster and Queue are needed")
	case c.Users == "" || c.Connections == "" || c.Users == c.Connections:
		return errors.New("notices need the ARNs of two queues, NotifyUser and NotifyConnection")
	}
	return nil
}

// Notices serves the queues. It is safe for use by many goroutines.
type Notices struct {
	cfg   Config
	log   *slog.Logger
	now   func() time.Time
	count func(name string, n int)
}

// New makes a Notices. It asks for nothing yet.
func New(cfg Config) (*Notices, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	n := &Notices{cfg: cfg, log: cfg.Logger, now: cfg.Now, count: func(string, int) {}}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if n.now == nil {
		n.now = time.Now
	}
	if cfg.Count != nil {
		n.count = func(name string, times int) { cfg.Count.Count(name, float64(times)) }
	}
	return n, nil
}

const (
	// margin is what is left of the function's time, to report what has failed.
	margin = time.Second
	// maxTime bounds a batch where nobody else does.
	maxTime = 25 * time.Second
)

// Why messages fail, beside what others say.
var (
	errNotReached = errors.New("there was no time left for it: it comes again")
	errNoQueue    = errors.New("it is of a queue that this function does not serve: see CULVERT_NOTIFY_USER_ARN and CULVERT_NOTIFY_CONNECTION_ARN")
)

// work is a message that is being served. It is one goroutine's at a time.
type work struct {
	item *event.Item
	err  error // why it fails
	open bool  // something is left to be done
}

// finish says that nothing is left to be done.
func (w *work) finish(err error) { w.open, w.err = false, err }

// Handle serves a batch, and gives the IDs of those messages that are to come again:
// an ID may have come twice in a batch, and is then reported if either has failed. Of
// each the log says why.
func (n *Notices) Handle(ctx context.Context, b *event.Batch) (failed []string) {
	limit := maxTime
	if deadline, ok := ctx.Deadline(); ok {
		limit = deadline.Sub(n.now()) - margin
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	all := make([]work, len(b.Items))
	var users, connections []*work
	for i := range b.Items {
		w := &all[i]
		w.item, w.open = &b.Items[i], true
		switch w.item.Queue {
		case n.cfg.Users:
			users = append(users, w)
		case n.cfg.Connections:
			connections = append(connections, w)
		default:
			w.finish(errNoQueue)
		}
	}
	n.survive(users, func() { n.fanOut(ctx, users) })
	n.deliverAll(ctx, connections)
	for i := range all {
		if w := &all[i]; w.open || w.err != nil {
			failed = append(failed, w.item.ID)
			n.failed(w)
		}
	}
	return failed
}

// survive calls f, and has the messages fail that a panic keeps from being served.
func (n *Notices) survive(messages []*work, f func()) {
	defer func() {
		if v := recover(); v != nil {
			for _, w := range messages {
				if w.open {
					w.finish(fmt.Errorf("panic: %v", v))
				}
			}
		}
	}()
	f()
}

// failed says why a message failed. What is in it is somebody's, and has no place in
// the log.
func (n *Notices) failed(w *work) {
	n.count(countFailed, 1)
	queue, why := "unknown", w.err
	switch w.item.Queue {
	case n.cfg.Users:
		queue = "NotifyUser"
	case n.cfg.Connections:
		queue = "NotifyConnection"
	}
	if why == nil {
		why = errNotReached
	}
	n.log.Error("a notice failed", "queue", queue, "messageId", w.item.ID, "receives", w.item.Receives, "cause", why)
}
