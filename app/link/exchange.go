package link

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"culvert/backend/visitor"
	"culvert/backend/wire"
)

// exchange is a request that came whole, in a form 1 message, and whose answer
// is gathered to leave in one. It is a wire.Exchange.
type exchange struct {
	form      *form1
	requestID string
	id        string
	head      wire.RequestHead
	body      bytes.Reader
	started   time.Time
	ctx       context.Context
	cancel    context.CancelFunc

	mu     sync.Mutex
	answer *wire.ResponseHead
	gather []byte
	over   bool // answered, or given up
}

// newExchange makes the exchange of message m; it ends with ctx, or too late.
func newExchange(ctx context.Context, f *form1, m *wire.HTTPRequest) *exchange {
	x := &exchange{
		form: f, requestID: m.RequestID, id: f.name(m.RequestID), head: requestHead(m, f.urls), started: time.Now(),
	}
	x.body.Reset(m.Body)
	x.ctx, x.cancel = context.WithTimeout(ctx, f.link.cfg.answerTimeout())
	return x
}

// requestHead makes the head of a request in a message. Messages of API Gateway
// have the Host field among the others, names in lower case, and hop-by-hop
// fields that nobody took out.
func requestHead(m *wire.HTTPRequest, u urls) wire.RequestHead {
	header := make(http.Header, len(m.Header))
	for name, values := range m.Header {
		name = http.CanonicalHeaderKey(name)
		header[name] = append(header[name], values...)
	}
	h := wire.RequestHead{
		Method:        m.Method,
		Target:        m.URI, // a valid target: the decoder has escaped it
		Host:          header.Get("Host"),
		ContentLength: int64(len(m.Body)),
		Upgrade:       visitor.UpgradeOf(header),
		Header:        header,
	}
	h.Prefix = u.prefixOf(header, h.Host)
	first, _, _ := strings.Cut(header.Get("X-Forwarded-For"), ",")
	if ip, ok := visitor.ParseIP(strings.TrimSpace(first)); ok {
		h.RemoteAddr = ip.String()
	}
	visitor.RemoveHopByHop(header)
	if header.Get("X-Forwarded-Proto") == "" {
		// Not every backend says so, and the local service needs it for URLs.
		header.Set("X-Forwarded-Proto", u.scheme)
	}
	header.Del("Host")
	header.Del("Content-Length")
	return h
}

func (x *exchange) ID() string                  { return x.id }
func (x *exchange) Request() *wire.RequestHead  { return &x.head }
func (x *exchange) RequestTrailer() http.Header { return nil }
func (x *exchange) Context() context.Context    { return x.ctx }
func (x *exchange) Read(p []byte) (int, error)  { return x.body.Read(p) }

// WriteHead notes the head. Informational ones have no place in a message.
func (x *exchange) WriteHead(h *wire.ResponseHead, end bool) error {
	if h.Status == http.StatusSwitchingProtocols {
		x.fail(wire.CodeInternal, fmt.Sprintf("%s needs a relay: this backend carries whole messages only", x.head.Upgrade))
		return &wire.ResetError{Code: wire.ResetInternal, Message: "an upgrade needs a relay"}
	}
	if h.Status < 200 {
		return nil
	}
	x.mu.Lock()
	switch {
	case x.over || x.ctx.Err() != nil:
		x.mu.Unlock()
		return x.gone()
	case x.answer != nil:
		x.mu.Unlock()
		return errors.New("a second response head")
	}
	head := *h
	x.answer = &head
	x.mu.Unlock()
	if end {
		return x.CloseWrite(nil)
	}
	return nil
}

// Write gathers the body, up to what a message holds.
func (x *exchange) Write(p []byte) (int, error) {
	x.mu.Lock()
	if x.over || x.ctx.Err() != nil {
		x.mu.Unlock()
		return 0, x.gone()
	}
	if x.answer == nil {
		x.mu.Unlock()
		return 0, errors.New("a body before its head")
	}
	if len(x.gather)+len(p) > x.form.body {
		x.mu.Unlock()
		return 0, x.tooLarge()
	}
	if x.form.buffered.Add(int64(len(p))) > maxBuffered {
		x.form.buffered.Add(-int64(len(p)))
		x.mu.Unlock()
		x.fail(wire.CodeLocalUnavailable, "the agent is busy with too many answers: try again")
		return 0, &wire.ResetError{Code: wire.ResetBusy, Message: "too many answers are being gathered"}
	}
	x.gather = append(x.gather, p...)
	x.mu.Unlock()
	return len(p), nil
}

// WriteLast is Write and CloseWrite.
func (x *exchange) WriteLast(p []byte) (int, error) {
	n, err := x.Write(p)
	if err != nil {
		return n, err
	}
	return n, x.CloseWrite(nil)
}

// CloseWrite sends the answer. A message has no place for a trailer.
func (x *exchange) CloseWrite(http.Header) error {
	x.mu.Lock()
	head, body, over := x.answer, x.gather, x.over || x.ctx.Err() != nil
	x.mu.Unlock()
	switch {
	case over:
		return x.gone()
	case head == nil:
		x.fail(wire.CodeInternal, "the local service gave no answer")
		return errors.New("the end of a body before its head")
	case !x.bodiless() && head.ContentLength >= 0 && head.ContentLength != int64(len(body)):
		x.fail(wire.CodeInternal, "the local service cut its answer short")
		return &wire.ResetError{Code: wire.ResetInternal, Message: "the body is not as long as its head says"}
	}
	m := &wire.HTTPResponse{
		RequestID: x.requestID, StatusCode: head.Status, Header: head.Header, Body: body,
		ProcessingTimeMS: time.Since(x.started).Milliseconds(),
	}
	if !x.finish() {
		return x.gone()
	}
	defer x.cancel()
	err := x.form.send(m)
	if errors.Is(err, errMessageTooLarge) {
		x.form.answerError(x.requestID, wire.CodeInternal, x.tooLargeText())
		return &wire.ResetError{Code: wire.ResetTooLarge, Message: x.tooLargeText()}
	}
	return err
}

// bodiless: the answer's length may be said without a body being there.
func (x *exchange) bodiless() bool {
	return x.head.Method == http.MethodHead ||
		slices.Contains([]int{http.StatusNoContent, http.StatusNotModified}, x.answer.Status)
}

// Reset answers with an error. In form 1 nothing of the answer has left yet, so
// that a failure in the middle of it is still told honestly.
func (x *exchange) Reset(code wire.ResetCode, message string) {
	if message == "" {
		message = "the request failed"
	}
	x.fail(code.ErrorCode(), message)
}

// abandon ends an exchange whose handler has returned, answered or not.
func (x *exchange) abandon() {
	if errors.Is(x.ctx.Err(), context.DeadlineExceeded) {
		x.Reset(wire.ResetTimeout, fmt.Sprintf("no whole answer within %v: streams need a relay", x.form.link.cfg.answerTimeout()))
	}
	x.Reset(wire.ResetInternal, "the agent gave no answer")
	x.cancel()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.form.buffered.Add(-int64(len(x.gather)))
	x.gather = nil
}

// fail sends an error instead of an answer, unless there was one.
func (x *exchange) fail(code wire.ErrorCode, message string) {
	if !x.finish() {
		return
	}
	x.cancel()
	x.form.answerError(x.requestID, code, message)
}

func (x *exchange) tooLarge() error {
	x.fail(wire.CodeInternal, x.tooLargeText())
	return &wire.ResetError{Code: wire.ResetTooLarge, Message: x.tooLargeText()}
}

func (x *exchange) tooLargeText() string {
	if x.form.gateway {
		return fmt.Sprintf("the answer is too large: this backend carries messages up to %d KB, some %d KB of body: use a relay",
			x.form.limit>>10, x.form.body>>10)
	}
	return fmt.Sprintf("the answer is too large: this relay carries bodies up to %d MB without %s", x.form.body>>20, wire.Subprotocol)
}

// finish makes the caller the one who answers.
func (x *exchange) finish() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		return false
	}
	x.over = true
	return true
}

// gone is why writing is pointless.
func (x *exchange) gone() error {
	if errors.Is(x.ctx.Err(), context.DeadlineExceeded) {
		return &wire.ResetError{Code: wire.ResetTimeout, Message: "the answer took too long"}
	}
	return &wire.ResetError{Code: wire.ResetCancel, Message: "the request is over"}
}
