package mux

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"culvert/backend/wire"
)

// Tests in a bubble: time is fake, and connections are pipes in memory.

// hijacked is enough of an HTTP server for the library's Upgrade.
type hijacked struct {
	http.ResponseWriter
	conn net.Conn
	rw   *bufio.ReadWriter
}

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.conn, h.rw, nil }
func (h hijacked) Header() http.Header                          { return http.Header{} }

// pipes gives both ends of a WebSocket over net.Pipe, which has no buffer: a
// write waits until the other end reads.
func pipes(t *testing.T) (backend, agent *websocket.Conn) {
	t.Helper()
	server, client := net.Pipe()
	accepted := make(chan *websocket.Conn, 1)
	go func() {
		rw := bufio.NewReadWriter(bufio.NewReader(server), bufio.NewWriter(server))
		r, err := http.ReadRequest(rw.Reader)
		if err != nil {
			t.Error(err)
			close(accepted)
			return
		}
		up := websocket.Upgrader{Subprotocols: []string{wire.Subprotocol}}
		ws, err := up.Upgrade(hijacked{conn: server, rw: rw}, r, nil)
		if err != nil {
			t.Error(err)
		}
		accepted <- ws
	}()
	d := websocket.Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) { return client, nil }}
	agent, _, err := d.DialContext(t.Context(), "ws://pipe/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return <-accepted, agent
}

// bubble runs a connection to its end, without the clock of running.
func bubble(c *Conn) *running {
	r := &running{c, make(chan error, 1)}
	go func() { r.result <- c.Run(context.Background()) }()
	return r
}

func TestSilentPeerIsNoticed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, a := pipes(t)
		// The peer takes everything and says nothing, not even a pong.
		go io.Copy(io.Discard, a.NetConn())
		start := time.Now()
		backend := bubble(New(framed(b, false), Config{}))
		s := open(t, backend, get("/"), true)
		_, err := s.ReadHead(t.Context())
		if err != ErrDead {
			t.Errorf("ReadHead: %v", err)
		}
		if d := time.Since(start); d != defaultPingTimeout {
			t.Errorf("death noticed after %v, want %v", d, defaultPingTimeout)
		}
		if err := <-backend.result; err != ErrDead {
			t.Errorf("Run: %v", err)
		}
	})
}

// However short the times are: a late look at the clock is not taken for sleep.
func TestSilentPeerIsNoticedQuickly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, a := pipes(t)
		go io.Copy(io.Discard, a.NetConn())
		const timeout = 300 * time.Millisecond
		start := time.Now()
		backend := bubble(New(framed(b, false), Config{PingInterval: timeout / 3, PingTimeout: timeout}))
		select {
		case <-backend.Done():
		case <-time.After(time.Hour):
			backend.Close(websocket.CloseNormalClosure, "")
		}
		if err := <-backend.result; err != ErrDead || time.Since(start) != timeout {
			t.Errorf("Run: %v after %v", err, time.Since(start))
		}
	})
}

// A peer that takes nothing any more is noticed too, while a write is stuck.
func TestStuckPeerIsNoticed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, a := pipes(t)
		defer a.Close()
		start := time.Now()
		backend := bubble(New(framed(b, false), Config{}))
		s := open(t, backend, post("/"), false)
		if _, err := s.Write(make([]byte, 1<<20)); !errors.Is(err, ErrDead) {
			t.Errorf("Write: %v", err)
		}
		if d := time.Since(start); d > defaultPingTimeout+time.Second {
			t.Errorf("death noticed after %v", d)
		}
		if err := <-backend.result; !errors.Is(err, ErrDead) {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestIdlePeersStayConnected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, a := pipes(t)
		backend, agent := bubble(New(framed(b, false), Config{})), bubble(New(framed(a, true), Config{Handler: echo}))
		time.Sleep(3 * time.Hour)
		s := open(t, backend, post("/"), false)
		s.WriteLast([]byte("hello"))
		readHead(t, s)
		if got, err := io.ReadAll(s); string(got) != "hello" || err != nil {
			t.Errorf("echo after hours: %q, %v", got, err)
		}
		backend.Close(websocket.CloseNormalClosure, "")
		if err := <-backend.result; err != ErrClosed {
			t.Errorf("backend: %v", err)
		}
		var closed *CloseError
		if err := <-agent.result; !errors.As(err, &closed) {
			t.Errorf("agent: %v", err)
		}
	})
}

// A peer that only answers pings, and one that answers late, are alive.
func TestLatePongsAreSignsOfLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, a := pipes(t)
		backend := bubble(New(framed(b, false), Config{}))
		a.SetPingHandler(func(data string) error {
			time.Sleep(14 * time.Second) // and 10 s of silence before the ping
			return a.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(time.Second))
		})
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			for {
				if _, _, err := a.NextReader(); err != nil {
					return
				}
			}
		}()
		time.Sleep(10 * time.Minute)
		if err := backend.Err(); err != nil {
			t.Errorf("connection ended: %v", err)
		}
		backend.Close(websocket.CloseNormalClosure, "")
		<-backend.result
		a.Close()
		<-gone
	})
}

func TestPingIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, a := pipes(t)
		agent := bubble(New(framed(a, true), Config{Handler: echo}))
		pongs := make(chan string, 1)
		b.SetPongHandler(func(data string) error { pongs <- data; return nil })
		go func() {
			for {
				if _, _, err := b.NextReader(); err != nil {
					return
				}
			}
		}()
		b.WriteControl(websocket.PingMessage, []byte("42"), time.Now().Add(time.Second))
		if got := <-pongs; got != "42" {
			t.Errorf("pong %q", got)
		}
		b.Close()
		if err := <-agent.result; !errors.Is(err, io.ErrUnexpectedEOF) && !errors.As(err, new(*websocket.CloseError)) {
			t.Errorf("agent: %v", err)
		}
	})
}

func TestProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, a := pipes(t)
		backend, agent := bubble(New(framed(b, false), Config{})), bubble(New(framed(a, true), Config{Handler: echo}))
		if err := backend.Probe(t.Context()); err != nil {
			t.Errorf("Probe: %v", err)
		}
		if err := agent.Probe(t.Context()); err != nil {
			t.Errorf("Probe: %v", err)
		}
		agent.Close(websocket.CloseNormalClosure, "")
		<-agent.result
		<-backend.result

		b, a = pipes(t)
		go io.Copy(io.Discard, a.NetConn())
		backend = bubble(New(framed(b, false), Config{}))
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		if err := backend.Probe(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Probe of a dead peer: %v", err)
		}
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("Probe took %v", d)
		}
		backend.Close(websocket.CloseNormalClosure, "")
		<-backend.result
	})
}

// Close gives a stuck peer two seconds, not more.
func TestCloseDoesNotWaitForStuckPeer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, a := pipes(t)
		defer a.Close()
		backend := bubble(New(framed(b, false), Config{}))
		s := open(t, backend, post("/"), false)
		wrote := make(chan error, 1)
		go func() {
			_, err := s.Write(make([]byte, 1<<20))
			wrote <- err
		}()
		synctest.Wait() // the write is stuck
		start := time.Now()
		backend.Close(websocket.CloseNormalClosure, "")
		if d := time.Since(start); d != 0 {
			t.Errorf("Close took %v", d)
		}
		if err := <-wrote; err != ErrClosed {
			t.Errorf("Write: %v", err)
		}
		if err := <-backend.result; err != ErrClosed {
			t.Errorf("Run: %v", err)
		}
		if d := time.Since(start); d > closeGrace {
			t.Errorf("the end took %v", d)
		}
	})
}

func TestCancelledContextEndsRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, a := pipes(t)
		agent := bubble(New(framed(a, true), Config{Handler: echo}))
		cause := errors.New("shutting down")
		ctx, cancel := context.WithCancelCause(t.Context())
		backend := New(framed(b, false), Config{})
		result := make(chan error, 1)
		go func() { result <- backend.Run(ctx) }()
		synctest.Wait()
		cancel(cause)
		if err := <-result; err != cause {
			t.Errorf("Run: %v", err)
		}
		var closed *CloseError
		if err := <-agent.result; !errors.As(err, &closed) || closed.Code != websocket.CloseGoingAway {
			t.Errorf("agent: %v", err)
		}
	})
}

func TestRunWaitsForHandlers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, a := pipes(t)
		backend := bubble(New(framed(b, false), Config{}))
		agent := bubble(New(framed(a, true), Config{Handler: func(s *Stream) {
			<-s.Context().Done()
			time.Sleep(time.Minute)
		}}))
		open(t, backend, get("/"), true)
		synctest.Wait()
		start := time.Now()
		backend.Close(websocket.CloseNormalClosure, "")
		<-agent.result
		if d := time.Since(start); d != time.Minute {
			t.Errorf("Run returned after %v, the handler after a minute", d)
		}
		<-backend.result
	})
}

func TestCloseBeforeRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, a := pipes(t)
		go io.Copy(io.Discard, a.NetConn())
		c := New(framed(b, false), Config{})
		c.Close(websocket.CloseNormalClosure, "")
		<-c.Done()
		if err := c.Run(t.Context()); err != ErrClosed {
			t.Errorf("Run after Close: %v", err)
		}
		if err := c.Run(t.Context()); err == nil {
			t.Error("Run ran twice")
		}
	})
}

// A handler that resets its own stream wakes its own pending reads and writes.
func TestResetWakesOwnSide(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, a := pipes(t)
		backend := bubble(New(framed(b, false), Config{}))
		var errs [2]error
		agent := bubble(New(framed(a, true), Config{Handler: func(s *Stream) {
			s.WriteHead(ok(), false)
			var wg sync.WaitGroup
			wg.Go(func() { _, errs[0] = s.Read(make([]byte, 1)) })
			wg.Go(func() { _, errs[1] = s.Write(make([]byte, 4<<20)) })
			synctest.Wait() // both wait for the peer
			s.Reset(wire.ResetTimeout, "")
			s.Reset(wire.ResetInternal, "") // does nothing
			wg.Wait()
			wantReset(t, context.Cause(s.Context()), wire.ResetTimeout)
		}}))
		s := open(t, backend, post("/"), false)
		<-s.Context().Done()
		wantReset(t, context.Cause(s.Context()), wire.ResetTimeout)
		backend.Close(websocket.CloseNormalClosure, "")
		<-agent.result
		<-backend.result
		for _, err := range errs {
			wantReset(t, err, wire.ResetTimeout)
		}
	})
}

// A peer that makes us answer and takes no answer is cut off before the answers
// take all memory.
func TestAnswersThatNobodyTakesAreBounded(t *testing.T) {
	t.Parallel()
	text := string(make([]byte, wire.MaxResetMessage))
	for name, answer := range map[string]struct {
		size int
		send func(*running)
	}{
		"resets":  {len(text), func(agent *running) { agent.sendReset(1, wire.ResetBusy, text) }},
		"windows": {wire.FrameHeaderSize, func(agent *running) { agent.sendWindow(1, wire.InitialWindow) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b, a := pipes(t)
				defer b.Close()
				agent := bubble(New(framed(a, true), Config{Handler: echo}))
				for n := 0; agent.Err() == nil; n += answer.size {
					answer.send(agent)
					if n > 2*maxPending {
						agent.Close(websocket.CloseNormalClosure, "")
						t.Error("pending frames grow and grow")
					}
				}
				if err := <-agent.result; !errors.Is(err, ErrDead) {
					t.Errorf("Run: %v", err)
				}
			})
		})
	}
}

func TestTextsThatNobodyTakesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, a := pipes(t)
		agent := bubble(New(framed(a, true), Config{Handler: echo}))
		var err error
		for n := 0; err == nil; n += wire.MaxControlMessage {
			err = agent.SendText(make([]byte, wire.MaxControlMessage))
			if n > 4*maxPendingText {
				t.Fatal("pending texts grow and grow")
			}
		}
		if !errors.Is(err, wire.ErrTooLarge) {
			t.Errorf("SendText: %v", err)
		}
		b.Close()
		<-agent.result
	})
}

// On a stuck connection writers wait for room in what is pending, which stays
// bounded; a reset wakes the stream's own.
func TestPendingDataIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, a := pipes(t)
		backend := bubble(New(framed(b, false), Config{}))
		const streams = 20
		results := make([]chan error, streams)
		opened := make([]*Stream, streams)
		for i := range streams {
			opened[i], results[i] = open(t, backend, post("/"), false), make(chan error, 1)
			go func() {
				_, err := opened[i].WriteLast(make([]byte, wire.InitialWindow))
				results[i] <- err
			}()
		}
		synctest.Wait()
		backend.w.mu.Lock()
		pending, waiting := len(backend.w.pending), backend.w.waiting
		backend.w.mu.Unlock()
		if pending > maxPendingData+wire.MaxData+1000 || waiting == 0 {
			t.Errorf("%d bytes are pending, %d writers wait", pending, waiting)
		}
		woken := 0
		for i, s := range opened {
			s.Reset(wire.ResetCancel, "")
			// Those whose data was pending already had returned without an error.
			if err := <-results[i]; err != nil {
				wantReset(t, err, wire.ResetCancel)
				woken++
			}
		}
		if woken != waiting {
			t.Errorf("%d writers were woken, %d had waited", woken, waiting)
		}
		a.Close()
		<-backend.result
	})
}

// The deadlines of the handshake, left on the socket, mean nothing any more.
func TestHandshakeDeadlinesAreCleared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, a := pipes(t)
		b.NetConn().SetDeadline(time.Now().Add(time.Second))
		b.SetWriteDeadline(time.Now().Add(time.Second))
		backend, agent := bubble(New(framed(b, false), Config{})), bubble(New(framed(a, true), Config{Handler: echo}))
		time.Sleep(5 * time.Second)
		if err := backend.Probe(t.Context()); err != nil {
			t.Errorf("Probe: %v", err)
		}
		backend.Close(websocket.CloseNormalClosure, "")
		<-backend.result
		<-agent.result
	})
}

func TestSilence(t *testing.T) {
	t.Parallel()
	type step struct {
		now, last  time.Duration // seconds
		ping, dead bool
		wait       time.Duration
	}
	for name, steps := range map[string][]step{
		"a peer that talks":  {{0, 0, false, false, 10}, {10, 9, false, false, 9}, {19, 18, false, false, 9}},
		"a peer that is mum": {{0, 0, false, false, 10}, {10, 0, true, false, 10}, {20, 0, true, false, 5}, {25, 0, false, true, 0}},
		"one that pongs":     {{0, 0, false, false, 10}, {10, 0, true, false, 10}, {20, 11, false, false, 1}, {21, 11, true, false, 10}, {31, 22, false, false, 1}},
		"one that pongs late": {{0, 0, false, false, 10}, {10, 0, true, false, 10}, {20, 0, true, false, 5}, {25, 24, false, false, 9},
			{34, 24, true, false, 10}},
		// The machine slept: no death before a ping has had its time.
		"sleep":          {{0, 0, false, false, 10}, {3600, 0, true, false, 10}, {3610, 0, true, false, 5}, {3615, 0, false, true, 0}},
		"sleep and pong": {{0, 0, false, false, 10}, {3600, 0, true, false, 10}, {3610, 3601, false, false, 1}},
	} {
		s := silence{interval: 10 * time.Second, timeout: 25 * time.Second}
		for i, st := range steps {
			ping, dead, wait := s.check(st.now*time.Second, st.last*time.Second)
			if ping != st.ping || dead != st.dead || wait != st.wait*time.Second {
				t.Errorf("%s, step %d at %d s: ping %v, dead %v, wait %v", name, i, st.now, ping, dead, wait)
			}
		}
	}
}

// A head that promises a body waits for it for a moment, so that a small answer
// is one message; but not for long, as the body of an event stream may come late.
func TestSmallAnswerIsOneMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, a := pipes(t)
		agent := bubble(New(framed(a, true), Config{Handler: func(s *Stream) {
			s.WriteHead(ok(), false)
			if s.Request().Target == "/late" {
				<-s.Context().Done()
				return
			}
			s.WriteLast([]byte("body"))
		}}))
		request := func(id uint32, target string) (types []wire.FrameType) {
			b.WriteMessage(websocket.BinaryMessage, requestFrame(t, id, get(target), true))
			_, p, err := b.ReadMessage()
			if err != nil {
				t.Error(err)
			}
			for len(p) > 0 {
				h, _, rest, err := wire.NextFrame(p)
				if err != nil {
					t.Fatal(err)
				}
				types = append(types, h.Type)
				p = rest
			}
			return types
		}
		if got := request(1, "/"); len(got) != 2 {
			t.Errorf("frames in the answer's first message: %v", got)
		}
		start := time.Now()
		if got := request(2, "/late"); len(got) != 1 || got[0] != wire.FrameResponse {
			t.Errorf("frames in the first message of a late body: %v", got)
		}
		if d := time.Since(start); d != headDelay {
			t.Errorf("head left after %v, want %v", d, headDelay)
		}
		b.Close()
		<-agent.result
	})
}
