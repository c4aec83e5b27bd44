package awstest

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"culvert/backend/awslocal"
	"culvert/backend/awslocal/clock"
	"culvert/backend/awslocal/wsapi"
	"culvert/backend/wire"
)

// API Gateway cuts every connection after two hours. Agents of our own have replaced
// theirs before, and lose no request by it; those of an original agent that are under
// way at that moment are lost, and no others.
func TestHostileTwoHours(t *testing.T) {
	t.Parallel()
	now := clock.NewRunning()
	w := newWorld(t, 60, nil, nil, awslocal.Config{Clock: now, Env: map[string]string{"CULVERT_MAX_WAIT": "8s"}})
	ours, theirs := newAgent(t, "declared", true), newAgent(t, "original", false)
	ours.start(t, w.local.AgentsURL(), func(n int) time.Duration {
		if n == 1 {
			return 8 * time.Second // of this machine's, and more than an hour and a half of the gateway's
		}
		return 2 * time.Hour
	})
	theirs.start(t, w.local.AgentsURL(), nil)
	w.agents = []*agent{ours, theirs}
	first := ours.online(t)
	theirs.online(t)

	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	defer load.Wait()
	defer stop()
	tick := make(map[*agent]chan result)
	for i, a := range w.agents {
		tick[a] = make(chan result)
		for j := range 2 {
			draw := newDraw(60 + uint64(2*i+j))
			load.Go(func() {
				for ctx.Err() == nil {
					r := small(draw)
					r.wait = "20"
					got := w.visit(t.Context(), a, r)
					select {
					case tick[a] <- got:
					case <-ctx.Done():
					}
				}
			})
		}
	}
	// passes waits until the agents have served requests that began after its call.
	passes := func() {
		for _, a := range w.agents {
			for range 4 { // two of them may have been under way
				<-tick[a]
			}
		}
	}
	step := func(d time.Duration) {
		now.Advance(d)
		passes()
	}
	for range 11 { // to 1 h 39 min: a single jump would be ten idle minutes
		step(9 * time.Minute)
	}
	second := ours.until(t, "a successor", func(_ wire.Established, count int) bool { return count == 2 })
	if second.TunnelID != first.TunnelID || second.ConnectionID == first.ConnectionID {
		t.Errorf("the successor has %s over %s, the first had %s over %s", second.TunnelID, second.ConnectionID, first.TunnelID, first.ConnectionID)
	}
	// The old connection ends by itself, once nothing comes over it any more.
	open := func(id string) bool {
		return slices.ContainsFunc(w.local.AgentsAPI().Connections(), func(c wsapi.Connection) bool { return c.ID == id })
	}
	for deadline := time.Now().Add(time.Minute); open(first.ConnectionID); passes() {
		if time.Now().After(deadline) {
			t.Fatal("the replaced connection stays")
		}
	}
	_, before, _ := theirs.state()
	for range 2 { // to 1 h 57 min
		step(9 * time.Minute)
	}
	w.strike(agentCut)
	step(9 * time.Minute)
	theirs.until(t, "another connection", func(est wire.Established, count int) bool { return count > before && est.TunnelID != "" })
	for range 3 {
		step(9 * time.Minute)
	}
	stop()
	load.Wait()
	lost := 0
	for _, r := range w.results {
		if r.lost() && r.declared {
			t.Errorf("lost though the connection was replaced: %s", r)
		} else if r.lost() && r.status != http.StatusNotFound && r.took > 0 {
			lost++
		}
	}
	if lost > 4 { // two under way; and those that came before its end had got around
		t.Errorf("%d requests of the original agent were lost by one cut", lost)
	}
	w.account()
	w.finish()
}

// Where ten invocations may run at once, and requests that wait can take them all, no
// answer could get in until they give up: so they wait for a short time only.
func TestHostileSmallAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 61, nil, nil, awslocal.Config{AccountConcurrency: 10})
	agents := []*agent{w.join("declared", true), w.join("original", false)}
	draw := newDraw(61)
	for _, a := range agents {
		w.must(a, small(draw))
	}
	// As long as there is room for their answers, all are served.
	var few sync.WaitGroup
	for i := range 4 {
		draw := newDraw(200 + uint64(i))
		few.Go(func() {
			for range 4 {
				w.must(agents[i%2], small(draw))
			}
		})
	}
	few.Wait()
	var crowd sync.WaitGroup
	for i := range 24 {
		draw := newDraw(100 + uint64(i))
		crowd.Go(func() {
			for range 2 {
				r := small(draw)
				r.wait = "300"
				got := w.visit(t.Context(), agents[i%2], r)
				if got.status != http.StatusOK && got.status != http.StatusServiceUnavailable {
					t.Errorf("%s", got)
				}
				if got.took > 15*time.Second {
					t.Errorf("a deadlock, or nearly: %s", got)
				}
			}
		})
	}
	crowd.Wait()
	served, refused := 0, 0
	for _, r := range w.results {
		if r.lost() {
			refused++
		} else {
			served++
		}
	}
	t.Logf("%d served, %d refused", served, refused)
	if refused == 0 {
		t.Error("nothing was refused: 24 visitors are no load")
	}
	// Once they are gone, all is as before.
	for _, a := range agents {
		w.must(a, small(draw))
	}
	w.finish()
}
