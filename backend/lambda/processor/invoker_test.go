package processor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"culvert/backend/action"
	"culvert/backend/lambda/event"
	"culvert/backend/wire"
)

// answer is one of Lambda's.
type answer struct {
	status int // 0: none; -1: it cannot be reached; -2: the connection ends
	failed string
	body   string
}

// lambda answers in turn, and the last answer again and again.
type lambda struct {
	answers []answer

	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
	at       []time.Time
}

func (l *lambda) Do(r *http.Request) (*http.Response, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.answers[min(len(l.requests), len(l.answers)-1)]
	l.requests, l.at = append(l.requests, r), append(l.at, time.Now())
	if a.status == -1 {
		return nil, errors.New("dial tcp: no route")
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	l.bodies = append(l.bodies, string(text))
	switch a.status {
	case -2:
		return nil, io.ErrUnexpectedEOF
	case 0:
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	h := http.Header{}
	if a.failed != "" {
		h.Set("X-Amz-Function-Error", a.failed)
	}
	return &http.Response{StatusCode: a.status, Header: h, Body: io.NopCloser(strings.NewReader(a.body))}, nil
}

func invoker(t *testing.T, l *lambda, change func(*InvokerConfig)) *Invoker {
	t.Helper()
	cfg := InvokerConfig{Function: "processor", Region: "eu-west-1", HTTP: l, Credentials: credentials.NewStaticCredentialsProvider("AKID", "hush", "")}
	if change != nil {
		change(&cfg)
	}
	i, err := NewInvoker(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// What is sent is what the Processor's function reads, and signed for Lambda.
func TestInvoke(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*InvokerConfig)
		url    string
	}{
		"a name": {nil, "https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions/processor/invocations"},
		"an ARN": {func(c *InvokerConfig) { c.Function = "arn:aws:lambda:eu-west-1:1:function:p" },
			"https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A1%3Afunction%3Ap/invocations"},
		"in China":   {func(c *InvokerConfig) { c.Region = "cn-north-1" }, "https://lambda.cn-north-1.amazonaws.com.cn/2015-03-31/functions/processor/invocations"},
		"a stand-in": {func(c *InvokerConfig) { c.Endpoint = "http://127.0.0.1:9/" }, "http://127.0.0.1:9/2015-03-31/functions/processor/invocations"},
	} {
		l := &lambda{answers: []answer{{200, "", `{"result":{"a":"<b>"}}`}}}
		call := action.Call{Action: "echo", Data: json.RawMessage(`{"a":"<b>"}`), User: "ann", Connection: "R1k=", Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
		reply, err := invoker(t, l, c.change).Do(t.Context(), call)
		if err != nil || string(reply.Result) != `{"a":"<b>"}` || reply.Error != nil {
			t.Errorf("%s: %+v, %v", name, reply, err)
		}
		r := l.requests[0]
		if r.Method != http.MethodPost || r.URL.String() != c.url || r.Header.Get("X-Amz-Invocation-Type") != "RequestResponse" || !strings.Contains(r.Header.Get("Authorization"), "/lambda/aws4_request") {
			t.Errorf("%s: %s %s %v", name, r.Method, r.URL, r.Header)
		}
		e, err := event.Parse([]byte(l.bodies[0]))
		if err != nil || e.Kind != event.Action {
			t.Fatalf("%s: %s: %v", name, l.bodies[0], err)
		}
		if diff := cmp.Diff(&call, e.Call); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Who asked is told one thing, the log another; and an action is done once.
func TestWhatComesOfAnInvocation(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", wire.MaxAction)
	good := answer{200, "", `{"result":1}`}
	for name, c := range map[string]struct {
		answers []answer
		calls   int
		code    wire.ErrorCode // of the error; "": none
		result  string
		logs    string
	}{
		"done":                 {[]answer{good}, 1, "", "1", ""},
		"null":                 {[]answer{{200, "", `{"result":null}`}}, 1, "", "null", ""},
		"null and no error":    {[]answer{{200, "", `{"result":null,"error":null}`}}, 1, "", "null", ""},
		"the largest":          {[]answer{{200, "", `{"result":"` + large[2:] + `"}`}}, 1, "", `"` + large[2:] + `"`, ""},
		"throttled, then done": {[]answer{{429, "", ""}, good}, 2, "", "1", ""},
		"throttled":            {[]answer{{429, "", `{"Reason":"ConcurrentInvocationLimitExceeded"}`}}, 2, wire.CodeThrottled, "", "concurrency"},
		"out of reach, then done": {
			[]answer{{-1, "", ""}, good}, 2, "", "1", "",
		},
		"out of reach":         {[]answer{{-1, "", ""}}, 2, wire.CodeInternal, "", "no route"},
		"cut off":              {[]answer{{-2, "", ""}, good}, 1, wire.CodeInternal, "", "unexpected EOF"}, // it may have run
		"not allowed":          {[]answer{{403, "", ""}}, 1, wire.CodeInternal, "", "lambda:InvokeFunction"},
		"no such function":     {[]answer{{404, "", ""}}, 1, wire.CodeInternal, "", "CULVERT_PROCESSOR"},
		"Lambda fails":         {[]answer{{500, "", ""}, good}, 1, wire.CodeInternal, "", "500"}, // it may have run
		"Lambda is busy":       {[]answer{{503, "", ""}, good}, 1, wire.CodeInternal, "", "503"},
		"it crashed":           {[]answer{{200, "Unhandled", `{"errorMessage":"hush","errorType":"Runtime.ExitError"}`}}, 1, wire.CodeInternal, "", "Runtime.ExitError"},
		"it failed":            {[]answer{{200, "Unhandled", `oh`}}, 1, wire.CodeInternal, "", "its own log"},
		"it ran out of time":   {[]answer{{200, "Unhandled", `{"errorMessage":"2026-03-01 Task timed out after 3.00 seconds"}`}}, 1, wire.CodeTimeout, "", "timeout"},
		"so, newly":            {[]answer{{200, "Unhandled", `{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: x Error: Task timed out after 3.00 seconds"}`}}, 1, wire.CodeTimeout, "", "timeout"},
		"no JSON":              {[]answer{{200, "", `hush`}}, 1, wire.CodeInternal, "", "no reply"},
		"no object":            {[]answer{{200, "", `"hush"`}}, 1, wire.CodeInternal, "", "no reply"},
		"nothing":              {[]answer{{200, "", `{}`}}, 1, wire.CodeInternal, "", "either a result"},
		"null alone":           {[]answer{{200, "", `null`}}, 1, wire.CodeInternal, "", "either a result"},
		"both":                 {[]answer{{200, "", `{"result":1,"error":{"code":"x"}}`}}, 1, wire.CodeInternal, "", "either a result"},
		"an error for nobody":  {[]answer{{200, "", `{"error":{"message":"hush"}}`}}, 1, wire.CodeInternal, "", "either a result"},
		"a gateway's answer":   {[]answer{{200, "", `{"statusCode":200,"body":"hush"}`}}, 1, wire.CodeInternal, "", "either a result"},
		"too large":            {[]answer{{200, "", `{"result":"` + large + `"}`}}, 1, wire.CodeTooLarge, "", "too large"},
		"larger than anything": {[]answer{{200, "", strings.Repeat(large, 3)}}, 1, wire.CodeTooLarge, "", "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &lambda{answers: c.answers}
				reply, err := invoker(t, l, nil).Do(t.Context(), action.Call{Action: "echo", Data: json.RawMessage(`"data"`)})
				if len(l.requests) != c.calls {
					t.Errorf("%d calls, want %d", len(l.requests), c.calls)
				}
				for _, text := range l.bodies[min(1, len(l.bodies)):] {
					if text != l.bodies[0] {
						t.Errorf("the second call says %q", text)
					}
				}
				if c.code == "" {
					if err != nil || string(reply.Result) != c.result {
						t.Errorf("%.60s, %v", reply.Result, err)
					}
					return
				}
				var told *wire.ActionError
				if !errors.As(err, &told) || told.Code != c.code || !strings.Contains(err.Error(), c.logs) || reply.Error != nil || reply.Result != nil {
					t.Fatalf("%+v, %v", reply, err)
				}
				if strings.Contains(err.Error(), "hush") || strings.Contains(told.Message, c.logs) && c.code == wire.CodeInternal {
					t.Errorf("told %q, logged %q", told.Message, err)
				}
			})
		})
	}
	// What the Processor says of an action is told as it is.
	l := &lambda{answers: []answer{{200, "", `{"result":null,"error":{"code":"mine","message":"say more"}}`}}}
	reply, err := invoker(t, l, nil).Do(t.Context(), action.Call{Action: "x"})
	if diff := cmp.Diff(action.Reply{Error: &wire.ActionError{Code: "mine", Message: "say more"}}, reply); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestInvocationWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ caller, want time.Duration }{
		"nobody waits for less": {0, maxTime},
		"the caller has less":   {10 * time.Second, 10*time.Second - reserve},
		"the caller has more":   {time.Minute, maxTime},
		"there is no time left": {reserve / 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if c.caller > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.caller)
					defer cancel()
				}
				l, start := &lambda{answers: []answer{{}}}, time.Now()
				_, err := invoker(t, l, nil).Do(ctx, action.Call{Action: "slow"})
				var told *wire.ActionError
				if !errors.As(err, &told) || told.Code != wire.CodeTimeout || time.Since(start) != c.want || len(l.requests) > 1 {
					t.Errorf("%v after %v and %d calls", err, time.Since(start), len(l.requests))
				}
			})
		})
	}
}

func TestNewInvokerWantsAll(t *testing.T) {
	t.Parallel()
	if _, err := NewInvoker(InvokerConfig{Region: "r", Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}); err == nil {
		t.Error("without a function")
	}
	if _, err := NewInvoker(InvokerConfig{Function: "f", Region: "r"}); err == nil {
		t.Error("without credentials")
	}
}

// A reply is another's: whatever it is, it is one thing or an error.
func FuzzReply(f *testing.F) {
	for _, text := range []string{`{"result":1}`, `{"error":{"code":"x","message":"y"}}`, `{"result":null,"error":{"code":"x"}}`, `{}`, `[]`, `{"result":`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		reply, err := decode(text)
		var told *wire.ActionError
		switch {
		case err != nil:
			if !errors.As(err, &told) || reply.Error != nil || reply.Result != nil {
				t.Errorf("%+v, %v", reply, err)
			}
		case (reply.Error == nil) == (len(reply.Result) == 0), len(reply.Result) > wire.MaxAction:
			t.Errorf("%+v", reply)
		case reply.Error == nil && !json.Valid(reply.Result), reply.Error != nil && reply.Error.Code == "":
			t.Errorf("%+v", reply)
		}
		if bytes.Contains(text, []byte("hunter2")) && err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("quoted: %v", err)
		}
	})
}
