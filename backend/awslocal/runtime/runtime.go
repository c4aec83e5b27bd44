// Package runtime stands in for AWS Lambda on a developer's machine. It runs the real
// bootstrap program as Lambda does: every environment is a process that asks the
// runtime API for one invocation at a time, frozen in between, with nothing of its
// parent's environment, and killed when it takes too long. Functions may also be Go
// code in this process, with the same limits, for tests and comparisons.
//
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
// https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
package runtime

import (
	"context"
	"errors"
	"io"
	"time"
)

// Function is what may be invoked and waited for.
//
// A context that ends before the answer is there gives its error, and the invocation
// goes on: nobody can call one back, in Lambda either.
type Function interface {
	Invoke(ctx context.Context, payload []byte) (Result, error)
}

// Streamer is a function whose answer may be read while it is being made. The reader
// must be closed. Closing it early drops the rest and leaves the invocation alone.
//
// A function that fails before its answer begins gives a *FunctionError; one that fails
// later gives it at the end of the body.
type Streamer interface {
	InvokeStream(ctx context.Context, payload []byte) (Head, io.ReadCloser, error)
}

// Result is a function's answer.
type Result struct {
	// Payload is the answer, or with FunctionError an object of errorType and errorMessage.
	Payload []byte
	// FunctionError is empty, or "Unhandled": the function failed, was killed or went away.
	FunctionError string
}

// Head begins a streamed answer.
type Head struct {
	// Integration says whether the function sent a head at all (content type
	// application/vnd.awslambda.http-integration-response). Without it the body is
	// all there is, and ContentType is that of the runtime's post.
	Integration bool
	ContentType string
	StatusCode  int
	Headers     map[string]string
	Cookies     []string
}

// FunctionError is the failure of a function whose answer was to be streamed.
type FunctionError struct {
	Payload []byte // an object of errorType and errorMessage
}

func (e *FunctionError) Error() string { return "function error: " + string(e.Payload) }

var (
	// ErrThrottled: no concurrency is left, of the function's reservation or of the account.
	ErrThrottled = errors.New("rate exceeded: no concurrency is left for the function")
	// ErrTimeout comes together with a Result that has its FunctionError: the function
	// took longer than its timeout, and its environment was killed.
	ErrTimeout = errors.New("the function took longer than its timeout and was killed")
	// ErrTooLarge: the request is over what Lambda takes.
	ErrTooLarge = errors.New("the request is larger than an invocation may be")
	// ErrStopped: the stand-in is stopping.
	ErrStopped = errors.New("the function is being stopped")
)

// Lambda's quotas.
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const (
	MaxRequest      = 6 << 20     // bytes of a synchronous invocation's payload
	MaxEvent        = 1 << 20     // bytes of an asynchronous invocation's payload
	MaxResponse     = 6<<20 + 100 // bytes of an answer: so Lambda's error message counts
	MaxStream       = 200 << 20   // bytes of a streamed answer
	MaxTimeout      = 900 * time.Second
	maxPrelude      = 1 << 20 // bytes of a streamed answer's head
	initTimeout     = 10 * time.Second
	defaultTimeout  = 3 * time.Second
	defaultMemory   = 128 // MB
	defaultIdle     = 5 * time.Minute
	defaultAccount  = 1000
	minUnreserved   = 10 // what reservations must leave of an account's concurrency
	shutdownTimeout = 500 * time.Millisecond
)
