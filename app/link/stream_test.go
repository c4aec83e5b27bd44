package link

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"culvert/backend/wire"
)

// streaming asks for a stream with a window of 8.
var streaming = map[string]any{"stream": true, "credit": 8}

// consume takes a stream as a backend would: it gives credit as parts are there in
// order, and repeats the latest when it gets one twice. It ends like finish.
func (g *gateway) consume(ctx context.Context, a *ask, window int) ([]byte, error) {
	credit := func(n int) {
		g.wg.Go(func() { g.post(map[string]any{"type": "credit", "request_id": a.id, "upto": n}) })
	}
	g.mu.Lock()
	a.credits = window
	a.twice = func(int) { credit(a.credits) }
	g.mu.Unlock()
	wait := 500 * time.Millisecond
	for {
		g.mu.Lock()
		whole, missing := a.wholeLocked()
		next := 0
		for a.parts[next] != nil {
			next++
		}
		if upto := next - 1 + window; upto > a.credits {
			a.credits = upto
			credit(upto)
		}
		for seq := range a.parts {
			if seq > a.credits {
				g.t.Errorf("chunk %d came, and only %d were allowed", seq, a.credits)
			}
		}
		failed := a.failed
		g.mu.Unlock()
		switch {
		case failed != nil:
			return whole, fmt.Errorf("%v: %v", failed["code"], failed["message"])
		case missing == nil:
			return whole, nil
		}
		select {
		case <-a.news:
			wait = 500 * time.Millisecond
		case <-time.After(wait):
			wait *= 3
			missing["type"], missing["request_id"] = "resend", a.id
			g.post(missing)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// pouring writes total bytes of body and then ends.
func pouring(body []byte, length int64, part int) func(wire.Exchange) {
	return func(x wire.Exchange) {
		if x.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: length}, false) != nil {
			return
		}
		for len(body) > 0 {
			n := min(part, len(body))
			if _, err := x.Write(body[:n]); err != nil {
				return
			}
			body = body[n:]
		}
		_ = x.CloseWrite(nil)
	}
}

func TestStreamsOverAHostileGateway(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			bubble(t, seed, func(t *testing.T, g *gateway) {
				body := noise(2 << 20)
				cfg := g.config(&Config{Handler: func(x wire.Exchange) {
					length := int64(-1)
					if x.Request().Target == "/sized" {
						length = int64(len(body))
					}
					pouring(body, length, 40_000)(x)
				}})
				g.link(cfg)
				g.faults(0.1, 0.2, 100*time.Millisecond)
				for _, target := range []string{"/sized", "/"} {
					ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
					got, err := g.consume(ctx, g.begin("GET", target, nil, streaming), 8)
					cancel()
					if err != nil || !bytes.Equal(got, body) {
						t.Errorf("%s: %d of %d bytes came: %v", target, len(got), len(body), err)
					}
				}
				synctest.Wait()
				if n := cfg.board.buffered.Load(); n != 0 {
					t.Errorf("%d bytes are still counted", n)
				}
			})
		})
	}
}

// Every pause of the service sends what there is; the head comes before anything.
func TestStreamFlushes(t *testing.T) {
	t.Parallel()
	bubble(t, 1, func(t *testing.T, g *gateway) {
		step := make(chan string)
		g.link(g.config(&Config{Handler: func(x wire.Exchange) {
			_ = x.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: -1}, false)
			for text := range step {
				_, _ = x.Write([]byte(text))
			}
			_ = x.CloseWrite(nil)
		}}))
		a := g.begin("GET", "/events", nil, streaming)
		synctest.Wait()
		if g.state(a).head["more"] != true || g.state(a).head["body_size"] != nil || g.state(a).head["body"] != "" {
			t.Errorf("head = %v", g.state(a).head)
		}
		for i, text := range []string{"one", "two", "three"} {
			pass(time.Hour / 60)
			step <- text[:1]
			step <- text[1:]
			pass(gatherFor)
			synctest.Wait()
			if got := string(g.state(a).parts[i+1]); got != text {
				t.Errorf("chunk %d = %q, want %q", i+1, got, text)
			}
		}
		close(step)
		synctest.Wait()
		if g.state(a).last != 4 || len(g.state(a).parts[4]) != 0 {
			t.Errorf("the last chunk is %d: %q", g.state(a).last, g.state(a).parts[4])
		}
	})
}

// An answer whose length is known needs no empty chunk to end; one without a body
// has no chunk at all.
func TestStreamsThatEndByThemselves(t *testing.T) {
	t.Parallel()
	bubble(t, 1, func(t *testing.T, g *gateway) {
		g.link(g.config(&Config{Handler: func(x wire.Exchange) {
			switch x.Request().Target {
			case "/sized":
				pouring([]byte("hello"), 5, 5)(x)
			case "/empty":
				pouring(nil, 0, 1)(x)
			case "/head":
				_ = x.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: 5}, true)
			case "/none":
				_ = x.WriteHead(&wire.ResponseHead{Status: 304, ContentLength: 5}, false)
				_ = x.CloseWrite(nil)
			}
		}}))
		for target, want := range map[string]int{"/sized": 1, "/empty": 0, "/head": 0, "/none": 0} {
			method := "GET"
			if target == "/head" {
				method = "HEAD"
			}
			a := g.begin(method, target, nil, streaming)
			pass(time.Second)
			if g.state(a).last != want || (g.state(a).head["more"] == true) != (want > 0) || g.state(a).failed != nil {
				t.Errorf("%s: last chunk %d, want %d; head %v, %v", target, g.state(a).last, want, g.state(a).head, g.state(a).failed)
			}
		}
	})
}

func TestStreamsThatFail(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		serve func(x wire.Exchange)
		want  string
	}{
		"broken off": {func(x wire.Exchange) {
			_ = x.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: -1}, false)
			_, _ = x.Write([]byte("half"))
			<-time.After(time.Second)
			x.Reset(wire.ResetInternal, "the service broke off")
		}, "internal_error: the service broke off"},
		"cut short":   {pouring([]byte("half"), 9, 4), "internal_error: the local service cut its answer short"},
		"too long":    {pouring([]byte("too long"), 3, 8), "internal_error: the body is longer than its head says"},
		"no answer":   {func(wire.Exchange) {}, "internal_error: the agent gave no answer"},
		"down":        {func(x wire.Exchange) { x.Reset(wire.ResetUnavailable, "down") }, "local_service_unavailable: down"},
		"never ended": {func(x wire.Exchange) { _ = x.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: -1}, false) }, "internal_error: the agent gave no answer"},
		"upgrade":     {func(x wire.Exchange) { _ = x.WriteHead(&wire.ResponseHead{Status: 101}, false) }, "internal_error:  needs a relay: this backend carries whole messages only"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, 1, func(t *testing.T, g *gateway) {
				cfg := g.config(&Config{Handler: c.serve})
				g.link(cfg)
				a := g.begin("GET", "/", nil, streaming)
				pass(2 * time.Second)
				if got := fmt.Sprintf("%v: %v", g.state(a).failed["code"], g.state(a).failed["message"]); got != c.want {
					t.Errorf("failed with %q, want %q", got, c.want)
				}
				chunks, heads := len(g.state(a).parts), g.state(a).heads
				g.postNow(map[string]any{"type": "resend", "request_id": a.id, "from": 0})
				synctest.Wait()
				if g.state(a).heads != 2*heads || g.state(a).resent != heads+max(0, chunks-1) {
					t.Errorf("%d heads and errors, %d parts came again, of %d and %d", g.state(a).heads, g.state(a).resent, heads, chunks)
				}
				if n := cfg.board.buffered.Load(); n != 0 {
					t.Errorf("%d bytes are still counted", n)
				}
			})
		})
	}
}

// A stream waits for credit, and says so; the service waits with it.
func TestStreamWaitsForCredit(t *testing.T) {
	t.Parallel()
	bubble(t, 1, func(t *testing.T, g *gateway) {
		body := noise(4 << 20)
		var written int
		g.link(g.config(&Config{Handler: func(x wire.Exchange) {
			_ = x.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: -1}, false)
			n, err := x.Write(body)
			written = n
			var reset *wire.ResetError
			if !errors.As(err, &reset) {
				t.Errorf("writing ends with %v", err)
			}
		}}))
		a := g.begin("GET", "/", nil, map[string]any{"stream": true, "credit": 2})
		var again []int
		g.mu.Lock()
		a.twice = func(n int) { again = append(again, n) }
		g.mu.Unlock()
		pass(time.Second)
		if len(g.state(a).parts) != 3 {
			t.Fatalf("%d parts came, want the head and 2", len(g.state(a).parts))
		}
		pass(29 * time.Second) // 2, 4, 8 and 16 s: three repetitions and a bit
		if fmt.Sprint(again) != "[2 2 2 2]" && fmt.Sprint(again) != "[2 2 2]" || g.state(a).resent != len(again) {
			t.Errorf("%v came again, %d with the mark", again, g.state(a).resent)
		}
		g.postNow(map[string]any{"type": "credit", "request_id": a.id, "upto": 5})
		pass(time.Second)
		if len(g.state(a).parts) != 6 {
			t.Errorf("%d parts came, want the head and 5", len(g.state(a).parts))
		}
		g.recount(a)
		g.postNow(map[string]any{"type": "resend", "request_id": a.id, "from": 1})
		synctest.Wait()
		if g.state(a).resent != 2 { // 5 - 2 = 3 are known to have arrived
			t.Errorf("%d parts came again, want 4 and 5", g.state(a).resent)
		}
		g.postNow(map[string]any{"type": "credit", "request_id": a.id, "upto": 3}) // late
		synctest.Wait()
		if len(g.state(a).parts) != 6 {
			t.Errorf("%d parts came after a late credit", len(g.state(a).parts))
		}
		pass(6 * time.Minute)
		if g.state(a).failed["code"] != "internal_error" || !strings.Contains(g.state(a).failed["message"].(string), "no data for too long") {
			t.Errorf("failed with %v", g.state(a).failed)
		}
		if limit := 7 * wire.MaxPart; written > limit {
			t.Errorf("%d bytes were taken from the service, want at most %d", written, limit)
		}
	})
}

func TestStreamIsCancelled(t *testing.T) {
	t.Parallel()
	bubble(t, 1, func(t *testing.T, g *gateway) {
		var ends []error
		cfg := g.config(&Config{Handler: func(x wire.Exchange) {
			_ = x.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: -1}, false)
			_, err := io.Copy(struct{ io.Writer }{x}, zeros{})
			ends = append(ends, err)
		}})
		g.link(cfg)
		a := g.begin("GET", "/", nil, streaming)
		pass(time.Second)
		g.postNow(map[string]any{"type": "cancel", "request_id": a.id})
		pass(time.Minute)
		if len(ends) != 1 || g.state(a).heads != 1 || g.state(a).failed != nil || cfg.board.buffered.Load() != 0 || cfg.board.underway.Load() != 0 {
			t.Errorf("ended %v, %d heads, failed with %v, %d bytes counted", ends, g.state(a).heads, g.state(a).failed, cfg.board.buffered.Load())
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// Time limits of a stream: its own, not the one for whole answers.
func TestStreamOutlivesAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ms   int
		want time.Duration
	}{{600_000, 10 * time.Minute}, {0, maxStream}} {
		bubble(t, 1, func(t *testing.T, g *gateway) {
			var lived time.Duration
			g.link(g.config(&Config{Handler: func(x wire.Exchange) {
				start := time.Now()
				_ = x.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: -1}, false)
				<-x.Context().Done()
				lived = time.Since(start)
			}}))
			a := g.begin("GET", "/", nil, map[string]any{"stream": true, "credit": 8, "timeout_ms": c.ms})
			pass(c.want + time.Second)
			if lived != c.want || g.state(a).failed["code"] != "timeout" {
				t.Errorf("%d ms: lived for %v, failed with %v", c.ms, lived, g.state(a).failed)
			}
		})
	}
}

// Streams that could take more memory than there is are refused.
func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	bubble(t, 1, func(t *testing.T, g *gateway) {
		cfg := g.config(&Config{Handler: func(x wire.Exchange) { <-x.Context().Done() }})
		g.link(cfg)
		fit := int(maxBuffered / streamCost(64))
		var refused int
		for range fit + 3 {
			a := g.begin("GET", "/", nil, map[string]any{"stream": true, "credit": 64})
			synctest.Wait()
			if g.state(a).failed["code"] == "local_service_unavailable" {
				refused++
			}
		}
		if refused != 3 {
			t.Errorf("%d refused of %d, want 3", refused, fit+3)
		}
	})
}

func TestSendingWithoutAConnection(t *testing.T) {
	t.Parallel()
	bubble(t, 1, func(t *testing.T, g *gateway) {
		slow := make(chan struct{})
		body := noise(2 << 20)
		cfg := g.config(&Config{Handler: func(x wire.Exchange) {
			switch x.Request().Target {
			case "/whole":
				<-slow
				pouring(body, int64(len(body)), 1<<20)(x)
			case "/stream":
				pouring(body[:1<<20], -1, 1<<10)(x)
			case "/forever":
				<-x.Context().Done()
			}
		}})
		_, stop := g.link(cfg)
		whole := g.begin("GET", "/whole", nil, nil)
		stream := g.begin("GET", "/stream", nil, streaming)
		forever := g.begin("GET", "/forever", nil, map[string]any{"stream": true, "credit": 8})
		pass(time.Second)
		stop()
		synctest.Wait()
		if cfg.board.underway.Load() != 3 {
			t.Errorf("%d requests go on without a connection, want 3", cfg.board.underway.Load())
		}
		close(slow)
		pass(20 * time.Second)
		if g.state(whole).heads != 0 {
			t.Error("there was no connection")
		}
		_, stop = g.link(cfg)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, got, err := g.finish(ctx, whole); err != nil || !bytes.Equal(got, body) || g.state(whole).resent != 0 {
			t.Errorf("the whole answer: %d bytes, %d parts asked for: %v", len(got), g.state(whole).resent, err)
		}
		if got, err := g.consume(ctx, stream, 8); err != nil || !bytes.Equal(got, body[:1<<20]) {
			t.Errorf("the stream: %d bytes: %v", len(got), err)
		}
		stop()
		pass(aloneFor - time.Second)
		if cfg.board.underway.Load() != 1 {
			t.Error("the last request was given up early")
		}
		pass(2 * time.Second)
		if cfg.board.underway.Load() != 0 || g.state(forever).heads != 0 {
			t.Error("the last request goes on without a connection")
		}
	})
}

func TestSettleEndsEverything(t *testing.T) {
	t.Parallel()
	bubble(t, 1, func(t *testing.T, g *gateway) {
		var ended atomic.Int64
		cfg := g.config(&Config{Handler: func(x wire.Exchange) {
			<-x.Context().Done()
			ended.Add(1)
		}})
		for range 2 { // as good as new
			l, stop := g.link(cfg)
			g.begin("GET", "/", nil, streaming)
			g.begin("GET", "/", nil, nil)
			g.faults(1, 0, 0)
			a := g.begin("PUT", "/", noise(200<<10), nil)
			g.faults(0, 0, 0)
			g.postNow(a.request[0])
			synctest.Wait()
			stop()
			l.Settle()
			l.Settle()
		}
		if ended.Load() != 4 || cfg.board.buffered.Load() != 0 || cfg.board.underway.Load() != 0 || len(cfg.board.arrives)+len(cfg.board.open) != 0 {
			t.Errorf("%d of 4 handlers ended, %d bytes, %d under way", ended.Load(), cfg.board.buffered.Load(), cfg.board.underway.Load())
		}
	})
}
