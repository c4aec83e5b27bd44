package stream

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
)

const (
	// maxCompressed bounds the payload of a compressed message, because all of it must
	// be there before it can be read, and maxInflated what it may grow to: a message
	// that is longer is read up to there.
	maxCompressed = 1 << 20
	maxInflated   = 8 << 20
	// window is what a message may refer back to (RFC 7692, 7.1.2).
	window = 32 << 10
)

// tail is what a sender has left out at the end of a message (RFC 7692, 7.2.1),
// and an empty last block, for a reader that wants an end.
const tail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// inflater reads the compressed messages of one direction.
type inflater struct {
	forgets bool // each message is for itself: no context takeover
	lost    bool // the context is incomplete: no more messages can be read
	reader  io.ReadCloser
	context []byte // the last of what was read
}

// inflate is the message without compression. A message that is too long comes cut,
// and if later ones need it, they come empty. It is false if the data is no such
// message.
func (f *inflater) inflate(m payload) (payload, bool) {
	whole := m.data
	m.data = nil
	if f.lost || int64(len(whole)) < m.size {
		f.lose()
		return m, true
	}
	source := io.MultiReader(bytes.NewReader(whole), bytes.NewReader([]byte(tail)))
	if f.reader == nil {
		f.reader = flate.NewReaderDict(source, f.context)
	} else {
		f.reader.(flate.Resetter).Reset(source, f.context)
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
		case m.size > maxInflated:
			f.lose()
			return m, true
		}
	}
}

func (f *inflater) lose() {
	if !f.forgets {
		f.lost, f.reader, f.context = true, nil, nil
	}
}

func (f *inflater) remember(p []byte) {
	if keep := window - len(p); len(f.context) > keep {
		f.context = append(f.context[:0], f.context[len(f.context)-keep:]...)
	}
	f.context = append(f.context, p...)
}
