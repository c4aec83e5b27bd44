package link

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"culvert/backend/wire"
)

// pipeBackend is the other end of a link inside a synctest bubble, where time is
// the bubble's and connections are pipes.
type pipeBackend struct {
	t      *testing.T
	conn   net.Conn
	gate   chan struct{} // whoever takes the token stops the backend from reading
	from   net.Addr      // the agent's address, if not the pipe's
	form2  bool
	early  string // sent before the greeting, if not ""
	ws     *websocket.Conn
	mu     sync.Mutex
	pings  []time.Time // control pings
	beats  []time.Time // ping messages
	others []string
}

// pipeLink dials a pipeBackend that greets with greeting; dead stops it from
// reading after that, as a peer whose network is gone.
func pipeLink(t *testing.T, cfg *Config, scheme, greeting string, dead bool) (*Link, *pipeBackend) {
	t.Helper()
	return (&pipeBackend{t: t}).link(cfg, scheme, greeting, dead)
}

func (b *pipeBackend) link(cfg *Config, scheme, greeting string, dead bool) (*Link, *pipeBackend) {
	t := b.t
	t.Helper()
	here, there := net.Pipe()
	b.gate = make(chan struct{}, 1)
	b.gate <- struct{}{}
	b.conn = gatedConn{there, b.gate}
	cfg.Backend = &url.URL{Scheme: scheme, Host: "backend.test"}
	dialled := here
	if b.from != nil {
		dialled = movedConn{here, b.from}
	}
	cfg.dial = func(context.Context, string, string) (net.Conn, error) { return dialled, nil }
	if cfg.Handler == nil {
		cfg.Handler = echo
	}
	var wg sync.WaitGroup
	wg.Go(func() { b.serve(greeting, dead) })
	t.Cleanup(wg.Wait)
	l, err := cfg.Dial(t.Context(), Hello{})
	if err != nil {
		t.Fatal(err)
	}
	return l, b
}

// movedConn has the local address of another network.
type movedConn struct {
	net.Conn
	from net.Addr
}

func (c movedConn) LocalAddr() net.Addr { return c.from }

// gatedConn reads only while nobody has taken the gate's token.
type gatedConn struct {
	net.Conn
	gate chan struct{}
}

func (c gatedConn) Read(p []byte) (int, error) {
	token := <-c.gate
	c.gate <- token
	return c.Conn.Read(p)
}

// hijacked lets gorilla's upgrader take a pipe.
type hijacked struct {
	http.ResponseWriter
	conn net.Conn
	rw   *bufio.ReadWriter
}

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.conn, h.rw, nil }
func (h hijacked) Header() http.Header                          { return http.Header{} }

func (b *pipeBackend) serve(greeting string, dead bool) {
	rw := bufio.NewReadWriter(bufio.NewReader(b.conn), bufio.NewWriter(b.conn))
	req, err := http.ReadRequest(rw.Reader)
	if err != nil {
		b.t.Errorf("handshake: %v", err)
		return
	}
	var up websocket.Upgrader
	if b.form2 {
		up.Subprotocols = []string{wire.Subprotocol}
	}
	ws, err := up.Upgrade(hijacked{conn: b.conn, rw: rw}, req, nil)
	if err != nil {
		b.t.Errorf("upgrade: %v", err)
		return
	}
	defer ws.Close()
	b.mu.Lock()
	b.ws = ws
	b.mu.Unlock()
	pong := ws.PingHandler()
	ws.SetPingHandler(func(data string) error {
		b.mu.Lock()
		b.pings = append(b.pings, time.Now())
		b.mu.Unlock()
		if dead {
			return nil
		}
		return pong(data)
	})
	if _, _, err := ws.ReadMessage(); err != nil {
		return
	}
	if b.early != "" {
		b.send(b.early)
	}
	b.send(greeting)
	for {
		_, text, err := ws.ReadMessage()
		if err != nil {
			return
		}
		b.mu.Lock()
		if string(text) == `{"type":"ping"}` {
			b.beats = append(b.beats, time.Now())
		} else {
			b.others = append(b.others, string(text))
		}
		b.mu.Unlock()
	}
}

func (b *pipeBackend) send(text string) {
	b.mu.Lock()
	ws := b.ws
	b.mu.Unlock()
	_ = ws.WriteMessage(websocket.TextMessage, []byte(text))
}

func (b *pipeBackend) counts() (pings, beats []time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pings, b.beats
}

const (
	greetPlain    = `{"type":"connection_established","connection_id":"c","tunnel_id":"t","public_url":"http://x/t"}`
	greetDeclared = `{"type":"connection_established","connection_id":"c","tunnel_id":"t","public_url":"http://x/t","protocol":2,"capabilities":["resume"],"resume":"r","epoch":1}`
)

// running runs l until the test ends; ended is nil while it runs.
func running(t *testing.T, l *Link) (done chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done = make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() { done <- l.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	synctest.Wait()
	return done
}

func TestSilentRelayIsNoticed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, _ := pipeLink(t, &Config{}, "http", greetPlain, true)
		start := time.Now()
		err := <-running(t, l)
		if took := time.Since(start); took > 30*time.Second || took < 10*time.Second {
			t.Errorf("noticed after %v", took)
		}
		if err == nil || !strings.HasPrefix(err.Error(), "no sign of life from the backend") {
			t.Errorf("Run = %v", err)
		}
	})
}

// The same in form 2, where package mux listens.
func TestSilentRelayIsNoticedInForm2(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, _ := (&pipeBackend{t: t, form2: true}).link(&Config{}, "http", greetDeclared, true)
		if !l.form2() {
			t.Fatal("not form 2")
		}
		start := time.Now()
		err := <-running(t, l)
		if took := time.Since(start); took > 30*time.Second || took < 10*time.Second {
			t.Errorf("noticed after %v", took)
		}
		if err == nil || !strings.HasPrefix(err.Error(), "no sign of life from the backend") {
			t.Errorf("Run = %v", err)
		}
	})
}

func TestQuietRelayIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, b := pipeLink(t, &Config{}, "http", greetPlain, false)
		done := running(t, l)
		time.Sleep(time.Hour)
		select {
		case err := <-done:
			t.Fatalf("Run = %v", err)
		default:
		}
		if pings, beats := b.counts(); len(pings) < 360 || len(beats) > 0 {
			t.Errorf("%d pings, %d ping messages", len(pings), len(beats))
		}
	})
}

func TestGatewayHeartbeats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, b := pipeLink(t, &Config{}, "ws", greetPlain, true)
		done := running(t, l)
		last := time.Now()
		time.Sleep(2 * time.Hour)
		select {
		case err := <-done:
			t.Fatalf("Run = %v: an undeclared backend owes no pong", err)
		default:
		}
		pings, beats := b.counts()
		if len(pings) > 0 {
			t.Errorf("%d control pings", len(pings))
		}
		for _, at := range beats {
			if gap := at.Sub(last); gap > 5*time.Minute || gap < 3*time.Minute {
				t.Errorf("%v between heartbeats", gap)
			}
			last = at
		}
		if rest := time.Since(last); rest > 5*time.Minute {
			t.Errorf("no heartbeat for the last %v", rest)
		}
	})
}

func TestDeclaredGatewayMustAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, b := pipeLink(t, &Config{}, "ws", greetDeclared, true)
		start := time.Now()
		err := <-running(t, l)
		if took := time.Since(start); took > heartbeatEvery+heartbeatTries*heartbeatWait {
			t.Errorf("noticed after %v", took)
		}
		if !errors.Is(err, ErrSilent) || !strings.HasPrefix(err.Error(), "no sign of life from the backend") {
			t.Errorf("Run = %v", err)
		}
		if _, beats := b.counts(); len(beats) != heartbeatTries {
			t.Errorf("%d heartbeats: a lost one proves nothing", len(beats))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		l, b := pipeLink(t, &Config{}, "ws", greetDeclared, true)
		done := running(t, l)
		for range 60 { // something comes now and then, if not a pong
			time.Sleep(5 * time.Second)
			b.send(`{"type":"news"}`)
		}
		synctest.Wait()
		select {
		case err := <-done:
			t.Errorf("Run = %v", err)
		default:
		}
	})
}

func TestProbe(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		scheme      string
		greeting    string
		dead        bool
		unsupported bool
	}{
		{"relay", "http", greetPlain, false, false},
		{"dead relay", "http", greetPlain, true, false},
		{"dead declared gateway", "ws", greetDeclared, true, false},
		{"gateway that owes nothing", "ws", greetPlain, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, b := pipeLink(t, &Config{}, tt.scheme, tt.greeting, tt.dead)
				running(t, l)
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				start := time.Now()
				err := l.Probe(ctx)
				if (err != nil) != tt.dead || errors.Is(err, errors.ErrUnsupported) != tt.unsupported {
					t.Errorf("probe = %v", err)
				}
				if took := time.Since(start); tt.dead && took != 5*time.Second || !tt.dead && took != 0 {
					t.Errorf("took %v", took)
				}
				if !tt.dead {
					return
				}
				var wg sync.WaitGroup
				wg.Go(func() { // any message is a sign of life
					time.Sleep(time.Second)
					b.send(`{"type":"news"}`)
				})
				ctx, cancel = context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				if err := l.Probe(ctx); err != nil {
					t.Errorf("probe with a message = %v", err)
				}
				wg.Wait()
			})
		})
	}
}

// After a change of networks nobody need wait for silence.
func TestProbeAfterTheAddressHasGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &pipeBackend{t: t, from: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 77), Port: 1}}
		l, _ := b.link(&Config{}, "ws", greetPlain, true)
		running(t, l)
		start := time.Now()
		if err := l.Probe(t.Context()); err == nil || errors.Is(err, errors.ErrUnsupported) || time.Since(start) > 0 {
			t.Errorf("probe = %v after %v", err, time.Since(start))
		}
	})
}

func TestProbeOfALinkThatHasEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, b := pipeLink(t, &Config{}, "http", greetPlain, false)
		done := running(t, l)
		_ = b.conn.Close()
		<-done
		if err := l.Probe(t.Context()); err == nil || errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("probe = %v", err)
		}
	})
}

func TestLocalAddress(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]bool{
		"127.0.0.1:1": true, "[::1]:1": true, "192.0.2.77:1": false, "[2001:db8::7]:1": false,
	} {
		tcp, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := localAddressExists(tcp); got != want {
			t.Errorf("%s exists = %v, want %v", addr, got, want)
		}
	}
	list, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range list {
		if ipnet, ok := a.(*net.IPNet); ok && !localAddressExists(&net.TCPAddr{IP: ipnet.IP, Port: 1}) {
			t.Errorf("%v does not exist", a)
		}
	}
	if here, _ := net.Pipe(); !localAddressExists(here.LocalAddr()) {
		t.Error("what cannot be read counts as gone")
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		l, b := pipeLink(t, &Config{Handler: func(x wire.Exchange) {
			if x.Request().Target == "/slow" {
				<-release
			}
			echo(x)
		}}, "http", greetPlain, false)
		running(t, l)
		b.send(`{"type":"http_request","request_id":"a","method":"GET","uri":"/slow","headers":{},"body":"","timestamp":1}`)
		synctest.Wait()

		short, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := l.Drain(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("drain with a request under way = %v", err)
		}

		drained := make(chan time.Time, 1)
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := l.Drain(t.Context()); err != nil {
				t.Errorf("drain = %v", err)
			}
			drained <- time.Now()
		})
		time.Sleep(10 * time.Second)
		close(release)
		time.Sleep(relayLinger / 2)
		// A late one is still served, and waited for.
		b.send(`{"type":"http_request","request_id":"b","method":"GET","uri":"/","headers":{},"body":"","timestamp":1}`)
		synctest.Wait()
		last := time.Now()
		wg.Wait()
		if got := (<-drained).Sub(last); got != relayLinger {
			t.Errorf("drained %v after the last request, want %v", got, relayLinger)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.others) != 2 {
			t.Errorf("%d answers, want 2: %q", len(b.others), b.others)
		}
	})
}

func TestDrainOfALinkThatEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, b := pipeLink(t, &Config{}, "ws", greetPlain, false)
		running(t, l)
		var wg sync.WaitGroup
		wg.Go(func() {
			time.Sleep(time.Second)
			_ = b.conn.Close()
		})
		start := time.Now()
		if err := l.Drain(t.Context()); err != nil || time.Since(start) != time.Second {
			t.Errorf("drain = %v after %v", err, time.Since(start))
		}
		wg.Wait()
	})
}

func TestAnswerThatNeverEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, b := pipeLink(t, &Config{AnswerTimeout: time.Hour, Handler: func(x wire.Exchange) {
			_ = x.WriteHead(&wire.ResponseHead{Status: 200, ContentLength: -1}, false)
			<-x.Context().Done()
			if _, err := x.Write([]byte("data: late\n\n")); err == nil {
				t.Error("an answer goes on after its time")
			}
		}}, "ws", greetPlain, false)
		running(t, l)
		b.send(`{"type":"http_request","request_id":"a","method":"GET","uri":"/events","headers":{},"body":"","timestamp":1}`)
		time.Sleep(27*time.Second + time.Nanosecond)
		synctest.Wait()
		b.mu.Lock()
		defer b.mu.Unlock()
		want := `{"type":"error","request_id":"a","code":"timeout","message":"no whole answer within 27s: streams need a relay"}`
		if len(b.others) != 1 || b.others[0] != want {
			t.Errorf("messages %q, want %s", b.others, want)
		}
	})
}

func TestSlowMessageIsASignOfLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, b := pipeLink(t, &Config{}, "http", greetPlain, true)
		done := running(t, l)
		b.mu.Lock()
		ws := b.ws
		b.mu.Unlock()
		w, err := ws.NextWriter(websocket.TextMessage)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(w, `{"type":"http_request","request_id":"a","method":"GET","uri":"/","headers":{},"body":"","x":"`)
		for range 20 { // 100 s for one message, longer than silence may last
			chunk := make([]byte, 4096)
			for i := range chunk {
				chunk[i] = 'x'
			}
			if _, err := w.Write(chunk); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
		}
		_, _ = io.WriteString(w, `"}`)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("Run = %v", err)
		default:
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.others) != 1 {
			t.Errorf("%d answers, want 1", len(b.others))
		}
	})
}

// A line that takes nothing for a while is slow, not dead.
func TestSlowLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, b := pipeLink(t, &Config{}, "http", greetPlain, false)
		done := running(t, l)
		b.mu.Lock()
		ws := b.ws
		b.mu.Unlock()
		token := <-b.gate
		for range 10 { // 50 s in which nothing can be sent to the backend, but it lives
			if err := ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
		}
		b.gate <- token
		time.Sleep(time.Minute)
		synctest.Wait()
		select {
		case err := <-done:
			t.Errorf("Run = %v", err)
		default:
		}
	})
}
