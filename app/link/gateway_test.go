package link

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
)

// gateway is a backend behind API Gateway, written from SPEC.md alone: it shares no
// code with the product. Messages travel in any order, twice or never, both ways,
// as its seed decides. It runs inside a synctest bubble; connections are pipes.
type gateway struct {
	t      *testing.T
	url    *url.URL
	ln     *pipeListener
	frames *frameLog
	caps   []string
	early  []map[string]any // sent before the greeting, once
	maxAge time.Duration    // announced; 0 for not
	hard   time.Duration    // when a connection is cut; 0 for never
	cached time.Duration    // how long requests may still go to a connection that has a successor

	mu     sync.Mutex
	rng    *rand.Rand
	lose   float64       // of all messages
	twice  float64       // of those that come
	delay  time.Duration // at most
	conns  []*gwConn     // oldest first
	served int           // connections so far
	asks   map[string]*ask
	number int
	pings  int
	deaf   bool // it takes the session token no more
	wg     sync.WaitGroup
}

// gwConn is one agent's connection.
type gwConn struct {
	ws    *websocket.Conn
	since time.Time
	ready map[string]any
	write sync.Mutex
	idle  *time.Timer
	gone  bool // guarded by the gateway
}

const gwToken = "session-token-of-t1"

func newGateway(t *testing.T, seed uint64) *gateway {
	g := &gateway{
		t: t, url: &url.URL{Scheme: "ws", Host: "gateway.test", Path: "/prod"}, ln: newPipeListener(), frames: &frameLog{},
		caps: []string{"resume", "session", "chunks", "gzip", "cancel", "stream"},
		rng:  rand.New(rand.NewPCG(seed, 1)), asks: map[string]*ask{},
	}
	srv := &http.Server{Handler: g}
	g.wg.Go(func() { _ = srv.Serve(&teeListener{g.ln, g.frames}) })
	t.Cleanup(func() {
		_ = srv.Close()
		g.mu.Lock()
		for _, c := range g.conns {
			_ = c.ws.Close()
		}
		g.mu.Unlock()
		g.wg.Wait()
		g.frames.mu.Lock()
		defer g.frames.mu.Unlock()
		// A frame's length is with its head, of up to 8 bytes with the mask.
		if g.frames.maxFrame > 32<<10+8 || g.frames.maxMessage > 128<<10 || g.frames.opcodes[2] > 0 {
			t.Errorf("frames up to %d bytes, messages up to %d, %d binary ones", g.frames.maxFrame, g.frames.maxMessage, g.frames.opcodes[2])
		}
	})
	return g
}

// faults makes the network what API Gateway's is.
func (g *gateway) faults(lose, twice float64, delay time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lose, g.twice, g.delay = lose, twice, delay
}

// travel does f as often as a message arrives, some time later.
func (g *gateway) travel(f func()) {
	g.mu.Lock()
	var waits []time.Duration
	if g.rng.Float64() >= g.lose {
		waits = append(waits, time.Duration(g.rng.Float64()*float64(g.delay)))
		if g.rng.Float64() < g.twice {
			waits = append(waits, time.Duration(g.rng.Float64()*float64(g.delay)))
		}
	}
	g.mu.Unlock()
	for _, wait := range waits {
		if wait == 0 {
			f()
			continue
		}
		g.wg.Go(func() {
			time.Sleep(wait)
			f()
		})
	}
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ws, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
	if err != nil {
		g.t.Errorf("upgrade: %v", err)
		return
	}
	c := &gwConn{ws: ws, since: time.Now()}
	defer ws.Close()
	cut := func() {
		c.write.Lock()
		defer c.write.Unlock()
		_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1001, "Going away"), time.Now().Add(time.Second))
		_ = ws.Close()
	}
	c.idle = time.AfterFunc(10*time.Minute, func() {
		g.t.Error("a connection was idle for 10 minutes")
		cut()
	})
	defer c.idle.Stop()
	if g.hard > 0 {
		defer time.AfterFunc(g.hard, func() {
			g.t.Errorf("a connection was cut after %v", g.hard)
			cut()
		}).Stop()
	}
	for {
		kind, text, err := ws.ReadMessage()
		if err != nil {
			break
		}
		c.idle.Reset(10 * time.Minute)
		var m map[string]any
		if kind != websocket.TextMessage || json.Unmarshal(text, &m) != nil {
			g.t.Errorf("message of kind %d: %.100s", kind, text)
			break
		}
		if m["type"] == "ready" {
			g.greet(c, m)
			continue
		}
		g.travel(func() { g.onMessage(c, m) })
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	c.gone = true
	g.conns = slices.DeleteFunc(g.conns, func(o *gwConn) bool { return o == c })
}

func (g *gateway) greet(c *gwConn, ready map[string]any) {
	g.mu.Lock()
	c.ready = ready
	g.conns = append(g.conns, c)
	g.served++
	m := map[string]any{
		"type": "connection_established", "connection_id": fmt.Sprint("c", g.served), "tunnel_id": "t1", "public_url": "https://gateway.test/t1",
		"protocol": 2, "capabilities": g.caps, "session": gwToken, "resume": "secret", "epoch": g.served,
		"stream_url": "https://stream.test/t1",
	}
	if g.maxAge > 0 {
		m["max_age_ms"] = g.maxAge.Milliseconds()
	}
	early := g.early
	g.early = nil
	g.mu.Unlock()
	for _, e := range early {
		g.write(c, e)
	}
	g.write(c, m)
}

func (g *gateway) write(c *gwConn, m map[string]any) bool {
	text, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	if len(text) > 128<<10 {
		g.t.Errorf("the backend sends %d bytes", len(text))
	}
	c.write.Lock()
	defer c.write.Unlock()
	_ = c.ws.SetWriteDeadline(time.Now().Add(time.Minute))
	return c.ws.WriteMessage(websocket.TextMessage, text) == nil
}

// post sends a message to the tunnel: to the newest connection, or for a while to the
// one before, as look-ups are cached. A connection that is gone is a 410.
func (g *gateway) post(m map[string]any) {
	g.travel(func() { g.postNow(m) })
}

func (g *gateway) postNow(m map[string]any) {
	g.mu.Lock()
	conns := slices.Clone(g.conns)
	if n := len(conns); n > 1 && time.Since(conns[n-1].since) < g.cached && g.rng.IntN(2) == 0 {
		conns[n-1], conns[n-2] = conns[n-2], conns[n-1]
	}
	g.mu.Unlock()
	for _, c := range slices.Backward(conns) {
		if g.write(c, m) {
			return
		}
	}
}

// ask is one request and what came back for it.
type ask struct {
	id      string
	request []map[string]any // its parts
	news    chan struct{}    // something has come

	// Guarded by the gateway.
	head    map[string]any
	parts   map[int][]byte
	last    int // number of the last part; -1 while unknown
	failed  map[string]any
	resent  int         // parts that came with the mark
	asked   int         // resends from the agent
	heads   int         // http_response and error messages that came
	credits int         // upto of the latest
	twice   func(n int) // called for a chunk that has come before
}

// state is what has come so far.
func (g *gateway) state(a *ask) ask {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := *a
	c.parts = maps.Clone(a.parts)
	return c
}

// recount forgets how many parts came with the mark.
func (g *gateway) recount(a *ask) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a.resent = 0
}

func (g *gateway) onMessage(c *gwConn, m map[string]any) {
	typ, _ := m["type"].(string)
	if typ == "pong" {
		return
	}
	if m["session"] != gwToken {
		g.t.Errorf("%s with session %v", typ, m["session"])
		return
	}
	if typ == "ping" {
		g.mu.Lock()
		g.pings++
		deaf := g.deaf
		g.mu.Unlock()
		if !deaf {
			g.write(c, map[string]any{"type": "pong"})
		}
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	id, _ := m["request_id"].(string)
	a := g.asks[id]
	if a == nil {
		g.t.Errorf("%s about request %q", typ, id)
		return
	}
	if m["resent"] == true {
		a.resent++
	}
	switch typ {
	case "http_response":
		a.heads++
		if a.head == nil {
			a.head = m
			a.partLocked(0, m)
			if m["more"] != true {
				a.last = 0
			}
		}
	case "chunk":
		seq := int(m["seq"].(float64))
		if _, twice := a.parts[seq]; twice && a.twice != nil {
			a.twice(seq)
		}
		a.partLocked(seq, m)
		if m["last"] == true {
			a.last = seq
		}
	case "error":
		a.heads++
		a.failed = m
	case "resend":
		a.asked++
		for seq, part := range a.request {
			if wants(m, seq) {
				g.wg.Go(func() { g.post(part) })
			}
		}
	default:
		g.t.Errorf("message of type %q", typ)
	}
	select {
	case a.news <- struct{}{}:
	default:
	}
}

func (a *ask) partLocked(seq int, m map[string]any) {
	body, err := base64.StdEncoding.DecodeString(m["body"].(string))
	if err != nil {
		panic(err)
	}
	if old, ok := a.parts[seq]; ok && !bytes.Equal(old, body) {
		panic(fmt.Sprintf("part %d came with another body", seq))
	}
	a.parts[seq] = body
}

func wants(resend map[string]any, seq int) bool {
	if from, ok := resend["from"].(float64); ok && seq >= int(from) {
		return true
	}
	list, _ := resend["seqs"].([]any)
	return slices.Contains(list, any(float64(seq)))
}

// begin sends a request whose body travels as it is given, cut every 90 KB; more
// fields are added to its first message.
func (g *gateway) begin(method, uri string, body []byte, more map[string]any) *ask {
	g.mu.Lock()
	g.number++
	a := &ask{id: fmt.Sprint("r", g.number), news: make(chan struct{}, 1), parts: map[int][]byte{}, last: -1}
	g.asks[a.id] = a
	g.mu.Unlock()
	size := 90 << 10
	for part := range slices.Chunk(body, size) {
		text := base64.StdEncoding.EncodeToString(part)
		if len(a.request) == 0 {
			m := request(a.id, method, uri, map[string][]string{"host": {"gateway.test"}}, part)
			if len(body) > size {
				m["more"], m["body_size"] = true, len(body)
			}
			a.request = append(a.request, m)
			continue
		}
		m := map[string]any{"type": "chunk", "request_id": a.id, "seq": len(a.request), "body": text}
		if len(a.request) == (len(body)-1)/size {
			m["last"] = true
		}
		a.request = append(a.request, m)
	}
	if len(a.request) == 0 {
		a.request = []map[string]any{request(a.id, method, uri, map[string][]string{"host": {"gateway.test"}}, nil)}
	}
	for name, value := range more {
		a.request[0][name] = value
	}
	for _, m := range a.request {
		g.post(m)
	}
	return a
}

// finish waits for the answer and asks for what is missing.
func (g *gateway) finish(ctx context.Context, a *ask) (head map[string]any, body []byte, err error) {
	wait := 500 * time.Millisecond
	for {
		g.mu.Lock()
		whole, missing := a.wholeLocked()
		head, failed := a.head, a.failed
		g.mu.Unlock()
		switch {
		case failed != nil:
			return head, nil, fmt.Errorf("%v: %v", failed["code"], failed["message"])
		case missing == nil:
			body, err := decoded(head, whole)
			return head, body, err
		}
		select {
		case <-a.news:
			wait = 500 * time.Millisecond
		case <-time.After(wait):
			wait *= 3
			missing["type"], missing["request_id"] = "resend", a.id
			g.post(missing)
		case <-ctx.Done():
			return head, nil, ctx.Err()
		}
	}
}

func (a *ask) wholeLocked() (body []byte, missing map[string]any) {
	next := 0
	for seq := range a.parts {
		next = max(next, seq+1)
	}
	var seqs []int
	for seq := range max(next, a.last+1) {
		if part, ok := a.parts[seq]; ok {
			body = append(body, part...)
		} else {
			seqs = append(seqs, seq)
		}
	}
	switch {
	case a.last < 0:
		return nil, map[string]any{"seqs": seqs, "from": next}
	case seqs != nil:
		return nil, map[string]any{"seqs": seqs}
	}
	return body, nil
}

// decoded undoes the encoding and checks the size.
func decoded(head map[string]any, body []byte) ([]byte, error) {
	size, sized := head["body_size"].(float64)
	if head["encoding"] == "gzip" {
		r, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		if body, err = io.ReadAll(r); err != nil {
			return nil, err
		}
		if !sized {
			return nil, errors.New("gzip without body_size")
		}
	}
	if sized && int(size) != len(body) && head["uploaded"] != true {
		return nil, fmt.Errorf("body_size is %v, the body has %d bytes", size, len(body))
	}
	return body, nil
}

// visit is begin and finish, within 28 s.
func (g *gateway) visit(method, uri string, body []byte, more map[string]any) (map[string]any, []byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 28*time.Second)
	defer cancel()
	return g.finish(ctx, g.begin(method, uri, body, more))
}

// config is a link's configuration for this backend.
func (g *gateway) config(cfg *Config) *Config {
	cfg.Backend = g.url
	cfg.dial = g.ln.dial
	if cfg.Handler == nil {
		cfg.Handler = echo
	}
	return cfg
}

// link runs one link until the test ends, or until stop.
func (g *gateway) link(cfg *Config) (l *Link, stop func()) {
	g.t.Helper()
	l, err := cfg.Dial(g.t.Context(), Hello{Instance: "i"})
	if err != nil {
		g.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = l.Run(ctx) })
	stop = func() {
		cancel()
		wg.Wait()
	}
	g.t.Cleanup(func() {
		stop()
		l.Settle()
	})
	return l, stop
}

// pass lets time pass in a bubble, and then everything come to rest.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// pipeListener listens where dial connects to.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
