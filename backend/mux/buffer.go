package mux

import (
	"math/bits"
	"sync"

	"culvert/backend/wire"
)

// minChunk is the smallest buffer for payloads.
const minChunk = 4 << 10

// Buffers keeps the memory that connections have no use for at the moment. Those of one
// program best share it: each has little to do, and the collector takes what lies about.
// The zero value is ready.
type Buffers struct {
	batches sync.Pool // *[]byte: what is to be sent
	chunks  chunkPool // what has come
}

// chunk is a piece of what a stream has received: buf[r:w].
type chunk struct {
	buf  []byte
	r, w int
	next *chunk
}

// chunkPool keeps chunks of 4, 8, 16, 32 and 64 KB, so that one holds at most
// twice its payload unless that is small.
type chunkPool struct {
	classes [5]sync.Pool
}

func chunkClass(n int) int { return bits.Len(uint(max(n, 1)-1) / minChunk) }

// get gives a chunk with room for n bytes, at most wire.MaxData.
func (p *chunkPool) get(n int) *chunk {
	class := chunkClass(n)
	if k, ok := p.classes[class].Get().(*chunk); ok {
		return k
	}
	return &chunk{buf: make([]byte, minChunk<<class)}
}

func (p *chunkPool) put(k *chunk) {
	k.r, k.w, k.next = 0, 0, nil
	p.classes[chunkClass(len(k.buf))].Put(k)
}

// buffer is the queue of received bytes of one stream.
type buffer struct {
	pool        *chunkPool
	first, last *chunk
	size        int
}

// add appends a chunk, which belongs to the buffer from then on.
func (b *buffer) add(k *chunk) {
	if b.last == nil {
		b.first = k
	} else {
		b.last.next = k
	}
	b.last = k
	b.size += k.w
}

// copyIn appends a small payload, into the last chunk's room first.
func (b *buffer) copyIn(p []byte) {
	if b.last != nil {
		n := copy(b.last.buf[b.last.w:], p)
		b.last.w += n
		b.size += n
		p = p[n:]
	}
	if len(p) > 0 {
		k := b.pool.get(len(p))
		k.w = copy(k.buf, p)
		b.add(k)
	}
}

// take gives the first chunk away, or nil.
func (b *buffer) take() *chunk {
	k := b.first
	if k == nil {
		return nil
	}
	if b.first = k.next; b.first == nil {
		b.last = nil
	}
	b.size -= k.w - k.r
	k.next = nil
	return k
}

// copyOut fills p with what there is.
func (b *buffer) copyOut(p []byte) (n int) {
	for n < len(p) && b.first != nil {
		k := b.first
		m := copy(p[n:], k.buf[k.r:k.w])
		k.r += m
		n += m
		if k.r == k.w {
			b.drop()
		}
	}
	b.size -= n
	return n
}

// drop recycles the first chunk.
func (b *buffer) drop() {
	k := b.first
	if b.first = k.next; b.first == nil {
		b.last = nil
	}
	b.pool.put(k)
}

// discard recycles everything.
func (b *buffer) discard() {
	for b.first != nil {
		b.drop()
	}
	b.size = 0
}

// A payload must fit the largest chunk, and the smallest window must hold it.
const _ = uint(minChunk<<4 - wire.MaxData)
