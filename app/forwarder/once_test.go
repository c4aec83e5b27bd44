package forwarder

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/backend/wire"
)

// TestClosedWhileIdle: a service that closes kept connections must not be noticed
// by visitors.
func TestClosedWhileIdle(t *testing.T) {
	t.Parallel()
	for name, farewell := range map[string]string{
		"silently":     "",
		"with a word":  "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n",
		"with garbage": "x",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			closed := make(chan struct{})
			var heads heads
			s := rawService(t, func(c *serviceConn) {
				heads.add(c.head())
				c.say(okEmpty)
				c.say(farewell)
				c.Close()
				closed <- struct{}{}
			})
			f := forwarderTo(t, s.addr(), nil)
			for i := range 50 {
				v := newVisit(t, "POST", fmt.Sprintf("/%d", i))
				v.head.Header.Set("Idempotency-Key", "1")
				done := serve(f, v)
				wait(t, "the service to close", closed)
				wait(t, "the exchange", done)
				if !v.complete || v.answer.Status != 200 {
					t.Fatalf("request %d: %v, %+v", i, v.reset, v.answer)
				}
				f.untilStale(t)
			}
			heads.once(t, 50)
		})
	}
}

// untilStale waits until the kernel has brought the news to a kept connection.
func (f *Forwarder) untilStale(t *testing.T) {
	t.Helper()
	for start := time.Now(); ; runtime.Gosched() {
		f.pool.mu.Lock()
		fresh := slices.ContainsFunc(f.pool.idle, func(c *conn) bool { return c.quiet(maxIdle) })
		f.pool.mu.Unlock()
		if !fresh {
			return
		}
		if time.Since(start) > patience {
			t.Fatal("a closed connection still looks open")
		}
	}
}

// heads are the request heads that a service has seen.
type heads struct {
	mu  sync.Mutex
	all []string
}

func (h *heads) add(head string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if head != "" {
		line, _, _ := strings.Cut(head, "\r\n")
		h.all = append(h.all, line)
	}
}

// once wants n requests, none of them twice.
func (h *heads) once(t *testing.T, n int) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	seen := map[string]int{}
	for _, line := range h.all {
		if seen[line]++; seen[line] > 1 {
			t.Errorf("%q came %d times", line, seen[line])
		}
	}
	if len(h.all) != n {
		t.Errorf("%d requests came, want %d", len(h.all), n)
	}
}

// TestNeverTwice: a service reads a request on a kept connection and closes it
// without an answer. net/http would send GET, and anything with Idempotency-Key,
// a second time.
func TestNeverTwice(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, method string
		body         func(*visit)
	}{
		{"GET", "GET", func(*visit) {}},
		{"HEAD", "HEAD", func(*visit) {}},
		{"POST", "POST", func(*visit) {}},
		{"PUT with a body", "PUT", func(v *visit) { v.withBody("x") }},
		{"POST with a stream", "POST", func(v *visit) { streamed(v, "x") }},
	}
	for _, rude := range []bool{false, true} {
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%s, reset %v", tt.name, rude), func(t *testing.T) {
				t.Parallel()
				var heads heads
				s := rawService(t, func(c *serviceConn) {
					heads.add(c.head())
					c.say(okEmpty)
					if head := c.head(); head != "" { // the second request: read, not answered
						heads.add(head)
						if rude {
							c.Conn.(*net.TCPConn).SetLinger(0)
						}
					}
				})
				f := forwarderTo(t, s.addr(), nil)
				answered(t, f, newVisit(t, "GET", "/first"), 200)
				v := newVisit(t, tt.method, "/second")
				v.head.Header.Set("Idempotency-Key", "1")
				tt.body(v)
				failed(t, f, v, wire.ResetInternal, "without an answer")
				heads.once(t, 2)
				if n := s.conns.Load(); n != 1 {
					t.Errorf("%d connections", n)
				}
			})
		}
	}
}

// TestNothingWritten: a kept connection that looks open but does not take a single
// byte is left for another one, with the whole request.
func TestNothingWritten(t *testing.T) {
	t.Parallel()
	bodies := make(chan string, 1)
	s := rawService(t, func(c *serviceConn) {
		c.head()
		if c.n == 1 {
			c.say(okEmpty)
			c.untilClosed()
			<-t.Context().Done() // the connection stays open from this side
			return
		}
		body := make([]byte, 5)
		io.ReadFull(c.br, body)
		bodies <- string(body)
		c.say(okEmpty)
	})
	f := forwarderTo(t, s.addr(), nil)
	answered(t, f, newVisit(t, "GET", "/"), 200)
	if err := f.pool.idle[0].tcp.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answered(t, f, newVisit(t, "POST", "/").withBody("whole"), 200)
	if body := <-bodies; body != "whole" {
		t.Errorf("the service got %q", body)
	}
	if n := s.conns.Load(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

// TestPool wants connections to go when their time has come, and with Close.
func TestPool(t *testing.T) {
	t.Parallel()
	closed := make(chan error, 10)
	s := rawService(t, func(c *serviceConn) {
		for head := c.head(); head != ""; head = c.head() {
			c.say("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=" + fieldsOf(t, head).Get("Seconds") + ", max=100\r\nContent-Length: 0\r\n\r\n")
		}
		closed <- nil
	})
	get := func(f *Forwarder, seconds string) {
		v := newVisit(t, "GET", "/")
		v.head.Header.Set("Seconds", seconds)
		answered(t, f, v, 200)
	}
	kept := func(f *Forwarder) []*conn {
		f.pool.mu.Lock()
		defer f.pool.mu.Unlock()
		return slices.Clone(f.pool.idle)
	}
	for seconds, keep := range map[string]time.Duration{"1": time.Second / 2, "3": 2 * time.Second, "5": maxIdle, "600": maxIdle, "x": maxIdle} {
		f := forwarderTo(t, s.addr(), nil)
		if get(f, seconds); len(kept(f)) != 1 || kept(f)[0].keep != keep {
			t.Errorf("timeout=%s: kept %v", seconds, kept(f))
		}
		f.Close()
		<-closed
	}
	f := forwarderTo(t, s.addr(), nil)
	if get(f, "0"); len(kept(f)) != 0 {
		t.Error("kept, though the service does not")
	}
	<-closed

	get(f, "600")
	old := kept(f)[0]
	f.pool.mu.Lock()
	old.idleSince = old.idleSince.Add(-maxIdle)
	f.pool.mu.Unlock()
	before := s.conns.Load()
	get(f, "600")
	if <-closed; s.conns.Load() != before+1 {
		t.Error("a connection past its time was used")
	}
	old = kept(f)[0]
	f.pool.mu.Lock()
	old.idleSince = old.idleSince.Add(-maxIdle)
	f.pool.mu.Unlock()
	f.pool.sweep()
	if <-closed; len(kept(f)) != 0 {
		t.Error("swept, and still kept")
	}
	f.Close()
	get(f, "600") // an exchange that ends after Close
	if <-closed; len(kept(f)) != 0 {
		t.Error("kept after Close")
	}
}

// TestOnceUnderLoad has many visitors at a service that closes connections as it
// likes, after an answer or in place of one.
func TestOnceUnderLoad(t *testing.T) {
	t.Parallel()
	const visitors, each = 16, 100
	var heads heads
	s := rawService(t, func(c *serviceConn) {
		for i := 0; ; i++ {
			head := c.head()
			if head == "" {
				return
			}
			heads.add(head)
			if (c.n+i)%17 == 0 {
				return // without an answer
			}
			c.say(okEmpty)
			if (c.n+i)%5 == 0 {
				return // while idle
			}
		}
	})
	f := forwarderTo(t, s.addr(), nil)
	var wg sync.WaitGroup
	var mu sync.Mutex
	outcomes := map[string]int{}
	for i := range visitors {
		wg.Go(func() {
			for j := range each {
				v := newVisit(t, []string{"GET", "POST"}[j%2], fmt.Sprintf("/%d/%d", i, j))
				v.head.Header.Set("Idempotency-Key", v.head.Target)
				v.strict = j%3 == 0
				f.Serve(v)
				outcome := "answered"
				if v.reset != nil {
					outcome = v.reset.Message
				}
				mu.Lock()
				outcomes[outcome]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	s.stop() // a request may have come whose visitor was told of a failure meanwhile
	seen := map[string]bool{}
	for _, line := range heads.all {
		if seen[line] {
			t.Errorf("%q came twice", line)
		}
		seen[line] = true
	}
	t.Logf("%d requests came on %d connections: %v", len(heads.all), s.conns.Load(), outcomes)
	if outcomes["answered"] > len(heads.all) || outcomes["answered"] < visitors*each*8/10 {
		t.Errorf("outcomes %v for %d requests that came", outcomes, len(heads.all))
	}
}

func TestKeepsConnections(t *testing.T) {
	t.Parallel()
	s, heads := recordingService(t)
	f := forwarderTo(t, s.addr(), nil)
	for range 20 {
		v := newVisit(t, "GET", "/")
		v.strict = true
		answered(t, f, v, 200)
		<-heads
	}
	if n := s.conns.Load(); n != 1 {
		t.Errorf("20 requests in turn took %d connections, want 1", n)
	}
}

// TestManyAtOnce wants no small cap on requests that are under way together.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	const n = 300
	var all sync.WaitGroup
	all.Add(n)
	s := rawService(t, func(c *serviceConn) {
		for c.head() != "" {
			all.Done()
			all.Wait() // answers only when all have come
			c.say(okEmpty)
		}
	})
	f := forwarderTo(t, s.addr(), nil)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			v := newVisit(t, "GET", "/")
			f.Serve(v)
			if !v.complete {
				t.Errorf("no answer: %v", v.reset)
			}
		})
	}
	wg.Wait()
	if got := s.conns.Load(); got != n {
		t.Errorf("%d connections for %d requests", got, n)
	}
	f.pool.mu.Lock()
	defer f.pool.mu.Unlock()
	if len(f.pool.idle) != n {
		t.Errorf("%d connections are kept, want %d", len(f.pool.idle), n)
	}
}
