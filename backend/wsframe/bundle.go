package wsframe

import (
	"net"
	"sync"
)

// Bundle is a connection to put below TLS: of what a Conn above that writes at once, the
// records of 16 KB leave in one system call and not in one each.
type Bundle struct {
	net.Conn

	mu      sync.Mutex // TLS may answer its peer while the writer holds records back
	holding bool
	held    []byte
}

// NewBundle makes one. Nothing is held back unless a Conn asks for it.
func NewBundle(conn net.Conn) *Bundle { return &Bundle{Conn: conn} }

// Write sends p, or holds it back.
func (b *Bundle) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.holding {
		return b.Conn.Write(p)
	}
	b.held = append(b.held, p...)
	return len(p), nil
}

// hold keeps back what is written until release.
func (b *Bundle) hold() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.holding = true
}

// release sends it.
func (b *Bundle) release() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.holding = false
	_, err := b.Conn.Write(b.held)
	b.held = b.held[:0]
	return err
}
