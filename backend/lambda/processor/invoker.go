package processor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"culvert/backend/action"
	"culvert/backend/lambda/signed"
	"culvert/backend/lambda/timer"
	"culvert/backend/wire"
)

// InvokerConfig is how to reach the Processor.
type InvokerConfig struct {
	// Function is its name or ARN.
	Function string
	Region   string
	// Endpoint is the base of Lambda's API where it is not AWS's own.
	Endpoint    string
	Credentials aws.CredentialsProvider
	// HTTP is the client to use. It must not give up before an action is done: nothing
	// comes before its result.
	HTTP aws.HTTPClient
	// Now is the time; time.Now by default.
	Now func() time.Time
}

// Invoker asks the Processor. It is safe for use by many goroutines.
type Invoker struct {
	client *signed.Client
	url    string
	now    func() time.Time
}

// NewInvoker makes an Invoker. It calls nobody yet.
func NewInvoker(cfg InvokerConfig) (*Invoker, error) {
	if cfg.Function == "" {
		return nil, errors.New("the Processor's name is missing")
	}
	client, err := signed.New(signed.Config{Service: "lambda", Region: cfg.Region, Credentials: cfg.Credentials, HTTP: cfg.HTTP, Now: cfg.Now})
	if err != nil {
		return nil, err
	}
	base := strings.TrimSuffix(cfg.Endpoint, "/")
	if base == "" {
		base = "https://lambda." + cfg.Region + "." + signed.Domain(cfg.Region)
	}
	i := &Invoker{client: client, now: cfg.Now,
		// An ARN has colons, which the signature has escaped.
		url: base + "/2015-03-31/functions/" + strings.ReplaceAll(cfg.Function, ":", "%3A") + "/invocations"}
	if i.now == nil {
		i.now = time.Now
	}
	return i, nil
}

const (
	// reserve is what the Invoker leaves of its caller's time, to tell what came of it.
	reserve = 2 * time.Second
	// pause is before a second try.
	pause = 200 * time.Millisecond
	// maxReply bounds a reply: a result, and what is around it.
	maxReply = wire.MaxAction + 4<<10
)

// What who asked is told. The causes are for the log.
var (
	errThrottled = &wire.ActionError{Code: wire.CodeThrottled, Message: "too many actions are being done at once: try again in a moment"}
	errTimeout   = &wire.ActionError{Code: wire.CodeTimeout, Message: "the action took too long"}
	errFailed    = &wire.ActionError{Code: wire.CodeInternal, Message: "the action failed: see the backend's log"}
	errLarge     = &wire.ActionError{Code: wire.CodeTooLarge, Message: fmt.Sprintf("the result is over %d bytes", wire.MaxAction)}
)

// Do has an action done, once: it is tried again only when Lambda has certainly not
// run it. The reply is what the Processor says, an error of the action included. The
// error is about everything else: it wraps the *wire.ActionError to be told, beside
// the cause, which is for the log.
func (i *Invoker) Do(ctx context.Context, c action.Call) (action.Reply, error) {
	text, err := encode(c)
	if err != nil {
		return action.Reply{}, told(errFailed, err)
	}
	limit := maxTime
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, deadline.Sub(i.now())-reserve)
	}
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	reply, again, err := i.invoke(within, text)
	if again && timer.Wait(within, pause) == nil {
		reply, _, err = i.invoke(within, text)
	}
	if err != nil && within.Err() != nil {
		return action.Reply{}, told(errTimeout, err)
	}
	return reply, err
}

// told joins what is told and what is logged.
func told(e *wire.ActionError, cause error) error { return fmt.Errorf("%w: %w", e, cause) }

// encode writes a call as it came: escaped for HTML, data would be much larger.
func encode(c action.Call) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(c)
	return b.Bytes(), err
}

// invoke invokes the function once. Again says that it did not run, and could now.
//
// https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
func (i *Invoker) invoke(ctx context.Context, text []byte) (reply action.Reply, again bool, err error) {
	header := http.Header{"Content-Type": {"application/json"}, "X-Amz-Invocation-Type": {"RequestResponse"}}
	a, err := i.client.Post(ctx, i.url, header, text, maxReply)
	switch {
	case errors.Is(err, signed.ErrTooLarge):
		return reply, false, told(errLarge, err)
	case err != nil:
		return reply, errors.Is(err, signed.ErrNotSent), told(errFailed, fmt.Errorf("invoke the Processor: %w", err))
	case a.Status == http.StatusTooManyRequests:
		return reply, true, told(errThrottled, errors.New("no more invocations of the Processor are taken now: its concurrency, or the account's, is used up"))
	case a.Status != http.StatusOK:
		return reply, false, told(errFailed, refusal(a))
	case a.Header.Get("X-Amz-Function-Error") != "":
		return reply, false, crash(a.Body)
	}
	reply, err = decode(a.Body)
	return reply, false, err
}

// refusal says why Lambda did not invoke the function, or may not have.
func refusal(a *signed.Answer) error {
	err := fmt.Errorf("invoke the Processor: status %d %s", a.Status, a.Kind(""))
	switch a.Status {
	case http.StatusForbidden:
		return fmt.Errorf("%w: give this function's role the right to lambda:InvokeFunction", err)
	case http.StatusNotFound:
		return fmt.Errorf("%w: CULVERT_PROCESSOR names a function that does not exist", err)
	}
	return err
}

// crash is what came of a function that failed as a whole. What it says of itself is
// in its own log.
func crash(body []byte) error {
	var failure struct {
		Message string `json:"errorMessage"`
		Type    string `json:"errorType"`
	}
	_ = json.Unmarshal(body, &failure) // what is none of Lambda's leaves it empty
	if strings.Contains(failure.Message, "Task timed out after") || failure.Type == "Sandbox.Timedout" {
		return told(errTimeout, errors.New("the Processor ran into its function's timeout"))
	}
	return told(errFailed, fmt.Errorf("the Processor failed as a whole (%.80q): see its own log", failure.Type))
}

// decode reads a reply, of which a function in another language may be the author.
func decode(text []byte) (action.Reply, error) {
	var reply action.Reply
	if json.Unmarshal(text, &reply) != nil {
		return action.Reply{}, told(errFailed, errors.New("the Processor returned no reply: it must be an object with result, or with error"))
	}
	if reply.Error != nil && string(reply.Result) == "null" { // other languages write both
		reply.Result = nil
	}
	switch {
	case reply.Error != nil && reply.Error.Code != "" && len(reply.Result) == 0,
		reply.Error == nil && len(reply.Result) > 0 && len(reply.Result) <= wire.MaxAction:
		return reply, nil
	case len(reply.Result) > wire.MaxAction:
		return action.Reply{}, told(errLarge, errors.New("the Processor's result is too large"))
	}
	return action.Reply{}, told(errFailed, errors.New("the Processor's reply must have either a result, or an error with a code"))
}
