package host

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"culvert/backend/lambda/event"
)

// Stream serves one event of a Function URL that streams. The line in the log, and
// the metrics, come when the body ends.
func (h *Host) Stream(ctx context.Context, payload json.RawMessage) (*events.LambdaFunctionURLStreamingResponse, error) {
	in := h.begin(ctx)
	e, err := event.Parse(payload)
	if !h.cfg.Role.serves(e.Kind) || err != nil {
		if err == nil {
			err = errors.New("only a Function URL in the mode RESPONSE_STREAM may invoke this function")
		}
		in.add(slog.String("event", e.Kind.String()))
		in.fail("event refused", err)
		a := event.Refuse(nil, http.StatusBadRequest, nil, "The backend does not understand this event.")
		return h.respond(in, a.Stream())
	}
	r := e.Request
	h.arrive(ctx, in, r, h.cfg.StreamURL)
	return h.respond(in, h.open(ctx, in, r))
}

// open calls the visitors' side, and survives it.
func (h *Host) open(ctx context.Context, in *invocation, r *event.Request) (s *event.Stream) {
	defer func() {
		if v := recover(); v != nil {
			in.crashed(v)
			s = event.Refuse(r, http.StatusBadGateway, nil, msgCrashed).Stream()
		}
	}()
	if s = h.streams.Stream(ctx, r); s == nil {
		in.fail("answer refused", errors.New("there is none"))
		s = event.Refuse(r, http.StatusBadGateway, nil, msgCrashed).Stream()
	}
	s.Head = r.Method == http.MethodHead
	return s
}

// respond has the runtime read the stream, and ends the invocation when it is closed.
func (h *Host) respond(in *invocation, s *event.Stream) (*events.LambdaFunctionURLStreamingResponse, error) {
	from := s.Body
	if from == nil {
		from = http.NoBody
	}
	counted := *s
	body := &streamBody{h: h, in: in, status: s.Status, from: from}
	counted.Body = body
	res, err := counted.Response()
	if err == nil {
		body.wait()
		return res, nil
	}
	_ = from.Close()
	in.fail("answer refused", err)
	return h.respond(in, event.Refuse(nil, http.StatusBadGateway, nil, msgNoAnswer).Stream())
}

// patience is how long a visitor may take nothing of what is there for it, while it
// holds one of the few executions that stream. A visitor of a service that is silent
// waits inside of Read, and has all the time of the invocation.
const patience = time.Minute

// streamBody counts what passes. The runtime's client reads it on a goroutine of its
// own, where a panic would end the process, and which may still be reading when the
// body is closed.
type streamBody struct {
	h      *Host
	status int
	from   io.ReadCloser

	mu    sync.Mutex
	in    *invocation // nil once it is over
	bytes int
	// stuck runs between the end of one Read and the next one.
	stuck   *time.Timer
	reading bool
}

func (b *streamBody) Read(p []byte) (n int, err error) {
	b.goOn()
	defer func() {
		v := recover()
		b.mu.Lock()
		defer b.mu.Unlock()
		b.bytes += n
		switch {
		case v != nil && b.in != nil:
			n, err = 0, b.in.crashed(v)
		case v != nil:
			n, err = 0, io.ErrClosedPipe
		case err != nil && err != io.EOF && b.in != nil:
			b.in.fail("stream cut short", err)
		}
		b.reading = false
		b.restart()
	}()
	return b.from.Read(p)
}

// wait begins to wait for the visitor to take what there is.
func (b *streamBody) wait() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.restart()
}

// restart does so. b.mu is held.
func (b *streamBody) restart() {
	switch {
	case b.in == nil:
	case b.stuck == nil:
		b.stuck = time.AfterFunc(patience, b.giveUp)
	default:
		b.stuck.Reset(patience)
	}
}

func (b *streamBody) goOn() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = true
	if b.stuck != nil {
		b.stuck.Stop()
	}
}

// giveUp ends the invocation of a visitor that takes nothing. The runtime's client is
// inside of a write that nothing else ends: so the process goes, and Lambda starts
// another one.
func (b *streamBody) giveUp() {
	b.mu.Lock()
	if b.in == nil || b.reading {
		b.mu.Unlock()
		return
	}
	b.in.what, b.in.level = "stream given up", slog.LevelWarn
	b.in.add(slog.String("cause", "the visitor took nothing for "+patience.String()))
	b.mu.Unlock()
	_ = b.Close()
	b.h.abandon()
}

// Close ends the invocation.
func (b *streamBody) Close() (err error) {
	defer func() {
		v := recover()
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.stuck != nil {
			b.stuck.Stop()
		}
		if b.in == nil {
			return
		}
		if v != nil {
			err = b.in.crashed(v)
		}
		b.h.count(b.status, b.bytes)
		b.in.end(b.status)
		b.in = nil
	}()
	return b.from.Close()
}
