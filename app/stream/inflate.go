package stream

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"sync"
)

const (
	// maxCompressed bounds the payload of a compressed message, because all of it must
	// be there before it can be read.
	maxCompressed = 256 << 10
	// Compressed data may grow a thousandfold and more, at the cost of who reads it.
	// Up to maxRatio is paid for all the time, and up to maxGrowth at once.
	maxRatio  = 64
	maxGrowth = 8 << 20
	// window is what a message may refer back to (RFC 7692, 7.1.2).
	window = 32 << 10
)

// tail is what a sender has left out at the end of a message (RFC 7692, 7.2.1),
// and an empty last block, for a reader that wants an end.
const tail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// growth is the account of what decoding may cost.
type growth struct {
	used int64
}

// paid books what has come.
func (g *growth) paid(n int) { g.used = max(0, g.used-maxRatio*int64(n)) }

// spend books what came out of it, and is false if that is too much.
func (g *growth) spend(n int) bool {
	g.used += int64(n)
	return g.used <= maxGrowth
}

// inflater reads the compressed messages of one direction.
type inflater struct {
	forgets bool   // each message is for itself: no context takeover
	lost    bool   // no more messages can be read
	context []byte // the last of what was read
	growth  growth
}

type inflating interface {
	io.Reader
	flate.Resetter
}

// readers are those that nobody reads with: their windows are larger than most
// messages, and so nobody keeps one from one message to the next.
var readers = sync.Pool{New: func() any { return flate.NewReader(nil) }}

// inflate is the message without compression. A message that is too long comes cut,
// and if later ones need it, they come empty. It is false if the data is no such
// message.
func (f *inflater) inflate(m payload, a *account) (payload, bool) {
	whole := m.data
	m.data = nil
	if f.lost || int64(len(whole)) < m.size {
		if !f.forgets {
			f.lose(a)
		}
		return m, true
	}
	f.growth.paid(len(whole))
	source := io.MultiReader(bytes.NewReader(whole), bytes.NewReader([]byte(tail)))
	reader := readers.Get().(inflating)
	defer readers.Put(reader)
	defer reader.Reset(bytes.NewReader(nil), nil) // so that it does not hold the message
	if err := reader.Reset(source, f.recent()); err != nil {
		return m, false
	}
	m.size = 0
	buf := make([]byte, 4<<10)
	for {
		n, err := reader.Read(buf)
		m.size += int64(n)
		m.data = append(m.data, buf[:min(n, MaxData-len(m.data))]...)
		if !f.forgets && !f.lost && !f.remember(buf[:n], a) {
			f.lose(a)
		}
		switch {
		case errors.Is(err, io.EOF):
			return m, true
		case err != nil:
			return m, false
		case !f.growth.spend(n):
			f.lose(a)
			return m, true
		}
	}
}

// lose gives up on later messages.
func (f *inflater) lose(a *account) {
	f.lost = true
	a.drop(&f.context)
}

// remember is false if there is no room for it.
func (f *inflater) remember(p []byte, a *account) bool {
	if n := len(f.context) + len(p); n > 2*window { // not each time: it moves the rest
		f.context = append(f.context[:0], f.recent()...)
	}
	return a.extend(&f.context, p, 2*window)
}

func (f *inflater) recent() []byte { return f.context[max(0, len(f.context)-window):] }
