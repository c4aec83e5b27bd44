// Package forwarder brings visitors' requests to the local service and its
// answers back.
//
// It is an HTTP/1.1 client of its own, on connections that it keeps alive, and
// does not use net/http's Transport. A Transport sends a request again when a
// kept connection fails under it, also after bytes of it were written, and cannot
// write every request-target as the visitor sent it ("//a", "/{x}"). Here a
// request goes to another connection only if not one byte of it was written
// (RFC 9110, 9.2.2 would allow more; a payment hook would not), targets and field
// values are copied byte for byte, and a request without a body is served by the
// calling goroutine alone.
package forwarder

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"culvert/app/capture"
	"culvert/app/target"
	"culvert/backend/wire"
)

// DefaultTimeout is how long the local service may take to begin its answer.
const DefaultTimeout = 60 * time.Second

// Config says where requests go and how.
type Config struct {
	Target target.Target
	// HostHeader is what the local service sees as Host; "" is HostLocal.
	HostHeader HostHeader
	// Timeout is how long the service may take from the end of the request, or of
	// what it has accepted of it, to the head of its answer. 0 is DefaultTimeout.
	Timeout time.Duration
	// RootCAs are the roots for https targets; nil is the system's.
	RootCAs *x509.CertPool
	// Recorder, if there is one, gets a copy of what passes.
	Recorder *capture.Recorder
	// Origin is what its records say about where the answers come from.
	Origin *capture.Origin
	// Buffers is what the forwarder shares with others, or nil.
	Buffers *Buffers
	// Logger gets what failed, at level debug; nil is none.
	Logger *slog.Logger
}

func (c *Config) validate() error {
	if c.Target == (target.Target{}) {
		return errors.New("forwarder: the target is missing")
	}
	if c.Timeout < 0 {
		return fmt.Errorf("forwarder: the timeout %v is negative", c.Timeout)
	}
	if _, err := ParseHostHeader(string(c.HostHeader)); err != nil && c.HostHeader != "" {
		return fmt.Errorf("forwarder: %w", err)
	}
	return nil
}

// Forwarder serves exchanges from one local service. Its methods may be called
// by any goroutine.
type Forwarder struct {
	cfg         Config
	where       string   // the service's name in messages
	host        string   // the Host field, unless it is the visitor's
	origin      string   // what the visitor's own origin becomes
	authorities []string // by which the service may call itself
	dialer      *dialer
	pool        pool
	shared      *Buffers

	continueTimeout, stallTimeout time.Duration // as the constants say; tests change them
}

// New makes a Forwarder. It opens no connection yet; Close gives all back.
func New(cfg Config) (*Forwarder, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.HostHeader == "" {
		cfg.HostHeader = HostLocal
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Buffers == nil {
		cfg.Buffers = &Buffers{}
	}
	f := &Forwarder{
		cfg:         cfg,
		where:       cfg.Target.HostHeader(),
		host:        cfg.Target.HostHeader(),
		authorities: authorities(cfg.Target, cfg.HostHeader),
		dialer:      newDialer(&cfg),
		shared:      cfg.Buffers,

		continueTimeout: continueTimeout,
		stallTimeout:    stallTimeout,
	}
	if cfg.HostHeader != HostLocal && cfg.HostHeader != HostPublic {
		f.host = string(cfg.HostHeader)
	}
	if cfg.Target.IsFolder() {
		f.where = "the folder" // where it is, is not for visitors
	}
	f.origin = cfg.Target.Scheme + "://" + f.host
	return f, nil
}

// Serve answers one exchange and returns when it is over: when both bodies have
// ended, or it has failed and the exchange was reset.
func (f *Forwarder) Serve(x wire.Exchange) { f.serve(x, "") }

// Repeat is Serve for an exchange that repeats another, which the record will name.
func (f *Forwarder) Repeat(x wire.Exchange, of string) { f.serve(x, of) }

func (f *Forwarder) serve(x wire.Exchange, repeats string) {
	e := exchange{f: f, x: x, head: x.Request()}
	e.rec = f.cfg.Recorder.Begin(x.ID(), e.head)
	e.rec.ServedBy(f.cfg.Origin)
	e.rec.Repeats(repeats)
	err := errUnfinished
	defer func() {
		if err == errUnfinished { // a panic, for the caller; nothing is left behind
			e.drop()
			e.rec.End(err)
		}
	}()
	err = e.run()
	if err != nil {
		f.cfg.Logger.Debug("exchange failed", "id", x.ID(), "method", e.head.Method, "error", err)
	}
	e.rec.End(err)
}

func (f *Forwarder) reading() *reading {
	if r, ok := f.shared.readings.Get().(*reading); ok {
		return r
	}
	return newReading()
}

// errUnfinished is how an exchange ends that a panic has broken off.
var errUnfinished = errors.New("the agent failed")

// Check connects to the service, with TLS if it has that, or looks for the folder, and
// says what visitors would be told if that fails.
func (f *Forwarder) Check(ctx context.Context) error {
	if err := f.dialer.ready(); err != nil {
		return f.dialFailure(ctx, err)
	}
	if f.dialer.folder != nil {
		return nil
	}
	c, err := f.dialer.dial(ctx)
	if err != nil {
		return f.dialFailure(ctx, err)
	}
	c.close()
	return nil
}

// Close closes the connections that are kept for later, and those in use when their
// exchange is over. It does not wait for exchanges; those from a folder it cuts.
func (f *Forwarder) Close() {
	f.pool.close()
	f.dialer.close()
}

// bufferSize is how much of a body is read at once, in bytes: what a DATA frame holds.
const bufferSize = 64 << 10

// Buffers keeps memory between exchanges. The forwarders of one program best share it:
// each has little to do, and the collector takes what lies about. The zero value is ready.
type Buffers struct {
	buffers  buffers
	readings sync.Pool // of *reading
}

// buffers keeps buffers of bufferSize.
type buffers struct{ pool sync.Pool }

func (b *buffers) get() *[]byte {
	if buf, ok := b.pool.Get().(*[]byte); ok {
		return buf
	}
	buf := make([]byte, bufferSize)
	return &buf
}

func (b *buffers) put(buf *[]byte) { b.pool.Put(buf) }
