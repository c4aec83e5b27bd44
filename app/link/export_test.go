package link

import (
	"context"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"
)

// What the test of a whole session needs, which is in another package.

type Gateway struct{ *gateway }

// NewGateway makes a gateway that cuts every connection after two hours.
func NewGateway(t *testing.T, seed uint64, maxAge time.Duration) Gateway {
	g := newGateway(t, seed)
	g.maxAge, g.hard, g.cached = maxAge, 2*time.Hour, 10*time.Second
	return Gateway{g}
}

func (g Gateway) Config(cfg *Config) *Config { return g.config(cfg) }

// Connections is how many there have been.
func (g Gateway) Connections() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.served
}

// Visit is one whole request.
func (g Gateway) Visit(method, uri string, body []byte) ([]byte, error) {
	_, got, err := g.visit(method, uri, body, nil)
	return got, err
}

// Stream is one request whose answer is streamed.
func (g Gateway) Stream(ctx context.Context, uri string) ([]byte, error) {
	return g.consume(ctx, g.begin("GET", uri, nil, streaming), 8)
}

// HalfOpen makes a configuration whose first connection is to a backend that is gone
// without a word after it has greeted; later ones are to one that lives.
func HalfOpen(t *testing.T, scheme string, form2 bool) *Config {
	t.Helper()
	var serving sync.WaitGroup
	t.Cleanup(serving.Wait)
	dials := 0
	return &Config{
		Backend: &url.URL{Scheme: scheme, Host: "backend.test"}, Handler: echo,
		dial: func(context.Context, string, string) (net.Conn, error) {
			dials++
			here, there := net.Pipe()
			b := &pipeBackend{t: t, form2: form2, gate: make(chan struct{}, 1)}
			b.gate <- struct{}{}
			b.conn = gatedConn{there, b.gate}
			gone := dials == 1
			serving.Go(func() { b.serve(greetDeclared, gone || scheme == "ws") })
			return here, nil
		},
	}
}

// InMemory serves on a listener that needs no network, and gives a configuration that
// connects to it.
func InMemory(t *testing.T, serve func(net.Listener)) *Config {
	t.Helper()
	ln := newPipeListener()
	var serving sync.WaitGroup
	serving.Go(func() { serve(addressed{ln}) })
	t.Cleanup(func() {
		_ = ln.Close()
		serving.Wait()
	})
	return &Config{Backend: &url.URL{Scheme: "http", Host: "backend.test"}, Handler: echo, dial: ln.dial}
}

// addressed gives the connections of a listener a network address.
type addressed struct{ net.Listener }

func (l addressed) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return addressedConn{conn, l.Addr()}, nil
}

type addressedConn struct {
	net.Conn
	addr net.Addr
}

func (c addressedConn) RemoteAddr() net.Addr { return c.addr }
func (c addressedConn) LocalAddr() net.Addr  { return c.addr }
