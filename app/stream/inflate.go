package stream

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
)

const (
	// maxCompressed bounds the payload of a compressed message, because all of it must
	// be there before it can be read.
	maxCompressed = 1 << 20
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
	forgets bool // each message is for itself: no context takeover
	lost    bool // no more messages can be read
	reader  io.ReadCloser
	context []byte // the last of what was read
	growth  growth
}

// inflate is the message without compression. A message that is too long comes cut,
// and if later ones need it, they come empty. It is false if the data is no such
// message.
func (f *inflater) inflate(m payload) (payload, bool) {
	whole := m.data
	m.data = nil
	if f.lost || int64(len(whole)) < m.size {
		if !f.forgets {
			f.lose()
		}
		return m, true
	}
	f.growth.paid(len(whole))
	source := io.MultiReader(bytes.NewReader(whole), bytes.NewReader([]byte(tail)))
	if f.reader == nil {
		f.reader = flate.NewReaderDict(source, f.recent())
	} else {
		f.reader.(flate.Resetter).Reset(source, f.recent())
	}
	m.size = 0
	buf := make([]byte, 4<<10)
	for {
		n, err := f.reader.Read(buf)
		m.size += int64(n)
		m.data = append(m.data, buf[:min(n, MaxData-len(m.data))]...)
		if !f.forgets {
			f.remember(buf[:n])
		}
		switch {
		case errors.Is(err, io.EOF):
			return m, true
		case err != nil:
			return m, false
		case !f.growth.spend(n):
			f.lose()
			return m, true
		}
	}
}

func (f *inflater) lose() { f.lost, f.reader, f.context = true, nil, nil }

func (f *inflater) remember(p []byte) {
	f.context = append(f.context, p...)
	if n := len(f.context); n > 2*window { // not each time: it moves the rest
		f.context = append(f.context[:0], f.context[n-window:]...)
	}
}

func (f *inflater) recent() []byte { return f.context[max(0, len(f.context)-window):] }
