// Package notify shows desktop notifications: a new one replaces the old one about
// the same thing, none of them makes the program wait, and a desktop that shows none
// is no error.
package notify

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"culvert/app/plain"
)

// Notification is one. Its texts are plain: no markup.
type Notification struct {
	// Key is what it is about: a new one with the same key replaces the old one.
	Key         string
	Title, Body string
	Actions     []Action
	// OnClick is called when it is clicked; may be nil. Like what Actions do, it is
	// called by a goroutine of the Notifier and must return soon.
	OnClick func()
}

// Action is a button, where the desktop has them.
type Action struct {
	Title string
	Do    func()
}

// Config says what a Notifier shows with.
type Config struct {
	// App is the program's name, Icon its icon's name or path, and DesktopEntry the
	// name of its .desktop file without the ending; all may be "".
	App, Icon, DesktopEntry string
	// Send shows a notification where there is no D-Bus: the toolkit's way. It may
	// block. nil shows none there.
	Send func(title, body string)
}

const (
	// burst notifications are shown at once, later ones one for each interval: a
	// backend that comes and goes must not bury the desktop.
	burst    = 4
	interval = 2 * time.Second
	// maxWaiting bounds what waits for its turn; the oldest go.
	maxWaiting = 16
	// deskLimit is how long the desktop may take to show one.
	deskLimit = 5 * time.Second
	// maxTitle and maxBody bound the texts, in runes.
	maxTitle = 120
	maxBody  = 500
)

// desk is what shows notifications. One goroutine uses it.
type desk interface {
	show(ctx context.Context, n Notification)
	withdraw(ctx context.Context, key string)
	// close takes away what is shown.
	close(ctx context.Context)
}

// order is what is to be done next about a key.
type order struct {
	key  string
	note *Notification // nil to withdraw
}

// Notifier shows notifications until Close.
type Notifier struct {
	desk desk
	pace *rate.Limiter

	mu      sync.Mutex
	waiting []order
	wake    chan struct{} // has room for one
	stop    context.CancelFunc
	ended   chan struct{}
}

// New starts a notifier.
func New(cfg Config) *Notifier { return start(systemDesk(cfg)) }

func start(d desk) *Notifier {
	ctx, stop := context.WithCancel(context.Background())
	n := &Notifier{
		desk: d, pace: rate.NewLimiter(rate.Every(interval), burst),
		wake: make(chan struct{}, 1), stop: stop, ended: make(chan struct{}),
	}
	go n.run(ctx)
	return n
}

// Show shows note soon, without waiting for it. Of several with the same key that
// wait, the last one is shown. Its texts may come from strangers: no desktop gets what
// would break their line or turn their direction.
func (n *Notifier) Show(note Notification) {
	note.Title, note.Body = plain.Cut(plain.Line(note.Title), maxTitle), plain.Cut(plain.Line(note.Body), maxBody)
	note.Actions = slices.Clone(note.Actions)
	for i := range note.Actions {
		note.Actions[i].Title = plain.Cut(plain.Line(note.Actions[i].Title), maxTitle)
	}
	n.put(order{note.Key, &note})
}

// Withdraw takes away what is shown under a key, or waits to be.
func (n *Notifier) Withdraw(key string) { n.put(order{key: key}) }

func (n *Notifier) put(o order) {
	n.mu.Lock()
	n.waiting = slices.DeleteFunc(n.waiting, func(other order) bool { return other.key == o.key })
	n.waiting = append(n.waiting, o)
	if len(n.waiting) > maxWaiting {
		n.waiting = slices.Delete(n.waiting, 0, 1)
	}
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// take gives the next order: withdrawals first, as they cost no one's attention.
func (n *Notifier) take(shows bool) (order, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, o := range n.waiting {
		if o.note == nil || shows {
			n.waiting = slices.Delete(n.waiting, i, i+1)
			return o, true
		}
	}
	return order{}, false
}

func (n *Notifier) run(ctx context.Context) {
	defer close(n.ended)
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		n.desk.close(ctx)
	}()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		for n.work(ctx) {
		}
		if n.idle() {
			pause.Stop()
		} else {
			pause.Reset(n.nextIn())
		}
		select {
		case <-n.wake:
		case <-pause.C:
		case <-ctx.Done():
			return
		}
	}
}

func (n *Notifier) idle() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.waiting) == 0
}

// nextIn is how long it takes until the next one may be shown.
func (n *Notifier) nextIn() time.Duration {
	missing := 1 - n.pace.Tokens()
	return max(time.Duration(missing*float64(interval)), time.Millisecond)
}

// work does the next thing that may be done now; false if there is none.
func (n *Notifier) work(ctx context.Context) bool {
	o, ok := n.take(false)
	if !ok {
		if n.idle() || !n.pace.Allow() {
			return false
		}
		if o, ok = n.take(true); !ok {
			return false
		}
	}
	ctx, cancel := context.WithTimeout(ctx, deskLimit)
	defer cancel()
	if o.note == nil {
		n.desk.withdraw(ctx, o.key)
	} else {
		n.desk.show(ctx, *o.note)
	}
	return ctx.Err() == nil || ctx.Err() == context.DeadlineExceeded
}

// Close takes the notifications away and waits for the notifier's goroutines. What
// still waits is not shown.
func (n *Notifier) Close() {
	n.stop()
	<-n.ended
}
