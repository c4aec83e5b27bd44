package relay

import (
	"bytes"
	"cmp"
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
	errNotSent  = errors.New("the agent's connection broke while something was being sent")
)

// writeChunk is the part of a message that is written under one deadline.
const writeChunk = 64 << 10

// link1 is a connection in form 1: once it is an agent's, one message for each
// request, one for each answer, which count on this connection only.
type link1 struct {
	ws      *websocket.Conn
	log     *slog.Logger
	limits  Limits
	memory  *share
	take    taker
	sending chan struct{} // holds one token: whose turn it is to write a message
	out     *outbox
	over    chan struct{} // closed when run is over

	// waiting ends when speak is to wait for its turn no longer.
	waiting  context.Context
	hurry    context.CancelFunc
	carrying bool // it is an agent's; only the reader uses it
	declared bool // its agent has declared protocol 2; set before it carries

	mu        sync.Mutex
	seen      time.Time // the last sign of life
	count     uint64
	pending   map[string]*pending1
	draining  bool
	idle      chan struct{}   // closed once draining and nothing is pending
	listeners []chan struct{} // closed at the next sign of life
	closing   bool
}

func newLink1(s *Server, ws *websocket.Conn, take taker) *link1 {
	l := &link1{
		ws: ws, log: s.log, limits: s.cfg.Limits, memory: s.memory.share(), take: take,
		sending: make(chan struct{}, 1), out: newOutbox(), over: make(chan struct{}),
		pending: make(map[string]*pending1), idle: make(chan struct{}), seen: time.Now(),
	}
	l.waiting, l.hurry = context.WithCancel(context.Background())
	l.sending <- struct{}{}
	return l
}

func (l *link1) limit(n int64) { l.ws.SetReadLimit(n) }

func (l *link1) carry(declared bool) {
	l.carrying, l.declared = true, declared
	l.limit(wire.MaxRelayMessage)
}

func (l *link1) lastSeen() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen
}

// run reads what the peer sends.
func (l *link1) run(ctx context.Context) error {
	l.ws.SetPongHandler(func(string) error { l.heard(); return nil })
	l.ws.SetPingHandler(func(text string) error {
		l.heard()
		err := l.ws.WriteControl(websocket.PongMessage, []byte(text), time.Now().Add(l.limits.PingTimeout))
		if errors.Is(err, websocket.ErrCloseSent) {
			return nil
		}
		return err
	})
	stop := context.AfterFunc(ctx, func() { l.close(closeGoingAway, "") })
	var writers sync.WaitGroup
	writers.Go(l.keepAlive)
	writers.Go(l.speak)
	l.mu.Lock()
	l.extend() // which is no sign of life yet
	l.mu.Unlock()
	err := l.read()
	stop()
	close(l.over)
	l.hurry()
	l.ws.Close()
	writers.Wait()
	return err
}

// speak sends what was posted. The reader must not write: it would wait for a peer
// that waits for it.
func (l *link1) speak() {
	for {
		select {
		case <-l.over:
			return
		case <-l.out.wake:
		}
		letters, goodbye := l.out.take()
		for _, m := range letters {
			err := l.write(l.waiting, m.text)
			if err != nil {
				l.log.Debug("message not sent", "cause", err)
			}
			if m.sent != nil {
				m.sent <- err
			}
		}
		if goodbye != nil {
			message := websocket.FormatCloseMessage(goodbye.code, cutReason(goodbye.reason))
			if l.ws.WriteControl(websocket.CloseMessage, message, time.Now().Add(closeLinger)) != nil {
				l.ws.Close()
			}
			return
		}
	}
}

// keepAlive asks for a sign of life now and then. Nothing else is ever sent unasked
// to a peer that has declared nothing: an original agent knows no such message.
func (l *link1) keepAlive() {
	ticker := time.NewTicker(l.limits.PingInterval)
	defer ticker.Stop()
	for {
		select {
		case <-l.over:
			return
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
	l.seen = time.Now()
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
	var violation error
	for {
		kind, r, err := l.ws.NextReader()
		if err != nil {
			return cmp.Or(violation, err)
		}
		l.heard()
		if kind != websocket.TextMessage {
			violation = errors.New("the peer sent a binary message")
			l.close(websocket.CloseUnsupportedData, "only text messages are understood")
		}
		if violation != nil {
			continue // until the goodbye is answered, or its time is over
		}
		var text bytes.Buffer
		if _, err := text.ReadFrom(attentive{r, l}); err != nil {
			return err
		}
		l.dispatch(text.Bytes())
	}
}

// dispatch acts on one message, or leaves that to take.
func (l *link1) dispatch(text []byte) {
	message, err := wire.Decode(text, wire.MaxRelayMessage)
	var about *wire.MessageError
	switch {
	case errors.As(err, &about):
		l.deliver(about.RequestID, answer1{err: &wire.ResetError{Code: wire.ResetProtocol, Message: msgNoAnswer}})
		return
	case err != nil:
		l.take(message, err, len(text))
		return
	}
	switch m := message.(type) {
	case *wire.HTTPResponse:
		l.deliver(m.RequestID, answer1{HTTPResponse: m})
	case *wire.ErrorMessage:
		if m.RequestID == "" {
			logReport(l.log, l.carrying, m)
			return
		}
		l.deliver(m.RequestID, answer1{err: &wire.ResetError{Code: m.Code.Reset(), Message: m.Message}})
	case *wire.Ping:
		l.post(pong) // or enough of them are under way
	default:
		l.take(message, nil, len(text))
	}
}

// pong answers a ping message.
var pong = []byte(`{"type":"pong"}`)

func (l *link1) post(text []byte) error { return l.out.add(letter{text: text}) }

func (l *link1) send(ctx context.Context, text []byte) error {
	sent := make(chan error, 1)
	if err := l.out.add(letter{text, sent}); err != nil {
		return err
	}
	select {
	case err := <-sent:
		return err
	case <-l.over:
		return errLinkOver
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write writes one message. If it returns errNotSent, the agent may have got a part
// of it; after any other error it has got nothing.
func (l *link1) write(ctx context.Context, text []byte) error {
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

// close says goodbye after what was posted; run returns when the peer has answered,
// or soon after.
func (l *link1) close(code int, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return
	}
	l.closing = true
	l.ws.SetReadDeadline(time.Now().Add(closeLinger))
	l.out.end(code, reason)
	time.AfterFunc(closeLinger/2, l.hurry)
}
