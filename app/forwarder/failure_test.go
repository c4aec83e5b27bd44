package forwarder

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"culvert/app/target"
	"culvert/backend/wire"
)

// freePort is a port of an address on which nothing listens.
func freePort(t *testing.T, network, host string) string {
	t.Helper()
	ln, err := net.Listen(network, net.JoinHostPort(host, "0"))
	if err != nil {
		t.Skipf("no %s here: %v", network, err)
	}
	defer ln.Close()
	return strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)
}

// refusingPort is a port of 127.0.0.1 on which nothing can listen during the test:
// it is the near end of a connection.
func refusingPort(t *testing.T) string {
	t.Helper()
	s := rawService(t, func(c *serviceConn) { c.untilClosed() })
	c, err := net.Dial("tcp4", s.addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return strconv.Itoa(c.LocalAddr().(*net.TCPAddr).Port)
}

func TestNothingListens(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"127.0.0.1", "localhost", "http://localhost", "https://localhost"} {
		to := host + ":" + refusingPort(t)
		f := forwarderTo(t, to, nil)
		where := f.cfg.Target.HostHeader()
		v := newVisit(t, "GET", "/")
		failed(t, f, v, wire.ResetUnavailable, "nothing is listening on "+where+": start the service")
		if v.reset.Code.Status() != http.StatusServiceUnavailable {
			t.Errorf("status %d", v.reset.Code.Status())
		}
	}
}

func TestUnknownHost(t *testing.T) {
	t.Parallel()
	f := forwarderTo(t, "http://no-such-host.invalid:80", nil)
	err := f.dialFailure(t.Context(), &net.OpError{Op: "dial", Err: &net.DNSError{Name: "no-such-host.invalid", IsNotFound: true}})
	if err.Code != wire.ResetUnavailable || !strings.Contains(err.Message, "no-such-host.invalid is not known here") {
		t.Errorf("failure %d, %q", err.Code, err.Message)
	}
	err = f.dialFailure(t.Context(), &net.OpError{Op: "dial", Err: context.DeadlineExceeded})
	if err.Code != wire.ResetUnavailable || !strings.Contains(err.Message, "takes no connections") {
		t.Errorf("failure %d, %q", err.Code, err.Message)
	}
}

// TestLocalhost wants a service on "localhost" to be found on either family, and
// again when it comes back on the other.
func TestLocalhost(t *testing.T) {
	t.Parallel()
	for _, order := range [][]string{{"127.0.0.1", "::1", "127.0.0.1"}, {"::1", "127.0.0.1", "::1"}} {
		t.Run(strings.Join(order, ", "), func(t *testing.T) {
			t.Parallel()
			port := freePort(t, "tcp6", "::1")
			f := forwarderTo(t, "localhost:"+port, nil)
			for _, host := range order {
				ln, err := net.Listen("tcp", net.JoinHostPort(host, port))
				if err != nil {
					t.Skipf("the port was taken meanwhile: %v", err)
				}
				server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					io.WriteString(w, host+" "+r.Host)
				})}
				served := make(chan struct{})
				go func() {
					defer close(served)
					server.Serve(ln)
				}()
				for range 3 {
					v := newVisit(t, "GET", "/")
					answered(t, f, v, 200)
					if got, want := v.text(), host+" localhost:"+port; got != want {
						t.Errorf("got %q, want %q", got, want)
					}
				}
				server.Close()
				<-served
			}
			failed(t, f, newVisit(t, "GET", "/"), wire.ResetUnavailable, "nothing is listening on localhost:"+port)
		})
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	released := make(chan error, 10)
	s := rawService(t, func(c *serviceConn) {
		head := c.head()
		if strings.HasPrefix(head, "POST") {
			io.CopyN(io.Discard, c.br, 1)
		}
		if strings.HasPrefix(head, "GET /half") {
			c.say("HTTP/1.1 200 OK\r\nServer: x\r\n")
		}
		if strings.HasPrefix(head, "GET /hint") {
			c.say("HTTP/1.1 103 Early Hints\r\n\r\n")
		}
		released <- c.untilClosed()
	})
	f := forwarderTo(t, s.addr(), func(c *Config) { c.Timeout = 50 * time.Millisecond })
	for _, v := range []*visit{
		newVisit(t, "GET", "/"),
		newVisit(t, "GET", "/half"),
		newVisit(t, "GET", "/hint"),
		newVisit(t, "POST", "/").withBody("x"),
		streamed(newVisit(t, "POST", "/"), "x"),
	} {
		failed(t, f, v, wire.ResetTimeout, "did not answer within 50ms")
		if v.reset.Code.Status() != http.StatusGatewayTimeout {
			t.Errorf("status %d", v.reset.Code.Status())
		}
		<-released // the connection is given up
	}
}

// TestTimeoutCountsTheService: the time that a visitor takes, and that of the
// answer's body, is nobody's fault.
func TestTimeoutCountsTheService(t *testing.T) {
	t.Parallel()
	const timeout = time.Second
	s := rawService(t, func(c *serviceConn) {
		c.head()
		io.CopyN(io.Discard, c.br, 2)
		c.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
		c.say("a")
		c.head() // nothing comes: until the test lets go
		c.say("b")
	})
	f := forwarderTo(t, s.addr(), func(c *Config) { c.Timeout = timeout })
	v, body := newVisit(t, "POST", "/").withStream(2)
	done := serve(f, v)
	body.Write([]byte("a"))
	select {
	case <-v.ended:
		t.Fatalf("given up while the visitor was thinking: %v", v.reset)
	case <-time.After(timeout * 3 / 2):
	}
	body.Write([]byte("b"))
	body.Close()
	wait(t, "the head", v.headed)
	select {
	case <-v.ended:
		t.Fatalf("given up in the middle of the answer: %v", v.reset)
	case <-time.After(timeout * 3 / 2):
	}
	v.cancel()
	wait(t, "the exchange", done)
}

// TestStuckUpload: a service that takes no more of a body is late, too.
func TestStuckUpload(t *testing.T) {
	t.Parallel()
	s := rawService(t, func(c *serviceConn) {
		c.head()
		<-t.Context().Done() // reads nothing more
	})
	f := forwarderTo(t, s.addr(), func(c *Config) { c.Timeout = 100 * time.Millisecond })
	v := newVisit(t, "POST", "/")
	v.head.ContentLength, v.body = 1<<40, endless{}
	failed(t, f, v, wire.ResetTimeout, "did not answer within 100ms")
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestVisitorLeaves wants the service to see at once that nobody waits any more,
// wherever the exchange is.
func TestVisitorLeaves(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		visit func() *visit
		says  string // by the service
	}{
		{"before the head", func() *visit { return newVisit(t, "GET", "/") }, ""},
		{"after the head", func() *visit { return newVisit(t, "GET", "/") }, "HTTP/1.1 200 OK\r\n\r\n"},
		{"in the answer", func() *visit { return newVisit(t, "GET", "/") }, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx"},
		{"in the request", func() *visit { v, _ := newVisit(t, "POST", "/").withStream(10); return v }, ""},
		{"in a stream", func() *visit { v, _ := newVisit(t, "POST", "/").withStream(-1); return v }, ""},
		{"in both", func() *visit { v, _ := newVisit(t, "POST", "/").withStream(-1); return v }, "HTTP/1.1 200 OK\r\n\r\nx"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			came, closed := make(chan struct{}), make(chan error, 1)
			s := rawService(t, func(c *serviceConn) {
				c.head()
				c.say(tt.says)
				close(came)
				closed <- c.untilClosed()
			})
			f := forwarderTo(t, s.addr(), nil)
			v := tt.visit()
			done := serve(f, v)
			wait(t, "the request", came)
			if tt.says != "" {
				wait(t, "the head", v.headed)
			}
			v.cancel()
			wait(t, "the exchange", done)
			if v.reset == nil || v.reset.Code != wire.ResetCancel {
				t.Errorf("reset %+v, want cancel", v.reset)
			}
			if err := <-closed; errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the service was never told")
			}
		})
	}
}

// TestExchangeOutOfTime: where an exchange has a time of its own, its end is not the
// visitor's leaving. He waits, and is told.
func TestExchangeOutOfTime(t *testing.T) {
	t.Parallel()
	said := &wire.ResetError{Code: wire.ResetTimeout, Message: "no whole answer within 50ms"}
	for _, tt := range []struct {
		name   string
		scheme string
		says   string // by the service
		cause  error
		want   string
	}{
		{"in the handshake", "https://", "", nil, "did not answer in time"},
		{"before the head", "http://", "", nil, "did not answer in time"},
		{"before the head, with a cause", "http://", "", said, said.Message},
		{"in the answer", "http://", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx", nil, "did not answer in time"},
		{"in the answer, with a cause", "http://", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx", said, said.Message},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := rawService(t, func(c *serviceConn) {
				if tt.scheme == "http://" {
					c.head()
				}
				c.say(tt.says)
				c.untilClosed()
			})
			f := forwarderTo(t, tt.scheme+s.addr(), nil)
			v := newVisit(t, "GET", "/")
			v.ctx, v.cancel = context.WithTimeoutCause(t.Context(), 50*time.Millisecond, tt.cause)
			t.Cleanup(v.cancel)
			failed(t, f, v, wire.ResetTimeout, tt.want)
		})
	}
	t.Run("in the request", func(t *testing.T) {
		t.Parallel()
		s := rawService(t, func(c *serviceConn) {
			c.head()
			c.untilClosed()
		})
		v := newVisit(t, "POST", "/")
		v.ctx, v.cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
		t.Cleanup(v.cancel)
		v, _ = v.withStream(10)
		failed(t, forwarderTo(t, s.addr(), nil), v, wire.ResetTimeout, "did not answer in time")
	})
}

// TestBodyAborted: the service must not take half a body for a whole one.
func TestBodyAborted(t *testing.T) {
	t.Parallel()
	for _, length := range []int64{10, -1} {
		got := make(chan error, 1)
		f := forwarderTo(t, httpService(t, func(w http.ResponseWriter, r *http.Request) {
			_, err := io.ReadAll(r.Body)
			got <- err
		}), nil)
		v, body := newVisit(t, "POST", "/").withStream(length)
		done := serve(f, v)
		body.Write([]byte("half"))
		body.CloseWithError(&wire.ResetError{Code: wire.ResetCancel})
		wait(t, "the exchange", done)
		if err := <-got; err == nil {
			t.Errorf("length %d: the service believes it has the whole body", length)
		}
		if v.reset == nil || v.reset.Code != wire.ResetCancel {
			t.Errorf("length %d: reset %v", length, v.reset)
		}
	}
}

func TestBodyOfAnotherLength(t *testing.T) {
	t.Parallel()
	got := make(chan error, 1)
	f := forwarderTo(t, httpService(t, func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		got <- err
	}), nil)
	v := newVisit(t, "POST", "/").withBody("short")
	v.head.ContentLength = 10
	failed(t, f, v, wire.ResetInvalid, "shorter than its Content-Length")
	if err := <-got; err == nil {
		t.Error("the service believes it has the whole body")
	}
}

// TestEarlyAnswer: an answer may come, and end, before the body has.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	t.Run("and the service closes", func(t *testing.T) {
		t.Parallel()
		s := rawService(t, func(c *serviceConn) {
			c.head()
			c.say("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nno!")
		})
		v := newVisit(t, "POST", "/")
		v.head.ContentLength, v.body = 1<<40, endless{}
		answered(t, forwarderTo(t, s.addr(), nil), v, 413)
		if v.text() != "no!" {
			t.Errorf("got %q", v.text())
		}
	})
	t.Run("and the service reads on", func(t *testing.T) {
		t.Parallel()
		got := make(chan string, 1)
		s := rawService(t, func(c *serviceConn) {
			c.head()
			c.say(okEmpty)
			body := make([]byte, 6)
			io.ReadFull(c.br, body)
			got <- string(body)
			if c.head() != "" {
				c.say(okEmpty)
			}
		})
		f := forwarderTo(t, s.addr(), nil)
		v, body := newVisit(t, "POST", "/").withStream(6)
		done := serve(f, v)
		body.Write([]byte("abc"))
		wait(t, "the answer", v.ended)
		body.Write([]byte("def"))
		body.Close()
		wait(t, "the exchange", done)
		if body := <-got; body != "abcdef" {
			t.Errorf("the service got %q", body)
		}
		answered(t, f, newVisit(t, "GET", "/"), 200)
		if n := s.conns.Load(); n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
	})
	t.Run("and the rest never comes", func(t *testing.T) {
		t.Parallel()
		closed := make(chan error, 1)
		s := rawService(t, func(c *serviceConn) {
			c.head()
			c.say(okEmpty)
			closed <- c.untilClosed()
		})
		f := forwarderTo(t, s.addr(), nil)
		f.stallTimeout = 50 * time.Millisecond
		v, _ := newVisit(t, "POST", "/").withStream(6)
		answered(t, f, v, 200)
		if err := <-closed; errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("the service was never told")
		}
	})
	t.Run("both at once", func(t *testing.T) {
		t.Parallel()
		f := forwarderTo(t, httpService(t, func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).EnableFullDuplex()
			w.WriteHeader(200)
			http.NewResponseController(w).Flush()
			io.Copy(flushing{w}, r.Body)
		}), nil)
		v, body := newVisit(t, "POST", "/").withStream(-1)
		came := make(chan struct{})
		v.slow = func(int) { came <- struct{}{} }
		done := serve(f, v)
		for range 10 {
			body.Write([]byte("ping"))
			wait(t, "the echo", came)
		}
		body.Close()
		wait(t, "the exchange", done)
		if got := v.text(); got != strings.Repeat("ping", 10) || !v.complete {
			t.Errorf("got %q, complete %v", got, v.complete)
		}
	})
}

type flushing struct{ w http.ResponseWriter }

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	http.NewResponseController(f.w).Flush()
	return n, err
}

func TestExpectContinue(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, says string
		status     int
		body       bool // is wanted
		slow       bool // the service says nothing for a while
	}{
		{"wanted", "HTTP/1.1 100 Continue\r\n\r\n", 200, true, false},
		{"not wanted", "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n", 417, false, false},
		{"unknown to the service", "", 200, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rest := make(chan string, 1)
			s := rawService(t, func(c *serviceConn) {
				if head := c.head(); !strings.Contains(head, "Expect: 100-continue\r\n") {
					t.Errorf("head %q", head)
				}
				if !tt.slow {
					c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
					if b, err := c.br.Peek(1); err == nil {
						t.Errorf("%q came before it was wanted", b)
					}
					c.SetReadDeadline(time.Time{})
				}
				c.say(tt.says)
				if !tt.body {
					b, _ := io.ReadAll(c.br)
					rest <- string(b)
					return
				}
				b := make([]byte, 4)
				io.ReadFull(c.br, b)
				rest <- string(b)
				c.say(okEmpty)
			})
			v := newVisit(t, "POST", "/").withBody("body")
			v.head.Header.Set("Expect", "100-continue")
			f := forwarderTo(t, s.addr(), nil)
			if f.continueTimeout = patience; tt.slow {
				f.continueTimeout = 50 * time.Millisecond
			}
			answered(t, f, v, tt.status)
			want := map[bool]string{true: "body"}[tt.body]
			if got := <-rest; got != want {
				t.Errorf("the service got %q, want %q", got, want)
			}
			if n := len(v.informational); (n == 1) != (tt.body && !tt.slow) {
				t.Errorf("%d informational heads", n)
			}
		})
	}
}

// TestBackendRefusesAnswer: what a backend cannot carry, the visitor is told.
func TestBackendRefusesAnswer(t *testing.T) {
	t.Parallel()
	s, _ := recordingService(t)
	f := forwarderTo(t, s.addr(), nil)
	v := newVisit(t, "GET", "/")
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Serve(refusing{v})
	}()
	wait(t, "the exchange", done)
	if v.reset == nil || v.reset.Code != wire.ResetInternal || !strings.Contains(v.reset.Message, "too large for this tunnel") {
		t.Errorf("reset %v", v.reset)
	}
}

type refusing struct{ *visit }

func (refusing) WriteHead(*wire.ResponseHead, bool) error { return wire.ErrTooLarge }

func TestHTTPS(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Proto+" "+r.Host)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())

	t.Run("loopback is not verified", func(t *testing.T) {
		t.Parallel()
		f := forwarderTo(t, server.URL, nil)
		for range 3 {
			v := newVisit(t, "GET", "/")
			answered(t, f, v, 200)
			if got, want := v.text(), "HTTP/1.1 "+strings.TrimPrefix(server.URL, "https://"); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		if n := len(f.pool.idle); n != 1 {
			t.Errorf("%d connections are kept, want 1", n)
		}
	})
	// Elsewhere it is. httptest's certificate is for example.com and 127.0.0.1.
	elsewhere := func(t *testing.T, host string, roots *x509.CertPool) *Forwarder {
		f := forwarderTo(t, "https://"+host, func(c *Config) { c.RootCAs = roots })
		f.dialer.addresses = []string{server.Listener.Addr().String()}
		return f
	}
	t.Run("trusted", func(t *testing.T) {
		t.Parallel()
		v := newVisit(t, "GET", "/")
		answered(t, elsewhere(t, "example.com", roots), v, 200)
	})
	t.Run("of an unknown authority", func(t *testing.T) {
		t.Parallel()
		failed(t, elsewhere(t, "example.com", x509.NewCertPool()), newVisit(t, "GET", "/"), wire.ResetInternal, "--ca-file")
	})
	t.Run("for another name", func(t *testing.T) {
		t.Parallel()
		failed(t, elsewhere(t, "example.org", roots), newVisit(t, "GET", "/"), wire.ResetInternal, "certificate of https://example.org does not hold")
	})
	t.Run("service without TLS", func(t *testing.T) {
		t.Parallel()
		s := rawService(t, func(c *serviceConn) { c.say("HTTP/1.1 400 Bad Request\r\n\r\n") })
		failed(t, forwarderTo(t, "https://"+s.addr(), nil), newVisit(t, "GET", "/"), wire.ResetInternal, "use http://"+s.addr()+" as the target")
	})
	t.Run("service that hangs up", func(t *testing.T) {
		t.Parallel()
		s := rawService(t, func(c *serviceConn) {})
		failed(t, forwarderTo(t, "https://"+s.addr(), nil), newVisit(t, "GET", "/"), wire.ResetInternal, "TLS handshake")
	})
}

func TestConfig(t *testing.T) {
	t.Parallel()
	good, _ := target.Parse("3000")
	for name, cfg := range map[string]Config{
		"no target":        {},
		"negative timeout": {Target: good, Timeout: -1},
		"bad host":         {Target: good, HostHeader: "a b"},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
