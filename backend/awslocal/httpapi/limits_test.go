package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"culvert/backend/awslocal/runtime"
)

func TestFailuresOfTheFunction(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		f      *function
		status int
		body   string
	}{
		{"function error", &function{result: runtime.Result{FunctionError: "Unhandled", Payload: []byte(`{"errorMessage":"secret"}`)}}, 500, "Internal Server Error"},
		{"function timeout", &function{result: runtime.Result{FunctionError: "Unhandled"}, err: runtime.ErrTimeout}, 500, "Internal Server Error"},
		{"no concurrency", &function{err: runtime.ErrThrottled}, 503, "Service Unavailable"},
		{"stopped", &function{err: runtime.ErrStopped}, 503, "Service Unavailable"},
		{"over 6 MB as JSON", &function{err: runtime.ErrTooLarge}, 413, "Request Entity Too Large"},
		{"any other", &function{err: errors.New("broken")}, 503, "Service Unavailable"},
	} {
		var logged Access
		a := newAPI(t, Config{Function: tt.f, Log: func(line Access) { logged = line }})
		w := ask(a, "GET", "/", "")
		if want := `{"message":"` + tt.body + `"}`; w.Code != tt.status || w.Body.String() != want {
			t.Errorf("%s: %d %s", tt.name, w.Code, w.Body)
		}
		if logged.IntegrationError == "" || logged.Status != tt.status || logged.Method != "GET" || logged.SourceIP != "192.0.2.1" ||
			logged.ResponseLength != int64(w.Body.Len()) || logged.RequestID != w.Header().Get("Apigw-Requestid") {
			t.Errorf("%s: logged %+v", tt.name, logged)
		}
	}
}

func TestQuotas(t *testing.T) {
	t.Parallel()
	f := answering(`{"statusCode":200}`)
	a := newAPI(t, Config{Function: f})
	addr := serve(t, a.Server())
	const frame = "GET / HTTP/1.1\r\nHost: a\r\nX-A: \r\n"
	for _, tt := range []struct {
		size   int
		status int
	}{{MaxHeaders, 200}, {MaxHeaders + 1, 431}, {60 << 10, 431}} {
		value := strings.Repeat("x", tt.size-len(frame))
		resp, body := exchange(t, addr, "GET", "GET / HTTP/1.1\r\nHost: a\r\nX-A: "+value+"\r\n\r\n")
		if resp.StatusCode != tt.status || tt.status == 431 && body != `{"message":"Request Header Fields Too Large"}` {
			t.Errorf("%d bytes of headers: %d %s", tt.size, resp.StatusCode, body)
		}
	}
	f.calls = 0
	if w := ask(a, "POST", "/", strings.Repeat("x", MaxBody+1)); w.Code != 413 || w.Body.String() != `{"message":"Request Entity Too Large"}` {
		t.Errorf("over 10 MB: %d %s", w.Code, w.Body)
	}
	if f.calls > 0 {
		t.Error("the function was invoked for a body that is too large")
	}
	if w := ask(a, "POST", "/", strings.Repeat("x", MaxBody)); w.Code != 200 {
		t.Errorf("10 MB: %d %s", w.Code, w.Body)
	}
}

func TestLambdasOwnLimits(t *testing.T) {
	t.Parallel()
	size := 0
	f, err := runtime.InProcess(runtime.Config{Name: "f"}, func(context.Context, map[string]string) (runtime.Handler, error) {
		return runtime.Bytes(func(context.Context, []byte) ([]byte, error) {
			return []byte(`{"statusCode":200,"body":"` + strings.Repeat("x", size) + `"}`), nil
		}), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Stop)
	a := newAPI(t, Config{Function: f})
	if w := ask(a, "POST", "/", strings.Repeat("x", 4_720_000)); w.Code != 413 {
		t.Errorf("4.72 MB of binary: %d", w.Code)
	}
	if w := ask(a, "POST", "/", strings.Repeat("x", 4_700_000)); w.Code != 200 {
		t.Errorf("4.7 MB of binary: %d", w.Code)
	}
	size = 6<<20 + 100
	if w := ask(a, "GET", "/", ""); w.Code != 500 {
		t.Errorf("over 6 MB answer: %d", w.Code)
	}
}

// sleeper is a function that takes its time.
type sleeper time.Duration

func (s sleeper) Invoke(ctx context.Context, _ []byte) (runtime.Result, error) {
	select {
	case <-time.After(time.Duration(s)):
		return runtime.Result{Payload: []byte(`{"statusCode":200}`)}, nil
	case <-ctx.Done():
		return runtime.Result{}, ctx.Err()
	}
}

func TestIntegrationTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			takes  time.Duration
			status int
		}{{29900 * time.Millisecond, 200}, {31 * time.Second, 503}} {
			began := time.Now()
			w := ask(newAPI(t, Config{Function: sleeper(tt.takes)}), "GET", "/", "")
			if w.Code != tt.status || time.Since(began) > MaxTime {
				t.Errorf("a function that takes %v: %d after %v", tt.takes, w.Code, time.Since(began))
			}
			if w.Code == 503 && w.Body.String() != `{"message":"Service Unavailable"}` {
				t.Errorf("said %s", w.Body)
			}
		}
	})
}

func TestThrottles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := answering(`{"statusCode":200}`)
		account := rate.NewLimiter(1, 10)
		a := newAPI(t, Config{Function: f, Rate: 2, Burst: 3, Account: account})
		statuses := func(n int) (ok int) {
			for range n {
				switch w := ask(a, "GET", "/", ""); {
				case w.Code == 200:
					ok++
				case w.Code != 429 || w.Body.String() != `{"message":"Too Many Requests"}`:
					t.Errorf("%d %s", w.Code, w.Body)
				}
			}
			return ok
		}
		if n := statuses(5); n != 3 || f.calls != 3 {
			t.Errorf("a burst of 3 lets %d through, %d to the function", n, f.calls)
		}
		time.Sleep(time.Second)
		if n := statuses(5); n != 2 {
			t.Errorf("2 per second let %d through", n)
		}
		account.SetBurst(0)
		time.Sleep(time.Minute)
		if n := statuses(1); n != 0 {
			t.Error("more than the account's throttle allows")
		}
	})
}

// TestPermissionNeedsTheStage is the seed's first fault: a SourceArn without the stage
// lets nothing through, and nothing says why.
func TestPermissionNeedsTheStage(t *testing.T) {
	t.Parallel()
	const api = "arn:aws:execute-api:us-east-1:123456789012:a1b2c3d4e5"
	for _, tt := range []struct {
		pattern, route string
		ok             bool
	}{
		{"", "", true},
		{api + "/*/*", "", true},
		{api + "/$default/*", "", true},
		{api + "/*", "", true},
		{api + "/*/$default", "", true},
		{api + "/*/*/{proxy+}", "ANY /{proxy+}", true},
		{api + "/$default/GET/{proxy+}", "ANY /{proxy+}", true},
		{api + "/$default", "", false},
		{api + "/{proxy+}", "ANY /{proxy+}", false},
		{api + "/prod/*", "", false},
		{api, "", false},
		{"arn:aws:execute-api:us-east-1:999999999999:a1b2c3d4e5/*/*", "", false},
		{"arn:aws:execute-api:*:*:other/*/*", "", false},
		{"arn:aws:execute-api:*:*:a?b2c3d4e5/*/*", "", true},
	} {
		f := answering(`{"statusCode":200}`)
		w := ask(newAPI(t, Config{Function: f, SourceARN: tt.pattern, RouteKey: tt.route}), "GET", "/", "")
		if ok := w.Code == 200; ok != tt.ok {
			t.Errorf("%q on route %q: %d", tt.pattern, tt.route, w.Code)
		}
		if !tt.ok && (f.calls > 0 || w.Body.String() != `{"message":"Internal Server Error"}`) {
			t.Errorf("%q: %d calls, %s", tt.pattern, f.calls, w.Body)
		}
	}
}

func TestHostsAndStages(t *testing.T) {
	t.Parallel()
	domains := []Domain{{Name: "*.Tunnel.example.com"}, {Name: "api.example.com", MappingKey: "v1"}}
	for _, tt := range []struct {
		stage, host, path string
		status            int
	}{
		{"", "abc.tunnel.example.com", "/", 200},
		{"", "ABC.tunnel.example.com:8081", "/", 200},
		{"", "tunnel.example.com", "/", 403},
		{"", "evil-tunnel.example.com", "/", 403},
		{"", "127.0.0.1:8081", "/", 200},
		{"", "localhost", "/", 200},
		{"", "[::1]:80", "/", 200},
		{"", "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com", "/", 200},
		{"", "api.example.com", "/v1/x", 200},
		{"", "api.example.com", "/v1", 200},
		{"", "api.example.com", "/v10/x", 404},
		{"prod", "localhost", "/prod/x", 200},
		{"prod", "localhost", "/x", 404},
		{"prod", "abc.tunnel.example.com", "/x", 200},
	} {
		f := answering(`{"statusCode":200}`)
		addr := serve(t, newAPI(t, Config{Function: f, Domains: domains, Stage: tt.stage}).Server())
		resp, body := exchange(t, addr, "GET", "GET "+tt.path+" HTTP/1.1\r\nHost: "+tt.host+"\r\n\r\n")
		if resp.StatusCode != tt.status {
			t.Errorf("%s of %s at stage %q: %d %s", tt.path, tt.host, tt.stage, resp.StatusCode, body)
		}
		if resp.StatusCode != 200 {
			continue
		}
		e := f.event(t)
		if e["rawPath"] != tt.path || e["headers"].(map[string]any)["host"] != tt.host {
			t.Errorf("%s of %s came as %v of %v", tt.path, tt.host, e["rawPath"], e["headers"])
		}
	}
}

func TestConfigsAreChecked(t *testing.T) {
	t.Parallel()
	f := answering("")
	for _, c := range []Config{
		{},
		{Function: f, Format: "3.0"},
		{Function: f, Timeout: time.Minute},
		{Function: f, Rate: -1},
		{Function: f, Domains: []Domain{{Name: "*"}}},
		{Function: f, Domains: []Domain{{Name: "a.*.example.com"}}},
		{Function: f, Domains: []Domain{{Name: "a.example.com", MappingKey: "a/b"}}},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("accepted %+v", c)
		}
	}
	for _, c := range []URLConfig{{}, {Function: f, Streamer: streamer{}}, {Function: f, Timeout: time.Hour}} {
		if _, err := NewURL(c); err == nil {
			t.Errorf("accepted %+v", c)
		}
	}
}

func TestTargetsThatAreNoPaths(t *testing.T) {
	t.Parallel()
	addr := serve(t, newAPI(t, Config{}).Server())
	resp, body := exchange(t, addr, "OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}
