package meter

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"culvert/backend/awslocal/runtime"
)

func TestLambda(t *testing.T) {
	t.Parallel()
	m := New()
	function := func(name string) *runtime.Lambda {
		f, err := runtime.InProcess(runtime.Config{Name: name, Observe: m.Invoked}, func(context.Context, map[string]string) (runtime.Handler, error) {
			return runtime.Bytes(func(_ context.Context, p []byte) ([]byte, error) { return p, nil }), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(f.Stop)
		return f
	}
	echo, other := function("echo"), function("other")
	throttled := false
	server := httptest.NewServer(m.Lambda(Lambda{
		Functions: []*runtime.Lambda{echo, other}, Callers: callers, Throttled: func() bool { return throttled },
		Allowed: func(key, action, arn string) bool { return action == "lambda:InvokeFunction" && arn == echo.ARN() },
	}))
	t.Cleanup(server.Close)
	options := lambda.Options{Region: "us-east-1", BaseEndpoint: &server.URL, Credentials: login("agents", token), RetryMaxAttempts: 1}
	kind := func(c *lambda.Client, name string) string {
		_, err := c.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: &name})
		var answer smithy.APIError
		if errors.As(err, &answer) {
			return answer.ErrorCode()
		}
		return ""
	}
	c := lambda.New(options)
	out, err := c.Invoke(t.Context(), &lambda.InvokeInput{FunctionName: aws.String(echo.ARN()), Payload: []byte(`{"a":1}`)})
	if err != nil || string(out.Payload) != `{"a":1}` {
		t.Errorf("%+v, %v", out, err)
	}
	if got := kind(c, "other"); got != "AccessDeniedException" {
		t.Errorf("a function that no policy allows: %q", got)
	}
	options.Credentials = login("agents", "forged")
	if got := kind(lambda.New(options), "echo"); got != "UnrecognizedClientException" {
		t.Errorf("a forged token: %q", got)
	}
	throttled = true
	if got := kind(c, "echo"); got != "TooManyRequestsException" {
		t.Errorf("throttled: %q", got)
	}
	if diff := cmp.Diff([]Call{{"agents", "lambda:InvokeFunction", echo.ARN()}}, m.Calls()); diff != "" {
		t.Errorf("calls: -want +got:\n%s", diff)
	}
	if got := m.Usage().Invocations; got != 1 {
		t.Errorf("%d invocations counted", got)
	}
}
