package forwarder

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/app/target"
	"culvert/backend/wire"
)

// patience is how long tests wait for what has to happen.
const patience = 10 * time.Second

// visit is an exchange whose visitor is the test. Like a real one it is over, and
// its context ends, with the last byte of the answer or a reset.
type visit struct {
	head    wire.RequestHead
	body    io.Reader   // nil for none; *io.PipeReader for one that takes its time
	trailer http.Header // of the request
	slow    func(n int) // called before a write is taken
	strict  bool        // the context ends as soon as the answer has
	ctx     context.Context
	cancel  context.CancelFunc
	headed  chan struct{} // closed with the final head
	ended   chan struct{} // closed at the end of the answer, or by reset

	mu            sync.Mutex
	informational []wire.ResponseHead
	answer        *wire.ResponseHead
	out           bytes.Buffer
	writes        int // calls that carried body
	calls         []string
	outTrailer    http.Header
	complete      bool
	reset         *wire.ResetError
}

func newVisit(t testing.TB, method, target string) *visit {
	v := &visit{
		head: wire.RequestHead{
			Method: method, Target: target, Host: "shop.example.com", RemoteAddr: "203.0.113.9",
			Header: http.Header{"X-Forwarded-For": {"203.0.113.9"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"shop.example.com"}},
		},
		headed: make(chan struct{}),
		ended:  make(chan struct{}),
	}
	v.ctx, v.cancel = context.WithCancel(context.Background())
	t.Cleanup(v.cancel)
	return v
}

// withBody gives the request a body of known length.
func (v *visit) withBody(body string) *visit {
	v.head.ContentLength, v.body = int64(len(body)), strings.NewReader(body)
	return v
}

// withStream gives the request a body that the test writes, of the length given.
func (v *visit) withStream(length int64) (*visit, *io.PipeWriter) {
	r, w := io.Pipe()
	v.head.ContentLength, v.body = length, r
	context.AfterFunc(v.ctx, func() { r.CloseWithError(&wire.ResetError{Code: wire.ResetCancel}) })
	return v, w
}

func (v *visit) ID() string                  { return "visit-1" }
func (v *visit) Request() *wire.RequestHead  { return &v.head }
func (v *visit) RequestTrailer() http.Header { return v.trailer }
func (v *visit) Context() context.Context    { return v.ctx }

func (v *visit) Read(p []byte) (int, error) {
	if v.body == nil {
		return 0, io.EOF
	}
	return v.body.Read(p)
}

func (v *visit) note(call string) error {
	v.calls = append(v.calls, call)
	if v.complete || v.reset != nil {
		return errors.New("the answer has ended: " + strings.Join(v.calls, ", "))
	}
	return nil
}

func (v *visit) WriteHead(h *wire.ResponseHead, end bool) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.note("head"); err != nil {
		return err
	}
	copied := *h
	copied.Header = h.Header.Clone()
	if h.Status < 200 && h.Status != 101 {
		v.informational = append(v.informational, copied)
		return nil
	}
	v.answer = &copied
	close(v.headed)
	if end {
		v.finish()
	}
	return nil
}

func (v *visit) Write(p []byte) (int, error) { return v.write(p, "data") }

func (v *visit) WriteLast(p []byte) (int, error) { return v.write(p, "last") }

func (v *visit) write(p []byte, call string) (int, error) {
	if v.slow != nil {
		v.slow(len(p))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.note(call); err != nil {
		return 0, err
	}
	if v.ctx.Err() != nil {
		return 0, &wire.ResetError{Code: wire.ResetCancel}
	}
	v.writes++
	v.out.Write(p)
	if call == "last" {
		v.finish()
	}
	return len(p), nil
}

func (v *visit) CloseWrite(trailer http.Header) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.note("close"); err != nil {
		return err
	}
	v.outTrailer = trailer
	v.finish()
	return nil
}

func (v *visit) finish() {
	v.complete = true
	close(v.ended)
	if v.strict {
		v.cancel()
	}
}

func (v *visit) Reset(code wire.ResetCode, message string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.reset == nil && !v.complete {
		v.reset = &wire.ResetError{Code: code, Message: message}
		close(v.ended)
	}
	v.cancel()
}

// text is what has come of the answer's body.
func (v *visit) text() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.out.String()
}

// serve has f serve v in the background, and gives what ends with that.
func serve(f *Forwarder, v *visit) (done <-chan struct{}) {
	c := make(chan struct{})
	go func() {
		defer close(c)
		f.Serve(v)
	}()
	return c
}

func wait(t testing.TB, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("waited %v for %s", patience, what)
	}
}

// answered serves v to its end and wants a whole answer of this status.
func answered(t testing.TB, f *Forwarder, v *visit, status int) {
	t.Helper()
	wait(t, "the end of the exchange", serve(f, v))
	switch {
	case v.reset != nil:
		t.Fatalf("%s %s was reset: %v", v.head.Method, v.head.Target, v.reset)
	case !v.complete:
		t.Fatalf("%s %s: the answer has no end: %q", v.head.Method, v.head.Target, v.calls)
	case v.answer.Status != status:
		t.Fatalf("%s %s: status %d, want %d: %q", v.head.Method, v.head.Target, v.answer.Status, status, v.out.String())
	}
}

// failed serves v to its end and wants a reset that says this.
func failed(t testing.TB, f *Forwarder, v *visit, code wire.ResetCode, says string) {
	t.Helper()
	wait(t, "the end of the exchange", serve(f, v))
	switch {
	case v.reset == nil:
		t.Fatalf("%s %s was not reset: %q, %q", v.head.Method, v.head.Target, v.calls, v.out.String())
	case v.reset.Code != code || !strings.Contains(v.reset.Message, says):
		t.Fatalf("%s %s was reset with %d, %q; want %d, %q", v.head.Method, v.head.Target, v.reset.Code, v.reset.Message, code, says)
	case v.complete:
		t.Fatalf("%s %s was reset, but its answer has an end, too", v.head.Method, v.head.Target)
	}
}

// forwarderTo makes a Forwarder for a target; change may be nil.
func forwarderTo(t testing.TB, to string, change func(*Config)) *Forwarder {
	t.Helper()
	parsed, err := target.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Target: parsed}
	if change != nil {
		change(&cfg)
	}
	f, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}
