// Package mux carries many streams over one WebSocket: form 2 of package wire,
// both ends of it.
//
// The backend's side opens a stream for each visitor's request; the agent's side
// gets it as a [Stream], which is a wire.Exchange. Streams are independent: each
// has its own window, so that a slow reader stops its own stream and no other.
//
// # Inside
//
// A connection has three goroutines. The reader takes messages apart and hands
// payloads to streams; it never waits for anyone, or one stream could stop all.
// The writer is the only one that writes to the socket: everybody appends whole
// frames to one pending buffer, and the writer sends what has gathered as one
// message. The watcher notices silence and the end.
//
// Locks are taken in this order: writer.mu, then Stream.mu or Conn.mu, which are
// never held together.
package mux

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"culvert/backend/wire"
	"culvert/backend/wsframe"
)

// Defaults of Config, and bounds that are nobody's choice.
const (
	defaultMaxStreams   = 4096
	defaultPingInterval = 10 * time.Second
	defaultPingTimeout  = 25 * time.Second

	// maxStreamWindow is what a busy stream's window may grow to, in bytes, as
	// long as the growth of all windows of the connection is within windowBudget.
	maxStreamWindow = 1 << 20
	// promptWindow is what a stream's window grows to as soon as it is known how much
	// is to come.
	promptWindow = 256 << 10
	windowBudget = 32 << 20

	// closeGrace bounds what Close still waits for: the pending data, and the
	// peer's answer to our close frame.
	closeGrace = 2 * time.Second
)

// Close codes (RFC 6455, section 7.4.1).
const (
	closeNormal        = 1000
	closeGoingAway     = 1001
	closeProtocolError = 1002
	closeNoStatus      = 1005
	closeTooBig        = 1009
)

// What a connection's end, or an Open that is refused, gives.
var (
	// ErrClosed: Close was called here.
	ErrClosed = errors.New("connection closed")
	// ErrDead: the peer gave no sign of life, or took nothing, for Config.PingTimeout.
	ErrDead = errors.New("connection is dead: no sign of life from the peer")
	// ErrTooManyStreams: as many streams are open as Config.MaxStreams allows.
	ErrTooManyStreams = errors.New("too many streams on this connection")
	// ErrGoingAway: Drain was called.
	ErrGoingAway = errors.New("connection is being drained")
)

// CloseError says that the peer closed the connection in good order.
type CloseError struct {
	Code   int // RFC 6455 section 7.4; 1005 if there was none
	Reason string
}

func (e *CloseError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("peer closed the connection (code %d)", e.Code)
	}
	return fmt.Sprintf("peer closed the connection: %s (code %d)", e.Reason, e.Code)
}

// Config is how to use a connection. The zero value is a backend's side.
type Config struct {
	// Handler serves one stream, in its own goroutine, on the agent's side. A
	// stream that it returns from without having ended is reset. On the backend's
	// side, which opens the streams, it is nil.
	Handler func(*Stream)
	// OnText gets each text message (the control channel). The reader waits for
	// it, so it must not block. It may keep the slice.
	OnText func([]byte)
	// MaxStreams bounds the open streams; 0 means 4096.
	MaxStreams int
	// Buffers is what the connection shares with others, or nil.
	Buffers *Buffers
	// PingInterval is how long silence may last before a ping asks for a sign of
	// life (0: 10 s), PingTimeout when it means death (0: 25 s).
	PingInterval, PingTimeout time.Duration
}

// Conn is one connection with its streams. Its methods may be used by any goroutine.
type Conn struct {
	cfg     Config
	ws      *wsframe.Conn
	name    string // begins the IDs of its streams
	w       writer
	buffers *Buffers
	budget  atomic.Int64 // what windows may still grow by, in bytes
	large   atomic.Bool  // the last body that was announced exceeds a new stream's window
	life    life

	done   chan struct{} // closed when the connection has ended
	unused chan struct{} // closed when it has ended without Run, and the socket with it

	mu       sync.Mutex
	streams  map[uint32]*Stream
	lastID   uint32
	handlers int // goroutines in Config.Handler
	drained  chan struct{}
	running  bool
	ending   *ending // set once

	serving sync.WaitGroup // handlers
}

// ending is how a connection ended.
type ending struct {
	err      error
	graceful bool // a close frame is still worth sending
	code     int
	reason   string
}

// New takes over ws. The caller must not use ws any more, and must call Run.
func New(ws *wsframe.Conn, cfg Config) *Conn {
	if cfg.MaxStreams <= 0 {
		cfg.MaxStreams = defaultMaxStreams
	}
	if cfg.PingInterval <= 0 {
		cfg.PingInterval = defaultPingInterval
	}
	if cfg.PingTimeout <= 0 {
		cfg.PingTimeout = defaultPingTimeout
	}
	if cfg.Buffers == nil {
		cfg.Buffers = &Buffers{}
	}
	if cfg.OnText == nil {
		cfg.OnText = func([]byte) {}
	}
	var id [5]byte
	rand.Read(id[:]) // never fails since Go 1.24
	c := &Conn{
		cfg:     cfg,
		ws:      ws,
		name:    hex.EncodeToString(id[:]),
		buffers: cfg.Buffers,
		done:    make(chan struct{}),
		unused:  make(chan struct{}),
		streams: make(map[uint32]*Stream),
	}
	c.budget.Store(windowBudget)
	c.life.init()
	c.w.init(&cfg.Buffers.batches)
	ws.SetReadLimit(wire.MaxMessage)
	ws.NetConn().SetDeadline(time.Time{}) // the handshake's is not ours
	ws.OnPing = func(data []byte) {
		c.life.seen()
		c.w.pong(slices.Clone(data))
	}
	ws.OnPong = func([]byte) { c.life.seen() }
	return c
}

// Run works the connection until its end, waits for all handlers, and gives the
// reason: ErrClosed, *CloseError, ErrDead, the cause of ctx, an error that wraps
// wire.ErrProtocol, or one about the network. It must be called once.
func (c *Conn) Run(ctx context.Context) error {
	c.mu.Lock()
	again, over := c.running, c.ending != nil
	c.running = true
	c.mu.Unlock()
	switch {
	case again:
		return errors.New("mux: Run called twice")
	case over: // whoever ended it writes to the socket
		<-c.unused
		return c.Err()
	}
	var wg sync.WaitGroup
	writing, finished := make(chan struct{}), make(chan struct{})
	wg.Go(func() {
		defer close(writing)
		c.writeLoop()
	})
	wg.Go(func() { c.watch(ctx, finished) })
	c.end(c.readLoop())
	<-writing
	close(finished)
	wg.Wait()
	c.w.stop()
	c.serving.Wait()
	return c.Err()
}

// Close begins the end, if it has not begun: what is pending and a close frame
// with code and reason are still sent, for two seconds at most. It does not wait;
// Run returns when all is over.
func (c *Conn) Close(code int, reason string) {
	c.end(ending{err: ErrClosed, graceful: true, code: code, reason: reason})
}

// Done is closed when the connection has ended and its streams have failed.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err is nil until Done is closed, then what Run gives.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending == nil {
		return nil
	}
	return c.ending.err
}

// end is where every connection ends, for whatever reason; the first one counts.
func (c *Conn) end(e ending) {
	c.mu.Lock()
	if c.ending != nil {
		c.mu.Unlock()
		return
	}
	c.ending = &e
	running := c.running
	open := make([]*Stream, 0, len(c.streams))
	for _, s := range c.streams {
		open = append(open, s)
	}
	clear(c.streams)
	c.mu.Unlock()

	c.w.refuse(e.err)
	for _, s := range open {
		s.fail(e.err)
	}
	close(c.done)
	if !running { // nobody else will
		c.ws.WriteSmall(wsframe.Close, closeMessage(&e), closeGrace)
		c.ws.Close()
		c.w.stop()
		close(c.unused)
	}
}

// ended gives how the connection ended, or nil.
func (c *Conn) ended() *ending {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ending
}

// SendText sends a text message: the control channel. It does not wait. Texts
// keep their order, and overtake frames.
func (c *Conn) SendText(text []byte) error {
	if len(text) > wire.MaxControlMessage {
		return fmt.Errorf("control message of %d bytes: %w", len(text), wire.ErrTooLarge)
	}
	return c.w.text(text)
}
