package awstest

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"culvert/backend/awslocal"
	"culvert/backend/awslocal/chaos"
	"culvert/backend/awslocal/wsapi"
	"culvert/backend/wire"
)

// once is a fault that strikes a fixed number of times, at a moment when nothing else
// goes on, so that its price is known exactly.
type once struct {
	fault   chaos.Fault
	pushes  bool // of the waiters' API
	times   int
	request request
	// declared and original are the statuses that the two kinds of agents' visitors get.
	declared, original int
}

// Each fault costs what it must, and no more.
func TestHostileOneAtATime(t *testing.T) {
	t.Parallel()
	big := request{method: "POST", body: 300_000, answer: 300_000}
	tests := []once{
		{fault: chaos.MessageDuplicated, times: 20, declared: 200, original: 200},
		{fault: chaos.MessageDuplicated, times: 20, request: big, declared: 200},
		{fault: chaos.MessageHeld, times: 20, request: big, declared: 200},
		// An answer of a declared agent is asked for again. Nobody can ask an original one.
		{fault: chaos.MessageLost, times: 1, declared: 200, original: 504},
		{fault: chaos.MessageLost, times: 2, request: big, declared: 200},
		// API Gateway says that it has not delivered: ours offers its answer again at once.
		{fault: chaos.MessageThrottled, times: 1, declared: 200, original: 504},
		// A push that was accepted and lost: asked for again, or stored as well.
		{fault: chaos.PostLost, pushes: true, times: 1, declared: 200, original: 200},
		{fault: chaos.PostLost, pushes: true, times: 3, request: big, declared: 200},
		{fault: chaos.PostLimited, pushes: true, times: 1, declared: 200, original: 200},
		{fault: chaos.SocketKilled, pushes: true, times: 1, declared: 200, original: 200},
		{fault: chaos.PeerHung, pushes: true, times: 1, declared: 200, original: 200},
		// A request that was accepted and lost: an agent of our own notices when it is asked for
		// its answer, and drops what comes twice. To an original one it cannot be sent again.
		{fault: chaos.PostLost, times: 1, declared: 200, original: 504},
		// 429 says that it was not accepted: it is sent again a few times.
		{fault: chaos.PostLimited, times: 3, declared: 200, original: 200},
		{fault: chaos.PostLimited, times: 4, declared: 503, original: 503},
		{fault: chaos.InvokeThrottled, times: 1, declared: 503, original: 503},
		{fault: chaos.EnvironmentRetired, times: 2, declared: 200, original: 200},
	}
	const wait = 6 * time.Second
	w := newWorld(t, 50, chaos.Plan{
		chaos.MessageDuplicated: {Delay: 50 * time.Millisecond}, chaos.MessageHeld: {Delay: 50 * time.Millisecond},
		chaos.GoneAtFirst: {Probability: 1, Delay: 500 * time.Millisecond},
		chaos.DialRefused: {}, chaos.DisconnectLate: {Probability: 1, Delay: 100 * time.Millisecond},
	}, nil, awslocal.Config{Env: map[string]string{"CULVERT_MAX_WAIT": wait.String()}})
	w.faults.Force(chaos.DialRefused, 2)
	agents := []*agent{w.join("declared", true), w.join("original", false)}
	draw := newDraw(50)
	for _, test := range tests {
		for i, a := range agents {
			want := []int{test.declared, test.original}[i]
			if want == 0 {
				continue
			}
			w.pushed(a)
			source := w.faults
			if test.pushes {
				source = w.pushes
			}
			before := source.Struck()[test.fault]
			source.Force(test.fault, test.times)
			r := test.request
			r.nonce = newNonce(draw)
			if r.method == "" {
				r.method = http.MethodGet
			}
			got := w.visit(t.Context(), a, r)
			struck := source.Struck()[test.fault] - before
			source.Force(test.fault, 0)
			if got.status != want || struck == 0 {
				t.Errorf("%s ×%d (it struck %d times; pushes: %t): got %s, want %d", test.fault, test.times, struck, test.pushes, got, want)
			}
			if got.took > wait+3*time.Second {
				t.Errorf("%s: %s", test.fault, got)
			}
			if served := a.service.times(r.nonce); want == 504 && test.fault == chaos.PostLost && served != 0 || want == 503 && served != 0 {
				t.Errorf("%s: refused, and served all the same", test.fault)
			}
		}
	}
	w.finish()
}

// pushed makes requests until one's answer has been pushed: then the environment that
// serves the next one has a connection, too.
func (w *world) pushed(a *agent) {
	w.t.Helper()
	draw := newDraw(uint64(len(w.results)))
	for i := range 60 {
		if i%10 == 9 {
			// This environment waits for a connection that says nothing any more.
			w.local.Function(awslocal.Public).Recycle()
		}
		before := w.metric("Pushed")
		w.must(a, small(draw))
		if w.metric("Pushed") > before {
			return
		}
	}
	w.t.Fatal("no answer is pushed")
}

// Environments are frozen between their invocations. What happens to their connections
// meanwhile costs no request.
func TestHostileWhileFrozen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 51, nil, nil, awslocal.Config{})
	agents := []*agent{w.join("declared", true), w.join("original", false)}
	draw := newDraw(51)
	api := w.local.WaitersAPI()
	for _, a := range agents {
		w.pushed(a)
		for _, c := range api.Connections() {
			api.Kill(c.ID)
		}
		w.must(a, small(draw)) // names a connection that is no more, without knowing

		w.pushed(a)
		for _, c := range api.Connections() {
			api.Hang(c.ID)
		}
		w.must(a, small(draw)) // names one that takes everything and gives nothing

		w.pushed(a)
		w.local.Function(awslocal.Public).Recycle()
		w.local.Function(awslocal.Agents).Recycle()
		w.must(a, small(draw)) // from the beginning
	}
	w.account()
	w.finish()
}

// A line that was cut without a word: API Gateway goes on taking messages for the
// agent. When the agent notices, it gets its tunnel back, and what becomes of the old
// connection is of no interest any more.
func TestHostileHalfOpenAgent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 52, chaos.Plan{
		chaos.DisconnectLate: {Probability: 1, Delay: 2 * time.Second}, chaos.DisconnectRepeated: {Probability: 1, Delay: time.Second},
	}, nil, awslocal.Config{Env: map[string]string{"CULVERT_MAX_WAIT": "3s"}})
	a := w.join("declared", true)
	draw := newDraw(52)
	w.must(a, small(draw))

	old := a.online(t)
	w.strike(agentHung)
	if !w.local.AgentsAPI().Hang(old.ConnectionID) {
		t.Fatal("the agent's connection is not there")
	}
	if r := w.visit(t.Context(), a, small(draw)); r.status != http.StatusGatewayTimeout {
		t.Errorf("while the line is cut: %s", r)
	}
	a.doubt()
	est := a.until(t, "its tunnel, again", func(est wire.Established, count int) bool { return count == 2 && est.TunnelID != "" })
	if est.TunnelID != old.TunnelID || est.ConnectionID == old.ConnectionID {
		t.Errorf("got %s over %s, had %s over %s", est.TunnelID, est.ConnectionID, old.TunnelID, old.ConnectionID)
	}
	// An environment may think of the old connection for 10 s more; so the old one is
	// ended, which is told late, and twice.
	w.local.AgentsAPI().Kill(old.ConnectionID)
	for range 3 {
		w.must(a, small(draw))
	}
	w.untilLogged("agent left", 2)
	w.must(a, small(draw))
	if gone := slices.ContainsFunc(w.local.AgentsAPI().Connections(), func(c wsapi.Connection) bool { return c.ID == old.ConnectionID }); gone {
		t.Error("the old connection is still there")
	}
	w.account()
	w.finish()
}
