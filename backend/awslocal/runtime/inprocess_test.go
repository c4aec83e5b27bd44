package runtime_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"

	"culvert/backend/awslocal/clock"
	"culvert/backend/awslocal/runtime"
)

func TestFunctionsInGo(t *testing.T) {
	t.Parallel()
	starts := 0
	f, l := inProcess(t, runtime.Config{Env: map[string]string{"A": "b"}}, func(ctx context.Context, env map[string]string) (runtime.Handler, error) {
		starts++
		return runtime.Bytes(lambda.NewHandler(func(ctx context.Context, in map[string]string) (string, error) {
			lc, _ := lambdacontext.FromContext(ctx)
			switch in["do"] {
			case "panic":
				panic("oh")
			case "fail":
				return "", errors.New("no luck")
			}
			return env["A"] + env["AWS_LAMBDA_FUNCTION_NAME"] + lc.AwsRequestID, nil
		}).Invoke), nil
	})
	ctx := runtime.WithCall(t.Context(), runtime.Call{RequestID: "7"})
	for _, tt := range []struct{ payload, want string }{
		{`{}`, `"btest7"`},
		{`{"do":"fail"}`, `Unhandled{"errorType":"errorString","errorMessage":"no luck"}`},
		{`{"do":"panic"}`, `Unhandled{"errorType":"panic","errorMessage":"oh"}`},
		{`{}`, `"btest7"`},
	} {
		r, err := f.Invoke(ctx, []byte(tt.payload))
		if got := r.FunctionError + string(r.Payload); err != nil || got != tt.want {
			t.Errorf("%s: got %v, %s", tt.payload, err, got)
		}
	}
	if starts != 2 {
		t.Errorf("%d environments started; only a panic ends one", starts)
	}
	if diff := cmp.Diff([]runtime.Outcome{runtime.Succeeded, runtime.Failed, runtime.Crashed, runtime.Succeeded}, l.outcomes()); diff != "" {
		t.Error(diff)
	}
}

func TestFunctionsInGoThatDoNotStart(t *testing.T) {
	t.Parallel()
	for name, factory := range map[string]runtime.Factory{
		"no luck": func(context.Context, map[string]string) (runtime.Handler, error) { return nil, errors.New("no luck") },
		"oh":      func(context.Context, map[string]string) (runtime.Handler, error) { panic("oh") },
	} {
		f, _ := inProcess(t, runtime.Config{}, factory)
		r, err := f.Invoke(t.Context(), []byte(`{}`))
		if err != nil || r.FunctionError == "" || !strings.Contains(string(r.Payload), name) {
			t.Errorf("got %v, %s", err, r.Payload)
		}
	}
}

func TestTimeoutInGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		open := make(chan struct{})
		f, l := inProcess(t, runtime.Config{Timeout: 29 * time.Second}, func(context.Context, map[string]string) (runtime.Handler, error) {
			return func(context.Context, []byte) (io.Reader, error) { <-open; return nil, nil }, nil
		})
		began := time.Now()
		r, err := f.Invoke(t.Context(), []byte(`{}`))
		if !errors.Is(err, runtime.ErrTimeout) || !strings.Contains(string(r.Payload), "timed out after 29.00 seconds") {
			t.Errorf("got %v, %s", err, r.Payload)
		}
		if took := time.Since(began); took != 29*time.Second {
			t.Errorf("after %v", took)
		}
		if r := l.reports[0]; r.Outcome != runtime.TimedOut || r.Duration != 29*time.Second {
			t.Errorf("reported %+v", r)
		}
		close(open) // Go code cannot be killed
		f.Stop()
	})
}

func TestEventsAreTriedThreeTimes(t *testing.T) {
	t.Parallel()
	c := clock.NewStopped(time.Unix(0, 0))
	calls := make(chan string, 10)
	f, _ := inProcess(t, runtime.Config{Clock: c}, func(context.Context, map[string]string) (runtime.Handler, error) {
		return func(ctx context.Context, payload []byte) (io.Reader, error) {
			lc, _ := lambdacontext.FromContext(ctx)
			calls <- lc.AwsRequestID
			if string(payload) == "fails" {
				return nil, errors.New("no luck")
			}
			return nil, nil
		}, nil
	})
	id, err := f.InvokeEvent(t.Context(), []byte("fails"))
	if err != nil {
		t.Fatal(err)
	}
	first := <-calls
	for _, wait := range []time.Duration{time.Minute, 2 * time.Minute} {
		awaitRetry(t, c)
		c.Advance(wait)
		if again := <-calls; again != first || again != id {
			t.Errorf("tried as %q, then as %q", first, again)
		}
	}
	if _, err := f.InvokeEvent(t.Context(), []byte("works")); err != nil {
		t.Fatal(err)
	}
	<-calls
	if _, err := f.InvokeEvent(t.Context(), make([]byte, runtime.MaxEvent+1)); !errors.Is(err, runtime.ErrTooLarge) {
		t.Errorf("over 1 MB: %v", err)
	}
	f.Stop()
	if len(calls) > 0 {
		t.Errorf("tried %d times more", len(calls))
	}
}

// awaitRetry waits until another try is ordered, beside the environment's retirement.
func awaitRetry(t *testing.T, c *clock.Movable) {
	t.Helper()
	for range 10000 {
		if c.Pending() >= 2 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("no retry was ordered: %d calls pending", c.Pending())
}
