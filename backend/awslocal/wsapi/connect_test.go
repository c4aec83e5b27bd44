package wsapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
	"golang.org/x/time/rate"

	"culvert/backend/awslocal/chaos"
	"culvert/backend/awslocal/runtime"
)

// The client waits for its upgrade while $connect runs; until then the connection
// does not exist for posts.
func TestUpgradeIsHeldDuringConnect(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	posted := make(chan error, 1)
	release := make(chan struct{})
	x.f.answers(func(_ context.Context, i invocation) (string, error) {
		posted <- x.post(i.id(), "too early")
		<-release
		return `{"statusCode":200}`, nil
	})
	dialled := make(chan *websocket.Conn)
	go func() {
		ws, _, err := x.tryDial("/"+stage, nil)
		if err != nil {
			t.Error(err)
		}
		dialled <- ws
	}()
	id := x.next("CONNECT").id()
	wantKind(t, <-posted, "GoneException", 410)
	if all := x.Connections(); len(all) != 1 || all[0].Open {
		t.Errorf("connections %+v, want one that is not open", all)
	}
	select {
	case <-dialled:
		t.Fatal("the upgrade was answered before $connect")
	default:
	}
	close(release)
	ws := <-dialled
	x.mustPost(id, "now")
	if got := read(t, ws); got != "now" {
		t.Errorf("the client got %q", got)
	}
}

func TestConnectAnswers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		answer string
		err    error
		status int // of the handshake
	}{
		"ok":               {`{"statusCode":200,"body":"dropped"}`, nil, 101},
		"another 2xx":      {`{"statusCode":204}`, nil, 101},
		"unauthorized":     {`{"statusCode":401,"body":"secret reason"}`, nil, 401},
		"forbidden":        {`{"statusCode":403,"body":"secret reason"}`, nil, 403},
		"redirect":         {`{"statusCode":302,"headers":{"Location":"http://x/"},"body":"secret reason"}`, nil, 302},
		"unavailable":      {`{"statusCode":503,"body":"secret reason"}`, nil, 503},
		"no status":        {`{"body":"secret reason"}`, nil, 502},
		"no object":        {`"secret reason"`, nil, 502},
		"nothing":          {`null`, nil, 502},
		"status as text":   {`{"statusCode":"200"}`, nil, 502},
		"status too small": {`{"statusCode":42}`, nil, 502},
		"informational":    {`{"statusCode":101}`, nil, 502},
		"bad base64":       {`{"statusCode":200,"body":"%","isBase64Encoded":true}`, nil, 502},
		"function failed":  {"unhandled", nil, 502},
		"function timeout": {"unhandled", runtime.ErrTimeout, 502},
		"throttled":        {"", runtime.ErrThrottled, 500},
		"not there":        {"", errors.New("secret reason"), 502},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := start(t, nil)
			x.f.always(test.answer, test.err)
			ws, resp, err := x.tryDial("/"+stage, nil)
			if resp == nil {
				t.Fatal(err)
			}
			if resp.StatusCode != test.status {
				t.Errorf("handshake answered %d, want %d", resp.StatusCode, test.status)
			}
			id := x.next("CONNECT").id()
			if test.status != 101 {
				body, _ := io.ReadAll(resp.Body)
				if strings.Contains(string(body), "secret reason") || !strings.Contains(string(body), id) || resp.Header.Get("Location") != "" {
					t.Errorf("the client was told %s %v", body, resp.Header)
				}
				if all := x.Connections(); len(all) != 0 {
					t.Errorf("connections are left: %+v", all)
				}
				wantKind(t, x.post(id, "x"), "GoneException", 410)
				x.Close()
				x.noInvocation() // no $disconnect of a connection that never was
				return
			}
			// The first thing the client gets is what was posted, not $connect's body.
			x.mustPost(id, "posted")
			if got := read(t, ws); got != "posted" {
				t.Errorf("the client got %q", got)
			}
		})
	}
}

func TestConnectTimesOut(t *testing.T) {
	t.Parallel()
	x := start(t, func(c *Config) { c.Limits.Integration = time.Millisecond })
	x.f.answers(func(ctx context.Context, _ invocation) (string, error) {
		<-ctx.Done() // runs on until the API is closed
		return "", ctx.Err()
	})
	_, resp, err := x.tryDial("/"+stage, nil)
	if resp == nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 504 {
		t.Errorf("handshake answered %d, want 504", resp.StatusCode)
	}
}

// A function's permission whose SourceArn leaves the stage out gives 500, and the
// function is never invoked: nothing is in its log.
func TestPermissionWithoutStage(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		permissions []Permission
		status      int
	}{
		"any stage and route": {anyStage, 101},
		"route without stage": {[]Permission{{"lambda:InvokeFunction", "apigateway.amazonaws.com", ExecuteARN(region, account, apiID, "$connect")}}, 500},
		"any, without stage":  {[]Permission{{"lambda:InvokeFunction", "apigateway.amazonaws.com", ExecuteARN(region, account, apiID, "*")}}, 101},
		"this stage, a route": {[]Permission{{"lambda:InvokeFunction", "apigateway.amazonaws.com", ExecuteARN(region, account, apiID, stage+"/$connect")}}, 101},
		"another API":         {[]Permission{{"lambda:InvokeFunction", "apigateway.amazonaws.com", ExecuteARN(region, account, "other", "*/*")}}, 500},
		"another account":     {[]Permission{{"lambda:InvokeFunction", "apigateway.amazonaws.com", ExecuteARN(region, "1", apiID, "*/*")}}, 500},
		"another principal":   {[]Permission{{"lambda:InvokeFunction", "sqs.amazonaws.com", ""}}, 500},
		"another action":      {[]Permission{{"lambda:GetFunction", "apigateway.amazonaws.com", ""}}, 500},
		"no source":           {[]Permission{{"lambda:InvokeFunction", "apigateway.amazonaws.com", ""}}, 101},
		"none":                {nil, 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := start(t, func(c *Config) {
				c.Routes["$connect"].Lambda.Permissions = test.permissions
			})
			_, resp, err := x.tryDial("/"+stage, nil)
			if resp == nil {
				t.Fatal(err)
			}
			if resp.StatusCode != test.status {
				t.Errorf("handshake answered %d, want %d", resp.StatusCode, test.status)
			}
			if test.status == 500 {
				x.noInvocation()
			}
		})
	}
}

func TestSubprotocol(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ answer, want string }{
		"answered":           {`{"statusCode":200,"headers":{"Sec-WebSocket-Protocol":"b","X-Other":"x"}}`, "b"},
		"another case":       {`{"statusCode":200,"headers":{"sec-websocket-protocol":"b"}}`, "b"},
		"in the multi map":   {`{"statusCode":200,"multiValueHeaders":{"Sec-WebSocket-Protocol":["b"]}}`, "b"},
		"not answered":       {`{"statusCode":200}`, ""},
		"no value of fields": {`{"statusCode":200,"headers":{"Sec-WebSocket-Protocol":"b\r\nX: y"}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := start(t, nil)
			x.f.always(test.answer, nil)
			_, resp, err := x.tryDial("/"+stage, http.Header{"Sec-Websocket-Protocol": {"a, b"}})
			if err != nil {
				t.Fatal(err)
			}
			if got := resp.Header.Get("Sec-Websocket-Protocol"); got != test.want {
				t.Errorf("subprotocol %q, want %q", got, test.want)
			}
			if resp.Header.Get("X-Other") != "" {
				t.Error("another field of $connect's answer reached the client")
			}
			i := x.next("CONNECT")
			if got := header(i, "Sec-WebSocket-Protocol"); got != "a, b" {
				t.Errorf("$connect saw the offer %q", got)
			}
		})
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	strict := start(t, func(c *Config) { c.RequireStage = true })
	for _, test := range []struct {
		x      *fixture
		path   string
		status int
	}{
		{x, "/", 101}, {x, "", 101}, {x, "/live", 101}, {x, "/live/", 101}, {x, "/live?a=b", 101},
		{x, "/other", 403}, {x, "/live/deeper", 403}, {x, "/livelier", 403},
		{strict, "/live", 101}, {strict, "/", 403}, {strict, "/other", 403},
	} {
		_, resp, err := test.x.tryDial(test.path, nil)
		if resp == nil {
			t.Fatal(err)
		}
		if resp.StatusCode != test.status {
			t.Errorf("%q (stage required: %v) answered %d, want %d", test.path, test.x == strict, resp.StatusCode, test.status)
		}
	}
	_, i := strict.f.invoked, <-strict.f.invoked
	if got := strict.call("POST", "/@connections/"+escapedID(i.id()), "x", lookingSigned); got.StatusCode != 403 {
		t.Errorf("@connections without the stage answered %s, want 403", got.Status)
	}
	if got := strict.call("POST", "/live/@connections/"+escapedID(i.id()), "x", lookingSigned); got.StatusCode != 200 {
		t.Errorf("@connections with the stage answered %s, want 200", got.Status)
	}
}

func TestNoHandshake(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	upgrade := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}}
	with := func(name, value string) http.Header {
		h := upgrade.Clone()
		h.Set(name, value)
		return h
	}
	for name, test := range map[string]struct {
		header http.Header
		status int
	}{
		"plain GET":  {http.Header{}, 426},
		"no upgrade": {with("Upgrade", "h2c"), 426},
		"version":    {with("Sec-Websocket-Version", "8"), 400},
		"key":        {with("Sec-Websocket-Key", "short"), 400},
		"large":      {with("X-Large", strings.Repeat("x", 10240)), 431},
	} {
		if got := x.call("GET", "/live", "", test.header); got.StatusCode != test.status {
			t.Errorf("%s answered %s, want %d", name, got.Status, test.status)
		}
	}
	x.noInvocation()
}

func TestHandshakesAreThrottled(t *testing.T) {
	t.Parallel()
	empty := rate.NewLimiter(0, 0)
	for name, change := range map[string]func(*Config){
		"stage":       func(c *Config) { c.StageThrottle = empty },
		"route":       func(c *Config) { throttleConnect(c, empty) },
		"account":     func(c *Config) { c.AccountThrottle = empty },
		"refused":     func(c *Config) { c.Chaos.Force(chaos.DialRefused, 1) },
		"connections": func(c *Config) { c.Limits.Connections = 1 },
		"per second":  func(c *Config) { c.Limits.Connects = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := start(t, change)
			status := 0
			for range 3 { // tokens may come back in between
				if _, resp, err := x.tryDial("/live", nil); resp == nil {
					t.Fatal(err)
				} else if status = max(status, resp.StatusCode); name == "refused" {
					break
				}
			}
			if status != 429 {
				t.Errorf("handshake answered %d, want 429", status)
			}
		})
	}
}

func throttleConnect(c *Config, l Limiter) {
	r := c.Routes[routeConnect]
	r.Throttle = l
	c.Routes[routeConnect] = r
}

// A route's throttle stands in the place of the stage's: whoever uses up the one
// leaves the other.
func TestRouteHasItsOwnThrottle(t *testing.T) {
	t.Parallel()
	x := start(t, func(c *Config) {
		c.StageThrottle = rate.NewLimiter(0, 1)
		throttleConnect(c, rate.NewLimiter(0, 2))
	})
	ws, _ := x.dial()
	x.dial()
	if _, resp, _ := x.tryDial("/live", nil); resp == nil || resp.StatusCode != 429 {
		t.Errorf("the third handshake: %v", resp)
	}
	if err := ws.WriteMessage(websocket.TextMessage, []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	x.next("MESSAGE")
}

// A client may be gone when $connect has let it in.
func TestClientLeavesDuringConnect(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	release := make(chan struct{})
	x.f.answers(func(_ context.Context, i invocation) (string, error) {
		if i.RequestContext.EventType == "CONNECT" {
			<-release
		}
		return `{"statusCode":200}`, nil
	})
	conn, err := net.Dial("tcp", x.host)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, handshakeFormat, stage, x.host)
	id := x.next("CONNECT").id()
	conn.Close()
	close(release)
	if got := x.next("DISCONNECT"); got.id() != id {
		t.Errorf("$disconnect of %s, want %s", got.id(), id)
	}
}

func TestKilledDuringConnect(t *testing.T) {
	t.Parallel()
	x := start(t, nil)
	x.f.answers(func(_ context.Context, i invocation) (string, error) {
		if i.RequestContext.EventType == "CONNECT" && !x.Kill(i.id()) {
			t.Error("there was nothing to kill")
		}
		return `{"statusCode":200}`, nil
	})
	if _, _, err := x.tryDial("/live", nil); err == nil {
		t.Error("the handshake of a killed connection went through")
	}
	x.next("CONNECT")
	x.next("DISCONNECT")
}

func TestConfigIsValidated(t *testing.T) {
	t.Parallel()
	ok := func() Config {
		return Config{ID: apiID, Stage: stage, RouteSelection: "$request.body.type", Routes: map[string]Route{
			"$default": {Lambda: &Lambda{Function: &function{}}},
		}}
	}
	for name, test := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"fine":                {func(*Config) {}, ""},
		"braces":              {func(c *Config) { c.RouteSelection = "${request.body.a.b}" }, ""},
		"default stage":       {func(c *Config) { c.Stage = "$default" }, "no $default stage"},
		"no ID":               {func(c *Config) { c.ID = "" }, "ID"},
		"selection":           {func(c *Config) { c.RouteSelection = "$request.header.x" }, "$request.body.NAME"},
		"no integration":      {func(c *Config) { c.Routes["x"] = Route{} }, "route x: a route has one integration"},
		"two integrations":    {func(c *Config) { c.Routes["x"] = Route{Lambda: &Lambda{}, Mock: &Mock{}} }, "one integration"},
		"no function":         {func(c *Config) { c.Routes["x"] = Route{Lambda: &Lambda{}} }, "no function"},
		"IAM on messages":     {func(c *Config) { c.Routes["x"] = Route{Mock: &Mock{}, IAM: true} }, "only $connect"},
		"IAM without secrets": {func(c *Config) { c.Routes["$connect"] = Route{Mock: &Mock{}, IAM: true} }, "Principals"},
		"answer to nobody":    {func(c *Config) { c.Routes["$disconnect"] = Route{Mock: &Mock{}, RouteResponse: true} }, "nobody"},
		"unknown variable":    {func(c *Config) { c.Routes["x"] = Route{Mock: &Mock{Response: "$input.body"}} }, "$input.body"},
		"directive":           {func(c *Config) { c.Routes["x"] = Route{Mock: &Mock{Request: "#if(true) {} #end"}} }, "directives"},
		"negative limit":      {func(c *Config) { c.Limits.Frame = -1 }, "negative"},
		"authorizer alone":    {func(c *Config) { c.Authorizer = &Authorizer{ID: "z", Lambda: Lambda{Function: &function{}}} }, "$connect"},
		"authorizer's source": {func(c *Config) {
			c.Authorizer = &Authorizer{ID: "z", Lambda: Lambda{Function: &function{}}, IdentitySources: []string{"header"}}
		}, "identity source"},
		"authorizer without": {func(c *Config) { c.Authorizer = &Authorizer{} }, "authorizer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := ok()
			test.change(&c)
			api, err := New(c)
			switch {
			case err == nil && test.want == "":
				api.Close()
			case err == nil || test.want == "" || !strings.Contains(err.Error(), test.want):
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestARNLike(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:execute-api:us-east-1:1234:api/live/$connect"
	got := map[string]bool{}
	want := map[string]bool{
		arn: true,
		"arn:aws:execute-api:us-east-1:1234:api/*/*":             true,
		"arn:aws:execute-api:us-east-1:1234:api/*":               true,
		"arn:aws:execute-api:us-east-1:1234:api/l?ve/$*":         true,
		"arn:aws:execute-api:*:*:*":                              true,
		"arn:aws:execute-api:us-east-1:1234:api/*/*/*":           false,
		"arn:aws:execute-api:us-east-1:1234:api/*/$disconnect":   false,
		"arn:aws:execute-api:us-east-1:1234:api/$connect":        false,
		"arn:aws:execute-api:us-east-1:1234:api/live/$connect/?": false,
		"arn:aws:execute-api:*":                                  false, // parts are compared each by itself
		"*":                                                      false,
		"":                                                       false,
	}
	for pattern := range want {
		got[pattern] = arnLike(pattern, arn)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
