// Package session keeps one tunnel online: it dials the backend, watches the
// connection, dials again when it is lost and replaces it before the backend
// ends it, always asking for the same URL. It is one state machine, run by one
// goroutine; [State] has the diagram.
//
// It knows nothing about requests: package link serves them.
package session

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"

	"culvert/app/link"
	"culvert/backend/wire"
)

// Link is one established connection, as *link.Link is.
type Link interface {
	Established() wire.Established
	// Run serves until the connection or ctx ends, and says why: a *wire.Error
	// if the backend said so. It is called once.
	Run(ctx context.Context) error
	// Drain returns when no request is left and no late one is to be expected,
	// or with ctx's error. The link goes on serving meanwhile.
	Drain(ctx context.Context) error
	// Probe asks for a sign of life. It fails if there is none before ctx ends,
	// with an error that wraps errors.ErrUnsupported if silence proves nothing.
	Probe(ctx context.Context) error
	// Renewed reports whether a new connection would show a token that the backend has
	// not judged yet.
	Renewed() bool
	// GoingAway is closed once the backend has said that it will end the connection.
	GoingAway() <-chan struct{}
	// Close ends the connection, and with it Run, without waiting.
	Close()
	// Settle ends what has outlived the session's connections, all of which have
	// ended, and waits for it.
	Settle()
}

// Config says what a session connects to. Only Dial is required.
type Config struct {
	// Dial makes a connection; see DialWith. Permanent refusals are a *wire.Error.
	Dial func(ctx context.Context, h link.Hello) (Link, error)
	// TunnelID is the wanted tunnel ID; "" lets the backend choose.
	TunnelID string
	// OnStatus is told every transition, exactly once and in order, by the
	// goroutine in Run, which waits for it.
	OnStatus func(Status)
	// Watcher, if any, tells of wake-ups and network changes.
	Watcher *Watcher
	Logger  *slog.Logger

	// Zero values take the defaults named here.
	BackoffMin   time.Duration // 1 s: the first retry's latest moment
	BackoffMax   time.Duration // 60 s
	StableAfter  time.Duration // 30 s online, after which back-off starts anew
	DialTimeout  time.Duration // 45 s for one dial with its handshake
	ProbeTimeout time.Duration // 5 s for a sign of life
	DrainTimeout time.Duration // 35 s for a replaced connection's requests
	// Jitter picks a duration in [0, below); random by default.
	Jitter func(below time.Duration) time.Duration

	wall func() time.Time // the wall clock; only tests have another one
}

// DialWith makes a session's Dial from a link's configuration, which belongs to
// that one session from now on.
func DialWith(cfg *link.Config) func(context.Context, link.Hello) (Link, error) {
	return func(ctx context.Context, h link.Hello) (Link, error) {
		l, err := cfg.Dial(ctx, h)
		if err != nil {
			return nil, err // not a Link that holds a nil *link.Link
		}
		return l, nil
	}
}

// Session is the state machine of one tunnel. All methods may be called by any
// goroutine.
type Session struct {
	cfg     Config
	backoff backoff
	retry   chan struct{}

	mu      sync.Mutex
	running bool
	status  Status

	// hello belongs to the goroutine in Run.
	hello link.Hello
}

// New makes a stopped session. It panics without a Dial: that is a programming error.
func New(cfg Config) *Session {
	if cfg.Dial == nil {
		panic("session: Config without Dial")
	}
	setDefault(&cfg.BackoffMin, time.Second)
	setDefault(&cfg.BackoffMax, time.Minute)
	setDefault(&cfg.StableAfter, 30*time.Second)
	setDefault(&cfg.DialTimeout, 45*time.Second)
	setDefault(&cfg.ProbeTimeout, 5*time.Second)
	setDefault(&cfg.DrainTimeout, 35*time.Second)
	if cfg.Jitter == nil {
		cfg.Jitter = uniform
	}
	if cfg.wall == nil {
		cfg.wall = func() time.Time { return time.Now().Round(0) } // no monotonic reading
	}
	if cfg.OnStatus == nil {
		cfg.OnStatus = func(Status) {}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Session{
		cfg:     cfg,
		backoff: backoff{min: cfg.BackoffMin, max: cfg.BackoffMax, jitter: cfg.Jitter},
		retry:   make(chan struct{}, 1),
		status:  Status{State: Stopped, Since: time.Now()},
		hello:   link.Hello{TunnelID: cfg.TunnelID, Instance: rand.Text()},
	}
}

func setDefault(d *time.Duration, to time.Duration) {
	if *d <= 0 {
		*d = to
	}
}

// ErrRunning is what Run returns while another Run is under way.
var ErrRunning = errors.New("the session is already running")

// Run keeps the tunnel online until ctx ends, and then returns nil, or until
// the backend refuses it for good, and then returns a *wire.Error. By then
// everything it started has ended. After that it may be called again, and asks
// for the same tunnel ID.
func (s *Session) Run(ctx context.Context) error {
	s.mu.Lock()
	if s.running {
		s.mu.Unlock()
		return ErrRunning
	}
	s.running = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.running = false
	}()
	select { // a wish from before this run
	case <-s.retry:
	default:
	}
	return newSupervisor(ctx, s).run()
}

// Status is the state at this moment.
func (s *Session) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// RetryNow skips the wait before the next try. It does nothing in any other state.
func (s *Session) RetryNow() {
	select {
	case s.retry <- struct{}{}:
	default: // one wish is enough
	}
}

// changeState is the only place where the status changes. st.Since and
// st.Established are filled in here unless the caller knows better.
func (s *Session) changeState(st Status) {
	s.mu.Lock()
	st.Since = time.Now()
	if st.State == s.status.State {
		st.Since = s.status.Since
	}
	if st.State != Online {
		st.Established = s.status.Established
	}
	s.status = st
	s.mu.Unlock()
	s.cfg.OnStatus(st)
}
