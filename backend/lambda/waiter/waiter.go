// Package waiter is the WebSocket on which a waiting Lambda environment is given
// answers: the function on the agents' side posts them to it, instead of storing
// them for the waiting side to poll.
//
// It only ever saves money and time. An environment that has no such connection, or
// is not sure of it, names none in its request IDs, and its answers go by the store;
// nothing here keeps a request waiting, and no failure here fails one.
//
// A Lambda environment is frozen between invocations, for milliseconds or for hours:
// goroutines stop, timers and the monotonic clock stand still, and the connection dies
// without a sign. So nothing is concluded from a timer that has not fired; what counts
// is how long ago, by the wall clock, this connection has been seen to work.
package waiter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// The times of a connection, all by the wall clock.
const (
	// ProvenFor is how long after its last proof of life a connection is trusted.
	ProvenFor = 60 * time.Second
	// DueWithin is how soon after another request one must come for a dial to pay.
	DueWithin = 60 * time.Second
	// RedialAfter is the age at which a connection gets a successor, and retireAfter
	// that at which it is no longer named: API Gateway cuts it at 2 hours
	// (https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html).
	RedialAfter = 110 * time.Minute
	retireAfter = 119 * time.Minute
	// idleLimit is when API Gateway has closed an idle connection for sure: after 10 min.
	idleLimit = 10 * time.Minute
	// touchAfter is how long a connection in use may be silent.
	touchAfter = 4 * time.Minute
	// askTimeout is how long the answer to whoami may take.
	askTimeout = 10 * time.Second
	// dialTimeout bounds a dial by the monotonic clock, staleDial by the wall clock.
	dialTimeout = 5 * time.Second
	staleDial   = 15 * time.Second
	// The pause after failures, doubled by each up to the longest.
	shortestPause = 2 * time.Second
	longestPause  = 5 * time.Minute
)

// An agent can post for as long as its request ID is valid, also when that request is
// over and the connection serves another tunnel's. What nobody waits for costs little
// here, but fills API Gateway's buffer for this connection. So a connection with more
// than maxStrays such frames, or maxStrayed bytes, within strayWindow is given up for
// one whose ID nobody has; the largest answer, 65 messages of 128 KB, may be late
// without that. After calmAfter it is forgotten.
const (
	maxStrays   = 128
	maxStrayed  = 12 << 20
	strayWindow = 10 * time.Second
	calmAfter   = 10 * time.Minute
)

// Counter takes what happened, for metrics.
type Counter interface {
	Count(name string, n float64)
}

// Config says where the waiters' API is.
type Config struct {
	// URL is the waiters' WebSocket API with its stage, wss://…; "" if there is none:
	// then no turn ever names a connection.
	URL         string
	Region      string
	Credentials aws.CredentialsProvider // of the function, which may execute-api:Invoke there
	Counter     Counter
	Log         *slog.Logger

	// For tests; the zero values are right otherwise.
	NetDial func(ctx context.Context, network, addr string) (net.Conn, error)
	Now     func() time.Time // the wall clock
}

// Waiter is an environment's connection to the waiters' API, if it has one.
type Waiter struct {
	cfg    Config
	signed *url.URL // as the signature sees it
	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	turn     *Turn     // the request that waits, nil between requests
	arrived  time.Time // when the last request came
	current  *conn     // which turns name, nil if there is none
	next     *conn     // which is being dialled or asked, to become current
	failures int       // since the last success
	floods   int       // connections given up for strays, one soon after another
	pause    time.Time // no dial before
}

// New makes a Waiter. It connects to nothing yet. Close must follow.
func New(cfg Config) (*Waiter, error) {
	w := &Waiter{cfg: cfg}
	if cfg.Counter == nil || cfg.Log == nil {
		return nil, errors.New("waiter: a counter and a log are needed")
	}
	if cfg.URL != "" {
		u, err := url.Parse(cfg.URL)
		if err != nil || u.Host == "" || u.Scheme != "wss" && u.Scheme != "ws" || u.RawQuery != "" || u.Fragment != "" {
			return nil, errors.New("waiter: the waiters' URL must be wss://HOST/STAGE: see CULVERT_WAITERS_URL")
		}
		if cfg.Credentials == nil || cfg.Region == "" {
			return nil, errors.New("waiter: credentials and a region are needed to sign the handshake")
		}
		w.signed = u
	}
	if w.cfg.Now == nil {
		w.cfg.Now = wallClock
	}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	return w, nil
}

// wallClock leaves the monotonic reading out, which stands still in a frozen environment.
func wallClock() time.Time { return time.Now().Round(0) }

// Close ends the connections and waits for what was started.
func (w *Waiter) Close() {
	w.mu.Lock()
	w.closed = true
	w.cancel()
	for _, c := range []*conn{w.current, w.next} {
		if c != nil {
			w.drop(c)
		}
	}
	if w.turn != nil && w.turn.named != nil {
		w.drop(w.turn.named)
	}
	w.mu.Unlock()
	w.tasks.Wait()
}

// enabled reports whether there is an API to connect to.
func (w *Waiter) enabled() bool { return w.signed != nil && !w.closed }

// since is how long ago t was; a wall clock that was set back has no say.
func since(now, t time.Time) time.Duration {
	if d := now.Sub(t); d >= 0 {
		return d
	}
	return 1<<63 - 1
}

// sustain does what the connection needs, if now is the time for it. w.mu is held.
func (w *Waiter) sustain(due bool) {
	if !w.enabled() {
		return
	}
	now := w.cfg.Now()
	if c := w.next; c != nil && c.overdue(now) {
		w.drop(c)
		w.failed(fmt.Errorf("no connection within %v", staleDial))
	}
	if c := w.current; c != nil {
		switch {
		case since(now, c.active) >= idleLimit:
			w.drop(c) // which is no failure: it was not needed
		case c.overdue(now):
			w.drop(c)
			w.failed(errors.New("the connection has gone silent"))
		case since(now, c.proven) > ProvenFor && c.asked.IsZero() && (w.turn == nil || w.turn.named != c):
			w.ask(c)
		}
	}
	old := w.current != nil && since(now, w.current.begun) >= RedialAfter
	if (w.current == nil || old) && w.next == nil && due && !now.Before(w.pause) {
		w.dial()
	}
}

// failed notes that there is no connection though one was wanted. w.mu is held.
func (w *Waiter) failed(err error) {
	if w.closed {
		return
	}
	w.cfg.Counter.Count("DialFailures", 1)
	pause := w.hold(w.failures)
	w.failures++
	w.cfg.Log.Warn("no connection to the waiters' API: answers go by the store meanwhile", "cause", err, "pause", pause.Round(time.Second).String())
}

// hold allows no dial for a time that grows with how often that was so before. w.mu is
// held.
func (w *Waiter) hold(before int) time.Duration {
	pause := longestPause
	if before < 8 {
		pause = min(shortestPause<<before, longestPause)
	}
	// Many environments that failed at once must not come back at once.
	pause -= rand.N(pause / 2)
	w.pause = w.cfg.Now().Add(pause)
	return pause
}

// flooded gives a connection up that gets too much of what nobody waits for. What is
// posted to it from now on fails, and goes by the store. w.mu is held.
func (w *Waiter) flooded(c *conn) {
	w.drop(c)
	if since(w.cfg.Now(), c.begun) >= calmAfter {
		w.floods = 0
	}
	pause := w.hold(w.floods)
	w.floods++
	w.cfg.Log.Warn("too many messages of requests that are over: answers go by the store until there is a new connection",
		"messages", c.strays, "bytes", c.strayed, "pause", pause.Round(time.Second).String())
}
