package capture

import "sync"

// partSize is the size of the pieces in which bodies are kept. They are used again
// and again: memory fresh from the heap costs more than copying a body to it.
const partSize = 32 << 10

type part [partSize]byte

// Body is what was kept of a body. Any goroutine may call its methods.
type Body struct {
	Truncated bool // it was longer than Config.MaxBody
	Dropped   bool // nothing was kept: Config.Memory was used up, or BodyRate

	open bool // more of it is kept, as it comes
	kept bool

	mu    sync.Mutex // held by the recorder only at the end
	size  int
	small []byte  // room for a short body of known length; filled first
	parts []*part // the rest; each full but the last
}

// Len is the length of what was kept.
func (b *Body) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.size
}

// Bytes is what was kept; nil if there is nothing, or no longer. It must not be
// changed, and stays when the body goes: a short one is not copied for it, and a
// long one is.
func (b *Body) Bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.size == 0:
		return nil
	case len(b.parts) == 0:
		return b.small[:b.size:b.size]
	}
	data := append(make([]byte, 0, b.size), b.small[:min(len(b.small), b.size)]...)
	for _, p := range b.parts {
		data = append(data, p[:min(partSize, b.size-len(data))]...)
	}
	return data
}

func (b *Body) keep() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept = true
}

// clear gives the parts back to the pool.
func (b *Body) clear(pool *sync.Pool) {
	for _, p := range b.parts {
		pool.Put(p)
	}
	b.parts, b.small, b.size = nil, nil, 0
}

// forget clears the body, whoever may have kept it.
func (b *Body) forget(pool *sync.Pool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clear(pool)
}

// release clears the body unless it is to be kept.
func (b *Body) release(pool *sync.Pool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.kept {
		b.clear(pool)
	}
}

// tee counts one body while it passes, and keeps its start. One goroutine uses it;
// the Body is nobody else's yet.
type tee struct {
	body     Body
	count    int64 // bytes that passed
	reserved int64 // bytes of the budget that are taken
	expected int64 // the length that was announced, or -1
}

func (t *tee) open(r *Recorder, expected int64) {
	t.body.open, t.expected = r.bodies, expected
}

func (t *tee) write(r *Recorder, p []byte) {
	t.count += int64(len(p))
	if !t.body.open || len(p) == 0 {
		return
	}
	b := &t.body
	if room := r.maxBody - b.size; len(p) > room {
		p, b.Truncated = p[:room], true
		t.body.open = false
	}
	for len(p) > 0 {
		room := t.room(r)
		if room == nil {
			t.drop(r)
			b.Dropped, b.Truncated = true, false
			return
		}
		n := copy(room, p)
		b.size += n
		p = p[n:]
	}
}

// drop gives back what is kept of the body, and keeps no more of it.
func (t *tee) drop(r *Recorder) {
	t.body.clear(&r.parts)
	r.memory.Add(t.reserved)
	t.reserved, t.body.open = 0, false
}

// forget is drop for a body that is not to be seen any more. Nobody else can have
// seen it yet.
func (t *tee) forget(r *Recorder) {
	if t.body.size > 0 {
		t.drop(r)
		t.body.Truncated = true
	}
	t.body.open = false
}

// room is where the next bytes of the body go; nil if there is no memory for them.
func (t *tee) room(r *Recorder) []byte {
	b := &t.body
	if free := len(b.small) - b.size; free > 0 {
		return b.small[b.size:]
	}
	inParts := b.size - len(b.small)
	if used := inParts % partSize; used > 0 {
		return b.parts[len(b.parts)-1][used:]
	}
	if b.size == 0 && t.expected > 0 && t.expected < partSize/4 {
		if !t.reserve(r, t.expected) {
			return nil
		}
		b.small = make([]byte, t.expected)
		return b.small
	}
	if !t.reserve(r, partSize) {
		return nil
	}
	p, ok := r.parts.Get().(*part)
	if !ok {
		p = new(part)
	}
	if b.parts == nil { // as many as there will be, if that is known
		b.parts = make([]*part, 0, 1+min(max(t.expected-1, 0), int64(r.maxBody))/partSize)
	}
	b.parts = append(b.parts, p)
	return p[:]
}

func (t *tee) reserve(r *Recorder, n int64) bool {
	if !r.bodyRate.take(n) || !r.reserve(n) {
		return false
	}
	t.reserved += n
	return true
}
