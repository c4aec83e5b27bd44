package mux

import (
	"context"
	"errors"

	"culvert/backend/wire"
)

// Open opens a stream for a request, on the backend's side; end says that no body
// follows. It does not wait for the agent. Errors: ErrTooManyStreams (also for an
// agent that is slow to take the requests that are there already),
// ErrGoingAway, one that wraps wire.ErrProtocol if h cannot be sent, or the
// connection's end.
func (c *Conn) Open(h *wire.RequestHead, end bool) (*Stream, error) {
	if c.cfg.Handler != nil {
		return nil, errors.New("mux: only the backend opens streams")
	}
	s := newStream(c, h)
	s.sentHead, s.sentEnd = true, end
	c.mu.Lock()
	switch {
	case c.ending != nil:
		c.mu.Unlock()
		return nil, c.Err()
	case c.drained != nil:
		c.mu.Unlock()
		return nil, ErrGoingAway
	case len(c.streams) >= c.cfg.MaxStreams:
		c.mu.Unlock()
		return nil, ErrTooManyStreams
	}
	for c.lastID++; c.lastID == 0 || c.streams[c.lastID] != nil; c.lastID++ {
	}
	s.id = c.lastID
	c.streams[s.id] = s
	c.mu.Unlock()
	if err := c.sendRequest(s, h, end); err != nil {
		c.remove(s)
		return nil, err
	}
	return s, nil
}

// Streams is the number of open streams.
func (c *Conn) Streams() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.streams)
}

// Drain lets no new stream be opened here, and waits until none is open and all
// handlers have returned. On the agent's side, streams that still arrive are
// served: the backend, which knows the successor, stops opening them.
func (c *Conn) Drain(ctx context.Context) error {
	c.mu.Lock()
	if c.drained == nil {
		c.drained = make(chan struct{})
	}
	drained := c.drained
	c.checkDrained()
	c.mu.Unlock()
	select {
	case <-drained:
		return nil
	case <-c.done:
		return c.Err()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// checkDrained tells those in Drain if nothing is open any more. c.mu is held.
func (c *Conn) checkDrained() {
	if c.drained == nil || len(c.streams) > 0 || c.handlers > 0 {
		return
	}
	select {
	case <-c.drained:
	default:
		close(c.drained)
	}
}

// lookup gives an open stream, or nil.
func (c *Conn) lookup(id uint32) *Stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.streams[id]
}

// remove forgets a stream that is over: frames for it are late ones from now on.
func (c *Conn) remove(s *Stream) {
	c.mu.Lock()
	if c.streams[s.id] == s {
		delete(c.streams, s.id)
		c.checkDrained()
	}
	c.mu.Unlock()
}

// accept starts serving a stream that the peer has opened, unless there is no
// room for it. Handlers may outlive their streams, hence the bound on them too.
func (c *Conn) accept(s *Stream) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending != nil {
		return true // too late for anything, a refusal included
	}
	if len(c.streams) >= c.cfg.MaxStreams || c.handlers >= 2*c.cfg.MaxStreams {
		return false
	}
	c.streams[s.id] = s
	c.handlers++
	c.serving.Add(1)
	go c.serve(s)
	return true
}

func (c *Conn) serve(s *Stream) {
	defer c.serving.Done()
	c.cfg.Handler(s)
	s.finish()
	c.mu.Lock()
	c.handlers--
	c.checkDrained()
	c.mu.Unlock()
}
