package link

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"culvert/backend/wire"
)

// noise is n bytes that do not compress.
func noise(n int) []byte {
	b := make([]byte, n)
	rng := rand.New(rand.NewPCG(3, uint64(n)))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func mustURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// answering serves everything with this answer.
func answering(contentType string, body []byte) func(wire.Exchange) {
	return func(x wire.Exchange) {
		_ = x.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: int64(len(body)), Header: http.Header{"Content-Type": {contentType}}}, len(body) == 0)
		if len(body) > 0 {
			_, _ = x.WriteLast(body)
		}
	}
}

// bubble runs check against a gateway.
func bubble(t *testing.T, seed uint64, check func(t *testing.T, g *gateway)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { check(t, newGateway(t, seed)) })
}

func TestCapabilitiesAreOffered(t *testing.T) {
	t.Parallel()
	bubble(t, 1, func(t *testing.T, g *gateway) {
		l, _ := g.link(g.config(&Config{}))
		want := []any{"resume", "actions", "session", "chunks", "gzip", "cancel", "blob", "stream"}
		if diff := cmp.Diff(want, g.conns[0].ready["capabilities"]); diff != "" {
			t.Error(diff)
		}
		if got := l.Established(); got.StreamURL != "https://stream.test/t1" || got.Session != gwToken {
			t.Errorf("established = %+v", got)
		}
	})
	b := newTableBackend(t, "http")
	_, p, _ := b.agent(&Config{OnNotice: func(*wire.Notice) {}})
	if diff := cmp.Diff([]any{"resume", "actions", "notices"}, p.ready["capabilities"]); diff != "" {
		t.Errorf("to a relay: %s", diff)
	}
}

// Capabilities count only where session does, and never on a relay.
func TestCapabilitiesThatDoNotCount(t *testing.T) {
	t.Parallel()
	all := []wire.Capability{"resume", "session", "chunks", "gzip", "cancel", "blob", "stream"}
	ws, relay := &Config{Backend: mustURL(t, "wss://x/prod")}, &Config{Backend: mustURL(t, "https://x")}
	for name, c := range map[string]struct {
		cfg  *Config
		est  wire.Established
		want caps
	}{
		"all":           {ws, wire.Established{Protocol: 2, Session: "s", Capabilities: all}, caps{true, true, true, true, true, true}},
		"session alone": {ws, wire.Established{Protocol: 2, Session: "s", Capabilities: all[:2]}, caps{session: true}},
		"no token":      {ws, wire.Established{Protocol: 2, Capabilities: all}, caps{}},
		"no session":    {ws, wire.Established{Protocol: 2, Session: "s", Capabilities: all[2:]}, caps{}},
		"undeclared":    {ws, wire.Established{Session: "s", Capabilities: all}, caps{}},
		"relay":         {relay, wire.Established{Protocol: 2, Session: "s", Capabilities: all}, caps{}},
	} {
		if got := c.cfg.agreed(&c.est); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// A backend that has agreed to resume alone gets the table, though more was offered.
func TestUndeclaredBackendGetsTheTable(t *testing.T) {
	t.Parallel()
	b := newTableBackend(t, "ws")
	b.greet = func(p *peer) { p.send(declared(established("t1"))) }
	text := strings.Repeat("all work and no play ", 1000)
	_, p, _ := b.agent(&Config{Handler: answering("text/plain", []byte(text))})
	for i, extra := range []map[string]any{
		{"more": true, "body_size": 5}, {"stream": true, "credit": 8}, {"timeout_ms": 1}, {"body_url": "http://127.0.0.1:1/", "body_size": 5},
		{"upload": map[string]any{"url": "http://127.0.0.1:1/", "fields": map[string]string{}, "max_bytes": 1 << 20}},
	} {
		m := request(fmt.Sprint("r", i), "GET", "/", nil, nil)
		for name, v := range extra {
			m[name] = v
		}
		p.send(m)
		if _, body := p.wantAnswer(fmt.Sprint("r", i), 200); string(body) != text {
			t.Errorf("%v: %d bytes came back", extra, len(body))
		}
	}
	for _, m := range []map[string]any{
		{"type": "chunk", "request_id": "r9", "seq": 1, "body": "YQ==", "last": true}, {"type": "resend", "request_id": "r0", "from": 0},
		{"type": "cancel", "request_id": "r0"}, {"type": "credit", "request_id": "r0", "upto": 9},
	} {
		p.send(m)
	}
	p.send(request("last", "GET", "/", nil, nil))
	m := p.next()
	for name := range m {
		switch name {
		case "type", "request_id", "status_code", "headers", "body", "processing_time_ms":
		default:
			t.Errorf("the answer has %q", name)
		}
	}
	if m["request_id"] != "last" {
		t.Errorf("message %v", m)
	}
}

// Bodies of all sizes, both ways, over a network that reorders, repeats and loses.
func TestBodiesOverAHostileGateway(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		sizes := []int{0, 1, 1000, 90 << 10, 95 << 10, 130 << 10, 1 << 20}
		if seed == 0 {
			sizes = append(sizes, wire.MaxParts)
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			bubble(t, seed, func(t *testing.T, g *gateway) {
				var served activity
				served.changed = make(chan struct{}, 1)
				g.link(g.config(&Config{Handler: func(x wire.Exchange) {
					served.begin()
					echo(x)
				}}))
				g.faults(0.1, 0.2, 300*time.Millisecond)
				for _, size := range sizes {
					body := noise(size)
					_, got, err := g.visit("POST", "/", body, nil)
					if err != nil || !bytes.Equal(got, body) {
						t.Errorf("%d bytes: %d came back: %v", size, len(got), err)
					}
				}
				pass(time.Minute)
				if n, _ := served.state(); n != len(sizes) {
					t.Errorf("%d requests were served %d times", len(sizes), n)
				}
			})
		})
	}
}

func TestCompression(t *testing.T) {
	t.Parallel()
	text := bytes.Repeat([]byte("all work and no play makes Jack a dull boy. "), 10_000)
	bubble(t, 1, func(t *testing.T, g *gateway) {
		var requests [][]byte
		g.link(g.config(&Config{Handler: func(x wire.Exchange) {
			body := make([]byte, x.Request().ContentLength)
			n, _ := x.Read(body)
			requests = append(requests, body[:n])
			kind, _, _ := strings.Cut(x.Request().Target[1:], "?")
			answering(strings.ReplaceAll(kind, "-", "/"), text)(x)
		}}))
		var packer wire.Packer
		packed, _ := packer.Pack(http.Header{"Content-Type": {"text/plain"}}, text)
		head, got, err := g.visit("POST", "/text-plain", packed, map[string]any{"encoding": "gzip", "body_size": len(text)})
		if err != nil || !bytes.Equal(got, text) || head["encoding"] != "gzip" || head["more"] == true {
			t.Errorf("%d bytes came back, encoding %v, more %v: %v", len(got), head["encoding"], head["more"], err)
		}
		if len(requests) != 1 || !bytes.Equal(requests[0], text) {
			t.Error("the request did not arrive decompressed")
		}
		head, got, err = g.visit("GET", "/image-png", nil, nil)
		if err != nil || !bytes.Equal(got, text) || head["encoding"] != nil || head["more"] != true {
			t.Errorf("%d bytes came back, encoding %v, more %v: %v", len(got), head["encoding"], head["more"], err)
		}
		for name, extra := range map[string]map[string]any{
			"bomb":    {"encoding": "gzip", "body_size": len(text) - 1},
			"short":   {"encoding": "gzip", "body_size": len(text) + 1},
			"no gzip": {"encoding": "gzip", "body_size": 5},
			"br":      {"encoding": "br", "body_size": 5},
		} {
			body := packed
			if name == "no gzip" {
				body = []byte("hello")
			}
			_, _, err := g.visit("POST", "/text-plain", body, extra)
			if err == nil || !strings.HasPrefix(err.Error(), "invalid_request: ") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if len(requests) != 2 {
			t.Error("a malformed request was served")
		}
	})
}

func TestTooLargeForMessages(t *testing.T) {
	t.Parallel()
	bubble(t, 1, func(t *testing.T, g *gateway) {
		g.link(g.config(&Config{Handler: answering("image/png", noise(wire.MaxParts+1))}))
		_, _, err := g.visit("GET", "/", nil, nil)
		if err == nil || !strings.HasPrefix(err.Error(), "internal_error") || !strings.HasSuffix(err.Error(),
			"up to 6 MB, of binary data some 4.5 MB: use the URL that streams, https://stream.test/t1, or a relay") {
			t.Errorf("answer over 6 MB: %v", err)
		}
	})
	bubble(t, 1, func(t *testing.T, g *gateway) {
		g.caps = []string{"session", "gzip"}
		g.link(g.config(&Config{Handler: answering("image/png", noise(100<<10))}))
		_, _, err := g.visit("GET", "/", nil, nil)
		if err == nil || !strings.HasPrefix(err.Error(), "internal_error") {
			t.Errorf("over one message, without chunks: %v", err)
		}
	})
	bubble(t, 1, func(t *testing.T, g *gateway) {
		g.link(g.config(&Config{Handler: func(x wire.Exchange) {
			_ = x.WriteHead(&wire.ResponseHead{Status: 200, Header: http.Header{"X": {strings.Repeat("x", 128<<10)}}}, true)
		}}))
		_, _, err := g.visit("GET", "/", nil, nil)
		if err == nil || !strings.Contains(err.Error(), "heads up to 127 KB") {
			t.Errorf("a head over one message: %v", err)
		}
	})
}

// Missing parts are asked for after 2, 4 and 8 s, and then no more.
func TestMissingPartsAreAskedFor(t *testing.T) {
	t.Parallel()
	for name, send := range map[string]func(g *gateway, a *ask){
		"head alone": func(g *gateway, a *ask) { g.postNow(a.request[0]) },
		"no head":    func(g *gateway, a *ask) { g.postNow(a.request[1]); g.postNow(a.request[2]) },
		"a gap":      func(g *gateway, a *ask) { g.postNow(a.request[0]); g.postNow(a.request[2]) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, 1, func(t *testing.T, g *gateway) {
				cfg := g.config(&Config{Handler: func(wire.Exchange) { t.Error("half a request was served") }})
				g.link(cfg)
				g.faults(1, 0, 0) // both ways
				a := g.begin("PUT", "/", noise(250<<10), nil)
				g.faults(0, 0, 0)
				g.postNowOnly(a, send)
				asked := func() int { return g.state(a).asked }
				keep := a.request
				g.mu.Lock()
				a.request = nil // what is asked for does not come
				g.mu.Unlock()
				for i, wait := range []time.Duration{2, 4, 8} {
					pass(wait*time.Second - 1)
					synctest.Wait()
					if n := asked(); n != i {
						t.Errorf("asked %d times just before", n)
					}
					pass(1)
					synctest.Wait()
					if n := asked(); n != i+1 {
						t.Errorf("asked %d times after %v s", n, wait)
					}
				}
				pass(16 * time.Second)
				synctest.Wait()
				if asked() != 3 || g.state(a).failed["code"] != "timeout" {
					t.Errorf("asked %d times, failed with %v", asked(), g.state(a).failed)
				}
				for _, part := range keep { // all too late
					g.postNow(part)
				}
				pass(time.Minute)
				if n := cfg.board.buffered.Load(); n != 0 || len(cfg.board.arrives) != 0 {
					t.Errorf("%d bytes are still counted, %d requests arrive", n, len(cfg.board.arrives))
				}
			})
		})
	}
}

// postNowOnly sends parts of a request on a network without faults.
func (g *gateway) postNowOnly(a *ask, send func(*gateway, *ask)) {
	send(g, a)
	synctest.Wait()
}

// No order is kept, not even between the greeting and the first request.
func TestPartsBeforeTheGreeting(t *testing.T) {
	t.Parallel()
	bubble(t, 1, func(t *testing.T, g *gateway) {
		g.faults(1, 0, 0)
		body := noise(250 << 10)
		a := g.begin("PUT", "/", body, nil)
		g.faults(0, 0, 0)
		g.early = []map[string]any{a.request[2], a.request[0]}
		g.link(g.config(&Config{}))
		synctest.Wait()
		if g.state(a).heads != 0 {
			t.Error("half a request was answered")
		}
		g.postNow(a.request[1])
		if _, got, err := g.finish(t.Context(), a); err != nil || !bytes.Equal(got, body) || g.state(a).asked != 0 {
			t.Errorf("%d bytes came back, %d times asked: %v", len(got), g.state(a).asked, err)
		}
	})
}

func TestContradictingParts(t *testing.T) {
	t.Parallel()
	bubble(t, 1, func(t *testing.T, g *gateway) {
		cfg := g.config(&Config{Handler: func(wire.Exchange) { t.Error("it was served") }})
		g.link(cfg)
		for name, spoil := range map[string]func(a *ask){
			"after the last": func(a *ask) { a.request[1]["last"] = true },
			"far away":       func(a *ask) { a.request[2]["seq"] = 5000 },
			"no number":      func(a *ask) { a.request[2]["seq"] = 0 },
			"not its size":   func(a *ask) { a.request[0]["body_size"] = 5 },
			"no base64":      func(a *ask) { a.request[1]["body"] = "*" },
		} {
			g.faults(1, 0, 0)
			a := g.begin("PUT", "/", noise(250<<10), nil)
			g.faults(0, 0, 0)
			spoil(a)
			for _, m := range a.request {
				g.postNow(m)
			}
			pass(time.Minute)
			if g.state(a).failed["code"] != "invalid_request" {
				t.Errorf("%s: failed with %v", name, g.state(a).failed)
			}
		}
		if n := cfg.board.buffered.Load(); n != 0 {
			t.Errorf("%d bytes are still counted", n)
		}
	})
}

// What a backend sends of bodies that never become whole is bounded.
func TestArrivalsAreBounded(t *testing.T) {
	t.Parallel()
	bubble(t, 1, func(t *testing.T, g *gateway) {
		cfg := g.config(&Config{Handler: func(wire.Exchange) { t.Error("it was served") }})
		g.link(cfg)
		const room = 250 << 10
		cfg.board.buffered.Add(maxBuffered - room)
		body := base64.StdEncoding.EncodeToString(noise(90 << 10))
		var asks []*ask
		for i := range 3 {
			a := &ask{id: fmt.Sprint("x", i), news: make(chan struct{}, 1), last: -1}
			g.asks[a.id] = a
			asks = append(asks, a)
			g.postNow(map[string]any{"type": "chunk", "request_id": a.id, "seq": 1, "body": body})
		}
		synctest.Wait()
		if n := cfg.board.buffered.Load(); n > maxBuffered || g.state(asks[2]).failed["code"] != "local_service_unavailable" || g.state(asks[0]).heads+g.state(asks[1]).heads > 0 {
			t.Errorf("%d bytes are kept, the last request failed with %v", n, g.state(asks[2]).failed)
		}
		for i := range maxArrivals {
			g.mu.Lock()
			g.asks[fmt.Sprint("y", i)] = &ask{news: make(chan struct{}, 1)}
			g.mu.Unlock()
			g.postNow(map[string]any{"type": "chunk", "request_id": fmt.Sprint("y", i), "seq": 1, "body": "YQ=="})
		}
		synctest.Wait()
		if n := len(cfg.board.arrives); n != maxArrivals {
			t.Errorf("%d requests arrive", n)
		}
		pass(time.Minute)
		if n := cfg.board.buffered.Load(); n != maxBuffered-room {
			t.Errorf("%d bytes were not given back", n-(maxBuffered-room))
		}
	})
}

func TestAnswersAreKept(t *testing.T) {
	t.Parallel()
	bubble(t, 1, func(t *testing.T, g *gateway) {
		cfg := g.config(&Config{Handler: func(x wire.Exchange) {
			if x.Request().Target == "/fails" {
				x.Reset(wire.ResetUnavailable, "down")
				return
			}
			echo(x)
		}})
		g.link(cfg)
		body := noise(300 << 10)
		a := g.begin("PUT", "/", body, nil)
		failing := g.begin("GET", "/fails", nil, nil)
		synctest.Wait()
		for range 2 {
			g.recount(a)
			g.postNow(map[string]any{"type": "resend", "request_id": a.id, "seqs": []int{0, 2}})
			g.postNow(map[string]any{"type": "resend", "request_id": failing.id, "from": 0})
			pass(14 * time.Second)
			if g.state(a).resent != 2 {
				t.Errorf("%d parts came again, want 2", g.state(a).resent)
			}
		}
		g.postNow(map[string]any{"type": "resend", "request_id": a.id, "from": 1})
		synctest.Wait()
		if g.state(a).resent != 2+3 || g.state(failing).resent != 2 || g.state(failing).heads != 3 {
			t.Errorf("%d parts came again, the error %d times", g.state(a).resent, g.state(failing).resent)
		}
		pass(2*time.Second + 1) // 30 s after the answer
		if len(cfg.board.kept.answers) != 0 || cfg.board.kept.size != 0 {
			t.Errorf("%d answers are kept", len(cfg.board.kept.answers))
		}
		g.postNow(map[string]any{"type": "resend", "request_id": a.id, "from": 0})
		synctest.Wait()
		if g.state(a).resent != 5 || g.state(a).asked != 0 {
			t.Error("an answer was kept for too long")
		}
	})
}

func TestKeptAnswersAreBounded(t *testing.T) {
	t.Parallel()
	var k kept
	large := &wire.HTTPResponse{Body: make([]byte, keepBytes/4)}
	for i := range 9 {
		k.put(newAnswer(fmt.Sprint(i), "t", []any{large}))
	}
	if len(k.answers) != 3 || k.size > keepBytes || k.find("5") != nil || k.find("6") == nil {
		t.Errorf("%d large answers of %d bytes", len(k.answers), k.size)
	}
	for range 3 * keepBytes / keepCost {
		k.put(newAnswer("s", "t", []any{&wire.ErrorMessage{}}))
	}
	if len(k.answers) > keepBytes/keepCost || k.size > keepBytes {
		t.Errorf("%d small answers of %d bytes", len(k.answers), k.size)
	}
}

// A message that API Gateway's function did not take is offered again.
func TestKeptAnswersAreOfferedAgain(t *testing.T) {
	t.Parallel()
	bubble(t, 1, func(t *testing.T, g *gateway) {
		g.link(g.config(&Config{}))
		old := g.begin("GET", "/", nil, nil)
		pass(6 * time.Second)
		young := g.begin("PUT", "/", noise(200<<10), nil)
		synctest.Wait()
		var injected map[string]any
		if err := json.Unmarshal([]byte(gatewayTimeout), &injected); err != nil {
			t.Fatal(err)
		}
		g.postNow(injected)
		g.postNow(injected)
		synctest.Wait()
		if g.state(old).heads != 1 || g.state(young).heads != 2 || g.state(young).resent != 0 {
			t.Errorf("answers came %d and %d times, %d marked", g.state(old).heads, g.state(young).heads, g.state(young).resent)
		}
	})
}

func TestCancel(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"cancel", "error"} {
		bubble(t, 1, func(t *testing.T, g *gateway) {
			ended := make(chan struct{})
			g.link(g.config(&Config{Handler: func(x wire.Exchange) {
				<-x.Context().Done()
				if x.WriteHead(&wire.ResponseHead{Status: 200}, true) == nil {
					t.Error("writing goes on")
				}
				x.Reset(wire.ResetInternal, "too late")
				close(ended)
			}}))
			a := g.begin("GET", "/", nil, nil)
			synctest.Wait()
			g.postNow(map[string]any{"type": kind, "request_id": a.id, "code": "timeout", "message": "m"})
			<-ended
			g.postNow(map[string]any{"type": kind, "request_id": "never", "code": "timeout", "message": "m"})
			g.postNow(map[string]any{"type": "resend", "request_id": a.id, "from": 0})
			pass(time.Minute)
			if g.state(a).heads != 0 {
				t.Errorf("%s: something was said about it: %v %v", kind, g.state(a).head, g.state(a).failed)
			}
		})
	}
}

func TestCancelOfAnArrival(t *testing.T) {
	t.Parallel()
	bubble(t, 1, func(t *testing.T, g *gateway) {
		cfg := g.config(&Config{Handler: func(wire.Exchange) { t.Error("it was served") }})
		g.link(cfg)
		g.faults(1, 0, 0)
		a := g.begin("PUT", "/", noise(250<<10), nil)
		g.faults(0, 0, 0)
		g.postNow(a.request[1])
		g.postNow(map[string]any{"type": "cancel", "request_id": a.id})
		g.postNow(a.request[0])
		g.postNow(a.request[2])
		pass(time.Minute)
		if g.state(a).heads+g.state(a).asked != 0 || cfg.board.buffered.Load() != 0 {
			t.Errorf("%d answers, %d resends, %d bytes", g.state(a).heads, g.state(a).asked, cfg.board.buffered.Load())
		}
	})
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ms   int
		want time.Duration
	}{{0, 27 * time.Second}, {5000, 5 * time.Second}, {60_000, 27 * time.Second}} {
		bubble(t, 1, func(t *testing.T, g *gateway) {
			g.link(g.config(&Config{Handler: func(x wire.Exchange) { <-x.Context().Done() }}))
			start := time.Now()
			_, _, err := g.visit("GET", "/", nil, map[string]any{"timeout_ms": c.ms})
			if err == nil || !strings.HasPrefix(err.Error(), "timeout: no whole answer within") || time.Since(start) != c.want {
				t.Errorf("%d ms: after %v: %v", c.ms, time.Since(start), err)
			}
		})
	}
}

// Why the time was over reaches those who reset the exchange before link does.
func TestTimeoutIsTheCause(t *testing.T) {
	t.Parallel()
	bubble(t, 1, func(t *testing.T, g *gateway) {
		g.link(g.config(&Config{Handler: func(x wire.Exchange) {
			<-x.Context().Done()
			var cause *wire.ResetError
			if !errors.As(context.Cause(x.Context()), &cause) {
				x.Reset(wire.ResetCancel, "no cause")
				return
			}
			x.Reset(cause.Code, cause.Message)
		}}))
		for ms, want := range map[int]string{0: "27s", 1500: "1.5s"} {
			_, _, err := g.visit("GET", "/", nil, map[string]any{"timeout_ms": ms})
			if err == nil || err.Error() != "timeout: no whole answer within "+want {
				t.Errorf("%d ms: %v", ms, err)
			}
		}
	})
}

// Heartbeats show the token, and come often enough.
func TestHeartbeatShowsTheSession(t *testing.T) {
	t.Parallel()
	bubble(t, 1, func(t *testing.T, g *gateway) {
		g.link(g.config(&Config{}))
		pass(4*time.Minute + time.Second)
		g.mu.Lock()
		n := g.pings
		g.mu.Unlock()
		if n == 0 {
			t.Error("no ping after 4 minutes")
		}
		pass(time.Hour) // the gateway complains about 10 idle minutes
	})
}

// A backend that takes the session token no more is left, however busy it is.
func TestHeartbeatWantsAPong(t *testing.T) {
	t.Parallel()
	for _, deaf := range []bool{true, false} {
		bubble(t, 1, func(t *testing.T, g *gateway) {
			l, _ := g.link(g.config(&Config{}))
			synctest.Wait()
			g.mu.Lock()
			g.deaf = deaf
			g.mu.Unlock()
			over := false
			for range 5 * 60 { // a visitor every second
				g.begin("GET", "/", nil, nil)
				pass(time.Second)
				select {
				case <-l.done:
					over = true
				default:
				}
			}
			if over != deaf {
				t.Errorf("left: %t, pings answered: %t", over, !deaf)
			}
		})
	}
}
