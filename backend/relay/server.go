package relay

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"culvert/backend/action"
	"culvert/backend/mux"
	"culvert/backend/tunnel"
	"culvert/backend/visitor"
	"culvert/backend/wire"
)

// Server is a relay. Shutdown must be called in the end, also if Serve was not.
type Server struct {
	cfg      Config
	log      *slog.Logger
	hostForm string // the host below which each tunnel has a name, without port; "" if none
	state    *stateDir
	registry *registry
	resumer  tunnel.Resumer
	throttle *throttle // of handshakes
	notices  *throttle
	memory   *budget
	http     *http.Server
	buffers  sync.Pool     // of *[copySize]byte
	frames   mux.Buffers   // of all agents' connections
	dirty    chan struct{} // has room for one: the reservations have changed

	connections *connections
	actions     []string // the names of all
	// do is action.Do, but in tests.
	do func(context.Context, *action.Call) (json.RawMessage, error)

	ctx    context.Context // ends when everything must end
	cancel context.CancelFunc
	once   sync.Once      // of Shutdown
	duties sync.WaitGroup // what goes on until the end

	mu      sync.Mutex
	closing bool // no new agents
	closed  bool // no new anything
	work    sync.WaitGroup
}

// New makes a relay and reads its state folder.
func New(cfg Config) (*Server, error) {
	if err := cfg.prepare(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, log: cfg.Logger, hostForm: strings.TrimSuffix(visitor.HostName(cfg.hostForm()), "."),
		throttle: newThrottle(cfg.Limits.HandshakesPerSecond, cfg.Limits.HandshakesPerSecondFromIP),
		notices:  newThrottle(cfg.Limits.NoticesPerSecond, cfg.Limits.NoticesPerSecondFromIP),
		memory:   newBudget(cfg.Limits.PendingBodyBytes, cfg.Limits.BodyBytes),
		dirty:    make(chan struct{}, 1),

		connections: newConnections(&cfg.Limits), actions: actionNames(), do: action.Do,
	}
	key := newSigningKey()
	var kept []tunnel.Record
	if cfg.StateDir != "" {
		var err error
		if s.state, err = openStateDir(cfg.StateDir); err != nil {
			return nil, err
		}
		if key, err = s.state.signingKey(); err != nil {
			return nil, err
		}
		if kept, err = s.state.loadReservations(s.log, time.Now()); err != nil {
			return nil, err
		}
	}
	s.resumer = tunnel.NewResumer(key)
	s.registry = newRegistry(cfg.Limits.Tunnels, kept, s.markDirty)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.http = s.newHTTPServer()
	if s.state != nil {
		s.duties.Go(func() { s.keepReservations(s.ctx) })
	}
	s.duties.Go(func() { s.watchConnections(s.ctx) })
	return s, nil
}

func (s *Server) newHTTPServer() *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true) // over TLS only
	return &http.Server{
		Handler:           s.Handler(),
		Protocols:         protocols,
		HTTP2:             &http.HTTP2Config{WriteByteTimeout: s.cfg.Limits.StallTimeout, SendPingTimeout: time.Minute},
		ReadHeaderTimeout: s.cfg.Limits.HeaderTimeout,
		IdleTimeout:       s.cfg.Limits.IdleTimeout,
		// The server allows 4 KB more than it is told.
		MaxHeaderBytes: s.cfg.Limits.HeaderBytes - 4<<10,
		// "OPTIONS *" is for the local service, if a host name says which.
		DisableGeneralOptionsHandler: true,
		BaseContext:                  func(net.Listener) context.Context { return s.ctx },
		ErrorLog:                     slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

func (s *Server) markDirty() {
	select {
	case s.dirty <- struct{}{}:
	default: // it will be saved anyway
	}
}

// buffer gives a buffer for copying, to be put back into buffers.
func (s *Server) buffer() *[copySize]byte {
	if buf, ok := s.buffers.Get().(*[copySize]byte); ok {
		return buf
	}
	return new([copySize]byte)
}

// Handler is the relay without a listener, for a server of the caller's own.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// Serve accepts agents and visitors on ln until Shutdown, and then returns nil.
func (s *Server) Serve(ln net.Listener) error {
	if err := s.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// ServeTLS is Serve with TLS, and HTTP/2 for visitors who can.
func (s *Server) ServeTLS(ln net.Listener, cert func(*tls.ClientHelloInfo) (*tls.Certificate, error)) error {
	return s.Serve(tls.NewListener(ln, &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: cert,
		NextProtos:     []string{"h2", "http/1.1"},
	}))
}

// Shutdown stops the relay: agents are told to go elsewhere, visitors in flight
// may finish until ctx ends or the time for that is over (Limits.Grace), and then
// everything is closed. It returns when nothing of the relay runs any more.
func (s *Server) Shutdown(ctx context.Context) error {
	s.once.Do(func() { s.shutdown(ctx) })
	return nil
}

func (s *Server) shutdown(ctx context.Context) {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	for _, a := range s.registry.agents() {
		a.tell(&wire.Error{Code: wire.CodeGoingAway, Message: "the relay stops or restarts"})
	}
	grace, cancel := context.WithTimeout(ctx, s.cfg.Limits.Grace)
	defer cancel()
	if err := s.http.Shutdown(grace); err != nil {
		s.log.Warn("some visitors were cut off because the relay stops", "cause", err)
	}
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	for _, c := range s.connections.all() {
		c.link.close(closeGoingAway, "the relay stops")
	}
	s.cancel()
	s.http.Close()
	s.work.Wait()
	s.duties.Wait()
}

// enter counts something that Shutdown has to wait for; leave must follow if it
// returns true.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.work.Add(1)
	return true
}

func (s *Server) leave() { s.work.Done() }

// background runs f beside everything else, and Shutdown waits for it. It returns false
// if the relay is over.
func (s *Server) background(f func()) bool {
	if !s.enter() {
		return false
	}
	go func() {
		defer s.leave()
		f()
	}()
	return true
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}
