package link

import (
	"context"
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
