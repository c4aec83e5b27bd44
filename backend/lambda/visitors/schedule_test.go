package visitors

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"culvert/backend/lambda/event"
	"culvert/backend/wire"
)

// costs are what a request made and took.
type costs struct {
	Reads, ConsistentReads, Posts, Resends int
	Took                                   time.Duration
	Status                                 int
}

func (w *world) costs(r *event.Request) costs {
	w.t.Helper()
	w.resetCounts()
	before, start := w.metricOf("Resends"), time.Now()
	status := w.serve(r).Status
	return costs{
		Reads: w.counted("reads"), ConsistentReads: w.counted("consistent reads"), Posts: w.counted("posts"),
		Resends: int(w.metricOf("Resends") - before), Took: time.Since(start), Status: status,
	}
}

const ms = time.Millisecond

// What a request costs, exactly: every one of these numbers is on a bill.
func TestCosts(t *testing.T) {
	late := func(w *world) { w.lose = func([]byte) bool { return true } }
	// loses has so many requests get lost on their way, and so many asks of the agent.
	loses := func(requests int, asks ...int) func(*world) {
		return func(w *world) {
			w.loseTo = func(_ string, text []byte) bool {
				lost := requests > 0 && strings.Contains(string(text), `"http_request"`)
				if lost {
					requests--
				}
				return lost
			}
			w.lose = func(text []byte) bool {
				lost := len(asks) > 0 && asks[0] > 0 && strings.Contains(string(text), `"resend"`)
				if lost {
					asks[0]--
				}
				return lost
			}
		}
	}
	for _, c := range []struct {
		name    string
		caps    []wire.Capability
		named   bool
		mean    time.Duration
		service time.Duration
		prepare func(*world)
		want    costs
	}{
		// Pushed: no read at all, however long it takes within the usual.
		{"pushed", everything, true, 0, 150 * ms, nil, costs{Posts: 1, Took: 150 * ms, Status: 200}},
		{"pushed, as late as it may be", everything, true, 0, 499 * ms, nil, costs{Posts: 1, Took: 499 * ms, Status: 200}},
		{"pushed, known to be slow", everything, true, 3 * time.Second, 11 * time.Second, nil, costs{Posts: 1, Took: 11 * time.Second, Status: 200}},
		{"pushed, original agent", nil, true, 0, 499 * ms, nil, costs{Posts: 1, Took: 499 * ms, Status: 200}},
		// Slower than known: the store is looked at, and the agent asked, at 0.5 s, 1.5 s, …
		{"pushed, unexpectedly slow", everything, true, 0, 900 * ms, nil, costs{Reads: 1 + 3, Posts: 2, Resends: 1, Took: 900 * ms, Status: 200}},
		{"pushed, very slow", everything, true, 0, 10 * time.Second, nil, costs{Reads: 23, Posts: 4, Resends: 3, Took: 10 * time.Second, Status: 200}},
		{"pushed, slow, original agent", nil, true, 0, 4 * time.Second, nil, costs{Reads: 4, Posts: 1, Took: 4 * time.Second, Status: 200}},
		// Accepted, and lost: the agent is asked, and answers by the store.
		{"push lost", everything, true, 0, 150 * ms, late, costs{Reads: 1 + 1, Posts: 2, Resends: 1, Took: 620 * ms, Status: 200}},
		{"push lost, known to be slow", everything, true, time.Second, time.Second, late, costs{Reads: 2, Posts: 2, Resends: 1, Took: 4120 * ms, Status: 200}},
		// The request itself was lost: asked for its answer, the agent asks for it.
		{"request lost", everything, true, 0, 150 * ms, loses(1), costs{Reads: 1, Posts: 3, Resends: 1, Took: 650 * ms, Status: 200}},
		{"request lost twice", everything, true, 0, 150 * ms, loses(2), costs{Reads: 2, Posts: 5, Resends: 2, Took: 1150 * ms, Status: 200}},
		{"request lost, and the ask for it", everything, true, 0, 150 * ms, loses(1, 1), costs{Reads: 1 + 5, Posts: 4, Resends: 2, Took: 1650 * ms, Status: 200}},
		{"request lost, stored", everything, false, 0, 150 * ms, loses(1), costs{Reads: 11, Posts: 3, Resends: 1, Took: 782745 * time.Microsecond, Status: 200}},
		{"request lost three times", everything, true, 0, 150 * ms, loses(3), costs{Reads: 46, ConsistentReads: 1, Posts: 10, Resends: 6, Took: 28 * time.Second, Status: 504}},
		{"request lost, original agent", nil, true, 0, 150 * ms, loses(1), costs{Reads: 16, ConsistentReads: 1, Posts: 1, Took: 28 * time.Second, Status: 504}},
		// An original agent's answer is stored as well.
		{"push lost, original agent", nil, true, 0, 150 * ms, late, costs{Reads: 1, Posts: 1, Took: 500 * ms, Status: 200}},
		{"push lost, original agent, slow", nil, true, time.Second, 5 * time.Second, late, costs{Reads: 2, Posts: 1, Took: 6 * time.Second, Status: 200}},
		// Stored: polled, at moments that grow apart.
		{"stored, at once", everything, false, 0, 0, nil, costs{Reads: 1, Posts: 1, Took: 30 * ms, Status: 200}},
		{"stored", everything, false, 0, 150 * ms, nil, costs{Reads: 4, Posts: 1, Took: 153600 * time.Microsecond, Status: 200}},
		{"stored, as usual", everything, false, 300 * ms, 250 * ms, nil, costs{Reads: 2, Posts: 1, Took: 336 * ms, Status: 200}},
		{"stored, sooner than usual", everything, false, 300 * ms, 150 * ms, nil, costs{Reads: 1, Posts: 1, Took: 210 * ms, Status: 200}},
		{"stored, original agent", nil, false, 300 * ms, 250 * ms, nil, costs{Reads: 2, Posts: 1, Took: 336 * ms, Status: 200}},
		{"stored, slow, original agent", nil, false, 0, 5 * time.Second, nil, costs{Reads: 16, Posts: 1, Took: 5006 * ms, Status: 200}},
		// No answer ever comes.
		{"pushed, never", everything, true, 0, time.Hour, nil, costs{Reads: 45, ConsistentReads: 1, Posts: 6, Resends: 4, Took: 28 * time.Second, Status: 504}},
		{"stored, never", everything, false, 0, time.Hour, nil, costs{Reads: 61, ConsistentReads: 1, Posts: 6, Resends: 4, Took: 28 * time.Second, Status: 504}},
		{"pushed, never, original agent", nil, true, 0, time.Hour, nil, costs{Reads: 16, ConsistentReads: 1, Posts: 1, Took: 28 * time.Second, Status: 504}},
		{"stored, never, original agent", nil, false, 0, time.Hour, nil, costs{Reads: 61, ConsistentReads: 1, Posts: 1, Took: 28 * time.Second, Status: 504}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, w *world) {
				a := w.agent(c.caps...)
				if c.service < time.Hour {
					a.after(c.service)
				} else {
					a.serve = func(context.Context, *wire.HTTPRequest) *wire.HTTPResponse { return nil }
				}
				if c.named {
					w.named = waiterConn
				}
				if c.mean > 0 {
					w.v.means.note("shop", c.mean)
				}
				if c.prepare != nil {
					c.prepare(w)
				}
				got := w.costs(get("/shop/"))
				got.Took = got.Took.Truncate(time.Microsecond)
				if c.service > 4*time.Second {
					got.Took, c.want.Took = got.Took.Truncate(ms), c.want.Took.Truncate(ms)
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

// The moments of reads are the ones that the costs follow from.
func TestCurve(t *testing.T) {
	t.Parallel()
	start := time.Unix(0, 0)
	for _, c := range []struct {
		first, least, most time.Duration
		want               string
	}{
		{30 * ms, 30 * ms, 500 * ms, "30ms 60ms 96ms 153.6ms 245.76ms 393.216ms 629.145ms 1.006s 1.506s 2.006s"},
		{105 * ms, 30 * ms, 500 * ms, "105ms 168ms 268.8ms 430.08ms 688.128ms 1.101s 1.601s 2.101s 2.601s 3.101s"},
		{500 * ms, 500 * ms, 2 * time.Second, "500ms 1s 1.6s 2.56s 4.096s 6.096s 8.096s 10.096s 12.096s 14.096s"},
	} {
		k := curve{start: start, at: c.first, least: c.least, most: c.most}
		var got []string
		for range 10 {
			at := k.next().Sub(start)
			if at > time.Second {
				at = at.Truncate(ms)
			}
			got = append(got, at.Truncate(time.Microsecond).String())
			k.advance(k.next())
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("from %v: %s, want %s", c.first, s, c.want)
		}
	}
}

// A curve whose reader was held up goes on with the next moment, and makes up for none.
func TestCurveSkips(t *testing.T) {
	t.Parallel()
	start := time.Unix(0, 0)
	k := curve{start: start, at: 30 * ms, least: 30 * ms, most: 500 * ms}
	k.advance(start.Add(10 * time.Second))
	if at := k.next().Sub(start); at <= 10*time.Second || at > 10500*ms {
		t.Errorf("next at %v", at)
	}
}

// The mean follows what the tunnel does, also where it is only seen by polling, and
// reads settle at one or two.
func TestMeansSettle(t *testing.T) {
	for service, most := range map[time.Duration]float64{20 * ms: 1, 150 * ms: 2.2, 2 * time.Second: 3} {
		t.Run(service.String(), func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, w *world) {
				w.agent(everything...).after(service)
				for range 20 {
					w.serve(get("/shop/"))
				}
				w.resetCounts()
				var took time.Duration
				const n = 50
				for range n {
					start := time.Now()
					w.serve(get("/shop/"))
					took += time.Since(start)
				}
				if reads := w.counted("reads"); float64(reads) > most*n {
					t.Errorf("%d reads for %d requests", reads, n)
				}
				if mean := took / n; mean > service*3/2+20*ms {
					t.Errorf("%v on average for a service of %v", mean, service)
				}
			})
		})
	}
}

func TestMeansAreBounded(t *testing.T) {
	t.Parallel()
	m := newMeans()
	for i := range 5 * maxMeans {
		m.note(fmt.Sprint("tunnel", i), time.Second)
	}
	if len(m.of) > maxMeans {
		t.Errorf("%d means", len(m.of))
	}
}

// When the environment's connection ends while a request waits, its answer goes by
// the store: what was lost on the way is asked for soon.
func TestConnectionEndsWhileWaiting(t *testing.T) {
	for _, c := range []struct {
		name string
		caps []wire.Capability
		mean time.Duration
		when time.Duration // the cut
		want costs
	}{
		{"before the answer", everything, 10 * time.Second, 100 * ms, costs{Reads: 6, Posts: 2, Resends: 1, Took: 445 * ms, Status: 200}},
		{"after the answer was accepted", everything, 10 * time.Second, 250 * ms, costs{Reads: 6, Posts: 2, Resends: 1, Took: 643 * ms, Status: 200}},
		{"original agent", nil, 10 * time.Second, 250 * ms, costs{Reads: 1, Posts: 1, Took: 280 * ms, Status: 200}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, w *world) {
				w.agent(c.caps...).after(200 * ms)
				w.named = waiterConn
				w.lose = func([]byte) bool { return true }
				w.v.means.note("shop", c.mean)
				w.tasks.Go(func() {
					time.Sleep(c.when)
					w.cut()
				})
				got := w.costs(get("/shop/"))
				got.Took = got.Took.Truncate(ms)
				if c.name == "before the answer" {
					// Nothing is pushed any more: the answer is stored right away.
					c.want = costs{Reads: 4, Posts: 1, Took: 253 * ms, Status: 200}
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

// A store that fails does not fail what is pushed, and ends a request in time.
func TestStoreFails(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		a := w.agent(everything...)
		a.after(2 * time.Second)
		w.readErr = errors.New("throttled")
		w.named = waiterConn
		if got := w.costs(get("/shop/")); got.Status != 200 || got.Took != 2*time.Second {
			t.Errorf("pushed: %+v", got)
		}
		w.named = ""
		if got := w.costs(get("/shop/")); got.Status != 504 || got.Took != 28*time.Second {
			t.Errorf("stored: %+v", got)
		}
	})
}

// Calls that hang hold up neither an answer that is pushed nor the end.
func TestStoreHangs(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		a := w.agent(everything...)
		a.after(1100 * ms)
		w.named = waiterConn
		w.serve(get("/_status/shop")) // looks the tunnel up
		start := time.Now()
		w.tasks.Go(func() {
			time.Sleep(100 * ms)
			w.set(func() { w.call = time.Minute })
		})
		if a := w.serve(get("/shop/")); a.Status != 200 {
			t.Errorf("status %d", a.Status)
		}
		if took := time.Since(start); took != 1100*ms {
			t.Errorf("took %v", took)
		}
	})
	for what, hang := range map[string]func(*world){
		"look-up": func(*world) {},
		"post":    func(w *world) { w.serve(get("/_status/shop")) },
	} {
		t.Run(what, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, w *world) {
				w.agent(everything...)
				hang(w)
				w.call = time.Hour
				start := time.Now()
				if a := w.serve(get("/shop/")); a.Status < 503 {
					t.Errorf("status %d", a.Status)
				}
				if took := time.Since(start); took > 28*time.Second+reserve {
					t.Errorf("took %v", took)
				}
			})
		})
	}
	t.Run("for ever", func(t *testing.T) {
		bubble(t, nil, func(t *testing.T, w *world) {
			a := w.agent(everything...)
			a.serve = func(context.Context, *wire.HTTPRequest) *wire.HTTPResponse {
				w.set(func() { w.call = time.Hour })
				return nil
			}
			start := time.Now()
			if a := w.serve(get("/shop/")); a.Status != 504 {
				t.Errorf("status %d", a.Status)
			}
			if took := time.Since(start); took > 28*time.Second+reserve {
				t.Errorf("took %v", took)
			}
		})
	})
}

// The deadline of the invocation counts where it is nearer than the longest wait.
func TestDeadlines(t *testing.T) {
	for _, c := range []struct {
		name       string
		ctx, event time.Duration // 0: none
		maxWait    time.Duration
		took       time.Duration
	}{
		{"of the gateway", 0, 0, 0, 28 * time.Second},
		{"of the invocation", 10 * time.Second, 0, 0, 9300 * ms},
		{"of the event", 29 * time.Second, 5 * time.Second, 0, 4300 * ms},
		{"configured", 29 * time.Second, 0, 2 * time.Second, 2 * time.Second},
		{"over", 500 * ms, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(cfg *Config) { cfg.MaxWait = c.maxWait }, func(t *testing.T, w *world) {
				a := w.agent(everything...)
				a.serve = func(context.Context, *wire.HTTPRequest) *wire.HTTPResponse { return nil }
				ctx := t.Context()
				if c.ctx > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.ctx)
					defer cancel()
				}
				r := get("/shop/")
				if c.event > 0 {
					r.Deadline = time.Now().Add(c.event)
				}
				start := time.Now()
				got := w.v.Serve(ctx, r)
				if took := time.Since(start); got.Status != 504 || took != c.took {
					t.Errorf("%d after %v, want 504 after %v", got.Status, took, c.took)
				}
				if m := gotOf[*wire.HTTPRequest](a); len(m) > 0 {
					if got := time.Duration(m[0].TimeoutMS) * ms; got != c.took {
						t.Errorf("the agent was told %v", got)
					}
				}
			})
		})
	}
}

// An agent is told when nobody waits any more.
func TestCancel(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		a := w.agent(everything...)
		var ended time.Duration
		start := time.Now()
		a.serve = func(ctx context.Context, _ *wire.HTTPRequest) *wire.HTTPResponse {
			<-ctx.Done()
			ended = time.Since(start)
			return nil
		}
		w.serve(get("/shop/"))
		w.tasks.Wait()
		if ended != 28*time.Second {
			t.Errorf("cancelled after %v", ended)
		}
	})
}

// A lost part is not any less late because others overtake it.
func TestOvertakenPart(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.named = waiterConn
		const parts = 200
		w.streamer(parts, 100*ms, func(i int) []byte { return []byte{byte(i)} })
		lost := false
		w.lose = func(text []byte) bool { // under w.mu
			if !lost && strings.Contains(string(text), `"seq":20,`) {
				lost = true
				return true
			}
			return false
		}
		s := w.streamRequest(t, "/shop/events")
		p := make([]byte, 1)
		var longest time.Duration
		for last := time.Now(); ; last = time.Now() {
			if _, err := s.Body.Read(p); err != nil {
				break
			}
			longest = max(longest, time.Since(last))
		}
		s.Body.Close()
		if !lost || longest > 900*ms {
			t.Errorf("lost: %v; the reader waited up to %v", lost, longest)
		}
	})
}

// What was asked for comes by the store, one part after the other: each is read soon.
func TestResentPartsTrickle(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.named = waiterConn
		a := w.agent(everything...)
		w.lose = func([]byte) bool { return true }
		a.send = func(text []byte) {
			if strings.Contains(string(text), `"resent":true`) {
				time.Sleep(200 * ms)
			}
			w.fromAgent(agentConn, text)
		}
		got := w.costs(postRequest("/shop/", noise(400_000, 1), ""))
		if got.Status != 200 || got.Resends != 1 || got.Took > 1700*ms {
			t.Errorf("%+v", got)
		}
	})
}

// However many answers go astray, each is missed as soon as the first one: what it cost
// to get them again says nothing about the tunnel.
func TestLossesAreNoticedSoon(t *testing.T) {
	for name, caps := range map[string][]wire.Capability{"declared": everything, "original": nil} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(t *testing.T, w *world) {
				w.agent(caps...).after(100 * ms)
				w.named = waiterConn
				w.lose = func([]byte) bool { return true }
				for i := range 30 {
					if got := w.costs(get("/shop/")); got.Status != 200 || got.Took > time.Second {
						t.Fatalf("request %d: %+v", i, got)
					}
					if !w.lastTurn.doubted {
						t.Fatal("nobody doubts the connection")
					}
				}
			})
		})
	}
}

// A tunnel that is known to be slow still has its lost answer asked for in time.
func TestLossOfASlowTunnel(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.agent(everything...).after(5 * time.Second)
		w.v.means.note("shop", 20*time.Second)
		w.named = waiterConn
		w.lose = func([]byte) bool { return true }
		if got := w.costs(get("/shop/")); got.Status != 200 || got.Took > 12*time.Second {
			t.Errorf("%+v", got)
		}
	})
}

// One long request does not make the next ones long.
func TestShortAfterLong(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		a := w.agent(everything...)
		quick := a.serve
		a.after(25 * time.Second)
		w.costs(get("/shop/"))
		a.serve = quick
		a.after(50 * ms)
		if got := w.costs(get("/shop/")); got.Status != 200 || got.Took > 2*time.Second {
			t.Errorf("%+v", got)
		}
	})
}

// An answer whose parts come slowly, each in its turn, is not asked for all over.
func TestSlowParts(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.named = waiterConn
		a := w.agent(everything...)
		a.send = func(text []byte) {
			time.Sleep(time.Second) // the agent's line
			w.fromAgent(agentConn, text)
		}
		got := w.costs(postRequest("/shop/", noise(900_000, 1), ""))
		if got.Status != 200 || got.Resends > 1 || got.Took > 11*time.Second {
			t.Errorf("%+v", got)
		}
	})
}
