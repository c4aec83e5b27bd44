package link

import (
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"culvert/backend/wire"
)

const (
	// A relay is asked for a sign of life by control pings.
	pingEvery   = 10 * time.Second
	silentLimit = 25 * time.Second
	// API Gateway ends connections that are idle for 10 minutes, and control
	// frames are not known to count: a message must go out at least this often.
	heartbeatEvery = 4 * time.Minute
	// A backend behind it that has declared itself answers heartbeats; some may
	// get lost, so it is asked again before it counts as dead.
	heartbeatTries = 3
	heartbeatWait  = 10 * time.Second
)

// keepAlive makes the connection last, and notices when it does not.
func (f *form1) keepAlive(ctx context.Context) {
	every := pingEvery
	if f.gateway {
		every = heartbeatEvery
	}
	timer := time.NewTimer(jittered(every))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case data := <-f.pongs:
			f.control(websocket.PongMessage, data)
			continue
		case <-timer.C:
		}
		if f.gateway {
			if err := f.heartbeat(ctx); err != nil && ctx.Err() == nil {
				f.mu.Lock()
				f.failure = err
				f.mu.Unlock()
				_ = f.ws.Close()
				return
			}
		} else {
			f.control(websocket.PingMessage, "")
		}
		timer.Reset(jittered(every))
	}
}

// control sends a control frame. If that fails, reading soon does.
func (f *form1) control(kind int, data string) {
	_ = f.ws.WriteControl(kind, []byte(data), time.Now().Add(writeTimeout))
}

// jittered is d or up to an eighth less, so that heartbeats of many agents spread.
func jittered(d time.Duration) time.Duration { return d - mathrand.N(d/8) }

// heartbeat sends a ping message. Only a backend that has declared itself owes a
// sign of life for it. With the capability session, that is a pong and nothing else: a
// backend that goes on sending requests may have stopped taking the token.
func (f *form1) heartbeat(ctx context.Context) error {
	if !f.declared() {
		return f.send(f.ping())
	}
	on := &f.signs
	if f.caps.session {
		on = &f.ponged
	}
	for range heartbeatTries {
		err := f.ask(ctx, heartbeatWait, on, func() error { return f.send(f.ping()) })
		if !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
	return ErrSilent
}

// ping is the heartbeat, which shows the session token where there is one.
func (f *form1) ping() *wire.Ping {
	if f.caps.session {
		return &wire.Ping{Session: f.link.est.Session}
	}
	return &wire.Ping{}
}

func (f *form1) declared() bool { return f.link.est.Protocol >= wire.ProtocolVersion }

func (f *form1) probe(ctx context.Context) error {
	if !f.gateway {
		return f.ask(ctx, 0, &f.signs, func() error {
			deadline, ok := ctx.Deadline()
			if !ok {
				deadline = time.Now().Add(writeTimeout)
			}
			return f.ws.WriteControl(websocket.PingMessage, nil, deadline)
		})
	}
	err := f.ask(ctx, 0, &f.signs, func() error { return f.send(f.ping()) })
	if errors.Is(err, context.DeadlineExceeded) && !f.declared() {
		return fmt.Errorf("%w: the backend need not answer", errors.ErrUnsupported)
	}
	return err
}

// ask does something that makes the peer answer, and waits for the next of the signs.
func (f *form1) ask(ctx context.Context, limit time.Duration, on *signs, question func() error) error {
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	sign := on.next()
	if err := question(); err != nil {
		return err
	}
	select {
	case <-sign:
		return nil
	case <-f.link.done:
		return ErrSilent
	case <-ctx.Done():
		return ctx.Err()
	}
}

// signs lets goroutines wait for the next sign of life. The zero value is ready.
type signs struct {
	mu      sync.Mutex
	waiting chan struct{} // nil if nobody waits
}

func (s *signs) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == nil {
		s.waiting = make(chan struct{})
	}
	return s.waiting
}

func (s *signs) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting != nil {
		close(s.waiting)
		s.waiting = nil
	}
}
