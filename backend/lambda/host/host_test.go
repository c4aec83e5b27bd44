package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"culvert/backend/action"
	"culvert/backend/lambda/agents"
	"culvert/backend/lambda/event"
	"culvert/backend/wire"
)

// staff stands in for all that a Host calls, and keeps what it was called with.
type staff struct {
	requests  []*event.Request
	messages  []*event.Message
	resources []*event.Resource
	asked     []action.Call
	batches   []*event.Batch

	answer  func(*event.Request) *event.Answer
	stream  func(*event.Request) *event.Stream
	handle  func(*event.Message) (int, error)
	body    []byte // of handle's outcome
	outcome func(*event.Resource) event.Outcome
	reply   func(action.Call) (action.Reply, error)
	failed  func(*event.Batch) []string
}

func (s *staff) calls() int {
	return len(s.requests) + len(s.messages) + len(s.resources) + len(s.asked) + len(s.batches)
}

func (s *staff) Do(_ context.Context, c action.Call) (action.Reply, error) {
	s.asked = append(s.asked, c)
	if s.reply != nil {
		return s.reply(c)
	}
	return action.Reply{Result: c.Data}, nil
}

type staffNotices struct{ *staff }

func (s staffNotices) Handle(_ context.Context, b *event.Batch) []string {
	s.batches = append(s.batches, b)
	if s.failed != nil {
		return s.failed(b)
	}
	return nil
}

type staffAgents struct{ *staff }

func (s staffAgents) Handle(_ context.Context, m *event.Message) (agents.Outcome, error) {
	s.messages = append(s.messages, m)
	if s.handle != nil {
		status, err := s.handle(m)
		return agents.Outcome{Status: status, Body: s.body}, err
	}
	return agents.Outcome{Status: http.StatusOK, Body: s.body}, nil
}

type staffResources struct{ *staff }

func (s staffResources) Handle(_ context.Context, r *event.Resource) event.Outcome {
	s.resources = append(s.resources, r)
	if s.outcome != nil {
		return s.outcome(r)
	}
	return event.Outcome{PhysicalID: "/culvert/keys"}
}

func (s *staff) Serve(_ context.Context, r *event.Request) *event.Answer {
	s.requests = append(s.requests, r)
	if s.answer != nil {
		return s.answer(r)
	}
	return &event.Answer{Status: 200, Body: []byte("hello")}
}

func (s *staff) Stream(_ context.Context, r *event.Request) *event.Stream {
	s.requests = append(s.requests, r)
	if s.stream != nil {
		return s.stream(r)
	}
	return (&event.Answer{Status: 200, Body: []byte("hello")}).Stream()
}

// hosted is a Host with its staff and its output.
type hosted struct {
	*Host
	staff *staff
	out   *output

	abandoned atomic.Int32
}

func hostOf(t *testing.T, role Role, change variables) *hosted {
	t.Helper()
	h := &hosted{staff: &staff{}, out: &output{}}
	cfg := configOf(t, role, change)
	log := NewLogger(h.out, cfg.LogLevel)
	var err error
	h.Host, err = New(Options{
		Config: cfg, Output: h.out, Log: log, Metrics: NewMetrics(cfg.Namespace, string(role), log), HTTP: http.DefaultClient,
		Abandon: func() { h.abandoned.Add(1) },
		Agents:  staffAgents{h.staff}, Visitors: h.staff, Streams: h.staff, Resources: staffResources{h.staff},
		Processor: h.staff, Notices: staffNotices{h.staff},
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// answered is what all kinds of answers have in common.
type answered struct {
	StatusCode int               `json:"statusCode"`
	Headers    map[string]string `json:"headers"`
	Body       string            `json:"body"`
}

func (h *hosted) invoke(t *testing.T, text string) answered {
	t.Helper()
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "the-id"})
	out, err := h.Invoke(ctx, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var a answered
	if err := json.Unmarshal(out, &a); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return a
}

// invokeOther gives the status that an answer without one amounts to: 400 is what
// refuses an event, by an error that is told or, to a queue, by failing.
func (h *hosted) invokeOther(t *testing.T, text string) int {
	t.Helper()
	out, err := h.Invoke(t.Context(), []byte(text))
	switch {
	case err != nil && h.cfg.Role == RoleNotices && out == nil:
		return 400
	case err != nil:
		t.Fatal(err)
	case h.cfg.Role == RoleNotices:
		if string(out) != `{"batchItemFailures":[]}` {
			t.Errorf("answer %s", out)
		}
		return 200
	}
	var reply action.Reply
	if err := json.Unmarshal(out, &reply); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	if reply.Error == nil {
		return 200
	}
	if reply.Error.Code != wire.CodeInvalidRequest || reply.Result != nil {
		t.Errorf("answer %s", out)
	}
	return 400
}

func http2(method, path, query string) string {
	return fmt.Sprintf(`{"version":"2.0","routeKey":"$default","rawPath":%q,"rawQueryString":%q,"headers":{"host":"tunnel.example.com"},"body":"abc",`+
		`"requestContext":{"http":{"method":%q,"sourceIp":"192.0.2.7"},"domainName":"tunnel.example.com","stage":"$default","routeKey":"$default"}}`, path, query, method)
}

const (
	http1       = `{"version":"1.0","httpMethod":"GET","path":"/shop/","requestContext":{"httpMethod":"GET","stage":"$default"}}`
	functionURL = `{"version":"2.0","routeKey":"$default","rawPath":"/shop/","headers":{},"requestContext":{"http":{"method":"GET"},"domainName":"x.lambda-url.eu-west-1.on.aws"}}`
	wsMessage   = `{"requestContext":{"routeKey":"$default","eventType":"MESSAGE","connectionId":"R1k=","apiId":"agents"},"body":"{}"}`
	wsConnect   = `{"requestContext":{"routeKey":"$connect","eventType":"CONNECT","connectionId":"R1k=","apiId":"agents"},"queryStringParameters":{"token":"hush"}}`
	wsNobody    = `{"requestContext":{"routeKey":"$default","eventType":"MESSAGE","apiId":"agents"},"body":"{\"type\":\"ready\"}"}`
	custom      = `{"RequestType":"Create","ResponseURL":%q,"StackId":"arn","RequestId":"r","LogicalResourceId":"Keys"}`
	queue       = `{"Records":[{"eventSource":"aws:sqs","eventSourceARN":"arn","messageId":"m1","body":"hush"}]}`
	queueOfNone = `{"Records":[{"eventSource":"aws:sqs","eventSourceARN":"arn","body":"hush"}]}`
	call        = `{"action":"echo","data":"hush","user":"ann","connectionId":"R1k=","time":"2026-03-01T12:00:00Z"}`
	callNothing = `{"action":"","data":"hush"}`
)

// Each function serves its own kind of events, and for others nothing runs.
func TestDispatch(t *testing.T) {
	t.Parallel()
	bucket := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(bucket.Close)
	events := map[string]string{
		"payload 2.0": http2("GET", "/shop/", ""), "payload 1.0": http1, "Function URL": functionURL, "message": wsMessage, "connect": wsConnect,
		"message of nobody": wsNobody, "custom resource": fmt.Sprintf(custom, bucket.URL), "queue": queue, "queue without names": queueOfNone, "call": call, "call for nothing": callNothing, "nothing": `{}`, "rubbish": `[1]`, "no JSON": `{`,
		"a message's routeKey and nothing else": `{"requestContext":{"routeKey":"$default"},"body":"{}"}`,
	}
	serves := map[Role][]string{
		RolePublic: {"payload 2.0", "payload 1.0"}, RoleAgents: {"message", "connect"}, RoleKeys: {"custom resource"}, RoleStream: {"Function URL"},
		RoleProcessor: {"call"}, RoleNotices: {"queue"},
	}
	for role, served := range serves {
		for name, text := range events {
			h := hostOf(t, role, nil)
			status := 0
			switch want := slices.Contains(served, name); {
			case role == RoleStream:
				status = h.openStream(t, text).status
			case role == RoleKeys && want:
				if out, err := h.Invoke(t.Context(), []byte(text)); err != nil || out != nil {
					t.Errorf("%s for %s: %s, %v", name, role, out, err)
				}
				status = 200
			case role == RoleProcessor || role == RoleNotices:
				status = h.invokeOther(t, text)
			default:
				status = h.invoke(t, text).StatusCode
			}
			wanted, calls := 400, 0
			if slices.Contains(served, name) {
				wanted, calls = 200, 1
			}
			if status != wanted || h.staff.calls() != calls {
				t.Errorf("%s for %s: status %d, %d calls; want %d, %d", name, role, status, h.staff.calls(), wanted, calls)
			}
			if lines := h.out.lines(t); len(lines) > 1 {
				t.Errorf("%s for %s: %d lines:\n%s", name, role, len(lines), h.out)
			} else if wanted == 400 && (len(lines) != 1 || lines[0]["level"] != "ERROR" || lines[0]["cause"] == nil || lines[0]["status"] != 400.0) {
				t.Errorf("%s for %s: not logged as it should be:\n%s", name, role, h.out)
			}
			if strings.Contains(h.out.String(), "hush") {
				t.Errorf("%s for %s: a secret in the log:\n%s", name, role, h.out)
			}
		}
	}
}

// An event of a WebSocket API without a connection to answer to ends there.
func TestMessageOfNobody(t *testing.T) {
	t.Parallel()
	h := hostOf(t, RoleAgents, variables{"CULVERT_WAITERS_API_ID": "agents"})
	if a := h.invoke(t, wsNobody); a.StatusCode != 400 || h.staff.calls() != 0 {
		t.Errorf("%+v, %d calls", a, h.staff.calls())
	}
	if line := h.out.line(t); !strings.Contains(fmt.Sprint(line["cause"]), "connectionId") || line["requestId"] != "the-id" || line["cold"] != true {
		t.Errorf("%v", line)
	}
}

func TestVisit(t *testing.T) {
	t.Parallel()
	h := hostOf(t, RolePublic, variables{"CULVERT_PUBLIC_URL": "http://localhost:8081/tunnels"})
	h.staff.answer = func(r *event.Request) *event.Answer {
		return &event.Answer{Status: 404, Header: http.Header{"X-A": {"1", "2"}}, Body: []byte("none")}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out, err := h.Invoke(ctx, []byte(http2("PUT", "/tunnels/shop/a", "token=hush")))
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"statusCode":404,"headers":{"X-A":"1, 2"},"isBase64Encoded":false,"body":"none"}`; string(out) != want {
		t.Errorf("%s, want %s", out, want)
	}
	r := h.staff.requests[0]
	if deadline, _ := ctx.Deadline(); r.Target != "/shop/a?token=hush" || r.Proto != "http" || !r.Deadline.Equal(deadline) {
		t.Errorf("%+v", r)
	}
	line := h.out.line(t)
	for name, want := range map[string]any{"level": "INFO", "status": 404.0, "method": "PUT", "tunnel": "shop", "event": "http 2.0", "cold": true} {
		if line[name] != want {
			t.Errorf("%s: %v, want %v", name, line[name], want)
		}
	}
	if _, ok := line["durationMs"].(float64); !ok || strings.Contains(h.out.String(), "hush") {
		t.Errorf("%s", h.out)
	}
	got := metricsOf(t, line, "Culvert", "public")
	if got["Requests"] != 1.0 || got["Status4xx"] != 1.0 || got["BytesIn"] != 3.0 || got["BytesOut"] != 4.0 || len(got) != 4 {
		t.Errorf("metrics %v", got)
	}
	h.out.Reset()
	h.invoke(t, http2("GET", "/", ""))
	if line := h.out.line(t); line["cold"] != nil || line["tunnel"] != nil || h.staff.requests[1].Deadline.IsZero() {
		t.Errorf("%v, %+v", line, h.staff.requests[1])
	}
}

// Of dimensions, there is the function, whatever the request says: a tunnel, a
// connection or a user in there would be paid for by the month.
func TestMetricsHaveOneDimension(t *testing.T) {
	t.Parallel()
	var seen []string
	for i := range 3 {
		h := hostOf(t, RolePublic, nil)
		h.invoke(t, http2("GET", fmt.Sprintf("/tunnel-%d/", i), ""))
		text, err := json.Marshal(h.out.line(t)["_aws"].(map[string]any)["CloudWatchMetrics"])
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, string(text))
	}
	if seen[0] != seen[1] || seen[1] != seen[2] || strings.Contains(seen[0], "tunnel") {
		t.Errorf("%q", seen)
	}
}

func TestHead(t *testing.T) {
	t.Parallel()
	h := hostOf(t, RolePublic, nil)
	h.staff.answer = func(*event.Request) *event.Answer {
		return &event.Answer{Status: 200, Header: http.Header{"Content-Length": {"5"}}, Body: []byte("hello")}
	}
	if a := h.invoke(t, http2("HEAD", "/shop/", "")); a.Body != "" || a.Headers["Content-Length"] != "5" {
		t.Errorf("%+v", a)
	}
	if a := h.invoke(t, http2("GET", "/shop/", "")); a.Body != "hello" || a.Headers["Content-Length"] != "" {
		t.Errorf("%+v", a)
	}
}

// What goes wrong on this side of a request is a 502 that says so, and a line that
// says why.
func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(*event.Request) *event.Answer
		says   string // to the visitor
		logs   string
	}{
		"panic": {func(*event.Request) *event.Answer { panic("out of luck") }, "function's log", "out of luck"},
		"error panic": {func(r *event.Request) *event.Answer {
			var none *event.Answer
			return &event.Answer{Status: none.Status}
		}, "function's log", "nil pointer"},
		"nothing":        {func(*event.Request) *event.Answer { return nil }, "function's log", "there is none"},
		"no status":      {func(*event.Request) *event.Answer { return &event.Answer{} }, "makes no sense", "status 0"},
		"another's 101":  {func(*event.Request) *event.Answer { return &event.Answer{Status: 101} }, "makes no sense", "status 101"},
		"binary too big": {tooBig(0xff), "6 MB", "encoded form"},
		"text too big":   {tooBig('a'), "6 MB", "encoded form"},
	} {
		h := hostOf(t, RolePublic, variables{"CULVERT_LOG_LEVEL": "error"})
		h.staff.answer = c.answer
		a := h.invoke(t, http2("GET", "/shop/", ""))
		if a.StatusCode != 502 || !strings.Contains(a.Body, c.says) || !strings.HasPrefix(a.Headers["Content-Type"], "text/plain") {
			t.Errorf("%s: %+v", name, a)
		}
		line := h.out.line(t)
		if line["level"] != "ERROR" || line["status"] != 502.0 || !strings.Contains(fmt.Sprint(line["cause"]), c.logs) {
			t.Errorf("%s: %v", name, line)
		}
		if strings.Contains(name, "panic") && !strings.Contains(fmt.Sprint(line["stack"]), "host_test.go") {
			t.Errorf("%s: no stack that leads here: %v", name, line["stack"])
		}
		if got := metricsOf(t, line, "Culvert", "public"); got["Status5xx"] != 1.0 {
			t.Errorf("%s: metrics %v", name, got)
		}
		h.staff.answer = nil
		if a := h.invoke(t, http2("GET", "/shop/", "")); a.StatusCode != 200 {
			t.Errorf("%s: the next one gets %+v", name, a)
		}
	}
}

func tooBig(c byte) func(*event.Request) *event.Answer {
	return func(*event.Request) *event.Answer {
		return &event.Answer{Status: 200, Body: bytes.Repeat([]byte{c}, event.MaxPayload)}
	}
}

func TestMessages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handle func(*event.Message) (int, error)
		text   string
		status int
		logs   string // cause in the one line; "": no line at the level info
	}{
		"good":       {nil, wsMessage, 200, ""},
		"refused":    {func(*event.Message) (int, error) { return 401, nil }, wsConnect, 401, "<nil>"},
		"failed":     {func(*event.Message) (int, error) { return 500, errors.New("no table") }, wsMessage, 500, "no table"},
		"no status":  {func(*event.Message) (int, error) { return 0, nil }, wsMessage, 500, ""},
		"panic":      {func(*event.Message) (int, error) { panic("out of luck") }, wsMessage, 500, "out of luck"},
		"it hurried": {func(*event.Message) (int, error) { return 200, errors.New("not stored") }, wsMessage, 200, "not stored"},
	} {
		h := hostOf(t, RoleAgents, nil)
		h.staff.handle = c.handle
		a := h.invoke(t, c.text)
		if a.StatusCode != c.status || a.Body != "" || h.staff.calls() != 1 {
			t.Errorf("%s: %+v, %d calls", name, a, h.staff.calls())
		}
		lines := h.out.lines(t)
		if c.logs == "" && c.status < 500 && len(lines) != 0 || c.logs != "" && (len(lines) != 1 || !strings.Contains(fmt.Sprint(lines[0]["cause"]), c.logs)) {
			t.Errorf("%s:\n%s", name, h.out)
		}
		if c.status >= 500 && metricsOf(t, lines[0], "Culvert", "agents")["Status5xx"] != 1.0 {
			t.Errorf("%s:\n%s", name, h.out)
		}
		if strings.Contains(h.out.String(), "hush") {
			t.Errorf("%s: a secret in the log:\n%s", name, h.out)
		}
	}
}

// What a client asked by a route with a RouteResponse, it is answered by what the
// function returns, an error too.
func TestMessagesWithAnAnswer(t *testing.T) {
	t.Parallel()
	const text = `{"action":"ping","status":"error","error":{"code":"timeout","message":"<late>"}}`
	for status, err := range map[int]error{200: nil, 202: errors.New("no table")} {
		h := hostOf(t, RoleAgents, nil)
		h.staff.body = []byte(text)
		h.staff.handle = func(*event.Message) (int, error) { return status, err }
		if a := h.invoke(t, strings.Replace(wsMessage, `"$default"`, `"ping"`, 1)); a.StatusCode != status || a.Body != text {
			t.Errorf("%+v", a)
		}
		if m := h.staff.messages[0]; m.Route != "ping" {
			t.Errorf("route %q", m.Route)
		}
		if got := h.out.String(); err != nil && !strings.Contains(got, "no table") {
			t.Errorf("not logged: %s", got)
		}
	}
}

// The agents' function answers for the waiters' API if it is told to, and only then.
func TestWhoami(t *testing.T) {
	t.Parallel()
	const asked = `{"requestContext":{"routeKey":"whoami","eventType":%q,"connectionId":"W1=","apiId":%q},"body":%q}`
	for _, c := range []struct {
		apiID, eventType, body string
		status                 int
		answer                 string
		passedOn               bool
	}{
		{"waiters", "MESSAGE", `{"action":"whoami"}`, 200, `{"connectionId":"W1="}`, false},
		{"waiters", "MESSAGE", `{"action":"echo"}`, 400, "", false},
		{"waiters", "MESSAGE", `whoami`, 400, "", false},
		{"waiters", "CONNECT", ``, 200, "", false},
		{"waiters", "DISCONNECT", ``, 200, "", false},
		{"agents", "MESSAGE", `{"action":"whoami"}`, 200, "", true},
	} {
		h := hostOf(t, RoleAgents, variables{"CULVERT_WAITERS_API_ID": "waiters"})
		a := h.invoke(t, fmt.Sprintf(asked, c.eventType, c.apiID, c.body))
		if a.StatusCode != c.status || a.Body != c.answer || (h.staff.calls() == 1) != c.passedOn {
			t.Errorf("%+v: %+v, %d calls", c, a, h.staff.calls())
		}
	}
	h := hostOf(t, RoleAgents, nil)
	if h.invoke(t, fmt.Sprintf(asked, "MESSAGE", "", `{"action":"whoami"}`)); h.staff.calls() != 1 {
		t.Error("answered without having been told to")
	}
}

func TestNewWantsSomebodyToServe(t *testing.T) {
	t.Parallel()
	for _, role := range []Role{RoleAgents, RolePublic, RoleStream, RoleKeys, RoleProcessor, RoleNotices} {
		log := slog.New(slog.DiscardHandler)
		if _, err := New(Options{Config: configOf(t, role, nil), Output: &output{}, Log: log, Metrics: NewMetrics("C", "f", log)}); err == nil {
			t.Errorf("%s: nobody serves it", role)
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("nothing is enough")
	}
}
