package link

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"culvert/backend/wire"
)

// tally counts how often the local service was asked for what.
type tally struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *tally) echo(x wire.Exchange) {
	c.mu.Lock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[x.Request().Target]++
	c.mu.Unlock()
	echo(x)
}

func (c *tally) of(target string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[target]
}

// within is finish, as long as a visitor waits.
func (g *gateway) within(a *ask) (head map[string]any, body []byte, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 28*time.Second)
	defer cancel()
	return g.finish(ctx, a)
}

// unsent begins a request whose messages all get lost.
func (g *gateway) unsent(method, uri string, body []byte) *ask {
	g.faults(1, 0, 0)
	defer g.faults(0, 0, 0)
	return g.begin(method, uri, body, nil)
}

// Asked for the answer to a request, an agent that has never seen it asks for all of
// the request; whatever it has seen before, in whatever way, it does not.
func TestAsksForRequestsThatHaveNeverCome(t *testing.T) {
	t.Parallel()
	resend := func(a *ask) map[string]any {
		return map[string]any{"type": "resend", "request_id": a.id, "from": 0}
	}
	large := noise(250 << 10)
	for _, c := range []struct {
		name  string
		body  []byte
		first func(g *gateway, cfg *Config, a *ask) // what happens before
		ask   func(a *ask) map[string]any
		asked int
	}{
		{name: "never come", asked: 1},
		{name: "in parts, none has come", body: large, asked: 1},
		{name: "asked for by number", asked: 1, ask: func(a *ask) map[string]any {
			return map[string]any{"type": "resend", "request_id": a.id, "seqs": []int{0}}
		}},
		{name: "the backend has its head", ask: func(a *ask) map[string]any {
			return map[string]any{"type": "resend", "request_id": a.id, "from": 1}
		}},
		{name: "being served", first: func(g *gateway, _ *Config, a *ask) { g.postNow(a.request[0]) }},
		{name: "just answered", first: func(g *gateway, _ *Config, a *ask) { g.postNow(a.request[0]); pass(10 * time.Second) }},
		{name: "answered, and forgotten", first: func(g *gateway, _ *Config, a *ask) { g.postNow(a.request[0]); pass(time.Hour) }},
		{name: "cancelled before", first: func(g *gateway, _ *Config, a *ask) {
			g.postNow(map[string]any{"type": "cancel", "request_id": a.id})
		}},
		{name: "given up before", first: func(g *gateway, _ *Config, a *ask) {
			g.postNow(map[string]any{"type": "error", "request_id": a.id, "code": "timeout", "message": "m"})
		}},
		{name: "unreadable", first: func(g *gateway, _ *Config, a *ask) {
			g.postNow(map[string]any{"type": "http_request", "request_id": a.id, "body": 5})
			pass(time.Minute)
		}},
		{name: "a part has come", body: large, first: func(g *gateway, _ *Config, a *ask) { g.postNow(a.request[1]) }},
		{name: "too many came meanwhile", first: func(_ *gateway, cfg *Config, _ *ask) {
			for i := range seenMax + 1 {
				cfg.board.seen.first(fmt.Sprint("other", i))
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, 1, func(t *testing.T, g *gateway) {
				var served tally
				cfg := g.config(&Config{Handler: func(x wire.Exchange) {
					time.Sleep(5 * time.Second)
					served.echo(x)
				}})
				g.link(cfg)
				a := g.unsent("PUT", "/", c.body)
				keep := a.request
				if c.first != nil {
					c.first(g, cfg, a)
					synctest.Wait()
				}
				g.mu.Lock()
				a.request = nil // what is asked for does not come
				g.mu.Unlock()
				if c.ask == nil {
					c.ask = resend
				}
				for i := range 2 {
					g.postNow(c.ask(a))
					synctest.Wait()
					if n := g.state(a).asked; n != c.asked*(i+1) {
						t.Errorf("asked %d times for the request after %d times for its answer", n, i+1)
					}
				}
				if c.asked == 0 {
					return
				}
				for range 2 { // it comes after all, and what was asked for as well
					for _, m := range keep {
						g.postNow(m)
					}
				}
				g.mu.Lock()
				a.request = keep
				g.mu.Unlock()
				if _, got, err := g.within(a); err != nil || !bytes.Equal(got, c.body) || served.of("/") != 1 {
					t.Errorf("%d bytes came back, served %d times: %v", len(got), served.of("/"), err)
				}
			})
		})
	}
}

// A request whose first copy is lost, or late, reaches the local service once, and its
// answer the visitor.
func TestLostRequests(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1000, 250 << 10} {
		for name, late := range map[string]time.Duration{
			"lost": 0, "before the ask": 100 * time.Millisecond, "with the ask": 500 * time.Millisecond,
			"with the second copy": 510 * time.Millisecond, "after the answer": 3 * time.Second, "an hour later": time.Hour,
		} {
			t.Run(fmt.Sprintf("%d bytes %s", size, name), func(t *testing.T) {
				t.Parallel()
				bubble(t, 1, func(t *testing.T, g *gateway) {
					var served tally
					g.link(g.config(&Config{Handler: served.echo}))
					body := noise(size)
					a := g.unsent("PUT", "/", body)
					if late > 0 {
						g.wg.Go(func() {
							time.Sleep(late)
							for _, m := range a.request {
								g.postNow(m)
							}
						})
					}
					g.faults(0, 1, 20*time.Millisecond) // everything twice
					start := time.Now()
					_, got, err := g.within(a)
					if took := time.Since(start); err != nil || !bytes.Equal(got, body) || took > time.Second {
						t.Errorf("%d bytes came back after %v: %v", len(got), took, err)
					}
					pass(2 * time.Hour)
					if n := served.of("/"); n != 1 {
						t.Errorf("served %d times", n)
					}
				})
			})
		}
	}
}

// What comes after its own cancel, as it may where no order is kept, is not served.
func TestCancelOvertakesItsRequest(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"cancel", "error"} {
		for _, body := range [][]byte{nil, noise(250 << 10)} {
			bubble(t, 1, func(t *testing.T, g *gateway) {
				g.link(g.config(&Config{Handler: func(wire.Exchange) { t.Errorf("%s: it was served", kind) }}))
				a := g.unsent("PUT", "/", body)
				g.postNow(map[string]any{"type": kind, "request_id": a.id, "code": "timeout", "message": "m"})
				for _, m := range a.request {
					g.postNow(m)
				}
				pass(time.Minute)
				if g.state(a).heads+g.state(a).asked != 0 {
					t.Errorf("%s: %d answers, %d asks", kind, g.state(a).heads, g.state(a).asked)
				}
			})
		}
	}
}

// A session asks on its newest connection, and remembers what came on the others.
func TestAsksAcrossConnections(t *testing.T) {
	t.Parallel()
	bubble(t, 1, func(t *testing.T, g *gateway) {
		var served tally
		cfg := g.config(&Config{Handler: served.echo})
		_, stop := g.link(cfg)
		old := g.begin("GET", "/old", nil, nil)
		synctest.Wait()
		g.link(cfg)
		lost := g.unsent("GET", "/lost", nil)
		g.mu.Lock()
		first := g.conns[0]
		g.mu.Unlock()
		g.write(first, map[string]any{"type": "resend", "request_id": lost.id, "from": 0})
		synctest.Wait()
		if g.state(lost).asked != 1 || served.of("/lost") != 1 {
			t.Errorf("asked %d times, served %d times", g.state(lost).asked, served.of("/lost"))
		}
		stop()
		pass(time.Minute) // the answer is not kept any more
		for range 2 {
			g.postNow(old.request[0])
			g.postNow(map[string]any{"type": "resend", "request_id": old.id, "from": 0})
			synctest.Wait()
		}
		if g.state(old).asked != 0 || served.of("/old") != 1 {
			t.Errorf("the first connection's: asked %d times, served %d times", g.state(old).asked, served.of("/old"))
		}
	})
}
