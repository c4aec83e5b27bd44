package visitors

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"culvert/backend/lambda/event"
	"culvert/backend/lambda/post"
	"culvert/backend/lambda/store"
	"culvert/backend/lambda/ticket"
	"culvert/backend/lambda/timer"
	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	agentConn  = "agent1="
	waiterConn = "waiter1="
)

// everything is what an agent of this version declares.
var everything = []wire.Capability{
	wire.CapResume, wire.CapSession, wire.CapChunks, wire.CapGzip, wire.CapCancel, wire.CapBlob, wire.CapStream,
}

// world is all around Visitors, in memory: tables, API Gateway, and the function on
// the agents' side.
type world struct {
	t    *testing.T
	v    *Visitors
	keys *ticket.Keyring
	log  bytes.Buffer
	// reach is how long a post takes to arrive, and call how long any call takes.
	reach, call time.Duration

	mu       sync.Mutex
	tunnels  map[string]store.Tunnel
	stale    map[string]store.Tunnel // what reads see that are not consistent, if it is there
	answers  map[string]map[int]string
	turn     *fakeTurn
	named    string // the connection that turns name, "" for none
	lastTurn *fakeTurn
	agents   map[string]func(text []byte) // by connection
	postErr  func(conn string, text []byte) error
	lose     func(text []byte) bool              // of what is pushed: accepted, and lost
	loseTo   func(conn string, text []byte) bool // the same of what is posted to agents
	count    map[string]int
	metric   map[string]float64
	posted   []string // types of the messages that agents were sent
	read     int      // bytes, of answers
	readErr  error
	findErr  error
	tasks    sync.WaitGroup
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	keys, err := ticket.New(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, keys: keys, tunnels: map[string]store.Tunnel{}, stale: map[string]store.Tunnel{}, answers: map[string]map[int]string{},
		agents: map[string]func([]byte){}, count: map[string]int{}, metric: map[string]float64{},
	}
	base, _ := url.Parse("https://tunnel.example.test")
	cfg := Config{
		Tunnels: w, Answers: w, Poster: w, SubdomainURL: base, Version: "test",
		Keys:    func(context.Context) (*ticket.Keyring, error) { return keys, nil },
		Metrics: w, Log: slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&cfg)
	}
	if w.v, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	w.v.begin = w.begin
	t.Cleanup(w.tasks.Wait)
	return w
}

// open makes a tunnel that somebody holds.
func (w *world) open(id, conn string, declared bool, caps ...wire.Capability) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.tunnels[id] = store.Tunnel{
		Record: tunnel.Record{ID: id, Owner: "key:a", Epoch: 1, Live: true, Seen: now},
		Holder: store.Holder{Connection: conn, ConnectedAt: now.Add(-time.Hour), Declared: declared, Capabilities: caps},
		Since:  now,
	}
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func (w *world) counted(name string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count[name]
}

func (w *world) metricOf(name string) float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.metric[name]
}

// resetCounts begins to count anew.
func (w *world) resetCounts() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.count)
	w.posted = nil
}

// called is one paid call.
func (w *world) called(ctx context.Context, what string) error {
	w.mu.Lock()
	w.count[what]++
	d := w.call
	w.mu.Unlock()
	if d > 0 {
		_ = timer.Wait(ctx, d)
	}
	return ctx.Err()
}

func (w *world) Lookup(ctx context.Context, id string, consistent bool) (*store.Tunnel, error) {
	what := "lookups"
	if consistent {
		what = "consistent lookups"
	}
	if err := w.called(ctx, what); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.findErr != nil {
		return nil, w.findErr
	}
	t, ok := w.tunnels[id]
	if old, isStale := w.stale[id]; isStale && !consistent {
		t, ok = old, old.ID != ""
	}
	if !ok || !t.Live && time.Since(t.Seen) >= tunnel.Linger {
		return nil, store.ErrUnknown
	}
	return &t, nil
}

func (w *world) MarkGone(ctx context.Context, id, conn string) (bool, error) {
	if err := w.called(ctx, "marks"); err != nil {
		return false, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	t, ok := w.tunnels[id]
	if !ok || t.Connection != conn || !t.Live {
		return false, nil
	}
	t.Live, t.Seen, t.Since = false, time.Now(), time.Now()
	w.tunnels[id] = t
	return true, nil
}

func (w *world) GetAnswers(ctx context.Context, key string, spans []store.Span, consistent bool) ([]store.Answer, error) {
	what := "reads"
	if consistent {
		what = "consistent reads"
	}
	if err := w.called(ctx, what); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.readErr != nil {
		return nil, w.readErr
	}
	var list []store.Answer
	for _, part := range slices.Sorted(maps.Keys(w.answers[key])) {
		in := func(s store.Span) bool { return part >= s.From && (s.Below == 0 || part < s.Below) }
		if slices.ContainsFunc(spans, in) {
			w.read += len(w.answers[key][part])
			list = append(list, store.Answer{Part: part, Message: []byte(w.answers[key][part])})
		}
	}
	return list, nil
}

func (w *world) Post(ctx context.Context, conn string, text []byte, _ ...post.Option) error {
	if err := w.called(ctx, "posts"); err != nil {
		return fmt.Errorf("%w: %w", post.ErrUnavailable, err)
	}
	w.mu.Lock()
	if len(text) > wire.MaxGatewayMessage {
		w.t.Errorf("a message of %d bytes", len(text))
	}
	message, err := wire.DecodeDeclared(text, wire.MaxGatewayMessage)
	if err != nil {
		w.t.Errorf("an agent cannot read its message: %v", err)
	}
	w.posted = append(w.posted, fmt.Sprintf("%T", message)[len("*wire."):])
	if w.postErr != nil {
		if err := w.postErr(conn, text); err != nil {
			w.mu.Unlock()
			return err
		}
	}
	agent, reach := w.agents[conn], w.reach
	w.mu.Unlock()
	if agent == nil {
		return post.ErrGone
	}
	w.mu.Lock()
	lost := w.loseTo != nil && w.loseTo(conn, text)
	w.mu.Unlock()
	if lost {
		return nil
	}
	text = bytes.Clone(text)
	w.tasks.Go(func() {
		time.Sleep(reach)
		agent(text)
	})
	return nil
}

func (w *world) Count(name string, n float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.metric[name] += n
}

func (w *world) Sample(name string, v float64) { w.Count(name+" samples", 1) }

// fromAgent is the function on the agents' side.
func (w *world) fromAgent(conn string, text []byte) {
	message, err := wire.DecodeDeclared(text, wire.MaxGatewayMessage)
	if err != nil {
		return
	}
	var id, session string
	var part int
	resent := false
	switch m := message.(type) {
	case *wire.HTTPResponse:
		id, session, part, resent = m.RequestID, m.Session, store.PartHead, m.Resent
	case *wire.Chunk:
		id, session, part, resent = m.RequestID, m.Session, m.Seq, m.Resent
	case *wire.ErrorMessage:
		id, session, part, resent = m.RequestID, m.Session, store.PartError, m.Resent
	case *wire.Resend:
		id, session, part = m.RequestID, m.Session, store.PartRequest
	default:
		return
	}
	tk, err := w.keys.Open(id, conn, time.Now())
	if err != nil {
		w.set(func() { w.count["refused"]++ })
		return
	}
	if !tk.Bound {
		if of, err := w.keys.OpenSession(session, time.Now()); err != nil || of != tk.Tunnel {
			w.set(func() { w.count["refused"]++ })
			return
		}
	}
	pushed := tk.Waiter != "" && !resent && w.push(tk.Waiter, id, text)
	if pushed && !tk.Bound {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count["writes"]++
	if w.answers[tk.Key()] == nil {
		w.answers[tk.Key()] = map[int]string{}
	}
	for w.answers[tk.Key()][part] != "" && part >= store.PartRequest {
		part++
	}
	if w.answers[tk.Key()][part] == "" {
		w.answers[tk.Key()][part] = string(text)
	}
}

// push posts to the waiting environment, and reports whether that was accepted.
func (w *world) push(conn, id string, text []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.turn
	if t == nil {
		t = w.lastTurn
	}
	if t == nil || t.over || conn != t.named {
		return false
	}
	if w.lose != nil && w.lose(text) {
		return true
	}
	if id == t.id {
		t.queue = append(t.queue, text)
		select {
		case t.arrived <- struct{}{}:
		default:
		}
	}
	return true
}

// begin makes a turn that names what the world says.
func (w *world) begin() turn {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.turn = &fakeTurn{w: w, arrived: make(chan struct{}, 1), gone: make(chan struct{})}
	w.lastTurn = w.turn
	return w.turn
}

// cut ends the environment's connection.
func (w *world) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.turn != nil && !w.turn.over {
		w.turn.over = true
		close(w.turn.gone)
	}
}

type fakeTurn struct {
	w       *world
	named   string
	id      string
	queue   [][]byte
	arrived chan struct{}
	gone    chan struct{}
	over    bool
	sustain int
	doubted bool
	ended   bool
}

func (t *fakeTurn) Connection() string {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	t.named = t.w.named
	return t.named
}

func (t *fakeTurn) Expect(id string) {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	t.id = id
}

func (t *fakeTurn) Sustain() {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	t.sustain++
}

func (t *fakeTurn) Doubt() {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	t.doubted = true
}

func (t *fakeTurn) Arrived() <-chan struct{} { return t.arrived }
func (t *fakeTurn) Gone() <-chan struct{}    { return t.gone }
func (t *fakeTurn) Next() []byte {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	if len(t.queue) == 0 {
		return nil
	}
	text := t.queue[0]
	t.queue = t.queue[1:]
	return text
}

func (t *fakeTurn) End() {
	t.w.mu.Lock()
	defer t.w.mu.Unlock()
	if t.ended {
		t.w.t.Error("a turn ended twice")
	}
	t.ended = true
	if t.w.turn == t {
		t.w.turn = nil
	}
	t.id = ""
}

// get is a visitor's request in the path form.
func get(target string) *event.Request {
	return &event.Request{
		Kind: event.HTTPv2, ID: "gateway-id", Method: http.MethodGet, Target: target, Proto: "https",
		Host: "tunnel.example.test", Header: http.Header{}, SourceIP: "203.0.113.7",
	}
}

func postRequest(target string, body []byte, contentType string) *event.Request {
	r := get(target)
	r.Method, r.Body = http.MethodPost, body
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return r
}

// bubble runs a test with time of its own.
func bubble(t *testing.T, change func(*Config), test func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(t, newWorld(t, change)) })
}
