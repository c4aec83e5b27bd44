package wsapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/time/rate"

	"culvert/backend/awslocal/runtime"
)

func TestRouteSelection(t *testing.T) {
	t.Parallel()
	route := Route{Mock: &Mock{}}
	for _, test := range []struct{ expression, text, want string }{
		{"$request.body.action", `{"action":"whoami"}`, "whoami"},
		{"${request.body.action}", `{"action":"whoami"}`, "whoami"},
		{"$request.body.action", `{"action":"other"}`, "$default"},
		{"$request.body.action", `{"type":"whoami"}`, "$default"},
		{"$request.body.action", `{"action":7}`, "7"},
		{"$request.body.action", `{"action":null}`, "$default"},
		{"$request.body.action", `{"action":{"whoami":1}}`, "$default"},
		{"$request.body.action", `{"action":"$connect"}`, "$default"},
		{"$request.body.action", `{"action":"$disconnect"}`, "$default"},
		{"$request.body.action", `["whoami"]`, "$default"},
		{"$request.body.action", `"whoami"`, "$default"},
		{"$request.body.action", `whoami`, "$default"},
		{"$request.body.action", ``, "$default"},
		{"$request.body.a.b", `{"a":{"b":"whoami"}}`, "whoami"},
		{"$request.body.a.b", `{"a":"whoami"}`, "$default"},
	} {
		api, err := New(Config{ID: apiID, Stage: stage, RouteSelection: test.expression, Routes: map[string]Route{
			"$connect": route, "$disconnect": route, "$default": route, "whoami": route, "7": route,
		}})
		if err != nil {
			t.Fatal(err)
		}
		if got, _, _ := api.routeOf([]byte(test.text)); got != test.want {
			t.Errorf("%s of %s is %s, want %s", test.expression, test.text, got, test.want)
		}
		api.Close()
	}
}

// injectedFrame is one that the gateway itself sends.
type injectedFrame struct {
	Message      string `json:"message"`
	ConnectionID string `json:"connectionId"`
	RequestID    string `json:"requestId"`
}

func parseInjected(t *testing.T, text string) injectedFrame {
	t.Helper()
	var got injectedFrame
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return got
}

// A message whose integration fails is lost, and the gateway tells its client in words of its own.
func TestInjectedFrames(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change  func(*Config)
		answer  func(ctx context.Context, i invocation) (string, error)
		want    string
		invoked bool
	}{
		"failed":        {nil, answers("unhandled", nil), "Internal server error", true},
		"timeout":       {nil, answers("unhandled", runtime.ErrTimeout), "Internal server error", true},
		"malformed":     {nil, answers("null", nil), "Internal server error", true},
		"throttled":     {nil, answers("", runtime.ErrThrottled), "Internal server error", true},
		"unreachable":   {nil, answers("", errors.New("x")), "Internal server error", true},
		"over 29 s":     {func(c *Config) { c.Limits.Integration = time.Millisecond }, untilClosed, "Endpoint request timed out", true},
		"no permission": {func(c *Config) { c.Routes["$default"].Lambda.Permissions = nil }, nil, "Internal server error", false},
		"no route":      {func(c *Config) { delete(c.Routes, "$default") }, nil, "Forbidden", false},
		"stage's rate":  {func(c *Config) { c.StageThrottle = rate.NewLimiter(0, 1) }, nil, "Too Many Requests", false},
		"account's":     {func(c *Config) { c.AccountThrottle = rate.NewLimiter(0, 1) }, nil, "Too Many Requests", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := start(t, func(c *Config) {
				if d := c.Routes["$default"]; d.Lambda != nil { // one of its own
					l := *d.Lambda
					c.Routes["$default"] = Route{Lambda: &l}
				}
				c.Routes["$connect"] = Route{Mock: &Mock{Request: `{"statusCode":200}`}}
				if test.change != nil {
					test.change(c)
				}
			})
			x.f.answers(test.answer)
			ws, _, err := x.tryDial("/live", nil)
			if err != nil {
				t.Fatal(err)
			}
			send(t, ws, `{"a":1}`)
			id := x.Connections()[0].ID
			var request string
			if test.invoked {
				request = x.next("MESSAGE").RequestContext.RequestID
			}
			got := parseInjected(t, read(t, ws))
			if got.RequestID == "" || request != "" && got.RequestID != request {
				t.Errorf("request %q, want %q", got.RequestID, request)
			}
			got.RequestID = ""
			if diff := cmp.Diff(injectedFrame{test.want, id, ""}, got); diff != "" {
				t.Error(diff)
			}
			// The connection lives on, and nobody tries the message again.
			x.mustBeOpen(id)
			x.noInvocation()
		})
	}
}

func answers(text string, err error) func(context.Context, invocation) (string, error) {
	return func(context.Context, invocation) (string, error) { return text, err }
}

func untilClosed(ctx context.Context, _ invocation) (string, error) {
	<-ctx.Done()
	return "", ctx.Err()
}

func TestTooManyMessagesUnderWay(t *testing.T) {
	t.Parallel()
	x := start(t, func(c *Config) { c.Limits.InFlight = 1 })
	release := make(chan struct{})
	ws, _ := x.dial()
	x.f.answers(func(context.Context, invocation) (string, error) {
		<-release
		return `{"statusCode":200}`, nil
	})
	send(t, ws, "one")
	x.next("MESSAGE")
	send(t, ws, "two")
	if got := parseInjected(t, read(t, ws)); got.Message != "Too Many Requests" {
		t.Errorf("told %q", got.Message)
	}
	close(release)
	x.noInvocation()
}

// Only a route with a response sends the function's answer to the client.
func TestRouteResponse(t *testing.T) {
	t.Parallel()
	x := start(t, func(c *Config) {
		l := c.Routes["$default"].Lambda
		c.Routes["ask"] = Route{Lambda: l, RouteResponse: true}
		c.Routes["tell"] = Route{Lambda: l}
	})
	ws, _ := x.dial()
	for i, test := range []struct{ text, answer, want string }{
		{`{"action":"ask"}`, `{"statusCode":200,"body":"the answer"}`, "the answer"},
		{`{"action":"ask"}`, `{"statusCode":200,"body":"YmFzZTY0","isBase64Encoded":true}`, "base64"},
		{`{"action":"ask"}`, `{"statusCode":500,"body":"an error"}`, "an error"},
		{`{"action":"ask"}`, `{"statusCode":200}`, ""},
		{`{"action":"tell"}`, `{"statusCode":200,"body":"dropped"}`, ""},
		{`{"action":"unknown"}`, `{"statusCode":200,"body":"dropped"}`, ""},
		{`{"action":"ask"}`, `{"statusCode":200,"body":"` + strings.Repeat("x", 128<<10) + `"}`, strings.Repeat("x", 128<<10)},
		{`{"action":"ask"}`, `{"statusCode":200,"body":"` + strings.Repeat("x", 128<<10+1) + `"}`, "Internal server error"},
	} {
		x.f.always(test.answer, nil)
		send(t, ws, test.text)
		id := x.next("MESSAGE").id()
		if test.want == "" {
			// Nothing is sent before what comes next. The function's answer has
			// gone its way when the integration has been counted.
			x.awaitUsage(Integrated, i+2)
			x.mustPost(id, "next")
			test.want = "next"
		}
		if got := read(t, ws); got != test.want && !strings.Contains(got, `"message": "`+test.want) {
			t.Errorf("%s answered %.60q: the client got %.60q", test.text, test.answer, got)
		}
	}
}

// awaitUsage waits until there have been n of a kind.
func (x *fixture) awaitUsage(kind UsageKind, n int) []Usage {
	x.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		some := x.used.of(kind)
		if len(some) >= n {
			return some
		}
		if time.Now().After(deadline) {
			x.t.Fatalf("%d of %s, want %d", len(some), kind, n)
		}
		time.Sleep(time.Millisecond) // polls; nothing depends on how long
	}
}

func TestMock(t *testing.T) {
	t.Parallel()
	x := start(t, func(c *Config) {
		c.Routes = map[string]Route{
			"$connect": {Mock: &Mock{Request: `{"statusCode":200}`, Response: "dropped"}},
			"whoami":   {Mock: &Mock{Request: `{"statusCode": 200}`, Response: `{"connectionId":"$context.connectionId","stage":"${context.stage}"}`}, RouteResponse: true},
			"silent":   {Mock: &Mock{Request: `{"statusCode":200}`, Response: "dropped"}},
			"broken":   {Mock: &Mock{Request: `{}`, Response: "x"}, RouteResponse: true},
		}
	})
	ws, _, err := x.tryDial("/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	id := x.Connections()[0].ID
	send(t, ws, `{"action":"whoami"}`)
	if got, want := read(t, ws), fmt.Sprintf(`{"connectionId":"%s","stage":"live"}`, id); got != want {
		t.Errorf("whoami answered %s, want %s", got, want)
	}
	send(t, ws, `{"action":"silent"}`)
	x.awaitUsage(Integrated, 3)
	send(t, ws, `{"action":"broken"}`)
	if got := parseInjected(t, read(t, ws)); got.Message != "Internal server error" {
		t.Errorf("told %q", got.Message)
	}
	send(t, ws, `{"action":"unknown"}`)
	if got := parseInjected(t, read(t, ws)); got.Message != "Forbidden" {
		t.Errorf("told %q", got.Message)
	}
}

func TestMockRefusesToConnect(t *testing.T) {
	t.Parallel()
	x := start(t, func(c *Config) { c.Routes["$connect"] = Route{Mock: &Mock{Request: `{"statusCode":500}`}} })
	if _, resp, err := x.tryDial("/live", nil); resp == nil || resp.StatusCode != 500 {
		t.Errorf("handshake answered %v, %v, want 500", resp, err)
	}
}

func TestDisconnectCodes(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	// A client without a goodbye.
	ws, i := x.dial()
	ws.Close()
	if got := x.next("DISCONNECT"); got.RequestContext.DisconnectStatusCode != 1006 || got.id() != i.id() {
		t.Errorf("$disconnect %+v, want 1006", got.RequestContext)
	}
	// A goodbye without a code.
	p := x.rawDial()
	x.next("CONNECT")
	p.frame(true, opClose, nil)
	if got := p.closeCode(); got != closeNoStatus {
		t.Errorf("answered with %d", got)
	}
	if got := x.next("DISCONNECT"); got.RequestContext.DisconnectStatusCode != 1005 {
		t.Errorf("$disconnect %+v, want 1005", got.RequestContext)
	}
	// A connection that was cut here.
	ws, i = x.dial()
	if !x.Kill(i.id()) || x.Kill("unknown") {
		t.Error("Kill tells wrongly whether there was something to kill")
	}
	if code, _ := closed(t, ws); code != -1 {
		t.Errorf("a killed connection was closed with %d", code)
	}
	if got := x.next("DISCONNECT"); got.RequestContext.DisconnectStatusCode != 1006 {
		t.Errorf("$disconnect %+v, want 1006", got.RequestContext)
	}
}
