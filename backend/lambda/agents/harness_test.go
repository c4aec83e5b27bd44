package agents

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"culvert/backend/auth"
	"culvert/backend/lambda/event"
	"culvert/backend/lambda/keys"
	"culvert/backend/lambda/post"
	"culvert/backend/lambda/store"
	"culvert/backend/lambda/ticket"
	"culvert/backend/tunnel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type object = map[string]any

// world is an Agents on a real DynamoDB, with a gateway that tests can see through.
type world struct {
	t       *testing.T
	agents  *Agents
	store   *store.Store
	db      *dynamodb.Client
	names   store.Names
	gateway *gateway
	waiters *waiters
	keys    *ring
	log     *lockedBuffer

	mu     sync.Mutex
	counts map[string]int
}

func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	w := &world{t: t, waiters: &waiters{}, keys: newRing(t, 'a'), log: &lockedBuffer{}, counts: map[string]int{}}
	w.store, w.db, w.names = newStore(t)
	w.gateway = &gateway{w: w, connections: map[string]*connection{}}
	cfg := Config{
		Store: w.store, Poster: w.gateway, Waiters: w.waiters, Keys: w.keys, Auth: AuthJWT,
		PublicURL: "https://tunnel.example.com", MaxTunnels: 20, Version: "1.2.3", Count: w,
		Logger: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if w.agents, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	w.agents.patience = patience{probe: 300 * time.Millisecond, look: 5 * time.Millisecond, tell: time.Millisecond, farewell: time.Millisecond, list: 5 * time.Second}
	t.Cleanup(func() {
		for _, secret := range w.keys.secrets() {
			if strings.Contains(w.log.String(), secret) {
				t.Error("a secret is in the log")
			}
		}
	})
	return w
}

func (w *world) Count(name string, n float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[name] += int(n)
}

func (w *world) counted(name string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts[name]
}

// handle gives Agents an event; connections that it refuses are no connections.
func (w *world) handle(m *event.Message) int {
	w.t.Helper()
	m.Domain, m.Stage, m.SourceIP = "ws.example.com", "live", "203.0.113.7"
	before := w.gateway.accepted()
	out, err := w.agents.Handle(w.t.Context(), m)
	// An error is the status, or it was told.
	if (out.Status >= 500) != (err != nil) && (out.Status >= 500 || w.gateway.accepted() == before) {
		w.t.Errorf("%s: status %d, error %v", m.EventType, out.Status, err)
	}
	if len(out.Body) > 0 {
		w.t.Errorf("%s on %q: %s is returned, where nobody reads it", m.EventType, m.Route, out.Body)
	}
	return out.Status
}

// connect opens a connection for user, who may be "" for nobody.
func (w *world) connect(id, user string, claims ...jwt.MapClaims) {
	w.t.Helper()
	m := &event.Message{ConnectionID: id, EventType: event.Connect, Route: "$connect", ConnectedAt: time.Now(), Header: http.Header{"Host": {"ws.example.com"}}}
	if user != "" {
		c := jwt.MapClaims{"sub": user}
		if len(claims) > 0 {
			c = claims[0]
			c["sub"] = user
		}
		m.Header.Set("Authorization", "Bearer "+w.keys.token(w.t, c))
	}
	if status := w.handle(m); status != http.StatusOK {
		w.t.Fatalf("connect: %d", status)
	}
	w.gateway.open(id)
}

func (w *world) sendText(id, text string) int {
	w.t.Helper()
	return w.handle(&event.Message{ConnectionID: id, EventType: event.Text, Route: "$default", ConnectedAt: time.Now(), Body: []byte(text)})
}

func (w *world) send(id string, m object) {
	w.t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		w.t.Fatal(err)
	}
	if status := w.sendText(id, string(text)); status != http.StatusOK {
		w.t.Errorf("%v: status %d", m["type"], status)
	}
}

func (w *world) disconnect(id string) {
	w.t.Helper()
	w.gateway.close(id)
	if status := w.handle(&event.Message{ConnectionID: id, EventType: event.Disconnect, Route: "$disconnect"}); status != http.StatusOK {
		w.t.Errorf("disconnect: %d", status)
	}
}

// all capabilities, as our agent offers them.
var offered = []string{"resume", "session", "chunks", "gzip", "cancel", "blob", "stream"}

// declared connects an agent that has declared itself, and gives what it is told.
func (w *world) declared(id, user string, hello object) object {
	w.t.Helper()
	w.connect(id, user)
	return w.ready(id, hello)
}

func (w *world) ready(id string, hello object) object {
	w.t.Helper()
	m := object{"type": "ready", "protocol": 2, "capabilities": offered, "instance": "i-" + id}
	for k, v := range hello {
		m[k] = v
	}
	before := len(w.gateway.received(id))
	w.send(id, m)
	got := w.gateway.received(id)
	if len(got) <= before {
		w.t.Fatalf("%s: no answer to ready", id)
	}
	return got[len(got)-1]
}

func (w *world) lookup(id string) *store.Tunnel {
	w.t.Helper()
	got, err := w.store.Lookup(w.t.Context(), id, true)
	if errors.Is(err, store.ErrUnknown) {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

// holds checks which connection holds a tunnel; "" for none.
func (w *world) holds(id, connection string) {
	w.t.Helper()
	got := ""
	if now := w.lookup(id); now != nil && now.Live {
		got = now.Connection
	}
	if got != connection {
		w.t.Errorf("%s is held by %q, want %q", id, got, connection)
	}
}

func wantError(t *testing.T, m object, code string) {
	t.Helper()
	if m["type"] != "error" || m["code"] != code || m["message"] == "" {
		t.Errorf("got %v, want error %s", m, code)
	}
}

// gateway is API Gateway's side of agents' connections.
type gateway struct {
	w           *world
	mu          sync.Mutex
	connections map[string]*connection
	deleted     []string
	posts       int // that were accepted
	// fail is the error of the next posts to a connection, by its ID.
	fail map[string][]error
}

type connection struct {
	open     bool
	silent   bool // it answers no ping
	messages []object
}

func (g *gateway) open(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.connections[id] = &connection{open: true}
}

func (g *gateway) close(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.connections[id]; c != nil {
		c.open = false
	}
}

func (g *gateway) silence(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.connections[id].silent = true
}

func (g *gateway) failNext(id string, errs ...error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fail == nil {
		g.fail = map[string][]error{}
	}
	g.fail[id] = append(g.fail[id], errs...)
}

func (g *gateway) received(id string) []object {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.connections[id]; c != nil {
		return slices.Clone(c.messages)
	}
	return nil
}

func (g *gateway) Post(_ context.Context, id string, text []byte, _ ...post.Option) error {
	var m object
	if err := json.Unmarshal(text, &m); err != nil || len(text) > 128<<10 {
		g.w.t.Errorf("posted %.100s: %v", text, err)
	}
	g.mu.Lock()
	c := g.connections[id]
	if errs := g.fail[id]; len(errs) > 0 {
		g.fail[id] = errs[1:]
		g.mu.Unlock()
		return errs[0]
	}
	if c == nil || !c.open {
		g.mu.Unlock()
		return post.ErrGone
	}
	c.messages = append(c.messages, m)
	g.posts++
	answers := m["type"] == "ping" && !c.silent
	g.mu.Unlock()
	if answers {
		g.w.sendText(id, `{"type":"pong"}`)
	}
	return nil
}

func (g *gateway) Info(_ context.Context, id string) (post.Info, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.connections[id]; c == nil || !c.open {
		return post.Info{}, post.ErrGone
	}
	return post.Info{LastActiveAt: time.Now()}, nil
}

func (g *gateway) Delete(_ context.Context, id string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.deleted = append(g.deleted, id)
	if c := g.connections[id]; c != nil {
		c.open = false
	}
	return nil
}

func (g *gateway) accepted() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.posts
}

func (g *gateway) wasDeleted(id string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Contains(g.deleted, id)
}

func (g *gateway) forgetDeleted() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.deleted = nil
}

// waiters are the connections of those who wait.
type waiters struct {
	mu  sync.Mutex
	err error
	got map[string][]string
}

func (p *waiters) Post(_ context.Context, id string, text []byte, _ ...post.Option) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return p.err
	}
	if p.got == nil {
		p.got = map[string][]string{}
	}
	p.got[id] = append(p.got[id], string(text))
	return nil
}

func (p *waiters) all() map[string][]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string][]string{}
	for id, texts := range p.got {
		out[id] = slices.Clone(texts)
	}
	return out
}

// ring is keys that can be rotated behind the back of who has read them.
type ring struct {
	mu    sync.Mutex
	known string // one letter for each key, newest first
	next  string
	set   *keys.Set
	err   error
	reads int
}

func newRing(t *testing.T, letter byte) *ring {
	t.Helper()
	return &ring{known: string(letter), set: setOf(t, string(letter))}
}

func secretOf(letter byte) []byte { return bytes.Repeat([]byte{letter}, 48) }

func setOf(t *testing.T, letters string) *keys.Set {
	t.Helper()
	var secrets [][]byte
	var s keys.Set
	for _, letter := range []byte(letters) {
		secrets = append(secrets, secretOf(letter))
		s.Resume = append(s.Resume, tunnel.NewResumer(secretOf(letter)))
	}
	var err1, err2 error
	s.Tickets, err1 = ticket.New(secrets...)
	s.Tokens, err2 = auth.NewSecretVerifier(secrets...)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return &s
}

func (r *ring) Get(context.Context) (*keys.Set, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return nil, r.err
	}
	return r.set, nil
}

func (r *ring) Reread(_ context.Context, have *keys.Set) (*keys.Set, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads++
	if r.err != nil {
		return nil, false, r.err
	}
	if r.next != "" {
		r.known, r.next = r.next, ""
		r.set = setOf(&testing.T{}, r.known)
	}
	return r.set, r.set != have, nil
}

// rotate makes letter the newest key, of which Get does not know yet.
func (r *ring) rotate(letter byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next = string(letter) + r.known[:1]
}

func (r *ring) newest() byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next != "" {
		return r.next[0]
	}
	return r.known[0]
}

func (r *ring) token(t *testing.T, c jwt.MapClaims) string {
	t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString(secretOf(r.newest()))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// tickets is the keyring of the visitors' side, which may be ahead.
func (r *ring) tickets(t *testing.T) *ticket.Keyring {
	return setOf(t, string(r.newest())).Tickets
}

func (r *ring) secrets() []string {
	var list []string
	for _, letter := range []byte("abc") {
		list = append(list, string(secretOf(letter)))
	}
	return list
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// unlogged checks that a secret of the test is not in the log.
func (w *world) unlogged(secrets ...any) {
	w.t.Helper()
	for _, secret := range secrets {
		if s := fmt.Sprint(secret); s != "" && strings.Contains(w.log.String(), s) {
			w.t.Errorf("%.12s… is in the log", s)
		}
	}
}

func query(token string) url.Values { return url.Values{"token": {token}} }
