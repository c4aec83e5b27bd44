package visitors

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"culvert/backend/lambda/post"
	"culvert/backend/lambda/store"
	"culvert/backend/wire"
)

// found is what looking up has cost.
type found struct{ Lookups, Consistent, Posts, Marks int }

func (w *world) found() found {
	defer w.resetCounts()
	return found{w.counted("lookups"), w.counted("consistent lookups"), w.counted("posts"), w.counted("marks")}
}

func (w *world) expectFound(what string, want found) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.found()); diff != "" {
		w.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (w *world) expectStatus(what string, target string, want int) {
	w.t.Helper()
	if a := w.serve(get(target)); a.Status != want {
		w.t.Errorf("%s: status %d, want %d: %s", what, a.Status, want, a.Body)
	}
}

func TestLookUpsAreRemembered(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.agent(everything...)
		w.expectStatus("first", "/shop/", 200)
		w.expectFound("first", found{Lookups: 1, Posts: 1})
		time.Sleep(keepLive - time.Second)
		w.expectStatus("again", "/shop/", 200)
		w.expectFound("again", found{Posts: 1})
		time.Sleep(time.Second)
		w.expectStatus("later", "/shop/", 200)
		w.expectFound("later", found{Lookups: 1, Posts: 1})

		w.expectStatus("unknown", "/other/", 404)
		w.expectFound("unknown", found{Lookups: 1, Consistent: 1})
		time.Sleep(keepUnknown - time.Millisecond)
		w.expectStatus("still unknown", "/other/", 404)
		w.expectFound("still unknown", found{})
		time.Sleep(time.Millisecond)
		w.expectStatus("unknown later", "/other/", 404)
		w.expectFound("unknown later", found{Lookups: 1, Consistent: 1})

		w.expectStatus("no name at all", "/no.name/", 404)
		w.expectFound("no name at all", found{})
	})
}

// What is remembered of a tunnel does not outlast its token.
func TestRememberedUntilTheTokensEnd(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.agent(everything...)
		w.set(func() {
			t := w.tunnels["shop"]
			t.Ends = time.Now().Add(3 * time.Second)
			w.tunnels["shop"] = t
		})
		w.expectStatus("first", "/shop/", 200)
		time.Sleep(2 * time.Second)
		w.expectStatus("before its end", "/shop/", 200)
		w.expectFound("before its end", found{Lookups: 1, Posts: 2})
		w.set(func() {
			t := w.tunnels["shop"]
			t.Live, t.Seen = false, t.Ends
			w.tunnels["shop"] = t
		})
		time.Sleep(time.Second)
		w.expectStatus("after it", "/shop/", 502)
	})
}

// A tunnel that has just been opened, or has just come back, is found at once, though
// the cheap read does not show it yet.
func TestNewTunnelsAreFound(t *testing.T) {
	for name, stale := range map[string]store.Tunnel{
		"not yet there": {},
		"offline": func() store.Tunnel {
			s := store.Tunnel{}
			s.ID, s.Seen = "shop", time.Now().AddDate(100, 0, 0)
			return s
		}(),
	} {
		bubbleNamed(t, name, func(t *testing.T, w *world) {
			w.agent(everything...)
			w.stale["shop"] = stale
			w.expectStatus(name, "/shop/", 200)
			w.expectFound(name, found{Lookups: 1, Consistent: 1, Posts: 1})
		})
	}
}

func TestRememberedLookUpsAreBounded(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		for i := range 3 * maxLookups {
			w.expectStatus("guessing", fmt.Sprintf("/guess-%d/", i), 404)
		}
		if n := len(w.v.lookups.known); n > maxLookups {
			t.Errorf("%d look-ups remembered", n)
		}
	})
}

// 410 means: look again, for certain. If the tunnel has moved, the request goes
// after it, once; if not, its agent has gone, which others are told.
func TestGone(t *testing.T) {
	for _, c := range []struct {
		name   string
		caps   []wire.Capability
		then   func(w *world, a *fakeAgent)
		status int
		cost   found
		live   bool
	}{
		{"moved", everything, func(w *world, a *fakeAgent) { a.connect("agent2=") }, 200, found{Consistent: 1, Posts: 2}, true},
		{"moved, original agent", nil, func(w *world, a *fakeAgent) { a.connect("agent2=") }, 200, found{Consistent: 1, Posts: 2}, true},
		{"gone", everything, func(w *world, _ *fakeAgent) {}, 502, found{Consistent: 1, Posts: 1, Marks: 1}, false},
		{"gone, and known to be", everything, func(w *world, _ *fakeAgent) {
			t := w.tunnels["shop"]
			t.Live = false
			w.tunnels["shop"] = t
		}, 502, found{Consistent: 1, Posts: 1}, false},
		{"moved, and gone again", everything, func(w *world, _ *fakeAgent) { w.open("shop", "agent3=", true, everything...) },
			502, found{Consistent: 2, Posts: 2, Marks: 1}, false},
	} {
		bubbleNamed(t, c.name, func(t *testing.T, w *world) {
			a := w.agent(c.caps...)
			w.expectStatus("before", "/shop/", 200)
			w.found()
			w.set(func() { delete(w.agents, agentConn) })
			c.then(w, a)
			w.expectStatus(c.name, "/shop/", c.status)
			w.expectFound(c.name, c.cost)
			if w.tunnels["shop"].Live != c.live {
				t.Errorf("live: %v", w.tunnels["shop"].Live)
			}
			if n := len(gotOf[*wire.HTTPRequest](a)); n > 2 {
				t.Errorf("the agent got %d requests", n)
			}
			if !c.live {
				w.expectStatus("after", "/shop/", 502)
			}
		})
	}
}

// A tunnel that others have taken over meanwhile is not marked as left.
func TestGoneMarksNobodyElse(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		a := w.agent(everything...)
		w.postErr = func(conn string, _ []byte) error {
			if conn == agentConn {
				return post.ErrGone
			}
			return nil
		}
		w.stale["shop"] = w.tunnels["shop"]
		a.connect("agent2=")
		w.expectStatus("moved", "/shop/", 200)
		w.expectFound("moved", found{Lookups: 1, Consistent: 1, Posts: 2})
		if !w.tunnels["shop"].Live {
			t.Error("the successor was marked as left")
		}
	})
}

// A connection that takes no more for a moment gets time, and then the visitor a 503.
func TestBusy(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		w.agent(everything...)
		busy := 2
		w.postErr = func(string, []byte) error {
			if busy--; busy >= 0 {
				return post.ErrBusy
			}
			return nil
		}
		w.expectStatus("busy twice", "/shop/", 200)
		w.expectFound("busy twice", found{Lookups: 1, Posts: 3})
		busy = 100
		start := time.Now()
		w.expectStatus("busy for long", "/shop/", 503)
		w.expectFound("busy for long", found{Posts: 4})
		if took := time.Since(start); took != 700*ms {
			t.Errorf("took %v", took)
		}
	})
}

// Whether a post without a reply has arrived, nobody knows: it is not sent again, and
// an answer to it counts.
func TestUncertainPost(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		a := w.agent(everything...)
		w.postErr = func(_ string, text []byte) error {
			w.tasks.Go(func() { a.receive(text) })
			return fmt.Errorf("%w: connection reset", post.ErrUnavailable)
		}
		w.expectStatus("arrived", "/shop/", 200)
		w.expectFound("arrived", found{Lookups: 1, Posts: 1})
		if n := len(gotOf[*wire.HTTPRequest](a)); n != 1 {
			t.Errorf("the agent got %d requests", n)
		}
	})
}

// An original agent that has left cannot answer any more: its visitor need not wait
// to the end.
func TestOriginalAgentLeaves(t *testing.T) {
	for name, c := range map[string]struct {
		leave func(w *world, a *fakeAgent)
		took  time.Duration
	}{
		"left": {func(w *world, _ *fakeAgent) {
			t := w.tunnels["shop"]
			t.Live = false
			w.tunnels["shop"] = t
		}, 6 * time.Second},
		"moved": {func(w *world, a *fakeAgent) { a.w.tunnels["shop"] = moved(a.w.tunnels["shop"]) }, 6 * time.Second},
	} {
		bubbleNamed(t, name, func(t *testing.T, w *world) {
			a := w.agent()
			a.serve = func(context.Context, *wire.HTTPRequest) *wire.HTTPResponse {
				w.set(func() { c.leave(w, a) })
				return nil
			}
			start := time.Now()
			w.expectStatus(name, "/shop/", http.StatusBadGateway)
			if took := time.Since(start); took > c.took {
				t.Errorf("took %v", took)
			}
		})
	}
}

func moved(t store.Tunnel) store.Tunnel {
	t.Connection = "agent9="
	return t
}

// An agent of ours that leaves may come back with its answer; if it does not, its
// visitor need not wait to the end either.
func TestDeclaredAgentLeaves(t *testing.T) {
	bubble(t, nil, func(t *testing.T, w *world) {
		a := w.agent(everything...)
		a.serve = func(context.Context, *wire.HTTPRequest) *wire.HTTPResponse {
			w.set(func() { delete(w.agents, agentConn) })
			return nil
		}
		start := time.Now()
		w.expectStatus("left", "/shop/", http.StatusBadGateway)
		if took := time.Since(start); took > 9*time.Second {
			t.Errorf("took %v", took)
		}
	})
	t.Run("and comes back", func(t *testing.T) {
		bubble(t, nil, func(t *testing.T, w *world) {
			a := w.agent(everything...)
			a.serve = func(context.Context, *wire.HTTPRequest) *wire.HTTPResponse {
				w.set(func() { delete(w.agents, agentConn) })
				time.Sleep(4 * time.Second)
				a.connect("agent2=")
				return &wire.HTTPResponse{StatusCode: 200}
			}
			start := time.Now()
			w.expectStatus("back", "/shop/", http.StatusOK)
			if took := time.Since(start); took > 6*time.Second {
				t.Errorf("took %v", took)
			}
		})
	})
}
