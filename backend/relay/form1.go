package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"culvert/backend/wire"
)

// Errors of link1 about itself.
var (
	errLinkOver = errors.New("the agent's connection takes no more requests")
	errLinkBusy = errors.New("the agent has as many requests under way as it may")
	errNotSent  = errors.New("the agent's connection broke while a request was being sent")
)

const (
	// writeChunk is the part of a message that is written under one deadline.
	writeChunk = 64 << 10
	// maxPings bounds the agent's pings that wait for their pongs.
	maxPings = 16
)

// link1 is an agent's connection in form 1: one message for each request, one for
// each answer, which count on this connection only.
type link1 struct {
	ws       *websocket.Conn
	log      *slog.Logger
	limits   Limits
	memory   *share
	declared bool
	sending  chan struct{} // holds one token: whose turn it is to write a message
	pings    chan struct{} // from the agent, not yet answered
	over     chan struct{} // closed when run is over

	mu        sync.Mutex
	count     uint64
	pending   map[string]*pending1
	draining  bool
	idle      chan struct{}   // closed once draining and nothing is pending
	listeners []chan struct{} // closed at the next sign of life
	closing   bool
}

func newLink1(s *Server, ws *websocket.Conn, declared bool) *link1 {
	l := &link1{
		ws: ws, log: s.log, limits: s.cfg.Limits, memory: s.memory.share(), declared: declared,
		sending: make(chan struct{}, 1), pings: make(chan struct{}, maxPings), over: make(chan struct{}),
		pending: make(map[string]*pending1), idle: make(chan struct{}),
	}
	l.sending <- struct{}{}
	return l
}

// run reads what the agent sends.
func (l *link1) run(ctx context.Context) error {
	l.ws.SetReadLimit(wire.MaxRelayMessage)
	l.ws.SetPongHandler(func(string) error { l.heard(); return nil })
	l.ws.SetPingHandler(func(text string) error {
		l.heard()
		err := l.ws.WriteControl(websocket.PongMessage, []byte(text), time.Now().Add(l.limits.PingTimeout))
		if errors.Is(err, websocket.ErrCloseSent) {
			return nil
		}
		return err
	})
	stop := context.AfterFunc(ctx, func() { l.ws.Close() })
	var pinger sync.WaitGroup
	pinger.Go(l.keepAlive)
	l.mu.Lock()
	l.extend() // which is no sign of life yet
	l.mu.Unlock()
	err := l.read()
	stop()
	close(l.over)
	l.ws.Close()
	pinger.Wait()
	return err
}

// keepAlive asks for a sign of life now and then, and answers when the agent does.
// Nothing else is ever sent to it unasked: an original agent knows no such message.
// The reader must not write: it would wait for an agent that waits for it.
func (l *link1) keepAlive() {
	ticker := time.NewTicker(l.limits.PingInterval)
	defer ticker.Stop()
	for {
		select {
		case <-l.over:
			return
		case <-l.pings:
			l.sendMessage(&wire.Pong{})
		case <-ticker.C:
			// A write that misses its deadline ends the connection for good.
			l.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(l.limits.PingTimeout))
		}
	}
}

// heard notes a sign of life.
func (l *link1) heard() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.extend()
	for _, c := range l.listeners {
		close(c)
	}
	l.listeners = nil
}

// extend lets the agent be silent for a while again. l.mu is held.
func (l *link1) extend() {
	if !l.closing {
		l.ws.SetReadDeadline(time.Now().Add(l.limits.PingTimeout))
	}
}

// attentive takes each part of a long message for a sign of life.
type attentive struct {
	io.Reader
	l *link1
}

func (a attentive) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	if n > 0 {
		a.l.heard()
	}
	return n, err
}

func (l *link1) read() error {
	for {
		kind, r, err := l.ws.NextReader()
		if err != nil {
			return err
		}
		l.heard()
		if kind != websocket.TextMessage {
			l.close(websocket.CloseUnsupportedData, "only text messages are understood")
			return errors.New("the agent sent a binary message")
		}
		var text bytes.Buffer
		if _, err := text.ReadFrom(attentive{r, l}); err != nil {
			return err
		}
		l.take(text.Bytes())
	}
}

// take acts on one message.
func (l *link1) take(text []byte) {
	message, err := wire.Decode(text, wire.MaxRelayMessage)
	var about *wire.MessageError
	switch {
	case errors.As(err, &about):
		l.deliver(about.RequestID, answer1{err: &wire.ResetError{Code: wire.ResetProtocol, Message: msgNoAnswer}})
	case err != nil:
		l.log.Debug("agent's message ignored", "cause", err)
		return
	}
	switch m := message.(type) {
	case *wire.HTTPResponse:
		l.deliver(m.RequestID, answer1{HTTPResponse: m})
	case *wire.ErrorMessage:
		if m.RequestID == "" {
			l.log.Info("agent reports an error", "code", m.Code, "message", m.Message)
			return
		}
		l.deliver(m.RequestID, answer1{err: &wire.ResetError{Code: m.Code.Reset(), Message: m.Message}})
	case *wire.Ping:
		select {
		case l.pings <- struct{}{}:
		default: // enough pongs are under way
		}
	}
}

// send writes one message. If it returns errNotSent, the agent may have got a part
// of it; after any other error it has got nothing.
func (l *link1) send(ctx context.Context, text []byte) error {
	select {
	case <-l.sending:
	case <-l.over:
		return errLinkOver
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { l.sending <- struct{}{} }()
	w, err := l.ws.NextWriter(websocket.TextMessage)
	if err != nil {
		return errLinkOver
	}
	for len(text) > 0 && err == nil {
		part := text[:min(len(text), writeChunk)]
		text = text[len(part):]
		l.ws.SetWriteDeadline(time.Now().Add(l.limits.PingTimeout))
		_, err = w.Write(part)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		l.ws.Close() // a message cut short cannot be followed by another one
		return errNotSent
	}
	return nil
}

// sendMessage is send for messages that are small and may get lost.
func (l *link1) sendMessage(message any) {
	text, err := wire.Encode(message)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), l.limits.PingInterval)
		defer cancel()
		err = l.send(ctx, text)
	}
	if err != nil {
		l.log.Debug("message to an agent not sent", "cause", err)
	}
}

func (l *link1) probe(ctx context.Context) error {
	c := make(chan struct{})
	l.mu.Lock()
	l.listeners = append(l.listeners, c)
	l.mu.Unlock()
	deadline, _ := ctx.Deadline()
	if err := l.ws.WriteControl(websocket.PingMessage, nil, deadline); err != nil {
		return err
	}
	select {
	case <-c:
		return nil
	case <-l.over:
		return errLinkOver
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *link1) tell(e *wire.Error) {
	if l.declared {
		l.sendMessage(&wire.ErrorMessage{Code: e.Code, Message: e.Message})
	}
}

func (l *link1) drain(ctx context.Context) {
	l.mu.Lock()
	l.draining = true
	l.checkIdle()
	l.mu.Unlock()
	select {
	case <-l.idle:
	case <-l.over:
	case <-ctx.Done():
	}
}

// close says goodbye; run returns when the agent has answered, or soon after.
func (l *link1) close(code int, reason string) {
	l.mu.Lock()
	l.closing = true
	deadline := time.Now().Add(closeLinger)
	l.ws.SetReadDeadline(deadline)
	l.mu.Unlock()
	if l.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), deadline) != nil {
		l.ws.Close()
	}
}
