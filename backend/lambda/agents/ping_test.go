package agents

import (
	"testing"
	"time"

	"culvert/backend/lambda/event"
)

// An agent whose tunnel was taken away by mistake is connected, and would not know for
// hours: its heartbeat finds out.
func TestPingOfOneThatLostItsTunnel(t *testing.T) {
	t.Parallel()
	gone := func(w *world) {
		if marked, err := w.store.MarkGone(w.t.Context(), "shop", "c1"); err != nil || !marked {
			w.t.Errorf("marked %v, %v", marked, err)
		}
	}
	successor := func(w *world) {
		gone(w)
		w.declared("c2", "ann", object{"tunnel_id": "shop"})
	}
	for name, c := range map[string]struct {
		caps   []string
		change func(*world)
		later  time.Duration
		want   string // what the agent hears
	}{
		"all is well":             {offered, func(*world) {}, 0, "pong"},
		"marked as gone":          {offered, gone, 0, "error"},
		"marked as gone long ago": {offered, gone, time.Hour, "error"},
		"replaced just now":       {offered, successor, 0, "pong"},
		"replaced long ago":       {offered, successor, handover, "error"},
		"before sessions":         {[]string{"resume"}, gone, 0, "error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			first := w.declared("c1", "ann", object{"tunnel_id": "shop", "capabilities": c.caps})
			c.change(w)
			w.agents.now = func() time.Time { return time.Now().Add(c.later) }
			ping := object{"type": "ping"}
			if s := first["session"]; s != nil {
				ping["session"] = s
			}
			w.send("c1", ping)
			heard := w.gateway.received("c1")
			last := heard[len(heard)-1]
			if last["type"] != c.want {
				t.Errorf("heard %v, want %s", last, c.want)
			}
			if c.want == "error" {
				wantError(t, last, "going_away")
			}
			if cut := w.gateway.wasDeleted("c1"); cut != (c.want == "error") {
				t.Errorf("cut off: %v", cut)
			}
			if c.want != "error" || w.lookup("shop").Live {
				return
			}
			// It comes again, and has its tunnel.
			again := w.declared("c3", "ann", again(first, "i-c1"))
			if again["tunnel_id"] != "shop" {
				t.Errorf("when it comes again: %v", again)
			}
			w.holds("shop", "c3")
		})
	}
}

// One that has declared nothing is not told, but can connect again.
func TestPingOfOneThatDeclaredNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.connect("c1", "ann")
	w.sendText("c1", `{"type":"ready"}`)
	id := w.gateway.received("c1")[0]["tunnel_id"].(string)
	w.send("c1", object{"type": "ping"})
	if w.gateway.wasDeleted("c1") {
		t.Error("cut off, though it has its tunnel")
	}
	if _, err := w.store.MarkGone(t.Context(), id, "c1"); err != nil {
		t.Fatal(err)
	}
	w.send("c1", object{"type": "ping"})
	if !w.gateway.wasDeleted("c1") || len(w.gateway.received("c1")) != 1 {
		t.Errorf("cut off %v, heard %v", w.gateway.wasDeleted("c1"), w.gateway.received("c1"))
	}
}

// While nobody knows, nobody is sent away.
func TestPingWithoutAStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Store = newStandIn() })
	session := w.keys.tickets(t).Session("shop", time.Now().Add(time.Hour))
	w.gateway.open("c1")
	w.handle(&event.Message{ConnectionID: "c1", EventType: event.Text, Body: []byte(text(t, object{"type": "ping", "session": session}))})
	if got := w.gateway.received("c1"); len(got) != 1 || got[0]["type"] != "pong" || w.gateway.wasDeleted("c1") {
		t.Errorf("heard %v", got)
	}
}

// Who is silent while its owner wants another tunnel loses its own. It must not wait for
// visitors then, whom nobody sends.
func TestSilentTunnelsAreClosed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.MaxTunnels = 2 })
	w.declared("c1", "ann", object{"tunnel_id": "one"})
	w.declared("c2", "ann", object{"tunnel_id": "two"})
	w.gateway.silence("c1")
	if got := w.declared("c3", "ann", object{"tunnel_id": "three"}); got["tunnel_id"] != "three" {
		t.Errorf("got %v", got)
	}
	w.holds("one", "")
	if !w.gateway.wasDeleted("c1") || w.gateway.wasDeleted("c2") {
		t.Errorf("closed: the silent one %v, the other %v", w.gateway.wasDeleted("c1"), w.gateway.wasDeleted("c2"))
	}
}

// Two rotations, as after a secret has leaked: the agents that are connected show session
// tokens that count no more, and secrets to resume by that do not either. They are told,
// and come back to their tunnels.
func TestTwoRotations(t *testing.T) {
	t.Parallel()
	for name, message := range map[string]func(w *world, session any) object{
		"an answer":   func(w *world, session any) object { return response(w.issue(request("shop", "w1"), ""), session) },
		"a heartbeat": func(_ *world, session any) object { return object{"type": "ping", "session": session} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			first := w.declared("c1", "ann", object{"tunnel_id": "shop"})
			for _, letter := range []byte("bc") {
				w.keys.rotate(letter)
				if _, _, err := w.keys.Reread(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
			}
			w.send("c1", message(w, first["session"]))
			heard := w.gateway.received("c1")
			wantError(t, heard[len(heard)-1], "going_away")
			if !w.gateway.wasDeleted("c1") || w.counted(countRefused) != 1 || len(w.waiters.all()) > 0 {
				t.Errorf("cut off %v, refused %d, pushed %v", w.gateway.wasDeleted("c1"), w.counted(countRefused), w.waiters.all())
			}
			// It may be there before the old connection is gone.
			w.gateway.open("c1")
			second := w.declared("c2", "ann", again(first, "i-c1"))
			if second["tunnel_id"] != "shop" {
				t.Fatalf("when it comes again: %v", second)
			}
			w.holds("shop", "c2")
			w.send("c2", response(w.issue(request("shop", "w1"), ""), second["session"]))
			if got := w.waiters.all(); len(got["w1"]) != 1 {
				t.Errorf("pushed %v", got)
			}
		})
	}
}
