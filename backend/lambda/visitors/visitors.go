// Package visitors is the public side of the serverless backend: a visitor's request
// comes in one event, goes out as messages to the agent of its tunnel, and waits for
// the messages that answer it.
//
// One request takes this way:
//
//	route ─▶ look-up ─▶ compose ─▶ send ─▶ wait ─▶ answer
//	                       ▲         │
//	                       └─────────┘ once more, if the tunnel has moved
//
// Whatever comes back is found by the request's ID, which authenticates itself (package
// ticket), so that nothing is written for a request. An answer is pushed to the
// environment that waits for it, or stored and polled (package waiter says which); the
// first one counts. Reads, posts and polls cost money: schedule.go says when they happen.
//
// Every request ends before the gateway's own timeout would end it, with a status that
// says what happened.
//
// What a visitor may send and what he reads is the same with every backend, and in
// package backend/visitor, which this one uses.
package visitors

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"culvert/backend/lambda/event"
	"culvert/backend/lambda/post"
	"culvert/backend/lambda/store"
	"culvert/backend/lambda/ticket"
	"culvert/backend/lambda/waiter"
	"culvert/backend/visitor"
	"culvert/backend/wire"
)

// Tunnels says who holds which tunnel; *store.Store does.
type Tunnels interface {
	Lookup(ctx context.Context, id string, consistent bool) (*store.Tunnel, error)
	MarkGone(ctx context.Context, id, connection string) (changed bool, err error)
}

// Answers are those that were stored; *store.Store has them.
type Answers interface {
	GetAnswers(ctx context.Context, key string, spans []store.Span, consistent bool) ([]store.Answer, error)
}

// Poster sends messages to agents; *post.Poster does.
type Poster interface {
	Post(ctx context.Context, connection string, text []byte, opts ...post.Option) error
}

// Limiter bounds what a tunnel serves; *store.Limiter does.
type Limiter interface {
	// Allow is asked before a request with so many bytes of body.
	Allow(ctx context.Context, id string, bytes int) (ok bool, wait time.Duration, err error)
	// Spend is told of the bytes of its answer.
	Spend(id string, bytes int)
}

// Slots bounds how many requests of a tunnel are served at once; *store.Slots does.
type Slots interface {
	Take(ctx context.Context, id string, until time.Time) (release func(context.Context) error, ok bool, err error)
}

// Bodies is where large bodies go; *blob.Bucket is one.
type Bodies interface {
	// PutRequest keeps a request's body and gives the URL where its agent gets it.
	PutRequest(ctx context.Context, key string, body []byte) (url string, err error)
	// OfferAnswer lets an agent put one body of at most max bytes.
	OfferAnswer(ctx context.Context, key string, max int64) (*wire.Upload, error)
	// Answer reads what was put, if it is at most max bytes long.
	Answer(ctx context.Context, key string, max int64) ([]byte, error)
}

// Metrics takes what happened.
type Metrics interface {
	Count(name string, n float64)
	Sample(name string, v float64)
}

// Config is what Visitors need.
type Config struct {
	Tunnels Tunnels
	Answers Answers
	Poster  Poster
	Limiter Limiter        // nil: no bound
	Slots   Slots          // of those that stream; nil: no bound
	Bodies  Bodies         // nil: large bodies go in parts, or not at all
	Waiter  *waiter.Waiter // nil: all answers are stored
	// Keys gives the keys that request IDs are made with.
	Keys func(ctx context.Context) (*ticket.Keyring, error)

	// SubdomainURL is the base below which hosts name tunnels; nil: none do.
	SubdomainURL *url.URL
	Version      string

	// MaxWait is how long a request may take from its arrival to its answer's head;
	// 28 s by default, since API Gateway gives up after 30 s at most.
	MaxWait time.Duration
	// AccountConcurrency is how many invocations the account allows at once, 0 if that
	// is unknown; Reserved says that the waiting requests can not use it up.
	AccountConcurrency int
	Reserved           bool

	Metrics Metrics
	Log     *slog.Logger
}

const (
	defaultMaxWait = 28 * time.Second
	// An account with so few invocations at once gets shortWait: the answers to
	// requests that wait need invocations too.
	smallAccount = 50
	shortWait    = 5 * time.Second
	// reserve is what remains of the invocation after the deadline of the answer, to
	// say so.
	reserve = 700 * time.Millisecond
)

// Visitors serves the requests of visitors, any number at once.
type Visitors struct {
	cfg      Config
	hostForm string // base host of the subdomain form, "" if there is none
	short    bool   // waits are short
	lookups  *lookups
	means    *means
	packer   wire.Packer
	begin    func() turn
}

// turn is one request's use of the environment's connection; *waiter.Turn is one.
type turn interface {
	Connection() string
	Expect(id string)
	Sustain()
	Arrived() <-chan struct{}
	Gone() <-chan struct{}
	Next() []byte
	Doubt()
	End()
}

// New makes Visitors.
func New(cfg Config) (*Visitors, error) {
	if cfg.MaxWait == 0 {
		cfg.MaxWait = defaultMaxWait
	}
	switch {
	case cfg.Tunnels == nil || cfg.Answers == nil || cfg.Poster == nil || cfg.Keys == nil:
		return nil, errors.New("visitors: the store, a poster and keys are needed")
	case cfg.Metrics == nil || cfg.Log == nil:
		return nil, errors.New("visitors: metrics and a log are needed")
	case cfg.MaxWait < 0 || cfg.MaxWait > defaultMaxWait:
		return nil, errors.New("visitors: the longest wait must be within 28 s, or the gateway answers first: see CULVERT_MAX_WAIT")
	}
	v := &Visitors{cfg: cfg, lookups: newLookups(cfg.Tunnels), means: newMeans()}
	v.short = cfg.AccountConcurrency > 0 && cfg.AccountConcurrency <= smallAccount && !cfg.Reserved
	if v.short {
		v.cfg.MaxWait = min(cfg.MaxWait, shortWait)
	}
	if cfg.SubdomainURL != nil {
		v.hostForm = strings.ToLower(visitor.HostName(cfg.SubdomainURL.Host))
	}
	v.begin = func() turn { return noTurn{} }
	if cfg.Waiter != nil {
		v.begin = func() turn { return cfg.Waiter.Begin() }
	}
	return v, nil
}

// noTurn is that of an environment without a connection.
type noTurn struct{}

func (noTurn) Connection() string       { return "" }
func (noTurn) Expect(string)            {}
func (noTurn) Sustain()                 {}
func (noTurn) Arrived() <-chan struct{} { return nil }
func (noTurn) Gone() <-chan struct{}    { return nil }
func (noTurn) Next() []byte             { return nil }
func (noTurn) Doubt()                   {}
func (noTurn) End()                     {}

// Serve answers a request as a whole.
func (v *Visitors) Serve(ctx context.Context, r *event.Request) *event.Answer {
	return v.serve(ctx, r, false).whole
}

// Stream answers a request whose answer may come while it is made.
func (v *Visitors) Stream(ctx context.Context, r *event.Request) *event.Stream {
	o := v.serve(ctx, r, true)
	if o.stream != nil {
		return o.stream
	}
	return o.whole.Stream()
}

// outcome is an answer: a stream, or else whole.
type outcome struct {
	whole  *event.Answer
	stream *event.Stream
}

func (v *Visitors) serve(ctx context.Context, r *event.Request, stream bool) outcome {
	rt, own := v.route(ctx, r)
	if own != nil {
		return outcome{whole: own}
	}
	x := &exchange{v: v, req: r, route: rt, streaming: stream, began: time.Now(), moving: make(chan struct{}, 1)}
	o := x.run(ctx)
	if o.stream == nil {
		x.end()
	}
	return o
}
