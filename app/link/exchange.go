package link

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"culvert/backend/visitor"
	"culvert/backend/wire"
)

// exchange is a request that came in form 1 messages, and whose answer is gathered
// to leave in one; or in several, or by an object store, or as a stream, where the
// backend has declared that. It is a wire.Exchange.
type exchange struct {
	form      *form1 // the connection that the request came on
	caps      caps
	tunnel    string // its ID
	requestID string
	id        string
	head      wire.RequestHead
	body      io.Reader
	upload    *wire.Upload // where the answer's body may be put; nil for nowhere
	stream    *stream      // nil unless asked for
	limit     time.Duration
	started   time.Time
	ctx       context.Context
	cancel    context.CancelFunc
	reserved  int64 // bytes of memory for bodies, but for gather

	mu     sync.Mutex
	answer *wire.ResponseHead
	gather []byte
	pipe   *pipedBody // nil unless the answer's body is uploaded as it comes
	over   bool       // answered, or given up
}

// newExchange makes the exchange of message m; it ends with ctx, or too late.
func newExchange(ctx context.Context, f *form1, m *wire.HTTPRequest, body []byte) *exchange {
	x := &exchange{
		form: f, caps: f.caps, tunnel: f.tunnel(),
		requestID: m.RequestID, id: f.name(m.RequestID), head: requestHead(m, f.urls), started: time.Now(),
		body: bytes.NewReader(body), limit: f.link.cfg.answerTimeout(),
	}
	x.head.ContentLength = int64(len(body))
	wait := time.Duration(m.TimeoutMS) * time.Millisecond // 0 unless declared
	if x.caps.stream && m.Stream {
		x.stream = newStream(x, m.Credit)
		x.limit = maxStream
	}
	if x.caps.blob {
		x.upload = m.Upload
	}
	if wait > 0 {
		x.limit = min(x.limit, wait)
	}
	// The handler tells its visitor the cause: nobody has left.
	x.ctx, x.cancel = context.WithTimeoutCause(ctx, x.limit, x.tooLate())
	return x
}

// prepare gets the body of a request, which travelled as body, and the memory that
// the exchange may take. If that fails, the exchange is over.
func (x *exchange) prepare(m *wire.HTTPRequest, body []byte) bool {
	var need int64
	decode := m.More || m.Encoding != wire.EncodingNone
	if decode {
		need += m.BodySize
	}
	if x.stream != nil {
		need += streamCost(x.stream.window)
	}
	if !x.board().reserve(need) {
		x.fail(wire.CodeLocalUnavailable, "the agent is busy with too many large requests: try again")
		return false
	}
	x.reserved = need
	switch {
	case m.BodyURL != "" && !x.caps.blob:
		x.fail(wire.CodeInvalidRequest, "the agent cannot read the request: body_url without the capability blob")
		return false
	case m.BodyURL != "":
		r, err := x.form.link.cfg.blobs().get(x.ctx, m.BodyURL, m.BodySize)
		if err != nil {
			if !x.late() { // else abandon says so
				x.fail(wire.CodeInternal, "the agent cannot get the request's body: "+err.Error())
			}
			return false
		}
		x.body, x.head.ContentLength = r, m.BodySize
	case decode:
		whole, err := wire.Unpack(m.Encoding, body, m.BodySize)
		if err != nil {
			x.fail(wire.CodeInvalidRequest, "the agent cannot read the request: "+err.Error())
			return false
		}
		x.body, x.head.ContentLength = bytes.NewReader(whole), m.BodySize
	}
	return true
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
func (x *exchange) board() *board               { return &x.form.link.cfg.board }

func (x *exchange) Read(p []byte) (int, error) {
	n, err := x.body.Read(p)
	if err != nil && err != io.EOF {
		if x.late() {
			return n, x.tooLate()
		}
		x.fail(wire.CodeInternal, err.Error())
		err = &wire.ResetError{Code: wire.ResetInternal, Message: err.Error()}
	}
	return n, err
}

// WriteHead notes the head, or sends it if the answer is a stream. Informational ones
// have no place in a message.
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
	switch {
	case end:
		return x.CloseWrite(nil)
	case x.bodiless():
		return nil
	case x.streams():
		return x.beginStream()
	case x.upload != nil:
		return x.beginUpload()
	}
	return nil
}

// Write takes a part of the body. A whole answer is gathered, up to what the backend
// carries.
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
	pipe := x.pipe
	x.mu.Unlock()
	var n int
	var err error
	switch {
	case pipe != nil:
		if n, err = pipe.write(p); err != nil && !errors.Is(err, errTooLong) && x.ctx.Err() == nil {
			return n, x.uploadFailed(err)
		}
	case x.streams():
		n, err = x.stream.write(p)
	default:
		return x.gatherMore(p)
	}
	switch {
	case err != nil && x.late():
		return n, x.tooLate()
	case err != nil:
		x.fail(wire.CodeInternal, reason(err))
	}
	return n, err
}

// gatherMore keeps a part of a whole answer.
func (x *exchange) gatherMore(p []byte) (int, error) {
	x.mu.Lock()
	size := len(x.gather)
	x.mu.Unlock()
	if int64(size+len(p)) > x.room() {
		return 0, x.tooLarge()
	}
	if !x.board().reserve(int64(len(p))) {
		x.fail(wire.CodeLocalUnavailable, "the agent is busy with too many answers: try again")
		return 0, &wire.ResetError{Code: wire.ResetBusy, Message: "too many answers are being gathered"}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.gather = append(x.gather, p...)
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

// CloseWrite sends the answer, or the rest of it. A message has no place for a trailer.
func (x *exchange) CloseWrite(http.Header) error {
	x.mu.Lock()
	head, body, pipe, over := x.answer, x.gather, x.pipe, x.over || x.ctx.Err() != nil
	x.mu.Unlock()
	switch {
	case over:
		return x.gone()
	case head == nil:
		x.fail(wire.CodeInternal, "the local service gave no answer")
		return errors.New("the end of a body before its head")
	case x.streams() && !x.bodiless():
		return x.endStream()
	case pipe != nil:
		return x.endUpload()
	case !x.bodiless() && head.ContentLength >= 0 && head.ContentLength != int64(len(body)):
		x.fail(wire.CodeInternal, "the local service cut its answer short")
		return &wire.ResetError{Code: wire.ResetInternal, Message: "the body is not as long as its head says"}
	}
	return x.sendWhole(body)
}

// message is the answer without its body. What HEAD asks for includes the length of
// the body that is not there, for which messages have no place but the header.
func (x *exchange) message() *wire.HTTPResponse {
	header := x.answer.Header
	if x.head.Method == http.MethodHead && x.answer.ContentLength >= 0 {
		if header = header.Clone(); header == nil {
			header = http.Header{}
		}
		header.Set("Content-Length", strconv.FormatInt(x.answer.ContentLength, 10))
	}
	return &wire.HTTPResponse{
		RequestID: x.requestID, StatusCode: x.answer.Status, Header: header,
		ProcessingTimeMS: time.Since(x.started).Milliseconds(),
	}
}

// bodiless: the answer's length may be said without a body being there.
func (x *exchange) bodiless() bool {
	return x.head.Method == http.MethodHead ||
		slices.Contains([]int{http.StatusNoContent, http.StatusNotModified}, x.answer.Status)
}

// streams: the answer's body leaves while it is made.
func (x *exchange) streams() bool { return x.stream != nil && x.answer.ContentLength != 0 }

// Reset answers with an error. Unless the answer is a stream, nothing of it has left
// yet, so that a failure in the middle of it is still told honestly.
func (x *exchange) Reset(code wire.ResetCode, message string) {
	if message == "" {
		message = "the request failed"
	}
	x.fail(code.ErrorCode(), message)
}

// abandon ends an exchange whose handler has returned, answered or not.
func (x *exchange) abandon() {
	if x.late() {
		late := x.tooLate()
		x.Reset(late.Code, late.Message)
	}
	x.Reset(wire.ResetInternal, "the agent gave no answer")
	x.cancel()
	if x.stream != nil {
		x.stream.wait()
	}
	if x.pipe != nil {
		x.pipe.abort()
	}
	if c, ok := x.body.(io.Closer); ok {
		_ = c.Close()
	}
	x.board().release(int64(len(x.gather)) + x.reserved)
	x.gather, x.reserved = nil, 0
}

// fail sends an error instead of an answer, unless there was one.
func (x *exchange) fail(code wire.ErrorCode, message string) {
	if x.finish() {
		x.sendError(code, message)
	}
}

func (x *exchange) sendError(code wire.ErrorCode, message string) {
	x.cancel()
	if x.stream == nil {
		x.form.answerError(x.requestID, code, message)
		return
	}
	// What the visitor has got of a stream was not all of it.
	parts := append(x.stream.unacknowledged(), &wire.ErrorMessage{RequestID: x.requestID, Code: code, Message: message})
	b := x.board()
	b.keepSent(newAnswer(x.requestID, x.tunnel, parts))
	_ = b.sendParts(x.tunnel, parts[len(parts)-1:], false) // else it is asked for
}

// silence gives the exchange up without a word: nobody waits for one.
func (x *exchange) silence() {
	x.finish()
	x.cancel()
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

// reason is what a visitor may read of an error.
func reason(err error) string {
	var reset *wire.ResetError
	if errors.As(err, &reset) {
		return reset.Message
	}
	return err.Error()
}

// gone is why writing is pointless.
func (x *exchange) gone() error {
	if x.late() {
		return x.tooLate()
	}
	return &wire.ResetError{Code: wire.ResetCancel, Message: "the request is over"}
}

// late: the exchange's time is over.
func (x *exchange) late() bool { return errors.Is(x.ctx.Err(), context.DeadlineExceeded) }

// tooLate is why such an exchange ends.
func (x *exchange) tooLate() *wire.ResetError {
	text := fmt.Sprintf("no whole answer within %v", x.limit)
	if !x.caps.stream {
		text += ": streams need a relay"
	}
	return &wire.ResetError{Code: wire.ResetTimeout, Message: text}
}
