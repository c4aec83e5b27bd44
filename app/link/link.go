package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"culvert/backend/wire"
	"culvert/backend/wsframe"
)

// defaultGatewayAge is API Gateway's limit for every connection, whether the
// backend behind it announces it or not.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
const defaultGatewayAge = 2 * time.Hour

// How long an idle link is still kept while it drains, for requests that were
// sent to it just before its successor took over. A relay switches at once; a
// WebSocket API's look-up caches take a while.
const (
	relayLinger   = 2 * time.Second
	gatewayLinger = 15 * time.Second
)

// Link is one connection, after the handshake.
type Link struct {
	cfg     *Config
	log     *slog.Logger
	ws      *websocket.Conn
	est     wire.Established
	early   [][]byte // messages about requests that came before connection_established
	carrier carrier
	work    activity
	asked   actions
	going   chan struct{}
	done    chan struct{} // closed when Run returns

	mu      sync.Mutex
	leaving bool
	refusal *wire.Error
}

// carrier is form 1 or form 2.
type carrier interface {
	// run serves until the end, and returns when every handler has.
	run(ctx context.Context) error
	// probe waits for any sign of life, and asks for one.
	probe(ctx context.Context) error
	// drain waits until what was served has been sent, too.
	drain(ctx context.Context) error
	// close ends the connection and with it run, without waiting for it.
	close()
	// sendText sends a message.
	sendText(text []byte) error
}

// ErrSilent is what an error wraps if the backend has not shown any sign of life for too
// long.
var ErrSilent = errors.New("no sign of life from the backend")

func newLink(c *Config, ws *websocket.Conn) *Link {
	return &Link{
		cfg: c, log: c.logger(), ws: ws,
		going: make(chan struct{}), done: make(chan struct{}),
		work: activity{changed: make(chan struct{}, 1)},
	}
}

// maxEarly bounds the messages that overtake the greeting: a WebSocket API keeps
// no order between messages.
const maxEarly = 64

// greet says ready and waits for connection_established.
func (l *Link) greet(h Hello, challenge string) error {
	ready := &wire.Ready{
		Protocol: wire.ProtocolVersion, Capabilities: l.cfg.capabilities(),
		Agent: l.cfg.Agent, TunnelID: h.TunnelID, Resume: h.Resume, Epoch: h.Epoch, Instance: h.Instance,
	}
	if !l.cfg.Owner.IsZero() {
		ready.Owner = l.cfg.Owner.Public()
		ready.Proof = l.cfg.Owner.Sign(l.cfg.address().Host, challenge)
	}
	text, err := wire.Encode(ready)
	if err != nil {
		return err
	}
	limit := l.messageLimit()
	var greeting talk = plainTalk{l.ws}
	var frames *wsframe.Conn
	if l.form2() {
		if frames, err = takeFrames(l.ws, int64(limit)); err != nil {
			return err
		}
		greeting = framedTalk{frames}
	}
	l.ws.SetReadLimit(int64(limit))
	wait := orDefault(l.cfg.HelloTimeout, defaultHelloTimeout)
	_ = l.ws.SetWriteDeadline(time.Now().Add(wait))
	_ = l.ws.SetReadDeadline(time.Now().Add(wait))
	if err := greeting.say(text); err != nil {
		return err
	}
	for l.est.PublicURL == "" {
		text, err := greeting.hear()
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			return &dialError{fmt.Sprintf("%s opened a WebSocket, but did not greet within %v: is it a tunnel backend?", hostPort(l.cfg.address()), wait), err}
		case err != nil:
			return l.greetingFailed(err)
		case text == nil:
			continue
		}
		if err := l.onGreeting(text, limit); err != nil {
			return err
		}
	}
	_ = l.ws.SetReadDeadline(time.Time{})
	_ = l.ws.SetWriteDeadline(time.Time{})
	if l.cfg.gateway() && l.est.MaxAgeMS <= 0 {
		l.est.MaxAgeMS = defaultGatewayAge.Milliseconds()
	}
	if l.form2() {
		l.carrier = newForm2(l, frames)
	} else {
		l.carrier = newForm1(l)
	}
	return nil
}

func (l *Link) greetingFailed(err error) error {
	var closed *websocket.CloseError
	if errors.As(err, &closed) {
		return lostError(err)
	}
	return err
}

// onGreeting takes one message before connection_established.
func (l *Link) onGreeting(text []byte, limit int) error {
	message, err := wire.Decode(text, limit)
	if about := (*wire.MessageError)(nil); errors.As(err, &about) {
		l.log.Warn("message before the greeting ignored", "error", err)
		return nil
	}
	est, greeted := message.(*wire.Established)
	if greeted {
		err = checkGreeting(est)
	}
	if err != nil {
		return &dialError{fmt.Sprintf("%s does not speak the tunnel protocol: %v: check --backend", hostPort(l.cfg.address()), err), err}
	}
	switch m := message.(type) {
	case *wire.Established:
		l.est = *m // checked: there is a tunnel's ID, and a URL
	case *wire.ErrorMessage:
		return refusalOf(m)
	case *wire.HTTPRequest:
		l.keepEarly(text)
	case *wire.Notice: // before ready, connections get them, too
		l.cfg.onNotice(m)
	case *wire.Unknown:
		switch m.Type {
		case wire.TypeChunk, wire.TypeResend, wire.TypeCredit, wire.TypeCancel:
			l.keepEarly(text)
			return nil
		}
		if said := gatewayMessage(m.Text); m.Type == "" && said != "" {
			if said == "Forbidden" {
				return &wire.Error{Code: wire.CodeForbidden, Message: "the API answered \"Forbidden\": does it have a $default route, and may it invoke its function?"}
			}
			return &dialError{fmt.Sprintf("the API answered %q instead of greeting: see the backend's log", printable(said)), wire.ErrProtocol}
		}
		l.log.Debug("message before the greeting ignored", "message", printable(m.Text))
	default:
		l.log.Debug("message before the greeting ignored", "type", fmt.Sprintf("%T", m))
	}
	return nil
}

func (l *Link) keepEarly(text []byte) {
	if len(l.early) < maxEarly {
		l.early = append(l.early, text)
	}
}

// refusalOf makes an error of an error message that is about the connection.
func refusalOf(m *wire.ErrorMessage) error {
	text := printable(m.Message)
	if text == "" {
		text = fmt.Sprintf("the backend refused the connection (%s)", printable(string(m.Code)))
	}
	refusal := &wire.Error{Code: m.Code, Message: text}
	if m.Code == wire.CodeThrottled {
		return &laterError{refusal, defaultRetryAfter}
	}
	return refusal
}

// gatewayMessage is the text of a message that API Gateway itself sent:
// {"message":"Internal server error","connectionId":…,"requestId":…}.
func gatewayMessage(text string) string {
	var m struct {
		Message string `json:"message"`
	}
	if json.Unmarshal([]byte(text), &m) != nil {
		return ""
	}
	return m.Message
}

func (l *Link) messageLimit() int {
	switch {
	case l.form2():
		return wire.MaxControlMessage
	case l.cfg.gateway():
		return wire.MaxGatewayMessage
	default:
		return wire.MaxRelayMessage
	}
}

// form2: the backend has chosen the subprotocol.
func (l *Link) form2() bool { return !l.cfg.gateway() && l.ws.Subprotocol() == wire.Subprotocol }

// Established is what the backend said in the handshake. MaxAgeMS is filled in
// where API Gateway's limit holds without being announced.
func (l *Link) Established() wire.Established { return l.est }

// Run serves until the connection or ctx ends. It is called once. Its error is a
// *wire.Error if the backend said why.
func (l *Link) Run(ctx context.Context) error {
	defer close(l.done)
	err := l.carrier.run(ctx)
	l.mu.Lock()
	refusal := l.refusal
	l.mu.Unlock()
	switch {
	case refusal != nil:
		return l.ended(refusal)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return lostError(err)
}

// GoingAway is closed once the backend has said that it stops or restarts.
func (l *Link) GoingAway() <-chan struct{} { return l.going }

// Close ends the connection, and with it Run, without waiting for it.
func (l *Link) Close() { l.carrier.close() }

// Settle gives up the requests that have outlived their connections, all of which
// have ended, and waits for their handlers. With a backend whose answers may come
// on another connection than the request, Run does not wait for them.
func (l *Link) Settle() {
	l.cfg.board.settle()
	if l.cfg.blobClient != nil {
		l.cfg.blobClient.close()
	}
}

// Drain returns when no request is under way and none can be expected any more,
// when the link has ended, or with ctx's error. The link goes on serving.
func (l *Link) Drain(ctx context.Context) error {
	linger := relayLinger
	if l.cfg.gateway() {
		linger = gatewayLinger
	}
	quiet := time.NewTimer(linger)
	defer quiet.Stop()
	started := time.Now()
	for {
		if n, last := l.work.state(); n == 0 {
			if last.Before(started) {
				last = started
			}
			quiet.Reset(time.Until(last.Add(linger)))
		} else {
			quiet.Stop()
		}
		select {
		case <-l.work.changed:
		case <-quiet.C:
			return l.carrier.drain(ctx)
		case <-l.done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Probe asks the backend for a sign of life and waits for it until ctx ends. If
// silence proves nothing, the error wraps errors.ErrUnsupported.
func (l *Link) Probe(ctx context.Context) error {
	if !localAddressExists(l.ws.LocalAddr()) {
		return errors.New("the network address that the connection used is gone")
	}
	return l.carrier.probe(ctx)
}

// localAddressExists is false only for certain.
func localAddressExists(addr net.Addr) bool {
	local, err := netip.ParseAddrPort(addr.String())
	if err != nil || local.Addr().IsLoopback() {
		return true
	}
	list, err := net.InterfaceAddrs()
	if err != nil {
		return true
	}
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Unmap() == local.Addr().Unmap().WithZone("") {
			return true
		}
	}
	return false
}

// onError takes an error message that is about the connection.
func (l *Link) onError(m *wire.ErrorMessage) {
	l.log.Info("the backend reports an error", "code", printable(string(m.Code)), "message", printable(m.Message))
	switch m.Code {
	case wire.CodeGoingAway:
		l.mu.Lock()
		first := !l.leaving
		l.leaving = true
		l.mu.Unlock()
		if first {
			close(l.going)
		}
	case wire.CodeInvalidRequest:
		// Permanent for a handshake. Later it is about some message, not worth the tunnel.
	default:
		if m.Code.Permanent() {
			l.mu.Lock()
			if l.refusal == nil {
				l.refusal = &wire.Error{Code: m.Code, Message: printable(m.Message)}
			}
			l.mu.Unlock()
			l.Close()
		}
	}
}

// serve hands one exchange to the handler. A panic in it is a mistake of ours that
// one request has found: it must not take the other requests and tunnels of this
// process with it.
func (l *Link) serve(x wire.Exchange) {
	l.work.begin()
	defer l.work.end()
	defer func() {
		if p := recover(); p != nil {
			l.log.Error("a mistake in this program has broken a request: please report it",
				"request", x.ID(), "panic", p, "stack", string(debug.Stack()))
			x.Reset(wire.ResetInternal, "the agent failed: see its log")
		}
	}()
	l.cfg.Handler(x)
}

// activity counts the requests under way.
type activity struct {
	changed chan struct{} // something has ended or begun; for the one that drains

	mu   sync.Mutex
	n    int
	last time.Time // when the last one ended
}

func (a *activity) begin() { a.add(1) }
func (a *activity) end()   { a.add(-1) }

func (a *activity) add(d int) {
	a.mu.Lock()
	a.n += d
	a.last = time.Now()
	a.mu.Unlock()
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

func (a *activity) state() (n int, last time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.n, a.last
}
