package visitors

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"culvert/backend/lambda/timer"
	"culvert/backend/wire"
)

// counted makes an agent's service count, and take its time.
func (a *fakeAgent) counted(d time.Duration) func() int {
	n := 0
	serve := a.serve
	a.serve = func(ctx context.Context, r *wire.HTTPRequest) *wire.HTTPResponse {
		a.mu.Lock()
		n++
		a.mu.Unlock()
		_ = timer.Wait(ctx, d)
		return serve(ctx, r)
	}
	return func() int {
		a.mu.Lock()
		defer a.mu.Unlock()
		return n
	}
}

// loseRequests has the messages of requests to a connection get lost, so many times.
func (w *world) loseRequests(conn string, n int) {
	w.loseTo = func(to string, text []byte) bool {
		if lost := to == conn && n > 0 && (strings.Contains(string(text), `"http_request"`) || strings.Contains(string(text), `"chunk"`)); !lost {
			return false
		}
		n--
		return true
	}
}

// A request that was lost on its way is posted again, to nobody but the process that
// it was posted to: whoever else has the tunnel does not know what that one has served.
func TestLostRequests(t *testing.T) {
	const all = 1 << 20
	second := func(w *world, instance string) *fakeAgent {
		b := *w.agent(everything...)
		b.requests, b.kept, b.upto = map[string]*pendingRequest{}, map[string][]any{}, map[string]int{}
		b.instance = instance
		return &b
	}
	for _, c := range []struct {
		name    string
		maxWait time.Duration
		size    int
		between func(w *world, a *fakeAgent) (other *fakeAgent) // 100 ms after the request was posted
		lost    int
		named   bool
		status  int
		most    time.Duration
	}{
		{name: "pushed", lost: 1, named: true, status: 200, most: 600 * ms},
		{name: "stored", lost: 1, status: 200, most: 800 * ms},
		{name: "in parts, all lost", size: 300_000, lost: 4, named: true, status: 200, most: 800 * ms},
		{name: "in parts, head lost", size: 300_000, lost: 1, named: true, status: 200, most: 2200 * ms},
		{name: "all copies", lost: 3, named: true, status: 504, most: 28 * time.Second},
		{name: "no time left", maxWait: 1400 * ms, lost: 1, named: true, status: 504, most: 1400 * ms},
		{name: "just time left", maxWait: 1600 * ms, lost: 1, named: true, status: 200, most: 600 * ms},
		// The connection hangs, and takes everything; the session has another one.
		{name: "same process, another connection", lost: all, named: true, status: 200, most: 1600 * ms, between: func(w *world, a *fakeAgent) *fakeAgent {
			w.set(func() { w.loseTo = func(conn string, _ []byte) bool { return conn == agentConn } })
			a.connect("agent2=")
			return nil
		}},
		{name: "same process, first connection over", lost: 1, named: true, status: 200, most: 600 * ms, between: func(w *world, a *fakeAgent) *fakeAgent {
			a.connect("agent2=")
			w.set(func() { delete(w.agents, agentConn) })
			return nil
		}},
		{name: "nobody knows which process", lost: 1, named: true, status: 504, most: 28 * time.Second, between: func(w *world, a *fakeAgent) *fakeAgent {
			b := second(w, "")
			b.connect("agent2=")
			w.set(func() { delete(w.agents, agentConn) })
			return b
		}},
		{name: "another process", lost: 1, named: true, status: 502, most: 8 * time.Second, between: func(w *world, a *fakeAgent) *fakeAgent {
			b := second(w, "two")
			b.connect("agent2=")
			w.set(func() { delete(w.agents, agentConn) })
			return b
		}},
		{name: "another process, the first still connected", lost: 1, named: true, status: 200, most: 600 * ms, between: func(w *world, a *fakeAgent) *fakeAgent {
			b := second(w, "two")
			b.connect("agent2=")
			w.set(func() { w.agents[agentConn] = a.receive })
			return b
		}},
		{name: "another process asks", size: 300_000, lost: 4, named: true, status: 502, most: 8 * time.Second, between: func(w *world, a *fakeAgent) *fakeAgent {
			b := second(w, "two")
			b.connect("agent2=")
			w.set(func() { delete(w.agents, agentConn) })
			w.tasks.Go(func() {
				all := 0
				for range 10 {
					time.Sleep(450 * ms)
					w.mu.Lock()
					id := w.lastTurn.id
					w.mu.Unlock()
					b.emit(&wire.Resend{RequestID: id, From: &all, Session: b.session})
				}
			})
			return b
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(cfg *Config) { cfg.MaxWait = c.maxWait }, func(t *testing.T, w *world) {
				a := w.agent(everything...)
				served := a.counted(0)
				if c.named {
					w.named = waiterConn
				}
				w.loseRequests(agentConn, c.lost)
				var other *fakeAgent
				if c.between != nil {
					w.tasks.Go(func() {
						time.Sleep(100 * ms)
						other = c.between(w, a)
					})
				}
				body := noise(c.size, 1)
				start := time.Now()
				got := w.serve(postRequest("/shop/", body, ""))
				if took := time.Since(start); got.Status != c.status || took > c.most {
					t.Errorf("%d after %v, want %d", got.Status, took, c.status)
				}
				w.tasks.Wait()
				want := 0
				if c.status == 200 {
					want = 1
					if !bytes.Equal(got.Body, body) {
						t.Errorf("%d bytes came back", len(got.Body))
					}
				}
				if n := served(); n != want {
					t.Errorf("served %d times, want %d", n, want)
				}
				if n := len(gotOf[*wire.HTTPRequest](a)); n > 1+mostBegins {
					t.Errorf("posted %d times", n)
				}
				if other != nil {
					if n := len(gotOf[*wire.HTTPRequest](other)) + len(gotOf[*wire.Chunk](other)); n > 0 {
						t.Errorf("another process got %d messages of the request", n)
					}
				}
			})
		})
	}
}

// A first copy that is late, with copies of everything, does not reach the service twice.
func TestLateRequests(t *testing.T) {
	for _, late := range []time.Duration{0, 100 * ms, 499 * ms, 500 * ms, 501 * ms, 520 * ms, 540 * ms, 700 * ms, 3 * time.Second, time.Minute} {
		for _, size := range []int{0, 200_000} {
			t.Run(fmt.Sprint(late, " ", size), func(t *testing.T) {
				bubble(t, nil, func(t *testing.T, w *world) {
					w.reach = 20 * ms
					w.named = waiterConn
					a := w.agent(everything...)
					served := a.counted(50 * ms)
					first := true
					w.agents[agentConn] = func(text []byte) {
						held := false
						w.set(func() {
							held = first && strings.Contains(string(text), `"http_request"`)
							first = first && !held
						})
						if held {
							w.tasks.Go(func() {
								time.Sleep(late)
								a.receive(text)
							})
							return
						}
						a.receive(text)
						a.receive(text)
					}
					if got := w.serve(postRequest("/shop/", noise(size, 1), "")); got.Status != 200 {
						t.Errorf("status %d", got.Status)
					}
					w.tasks.Wait()
					if n := served(); n != 1 {
						t.Errorf("served %d times", n)
					}
				})
			})
		}
	}
}

// The time that an agent is told it has is what is left.
func TestTimeOfRequestsPostedAgain(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.named = waiterConn
		a := w.agent(everything...)
		w.loseRequests(agentConn, 1)
		w.serve(get("/shop/"))
		if m := gotOf[*wire.HTTPRequest](a); len(m) != 1 || m[0].TimeoutMS != 27_500 {
			t.Errorf("%d requests came: %+v", len(m), m)
		}
	})
}

// A stream that has not begun is no different.
func TestLostRequestOfAStream(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.named = waiterConn
		a := w.streamer(3, 10*ms, func(i int) []byte { return []byte{byte(i)} })
		served := a.counted(0)
		w.loseRequests(agentConn, 1)
		s := w.streamRequest(t, "/shop/events")
		b := new(bytes.Buffer)
		if _, err := b.ReadFrom(s.Body); err != nil || b.String() != "\x01\x02\x03" || served() != 1 {
			t.Errorf("%q, served %d times: %v", b.String(), served(), err)
		}
		s.Body.Close()
	})
}
