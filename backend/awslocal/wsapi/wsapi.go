// Package wsapi stands in for API Gateway's WebSocket APIs, their limits and
// their misbehaviour included: one API with one stage, its clients' connections, and
// the @connections calls by which functions answer them.
//
// It does what is documented, and where AWS leaves room it takes the harder
// choice: messages are delivered concurrently and in no order, a post that was
// accepted is not one that arrived, and a connection that is gone is noticed late.
// With a [chaos.Source] it does all that more often.
//
// Clients connect at / and /{stage}; the management API is at /@connections/{id}
// and /{stage}/@connections/{id} of the same address.
package wsapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"culvert/backend/awslocal/clock"
)

// API is a WebSocket API. It is an http.Handler, to be served by [API.Start] or by others.
type API struct {
	cfg       Config
	selection []string
	log       *slog.Logger
	connects  *rate.Limiter
	inFlight  chan struct{} // a token for each message under way

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	counter atomic.Uint64 // of connections

	mu     sync.Mutex
	closed bool
	work   sync.WaitGroup // handlers and goroutines; added to while mu is held and closed is false
	peers  map[string]*peer
	server *http.Server
}

// New is an API of cfg, with no address yet.
func New(cfg Config) (*API, error) {
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	if cfg.Account == "" {
		cfg.Account = "123456789012"
	}
	cfg.Limits = cfg.Limits.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("wsapi: %w", err)
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.Real()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	a := &API{
		cfg:      cfg,
		log:      cfg.Log,
		connects: rate.NewLimiter(rate.Limit(cfg.Limits.Connects), cfg.Limits.Connects),
		inFlight: make(chan struct{}, cfg.Limits.InFlight),
		peers:    map[string]*peer{},
	}
	a.selection, _ = parseSelection(cfg.RouteSelection) // validated
	a.ctx, a.cancel = context.WithCancel(context.Background())
	return a, nil
}

// Start serves the API on l until [API.Close], which closes l.
func (a *API) Start(l net.Listener) error {
	server := &http.Server{
		Handler: a,
		// API Gateway's own limit is smaller, and has an answer of its own.
		MaxHeaderBytes:    4 * a.cfg.Limits.Header,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	a.mu.Lock()
	if a.closed || a.server != nil {
		a.mu.Unlock()
		return errors.New("wsapi: the API is served or closed already")
	}
	a.server = server
	a.mu.Unlock()
	if !a.background(func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("the API is no longer served", "api", a.cfg.ID, "error", err)
		}
	}) {
		return errors.New("wsapi: the API is closed")
	}
	return nil
}

// Close cuts all connections, without $disconnect, and waits for everything that
// the API started: functions under way see their context end.
func (a *API) Close() {
	a.mu.Lock()
	a.closed = true
	server := a.server
	peers := make([]*peer, 0, len(a.peers))
	for _, p := range a.peers {
		peers = append(peers, p)
	}
	a.mu.Unlock()
	a.cancel()
	for _, p := range peers {
		p.end(ending{code: closeGoingAway, cut: true})
	}
	if server != nil {
		server.Close()
	}
	a.work.Wait()
}

// enter notes that work begins, unless the API is closed. leave ends it.
func (a *API) enter() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return false
	}
	a.work.Add(1)
	return true
}

func (a *API) leave() { a.work.Done() }

// background runs f in a goroutine that Close waits for; false: the API is closed.
func (a *API) background(f func()) bool {
	if !a.enter() {
		return false
	}
	go func() {
		defer a.leave()
		f()
	}()
	return true
}

// ServeHTTP takes handshakes and management calls.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !a.enter() {
		refuse(w, &refusal{status: http.StatusServiceUnavailable, message: "Service Unavailable"})
		return
	}
	defer a.leave()
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	first, rest, _ := strings.Cut(path, "/")
	staged := first == a.cfg.Stage
	if staged {
		path = rest
	}
	switch {
	case !staged && a.cfg.RequireStage:
		refuse(w, forbidden("ForbiddenException", "Forbidden"))
	case path == "":
		a.connect(w, r)
	case strings.HasPrefix(path, "@connections/") || strings.HasPrefix(path, "%40connections/"):
		_, id, _ := strings.Cut(path, "/")
		a.manage(w, r, id)
	default:
		refuse(w, forbidden("ForbiddenException", "Forbidden"))
	}
}

// refuse answers in the shape that SDKs read errors from.
func refuse(w http.ResponseWriter, r *refusal) {
	if r.kind != "" {
		w.Header().Set("X-Amzn-ErrorType", r.kind)
	}
	body, _ := json.Marshal(map[string]string{"message": r.message}) // strings can be encoded
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(r.status)
	w.Write(body)
}

func allow(limiters ...Limiter) bool {
	for _, l := range limiters {
		if l != nil && !l.Allow() {
			return false
		}
	}
	return true
}

// Connection is a client's connection as tests and consoles see it.
type Connection struct {
	ID, SourceIP, UserAgent string
	ConnectedAt             time.Time
	// Open is false until $connect has returned.
	Open bool
}

// Connections are the ones that have not ended, in no order.
func (a *API) Connections() []Connection {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]Connection, 0, len(a.peers))
	for _, p := range a.peers {
		all = append(all, Connection{p.id, p.sourceIP, p.userAgent, p.connectedAt, p.isOpen()})
	}
	return all
}

// Hang makes a connection half-open: nothing more is read from the client or written
// to it, and nobody is told. Posts to it are accepted until its buffer is full.
func (a *API) Hang(id string) bool {
	p := a.find(id)
	if p == nil {
		return false
	}
	p.hang()
	return true
}

// Kill cuts a client's TCP connection, without a close frame.
func (a *API) Kill(id string) bool {
	p := a.find(id)
	if p == nil {
		return false
	}
	p.end(ending{code: closeAbnormal, cut: true})
	return true
}

func (a *API) find(id string) *peer {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.peers[id]
}
