package visitors

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"culvert/backend/lambda/event"
	"culvert/backend/lambda/post"
	"culvert/backend/lambda/ticket"
	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

// serve answers a request, which must not take longer than the gateway waits.
func (w *world) serve(r *event.Request) *event.Answer {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 29*time.Second)
	defer cancel()
	a := w.v.Serve(ctx, r)
	if ctx.Err() != nil {
		w.t.Error("the answer came after the end of the invocation")
	}
	return a
}

func TestRouting(t *testing.T) {
	for _, c := range []struct {
		name, host, target string
		uri, prefix        string // what the agent gets
		status             int
	}{
		{"path form", "tunnel.example.test", "/shop/a/b?c=d", "/a/b?c=d", "/shop", 200},
		{"path form, other host", "abc.execute-api.eu-west-1.amazonaws.com", "/shop/", "/", "/shop", 200},
		{"bare", "tunnel.example.test", "/shop?x", "/?x", "/shop", 200},
		{"subdomain form", "shop.tunnel.example.test", "/a%2Fb", "/a%2Fb", "", 200},
		{"subdomain form, own paths are the tunnel's", "Shop.Tunnel.Example.Test:443", "/_culvert/healthz", "/_culvert/healthz", "", 200},
		{"no tunnel", "tunnel.example.test", "/shopping/", "", "", 404},
		{"no such name", "tunnel.example.test", "/x/", "", "", 404},
		{"root", "tunnel.example.test", "/", "", "", 404},
		{"below", "a.shop.tunnel.example.test", "/", "", "", 404},
		{"star", "tunnel.example.test", "*", "", "", 400},
		{"absolute", "tunnel.example.test", "http://x/", "", "", 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, w *world) {
				a := w.agent(everything...)
				r := get(c.target)
				r.Host = c.host
				if c.target == "*" {
					r.Method = http.MethodOptions
				}
				answer := w.serve(r)
				if answer.Status != c.status {
					t.Fatalf("status %d, want %d: %s", answer.Status, c.status, answer.Body)
				}
				requests := gotOf[*wire.HTTPRequest](a)
				if c.status != 200 {
					if len(requests) > 0 {
						t.Error("the agent got something")
					}
					return
				}
				m := requests[0]
				if m.URI != c.uri || m.Header.Get("Host") != c.host || m.Header.Get("X-Forwarded-Host") != c.host {
					t.Errorf("uri %q, header %v", m.URI, m.Header)
				}
			})
		})
	}
}

func TestForwardedFields(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		a := w.agent(everything...)
		r := get("/shop/")
		r.Header = http.Header{
			// What API Gateway makes of a forged field: it appends.
			"X-Forwarded-For": {"6.6.6.6, 203.0.113.7"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Port": {"443"}, "Forwarded": {"for=6.6.6.6"},
			"Cookie": {"a=1"}, "Connection": {"x-drop"}, "X-Drop": {"1"}, "Expect": {"100-continue"}, "Accept": {"text/html", "*/*"},
		}
		before := r.Header.Clone()
		w.serve(r)
		want := http.Header{
			"X-Forwarded-For": {"203.0.113.7"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"tunnel.example.test"},
			"Host": {"tunnel.example.test"}, "Cookie": {"a=1"}, "Accept": {"text/html", "*/*"},
		}
		if diff := cmp.Diff(want, gotOf[*wire.HTTPRequest](a)[0].Header); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(before, r.Header); diff != "" {
			t.Errorf("the event's own header changed (-want +got):\n%s", diff)
		}
	})
}

func TestStatuses(t *testing.T) {
	answer := func(m *wire.HTTPResponse) func(*world, *fakeAgent) {
		return func(_ *world, a *fakeAgent) {
			a.serve = func(context.Context, *wire.HTTPRequest) *wire.HTTPResponse { own := *m; return &own }
		}
	}
	fail := func(code wire.ErrorCode) func(*world, *fakeAgent) {
		return func(_ *world, a *fakeAgent) {
			a.serve = func(_ context.Context, r *wire.HTTPRequest) *wire.HTTPResponse {
				a.emit(&wire.ErrorMessage{RequestID: r.RequestID, Code: code, Message: "because of " + string(code), Session: a.session})
				return nil
			}
		}
	}
	raw := func(text string) func(*world, *fakeAgent) {
		return func(w *world, a *fakeAgent) {
			a.serve = func(_ context.Context, r *wire.HTTPRequest) *wire.HTTPResponse {
				text := strings.ReplaceAll(text, "ID", r.RequestID)
				w.mu.Lock()
				key := onlyKey(w, r.RequestID)
				w.answers[key] = map[int]string{0: text}
				w.mu.Unlock()
				return nil
			}
		}
	}
	postErr := func(err error) func(*world, *fakeAgent) {
		return func(w *world, _ *fakeAgent) { w.postErr = func(string, []byte) error { return err } }
	}
	for _, c := range []struct {
		name    string
		prepare func(*world, *fakeAgent)
		status  int
		text    string
	}{
		{"answered", nil, 200, ""},
		{"any status", answer(&wire.HTTPResponse{StatusCode: 418, Body: []byte("teapot")}), 418, "teapot"},
		{"invalid", fail(wire.CodeInvalidRequest), 400, "because of invalid_request"},
		{"timeout", fail(wire.CodeTimeout), 504, "because of timeout"},
		{"unavailable", fail(wire.CodeLocalUnavailable), 503, "because of local_service_unavailable"},
		{"internal", fail(wire.CodeInternal), 502, "because of internal_error"},
		{"a code of its own", fail("something_new"), 502, "because of something_new"},
		{"no answer", raw(`{"type":"http_response","request_id":"ID","status_code":"200"}`), 502, msgNoAnswer},
		{"gone", postErr(post.ErrGone), 502, msgNoAgent},
		{"busy", postErr(post.ErrBusy), 503, msgBusy},
		{"not allowed", postErr(post.ErrForbidden), 503, msgNoPost},
		{"left lately", func(w *world, _ *fakeAgent) {
			t := w.tunnels["shop"]
			t.Live, t.Seen = false, time.Now().Add(-tunnel.Linger+time.Minute)
			w.tunnels["shop"] = t
		}, 502, msgNoAgent},
		{"left long ago", func(w *world, _ *fakeAgent) {
			t := w.tunnels["shop"]
			t.Live, t.Seen = false, time.Now().Add(-tunnel.Linger)
			w.tunnels["shop"] = t
		}, 404, msgNoTunnel},
		{"no look-up", func(w *world, _ *fakeAgent) { w.findErr = errors.New("throttled") }, 503, msgNoLookup},
		{"no keys", func(w *world, _ *fakeAgent) {
			w.v.cfg.Keys = func(context.Context) (*ticket.Keyring, error) { return nil, errors.New("no such parameter") }
		}, 503, msgNoKeys},
	} {
		for _, caps := range [][]wire.Capability{everything, nil} {
			name := c.name
			if caps == nil {
				name += ", original agent"
			}
			t.Run(name, func(t *testing.T) {
				bubble(t, nil, func(t *testing.T, w *world) {
					a := w.agent(caps...)
					if c.prepare != nil {
						c.prepare(w, a)
					}
					got := w.serve(get("/shop/"))
					if got.Status != c.status || c.text != "" && strings.TrimSpace(string(got.Body)) != c.text {
						t.Errorf("%d %q, want %d %q", got.Status, got.Body, c.status, c.text)
					}
					if (got.Status == 503) != (got.Header.Get("Retry-After") != "") {
						t.Errorf("status %d, Retry-After %q", got.Status, got.Header.Get("Retry-After"))
					}
				})
			})
		}
	}
}

// onlyKey is the key of the answers to a request. w.mu is held.
func onlyKey(w *world, id string) string {
	for _, conn := range []string{agentConn, ""} {
		if tk, err := w.keys.Open(id, conn, time.Now()); err == nil {
			return tk.Key()
		}
	}
	w.t.Error("not a request ID")
	return ""
}

func TestErrorPages(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		r := get("/shop/")
		if a := w.serve(r); a.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("to a program: %v", a.Header)
		}
		r.Header.Set("Accept", "text/html,*/*;q=0.1")
		if a := w.serve(r); !strings.Contains(string(a.Body), "<!doctype html>") {
			t.Errorf("to a browser: %s", a.Body)
		}
		r.Method = http.MethodHead
		if a := w.serve(r); !a.Head || a.Status != 404 {
			t.Errorf("to HEAD: %+v", a)
		}
	})
}

func TestRedirectToSlash(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.agent(everything...)
		r := get("/shop?a=b")
		r.Header.Set("Accept", "text/html")
		a := w.serve(r)
		if a.Status != http.StatusPermanentRedirect || a.Header.Get("Location") != "./shop/?a=b" {
			t.Errorf("%d, Location %q", a.Status, a.Header.Get("Location"))
		}
		if n := w.counted("posts"); n != 0 {
			t.Errorf("%d posts", n)
		}
	})
}

func TestMethods(t *testing.T) {
	for _, c := range []struct {
		method string
		caps   []wire.Capability
		status int
	}{
		{"GET", nil, 200}, {"HEAD", nil, 200}, {"OPTIONS", nil, 200}, {"PATCH", nil, 200}, {"PROPFIND", nil, 501},
		{"PROPFIND", everything, 200}, {"HEAD", everything, 200},
	} {
		bubbleNamed(t, c.method, func(t *testing.T, w *world) {
			a := w.agent(c.caps...)
			a.serve = func(_ context.Context, r *wire.HTTPRequest) *wire.HTTPResponse {
				return &wire.HTTPResponse{StatusCode: 200, Header: http.Header{"Content-Length": {"77"}, "X-Method": {r.Method}}}
			}
			r := get("/shop/")
			r.Method = c.method
			got := w.serve(r)
			if got.Status != c.status {
				t.Fatalf("%s: status %d, want %d", c.method, got.Status, c.status)
			}
			if c.status == 501 {
				return
			}
			length := ""
			if c.method == "HEAD" {
				length = "77"
			}
			if got.Header.Get("X-Method") != c.method || got.Header.Get("Content-Length") != length || got.Head != (c.method == "HEAD") {
				t.Errorf("%s: %v, head %v", c.method, got.Header, got.Head)
			}
		})
	}
}

func bubbleNamed(t *testing.T, name string, test func(*testing.T, *world)) {
	t.Run(name, func(t *testing.T) { bubble(t, nil, test) })
}

// Whichever gateway it comes through, a WebSocket is refused here: the agent would take
// its handshake for a plain GET.
func TestUpgradeIsRefused(t *testing.T) {
	for name, headers := range map[string]string{
		"as the visitor sent it": `"connection":"keep-alive, Upgrade","upgrade":"websocket","sec-websocket-key":"dGhlIHNhbXBsZSBub25jZQ==","sec-websocket-version":"13"`,
		"as gateways leave it":   `"sec-websocket-key":"dGhlIHNhbXBsZSBub25jZQ==","sec-websocket-version":"13"`,
	} {
		for gateway, domain := range map[string]string{"HTTP API": "tunnel.example.test", "Function URL": "abcdef.lambda-url.eu-west-1.on.aws"} {
			bubbleNamed(t, gateway+" "+name, func(t *testing.T, w *world) {
				a := w.agent(everything...)
				r, err := event.ParseHTTP([]byte(`{"version":"2.0","routeKey":"$default","rawPath":"/shop/socket","headers":{"host":"tunnel.example.test",` + headers + `},
					"requestContext":{"domainName":"` + domain + `","stage":"$default","http":{"method":"GET","path":"/shop/socket","sourceIp":"203.0.113.7"}}}`))
				if err != nil {
					t.Fatal(err)
				}
				answer := w.serve(r)
				if answer.Status != http.StatusNotImplemented || !strings.Contains(string(answer.Body), msgNoUpgrade) {
					t.Errorf("status %d: %s", answer.Status, answer.Body)
				}
				if n := len(gotOf[*wire.HTTPRequest](a)); n != 0 {
					t.Errorf("the agent got %d requests", n)
				}
			})
		}
	}
}

// The header of an original agent's answer is made to fit the path form.
func TestPathFormOfOriginalAgents(t *testing.T) {
	for name, c := range map[string]struct {
		caps     []wire.Capability
		host     string
		prefix   string // that the host has taken off: a stage, or a mapping key
		location string
	}{
		"original": {nil, "tunnel.example.test", "", "/shop/login"},
		"declared": {everything, "tunnel.example.test", "", "/login"},
		"host":     {nil, "shop.tunnel.example.test", "", "/login"},
		"stage":    {nil, "tunnel.example.test", "/live", "/live/shop/login"},
	} {
		bubbleNamed(t, name, func(t *testing.T, w *world) {
			a := w.agent(c.caps...)
			a.serve = func(context.Context, *wire.HTTPRequest) *wire.HTTPResponse {
				return &wire.HTTPResponse{StatusCode: 302, Header: http.Header{"Location": {"/login"}, "Set-Cookie": {"a=1", "b=2"}}}
			}
			r := get("/shop/")
			r.Host, r.Prefix = c.host, c.prefix
			if r.Host != "tunnel.example.test" {
				r.Target = "/"
			}
			got := w.serve(r)
			if got.Header.Get("Location") != c.location || len(got.Header["Set-Cookie"]) != 2 {
				t.Errorf("%v", got.Header)
			}
		})
	}
}

func TestOwnPaths(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.agent(everything...)
		since := w.tunnels["shop"].Since.UTC().Format(time.RFC3339)
		gone := w.tunnels["shop"]
		gone.ID, gone.Live, gone.Seen = "gone", false, time.Now()
		w.tunnels["gone"] = gone
		for _, c := range []struct {
			method, target string
			status         int
			body           string
		}{
			{"GET", "/_culvert/healthz", 200, `{"status":"ok","version":"test"}`},
			{"HEAD", "/_culvert/healthz?x", 200, `{"status":"ok","version":"test"}`},
			{"GET", "/_status/shop", 200, `{"since":"` + since + `","status":"online","tunnel_id":"shop"}`},
			{"GET", "/_status/gone", 200, `{"since":"` + since + `","status":"offline","tunnel_id":"gone"}`},
			{"GET", "/_status/unknown", 404, `{"error":{"code":"not_found","message":"there is no tunnel of this name here"},"status":"error"}`},
			{"GET", "/_status/X", 404, `{"error":{"code":"not_found","message":"there is nothing here"},"status":"error"}`},
			{"GET", "/_culvert/", 404, `{"error":{"code":"not_found","message":"there is nothing here"},"status":"error"}`},
			{"POST", "/_culvert/healthz", 405, `{"error":{"code":"method_not_allowed","message":"only GET is understood here"},"status":"error"}`},
		} {
			r := get(c.target)
			r.Method = c.method
			got := w.serve(r)
			if got.Status != c.status || strings.TrimSpace(string(got.Body)) != c.body {
				t.Errorf("%s %s: %d %s", c.method, c.target, got.Status, got.Body)
			}
		}
		w.set(func() { w.findErr = errors.New("throttled") })
		if got := w.serve(get("/_status/other")); got.Status != 503 || got.Header.Get("Retry-After") == "" {
			t.Errorf("%d %s", got.Status, got.Body)
		}
	})
}

type limiter struct {
	ok   bool
	wait time.Duration
	err  error

	asked, spent []int // bytes
}

func (l *limiter) Allow(_ context.Context, _ string, bytes int) (bool, time.Duration, error) {
	l.asked = append(l.asked, bytes)
	return l.ok, l.wait, l.err
}

func (l *limiter) Spend(_ string, bytes int) { l.spent = append(l.spent, bytes) }

func TestLimiter(t *testing.T) {
	l := &limiter{}
	bubble(t, func(c *Config) { c.Limiter = l }, func(t *testing.T, w *world) {
		w.agent(everything...)
		l.wait = 41*time.Second + time.Millisecond
		if a := w.serve(get("/shop/")); a.Status != 429 || a.Header.Get("Retry-After") != "42" {
			t.Errorf("%d, %v", a.Status, a.Header)
		}
		if n := w.counted("posts"); n != 0 {
			t.Errorf("%d posts", n)
		}
		l.ok = true
		if a := w.serve(get("/shop/")); a.Status != 200 {
			t.Errorf("%d", a.Status)
		}
		l.ok, l.err = false, errors.New("throttled")
		if a := w.serve(get("/shop/")); a.Status != 200 {
			t.Errorf("%d: a count that fails must not fail requests", a.Status)
		}
		l.asked, l.spent = nil, nil
		body := noise(300_000, 1)
		w.serve(postRequest("/shop/echo", body, ""))
		s := w.v.Stream(t.Context(), postRequest("/shop/echo", body[:200_000], ""))
		if n, err := io.Copy(io.Discard, s.Body); n != 200_000 || err != nil {
			t.Errorf("%d bytes streamed, %v", n, err)
		}
		s.Body.Close()
		if want := []int{300_000, 200_000}; !slices.Equal(l.asked, want) || !slices.Equal(l.spent, want) {
			t.Errorf("counted %v and %v, want %v", l.asked, l.spent, want)
		}
	})
}

// An account with few invocations at once must not have all of them wait, while
// answers find none.
func TestSmallAccounts(t *testing.T) {
	for _, c := range []struct {
		name        string
		concurrency int
		reserved    bool
		status      int
		took        time.Duration
	}{
		{"small", 10, false, 503, shortWait}, {"not so small", 50, false, 503, shortWait},
		{"reserved", 10, true, 504, defaultMaxWait}, {"large", 51, false, 504, defaultMaxWait}, {"unknown", 0, false, 504, defaultMaxWait},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(cfg *Config) { cfg.AccountConcurrency, cfg.Reserved = c.concurrency, c.reserved }, func(t *testing.T, w *world) {
				a := w.agent(everything...)
				a.serve = func(context.Context, *wire.HTTPRequest) *wire.HTTPResponse { return nil }
				start := time.Now()
				got := w.serve(get("/shop/"))
				if took := time.Since(start); got.Status != c.status || took != c.took {
					t.Errorf("%d after %v, want %d after %v", got.Status, took, c.status, c.took)
				}
				if (got.Header.Get("Retry-After") != "") != (c.status == 503) {
					t.Errorf("%v", got.Header)
				}
			})
		})
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	good := w.v.cfg
	for name, change := range map[string]func(*Config){
		"no store":  func(c *Config) { c.Tunnels = nil },
		"no poster": func(c *Config) { c.Poster = nil },
		"no keys":   func(c *Config) { c.Keys = nil },
		"no log":    func(c *Config) { c.Log = nil },
		"too long":  func(c *Config) { c.MaxWait = 29 * time.Second },
		"negative":  func(c *Config) { c.MaxWait = -1 },
	} {
		cfg := good
		if change(&cfg); !fails(cfg) {
			t.Errorf("%s: no error", name)
		}
	}
}

func fails(cfg Config) bool { _, err := New(cfg); return err != nil }
