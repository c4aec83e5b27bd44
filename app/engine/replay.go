package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/net/http/httpguts"

	"culvert/app/exchange"
	"culvert/backend/wire"
)

// Bounds of replays.
const (
	// MaxReplayBody is how long the body of a replay may be.
	MaxReplayBody = 64 << 20
	// maxReplays is how many replays of one tunnel may be under way.
	maxReplays = 32
)

// ReplayRequest is what is sent to the local service once more; see ReplayOf.
type ReplayRequest struct {
	Method string
	Path   string // raw path and query
	// Host is what the visitor sent, and Prefix the part of the public path that named
	// the tunnel, as far as they are known.
	Host, Prefix string
	// Header holds what the visitor sent, X-Forwarded fields included. Those about one
	// connection, and Content-Length, are made anew; a Host in it wins over Host.
	Header http.Header
	Body   []byte // as it travelled: Content-Encoding applies
	// Target is where the request must go, as Target.String gives it; "" is wherever the
	// tunnel leads to.
	Target string
	// Of is the ID of the exchange that is repeated, which its record will name.
	Of string
}

// Reasons why an exchange cannot be sent once more as it was.
var (
	errReplayUpgrade   = errors.New("a WebSocket is a conversation, and cannot be replayed: repeat it from the page that opened it")
	errReplayRedacted  = errors.New("the secrets in this request were not kept, so that it cannot be replayed as it was: edit it, or replay one from before the restart")
	errReplayTruncated = errors.New("only the start of this request's body was kept, so that it cannot be replayed as it was: edit it, or have the visitor repeat it")
	errReplayBusy      = fmt.Errorf("%d replays are under way: wait for one to end", maxReplays)
)

// ReplayOf is the request of an exchange, to be sent once more. The error says why it
// cannot be sent as it was; but for a WebSocket, the request is there even then, for a
// person to mend.
func ReplayOf(x *exchange.Exchange) (ReplayRequest, error) {
	if x.Upgrade != "" || x.Status == http.StatusSwitchingProtocols {
		return ReplayRequest{}, errReplayUpgrade
	}
	r := ReplayRequest{
		Method: x.Method, Path: x.Path, Host: x.Host, Header: x.Request.Header.Clone(),
		Body: x.Request.Body, Target: x.Target, Of: x.ID,
	}
	if _, rest, ok := strings.Cut(x.URL, "://"); ok {
		// What stands between the host and the path.
		if i := strings.IndexByte(rest, '/'); i >= 0 {
			if prefix, ok := strings.CutSuffix(rest[i:], x.Path); ok {
				r.Prefix = prefix
			}
		}
	}
	switch {
	case x.Redacted:
		return r, errReplayRedacted
	case x.Request.Truncated, x.Request.Dropped, int64(len(x.Request.Body)) != x.Request.Size:
		return r, errReplayTruncated
	}
	return r, nil
}

// Replay sends a request to the local service or folder, past the link and the public
// URL, also while the tunnel is stopped. It returns when the answer has ended, which it
// cuts when ctx ends. The record comes by RequestDone, with whatever went wrong at the
// service; an error of Replay is about the request itself, or where it would go, or
// ErrNoTunnel.
func (t *Tunnel) Replay(ctx context.Context, r ReplayRequest) error {
	if err := r.check(); err != nil {
		return err
	}
	if t.ctx.Err() != nil {
		return ErrNoTunnel
	}
	if t.replays.Add(1) > maxReplays {
		t.replays.Add(-1)
		return errReplayBusy
	}
	defer t.replays.Add(-1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	w := t.use()
	defer w.leave()
	if here := w.spec.Target.String(); r.Target != "" && r.Target != here {
		return fmt.Errorf("the request was for %s, and this tunnel leads to %s now: open one to %s, and try again", r.Target, here, r.Target)
	}
	w.forward.Repeat(newReplay(ctx, cancel, t.engine.replayID(), &r), r.Of)
	return nil
}

func (e *Engine) replayID() string {
	return "replay-" + strconv.FormatInt(e.replays.Add(1), 10)
}

// check finds what a person may have typed wrong.
func (r *ReplayRequest) check() error {
	switch {
	case !httpguts.ValidHeaderFieldName(r.Method):
		return fmt.Errorf("the method %q is no word: write one such as GET", r.Method)
	case r.Method == http.MethodConnect:
		return errors.New("CONNECT is for proxies: write another method")
	case !strings.HasPrefix(r.Path, "/") && r.Path != "*":
		return errors.New("the path has no slash in front: write one such as /orders?page=2")
	case strings.ContainsFunc(r.Path, func(c rune) bool { return c <= ' ' || c == 0x7f }):
		return errors.New("the path has a space or a control character in it: write %20 for a space")
	case len(r.Body) > MaxReplayBody:
		return fmt.Errorf("the body is longer than %d MB", MaxReplayBody>>20)
	}
	for name, values := range r.Header {
		if !httpguts.ValidHeaderFieldName(name) {
			return fmt.Errorf("%q is no name of a header field", name)
		}
		if http.CanonicalHeaderKey(name) == "Sec-Websocket-Key" || http.CanonicalHeaderKey(name) == "Upgrade" {
			return errReplayUpgrade
		}
		for _, value := range values {
			if !httpguts.ValidHeaderFieldValue(value) {
				return fmt.Errorf("the header field %s has a control character in it", name)
			}
		}
	}
	return nil
}

// replay is an exchange without a visitor: nobody reads the answer but the record.
type replay struct {
	id     string
	head   wire.RequestHead
	ctx    context.Context
	cancel context.CancelFunc

	mu   sync.Mutex // body is read by another goroutine than the one that writes
	body []byte
}

func newReplay(ctx context.Context, cancel context.CancelFunc, id string, r *ReplayRequest) *replay {
	header := r.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	host := r.Host
	if typed := header.Get("Host"); typed != "" {
		host = typed
	}
	header.Del("Expect") // the body is here
	return &replay{
		id: id, ctx: ctx, cancel: cancel, body: r.Body,
		head: wire.RequestHead{
			Method: r.Method, Target: r.Path, Host: host, Prefix: r.Prefix, ContentLength: int64(len(r.Body)), Header: header,
		},
	}
}

func (x *replay) ID() string                                { return x.id }
func (x *replay) Request() *wire.RequestHead                { return &x.head }
func (x *replay) RequestTrailer() http.Header               { return nil }
func (x *replay) Context() context.Context                  { return x.ctx }
func (x *replay) WriteHead(*wire.ResponseHead, bool) error  { return x.ctx.Err() }
func (x *replay) Write(p []byte) (int, error)               { return len(p), x.ctx.Err() }
func (x *replay) WriteLast(p []byte) (int, error)           { return len(p), nil }
func (x *replay) CloseWrite(http.Header) error              { return nil }
func (x *replay) Reset(code wire.ResetCode, message string) { x.cancel() }

func (x *replay) Read(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.body) == 0 {
		return 0, io.EOF
	}
	n := copy(p, x.body)
	x.body = x.body[n:]
	return n, nil
}

// Buffered lets a small body travel with the head.
func (x *replay) Buffered() (n int, ended bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.body), true
}
