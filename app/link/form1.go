package link

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"culvert/backend/wire"
)

const (
	// A relay is asked for a sign of life by control pings.
	pingEvery   = 10 * time.Second
	silentLimit = 25 * time.Second
	// API Gateway ends connections that are idle for 10 minutes, and control
	// frames are not known to count: a message must go out at least this often.
	heartbeatEvery = 4 * time.Minute
	// A backend behind it that has declared itself answers heartbeats; some may
	// get lost, so it is asked again before it counts as dead.
	heartbeatTries = 3
	heartbeatWait  = 10 * time.Second
	// writeTimeout bounds sending one message over a slow line.
	writeTimeout = time.Minute
	// closeTimeout bounds saying goodbye to a peer that may be gone.
	closeTimeout = 250 * time.Millisecond
)

// form1 serves JSON messages: each holds a whole request or answer.
type form1 struct {
	link    *Link
	ws      *websocket.Conn
	gateway bool
	limit   int // of a message
	body    int // of a body, before base64
	urls    urls

	write    sync.Mutex // one message at a time
	slots    chan struct{}
	buffered atomic.Int64 // bytes of answers being gathered
	offers   offers       // on API Gateway only
	signs    signs
	wg       sync.WaitGroup

	pongs  chan string // the data of pings to be answered
	prefix string      // makes request IDs unique among connections

	mu      sync.Mutex
	open    map[string]*exchange
	failure error // why the agent itself gave the connection up
}

func newForm1(l *Link) *form1 {
	f := &form1{
		link: l, ws: l.ws, gateway: l.cfg.gateway(), limit: l.messageLimit(), body: wire.MaxRelayBody,
		urls:  parseURLs(&l.est),
		slots: make(chan struct{}, maxConcurrent), open: make(map[string]*exchange),
		pongs:  make(chan string, 1),
		prefix: strings.ToLower(rand.Text()[:6]),
	}
	if f.gateway {
		f.body = f.limit / 4 * 3
	}
	l.ws.SetReadLimit(int64(f.limit))
	return f
}

// name is a request's name in logs.
func (f *form1) name(requestID string) string { return f.prefix + "-" + printable(requestID) }

func (f *form1) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	f.wg.Go(func() {
		<-ctx.Done()
		f.close()
	})
	f.wg.Go(func() { f.keepAlive(ctx) })
	for _, m := range f.link.early {
		f.serve(ctx, m)
	}
	f.link.early = nil
	err := f.read(ctx)
	_ = f.ws.Close()
	cancel() // handlers too
	f.wg.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failure != nil {
		return f.failure
	}
	return err
}

// drain has nothing to do: a handler returns after its answer was sent.
func (f *form1) drain(context.Context) error { return nil }

// close says goodbye, which also wakes the reader.
func (f *form1) close() {
	_ = f.ws.WriteControl(websocket.CloseMessage,
		websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(closeTimeout))
	_ = f.ws.Close()
}

// read takes messages until the connection ends.
func (f *form1) read(ctx context.Context) error {
	f.ws.SetPongHandler(func(string) error { f.alive(); return nil })
	// The library would answer from here, and give up a connection that does not
	// take the answer within a second, though it may only be slow.
	f.ws.SetPingHandler(func(data string) error {
		f.alive()
		select {
		case f.pongs <- data:
		default: // one answer is enough for several pings (RFC 6455, section 5.5.3)
		}
		return nil
	})
	for {
		f.listen() // what was received may have taken its time
		kind, r, err := f.ws.NextReader()
		if err != nil {
			return err
		}
		text, err := io.ReadAll(signReader{f, r}) // the read limit bounds it
		if err != nil {
			return err
		}
		if kind == websocket.TextMessage {
			f.onMessage(ctx, text)
		}
	}
}

// alive notes a sign of life.
func (f *form1) alive() {
	f.signs.give()
	f.listen()
}

// listen lets the peer be silent from now on for as long as it may.
func (f *form1) listen() {
	if !f.gateway {
		_ = f.ws.SetReadDeadline(time.Now().Add(silentLimit))
	}
}

// signReader takes every part of a long message for a sign of life.
type signReader struct {
	f *form1
	r io.Reader
}

func (s signReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.f.alive()
	return n, err
}

func (f *form1) onMessage(ctx context.Context, text []byte) {
	log := f.link.log
	message, err := wire.Decode(text, f.limit)
	if err != nil {
		log.Warn("message from the backend ignored", "error", err)
		var about *wire.MessageError
		if errors.As(err, &about) && about.Type == wire.TypeHTTPRequest {
			f.answerError(about.RequestID, wire.CodeInvalidRequest, "the agent cannot read the request: "+about.Err.Error())
		}
		return
	}
	switch m := message.(type) {
	case *wire.HTTPRequest:
		f.serve(ctx, m)
	case *wire.ErrorMessage:
		if m.RequestID == "" {
			f.link.onError(m)
			return
		}
		log.Debug("the backend has given a request up", "request", printable(m.RequestID), "message", printable(m.Message))
		f.mu.Lock()
		x := f.open[m.RequestID]
		f.mu.Unlock()
		if x != nil {
			x.cancel()
		}
	case *wire.Ping:
		if f.declared() { // others may not know the type
			_ = f.send(&wire.Pong{})
		}
	case *wire.Pong:
	case *wire.Unknown:
		if f.gateway && m.Type == "" && gatewayMessage(m.Text) != "" {
			log.Warn("API Gateway reports a message that its function did not take", "message", printable(m.Text))
			f.wg.Go(f.offerAgain)
			return
		}
		log.Info("message from the backend ignored", "type", printable(string(m.Type)), "message", printable(m.Text))
	default:
		log.Info("message from the backend ignored", "type", fmt.Sprintf("%T", m))
	}
}

// serve starts one request, unless it was served before or there is no room.
func (f *form1) serve(ctx context.Context, m *wire.HTTPRequest) {
	if !f.link.cfg.seen.first(m.RequestID) {
		f.link.log.Debug("request delivered twice", "request", printable(m.RequestID))
		return
	}
	select {
	case f.slots <- struct{}{}:
	default:
		f.answerError(m.RequestID, wire.CodeLocalUnavailable, "the agent is busy with too many requests: try again")
		return
	}
	x := newExchange(ctx, f, m)
	f.mu.Lock()
	f.open[m.RequestID] = x
	f.mu.Unlock()
	f.wg.Go(func() {
		f.link.serve(x)
		x.abandon()
		f.mu.Lock()
		delete(f.open, m.RequestID)
		f.mu.Unlock()
		<-f.slots
	})
}

// answerError says that a request gets no answer. Only the four codes that every
// backend knows are used.
func (f *form1) answerError(requestID string, code wire.ErrorCode, message string) {
	_ = f.send(&wire.ErrorMessage{RequestID: requestID, Code: code, Message: message})
}

var errMessageTooLarge = fmt.Errorf("%w for one message", wire.ErrTooLarge)

// send sends one message. A failure ends the connection.
func (f *form1) send(message any) error {
	text, err := wire.Encode(message)
	if err != nil {
		return err
	}
	if len(text) > f.limit {
		return errMessageTooLarge
	}
	if err := f.sendText(text); err != nil {
		return err
	}
	if f.gateway && answers(message) {
		f.offers.note(text, time.Now())
	}
	return nil
}

// answers: the message is the end of a request.
func answers(message any) bool {
	switch m := message.(type) {
	case *wire.HTTPResponse:
		return true
	case *wire.ErrorMessage:
		return m.RequestID != ""
	}
	return false
}

func (f *form1) sendText(text []byte) error {
	f.write.Lock()
	defer f.write.Unlock()
	_ = f.ws.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err := f.ws.WriteMessage(websocket.TextMessage, text); err != nil {
		_ = f.ws.Close()
		return lostError(err)
	}
	return nil
}

// keepAlive makes the connection last, and notices when it does not.
func (f *form1) keepAlive(ctx context.Context) {
	every := pingEvery
	if f.gateway {
		every = heartbeatEvery
	}
	timer := time.NewTimer(jittered(every))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case data := <-f.pongs:
			f.control(websocket.PongMessage, data)
			continue
		case <-timer.C:
		}
		if f.gateway {
			if err := f.heartbeat(ctx); err != nil && ctx.Err() == nil {
				f.mu.Lock()
				f.failure = err
				f.mu.Unlock()
				_ = f.ws.Close()
				return
			}
		} else {
			f.control(websocket.PingMessage, "")
		}
		timer.Reset(jittered(every))
	}
}

// control sends a control frame. If that fails, reading soon does.
func (f *form1) control(kind int, data string) {
	_ = f.ws.WriteControl(kind, []byte(data), time.Now().Add(writeTimeout))
}

// jittered is d or up to an eighth less, so that heartbeats of many agents spread.
func jittered(d time.Duration) time.Duration { return d - mathrand.N(d/8) }

// heartbeat sends a ping message. Only a backend that has declared itself owes a
// sign of life for it.
func (f *form1) heartbeat(ctx context.Context) error {
	if !f.declared() {
		return f.send(&wire.Ping{})
	}
	for range heartbeatTries {
		err := f.ask(ctx, heartbeatWait, func() error { return f.send(&wire.Ping{}) })
		if !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
	return errSilent
}

func (f *form1) declared() bool { return f.link.est.Protocol >= wire.ProtocolVersion }

func (f *form1) probe(ctx context.Context) error {
	if !f.gateway {
		return f.ask(ctx, 0, func() error {
			deadline, ok := ctx.Deadline()
			if !ok {
				deadline = time.Now().Add(writeTimeout)
			}
			return f.ws.WriteControl(websocket.PingMessage, nil, deadline)
		})
	}
	err := f.ask(ctx, 0, func() error { return f.send(&wire.Ping{}) })
	if errors.Is(err, context.DeadlineExceeded) && !f.declared() {
		return fmt.Errorf("%w: the backend need not answer", errors.ErrUnsupported)
	}
	return err
}

// ask does something that makes the peer answer, and waits for any sign of life.
func (f *form1) ask(ctx context.Context, limit time.Duration, question func() error) error {
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	sign := f.signs.next()
	if err := question(); err != nil {
		return err
	}
	select {
	case <-sign:
		return nil
	case <-f.link.done:
		return errSilent
	case <-ctx.Done():
		return ctx.Err()
	}
}

// signs lets goroutines wait for the next sign of life. The zero value is ready.
type signs struct {
	mu      sync.Mutex
	waiting chan struct{} // nil if nobody waits
}

func (s *signs) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == nil {
		s.waiting = make(chan struct{})
	}
	return s.waiting
}

func (s *signs) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting != nil {
		close(s.waiting)
		s.waiting = nil
	}
}
