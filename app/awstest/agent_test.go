package awstest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"culvert/app/forwarder"
	"culvert/app/link"
	"culvert/app/session"
	"culvert/app/target"
	"culvert/backend/tunnel"
	"culvert/backend/wire"
)

// agent is a tunnel's program with its local service.
type agent struct {
	name     string
	declared bool
	service  *service

	mu      sync.Mutex
	est     wire.Established // the zero value while it is not connected
	count   int              // of connections so far
	changed chan struct{}    // closed at the next change

	jumps atomic.Int64 // of its wall clock, in hours: each makes it doubt its connection
}

func newAgent(t *testing.T, name string, declared bool) *agent {
	return &agent{name: name, declared: declared, service: newService(t, name), changed: make(chan struct{})}
}

func (a *agent) set(est wire.Established) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.est = est
	if est.TunnelID != "" {
		a.count++
	}
	close(a.changed)
	a.changed = make(chan struct{})
}

// state is what the agent was told when it connected, and how often it has.
func (a *agent) state() (est wire.Established, count int, changed <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.est, a.count, a.changed
}

// until waits until ok accepts the agent's state.
func (a *agent) until(t *testing.T, what string, ok func(est wire.Established, count int) bool) wire.Established {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		est, count, changed := a.state()
		if ok(est, count) {
			return est
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("agent %s: waiting in vain for %s", a.name, what)
		}
	}
}

func (a *agent) online(t *testing.T) wire.Established {
	t.Helper()
	return a.until(t, "a tunnel", func(est wire.Established, _ int) bool { return est.TunnelID != "" })
}

// doubt has a declared agent see whether its connection lives, as after a wake-up.
func (a *agent) doubt() { a.jumps.Add(1) }

// start runs the agent until the test ends. age, if any, says how long its nth
// connection may live.
func (a *agent) start(t *testing.T, backend string, age func(n int) time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	if a.declared {
		a.startDeclared(t, ctx, &wg, backend, age)
		return
	}
	o := &original{agent: a, backend: backend, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}}
	wg.Go(func() {
		o.live(ctx)
		o.client.CloseIdleConnections()
	})
}

// startDeclared runs the program's own code: session, link and forwarder.
func (a *agent) startDeclared(t *testing.T, ctx context.Context, wg *sync.WaitGroup, backend string, age func(int) time.Duration) {
	t.Helper()
	u, err := url.Parse(backend)
	if err != nil {
		t.Fatal(err)
	}
	to, err := target.Parse(a.service.url)
	if err != nil {
		t.Fatal(err)
	}
	owner, err := tunnel.NewOwnerKey()
	if err != nil {
		t.Fatal(err)
	}
	fwd, err := forwarder.New(forwarder.Config{Target: to})
	if err != nil {
		t.Fatal(err)
	}
	connect := session.DialWith(&link.Config{
		Backend: u, Owner: owner, Handler: fwd.Serve, Agent: "test " + a.name, DialTimeout: 10 * time.Second, HelloTimeout: 5 * time.Second,
	})
	began := time.Now()
	watcher := session.NewWatcher(session.WatchConfig{
		Interval: 20 * time.Millisecond,
		Clock: func() (time.Time, time.Duration) {
			now := time.Now()
			return now.Round(0).Add(time.Duration(a.jumps.Load()) * time.Hour), now.Sub(began)
		},
	})
	dials := 0 // by one goroutine at a time
	s := session.New(session.Config{
		Dial: func(ctx context.Context, h link.Hello) (session.Link, error) {
			l, err := connect(ctx, h)
			if err == nil && age != nil {
				dials++
				l = aged{l, age(dials)}
			}
			return l, err
		},
		OnStatus: func(st session.Status) {
			if st.State == session.Online {
				a.set(st.Established)
			} else if st.State != session.Connecting {
				a.set(wire.Established{})
			}
		},
		Watcher: watcher, BackoffMin: 50 * time.Millisecond, BackoffMax: 500 * time.Millisecond, StableAfter: time.Second, ProbeTimeout: 3 * time.Second,
	})
	wg.Go(func() { watcher.Run(ctx) })
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Errorf("agent %s was refused: %v", a.name, err)
		}
		fwd.Close()
	})
}

// aged is a connection that is said to live so long.
type aged struct {
	session.Link
	age time.Duration
}

func (l aged) Established() wire.Established {
	est := l.Link.Established()
	est.MaxAgeMS = l.age.Milliseconds()
	return est
}

// original is an agent that knows the table of form 1 and nothing else: it gets
// another tunnel with every connection.
type original struct {
	*agent
	backend string
	client  *http.Client
}

func (o *original) live(ctx context.Context) {
	for ctx.Err() == nil {
		_ = o.once(ctx)
		o.set(wire.Established{})
		select {
		case <-time.After(100 * time.Millisecond): // its back-off
		case <-ctx.Done():
		}
	}
}

// once is one connection.
func (o *original) once(ctx context.Context) error {
	conn, answer, err := websocket.DefaultDialer.DialContext(ctx, o.backend, nil)
	if err != nil {
		if answer != nil {
			err = errors.Join(err, answer.Body.Close())
		}
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	if err := conn.WriteJSON(map[string]any{"type": "ready"}); err != nil {
		return err
	}
	// A ready that got lost is answered by nobody.
	greeting := time.AfterFunc(5*time.Second, func() { conn.Close() })
	defer greeting.Stop()
	var writing sync.Mutex
	for {
		_, text, err := conn.ReadMessage()
		if err != nil {
			return err
		}
		message, err := wire.Decode(text, wire.MaxGatewayMessage)
		if err != nil {
			return err
		}
		switch m := message.(type) {
		case *wire.Established:
			greeting.Stop()
			o.set(*m)
		case *wire.HTTPRequest:
			wg.Go(func() {
				answer := o.serve(ctx, m)
				writing.Lock()
				defer writing.Unlock()
				_ = conn.WriteMessage(websocket.TextMessage, answer) // if it fails, reading does, too
			})
		}
	}
}

// serve asks the local service, and says what it says.
func (o *original) serve(ctx context.Context, m *wire.HTTPRequest) []byte {
	fail := func(code, why string) []byte {
		text, _ := json.Marshal(map[string]any{"type": "error", "request_id": m.RequestID, "code": code, "message": why}) // of strings
		return text
	}
	r, err := http.NewRequestWithContext(ctx, m.Method, o.service.url+m.URI, bytes.NewReader(m.Body))
	if err != nil {
		return fail("invalid_request", err.Error())
	}
	r.Header = m.Header
	answer, err := o.client.Do(r)
	if err != nil {
		return fail("local_service_unavailable", err.Error())
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return fail("internal_error", err.Error())
	}
	text, _ := json.Marshal(map[string]any{ // of what JSON knows
		"type": "http_response", "request_id": m.RequestID, "status_code": answer.StatusCode, "headers": answer.Header,
		"body": base64.StdEncoding.EncodeToString(body), "processing_time_ms": 1,
	})
	if len(text) > wire.MaxGatewayMessage {
		return fail("internal_error", "the answer is over one message of 128 KB")
	}
	return text
}
