package awstest

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/backend/awslocal"
	"culvert/backend/awslocal/chaos"
)

// seedsVariable names further seeds: "100-150", "7,8,9".
const seedsVariable = "CULVERT_HOSTILE_SEEDS"

// seeds are the fixed ones, or those that the variable names.
func seeds(t *testing.T, fixed ...uint64) []uint64 {
	t.Helper()
	text := os.Getenv(seedsVariable)
	if text == "" {
		return fixed
	}
	var all []uint64
	for part := range strings.SplitSeq(text, ",") {
		first, last, ranged := strings.Cut(part, "-")
		from, err := strconv.ParseUint(first, 10, 64)
		to := from
		if err == nil && ranged {
			to, err = strconv.ParseUint(last, 10, 64)
		}
		if err != nil || to < from || to-from > 10_000 {
			t.Fatalf("%s=%q: want seeds such as 100-150 or 7,8,9", seedsVariable, text)
		}
		for seed := from; seed <= to; seed++ {
			all = append(all, seed)
		}
	}
	return all
}

// bearable is a plan whose faults must not cost a single request.
func bearable() (faults, pushes chaos.Plan) {
	faults = chaos.Plan{
		chaos.MessageHeld:        {Probability: 0.5, Delay: 60 * time.Millisecond},
		chaos.MessageDuplicated:  {Probability: 0.3, Delay: 100 * time.Millisecond},
		chaos.GoneAtFirst:        {Probability: 0.7, Delay: 300 * time.Millisecond},
		chaos.InvokeDelayed:      {Probability: 0.2, Delay: 50 * time.Millisecond},
		chaos.EnvironmentRetired: {Probability: 0.03},
		chaos.DisconnectLate:     {Probability: 0.7, Delay: 2 * time.Second},
		chaos.DisconnectLost:     {Probability: 0.2},
		chaos.DisconnectRepeated: {Probability: 0.3, Delay: time.Second},
	}
	pushes = chaos.Plan{
		chaos.PostLost:     {Probability: 0.2},
		chaos.PostLimited:  {Probability: 0.1},
		chaos.SocketKilled: {Probability: 0.05},
		chaos.PeerHung:     {Probability: 0.03},
		chaos.DialRefused:  {Probability: 0.2},
		chaos.MessageLost:  {Probability: 0.1}, // whoami
		chaos.GoneAtFirst:  {Probability: 0.5, Delay: 300 * time.Millisecond},
	}
	return faults, pushes
}

// terrible is a plan on which requests get lost, each for a reason.
func terrible() (faults, pushes chaos.Plan) {
	faults, pushes = bearable()
	faults[chaos.MessageLost] = chaos.Setting{Probability: 0.04}
	faults[chaos.MessageThrottled] = chaos.Setting{Probability: 0.03}
	faults[chaos.PostLost] = chaos.Setting{Probability: 0.02}
	faults[chaos.PostLimited] = chaos.Setting{Probability: 0.1}
	faults[chaos.SocketKilled] = chaos.Setting{Probability: 0.02}
	faults[chaos.DialRefused] = chaos.Setting{Probability: 0.2}
	faults[chaos.InvokeThrottled] = chaos.Setting{Probability: 0.01}
	return faults, pushes
}

// anyRequest is a request of any kind that the agent can serve.
func (w *world) anyRequest(draw *rand.Rand, a *agent) request {
	sizes := []int{0, 1, 700, 5_000, 40_000, 60_000, 90_000}
	if a.declared {
		sizes = append(sizes, 97_000, 100<<10, 130_000, 400_000, 1_200_000)
	}
	size := func() int {
		n := sizes[draw.IntN(len(sizes))]
		return n - draw.IntN(n/10+1)
	}
	r := request{nonce: newNonce(draw), method: "POST", body: size(), answer: size(), plain: draw.IntN(3) == 0}
	switch draw.IntN(6) {
	case 0:
		r.method, r.body = "GET", 0
	case 1:
		r.method = "PUT"
	case 2:
		r.wait = strconv.Itoa(draw.IntN(400))
	case 3:
		r.streamed = w.local.StreamURL() != ""
	}
	return r
}

// bother does something between two requests, wherever they are at that moment:
// between invocations, environments are frozen.
func (w *world) bother(draw *rand.Rand, agents bool) {
	switch p := draw.Float64(); {
	case p < 0.06:
		for _, c := range w.local.WaitersAPI().Connections() {
			if draw.IntN(3) == 0 && w.local.WaitersAPI().Kill(c.ID) {
				w.strike(waiterCut)
			}
		}
	case p < 0.08:
		for _, c := range w.local.WaitersAPI().Connections() {
			if draw.IntN(3) == 0 && w.local.WaitersAPI().Hang(c.ID) {
				w.strike(waiterHung)
			}
		}
	case p < 0.12:
		w.strike(recycled)
		w.local.Function(awslocal.Public).Recycle()
	case p < 0.14:
		w.strike(recycled)
		w.local.Function(awslocal.Agents).Recycle()
	case agents && p < 0.16:
		if est, _, _ := w.agents[draw.IntN(len(w.agents))].state(); est.ConnectionID != "" {
			w.strike(agentCut) // first, so that nobody sees what it does before it is known
			w.local.AgentsAPI().Kill(est.ConnectionID)
		}
	case agents && p < 0.165:
		a := w.agents[draw.IntN(len(w.agents))]
		if est, _, _ := a.state(); est.ConnectionID != "" && a.declared {
			w.strike(agentHung)
			w.local.AgentsAPI().Hang(est.ConnectionID)
			a.doubt()
		}
	}
}

// crowd lets visitors come, each one making so many requests.
func (w *world) crowd(seed uint64, visitors, requests int, agentsToo bool) {
	var wg sync.WaitGroup
	for i := range visitors {
		draw := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() {
			for range requests {
				w.bother(draw, agentsToo)
				a := w.agents[draw.IntN(len(w.agents))]
				w.visit(w.t.Context(), a, w.anyRequest(draw, a))
			}
		})
	}
	wg.Wait()
}

// What happens to messages on their way may be repaired: then not one request is lost.
func TestHostileWithoutLoss(t *testing.T) {
	t.Parallel()
	for _, seed := range seeds(t, 1, 2) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			t.Logf("seed %d", seed)
			faults, pushes := bearable()
			cfg := awslocal.Config{}
			if seed%2 == 0 {
				cfg = withBucket(t, awslocal.Config{FunctionURL: "127.0.0.1:0"})
			}
			w := newWorld(t, seed, faults, pushes, cfg)
			for _, name := range names("declared", 2) {
				w.join(name, true)
			}
			w.join("original", false)
			w.crowd(seed, 5, 12, false)
			for _, r := range w.results {
				if r.lost() {
					t.Errorf("lost: %s", r)
				}
			}
			w.account()
			w.finish()
		})
	}
}

// On the worst of days requests are lost, but each for a reason, and none of them ends
// with another one's answer.
func TestHostile(t *testing.T) {
	t.Parallel()
	for _, seed := range seeds(t, 3, 4) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			t.Logf("seed %d", seed)
			faults, pushes := terrible()
			// What is lost for good is told soon, that the test may go on.
			cfg := awslocal.Config{Env: map[string]string{"CULVERT_MAX_WAIT": "6s"}}
			if seed%2 == 0 {
				cfg.FunctionURL = "127.0.0.1:0"
				cfg = withBucket(t, cfg)
			}
			w := newWorld(t, seed, faults, pushes, cfg)
			for _, name := range names("declared", 3) {
				w.join(name, true)
			}
			for _, name := range names("original", 2) {
				w.join(name, false)
			}
			w.crowd(seed, 6, 8, true)
			w.account()
			w.finish()
		})
	}
}
