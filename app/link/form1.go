package link

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"culvert/backend/wire"
)

const (
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
	caps    caps
	urls    urls

	write  sync.Mutex // one message at a time
	offers offers     // on API Gateway only
	signs  signs
	ponged signs // of pong messages alone
	wg     sync.WaitGroup
	ctx    context.Context // of run

	pongs  chan string // the data of pings to be answered
	prefix string      // makes request IDs unique among connections

	mu      sync.Mutex
	failure error // why the agent itself gave the connection up
}

func newForm1(l *Link) *form1 {
	f := &form1{
		link: l, ws: l.ws, gateway: l.cfg.gateway(), limit: l.messageLimit(), body: wire.MaxRelayBody,
		caps: l.cfg.agreed(&l.est), urls: parseURLs(&l.est),
		pongs:  make(chan string, 1),
		prefix: strings.ToLower(rand.Text()[:6]),
	}
	if f.gateway {
		f.body = f.limit / 4 * 3
	}
	l.ws.SetReadLimit(int64(f.limit))
	return f
}

// tunnel is the ID of the tunnel that the connection belongs to.
func (f *form1) tunnel() string { return f.link.est.TunnelID }

func (f *form1) board() *board { return &f.link.cfg.board }

// name is a request's name in logs.
func (f *form1) name(requestID string) string { return f.prefix + "-" + printable(requestID) }

func (f *form1) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	f.ctx = ctx
	f.wg.Go(func() {
		<-ctx.Done()
		f.close()
	})
	f.wg.Go(func() { f.keepAlive(ctx) })
	if f.caps.session {
		f.board().join(f)
	}
	for _, text := range f.link.early {
		f.onMessage(text)
	}
	f.link.early = nil
	err := f.read()
	_ = f.ws.Close()
	if f.caps.session {
		f.board().leave(f)
	}
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
func (f *form1) close() { goodbye(f.ws) }

// goodbye ends a connection.
func goodbye(ws *websocket.Conn) {
	_ = ws.WriteControl(websocket.CloseMessage,
		websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(closeTimeout))
	_ = ws.Close()
}

// read takes messages until the connection ends.
func (f *form1) read() error {
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
			f.onMessage(text)
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

func (f *form1) onMessage(text []byte) {
	log := f.link.log
	decode := wire.Decode
	if f.caps.session {
		decode = wire.DecodeDeclared
	}
	message, err := decode(text, f.limit)
	if err != nil {
		log.Warn("message from the backend ignored", "error", err)
		var about *wire.MessageError
		if errors.As(err, &about) && (about.Type == wire.TypeHTTPRequest || about.Type == wire.TypeChunk) {
			f.refuse(about.RequestID, "the agent cannot read the request: "+about.Err.Error())
		}
		return
	}
	switch m := message.(type) {
	case *wire.HTTPRequest:
		f.board().request(f, m)
	case *wire.ErrorMessage:
		if m.RequestID == "" {
			f.link.onError(m)
			return
		}
		log.Debug("the backend has given a request up", "request", printable(m.RequestID), "message", printable(m.Message))
		f.giveUp(m.RequestID)
	case *wire.Ping:
		if f.declared() { // others may not know the type
			_ = f.send(&wire.Pong{})
		}
	case *wire.Pong:
		f.ponged.give()
	case *wire.ActionAnswer:
		f.link.onAnswer(m)
	case *wire.Notice:
		f.link.cfg.onNotice(m)
	case *wire.Unknown:
		f.onUnknown(m)
	default:
		if !f.onDeclared(message) {
			log.Info("message from the backend ignored", "type", fmt.Sprintf("%T", m))
		}
	}
}

// onUnknown takes a message of another type, or of API Gateway itself.
func (f *form1) onUnknown(m *wire.Unknown) {
	if f.gateway && m.Type == "" && gatewayMessage(m.Text) != "" {
		f.link.log.Warn("API Gateway reports a message that its function did not take", "message", printable(m.Text))
		f.wg.Go(f.offerAgain)
		return
	}
	f.link.log.Info("message from the backend ignored", "type", printable(string(m.Type)), "message", printable(m.Text))
}

// onDeclared takes a message that only a backend which has declared itself sends.
func (f *form1) onDeclared(message any) bool {
	switch m := message.(type) {
	case *wire.Chunk:
		f.board().chunk(f, m)
	case *wire.Resend:
		f.board().resend(f, m)
	case *wire.Credit:
		if x := f.board().find(m.RequestID); x != nil && x.stream != nil {
			x.stream.allow(m.Upto)
		}
	case *wire.Cancel:
		f.board().cancelRequest(m.RequestID)
	default:
		return false
	}
	return true
}

// refuse answers a request that cannot be read.
func (f *form1) refuse(requestID, message string) {
	if !f.caps.session || f.board().spoil(requestID) {
		f.answerError(requestID, wire.CodeInvalidRequest, message)
	}
}

// giveUp ends a request that the backend does not want an answer to any more.
func (f *form1) giveUp(requestID string) {
	if f.caps.session {
		f.board().cancelRequest(requestID)
	} else if x := f.board().find(requestID); x != nil {
		x.cancel()
	}
}

// serve starts a request whose body, as it travelled, has come; unless there is no
// room for it.
func (f *form1) serve(m *wire.HTTPRequest, body []byte) {
	b := f.board()
	if !b.enter() {
		f.answerError(m.RequestID, wire.CodeLocalUnavailable, "the agent is busy with too many requests: try again")
		return
	}
	if !f.caps.session {
		x := newExchange(f.ctx, f, m, body)
		b.begin(x)
		f.wg.Go(func() { f.handle(x) })
		return
	}
	if !b.serve(f, m, body) {
		b.underway.Add(-1)
	}
}

// handle runs an exchange to its end.
func (f *form1) handle(x *exchange) {
	f.link.serve(x)
	x.abandon()
	f.board().end(x)
}

// answerError says that a request gets no answer. Only the four codes that every
// backend knows are used.
func (f *form1) answerError(requestID string, code wire.ErrorCode, message string) {
	m := &wire.ErrorMessage{RequestID: requestID, Code: code, Message: message}
	if f.caps.session {
		_ = f.board().deliver(newAnswer(requestID, f.tunnel(), []any{m}))
		return
	}
	_ = f.send(m)
}

var errMessageTooLarge = fmt.Errorf("%w for one message", wire.ErrTooLarge)

// encode gives a message's text, which the connection can carry.
func (f *form1) encode(message any) ([]byte, error) {
	text, err := wire.Encode(message)
	if err == nil && len(text) > f.limit {
		err = errMessageTooLarge
	}
	return text, err
}

// send sends one message. A failure ends the connection.
func (f *form1) send(message any) error {
	text, err := f.encode(message)
	if err != nil {
		return err
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
