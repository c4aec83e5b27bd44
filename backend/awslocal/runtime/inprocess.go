package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

// Handler is a function in Go. The reader's bytes are the answer; a reader with a
// ContentType method may be a streamed one, as events.LambdaFunctionURLStreamingResponse
// is, and one with Close is closed. ctx has the invocation's deadline and
// lambdacontext; a handler that outlives it cannot be killed and must end by itself.
type Handler func(ctx context.Context, payload []byte) (io.Reader, error)

// Bytes makes a Handler of lambda.Handler's Invoke method.
func Bytes(invoke func(ctx context.Context, payload []byte) ([]byte, error)) Handler {
	return func(ctx context.Context, payload []byte) (io.Reader, error) {
		answer, err := invoke(ctx, payload)
		if err != nil {
			return nil, err
		}
		return bytes.NewReader(answer), nil
	}
}

// Factory starts an environment: what a program does before it asks for its first
// invocation. env is what the program would see; ctx ends with the environment.
type Factory func(ctx context.Context, env map[string]string) (Handler, error)

// InProcess makes a function of Go code, with every limit of one made by New. It is
// never frozen. Stop waits for its handlers.
func InProcess(c Config, factory Factory) (*Lambda, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	if factory == nil {
		return nil, errors.New("function " + c.Name + ": no code was given")
	}
	l, err := newLambda(c)
	if err != nil {
		return nil, err
	}
	l.launch = func(ctx context.Context, name string) (environment, error) {
		return startGo(ctx, &l.cfg, name, factory)
	}
	return l, nil
}

// goEnvironment is an environment in this process.
type goEnvironment struct {
	cfg     *Config
	ctx     context.Context
	end     context.CancelFunc
	handler Handler
	running sync.WaitGroup
}

func startGo(ctx context.Context, cfg *Config, name string, factory Factory) (environment, error) {
	ctx, end := context.WithCancel(ctx)
	g := &goEnvironment{cfg: cfg, ctx: ctx, end: end}
	initialised := make(chan error, 1)
	g.running.Go(func() {
		defer catch(func(payload []byte) { initialised <- &initError{payload: payload, reason: "panic"} })
		handler, err := factory(ctx, cfg.environ(name))
		if err != nil {
			initialised <- &initError{payload: errorPayload(err), reason: err.Error()}
			return
		}
		g.handler = handler
		initialised <- nil
	})
	timer := time.NewTimer(cfg.InitTimeout)
	defer timer.Stop()
	var err error
	select {
	case err = <-initialised:
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = &initError{reason: fmt.Sprintf("Init timed out after %.2f seconds", cfg.InitTimeout.Seconds())}
	}
	if err != nil {
		g.stop()
		return nil, err
	}
	return g, nil
}

func (g *goEnvironment) invoke(inv *invocation) ending {
	inv.deadline = time.Now().Add(g.cfg.Timeout)
	ctx, cancel := context.WithDeadline(g.ctx, inv.deadline)
	defer cancel()
	ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{
		AwsRequestID: inv.RequestID, InvokedFunctionArn: g.cfg.arn()})
	timer := time.NewTimer(g.cfg.Timeout)
	defer timer.Stop()
	done := make(chan struct{})
	panicked := false
	g.running.Go(func() {
		defer close(done)
		defer catch(func(payload []byte) {
			panicked = true
			inv.fail(payload) // unless it has answered already
		})
		g.handle(ctx, inv)
	})
	select {
	case <-done:
		if panicked {
			// A program exits after a panic.
			g.end()
			return ending{outcome: Crashed, instead: failure("Runtime.ExitError", "the function panicked while it was answering")}
		}
		return ending{outcome: Succeeded}
	case <-timer.C:
		g.end()
		return timedOut(inv, g.cfg.Timeout)
	case <-g.ctx.Done():
		return ending{outcome: Crashed, err: ErrStopped}
	}
}

func (g *goEnvironment) handle(ctx context.Context, inv *invocation) {
	answer, err := g.handler(ctx, inv.payload)
	if closer, ok := answer.(io.Closer); ok {
		defer closer.Close()
	}
	if err != nil {
		inv.fail(errorPayload(err))
		return
	}
	contentType := "application/octet-stream"
	if typed, ok := answer.(interface{ ContentType() string }); ok {
		contentType = typed.ContentType()
	}
	if answer == nil {
		answer = bytes.NewReader(nil)
	}
	if err := inv.respond(contentType, answer, nil); err != nil {
		inv.conclude(Result{Payload: errorPayload(err), FunctionError: unhandled})
	}
}

// catch turns a panic into the words of a failed function.
func catch(report func(payload []byte)) {
	if v := recover(); v != nil {
		report(failure("panic", fmt.Sprint(v)).Payload)
	}
}

// errorPayload words an error as aws-lambda-go does.
func errorPayload(err error) []byte {
	kind := reflect.TypeOf(err)
	if kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	return failure(kind.Name(), err.Error()).Payload
}

func (g *goEnvironment) rest()                 {}
func (g *goEnvironment) gone() <-chan struct{} { return g.ctx.Done() }

func (g *goEnvironment) stop() {
	g.end()
	g.running.Wait()
}
