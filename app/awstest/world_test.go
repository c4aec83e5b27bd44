// Package awstest tries the agent's own code on the local AWS account: the real
// functions on the real DynamoDB Local, behind a gateway on its worst days.
package awstest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"go.uber.org/goleak"

	"culvert/backend/awslocal"
	"culvert/backend/awslocal/awslocaltest"
	"culvert/backend/awslocal/chaos"
	"culvert/backend/awslocal/runtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is an account with agents and visitors.
type world struct {
	t       *testing.T
	local   *awslocal.Local
	faults  *chaos.Source // of everything but the waiters' API
	pushes  *chaos.Source // of the waiters' API
	visitor *visitor
	agents  []*agent

	mu      sync.Mutex
	ours    map[string]int            // what the test itself has struck with
	well    map[string]map[string]int // by agent: what had struck when a visit began that went well
	results []result
	metrics map[string]float64 // of all functions, summed up
	lines   []string           // which told of something out of the ordinary
	said    map[string]int     // how often each message was logged
	more    chan struct{}      // closed at the next line
}

// newWorld starts an account. Its chaos is of the seed; plans may be nil.
func newWorld(t *testing.T, seed uint64, faults, pushes chaos.Plan, cfg awslocal.Config) *world {
	t.Helper()
	w := &world{
		t: t, faults: chaos.New(seed, faults), pushes: chaos.New(seed+1, pushes), visitor: newVisitor(t),
		ours: map[string]int{}, well: map[string]map[string]int{}, metrics: map[string]float64{},
		said: map[string]int{}, more: make(chan struct{}),
	}
	cfg.Chaos, cfg.WaitersChaos, cfg.Lines = w.faults, w.pushes, w.line
	if cfg.Env == nil {
		cfg.Env = map[string]string{}
	}
	// Agents come and go here, all from one address.
	cfg.Env["CULVERT_MAX_TUNNELS"] = "1000"
	cfg.Env["CULVERT_TUNNEL_STREAMS"] = "100" // visitors are no more than chance has them be
	w.local = awslocaltest.Start(t, cfg)
	t.Cleanup(func() {
		if t.Failed() || os.Getenv("CULVERT_HOSTILE_LINES") != "" {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, line := range w.lines[max(0, len(w.lines)-60):] {
				t.Log(line)
			}
		}
	})
	return w
}

// withBucket gives the account an S3.
func withBucket(t *testing.T, cfg awslocal.Config) awslocal.Config {
	t.Helper()
	server := httptest.NewServer(gofakes3.New(s3mem.New(), gofakes3.WithTimeSkewLimit(0), gofakes3.WithLogger(gofakes3.DiscardLog())).Server())
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	cfg.S3 = u
	return cfg
}

// line takes a line of a function's log.
func (w *world) line(l runtime.Line) {
	var fields map[string]any
	if json.Unmarshal([]byte(l.Text), &fields) != nil {
		fields = nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, value := range fields {
		if n, ok := value.(float64); ok {
			w.metrics[name] += n
		}
	}
	message, _ := fields["message"].(string)
	w.said[message]++
	close(w.more)
	w.more = make(chan struct{})
	if level, _ := fields["level"].(string); level != "INFO" && level != "DEBUG" {
		w.lines = append(w.lines, time.Now().Format(clockFormat)+" "+l.Function+" "+l.Text)
	}
}

const clockFormat = "15:04:05.000"

// metric is the sum of a metric so far.
func (w *world) metric(name string) float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.metrics[name]
}

// untilLogged waits until a function has logged a message so many times.
func (w *world) untilLogged(message string, times int) {
	w.t.Helper()
	timeout := time.After(time.Minute)
	for {
		w.mu.Lock()
		n, more := w.said[message], w.more
		w.mu.Unlock()
		if n >= times {
			return
		}
		select {
		case <-more:
		case <-timeout:
			w.t.Fatalf("%q was logged %d times, want %d", message, n, times)
		}
	}
}

// join adds an agent and waits until it is online.
func (w *world) join(name string, declared bool) *agent {
	w.t.Helper()
	a := newAgent(w.t, name, declared)
	a.start(w.t, w.local.AgentsURL(), nil)
	a.online(w.t)
	w.agents = append(w.agents, a)
	return a
}

// strike notes a fault of the test's own making.
func (w *world) strike(fault string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ours[fault]++
}

// struck is how often everything has struck so far.
func (w *world) struck() map[string]int {
	all := map[string]int{}
	for fault, n := range w.faults.Struck() {
		all[string(fault)] = n
	}
	for fault, n := range w.pushes.Struck() {
		all["waiters: "+string(fault)] = n
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.Copy(all, w.ours)
	return all
}

// since is what has struck after before.
func since(before, now map[string]int) map[string]int {
	diff := map[string]int{}
	for fault, n := range now {
		if n > before[fault] {
			diff[fault] = n - before[fault]
		}
	}
	return diff
}

// visit makes one request of the agent's tunnel, notes the result, and reports what
// must never be.
func (w *world) visit(ctx context.Context, a *agent, want request) result {
	w.t.Helper()
	start := w.struck()
	w.mu.Lock()
	before, ok := w.well[a.name]
	w.mu.Unlock()
	if !ok {
		before = map[string]int{}
	}
	r := result{request: want, to: a.name, declared: a.declared}
	est, _, _ := a.state()
	if est.TunnelID == "" {
		// Nobody could tell a visitor where to go: that is a request lost, too.
		r.status, r.text = 502, "the agent is between two connections"
		r.struck = since(before, w.struck())
		w.note(r, nil)
		return r
	}
	base := cmp.Or(est.PathBasedURL, est.PublicURL)
	if want.streamed {
		base = strings.TrimSuffix(w.local.StreamURL(), "/") + "/" + est.TunnelID
	}
	var err error
	r.status, r.took, r.text, err = w.visitor.visit(ctx, base, a.name, want)
	if err != nil {
		w.t.Errorf("%s at %s: %v", want, a.name, err)
	}
	if r.took > longest {
		w.t.Errorf("%s at %s: it took %v", want, a.name, r.took)
	}
	if n := a.service.times(want.nonce); n > 1 || n == 0 && r.status == 200 {
		w.t.Errorf("%s at %s was served %d times", want, a.name, n)
	}
	r.struck = since(before, w.struck())
	w.note(r, start)
	return r
}

// note keeps a result. One that is well begins a new account of what struck.
func (w *world) note(r result, start map[string]int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.ended = time.Now()
	w.results = append(w.results, r)
	if r.status == 200 {
		w.well[r.to] = start
	}
}

// must makes a request that has to be answered by the service.
func (w *world) must(a *agent, want request) result {
	w.t.Helper()
	r := w.visit(w.t.Context(), a, want)
	if r.lost() {
		w.t.Errorf("lost: %s", r)
	}
	return r
}

// finish checks what can only be checked at the end.
func (w *world) finish() {
	w.t.Helper()
	for _, a := range w.agents {
		for _, nonce := range a.service.twice() {
			w.t.Errorf("%s was served more than once by %s", nonce, a.name)
		}
	}
}

// Faults of the test's own making.
const (
	agentCut   = "agent cut"
	agentHung  = "agent hung"
	waiterCut  = "waiter cut"
	waiterHung = "waiter hung"
	recycled   = "environments retired"
)

// explains says which faults may make a visitor get a status that is not the
// service's own.
var explains = map[int][]string{
	// The agent has gone, or its connection went before the answer.
	502: {
		string(chaos.SocketKilled), string(chaos.PeerHung), string(chaos.DialRefused), agentCut, agentHung,
		string(chaos.MessageLost), string(chaos.MessageThrottled), string(chaos.InvokeThrottled), string(chaos.GoneAtFirst),
	},
	// Busy: the connection, the account.
	503: {string(chaos.PostLimited), string(chaos.InvokeThrottled)},
	// Lost on the way there, or back for good.
	504: {
		string(chaos.PostLost), string(chaos.SocketKilled), string(chaos.PeerHung), agentCut, agentHung,
		string(chaos.MessageLost), string(chaos.MessageThrottled), string(chaos.InvokeThrottled), string(chaos.PostLimited),
	},
	// An original agent whose connection went has another tunnel now, and a visitor
	// of the old one comes too late.
	404: {string(chaos.SocketKilled), string(chaos.PeerHung), agentCut, agentHung},
}

// explained reports whether a fault that struck can have lost the request.
func (r result) explained() bool {
	return slices.ContainsFunc(explains[r.status], func(fault string) bool { return r.struck[fault] > 0 })
}

// account counts what was lost, and wants every loss explained.
func (w *world) account() {
	w.t.Helper()
	w.mu.Lock()
	results := slices.Clone(w.results)
	w.mu.Unlock()
	lost := map[int]int{}
	for _, r := range results {
		if !r.lost() || r.mayMiss {
			continue
		}
		lost[r.status]++
		if !r.explained() {
			w.t.Errorf("lost, and no fault explains it: %s", r)
		}
	}
	slices.SortFunc(results, func(a, b result) int { return cmp.Compare(b.took, a.took) })
	for _, r := range results[:min(len(results), 5)] {
		w.t.Logf("among the slowest: %s", r)
	}
	w.t.Logf("%d requests, lost by status: %v, struck: %v; pushed %v, stored %v, asked again %v, dials %v, strays %v, refused %v",
		len(results), lost, w.struck(), w.metric("Pushed"), w.metric("Stored"), w.metric("Resends"), w.metric("Dials"), w.metric("StrayFrames"), w.metric("Refused"))
}

// small is a small request.
func small(draw *rand.Rand) request {
	return request{nonce: newNonce(draw), method: "POST", body: draw.IntN(2000), answer: draw.IntN(2000), plain: draw.IntN(2) == 0}
}

func newDraw(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x0c)) }

func names(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return all
}
