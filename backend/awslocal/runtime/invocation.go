package runtime

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// Call is what a caller may say about an invocation besides its payload.
type Call struct {
	RequestID     string // default: a fresh one
	TraceID       string // as in X-Amzn-Trace-Id; default: a fresh one
	ClientContext string // JSON
}

type callKey struct{}

// WithCall returns a context for Invoke or InvokeStream that carries the call.
func WithCall(ctx context.Context, c Call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

const (
	integrationType = "application/vnd.awslambda.http-integration-response"
	unhandled       = "Unhandled"
	// The trailer that says why a response broke off.
	errorTypeTrailer = "Lambda-Runtime-Function-Error-Type"
	errorBodyTrailer = "Lambda-Runtime-Function-Error-Body"
)

var (
	errResponseTooLarge = errors.New("the response is larger than Lambda takes")
	errAnswered         = errors.New("the invocation is unknown or has been answered")
	errPrelude          = errors.New("the streamed response does not begin with a head")
)

// invocation is one call from its admission to the moment its environment is ready for
// another. Its answer comes first or never; the first one counts.
type invocation struct {
	Call
	payload  []byte
	streamed bool
	deadline time.Time     // set when it is handed over
	over     chan struct{} // closed when its environment asks for the next one
	began    chan Head     // the streamed answer begins; holds one
	done     chan struct{} // closed when result, err and body's end are final

	body    *io.PipeReader // of a streamed answer
	bodyEnd *io.PipeWriter

	mu       sync.Mutex
	claimed  bool // somebody answers
	complete bool // the answer is all there, or the function said that it failed
	finished bool
	result   Result
	err      error
	out      int64
}

func newInvocation(call Call, payload []byte, streamed bool) *invocation {
	call.RequestID = orDefault(call.RequestID, newRequestID())
	call.TraceID = orDefault(call.TraceID, fmt.Sprintf("Root=1-%08x-%x", time.Now().Unix(), random(12)))
	inv := &invocation{Call: call, payload: payload, streamed: streamed,
		over: make(chan struct{}), began: make(chan Head, 1), done: make(chan struct{})}
	if streamed {
		inv.body, inv.bodyEnd = io.Pipe()
	}
	return inv
}

func newRequestID() string {
	b := random(16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// claim makes the caller the one who answers.
func (inv *invocation) claim() error {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if inv.claimed || inv.finished {
		return errAnswered
	}
	inv.claimed = true
	return nil
}

// conclude sets the answer, unless there is one or the invocation is over.
func (inv *invocation) conclude(r Result) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if !inv.finished && !inv.complete {
		inv.complete, inv.result = true, r
		inv.out += int64(len(r.Payload))
	}
}

// revoke takes the answer back.
func (inv *invocation) revoke() {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.complete = false
}

// fail answers with what the function says about its failure.
func (inv *invocation) fail(payload []byte) error {
	if err := inv.claim(); err != nil {
		return err
	}
	inv.conclude(Result{Payload: payload, FunctionError: unhandled})
	return nil
}

// respond answers with a body, which it reads to the end. trailer gives the fields
// after it, and may be nil.
func (inv *invocation) respond(contentType string, body io.Reader, trailer func() http.Header) error {
	if err := inv.claim(); err != nil {
		return err
	}
	if inv.streamed {
		return inv.stream(contentType, body, trailer)
	}
	payload, err := io.ReadAll(io.LimitReader(body, MaxResponse+1))
	if err != nil {
		return fmt.Errorf("reading the response: %w", err)
	}
	if len(payload) > MaxResponse {
		inv.conclude(failure("Function.ResponseSizeTooLarge",
			fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", MaxResponse)))
		return errResponseTooLarge
	}
	if broken := brokenOff(trailer); broken != nil {
		inv.conclude(Result{Payload: broken, FunctionError: unhandled})
		return nil
	}
	inv.conclude(Result{Payload: payload})
	return nil
}

// stream passes the body on as it comes. The end is told by finish: only then is the
// environment ready for another invocation.
func (inv *invocation) stream(contentType string, body io.Reader, trailer func() http.Header) error {
	head := Head{ContentType: contentType}
	buffered := bufio.NewReader(body)
	if contentType == integrationType {
		var err error
		if head, err = readPrelude(buffered); err != nil {
			inv.conclude(failure("Runtime.InvalidResponse", err.Error()))
			return err
		}
		head.ContentType = contentType
	}
	inv.began <- head
	dst := &dropping{w: inv.bodyEnd}
	n, err := io.Copy(dst, io.LimitReader(buffered, MaxStream))
	if err == nil && n == MaxStream {
		if _, more := buffered.ReadByte(); more == nil {
			inv.conclude(failure("Function.ResponseSizeTooLarge",
				fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", MaxStream)))
			return errResponseTooLarge
		}
	}
	inv.mu.Lock()
	inv.out += n
	inv.mu.Unlock()
	if err != nil {
		return fmt.Errorf("reading the response: %w", err)
	}
	result := Result{}
	if broken := brokenOff(trailer); broken != nil {
		result = Result{Payload: broken, FunctionError: unhandled}
	}
	inv.conclude(result)
	return nil
}

// dropping writes to w until it fails, and then to nobody: a function whose reader has
// left goes on.
type dropping struct {
	w    io.Writer
	gone bool
}

func (d *dropping) Write(p []byte) (int, error) {
	if !d.gone {
		_, err := d.w.Write(p)
		d.gone = err != nil
	}
	return len(p), nil
}

// readPrelude reads a streamed answer's head: a JSON object and eight NUL bytes.
func readPrelude(r *bufio.Reader) (Head, error) {
	var text []byte
	for {
		b, err := r.ReadByte()
		switch {
		case err != nil:
			return Head{}, fmt.Errorf("%w: %w", errPrelude, err)
		case len(text) >= maxPrelude:
			return Head{}, fmt.Errorf("%w of at most %d bytes", errPrelude, maxPrelude)
		}
		if text = append(text, b); b == 0 && bytes.HasSuffix(text, make([]byte, 8)) {
			break
		}
	}
	var fields struct {
		StatusCode int               `json:"statusCode"`
		Headers    map[string]string `json:"headers"`
		Cookies    []string          `json:"cookies"`
	}
	if err := json.Unmarshal(text[:len(text)-8], &fields); err != nil {
		return Head{}, fmt.Errorf("%w: %w", errPrelude, err)
	}
	return Head{Integration: true, StatusCode: orDefault(fields.StatusCode, http.StatusOK),
		Headers: fields.Headers, Cookies: fields.Cookies}, nil
}

// brokenOff gives the error that the trailer tells, or nil.
func brokenOff(trailer func() http.Header) []byte {
	if trailer == nil {
		return nil
	}
	fields := trailer()
	kind := fields.Get(errorTypeTrailer)
	if kind == "" {
		return nil
	}
	if payload, err := base64.StdEncoding.DecodeString(fields.Get(errorBodyTrailer)); err == nil && json.Valid(payload) {
		return payload
	}
	return failure(kind, "the response broke off").Payload
}

// finish makes the answer final: the one that was given, or else instead and err.
func (inv *invocation) finish(instead Result, err error) {
	inv.mu.Lock()
	if !inv.complete {
		inv.result, inv.err = instead, err
	}
	inv.finished = true
	failed := inv.result.FunctionError != ""
	inv.mu.Unlock()
	if inv.streamed {
		switch {
		case inv.err != nil:
			inv.bodyEnd.CloseWithError(inv.err)
		case failed:
			inv.bodyEnd.CloseWithError(&FunctionError{Payload: inv.result.Payload})
		default:
			inv.bodyEnd.Close()
		}
	}
	close(inv.done)
}

// state says whether the answer is there, and whether it is an error.
func (inv *invocation) state() (complete, failed bool, out int64) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	return inv.complete, inv.result.FunctionError != "", inv.out
}

// failure is a function error as Lambda words its own.
func failure(kind, message string) Result {
	payload, err := json.Marshal(struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}{kind, message})
	if err != nil { // two strings always have a JSON form
		panic(err)
	}
	return Result{Payload: payload, FunctionError: unhandled}
}
