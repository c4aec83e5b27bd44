package waiter

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/gorilla/websocket"

	"culvert/backend/wire"
)

// state is where a connection is in its life.
//
//	                 handshake             whoami answered
//	dialling ─────────────────▶ asking ─────────────────────▶ known
//	    │                          │                            │
//	    │ refused, 5 s             │ closed, 10 s by the        │ closed, silent, 2 h
//	    │                          │ wall clock                 │
//	    └──────────────────────────┴────────────┬───────────────┘
//	                                            ▼
//	                                          over
//
// A known connection is named while it is fresh: within 60 s of a proof of life, by the
// wall clock. When it is not, it is asked again while a request waits; it stays known.
type state int

const (
	dialling state = iota
	asking         // connected, its ID not told yet
	known
	over
)

// conn is one connection. Its fields belong to Waiter.mu, but for those at the end.
type conn struct {
	state  state
	id     string    // its connection ID, once known
	begun  time.Time // when the dial began
	asked  time.Time // when whoami was sent that has no answer yet; zero if there is none
	proven time.Time // when it was last known to work
	active time.Time // when something was last sent or received
	// The frames that nobody waited for, and their bytes, since strayFrom.
	strays, strayed int
	strayFrom       time.Time
	stop            context.CancelFunc
	gone            chan struct{} // closed when it is over
	ws              *websocket.Conn

	writing sync.Mutex
}

// fresh reports whether the connection may be named: what is posted to it will arrive,
// as far as anybody can know.
func (c *conn) fresh(now time.Time) bool {
	return c.state == known && since(now, c.proven) <= ProvenFor && since(now, c.begun) < retireAfter
}

// overdue reports whether it has not answered in time.
func (c *conn) overdue(now time.Time) bool {
	switch {
	case c.state == dialling:
		return since(now, c.begun) > staleDial
	case !c.asked.IsZero():
		return since(now, c.asked) > askTimeout
	}
	return false
}

// dial starts a connection that is to become the current one. w.mu is held.
func (w *Waiter) dial() {
	ctx, stop := context.WithTimeout(w.ctx, dialTimeout)
	c := &conn{begun: w.cfg.Now(), stop: stop, gone: make(chan struct{})}
	w.next = c
	w.cfg.Counter.Count("Dials", 1)
	w.tasks.Go(func() {
		defer stop()
		ws, err := w.handshake(ctx)
		w.mu.Lock()
		if err == nil && c.state == over {
			err = errors.New("given up meanwhile")
			ws.Close()
		}
		if err != nil {
			if c.state != over {
				w.drop(c)
				w.failed(err)
			}
			w.mu.Unlock()
			return
		}
		c.ws, c.state = ws, asking
		w.ask(c)
		w.mu.Unlock()
		w.read(c)
	})
}

// handshake opens the WebSocket, signed as AWS_IAM wants it
// (https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-control-access-iam.html).
func (w *Waiter) handshake(ctx context.Context) (*websocket.Conn, error) {
	header, err := w.sign(ctx)
	if err != nil {
		return nil, err
	}
	dialer := websocket.Dialer{
		NetDialContext:   w.cfg.NetDial,
		HandshakeTimeout: dialTimeout,
		ReadBufferSize:   32 << 10, // a frame of API Gateway's
		WriteBufferSize:  1024,     // whoami is all that is ever written
	}
	if w.cfg.NetDial == nil {
		dialer.Proxy = http.ProxyFromEnvironment
	}
	ws, answer, err := dialer.DialContext(ctx, w.cfg.URL, header)
	if err != nil {
		if answer != nil {
			return nil, fmt.Errorf("the waiters' API refused the handshake with %s: may this function's role execute-api:Invoke it? %w", answer.Status, err)
		}
		return nil, fmt.Errorf("connecting to the waiters' API: %w", err)
	}
	ws.SetReadLimit(wire.MaxGatewayMessage)
	return ws, nil
}

// sign gives the header fields that authorise the handshake.
func (w *Waiter) sign(ctx context.Context) (http.Header, error) {
	credentials, err := w.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, fmt.Errorf("credentials to sign the handshake: %w", err)
	}
	u := *w.signed
	u.Scheme = "https"
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("signing the handshake: %w", err)
	}
	empty := sha256.Sum256(nil)
	if err := v4.NewSigner().SignHTTP(ctx, credentials, r, hex.EncodeToString(empty[:]), "execute-api", w.cfg.Region, w.cfg.Now().UTC()); err != nil {
		return nil, fmt.Errorf("signing the handshake: %w", err)
	}
	return r.Header, nil
}

// whoami is routed by its action; the answer is this connection's ID.
const whoami = `{"action":"whoami"}`

// ask has the other side say who this connection is. w.mu is held.
func (w *Waiter) ask(c *conn) {
	now := w.cfg.Now()
	c.asked, c.active = now, now
	w.tasks.Go(func() {
		c.writing.Lock()
		defer c.writing.Unlock()
		c.ws.SetWriteDeadline(time.Now().Add(dialTimeout))
		if c.ws.WriteMessage(websocket.TextMessage, []byte(whoami)) != nil {
			c.ws.Close() // which the reader notices
		}
	})
}

// read takes frames until the connection ends.
func (w *Waiter) read(c *conn) {
	for {
		kind, text, err := readMessage(c.ws)
		w.mu.Lock()
		if err == nil && kind != websocket.TextMessage {
			err = errors.New("a message that is no text")
		}
		if err != nil {
			wasNeeded := c.state == asking
			if c.state != over {
				w.drop(c)
				if wasNeeded {
					w.failed(fmt.Errorf("the connection ended before it was known: %w", err))
				}
			}
			w.mu.Unlock()
			return
		}
		w.take(c, text)
		w.mu.Unlock()
	}
}

// readMessage is the WebSocket's own, but that memory for a message doubles while it
// grows: most are small, and the large ones have 128 KB.
func readMessage(ws *websocket.Conn) (kind int, text []byte, err error) {
	kind, r, err := ws.NextReader()
	if err != nil {
		return kind, nil, err
	}
	var b bytes.Buffer
	b.Grow(4 << 10)
	_, err = b.ReadFrom(r)
	return kind, b.Bytes(), err
}

// drop ends a connection, which others may still hold. w.mu is held.
func (w *Waiter) drop(c *conn) {
	if c.state == over {
		return
	}
	c.state = over
	c.stop()
	if c.ws != nil {
		c.ws.Close()
	}
	close(c.gone)
	if w.current == c {
		w.current = nil
	}
	if w.next == c {
		w.next = nil
	}
}
