package runtime_test

import (
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"culvert/backend/awslocal/runtime"
)

func TestInvokeAPI(t *testing.T) {
	t.Parallel()
	g := newGate()
	f, _ := inProcess(t, runtime.Config{Name: "capped", Account: runtime.NewAccount(20), Reserved: 1}, g.factory)
	echo, _ := inProcess(t, runtime.Config{Name: "echo"}, func(context.Context, map[string]string) (runtime.Handler, error) {
		return runtime.Bytes(func(_ context.Context, p []byte) ([]byte, error) {
			if string(p) == `"fail"` {
				return nil, errors.New("no luck")
			}
			return p, nil
		}), nil
	})
	server := httptest.NewServer(runtime.NewInvokeAPI(func(key, arn string) bool {
		return key == runtime.AccessKeyID("caller") || arn == echo.ARN()
	}, f, echo))
	t.Cleanup(server.Close)
	client := func(caller string) *lambda.Client {
		return lambda.New(lambda.Options{Region: "us-east-1", BaseEndpoint: &server.URL, RetryMaxAttempts: 1,
			Credentials: credentials.NewStaticCredentialsProvider(runtime.AccessKeyID(caller), "secret", "token")})
	}
	c := client("caller")

	for _, name := range []string{"echo", echo.ARN(), "123456789012:function:echo:$LATEST"} {
		out, err := c.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: &name, Payload: []byte(`{"a":1}`)})
		if err != nil || string(out.Payload) != `{"a":1}` || out.StatusCode != 200 || out.FunctionError != nil || aws.ToString(out.ExecutedVersion) != "$LATEST" {
			t.Errorf("%s: %v, %+v", name, err, out)
		}
	}
	out, err := c.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("echo"), Payload: []byte(`"fail"`)})
	if err != nil || aws.ToString(out.FunctionError) != "Unhandled" || string(out.Payload) != `{"errorType":"errorString","errorMessage":"no luck"}` {
		t.Errorf("failing function: %v, %+v", err, out)
	}

	if out, err := c.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("capped"), Payload: []byte(`"event"`), InvocationType: types.InvocationTypeEvent}); err != nil || out.StatusCode != 202 {
		t.Fatalf("event: %v, %+v", err, out)
	}
	if got := <-g.entered; got != `"event"` {
		t.Errorf("the function got %s", got)
	}
	var busy *types.TooManyRequestsException
	_, err = c.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("capped")})
	if !errors.As(err, &busy) || busy.Reason != types.ThrottleReasonReservedFunctionConcurrentInvocationLimitExceeded {
		t.Errorf("busy: %v", err)
	}
	close(g.open)

	var missing *types.ResourceNotFoundException
	if _, err := c.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("nobody")}); !errors.As(err, &missing) {
		t.Errorf("unknown function: %v", err)
	}
	var content *types.InvalidRequestContentException
	if _, err := c.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("echo"), Payload: []byte(`{`)}); !errors.As(err, &content) {
		t.Errorf("no JSON: %v", err)
	}
	var large *types.RequestTooLargeException
	if _, err := c.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("echo"), Payload: make([]byte, runtime.MaxRequest+1)}); !errors.As(err, &large) {
		t.Errorf("too large: %v", err)
	}
	var denied interface{ ErrorCode() string }
	if _, err := client("stranger").Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String("capped")}); !errors.As(err, &denied) || denied.ErrorCode() != "AccessDeniedException" {
		t.Errorf("stranger: %v", err)
	}
	resp, err := server.Client().Post(server.URL+"/2015-03-31/functions/echo/invocations", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 403 {
		t.Errorf("unsigned: %d %s", resp.StatusCode, body)
	}
}
