package post

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"go.uber.org/goleak"

	"culvert/backend/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gateway answers calls as told.
type gateway struct {
	answer func(call int, r *http.Request) (status int, errorType, body string)

	mu    sync.Mutex
	calls []*http.Request
	at    []time.Time
	sent  []string
}

func (g *gateway) Do(r *http.Request) (*http.Response, error) {
	g.mu.Lock()
	n := len(g.calls)
	g.calls, g.at = append(g.calls, r), append(g.at, time.Now())
	text := ""
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body)
		text = string(b)
	}
	g.sent = append(g.sent, text)
	g.mu.Unlock()
	status, errorType, body := g.answer(n, r)
	if status == 0 { // no answer at all
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	h := http.Header{"Content-Type": {"application/json"}}
	if errorType != "" {
		h.Set("X-Amzn-Errortype", errorType)
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

func always(status int) *gateway {
	return &gateway{answer: func(int, *http.Request) (int, string, string) { return status, "", "" }}
}

func config(endpoint string) Config {
	return Config{Endpoint: endpoint, Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("id", "secret", "")}
}

func poster(t *testing.T, g *gateway) *Poster {
	t.Helper()
	cfg := config("https://abc.execute-api.eu-west-1.amazonaws.com/live")
	cfg.HTTP = g
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The address that agents dial is the one that comes to mind, and the wrong one.
func TestEndpointsThatAreRefused(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]string{
		"wss://abc.execute-api.eu-west-1.amazonaws.com/live": "write https:// instead of wss://",
		"ws://127.0.0.1:8082/live":                           "write https:// instead of ws://",
		"abc.execute-api.eu-west-1.amazonaws.com/live":       "no URL",
		"ftp://abc/live":                                     "must begin with https://",
		"":                                                   "no URL",
		"https://abc.execute-api.eu-west-1.amazonaws.com/?a=": "host and stage only",
	} {
		cfg := config(endpoint)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q in it", endpoint, err, want)
		}
	}
	cfg := config("https://abc/live")
	cfg.Credentials = nil
	if _, err := New(cfg); err == nil {
		t.Error("without credentials")
	}
}

// What goes over the wire, to a real server: the stage is kept, the ID is escaped,
// the call is signed for API Gateway.
func TestCalls(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []string
	var signatures []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		mu.Lock()
		got = append(got, r.Method+" "+r.RequestURI+" "+string(text))
		signatures = append(signatures, r.Header.Get("Authorization"))
		mu.Unlock()
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, `{"connectedAt":"2026-11-21T11:00:00.123Z","identity":{"sourceIp":"203.0.113.7","userAgent":"x"},"lastActiveAt":"2026-11-21T11:59:00Z"}`)
		}
	}))
	t.Cleanup(server.Close)
	for _, base := range []string{server.URL + "/live", server.URL + "/live/", server.URL} {
		cfg := config(base)
		transport := &http.Transport{}
		t.Cleanup(transport.CloseIdleConnections)
		cfg.HTTP = &http.Client{Transport: transport}
		p, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		got, signatures = nil, nil
		mu.Unlock()
		ctx := t.Context()
		if err := p.Post(ctx, "L0SM9c/FvHcCI?w=", []byte(`{"type":"pong"}`)); err != nil {
			t.Error(err)
		}
		info, err := p.Info(ctx, "a=")
		want := Info{
			ConnectedAt:  time.Date(2026, 11, 21, 11, 0, 0, 123e6, time.UTC),
			LastActiveAt: time.Date(2026, 11, 21, 11, 59, 0, 0, time.UTC), SourceIP: "203.0.113.7",
		}
		if err != nil || info != want {
			t.Errorf("info %+v, %v", info, err)
		}
		if err := p.Delete(ctx, "a="); err != nil {
			t.Error(err)
		}
		prefix := ""
		if base != server.URL {
			prefix = "/live"
		}
		mu.Lock()
		for n, want := range []string{
			"POST " + prefix + "/@connections/L0SM9c%2FFvHcCI%3Fw%3D" + ` {"type":"pong"}`,
			"GET " + prefix + "/@connections/a%3D ", "DELETE " + prefix + "/@connections/a%3D ",
		} {
			// "@" may stand in a path as it is, or not.
			if n >= len(got) || strings.ReplaceAll(got[n], "%40", "@") != want {
				t.Errorf("call %d of %q, want %s", n, got, want)
			}
			if !strings.Contains(signatures[n], "/eu-west-1/execute-api/aws4_request") {
				t.Errorf("call %d is signed %q", n, signatures[n])
			}
		}
		mu.Unlock()
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status    int
		errorType string
		body      string
		want      error
	}{
		{status: 200},
		{status: 410, errorType: "GoneException", want: ErrGone},
		{status: 410, want: ErrGone},
		{status: 429, errorType: "LimitExceededException", want: ErrBusy},
		{status: 429, body: `{"message":"Too Many Requests"}`, want: ErrBusy},
		{status: 403, errorType: "ForbiddenException", want: ErrForbidden},
		{status: 403, body: `{"message":"Missing Authentication Token"}`, want: ErrForbidden},
		{status: 413, errorType: "PayloadTooLargeException", want: ErrTooLarge},
		{status: 413, body: `<html>`, want: ErrTooLarge},
		{status: 500, body: `{"message":"Internal server error"}`, want: ErrUnavailable},
		{status: 503, want: ErrUnavailable},
		{status: 504, body: "<html>", want: ErrUnavailable},
		{status: 400, want: ErrUnavailable},
	} {
		g := &gateway{answer: func(int, *http.Request) (int, string, string) { return c.status, c.errorType, c.body }}
		err := poster(t, g).Post(t.Context(), "c", []byte("{}"))
		if !errors.Is(err, c.want) {
			t.Errorf("%d %s: %v, want %v", c.status, c.errorType, err, c.want)
		}
		// A message may have arrived in spite of the error.
		if len(g.calls) != 1 {
			t.Errorf("%d %s: %d calls", c.status, c.errorType, len(g.calls))
		}
		if err := poster(t, g).Delete(t.Context(), "c"); c.status == 410 && err != nil || c.status == 500 && !errors.Is(err, ErrUnavailable) {
			t.Errorf("%d: delete: %v", c.status, err)
		}
		if _, err := poster(t, g).Info(t.Context(), "c"); c.status != 200 && !errors.Is(err, c.want) {
			t.Errorf("%d: info: %v, want %v", c.status, err, c.want)
		}
	}
}

// 410 to a connection that has only just come means "not yet", for a moment.
func TestGoneOrNotYet(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		age   time.Duration // of the connection; -1: not told
		gone  int           // calls that say 410
		calls int
		after time.Duration
		want  error
	}{
		{"there", 0, 0, 1, 0, nil},
		{"there at the second call", 0, 1, 2, 100 * time.Millisecond, nil},
		{"there at the last call", 0, 3, 4, 700 * time.Millisecond, nil},
		{"never there", 0, 99, 4, 700 * time.Millisecond, ErrGone},
		{"no child any more", 2 * time.Second, 99, 1, 0, ErrGone},
		{"grown up while waiting", 1850 * time.Millisecond, 99, 3, 300 * time.Millisecond, ErrGone},
		{"the gateway's clock is ahead", -300 * time.Millisecond, 1, 2, 100 * time.Millisecond, nil},
		{"age unknown", -1, 1, 1, 0, ErrGone},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &gateway{answer: func(n int, _ *http.Request) (int, string, string) {
					if n < c.gone {
						return 410, "GoneException", ""
					}
					return 200, "", ""
				}}
				start := time.Now()
				var opts []Option
				if c.age != -1 {
					opts = append(opts, Young(start.Add(-c.age)))
				}
				err := poster(t, g).Post(t.Context(), "c", []byte("{}"), opts...)
				if !errors.Is(err, c.want) || len(g.calls) != c.calls || time.Since(start) != c.after {
					t.Errorf("%v after %d calls and %v; want %v after %d and %v", err, len(g.calls), time.Since(start), c.want, c.calls, c.after)
				}
				for n, text := range g.sent {
					if text != "{}" {
						t.Errorf("call %d sends %q", n, text)
					}
				}
			})
		})
	}
}

func TestNoAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, start := always(0), time.Now()
		err := poster(t, g).Post(t.Context(), "c", []byte("{}"), Within(time.Second))
		if !errors.Is(err, ErrUnavailable) || time.Since(start) != time.Second || len(g.calls) != 1 {
			t.Errorf("%v after %v and %d calls", err, time.Since(start), len(g.calls))
		}
		start = time.Now()
		if err := poster(t, g).Post(t.Context(), "c", []byte("{}")); !errors.Is(err, ErrUnavailable) || time.Since(start) != maxCall {
			t.Errorf("unbounded: %v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
		defer cancel()
		if err := poster(t, always(410)).Post(ctx, "c", []byte("{}"), Young(time.Now())); !errors.Is(err, ErrGone) {
			t.Errorf("while waiting: %v", err)
		}
	})
}

// Each request is two posts, and the functions that make them have a fraction of a
// processor: what one post allocates is bounded, so that nobody makes it dear unawares.
func TestPostAllocates(t *testing.T) {
	cfg := config("https://abc.execute-api.eu-west-1.amazonaws.com/live")
	cfg.HTTP = silent{}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	const most = 100
	if got := testing.AllocsPerRun(100, func() { err = p.Post(t.Context(), "L0SM9cOFvHcCIhw=", []byte(`{"type":"pong"}`)) }); got > most || err != nil {
		t.Errorf("%v allocations (%v), want at most %d", got, err, most)
	}
}

// silent takes everything.
type silent struct{}

func (silent) Do(r *http.Request) (*http.Response, error) {
	_, err := io.Copy(io.Discard, r.Body)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}, err
}

func TestWhatIsNotSent(t *testing.T) {
	t.Parallel()
	g := always(200)
	p := poster(t, g)
	if err := p.Post(t.Context(), "c", make([]byte, wire.MaxGatewayMessage+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	// An empty ID would be another call.
	if err := p.Post(t.Context(), "", []byte("{}")); !errors.Is(err, ErrGone) {
		t.Errorf("to nobody: %v", err)
	}
	if _, err := p.Info(t.Context(), ""); !errors.Is(err, ErrGone) {
		t.Errorf("about nobody: %v", err)
	}
	if err := p.Delete(t.Context(), ""); err != nil {
		t.Errorf("nobody deleted: %v", err)
	}
	if len(g.calls) > 0 {
		t.Errorf("%d calls", len(g.calls))
	}
	if err := p.Post(t.Context(), "c", make([]byte, wire.MaxGatewayMessage)); err != nil {
		t.Errorf("the largest: %v", err)
	}
}
