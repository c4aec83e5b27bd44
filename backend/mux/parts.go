package mux

import (
	"context"
	"time"
)

// What a writer to a visitor uses in place of Read.

// Part is a piece of a body that was taken out of a stream.
type Part struct {
	k    *chunk
	pool *chunkPool
}

// Bytes is the piece, valid until Release.
func (p Part) Bytes() []byte { return p.k.buf[p.k.r:p.k.w] }

// Release gives the memory of the piece back. It must be called once.
func (p Part) Release() { p.pool.put(p.k) }

// ReadPart is Read without a copy: it gives a piece of the body as it has come. When
// ctx ends it gives its cause, and the stream lives on.
func (s *Stream) ReadPart(ctx context.Context) (Part, error) {
	for {
		k, grant, err := s.readPart()
		if grant > 0 {
			s.c.sendWindow(s.id, grant)
		}
		if k != nil || err != nil {
			return Part{k, &s.c.buffers.chunks}, err
		}
		select {
		case <-s.readable:
		case <-ctx.Done():
			return Part{}, context.Cause(ctx)
		}
	}
}

func (s *Stream) readPart() (k *chunk, grant int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k = s.in.take(); k != nil {
		return k, s.consume(k.w - k.r), nil
	}
	return nil, 0, s.readEnd()
}

// Await waits, for so long at most, until there may be something to read.
func (s *Stream) Await(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.readable:
		s.mu.Lock()
		s.wakeReader() // for whoever reads next
		s.mu.Unlock()
	case <-timer.C:
	}
}
